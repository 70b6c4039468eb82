"""A manifest as parsed: values that know where they stand, and the list of what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from reconciler.errors import Diagnostic, ManifestError, Position, Severity


class Node(NamedTuple):  # as `Position`
    """A YAML value with its place. A mapping holds nodes by key, a list holds nodes.

    `text` is a plain scalar as it was written: `1.10` is a number, and still has to be quoted as `1.10`.
    `key` is where the key stands under which a mapping holds it.
    """

    value: Any
    position: Position
    text: str = ""
    key: Position | None = None

    @property
    def mapping(self) -> dict[str, Node]:
        """Its entries; a null, and anything else that is no mapping, has none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """Its elements; none where it is not a list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def place(self) -> Position:
        """Where its key stands, or it itself."""
        return self.key or self.position

    def get(self, *path: str) -> Node:
        """The node at `path`; a null where there is none."""
        node = self
        for part in path:
            node = node.mapping.get(part) or Node(None, node.position)
        return node

    def bare(self) -> Any:
        """The value without positions. Depth is limited by the parser."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.bare() for key, child in value.items()}
        return [child.bare() for child in value] if isinstance(value, list) else value

    def scalars(self) -> Iterator[Node]:
        """Every scalar in it."""
        if not isinstance(self.value, dict | list):
            yield self
        for child in (*self.mapping.values(), *self.items):
            yield from child.scalars()


@dataclass
class Problems:
    """Collects every problem of all files, to be told at once.

    `texts` holds the files' lines; those in `hidden` may hold a secret, and are never shown.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    hidden: set[tuple[str, int]] = field(default_factory=set)
    found: list[Diagnostic] = field(default_factory=list)

    def error(self, summary: str, *, at: Position | None, hint: str = "", address: str = "") -> None:
        self.found.append(Diagnostic(severity=Severity.ERROR, summary=summary, hint=hint, address=address, position=at))

    def warn(self, summary: str, *, at: Position | None, hint: str, address: str = "") -> None:
        self.found.append(
            Diagnostic(severity=Severity.WARNING, summary=summary, hint=hint, address=address, position=at)
        )

    @property
    def failed(self) -> bool:
        return any(one.severity is Severity.ERROR for one in self.found)

    def raise_errors(self) -> None:
        """Raise what was found where any of it is an error."""
        if self.failed:
            raise ManifestError(self.sorted())

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Each once, with its source line, in the order of the files."""
        once: dict[tuple[object, ...], Diagnostic] = {}
        for one in self.found:
            # A problem in a profile is met once for each Worker that uses it, and told once.
            once.setdefault((one.severity, one.summary, one.position, one.rule), one)
        in_order = sorted(once.values(), key=lambda one: one.position or Position("", 0, 0))
        return tuple(replace(one, source_line=self._line(one.position)) for one in in_order)

    def _line(self, at: Position | None) -> str:
        if at is None or not at.line or (at.filename, at.line) in self.hidden:
            return ""
        lines = self.texts.get(at.filename, [])
        return lines[at.line - 1] if at.line <= len(lines) else ""

    def hide_secrets(self, root: Node) -> None:
        """Note the lines on which somebody may have written a secret where its source belongs."""
        for node in _where_secrets_go(root):
            source = node.get("value_from")
            named = set(source.scalars()) if source.mapping else set()
            for scalar in node.scalars():
                if scalar not in named and not isinstance(scalar.value, bool | None):
                    last = scalar.position.line + str(scalar.value).count("\n")
                    self.hidden |= {(scalar.position.filename, line) for line in range(scalar.position.line, last + 1)}


def _where_secrets_go(node: Node) -> Iterator[Node]:
    for key, child in node.mapping.items():
        if key == "build_token_secret":
            yield child
        elif key == "environment_variables":
            yield from (one for one in child.mapping.values() if isinstance(one.value, dict | list))
        elif child.mapping:
            yield from _where_secrets_go(child)
