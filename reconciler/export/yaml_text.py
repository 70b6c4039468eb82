"""Values as YAML that reads well: short mappings on one line, every string safe for YAML 1.1 and 1.2 readers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.manifest.parse import plain
from reconciler.render.escape import clean

WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z/](?:[\w./@+=$&|*-]|:(?=[\w/])| (?=[\w./@+=$&|*:-]))*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})  # what YAML 1.1 takes for others
Path = tuple[str, ...]


def text(document: Mapping[str, Any], comments: Mapping[Path, str], *, indent: int = 0) -> str:
    """`document` in block style, its sections' entries on one line where they fit; `comments` by path."""
    return "".join(f"{line}\n" for line in _lines(document, comments, (), indent))


def _lines(body: Mapping[str, Any], comments: Mapping[Path, str], path: Path, indent: int) -> Iterator[str]:
    pad = " " * indent
    for key, value in body.items():
        here = (*path, key)
        for line in comments.get(here, "").splitlines():
            yield f"{pad}# {clean(line)}"
        line = f"{pad}{scalar(key)}: {flow(value)}"
        inner = any(other[: len(here)] == here and other != here for other in comments)
        short = len(line) <= WIDTH and _depth(value) <= 2 and not inner and (path or not isinstance(value, dict))
        if short or not value or not isinstance(value, dict | list):
            yield line
        elif isinstance(value, list):
            yield f"{pad}{scalar(key)}:"
            yield from (f"{pad}  - {flow(one)}" for one in value)
        else:
            yield f"{pad}{scalar(key)}:"
            yield from _lines(value, comments, here, indent + 2)


def _depth(value: Any) -> int:
    """How many mappings stand inside each other; lists of strings do not count."""
    return 1 + max(map(_depth, value.values()), default=0) if isinstance(value, dict) else 0


def flow(value: Any) -> str:
    """`value` on one line."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return scalar(value)
        case list():
            return f"[{', '.join(map(flow, value))}]"
        case dict():
            return "{" + ", ".join(f"{scalar(key)}: {flow(one)}" for key, one in value.items()) + "}"
        case _:
            raise AssertionError(f"not a manifest's value: {type(value)}")


def scalar(text: str) -> str:
    """A string, in quotes where a reader could take it for something else, or a terminal act on it."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and isinstance(plain(text), str):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{clean(escaped)}"'
