"""Checks the shape of a seed's values, each with a message that says where it is wrong, and how."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.sandbox import times
from reconciler.sandbox.body import is_flag, is_text, is_texts


class SeedError(ValueError):
    """The document cannot be seeded; the message says where it is wrong, and how."""


@dataclass(frozen=True, kw_only=True)
class VariableSeed:
    key: str
    is_secret: bool
    value: str


def listed(root: Mapping[str, Any], name: str) -> list[tuple[object, str]]:
    """The items of a list, none where it is left out, each with where it stands."""
    value = root.get(name, [])
    if not isinstance(value, list | tuple):
        raise SeedError(f"{name}: must be a list")
    return [(item, f"{name}[{index}]") for index, item in enumerate(value)]


def mapping(value: object, where: str, allowed: Collection[str] | None) -> Mapping[str, Any]:
    """An object with no keys but `allowed`; with any where that is None."""
    if not isinstance(value, Mapping) or not all(is_text(key) for key in value):
        raise SeedError(f"{where}: must be an object")
    known = sorted(allowed) if allowed is not None else [*value]
    for key in sorted(value.keys() - set(known)):
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.65)
        told = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise SeedError(f"{where}: unknown key {key!r}, {told}")
    return value


def text(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not is_text(value) or not value:
        raise SeedError(f"{where}.{name}: must be a string that is not empty")
    return value


def optional_text(item: Mapping[str, Any], name: str, where: str) -> str | None:
    return text(item, name, where) if name in item else None


def nullable_text(item: Mapping[str, Any], name: str, where: str) -> str | None:
    """A string, which may be empty, or null; null too where it is left out."""
    value = item.get(name)
    if value is not None and not is_text(value):
        raise SeedError(f"{where}.{name}: must be a string")
    return value


def texts(item: Mapping[str, Any], name: str, where: str) -> list[str]:
    value = item.get(name)
    if not isinstance(value, list) or not is_texts(value):
        raise SeedError(f"{where}.{name}: must be a list of strings")
    return list(value)


def text_map(item: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    """A map of strings; empty where it is left out."""
    value = mapping(item.get(name, {}), f"{where}.{name}", None)
    for key in value:
        if not is_text(value[key]):
            raise SeedError(f"{where}.{name}.{key}: must be a string")
    return dict(value)


def choice(item: Mapping[str, Any], name: str, where: str, options: Collection[str]) -> str | None:
    """One of the options; None where it is left out."""
    value = optional_text(item, name, where)
    if value is not None and value not in options:
        raise SeedError(f"{where}.{name}: must be one of {', '.join(options)}")
    return value


def flag(item: Mapping[str, Any], name: str, where: str) -> bool:
    value = item.get(name)
    if not is_flag(value):
        raise SeedError(f"{where}.{name}: must be true or false")
    return bool(value)


def time(item: Mapping[str, Any], name: str, where: str) -> str | None:
    """A time as it is given; None where it is left out."""
    value = optional_text(item, name, where)
    try:
        if value is not None:
            datetime.fromisoformat(value)
    except ValueError:
        raise _no_time(name, where) from None
    return value


def moment(item: Mapping[str, Any], name: str, where: str) -> str | None:
    """A time as the API would write it; None where it is left out."""
    value = time(item, name, where)
    try:
        return None if value is None else times.normalised(value)
    except ValueError:
        raise _no_time(name, where) from None


def variables(item: Mapping[str, Any], where: str) -> tuple[VariableSeed, ...]:
    """Its `environment_variables`; a plain one may be a string."""
    place = f"{where}.environment_variables"
    found = mapping(item.get("environment_variables", {}), place, None)
    return tuple(_variable(key, value, f"{place}.{key}") for key, value in found.items())


def _variable(key: str, value: object, place: str) -> VariableSeed:
    if is_text(value):
        return VariableSeed(key=key, is_secret=False, value=value)
    item = mapping(value, place, ("is_secret", "value"))
    if not is_text(item.get("value")):
        raise SeedError(f"{place}.value: must be a string")
    return VariableSeed(key=key, is_secret=flag(item, "is_secret", place), value=item["value"])


def _no_time(name: str, where: str) -> SeedError:
    return SeedError(f"{where}.{name}: must be a time such as 2026-01-02T10:00:00.000Z")
