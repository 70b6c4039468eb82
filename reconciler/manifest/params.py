"""Interpolation: `${{ params.NAME }}`, `${{ worker.name }}`, `${{ trigger.name }}`, inside strings only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.errors import Position
from reconciler.manifest.nodes import Key, Node, Problems, key_position, nearest

_PART = re.compile(r"\$\$\{\{|\$\{\{(.*?)\}\}|\$\{\{", re.DOTALL)
_PARAM = re.compile(r"params\.([A-Za-z_][A-Za-z0-9_-]*)")
MAX_LENGTH = 20_000  # of a string, once interpolated
MAX_DEPTH = 10  # of params that refer to params


@dataclass(frozen=True)
class Scope:
    """What expressions may refer to at one place. `params` are nodes: they may hold expressions too."""

    params: Mapping[str, Node]
    problems: Problems
    names: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


def params_of(node: Node | None) -> dict[str, Node]:
    found = node.get("params") if node else None
    return found.mapping if found else {}


def interpolate(node: Node, scope: Scope) -> Node:
    """`node` with every expression replaced. The structure never changes."""
    if isinstance(node.value, str):
        if "${{" not in node.value:
            return node
        text = _expand(node, scope, MAX_DEPTH)
        return Node(text, node.position, node.text)
    if isinstance(node.value, list):
        return Node([interpolate(one, scope) for one in node.value], node.position)
    if isinstance(node.value, dict):
        inner = {key: interpolate(one, scope) for key, one in node.value.items()}
        return Node(inner, node.position)
    return node


def _expand(node: Node, scope: Scope, depth: int) -> str:
    def value(found: re.Match[str]) -> str:
        if found[0] == "$${{":
            return "${{"
        if found[1] is None:
            hint = "close it with `}}`, or write `$${{` for the characters themselves"
            scope.problems.error("`${{` is never closed", at=node.position, hint=hint, address=scope.address)
            return ""
        return _value(found[1].strip(), node, scope, depth)

    text = _PART.sub(value, node.value)
    if len(text) > MAX_LENGTH:
        scope.problems.error(f"longer than {MAX_LENGTH:,} characters once interpolated", at=node.position)
        return ""
    return text


def _value(expression: str, node: Node, scope: Scope, depth: int) -> str:
    if expression in scope.names:
        return scope.names[expression]
    param = _PARAM.fullmatch(expression)
    found = scope.params.get(param[1]) if param else None
    if found is None:
        known = [*(f"params.{name}" for name in scope.params), *scope.names]
        hint = nearest(expression, known) or f"known here: {', '.join(known) or 'nothing'}"
        scope.problems.error(
            f"`${{{{ {expression} }}}}` is not known", at=node.position, hint=hint, address=scope.address
        )
        return ""
    if depth == 0:
        scope.problems.error(f"`{expression}` refers to itself", at=found.position, address=scope.address)
        return ""
    return _expand(found, scope, depth - 1)


def referenced(nodes: Iterable[Node | None]) -> set[str]:
    """The names of all params that expressions in `nodes` refer to."""
    return {name for node in nodes if node for text in node.strings() for name in _names(text.value)}


def _names(text: str) -> Iterator[str]:
    for found in _PART.finditer(text):
        param = _PARAM.fullmatch((found[1] or "").strip())
        if param:
            yield param[1]


def report_unused(
    params: Mapping[str, Node], used: set[str], problems: Problems, *, address: str = ""
) -> None:
    """A param that no expression refers to is a slip of the pen."""
    for name, node in params.items():
        if name not in used:
            at: Position | None = key_position(params, name) or node.position
            hint = nearest(name, used) or f"refer to it as `${{{{ params.{name} }}}}`, or take it out"
            problems.error(f"the param `{name}` is never used", at=at, hint=hint, address=address)


def from_options(pairs: Iterable[tuple[str, str]], source: str) -> dict[str, Node]:
    """Params given on the command line."""
    at = Position(filename=source, line=1, column=1)
    return {Key(name, at): Node(value, at, value) for name, value in pairs}
