"""A manifest as parsed: values that know where they stand, and the list of what is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import Diagnostic, ManifestError, Position, Severity


class Key(str):
    """A mapping key that knows where it stands."""

    __slots__ = ("position",)
    position: Position

    def __new__(cls, text: str, position: Position) -> Key:
        key = super().__new__(cls, text)
        key.position = position
        return key


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value with its place. A mapping holds nodes by `Key`, a list holds nodes.

    `text` is a plain scalar as it was written: `1.10` is a number, and still has to be quoted as `1.10`.
    """

    value: Any
    position: Position
    text: str = ""

    @property
    def mapping(self) -> dict[str, Node]:
        """Its entries; a null, and anything else that is no mapping, has none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """Its elements; none where it is not a list."""
        return self.value if isinstance(self.value, list) else []

    def get(self, *path: str) -> Node | None:
        """The node at `path`, or None."""
        node: Node | None = self
        for part in path:
            node = node.mapping.get(part) if node else None
        return node

    def bare(self) -> Any:
        """The value without positions. Depth is limited by the parser."""
        if isinstance(self.value, dict):
            return {str(key): child.bare() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.bare() for child in self.value]
        return self.value

    def strings(self) -> Iterator[Node]:
        """Every string scalar in it."""
        if isinstance(self.value, str):
            yield self
        children = self.value.values() if isinstance(self.value, dict) else self.items
        for child in children:
            yield from child.strings()


def key_position(mapping: Mapping[str, Node], key: str) -> Position | None:
    """Where `key` stands in `mapping`."""
    return next((found.position for found in mapping if found == key and isinstance(found, Key)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean `x`?)`, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean `{found[0]}`?" if found else ""


@dataclass
class Problems:
    """Collects every problem of all files, to be told at once. `texts` holds the files' lines."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def error(
        self, summary: str, *, at: Position | None, hint: str = "", address: str = "", rule: str = ""
    ) -> None:
        self.add(Severity.ERROR, summary, at=at, hint=hint, address=address, rule=rule)

    def add(
        self,
        severity: Severity,
        summary: str,
        *,
        at: Position | None,
        hint: str = "",
        address: str = "",
        rule: str = "",
    ) -> None:
        lines = self.texts.get(at.filename, []) if at else []
        self.found.append(
            Diagnostic(
                severity=severity,
                summary=summary,
                hint=hint,
                address=address,
                rule=rule,
                position=at,
                source_line=lines[at.line - 1] if at and at.line <= len(lines) else "",
            )
        )

    @property
    def failed(self) -> bool:
        return any(one.severity is Severity.ERROR for one in self.found)

    def raise_errors(self) -> None:
        """Raise what was found where any of it is an error."""
        if self.failed:
            raise ManifestError(self.sorted())

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Each once, in the order of the files."""

        def place(one: Diagnostic) -> tuple[str, int, int]:
            at = one.position
            return (at.filename, at.line, at.column) if at else ("", 0, 0)

        # A problem in a profile is met once for each Worker that uses it, and told once.
        once = {(one.severity, one.summary, one.position, one.rule): one for one in reversed(self.found)}
        return tuple(sorted(once.values(), key=place))
