"""The parts of a seed document about builds: repositories, the account's limits, and the builds themselves."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.build_course import OUTCOMES, STATUSES
from reconciler.sandbox.builds import SOURCES
from reconciler.sandbox.connections import PROVIDER_TYPES
from reconciler.sandbox.limits import PAID
from reconciler.sandbox.repositories import NOTHING, PACKAGE_MANAGERS, folder_of
from reconciler.sandbox.seed_shape import (
    SeedError,
    VariableSeed,
    choice,
    flag,
    mapping,
    moment,
    nullable_text,
    optional_text,
    text,
    text_map,
    texts,
    variables,
)

MOST_SECONDS = 10**9
MOST_LINES = 100_000
_OVERRIDES = ("build_command", "deploy_command", "root_directory", "build_token_uuid", "build_token_name")
_REFERENCES = ("trigger", "trigger_uuid")
_COMMIT = ("author", "branch", "commit_hash", "commit_message")
_COURSE = ("outcome", "status", "created_on", "age", "log")
_BUILD = ("worker", "build_uuid", "version_id", "build_trigger_source", "environment_variables")


@dataclass(frozen=True, kw_only=True)
class RepositorySeed:
    """None is any branch, or any folder; folders are named as repositories.folder_of does."""

    key: Mapping[str, str]
    branches: tuple[str, ...] | None
    root_directories: Mapping[str, Mapping[str, Any]] | None


@dataclass(frozen=True, kw_only=True)
class BuildSeed:
    """`overrides` and `variables` are what it embedded otherwise than its trigger has it; `age` is in seconds.

    `digest` tells one description from another; no secret goes into it.
    """

    where: str
    worker: str
    references: Mapping[str, str]
    uuid: str | None
    version_id: str | None
    source: str
    commit: Mapping[str, str | None]
    outcome: str | None
    status: str | None
    created_on: str | None
    age: float | None
    log: tuple[str, ...] | None
    overrides: Mapping[str, str | None]
    variables: tuple[VariableSeed, ...] | None
    digest: str


def repository(value: object, where: str) -> RepositorySeed:
    known = ("provider_type", "provider_account_id", "repo_id", "branches", "root_directories")
    item = mapping(value, where, known)
    folders: dict[str, Mapping[str, Any]] = {}
    given = mapping(item.get("root_directories", {}), f"{where}.root_directories", None)
    for path, found in given.items():
        if folder_of(path) in folders:
            raise SeedError(f"{where}.root_directories.{path}: is there twice")
        folders[folder_of(path)] = _folder(found, f"{where}.root_directories.{path}")
    return RepositorySeed(
        key={
            "provider_type": choice(item, "provider_type", where, PROVIDER_TYPES) or "github",
            "provider_account_id": text(item, "provider_account_id", where),
            "repo_id": text(item, "repo_id", where),
        },
        branches=tuple(texts(item, "branches", where)) if "branches" in item else None,
        root_directories=folders if "root_directories" in item else None,
    )


def limits(value: object) -> Mapping[str, Any]:
    item = mapping(value, "limits", PAID)
    found: dict[str, Any] = dict(PAID)
    if item.get("build_minutes_refresh_on") is not None:
        found["build_minutes_refresh_on"] = moment(item, "build_minutes_refresh_on", "limits")
    if item.get("has_reached_build_minutes_limit") is not None:
        found["has_reached_build_minutes_limit"] = flag(item, "has_reached_build_minutes_limit", "limits")
    return found


def build(value: object, where: str) -> BuildSeed:
    item = mapping(value, where, (*_BUILD, *_REFERENCES, *_COMMIT, *_COURSE, *_OVERRIDES))
    for one, other in (_REFERENCES, ("created_on", "age")):
        if one in item and other in item:
            raise SeedError(f"{where}: give {one} or {other}, not both")
    outcome = choice(item, "outcome", where, OUTCOMES)
    status = choice(item, "status", where, STATUSES)
    if outcome is not None and status not in (None, "stopped"):
        raise SeedError(f"{where}.outcome: a build that is {status} has none")
    found = variables(item, where) if "environment_variables" in item else None
    return BuildSeed(
        where=where,
        worker=text(item, "worker", where),
        references={name: text(item, name, where) for name in _REFERENCES if name in item},
        uuid=optional_text(item, "build_uuid", where),
        version_id=optional_text(item, "version_id", where),
        source=choice(item, "build_trigger_source", where, SOURCES) or "push_event",
        commit={name: nullable_text(item, name, where) for name in _COMMIT if name in item},
        outcome=outcome,
        status=status,
        created_on=moment(item, "created_on", where),
        age=_age(item, where),
        log=_log(item, where),
        overrides={name: nullable_text(item, name, where) for name in _OVERRIDES if name in item},
        variables=found,
        digest=_digest(item, found),
    )


def _folder(value: object, where: str) -> Mapping[str, Any]:
    item = mapping(value, where, NOTHING)
    found: dict[str, Any] = {name: nullable_text(item, name, where) for name in ("config_file", "default_worker_name")}
    found |= {name: text_map(item, name, where) for name in ("env_worker_names", "scripts")}
    found["package_manager"] = None
    if item.get("package_manager") is not None:
        found["package_manager"] = choice(item, "package_manager", where, PACKAGE_MANAGERS)
    return found


def _age(item: Mapping[str, Any], where: str) -> float | None:
    value = item.get("age", 0)
    if type(value) not in (int, float) or not 0 <= value <= MOST_SECONDS:
        raise SeedError(f"{where}.age: must be a number of seconds, from 0 to {MOST_SECONDS}")
    return float(value) if "age" in item else None


def _log(item: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    if "log" not in item:
        return None
    lines = texts(item, "log", where)
    if len(lines) > MOST_LINES:
        raise SeedError(f"{where}.log: must have at most {MOST_LINES} lines")
    return tuple(lines)


def _digest(item: Mapping[str, Any], found: tuple[VariableSeed, ...] | None) -> str:
    shown = [(each.key, each.is_secret, None if each.is_secret else each.value) for each in found or ()]
    content = {**item, "environment_variables": sorted(shown, key=lambda each: each[0])}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
