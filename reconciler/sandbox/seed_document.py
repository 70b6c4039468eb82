"""The seed document: checks its shape and turns it into values, with every default filled in.

A JSON object; every part is optional, and unknown keys are errors:

    account_id    32 hex digits; other accounts are then refused
    api_tokens    {bearer token: "user" | "read-only" | "account" | "expired" | "invalid"}; others are invalid
    workers       [{id, tag?, newer_surface?}]
    connections   [{provider_type?, provider_account_id, provider_account_name, repo_id, repo_name,
                    repo_connection_uuid?}]
    build_tokens  [{build_token_name, cloudflare_token_id, build_token_uuid?, dead?}]; builds on a dead one fail
    triggers      [{worker, trigger_uuid?, build_token | build_token_uuid, created_on?, deleted_on?,
                    repo_connection | repo_connection_uuid, environment_variables?, and trigger fields}]
    repositories  [{provider_type?, provider_account_id, repo_id, branches? (any), root_directories? (any):
                    {folder: {config_file?, default_worker_name?, env_worker_names?, package_manager?, scripts?}}}];
                    where this part is given, even empty, no other repository is reached
    limits        {build_minutes_refresh_on?, has_reached_build_minutes_limit?}; null each, as on a paid plan
    builds        [{worker, trigger | trigger_uuid, build_uuid?, version_id?, branch?, commit_hash?,
                    commit_message?, author?, build_trigger_source?, outcome?, status?, created_on? | age?
                    (seconds), log? [lines], and what it embedded otherwise than its trigger has it now:
                    build_command?, deploy_command?, root_directory?, environment_variables?,
                    build_token_uuid?, build_token_name?}]

Shape only: what the API would refuse to make, such as a second production trigger, may be seeded, because
live state is not always made through the API. Where there is one build token, or one connection, a trigger
need not name it; nor a build the only trigger of its Worker.

A build with a `status` stands there for good; any other goes from `created_on` by the clock to its `outcome`, or
to the one that its token, its repository and its Worker's name make of it. Without a time it has just got there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.access import KINDS
from reconciler.sandbox.body import is_text, is_texts
from reconciler.sandbox.connections import PROVIDER_TYPES
from reconciler.sandbox.seed_build_document import BuildSeed, RepositorySeed, build, limits, repository
from reconciler.sandbox.seed_shape import (
    SeedError,
    VariableSeed,
    flag,
    listed,
    mapping,
    optional_text,
    text,
    time,
    variables,
)
from reconciler.sandbox.triggers import LISTS
from reconciler.sandbox.workers import derived_tag

_HEX = re.compile("[0-9a-f]{32}")
_PARTS = (
    "account_id",
    "api_tokens",
    "workers",
    "connections",
    "build_tokens",
    "triggers",
    "repositories",
    "limits",
    "builds",
)
_CONNECTION = ("provider_account_id", "provider_account_name", "repo_id", "repo_name")
# Null is allowed: whether the API turns an empty command into null is unknown (field notes, Triggers).
_NULLABLE = ("build_command", "deploy_command", "root_directory")
_REFERENCES = ("build_token", "build_token_uuid", "repo_connection", "repo_connection_uuid")
_TRIGGER = ("trigger_uuid", "trigger_name", "build_caching_enabled", "created_on", "deleted_on", *LISTS)


@dataclass(frozen=True, kw_only=True)
class WorkerSeed:
    id: str
    tag: str
    tag_given: bool
    newer_surface: bool | None


@dataclass(frozen=True, kw_only=True)
class ConnectionSeed:
    uuid: str | None
    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TokenSeed:
    uuid: str | None
    name: str
    cloudflare_token_id: str
    dead: bool | None


@dataclass(frozen=True, kw_only=True)
class TriggerSeed:
    """`settings` are the API's fields but for those in `references`, which are as the document gives them."""

    where: str
    worker: str
    uuid: str | None
    settings: Mapping[str, Any]
    references: Mapping[str, str]
    created_on: str | None
    deleted_on: str | None
    variables: tuple[VariableSeed, ...]


@dataclass(frozen=True, kw_only=True)
class SeedDocument:
    account_id: str | None
    api_tokens: Mapping[str, str] | None
    workers: tuple[WorkerSeed, ...]
    connections: tuple[ConnectionSeed, ...]
    build_tokens: tuple[TokenSeed, ...]
    triggers: tuple[TriggerSeed, ...]
    repositories: tuple[RepositorySeed, ...] | None
    limits: Mapping[str, Any] | None
    builds: tuple[BuildSeed, ...]


def parse(document: object) -> SeedDocument:
    """Raises SeedError at the first thing that is wrong."""
    root = mapping(document, "the seed", _PARTS)
    account_id = optional_text(root, "account_id", "account_id")
    if account_id is not None and not _HEX.fullmatch(account_id):
        raise SeedError("account_id: must be 32 lower-case hex digits")
    return SeedDocument(
        account_id=account_id,
        api_tokens=_api_tokens(root["api_tokens"]) if "api_tokens" in root else None,
        workers=tuple(_worker(item, where) for item, where in listed(root, "workers")),
        connections=tuple(_connection(item, where) for item, where in listed(root, "connections")),
        build_tokens=tuple(_token(item, where) for item, where in listed(root, "build_tokens")),
        triggers=tuple(_trigger(item, where) for item, where in listed(root, "triggers")),
        repositories=tuple(repository(item, where) for item, where in listed(root, "repositories"))
        if "repositories" in root
        else None,
        limits=limits(root["limits"]) if "limits" in root else None,
        builds=tuple(build(item, where) for item, where in listed(root, "builds")),
    )


def _api_tokens(value: object) -> Mapping[str, str]:
    tokens = mapping(value, "api_tokens", None)
    for kind in tokens.values():
        # The token itself is never printed.
        if kind not in KINDS:
            raise SeedError(f"api_tokens: the kind of a token must be one of {', '.join(KINDS)}")
    return tokens


def _worker(value: object, where: str) -> WorkerSeed:
    item = mapping(value, where, ("id", "tag", "newer_surface"))
    name, tag = text(item, "id", where), optional_text(item, "tag", where)
    if tag is not None and not _HEX.fullmatch(tag):
        raise SeedError(f"{where}.tag: must be 32 lower-case hex digits")
    newer_surface = flag(item, "newer_surface", where) if "newer_surface" in item else None
    return WorkerSeed(id=name, tag=tag or derived_tag(name), tag_given=tag is not None, newer_surface=newer_surface)


def _connection(value: object, where: str) -> ConnectionSeed:
    item = mapping(value, where, ("provider_type", "repo_connection_uuid", *_CONNECTION))
    fields = {name: text(item, name, where) for name in _CONNECTION}
    fields["provider_type"] = optional_text(item, "provider_type", where) or "github"
    if fields["provider_type"] not in PROVIDER_TYPES:
        raise SeedError(f"{where}.provider_type: must be one of {', '.join(PROVIDER_TYPES)}")
    return ConnectionSeed(uuid=optional_text(item, "repo_connection_uuid", where), fields=fields)


def _token(value: object, where: str) -> TokenSeed:
    item = mapping(value, where, ("build_token_name", "cloudflare_token_id", "build_token_uuid", "dead"))
    return TokenSeed(
        uuid=optional_text(item, "build_token_uuid", where),
        name=text(item, "build_token_name", where),
        cloudflare_token_id=text(item, "cloudflare_token_id", where),
        dead=flag(item, "dead", where) if "dead" in item else None,
    )


def _trigger(value: object, where: str) -> TriggerSeed:
    item = mapping(value, where, ("worker", "environment_variables", *_TRIGGER, *_NULLABLE, *_REFERENCES))
    references = {name: text(item, name, where) for name in _REFERENCES if name in item}
    for name in ("build_token", "repo_connection"):
        if name in references and f"{name}_uuid" in references:
            raise SeedError(f"{where}: give {name} or {name}_uuid, not both")
    return TriggerSeed(
        where=where,
        worker=text(item, "worker", where),
        uuid=optional_text(item, "trigger_uuid", where),
        settings=_settings(item, where),
        references=references,
        created_on=time(item, "created_on", where),
        deleted_on=time(item, "deleted_on", where),
        variables=variables(item, where),
    )


def _settings(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    preview = isinstance(item.get("branch_includes"), list) and "*" in item["branch_includes"]
    # Names and commands are those that the dashboard sets (field notes, Triggers).
    settings: dict[str, Any] = {
        "trigger_name": "Deploy non-production branches" if preview else "Deploy default branch",
        "branch_includes": ["main"],
        "branch_excludes": ["main"] if preview else [],
        "path_includes": ["*"],
        "path_excludes": [],
        "build_command": "",
        "deploy_command": "npx wrangler versions upload" if preview else "npx wrangler deploy",
        "root_directory": "/",
        "build_caching_enabled": False,
    }
    settings.update({name: item[name] for name in settings if name in item})
    for name, value in settings.items():
        if name in LISTS:
            if not is_texts(value):
                raise SeedError(f"{where}.{name}: must be a list of strings")
        elif name == "build_caching_enabled":
            flag(settings, name, where)
        elif not (value is None and name in _NULLABLE) and not is_text(value):
            raise SeedError(f"{where}.{name}: must be a string")
    return settings
