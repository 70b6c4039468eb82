"""YAML text to what the manifests want: find, parse, check, merge, interpolate, lint, ask the sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

from reconciler.errors import Position, nearest
from reconciler.kinds.trigger import Trigger
from reconciler.manifest import desired, files, lint, merge, params, schema
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Node, Problems
from reconciler.manifest.sources import Resolver
from reconciler.states import Desired

__all__ = ["ManifestSet", "Resolver", "check", "load", "named", "read"]


@dataclass(frozen=True, kw_only=True)
class ManifestSet:
    """All files as one, layers merged and expressions replaced; nodes keep their places.

    `root` is the set as it was written, `head` its sections without `defaults`, `profiles` and `workers`,
    interpolated; `workers` what each comes to, by name, `triggers` the same one by one. `problems` may hold errors.
    """

    problems: Problems
    root: Node
    head: Node
    workers: Mapping[str, Node] = field(default_factory=dict)
    triggers: tuple[Effective, ...] = ()

    @property
    def owner(self) -> str | None:
        owner: str | None = self.head.get("owner").value
        return owner


def load(paths: Sequence[str], resolver: Resolver, **options: Any) -> Desired:
    """What the manifests at `paths` want. Raises `ManifestError` with every problem of every file."""
    found, wanted = check(paths, resolver, **options)
    found.problems.raise_errors()
    return wanted


def check(
    paths: Sequence[str], resolver: Resolver, *, given: Sequence[tuple[str, str]] = (), param_files: Sequence[str] = ()
) -> tuple[ManifestSet, Desired]:
    """The set with every problem that can be found, and what it wants, good where no problem is an error."""
    found = read(paths, given=given, param_files=param_files)
    wanted = desired.assemble(found, resolver)
    return found, replace(wanted, diagnostics=found.problems.sorted())


def read(
    paths: Sequence[str], *, given: Sequence[tuple[str, str]] = (), param_files: Sequence[str] = ()
) -> ManifestSet:
    """The set as it stands, its problems collected."""
    problems = Problems()
    found = files.find(paths)
    alone, folder = files.DEFAULTS
    if not paths and os.path.exists(alone) and os.path.isdir(folder) and any(files.search(folder)):
        told = "the folder `builds` is not read: where `buildsctl.yaml` is, that alone is the set"
        at = Position(filename=found[0], line=1, column=1)
        problems.warn(told, at=at, hint="move it into `builds`, or name both: buildsctl.yaml builds")
    roots = [files.load(name, problems) for name in found]
    whole = all(one is not None and isinstance(one.value, dict | None) for one in roots)
    overrides = _overrides(given, param_files, problems)
    root = merge.merge_files([one for one in roots if one], Position(filename=found[0], line=1, column=1), problems)
    problems.hide_secrets(root)
    sound, broken = schema.check(root, problems)
    if not whole or overrides is None or ("params",) in broken:
        # What follows would only repeat it.
        return ManifestSet(problems=problems, root=root, head=Node(None, root.position))
    if broken & {("defaults",), ("lint",)}:
        # What these say of every trigger is not known, so neither is what any trigger comes to.
        broken |= {(section, name) for section in ("profiles", "workers") for name in root.get(section).mapping}
    _check_head(root, broken, problems)
    return _effective(root, sound, broken, overrides, problems)


def named(paths: Sequence[str]) -> ManifestSet:
    """The set as it is written, for the names in it: nothing is checked, interpolated or asked for. Raises
    `UsageError` or `ManifestError` where a file cannot be read."""
    problems = Problems()
    roots = [files.load(name, problems) for name in files.find(paths)]
    root = merge.merge_files([one for one in roots if one], Position(filename="", line=0, column=0), problems)
    problems.raise_errors()
    workers = root.get("workers").mapping
    triggers = [merge.effective_triggers(root, name, merge.profiles_of(root, name, problems)) for name in workers]
    return ManifestSet(problems=problems, root=root, head=root, workers=workers, triggers=tuple(chain(*triggers)))


def _overrides(
    given: Sequence[tuple[str, str]], param_files: Sequence[str], problems: Problems
) -> dict[str, Node] | None:
    """Params from `--param-file` and `--param`, the latter wins; None where a file cannot be used."""
    found: dict[str, Node] = {}
    usable = True
    for filename in param_files:
        node = files.load(filename, problems)
        if node and not isinstance(node.value, dict):
            problems.error("a param file is a mapping of names to strings", at=node.position)
            node = None
        usable &= node is not None
        for name, value in node.mapping.items() if node else ():
            if isinstance(value.value, str):
                found[name] = value
            else:
                hint = f'quote it: "{value.text}"' if value.text else ""
                problems.error(f"the param `{name}` must be a string", at=value.position, hint=hint)
    at = Position(filename="--param", line=0, column=0)
    return found | {name: Node(value, at, value) for name, value in given} if usable else None


def _check_head(root: Node, broken: set[tuple[str, ...]], problems: Problems) -> None:
    if "version" not in root.mapping and ("version",) not in broken:
        hint = "write `version: 1` into one"
        problems.error("no manifest of the set says `version`", at=root.position, hint=hint)
    if "owner" not in root.mapping:
        hint = "write `owner: NAME`, a name for who manages these resources; `owner: null` for nobody"
        problems.error("no manifest of the set says `owner`", at=root.position, hint=hint)
    for layer in merge.layers(root):
        for both in Trigger.references.items():
            given = [layer.mapping[name] for name in both if name in layer.mapping]
            if len(given) > 1 and all(node.value is not None for node in given):
                first, second = sorted(node.place for node in given)
                told = f"{' and '.join(f'`{name}`' for name in both)} say the same, first at {first}"
                problems.error(told, at=second, hint="keep one")
    for name in (name for layer in merge.layers(root) for name in layer.get("lint", "allow").items):
        if isinstance(name.value, str) and name.value not in lint.NAMES:
            hint = nearest(name.value, lint.NAMES) or f"rules: {', '.join(sorted(lint.NAMES))}"
            problems.error(f"there is no lint rule `{name.value}`", at=name.position, hint=hint)


def _effective(
    root: Node, sound: Node, broken: set[tuple[str, ...]], overrides: Mapping[str, Node], problems: Problems
) -> ManifestSet:
    """The Workers are merged of what is `sound` in `root`. One in which anything is broken is linted by what is left of
    it, and that is all: what it lacks may be what is broken. One of which that is all of a layer is not linted."""
    scope = params.Scope({**root.get("params").mapping, **overrides}, problems)
    before = len(problems.found)
    head: dict[str, Node] = {
        name: params.interpolate(root.mapping[name], scope)
        for name in ("owner", "account_id", "take_over_from")
        if name in root.mapping and (name,) not in broken
    }
    for section in ("connections", "tokens"):
        bodies = {
            key: params.interpolate(body, scope.inside(schema.where([section, key])))
            for key, body in root.get(section).mapping.items()
            if (section, key) not in broken
        }
        head[section] = Node(bodies, root.position)
    chosen = {name: merge.profiles_of(sound, name, problems) for name in sound.get("workers").mapping}
    bad = [body for name, body in sound.get("profiles").mapping.items() if ("profiles", name) in broken]
    workers: dict[str, Node] = {}
    triggers: list[Effective] = []
    has_marker = "owner" not in head or head["owner"].value is not None
    for name, profiles in chosen.items():
        layers = (*profiles, sound.get("workers", name))
        is_whole = ("workers", name) not in broken and not any(one is other for one in profiles for other in bad)
        if not is_whole and any(layer.value is None for layer in layers):
            continue
        given = {key: node for layer in (root, *layers) for key, node in layer.get("params").mapping.items()}
        told = Problems()
        unknown = problems if is_whole else told  # an expression may refer to what is broken
        inside = params.Scope({**given, **overrides}, unknown).inside(f"worker/{name}", worker=name)
        body, found = _worker(sound, name, profiles, inside)
        lint.check(found, told, has_marker=has_marker)
        if is_whole:
            workers[name] = body
            triggers += found
        lacks = () if is_whole else {one.position for one in found}
        linted = (one for one in told.found if one.rule)
        problems.found += [one for one in linted if one.position not in lacks or one.rule in lint.COUNTING]
    unclear = any(not one.rule for one in problems.found[before:]) or any(section == "params" for section, *_ in broken)
    if not (unclear and problems.failed):
        # What came out of expressions has to fit the schema as well as what stood there from the start.
        schema.check(Node({**head, "workers": Node(workers, root.position)}, root.position), problems, final=True)
    _report_unused(root, broken, overrides, problems)
    return ManifestSet(
        problems=problems, root=root, head=Node(head, root.position), workers=workers, triggers=tuple(triggers)
    )


def _worker(root: Node, name: str, profiles: Sequence[Node], scope: params.Scope) -> tuple[Node, list[Effective]]:
    """What a Worker comes to, as one mapping and trigger by trigger, interpolated."""
    body, triggers = root.get("workers", name), []
    for raw in merge.effective_triggers(root, name, profiles):
        expand = partial(params.interpolate, scope=scope.inside(raw.address, trigger=raw.key))
        fields = {key: expand(node) for key, node in raw.fields.items()}
        variables = {key: expand(node) for key, node in raw.variables.items()}
        triggers.append(replace(raw, fields=fields, variables=variables, ignore=tuple(map(expand, raw.ignore))))
    own = {
        field: params.interpolate(node, scope)
        for field, node in body.mapping.items()
        if field in ("tag", "take_over_from")
    }
    own["triggers"] = Node({one.key: one.body for one in triggers}, body.position)
    return Node(own, body.position, key=body.key), triggers


def _report_unused(root: Node, broken: set[tuple[str, ...]], overrides: Mapping[str, Node], problems: Problems) -> None:
    """Each param has to be referred to where it holds: by its Worker, by the users of its profile."""
    defaults, profiles, workers = root.get("defaults"), root.get("profiles").mapping, root.get("workers").mapping
    sound = (name for name in workers if ("workers", name) not in broken)
    chosen = {name: merge.profiles_of(root, name, Problems()) for name in sound}

    def used(*nodes: Node) -> set[str]:
        return params.referenced(nodes, [overrides, *(one.get("params").mapping for one in (root, *nodes))])

    rest = Node({key: node for key, node in root.mapping.items() if key not in ("profiles", "workers")}, root.position)
    anywhere = used(rest, *profiles.values(), *workers.values())
    top = {name: node for name, node in root.get("params").mapping.items() if ("params", name) not in broken}
    params.report_unused(top, anywhere, problems)
    params.report_unused(overrides, anywhere, problems)
    holds = {f"worker/{name}": (workers[name], [*mine, workers[name]]) for name, mine in chosen.items()}
    for name, body in profiles.items():
        if ("profiles", name) not in broken:
            using = ((*mine, workers[user]) for user, mine in chosen.items() if any(one is body for one in mine))
            users = {id(node): node for nodes in using for node in nodes}
            users |= {id(node): node for user, node in workers.items() if ("workers", user) in broken}  # they may be
            holds[schema.where(["profiles", name])] = (body, [body, *users.values()])
    for address, (body, nodes) in holds.items():
        if given := body.get("params").mapping:
            params.report_unused(given, used(defaults, *nodes), problems, address=address)
