"""YAML text to nodes, event by event: YAML 1.2 core scalars, positions, duplicate keys, limits.

Never `yaml.load` or `yaml.compose`: the recursive composer ends the process on deep input, and a bomb of
aliases or merge keys loads in no time and ends whoever walks it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.errors import Position
from reconciler.manifest.nodes import Node, Problems

MAX_DEPTH = 40
MAX_DIGITS = 4_000  # more make a float: Python refuses to read such integers
MAX_NODES = 400_000  # of one file, aliases expanded

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS = (None, "!", "tag:yaml.org,2002:str")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {**dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False)}
_NUMERIC = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NO_COLON = "could not find expected ':'"
_WAYS_OUT = {
    _NO_COLON: "a key is followed by a colon and a space: `key: value`",
    "mapping values are not allowed": "quote a value that holds `: `; or the line before lacks its colon or indent",
    "cannot start any token": "quote a value that begins with `@`, `%` or a backtick",
    "scanning an alias": 'quote a value that begins with `*`: "*"',
    "scanning an anchor": "quote a value that begins with `&`",
    "parsing a quoted scalar": "a backslash in double quotes begins an escape: write it twice, or use single quotes",
}
"""What libyaml says, in part, and what people did who get to see it."""


class _Broken(Exception):  # noqa: N818 - leaves the loop, never the module
    """The file cannot be read on: what is wrong, where, and the way out."""


@dataclass
class _Open:
    """A mapping or a list whose end has not come yet."""

    value: Any
    position: Position
    anchor: str | None
    started: int
    depth: int = 1
    key: tuple[str, Position] | None = None


@dataclass
class _Parser:
    filename: str
    problems: Problems
    anchors: dict[str, tuple[Node, int, int]] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: Node | None = None
    nodes: int = 0

    def event(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            done = self.stack.pop()
            self.add(done.value, done.position, "", done.anchor, size=self.nodes - done.started, depth=done.depth)
            return
        at = Position(self.filename, event.start_mark.line + 1, event.start_mark.column + 1)
        if kind is yaml.ScalarEvent:
            self.count(1, at)
            if event.implicit[0]:
                self.add(plain(event.value), at, event.value, event.anchor)
            elif event.tag in _STRING_TAGS:
                self.add(event.value, at, "", event.anchor)
            else:
                raise _Broken(f"the tag `{event.tag}` is not supported", at, "take it out")
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            if event.tag is not None and not event.implicit:
                raise _Broken(f"the tag `{event.tag}` is not supported", at, "take it out")
            self.check_depth(1, at)
            self.stack.append(_Open({} if kind is yaml.MappingStartEvent else [], at, event.anchor, self.nodes))
            self.count(1, at)
        elif kind is yaml.AliasEvent:
            if event.anchor not in self.anchors:
                hint = "an anchor (&name) comes before its alias, and never inside itself"
                raise _Broken(f"the alias `*{event.anchor}` has no anchor", at, hint)
            node, size, depth = self.anchors[event.anchor]
            self.count(size, at)
            self.check_depth(depth, at)
            self.add(node.value, node.position, node.text, None, size=size, depth=depth)
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            raise _Broken("a second document in one file", at, "put it into a file of its own")

    def count(self, nodes: int, position: Position) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise _Broken(
                f"more than {MAX_NODES:,} values, aliases expanded", position, "split the file, or use fewer aliases"
            )

    def check_depth(self, more: int, position: Position) -> None:
        if len(self.stack) + more > MAX_DEPTH:
            raise _Broken(
                f"nested more than {MAX_DEPTH} deep", position, "nothing has to be: look for brackets left open"
            )

    def add(self, value: Any, at: Position, text: str, anchor: str | None, *, size: int = 1, depth: int = 0) -> None:
        """`size` and `depth` are those of the whole value, aliases expanded."""
        if anchor:
            self.anchors[anchor] = (Node(value, at, text), size, depth)
        if not self.stack:
            self.root = Node(value, at, text)
            return
        top = self.stack[-1]
        if depth >= top.depth:
            top.depth = depth + 1
        if type(top.value) is list:
            top.value.append(Node(value, at, text))
        elif top.key is None:
            top.key = self.key(value, at, text, top)
        else:
            name, place = top.key
            place = top.value[name].place if name in top.value else place
            top.value[name] = Node(value, at, text, place)
            top.key = None

    def key(self, value: Any, at: Position, text: str, top: _Open) -> tuple[str, Position]:
        if not isinstance(value, str):
            summary, hint = "a key must be a string", f'quote it: "{text}"' if text else ""
            if not isinstance(value, bool | int | float):
                raise _Broken(summary, at, hint)
            self.problems.error(summary, at=at, hint=hint)
            value = text
        if value in top.value:
            first = top.value[value].place
            self.problems.error(f"the key `{value}` is given twice, first at {first}", at=at, hint="keep one")
        # A later duplicate replaces the value only: the problem is already on the list.
        return value, at


def plain(text: str) -> str | int | float | bool | None:
    """A plain scalar by the core schema of YAML 1.2: `on`, `yes` and `1_000` are strings."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.fullmatch(text) and (len(text) < MAX_DIGITS or text[:2] in ("0x", "0o")):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def parse(text: str, filename: str, problems: Problems) -> Node | None:
    """The one document of a file; None where there is none, or where it cannot be read."""
    parser = _Parser(filename, problems)
    loader = None
    try:
        loader = _LOADER(text)
        while event := loader.get_event():
            parser.event(event)
    except _Broken as broken:
        summary, at, hint = broken.args
        problems.error(summary, at=at, hint=hint)
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.problem, error.context) if part)
        if _NO_COLON in what:  # found on a later line: the key stands where it looked from
            mark = error.context_mark or mark
        at = Position(filename, mark.line + 1, mark.column + 1) if mark else Position(filename, 1, 1)
        lines = text.splitlines()
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        hint = next((hint for sign, hint in _WAYS_OUT.items() if sign in what), "")
        if line[at.column - 1 : at.column] == "\t":
            hint = "YAML is indented with spaces, not with tabs"
        elif "${{" in line:
            hint = "quote a value that holds `${{ … }}`"
        elif error.context_mark and not hint:
            hint = f"look from line {error.context_mark.line + 1} on: a quote or bracket left open, or an odd indent"
        problems.error(f"this is not YAML: {what}", at=at, hint=hint)
        return None
    except yaml.YAMLError as error:
        offset = getattr(error, "position", 0)
        before = text.encode()[:offset].decode(errors="ignore") if isinstance(offset, int) else ""
        at = place_after(before, filename)
        problems.error("a character that YAML does not allow", at=at, hint='write it as "\\u…" in quotes')
        return None
    finally:
        if loader is not None:
            loader.dispose()
    return parser.root


def place_after(before: str, filename: str) -> Position:
    """Where a file goes on after its text `before`."""
    return Position(filename=filename, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))
