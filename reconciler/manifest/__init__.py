"""YAML text to what the manifests want: find, parse, check, merge, interpolate, lint, ask the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.manifest import desired, files, lint, merge, params, schema
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Key, Node, Problems, nearest
from reconciler.manifest.parse import parse
from reconciler.manifest.sources import Resolver
from reconciler.states import Desired

__all__ = ["ManifestSet", "Resolver", "check", "load", "read"]


@dataclass(frozen=True, kw_only=True)
class ManifestSet:
    """All files as one, layers merged and expressions replaced; nodes keep their places.

    `workers` are the bodies by name, `triggers` what each says. `problems` may hold errors.
    """

    problems: Problems
    owner: Node | None = None
    account_id: Node | None = None
    root: Node
    connections: Mapping[str, Node] = field(default_factory=dict)
    tokens: Mapping[str, Node] = field(default_factory=dict)
    workers: Mapping[str, Node] = field(default_factory=dict)
    triggers: tuple[Effective, ...] = ()


def load(paths: Sequence[str], resolver: Resolver, **options: Any) -> Desired:
    """What the manifests at `paths` want. Raises `ManifestError` with every problem of every file."""
    found, wanted = check(paths, resolver, **options)
    found.problems.raise_errors()
    return wanted


def check(
    paths: Sequence[str],
    resolver: Resolver,
    *,
    given: Sequence[tuple[str, str]] = (),
    param_files: Sequence[str] = (),
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
    roots = []
    broken_file = False
    for filename in files.find(paths):
        text = files.read(filename, problems)
        root = parse(text, filename, problems) if text is not None else None
        broken_file |= root is None and problems.failed
        if root is not None:
            roots.append(root)
    root = merge.merge_files(roots, problems)
    broken = schema.check(root, problems)
    overrides = _overrides(given, param_files, problems)
    if broken_file or broken & {("",), ("defaults",), ("params",), ("lint",)}:
        return ManifestSet(problems=problems, root=root)  # what follows would only repeat it
    _check_head(root, broken, problems)
    return _effective(root, broken, overrides, problems)


def _overrides(
    given: Sequence[tuple[str, str]], param_files: Sequence[str], problems: Problems
) -> dict[str, Node]:
    """Params from `--param-file` and `--param`, the latter wins."""
    found: dict[str, Node] = {}
    for filename in param_files:
        text = files.read(filename, problems)
        node = parse(text, filename, problems) if text is not None else None
        for name, value in node.mapping.items() if node else ():
            if isinstance(value.value, str):
                found[name] = value
            else:
                hint = f'quote it: "{value.text}"' if value.text else ""
                problems.error(f"the param `{name}` must be a string", at=value.position, hint=hint)
    return found | params.from_options(given, "--param")


def _check_head(root: Node, broken: set[tuple[str, ...]], problems: Problems) -> None:
    at = root.position if root.position.filename else None
    if "version" not in root.mapping and ("version",) not in broken:
        problems.error("no manifest of the set says `version`", at=at, hint="write `version: 1` into one")
    if "owner" not in root.mapping:
        hint = "write `owner: NAME`, a name for who manages these resources; `owner: null` for nobody"
        problems.error("no manifest of the set says `owner`", at=at, hint=hint)
    allow = [root.get("lint", "allow")]
    for section in ("profiles", "workers"):
        for body in (root.get(section) or root).mapping.values() if root.get(section) else ():
            allow.append(body.get("lint", "allow"))
            triggers = body.get("triggers")
            allow += [one.get("lint", "allow") for one in (triggers.mapping if triggers else {}).values()]
    for names in allow:
        for name in names.items if names else ():
            if isinstance(name.value, str) and name.value not in lint.NAMES:
                hint = nearest(name.value, lint.NAMES) or f"rules: {', '.join(sorted(lint.NAMES))}"
                problems.error(f"there is no lint rule `{name.value}`", at=name.position, hint=hint)


def _effective(
    root: Node, broken: set[tuple[str, ...]], overrides: Mapping[str, Node], problems: Problems
) -> ManifestSet:
    top = {**params.params_of(root), **overrides}
    scope = params.Scope(top, problems)
    owner, account_id = (
        params.interpolate(node, scope) if node else None
        for node in (root.get("owner"), root.get("account_id"))
    )
    shared = {
        section: {
            key: params.interpolate(body, replace(scope, address=schema.where([section, key])))
            for key, body in (root.get(section) or Node({}, root.position)).mapping.items()
            if (section, key) not in broken
        }
        for section in ("connections", "tokens")
    }
    workers, triggers = {}, []
    for name, body in (root.get("workers") or Node({}, root.position)).mapping.items():
        profiles = merge.profiles_of(root, body, problems, f"worker/{name}")
        if ("workers", name) in broken or any(_is_broken(root, one, broken) for one in profiles):
            continue
        workers[name] = body
        merged = {**params.params_of(root)}
        for layer in (*profiles, body):
            merged |= params.params_of(layer)
        inside = replace(scope, params={**merged, **overrides}, names={"worker.name": name})
        place = name.position if isinstance(name, Key) else body.position
        found = [
            _interpolated(one, inside)
            for one in merge.effective_triggers(root, Key(name, place), body, profiles)
        ]
        if "tag" in body.mapping:
            workers[name] = Node(
                {**body.mapping, "tag": params.interpolate(body.mapping["tag"], inside)}, place
            )
        has_marker = owner is None or owner.value is not None
        lint.check(found, problems, has_marker=has_marker)
        triggers += found
    _report_unused(root, overrides, problems)
    return ManifestSet(
        problems=problems,
        root=root,
        owner=owner,
        account_id=account_id,
        workers=workers,
        triggers=tuple(triggers),
        connections=shared["connections"],
        tokens=shared["tokens"],
    )


def _is_broken(root: Node, profile: Node, broken: set[tuple[str, ...]]) -> bool:
    profiles = root.get("profiles")
    names = [name for name, one in profiles.mapping.items() if one is profile] if profiles else []
    return any(("profiles", name) in broken for name in names)


def _interpolated(trigger: Effective, scope: params.Scope) -> Effective:
    inside = replace(scope, names={**scope.names, "trigger.name": trigger.key}, address=trigger.address)
    return replace(
        trigger,
        fields={name: params.interpolate(node, inside) for name, node in trigger.fields.items()},
        variables={key: params.interpolate(node, inside) for key, node in trigger.variables.items()},
    )


def _report_unused(root: Node, overrides: Mapping[str, Node], problems: Problems) -> None:
    used = params.referenced([root, *overrides.values()])
    params.report_unused(params.params_of(root), used, problems)
    params.report_unused(overrides, used, problems)
    for section in ("profiles", "workers"):
        bodies = root.get(section)
        for name, body in (bodies.mapping if bodies else {}).items():
            params.report_unused(
                params.params_of(body), used, problems, address=schema.where([section, name])
            )
