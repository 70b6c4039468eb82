"""The seed document: checks its shape and turns it into values, with every default filled in.

A JSON object; every part is optional, and unknown keys are errors:

    account_id    32 hex digits; other accounts are then refused
    api_tokens    {bearer token: "user" | "read-only" | "account" | "expired" | "invalid"}; others are invalid
    workers       [{id, tag?, newer_surface?}]
    connections   [{provider_type?, provider_account_id, provider_account_name, repo_id, repo_name,
                    repo_connection_uuid?}]
    build_tokens  [{build_token_name, cloudflare_token_id, build_token_uuid?}]
    triggers      [{worker, trigger_uuid?, build_token | build_token_uuid, created_on?, deleted_on?,
                    repo_connection | repo_connection_uuid, environment_variables?, and trigger fields}]

Shape only: what the API would refuse to make, such as a second production trigger, may be seeded, because
live state is not always made through the API. Where there is one build token, or one connection, a trigger
need not name it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.sandbox.access import KINDS
from reconciler.sandbox.body import is_flag, is_text, is_texts
from reconciler.sandbox.connections import PROVIDER_TYPES
from reconciler.sandbox.triggers import LISTS
from reconciler.sandbox.workers import derived_tag

_HEX = re.compile("[0-9a-f]{32}")
_PARTS = ("account_id", "api_tokens", "workers", "connections", "build_tokens", "triggers")
_CONNECTION = ("provider_account_id", "provider_account_name", "repo_id", "repo_name")
# Null is allowed: whether the API turns an empty command into null is unknown (field notes, Triggers).
_NULLABLE = ("build_command", "deploy_command", "root_directory")
_REFERENCES = ("build_token", "build_token_uuid", "repo_connection", "repo_connection_uuid")
_TRIGGER = ("trigger_uuid", "trigger_name", "build_caching_enabled", "created_on", "deleted_on", *LISTS)


class SeedError(ValueError):
    """The document cannot be seeded; the message says where it is wrong, and how."""


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


@dataclass(frozen=True, kw_only=True)
class VariableSeed:
    key: str
    is_secret: bool
    value: str


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


def parse(document: object) -> SeedDocument:
    """Raises SeedError at the first thing that is wrong."""
    root = _object(document, "the seed", _PARTS)
    account_id = _optional_text(root, "account_id", "account_id")
    if account_id is not None and not _HEX.fullmatch(account_id):
        raise SeedError("account_id: must be 32 lower-case hex digits")
    return SeedDocument(
        account_id=account_id,
        api_tokens=_api_tokens(root["api_tokens"]) if "api_tokens" in root else None,
        workers=tuple(_worker(item, where) for item, where in _items(root, "workers")),
        connections=tuple(_connection(item, where) for item, where in _items(root, "connections")),
        build_tokens=tuple(_token(item, where) for item, where in _items(root, "build_tokens")),
        triggers=tuple(_trigger(item, where) for item, where in _items(root, "triggers")),
    )


def _api_tokens(value: object) -> Mapping[str, str]:
    tokens = _object(value, "api_tokens", None)
    for kind in tokens.values():
        # The token itself is never printed.
        if kind not in KINDS:
            raise SeedError(f"api_tokens: the kind of a token must be one of {', '.join(KINDS)}")
    return tokens


def _worker(value: object, where: str) -> WorkerSeed:
    item = _object(value, where, ("id", "tag", "newer_surface"))
    name, tag = _text(item, "id", where), _optional_text(item, "tag", where)
    if tag is not None and not _HEX.fullmatch(tag):
        raise SeedError(f"{where}.tag: must be 32 lower-case hex digits")
    newer_surface = _flag(item, "newer_surface", where) if "newer_surface" in item else None
    return WorkerSeed(id=name, tag=tag or derived_tag(name), tag_given=tag is not None, newer_surface=newer_surface)


def _connection(value: object, where: str) -> ConnectionSeed:
    item = _object(value, where, ("provider_type", "repo_connection_uuid", *_CONNECTION))
    fields = {name: _text(item, name, where) for name in _CONNECTION}
    fields["provider_type"] = _optional_text(item, "provider_type", where) or "github"
    if fields["provider_type"] not in PROVIDER_TYPES:
        raise SeedError(f"{where}.provider_type: must be one of {', '.join(PROVIDER_TYPES)}")
    return ConnectionSeed(uuid=_optional_text(item, "repo_connection_uuid", where), fields=fields)


def _token(value: object, where: str) -> TokenSeed:
    item = _object(value, where, ("build_token_name", "cloudflare_token_id", "build_token_uuid"))
    return TokenSeed(
        uuid=_optional_text(item, "build_token_uuid", where),
        name=_text(item, "build_token_name", where),
        cloudflare_token_id=_text(item, "cloudflare_token_id", where),
    )


def _trigger(value: object, where: str) -> TriggerSeed:
    item = _object(value, where, ("worker", "environment_variables", *_TRIGGER, *_NULLABLE, *_REFERENCES))
    references = {name: _text(item, name, where) for name in _REFERENCES if name in item}
    for name in ("build_token", "repo_connection"):
        if name in references and f"{name}_uuid" in references:
            raise SeedError(f"{where}: give {name} or {name}_uuid, not both")
    variables = _object(item.get("environment_variables", {}), f"{where}.environment_variables", None)
    return TriggerSeed(
        where=where,
        worker=_text(item, "worker", where),
        uuid=_optional_text(item, "trigger_uuid", where),
        settings=_settings(item, where),
        references=references,
        created_on=_time(item, "created_on", where),
        deleted_on=_time(item, "deleted_on", where),
        variables=tuple(_variable(key, entry, where) for key, entry in variables.items()),
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
            _flag(settings, name, where)
        elif not (value is None and name in _NULLABLE) and not is_text(value):
            raise SeedError(f"{where}.{name}: must be a string")
    return settings


def _variable(key: str, value: object, where: str) -> VariableSeed:
    place = f"{where}.environment_variables.{key}"
    if is_text(value):
        return VariableSeed(key=key, is_secret=False, value=value)
    item = _object(value, place, ("is_secret", "value"))
    if not is_text(item.get("value")):
        raise SeedError(f"{place}.value: must be a string")
    return VariableSeed(key=key, is_secret=_flag(item, "is_secret", place), value=item["value"])


def _items(root: Mapping[str, Any], name: str) -> list[tuple[object, str]]:
    value = root.get(name, [])
    if not isinstance(value, list | tuple):
        raise SeedError(f"{name}: must be a list")
    return [(item, f"{name}[{index}]") for index, item in enumerate(value)]


def _object(value: object, where: str, allowed: Collection[str] | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(is_text(key) for key in value):
        raise SeedError(f"{where}: must be an object")
    unknown = sorted(value.keys() - set(allowed)) if allowed is not None else []
    if unknown:
        raise SeedError(f"{where}: unknown key {unknown[0]!r}, known are {', '.join(sorted(allowed or ()))}")
    return value


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not is_text(value) or not value:
        raise SeedError(f"{where}.{name}: must be a string that is not empty")
    return value


def _optional_text(item: Mapping[str, Any], name: str, where: str) -> str | None:
    return _text(item, name, where) if name in item else None


def _flag(item: Mapping[str, Any], name: str, where: str) -> bool:
    value = item.get(name)
    if not is_flag(value):
        raise SeedError(f"{where}.{name}: must be true or false")
    return bool(value)


def _time(item: Mapping[str, Any], name: str, where: str) -> str | None:
    value = _optional_text(item, name, where)
    try:
        if value is not None:
            datetime.fromisoformat(value)
    except ValueError:
        raise SeedError(f"{where}.{name}: must be a time such as 2026-01-02T10:00:00.000Z") from None
    return value
