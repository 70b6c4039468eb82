"""How a fault is written: as a text in GRAMMAR, or with the same fields as a JSON object.

429:*:*:times=3,retry_after=2                {"kind": "429", "method": "*", "path": "*", "times": 3, …}
500:POST:/builds/triggers                    the API answers instead of acting
502-html-after:PATCH:/builds/triggers/*      it acts, and then a gateway answers
cut-after:GET:/builds/**:after=10,times=forever
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

FOREVER = "forever"
MOST_SECONDS = 600
GRAMMAR = (
    "KIND:METHOD:PATH[:NAME=VALUE,…]. KIND is 429, 500 to 599, 500-html to 599-html, success-false or slow, each but "
    "429 also with -after (the API acts first); cut-before, cut-after, truncated or wrong-shape. METHOD is one or *. "
    "PATH is below the account: a * stays within a segment, a last /** is any rest, * alone is any path. "
    "NAME is times (1; a number or forever), after (0: so many matching requests go through first), "
    "seconds (1; of slow), retry_after (1; whole seconds, of 429)"
)

_KIND = re.compile(r"429|truncated|wrong-shape|cut-before|(?:cut|(?:5[0-9][0-9](?:-html)?|success-false|slow))-after|"
                   r"5[0-9][0-9](?:-html)?|success-false|slow")  # fmt: skip


class FaultError(ValueError):
    """A fault that cannot be; the message says what is wrong with it, GRAMMAR what would be right."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault; `times` None is for ever. Make one with `parse` or `from_fields`, which check."""

    kind: str
    method: str
    path: str
    times: int | None = 1
    after: int = 0
    seconds: float = 1
    retry_after: int = 1

    def matches(self, method: str, path: str) -> bool:
        globs, segments = self.path.split("/"), path.split("/")
        if globs[-1] == "**":
            globs, segments = globs[:-1], segments[: len(globs) - 1]
        fits = len(globs) == len(segments) and all(map(fnmatchcase, segments, globs))
        return self.method in ("*", method) and (self.path == "*" or fits)


def parse(spec: str) -> Fault:
    """The fault that a text in GRAMMAR describes; FaultError for any other."""
    names = ("kind", "method", "path")
    parts = spec.split(":", len(names))
    fields: dict[str, object] = dict(zip(names, parts, strict=False))
    for option in parts[3].split(",") if len(parts) > len(names) else ():
        name, _, value = option.partition("=")
        if name in fields:
            raise FaultError(f"`{name}` is there twice")
        number = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value)
        fields[name] = value if number is None else float(value) if number[1] else int(value)
    return from_fields(fields)


def from_fields(fields: object) -> Fault:
    """The fault with these fields, as JSON has them; FaultError where one is missing, unknown or wrong."""
    if not isinstance(fields, dict) or not {"kind", "method", "path"} <= fields.keys():
        raise FaultError("kind, method and path are needed")
    for name, value in fields.items():
        if name not in _CHECKS:
            raise FaultError(f"`{name}` is not known")
        if not _CHECKS[name](value):
            raise FaultError(f"`{name}` cannot be {json.dumps(value, ensure_ascii=False)}")
    for name, kinds in (("seconds", ("slow", "slow-after")), ("retry_after", ("429",))):
        if name in fields and fields["kind"] not in kinds:
            raise FaultError(f"`{name}` is not for {fields['kind']}")
    return Fault(**{**fields, "times": None if fields.get("times") == FOREVER else fields.get("times", 1)})


def _is_count(value: object, at_least: int = 0) -> bool:
    return type(value) is int and at_least <= value < 10**9


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "kind": lambda value: isinstance(value, str) and _KIND.fullmatch(value) is not None,
    "method": lambda value: value in ("*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    "path": lambda value: isinstance(value, str) and (value == "*" or value.startswith("/")),
    "times": lambda value: value == FOREVER or _is_count(value, 1),
    "after": _is_count,
    "seconds": lambda value: type(value) in (int, float) and 0 <= value <= MOST_SECONDS,
    "retry_after": lambda value: _is_count(value) and value <= MOST_SECONDS,
}
