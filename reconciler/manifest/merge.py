"""Merge all files into one set, and the layers of the set into what each trigger really says.

`defaults` < profile's fields < profile's `triggers.X` < Worker's fields < Worker's `triggers.X`. Mappings
merge by key, lists replace, a variable is replaced as a whole, `null` removes; `ignore` and `lint.allow`
unite over all layers (DESIGN section 3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from reconciler.errors import Position, nearest
from reconciler.kinds.connection import Connection
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.nodes import Node, Problems

VARIABLES = "environment_variables"
REFERENCES: Mapping[str, type[Connection | Token]] = {"repo_connection": Connection, "build_token": Token}
"""What a trigger may refer to by a name of the set."""
_FIELDS = frozenset({*Trigger.schema, "protect"})
_SAME = {**Trigger.references, **{long: short for short, long in Trigger.references.items()}}
"""A reference by name and one by UUID stand for the same field: the later one wins."""


def merge_files(roots: Sequence[Node], position: Position, problems: Problems) -> Node:
    """One mapping of all files. The same leaf given twice is an error that names both places."""
    merged: dict[str, Node] = {}
    for root in roots:
        if isinstance(root.value, dict):
            _merge_into(merged, root.value, problems, top=True)
        elif root.value is not None:
            problems.error("a manifest is a mapping", at=root.position, hint="it starts with `version: 1`")
    return Node(merged, position)


def _merge_into(into: dict[str, Node], more: dict[str, Node], problems: Problems, *, top: bool) -> None:
    for key, node in more.items():
        first = into.get(key)
        if first is None:
            into[key] = node
        elif isinstance(first.value, dict) and isinstance(node.value, dict):
            # Into a copy: an alias shares its node with other places.
            both = dict(first.value)
            _merge_into(both, node.value, problems, top=False)
            into[key] = Node(both, first.position, key=first.key)
        elif not (top and key == "version" and first.value == node.value and first.text == node.text):
            problems.error(
                f"`{key}` is given twice, first at {first.place}",
                at=node.place,
                hint="all files are one set: keep one of them",
            )


def layers(root: Node) -> Iterator[Node]:
    """Every place of a set that may speak for triggers: the top, `defaults`, profiles, Workers, and their triggers."""
    yield root
    yield root.get("defaults")
    for whole in (*root.get("profiles").mapping.values(), *root.get("workers").mapping.values()):
        yield whole
        yield from whole.get("triggers").mapping.values()


@dataclass(frozen=True, kw_only=True)
class Effective:
    """What one trigger says once all layers are merged. Nodes keep their places.

    `allow` holds the lint rules that are off, with the place where it is said; `flattened` what the Worker says
    for all of its triggers where they differ by its profiles, here as well: fields, and variables by
    `environment_variables.NAME`.
    """

    worker: str
    key: str
    position: Position
    fields: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    ignore: tuple[Node, ...] = ()
    allow: Mapping[str, Position] = field(default_factory=dict)
    flattened: Mapping[str, Node] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"trigger/{self.worker}/{self.key}"

    @property
    def body(self) -> Node:
        """All that it says, as a manifest would."""
        variables, ignore = Node(self.variables, self.position), Node([*self.ignore], self.position)
        return Node({**self.fields, VARIABLES: variables, "ignore": ignore}, self.position)

    @cached_property
    def plain(self) -> dict[str, Node]:
        """The values of its plain variables, by name."""
        given = {name: node.get("value") if node.mapping else node for name, node in self.variables.items()}
        return {name: node for name, node in given.items() if isinstance(node.value, str)}

    @property
    def is_preview(self) -> bool:
        """As `Trigger.is_preview`."""
        return "*" in self.texts("branch_includes")

    def get(self, name: str) -> Node:
        """A field; a null at the trigger's own place where it is not given."""
        return self.fields.get(name) or Node(None, self.position)

    def text(self, name: str) -> str:
        """A string field, empty where it is not given."""
        value = self.get(name).value
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list field."""
        return tuple(item.value for item in self.get(name).items)

    def reference(self, name: str, known: Collection[str]) -> str | None:
        """The key that a field of REFERENCES gives, else the only one that is `known`."""
        alone = next(iter(known)) if len(known) == 1 else None
        return self.text(name) if name in self.fields else alone


def profiles_of(root: Node, name: str, problems: Problems) -> list[Node]:
    """The profiles of a Worker, in order; `defaults.profile` where it names none."""
    worker = root.get("workers", name)
    named = worker.get("profile") if "profile" in worker.mapping else root.get("defaults", "profile")
    known, found = root.get("profiles").mapping, []
    for one in named.items if isinstance(named.value, list) else [named]:
        if one.value in known:
            found.append(known[one.value])
        elif one.value is not None:
            hint = nearest(one.value, known) or "define it under `profiles`"
            problems.error(f"there is no profile `{one.value}`", at=one.position, hint=hint, address=f"worker/{name}")
    return found


def effective_triggers(root: Node, name: str, profiles: Sequence[Node]) -> Iterator[Effective]:
    """Every trigger of a Worker, in the order in which the layers bring them. A `null` removes what the
    layers before it brought, for good."""
    worker = root.get("workers", name)
    blocks: dict[str, list[Node]] = {}
    for layer in profiles:
        _add_blocks(blocks, layer)
    own: dict[str, list[Node]] = {key: [] for key in blocks}
    _add_blocks(own, worker)
    top = [Node({"lint": root.get("lint")}, root.position), root.get("defaults"), *profiles]
    inherited = {key: [*top, *blocks[key]] for key in own if key in blocks}
    flattened = _flattened(worker, inherited, own)
    for key, mine in own.items():
        before = blocks.get(key, [])
        start = Effective(worker=name, key=key, position=[*before, *mine][-1].place, flattened=flattened.get(key, {}))
        yield _merge_layers([*top, *before, worker, *mine], start)


def _flattened(
    worker: Node, inherited: Mapping[str, Sequence[Node]], own: Mapping[str, Sequence[Node]]
) -> dict[str, dict[str, Node]]:
    """By trigger: what the Worker says for all of them although they differ by `inherited`, their layers below
    the Worker. A trigger for which the Worker's `triggers` say it again is not meant."""
    found: dict[str, dict[str, Node]] = {}
    given = _leaves(worker)
    if not given or len(inherited) < 2:
        return found
    start = Effective(worker="", key="", position=worker.position)
    below = {key: _leaves(_merge_layers(layers, start).body) for key, layers in inherited.items()}
    nothing = Node(None, worker.position)
    for name, node in given.items():
        values = {
            key: leaves.get(name, nothing).bare()
            for key, leaves in below.items()
            if not any(name in _leaves(block) for block in own[key])
        }
        if any(one != other for one, other in pairwise(values.values())):
            for key in values:
                found.setdefault(key, {})[name] = node
    return found


def _leaves(layer: Node) -> dict[str, Node]:
    """What one layer says itself, `null` as well: fields by name, variables by `environment_variables.NAME`."""
    variables = {f"{VARIABLES}.{name}": node for name, node in layer.get(VARIABLES).mapping.items()}
    return {name: node for name, node in layer.mapping.items() if name in _FIELDS} | variables


def _add_blocks(blocks: dict[str, list[Node]], layer: Node) -> None:
    for key, body in layer.get("triggers").mapping.items():
        if body.value is None:
            blocks.pop(key, None)
        else:
            blocks.setdefault(key, []).append(body)


def _merge_layers(layers: Iterable[Node], start: Effective) -> Effective:
    fields: dict[str, Node] = {}
    variables: dict[str, Node] = {}
    ignore: list[Node] = []
    allow: dict[str, Position] = {}
    for layer in layers:
        for name, node in layer.mapping.items():
            if name == VARIABLES:
                if node.value is None:
                    variables.clear()
                for key, value in node.mapping.items():
                    _put(variables, key, value)
            elif name == "ignore":
                ignore += node.items
            elif name == "lint":
                allow |= {item.value: item.position for item in node.get("allow").items}
            elif name in _FIELDS and not (node.value is None and layer.get(_SAME.get(name, "")).value is not None):
                fields.pop(_SAME.get(name, ""), None)
                _put(fields, name, node)
    return replace(start, fields=fields, variables=variables, ignore=tuple(ignore), allow=allow)


def _put(into: dict[str, Node], key: str, node: Node) -> None:
    """The later one wins, and comes where it is said; `null` takes away."""
    into.pop(key, None)
    if node.value is not None:
        into[key] = node
