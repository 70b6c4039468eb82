"""Merge all files into one set, and the layers of the set into what each trigger really says.

`defaults` < profile's fields < profile's `triggers.X` < Worker's fields < Worker's `triggers.X`. Mappings
merge by key, lists replace, a variable is replaced as a whole, `null` removes; `ignore` and `lint.allow`
unite over all layers (DESIGN section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.errors import Position
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.nodes import Key, Node, Problems, key_position, nearest

VARIABLES = "environment_variables"


def merge_files(roots: Sequence[Node], problems: Problems) -> Node:
    """One mapping of all files. The same leaf given twice is an error that names both places."""
    merged: dict[str, Node] = {}
    for root in roots:
        if isinstance(root.value, dict):
            _merge_into(merged, root.value, problems, top=True)
        elif root.value is not None:
            problems.error("a manifest is a mapping", at=root.position, hint="it starts with `version: 1`")
    position = roots[0].position if roots else Position(filename="", line=1, column=1)
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
            into[key] = Node(both, first.position)
        elif not (top and key == "version" and first.value == node.value):
            place = key_position(into, key) or first.position
            problems.error(
                f"`{key}` is given twice, first at {place}",
                at=key_position(more, key) or node.position,
                hint="all files are one set: keep one of them",
            )


@dataclass(frozen=True, kw_only=True)
class Effective:
    """What one trigger says once all layers are merged. Nodes keep their places."""

    worker: str
    key: str
    position: Position
    fields: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    ignore: tuple[Node, ...] = ()
    allow: frozenset[str] = frozenset()

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
    known = root.get("profiles")
    found = []
    for name in named.items or [named]:
        profile = known.get(name.value) if known else None
        if profile is None:
            names = known.mapping if known else {}
            hint = nearest(name.value, names) or "define it under `profiles`"
            problems.error(
                f"there is no profile `{name.value}`", at=name.position, hint=hint, address=address
            )
        else:
            found.append(profile)
    return found


def effective_triggers(root: Node, name: Key, worker: Node, profiles: Sequence[Node]) -> Iterator[Effective]:
    """Every trigger of a Worker, in the order in which the layers bring them."""
    places: dict[str, Position] = {}
    for layer in (*profiles, worker):
        triggers = layer.get("triggers")
        for key, body in (triggers.mapping if triggers else {}).items():
            if body.value is None:
                places.pop(key, None)
            else:
                places[key] = key.position if isinstance(key, Key) else body.position
    set_allow = root.get("lint", "allow")
    for key, position in places.items():
        yield _merge_layers(
            _layers(root, key, worker, profiles),
            Effective(
                worker=name,
                key=key,
                position=position,
                allow=frozenset(item.value for item in set_allow.items) if set_allow else frozenset(),
            ),
        )


def _layers(root: Node, key: str, worker: Node, profiles: Sequence[Node]) -> Iterable[Node]:
    found = [root.get("defaults"), *profiles]
    found += [profile.get("triggers", key) for profile in profiles]
    found += [worker, worker.get("triggers", key)]
    return [node for node in found if node is not None]


def _merge_layers(layers: Iterable[Node], start: Effective) -> Effective:
    fields: dict[str, Node] = {}
    variables: dict[str, Node] = {}
    ignore: list[Node] = []
    allow = set(start.allow)
    for layer in layers:
        for name, node in layer.mapping.items():
            if name == VARIABLES:
                _merge_variables(variables, node)
            elif name == "ignore":
                ignore += node.items
            elif name == "lint":
                allowed = node.get("allow")
                allow |= {item.value for item in allowed.items} if allowed else set()
            elif name in Trigger.schema or name == "protect":
                _merge_field(fields, name, node)
    return Effective(
        worker=start.worker,
        key=start.key,
        position=start.position,
        fields=fields,
        variables=variables,
        ignore=tuple(ignore),
        allow=frozenset(allow),
    )


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
