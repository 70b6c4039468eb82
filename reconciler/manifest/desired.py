"""A set of manifests to `Desired`: typed resources, references by address, secrets asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from reconciler.errors import nearest
from reconciler.kinds import token
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token, TokenReference
from reconciler.kinds.trigger import Trigger
from reconciler.kinds.worker import Worker
from reconciler.manifest.merge import REFERENCES, VARIABLES, Effective
from reconciler.manifest.nodes import Node, Problems
from reconciler.manifest.sources import Resolver
from reconciler.manifest.sources.env import RESERVED
from reconciler.model import Address, Declared, Ref, Secret
from reconciler.ownership import MARKER
from reconciler.states import DeclaredTrigger, Desired

if TYPE_CHECKING:
    from reconciler.manifest import ManifestSet

UNKNOWN = "${{"  # in what is interpolated, an expression that has been told already; or `$${{`, which is one literally
REQUIRED = ("branch_includes", "deploy_command")


def assemble(found: ManifestSet, resolver: Resolver) -> Desired:
    """What the set wants. Problems go on the set's list; the result is only good where none is an error."""
    problems = found.problems
    connections = [
        Connection.parse(name, body.bare(), body.place) for name, body in found.head.get("connections").mapping.items()
    ]
    _check_connections(connections, problems)
    _check_tags(found)
    _check_own_references(found)
    resolver.withheld = frozenset(env_sources(found.root))
    tokens = [_token(name, body, found, resolver) for name, body in found.head.get("tokens").mapping.items()]
    triggers = [_trigger(one, found, resolver) for one in found.triggers]
    return Desired(
        owner=found.owner,
        account_id=found.head.get("account_id").value,
        take_over_from=_names(found.head.get("take_over_from")),
        workers={name: _worker(name, body) for name, body in found.workers.items()},
        connections=tuple(connections),
        tokens=tuple(one for one in tokens if one),
        triggers=tuple(one for one in triggers if one),
    )


def env_sources(node: Node) -> Iterator[str]:
    """The variables of the environment that secrets of the set come from, those that a layer overrides too."""
    name = node.get("value_from", "env").value
    if isinstance(name, str):
        yield name
    for child in node.mapping.values():
        if child.mapping:
            yield from env_sources(child)


def _names(node: Node) -> frozenset[str]:
    return frozenset(item.value for item in node.items)


def _worker(name: str, body: Node) -> Declared[Worker]:
    resource = Worker(name=name, tag=body.get("tag").value, take_over_from=_names(body.get("take_over_from")))
    return Declared(address=Address.of(Worker.kind, name), position=body.place, resource=resource)


def _check_own_references(found: ManifestSet) -> None:
    """A managed token of the set is referred to by its key: by its live name it would lag a generation behind."""
    tokens = found.head.get("tokens").mapping
    for key, body in tokens.items():
        name = body.get("build_token_name")
        owner, _, managed = str(name.value).partition(":")
        if owner == found.owner and managed in tokens and "cloudflare_token_id" in tokens[managed].mapping:
            hint = f"refer to it with `build_token: {managed}`"
            summary = f"`{managed}` is a managed token of this set"
            found.problems.error(summary, at=name.position, hint=hint, address=f"token/{key}")


def _check_tags(found: ManifestSet) -> None:
    first: dict[str, str] = {}
    for name, body in found.workers.items():
        tag = body.get("tag")
        other = first.setdefault(tag.value, name)
        if tag.value and other != name:
            summary = f"the same tag as Worker `{other}`: they are one"
            found.problems.error(summary, at=tag.position, hint="declare it once", address=f"worker/{name}")


def _check_connections(connections: Sequence[Declared[Connection]], problems: Problems) -> None:
    first: dict[tuple[str, str], Declared[Connection]] = {}
    for one in connections:
        address, ids = str(one.address), (one.resource.provider_account_id, one.resource.repo_id)
        other = first.setdefault(one.resource.natural_key, one)
        if other is not one:
            summary = f"the same repository as `{other.address.name}` ({other.position})"
            hint = "provider and `repo_id` make a connection: keep one of the two"
            problems.error(summary, at=one.position, hint=hint, address=address)
        if one.resource.provider_type == "github" and not all(text.isdecimal() or not text for text in ids):
            hint = "`gh api repos/OWNER/REPO --jq '.owner.id, .id'` prints both"
            summary = "GitHub's ids are numbers, not names"
            problems.warn(summary, at=one.position, hint=hint, address=address)


def _token(
    name: str, body: Node, found: ManifestSet, resolver: Resolver
) -> Declared[Token] | Declared[TokenReference] | None:
    bare: dict[str, Any] = body.bare()
    secret = body.get("build_token_secret")
    if secret.value is not None:
        if "owner" in found.head.mapping and found.owner is None:
            hint = "a token's live name carries its owner: set one, or refer to a token by `build_token_name`"
            summary = "with `owner: null` no token can be managed"
            found.problems.error(summary, at=body.place, hint=hint, address=f"token/{name}")
            return None
        bare["build_token_secret"] = _secret(secret, found.problems, resolver, f"token/{name}")
    return token.parse(name, bare, body.place)


def _secret(node: Node, problems: Problems, resolver: Resolver, address: str) -> tuple[Secret, str]:
    """A `value_from` with what stands beside it: the secret and its `value_version`."""
    value_from = node.mapping["value_from"]
    variable = value_from.get("env")
    if str(variable.value).startswith(RESERVED):
        summary = f"`{variable.value}` is buildsctl's own: a manifest must not be able to send it anywhere"
        hint = "give the secret a variable of its own"
        problems.error(summary, at=variable.position, hint=hint, address=address)
        return Secret(None), ""
    folder = os.path.dirname(value_from.position.filename)
    secret = resolver.resolve(value_from.bare(), folder, allow_empty=bool(node.get("allow_empty").value))
    return secret, node.get("value_version").value or ""


def _trigger(one: Effective, found: ManifestSet, resolver: Resolver) -> DeclaredTrigger | None:
    problems = found.problems
    before = len(problems.found)
    for name in REQUIRED:
        if name not in one.fields:
            hint = "set it on the trigger, the Worker, its profile or in `defaults`"
            problems.error(f"the trigger needs `{name}`", at=one.position, hint=hint, address=one.address)
    body = {name: tuple(node.bare()) if name in Trigger.sets else node.bare() for name, node in one.fields.items()}
    for short, long in Trigger.references.items():
        body[long] = _reference(one, short, long, found)
    variables = {key: _variable(one, key, node, problems, resolver) for key, node in one.variables.items()}
    ignore = _ignore(one, problems)
    if len(problems.found) > before or None in (body["repo_connection_uuid"], body["build_token_uuid"]):
        return None
    return DeclaredTrigger(
        address=Address.of(Trigger.kind, one.worker, one.key),
        position=one.position,
        resource=Trigger.parse(Address.of(Worker.kind, one.worker), one.key, body),
        ignore=ignore,
        protect=bool(body.get("protect")),
        allow=frozenset(one.allow),
        variables=variables,
    )


def _reference(one: Effective, short: str, long: str, found: ManifestSet) -> Ref | None:
    """`repo_connection: NAME` or `repo_connection_uuid: UUID`; the only one of the set where none is said."""
    if long in one.fields:
        return str(one.fields[long].value)
    kind = REFERENCES[short]
    known = found.root.get(kind.section).mapping
    name = one.reference(short, known)
    if name in known:
        return Address.of(kind.kind, name)
    if name is None:
        hint = f"the set has {len(known)} under `{kind.section}`: say which, here or in `defaults`"
        hint = hint if known else f"define one under `{kind.section}`, or give its UUID as `{long}`"
        found.problems.error(f"the trigger needs `{short}`", at=one.position, hint=hint, address=one.address)
    elif UNKNOWN not in name or not found.problems.failed:
        hint = nearest(name, known) or f"define it under `{kind.section}`"
        found.problems.error(
            f"there is no {kind.kind} `{name}`", at=one.get(short).position, hint=hint, address=one.address
        )
    return None


def _variable(one: Effective, key: str, node: Node, problems: Problems, resolver: Resolver) -> Declared[EnvVar]:
    address = Address(EnvVar.kind, (one.worker, one.key, key))
    if key == MARKER:
        summary = f"`{MARKER}` is buildsctl's own variable"
        problems.error(summary, at=node.position, hint="choose another name", address=str(address))
    if isinstance(node.value, str):
        resource = EnvVar(is_secret=False, value=node.value)
    else:
        resource = _typed_variable(str(address), node, problems, resolver)
    return Declared(address=address, position=node.place, resource=resource)


def _typed_variable(address: str, node: Node, problems: Problems, resolver: Resolver) -> EnvVar:
    fields = node.mapping
    is_secret = node.get("is_secret").value
    problem = _contradiction(set(fields), is_secret)
    if problem:
        summary, hint = problem
        problems.error(summary, at=node.position, hint=hint, address=address)
    elif "value_from" in fields:
        secret, version = _secret(node, problems, resolver, address)
        return EnvVar(is_secret=True, value=secret, value_version=version)
    elif "value" in fields:
        return EnvVar(is_secret=False, value=fields["value"].value)
    return EnvVar(is_secret=bool(is_secret), value=None)


def _contradiction(fields: set[str], is_secret: bool | None) -> tuple[str, str] | None:
    if "value" in fields and is_secret:
        return ("a secret's value would stand in the manifest", "say where it comes from: `value_from: {env: NAME}`")
    if {"value", "value_from"} <= fields:
        return "`value` and `value_from` exclude each other", "keep one"
    if "value_from" in fields and is_secret is False:
        return "`value_from` makes a secret", "take `is_secret: false` out, or give a plain `value`"
    if fields & {"value_version", "allow_empty"} and "value_from" not in fields:
        return "`value_version` and `allow_empty` belong beside `value_from`", "take them out"
    return None


def _ignore(one: Effective, problems: Problems) -> tuple[str, ...]:
    """API names of trigger fields, and globs over variables."""
    names = []
    known = [*Trigger.schema, VARIABLES]
    for node in one.ignore:
        name = Trigger.references.get(node.value, node.value)
        if name in known or fnmatchcase(name, f"{VARIABLES}.?*"):
            names.append(name)
        elif UNKNOWN not in name or not problems.failed:
            hint = nearest(name, known) or f"a trigger field, or `{VARIABLES}.GLOB`"
            problems.error(f"`{name}` cannot be ignored", at=node.position, hint=hint, address=one.address)
    return tuple(names)
