"""Interpolation: `${{ params.NAME }}`, `${{ worker.name }}`, `${{ trigger.name }}`, inside strings only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.errors import nearest
from reconciler.manifest.nodes import Node, Problems

_PART = re.compile(r"\$\$\{\{|\$\{\{([^{}]*)\}\}|\$\{\{")
_PARAM = re.compile(r"params\.([A-Za-z_][A-Za-z0-9_-]*)")
MAX_LENGTH = 20_000  # of a string, once interpolated


@dataclass(frozen=True)
class Scope:
    """What expressions may refer to at one place. `params` are nodes: they may hold expressions too.

    `done` holds what each param came to, so that each is expanded once; None while it is under way.
    """

    params: Mapping[str, Node]
    problems: Problems
    names: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    done: dict[str, str | None] = field(default_factory=dict, compare=False)

    def inside(self, address: str, **names: str) -> Scope:
        """The same params at a place that has more names."""
        more = {f"{name}.name": value for name, value in names.items()}
        return Scope(self.params, self.problems, {**self.names, **more}, address)


def interpolate(node: Node, scope: Scope) -> Node:
    """`node` with every expression replaced."""
    value = node.value
    if isinstance(value, str):
        if "${{" not in value:
            return node
        value = _expand(node, scope)
    elif isinstance(value, list):
        value = [interpolate(one, scope) for one in value]
    elif isinstance(value, dict):
        value = {key: interpolate(one, scope) for key, one in value.items()}
    else:
        return node
    return Node(value, node.position, node.text, node.key)


def _expand(node: Node, scope: Scope) -> str:
    """An expression that is not known stays as it stands, so that it causes no second problem."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$${{":
            return "${{"
        if found[1] is None:
            hint = "close it with `}}`, or write `$${{` for the characters themselves"
            _say(scope, "`${{` is never closed", node, hint)
            return found[0]
        told = _value(found[1].strip(), node, scope)
        return found[0] if told is None else told

    text = _PART.sub(value, node.value)
    if len(text) > MAX_LENGTH:
        _say(scope, f"longer than {MAX_LENGTH:,} characters once interpolated", node)
        return text[:0]
    return text


def _value(expression: str, node: Node, scope: Scope) -> str | None:
    if expression in scope.names:
        return scope.names[expression]
    param = _PARAM.fullmatch(expression)
    name = param[1] if param else ""
    if name not in scope.params:
        close = nearest(name, scope.params).replace("`", "`params.", 1)  # the prefix would make all of them alike
        hint = close if name else nearest(expression, scope.names)
        known = [*(f"params.{one}" for one in scope.params), *scope.names]
        define = "define it under `params`, or give it with --param or --param-file"
        hint = hint or (define if name else f"known here: {', '.join(known) or 'nothing'}")
        _say(scope, f"`${{{{ {expression} }}}}` is not known", node, hint)
        return None
    if not isinstance(scope.params[name].value, str):
        return None  # told already
    if name not in scope.done:
        scope.done[name] = None
        scope.done[name] = _expand(scope.params[name], scope)
    elif scope.done[name] is None:
        _say(scope, f"`{expression}` refers to itself", scope.params[name])
    return scope.done[name]


def _say(scope: Scope, summary: str, node: Node, hint: str = "") -> None:
    scope.problems.error(summary, at=node.position, hint=hint, address=scope.address)


def referenced(nodes: Iterable[Node], params: Iterable[Mapping[str, Node]]) -> set[str]:
    """The params that expressions in `nodes` refer to, and those that these refer to in turn. What a node says
    under `params` only defines."""
    found: set[str] = set()
    said = (child for node in nodes for key, child in node.mapping.items() if key != "params")
    new = {name for child in said for name in _names(child)}
    layers = list(params)
    while new - found:
        found |= new
        new = {inner for layer in layers for name in new if name in layer for inner in _names(layer[name])}
    return found


def _names(node: Node) -> Iterator[str]:
    """Those of a whole node, in no order."""
    todo = [node]
    while todo:
        value = todo.pop().value
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, str) and "${{" in value:
            names = (_PARAM.fullmatch((found[1] or "").strip()) for found in _PART.finditer(value))
            yield from (name[1] for name in names if name)


def report_unused(params: Mapping[str, Node], used: set[str], problems: Problems, *, address: str = "") -> None:
    """A param that no expression refers to is a slip of the pen."""
    unused = {name: node for name, node in params.items() if name not in used}
    # One that only an unused one refers to goes with it; of a circle all are told.
    inner = {name for other, node in unused.items() for name in _names(node) if name != other}
    for name, node in unused.items():
        if name not in inner or set(unused) <= inner:
            hint = nearest(name, used) or f"refer to it as `${{{{ params.{name} }}}}`, or take it out"
            problems.error(f"the param `{name}` is never used", at=node.place, hint=hint, address=address)
