"""Insert what is missing into manifests that are there, every other byte untouched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.export.collect import VARIABLES
from reconciler.export.yaml_text import scalar, text


def splice(there: Mapping[str, str], worker: str, body: Mapping[str, Any]) -> dict[str, str]:
    """The file that declares `worker`, with the triggers and variables of `body` inserted.

    Empty where that cannot be done by inserting lines: where the Worker stands in no file, or where the mapping
    that they belong to is not in block style, or not there.
    """
    for name, content in there.items():
        lines = re.findall(r"[^\n]*\n|[^\n]+", content)  # YAML knows fewer line breaks than Python
        at = _find(lines, ["workers", worker, "triggers"])
        if at is None:
            continue
        for key, trigger in body.get("triggers", {}).items():
            done = _insert_trigger(lines, worker, key, trigger)
            if not done:
                return {}
        return {name: "".join(lines)} if set(body) <= {"triggers"} else {}
    return {}


def _insert_trigger(lines: list[str], worker: str, key: str, trigger: Mapping[str, Any]) -> bool:
    path = ["workers", worker, "triggers"]
    at = _find(lines, path)
    if at is None or _entry(lines, *at, key) is None:
        return _insert(lines, path, {key: trigger})
    return set(trigger) == {VARIABLES} and _insert(lines, [*path, key, VARIABLES], trigger[VARIABLES])


def _insert(lines: list[str], path: list[str], more: Mapping[str, Any]) -> bool:
    """Put `more` behind the last entry of the block mapping at `path`."""
    found = _find(lines, path)
    if found is None:
        return False
    start, indent = found
    end = start
    for number in _said(lines, start):
        if _indent(lines[number]) < indent:
            break
        end = number + 1
    break_ = "\r\n" if lines[end - 1].endswith("\r\n") else "\n"
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += break_
    lines[end:end] = [f"{line}{break_}" for line in text(more, {}, indent=indent).split("\n")[:-1]]
    return True


def _find(lines: list[str], path: list[str]) -> tuple[int, int] | None:
    """The first line, and the indentation, of the entries of the block mapping at `path`."""
    start, indent = 0, 0
    for part in path:
        at = _entry(lines, start, indent, part)
        if at is None or not re.search(r":\s*(#.*)?$", lines[at].rstrip("\r\n")):
            return None
        inner = next(_said(lines, at + 1), None)
        if inner is None or _indent(lines[inner]) <= indent or "\t" in lines[inner][: _indent(lines[inner]) + 1]:
            return None
        start, indent = at + 1, _indent(lines[inner])
    return start, indent


def _entry(lines: list[str], start: int, indent: int, key: str) -> int | None:
    """The line of `key` among the entries that begin at `start`."""
    names = tuple(f"{name}: " for name in (key, scalar(key), f'"{key}"', f"'{key}'"))
    for number in _said(lines, start):
        if _indent(lines[number]) < indent:
            return None
        if _indent(lines[number]) == indent and f"{lines[number].strip()} ".startswith(names):
            return number
    return None


def _said(lines: list[str], start: int) -> Iterator[int]:
    """Where something stands, and not only a comment."""
    return (n for n in range(start, len(lines)) if lines[n].strip() and not lines[n].strip().startswith("#"))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
