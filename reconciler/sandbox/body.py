"""Checks request bodies: either plain checked values come out, or the API's one refusal, 12002."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeGuard

from reconciler.sandbox.envelope import invalid_body

Check = Callable[[object], bool]


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    # RecursionError: nested deeper than the parser goes. That is an invalid body, not a crash.
    except (ValueError, RecursionError):
        raise invalid_body() from None
    if not isinstance(value, dict):
        raise invalid_body()
    return value


def checked(body: Mapping[str, Any], checks: Mapping[str, Check], *, required: Collection[str]) -> dict[str, Any]:
    """The body, if it has all required fields, no others than those in `checks`, and each passes its check.

    A field that may be left out may still not be null: null fails every check (field notes, *Error codes*:
    a null list is 12002).
    """
    if not set(required) <= body.keys() <= checks.keys():
        raise invalid_body()
    if not all(checks[name](value) for name, value in body.items()):
        raise invalid_body()
    return dict(body)


def text(*, at_least: int = 0, at_most: int | None = None) -> Check:
    """A string of so many characters."""

    def check(value: object) -> bool:
        return is_text(value) and len(value) >= at_least and (at_most is None or len(value) <= at_most)

    return check


def one_of(*options: str) -> Check:
    return lambda value: isinstance(value, str) and value in options


def is_text(value: object) -> TypeGuard[str]:
    """Half a surrogate pair is valid in a JSON escape, but is no text: no UTF-8 can hold it."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_texts(value: object) -> bool:
    return isinstance(value, list) and all(is_text(item) for item in value)


def is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _no_constant(name: str) -> NoReturn:
    # Python's parser takes NaN and Infinity, JSON has neither.
    raise ValueError(f"{name} is not JSON")
