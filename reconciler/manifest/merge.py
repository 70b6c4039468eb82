"""Merge all files into one set, and the layers of the set into what each trigger really says.

`defaults` < profile's fields < profile's `triggers.X` < Worker's fields < Worker's `triggers.X`. Mappings
merge by key, lists replace, a variable is replaced as a whole, `null` removes; `ignore` and `lint.allow`
unite over all layers (DESIGN section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.errors import Position
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.nodes import Node, Problems, nearest

VARIABLES = "environment_variables"


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


@dataclass(frozen=True, kw_only=True)
class Effective:
    """What one trigger says once all layers are merged. Nodes keep their places.

    `allow` holds the lint rules that are off, with the place where it is said; `flattened` the Worker's fields
    that override values in which the triggers of its profiles differ.
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

    def text(self, name: str) -> str:
        """A string field, empty where it is not given."""
        node = self.fields.get(name)
        return node.value if node and isinstance(node.value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list field."""
        node = self.fields.get(name)
        return tuple(item.value for item in node.items) if node else ()

    def place(self, name: str) -> Position:
        """Where a field stands; the trigger's own place where it is not given."""
        node = self.fields.get(name)
        return node.position if node else self.position


def profiles_of(root: Node, worker: Node, problems: Problems, address: str) -> list[Node]:
    """The profiles of a Worker, in order; `defaults.profile` where it names none."""
    named = worker.get("profile") if "profile" in worker.mapping else root.get("defaults", "profile")
    if named is None or named.value is None:
        return []
    profiles = root.get("profiles")
    known = profiles.mapping if profiles else {}
    found = []
    for name in named.items if isinstance(named.value, list) else [named]:
        if name.value in known:
            found.append(known[name.value])
        else:
            hint = nearest(name.value, known) or "define it under `profiles`"
            summary = f"there is no profile `{name.value}`"
            problems.error(summary, at=name.position, hint=hint, address=address)
    return found


def effective_triggers(root: Node, name: str, worker: Node, profiles: Sequence[Node]) -> Iterator[Effective]:
    """Every trigger of a Worker, in the order in which the layers bring them. A `null` removes what the
    layers before it brought, for good."""
    blocks: dict[str, list[Node]] = {}
    for layer in profiles:
        _add_blocks(blocks, layer)
    own: dict[str, list[Node]] = {key: [] for key in blocks}
    _add_blocks(own, worker)
    top = [node for node in (root, root.get("defaults"), *profiles) if node]  # of `root` only `lint`
    flattened = _flattened(worker, blocks)
    for key, mine in own.items():
        before = blocks.get(key, [])
        start = Effective(worker=name, key=key, position=[*before, *mine][-1].place, flattened=flattened)
        yield _merge_layers([*top, *before, worker, *mine], start)


def _flattened(worker: Node, blocks: Mapping[str, list[Node]]) -> dict[str, Node]:
    """The Worker's own fields of which the profiles' triggers have different values."""
    found = {}
    for name, node in worker.mapping.items() if len(blocks) > 1 else ():
        values = [
            [block.mapping[name].bare() for block in those if name in block.mapping][-1:] for those in blocks.values()
        ]
        if name in Trigger.schema and any(values) and any(one != values[0] for one in values):
            found[name] = node
    return found


def _add_blocks(blocks: dict[str, list[Node]], layer: Node) -> None:
    triggers = layer.get("triggers")
    for key, body in (triggers.mapping if triggers else {}).items():
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
                _merge_variables(variables, node)
            elif name == "ignore":
                ignore += node.items
            elif name == "lint":
                allowed = node.get("allow")
                allow |= {item.value: item.position for item in (allowed.items if allowed else ())}
            elif name in Trigger.schema or name == "protect":
                _merge_field(fields, name, node)
    return replace(start, fields=fields, variables=variables, ignore=tuple(ignore), allow=allow)


def _merge_variables(variables: dict[str, Node], node: Node) -> None:
    if node.value is None:
        variables.clear()
    for key, value in node.mapping.items():
        variables.pop(key, None)
        if value.value is not None:
            variables[key] = value


def _merge_field(fields: dict[str, Node], name: str, node: Node) -> None:
    """A reference by name and one by UUID stand for the same field: the later one wins."""
    for short, long in Trigger.references.items():
        if name in (short, long):
            fields.pop(short, None)
            fields.pop(long, None)
    fields.pop(name, None)
    if node.value is not None:
        fields[name] = node
