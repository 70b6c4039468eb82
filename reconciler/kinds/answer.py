"""Read fields out of an answer of the API, or say which one has the wrong shape. Others pass unseen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from reconciler.errors import AnswerError

T = TypeVar("T")
_TEXT = re.compile(r"(?s).+")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def items(result: Any, what: str) -> list[Mapping[str, Any]]:
    """A list of objects. `null` where a list belongs is an empty one (DESIGN section 4)."""
    if result is None:
        return []
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise AnswerError(f"the API's answer is not a list of {what} objects")
    return result


def mapping(result: Any, what: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(result, dict):
        raise AnswerError(f"the API's answer is not a {what} object")
    return result


def text(item: Mapping[str, Any], name: str, shape: re.Pattern[str] = _TEXT) -> str:
    """A string that has to be there."""
    value = item.get(name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise AnswerError(f"the API's answer has no usable `{name}`")
    return value


def identifier(item: Mapping[str, Any], name: str) -> str:
    """A UUID or a tag: it becomes part of a path, so `..` and the like are no id."""
    return text(item, name, _ID)


def optional(item: Mapping[str, Any], name: str, kind: type[T], words: str) -> T | None:
    """A value of the type `kind`, called `words`; None where it is null or missing."""
    value = item.get(name)
    if value is not None and not isinstance(value, kind):
        raise AnswerError(f"the API's answer has a `{name}` that is not {words}")
    return value


def text_or_blank(item: Mapping[str, Any], name: str) -> str:
    """A string; null and missing are the empty one."""
    return optional(item, name, str, "a string") or ""


def flag(item: Mapping[str, Any], name: str) -> bool:
    """A boolean; null and missing are false."""
    return bool(optional(item, name, bool, "true or false"))


def texts(item: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings; null and missing are the empty one."""
    value = optional(item, name, list, "a list of strings") or []
    if not all(isinstance(one, str) for one in value):
        raise AnswerError(f"the API's answer has a `{name}` that is not a list of strings")
    return tuple(value)


_READERS = {"string": text_or_blank, "boolean": flag, "array": texts}


def fields(item: Mapping[str, Any], schema: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Those of a kind's `schema`, each by its type."""
    return {name: _READERS[one.get("type", "string")](item, name) for name, one in schema.items()}
