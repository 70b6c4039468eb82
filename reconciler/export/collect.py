"""What is live, as a manifest would say it: each trigger flat, defaults left out, references by name. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler import ownership
from reconciler.diff import normal
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token, TokenReference
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.lint.plain_credential import looks_like_credential
from reconciler.manifest.schema import WORKER
from reconciler.model import Live, Secret
from reconciler.plan.tokens import meant
from reconciler.plan.variables import ignores
from reconciler.states import DeclaredTrigger, Desired, Observed

Field = str | tuple[str, str]
"""A trigger field by its manifest name, or `("environment_variables", KEY)`."""
Flat = dict[Field, Any]
Body = Callable[[str], dict[str, Any]]
VARIABLES = "environment_variables"
DEFAULTS: Mapping[str, Any] = {name: one["default"] for name, one in Trigger.schema.items() if "default" in one}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How secrets are written down: `sources` as `value_from`, `suspicious` also plain ones that look like some."""

    owner: str
    sources: bool = False
    suspicious: bool = False


@dataclass(kw_only=True)
class Found:
    """What is to be written down. `known` are the manifests that are already there; what is `observed` has their names.

    `workers` holds flat triggers by Worker and key, `lives` what those that are not declared are live; `notes` what a
    Worker's file has to say besides;
    `comments` stand at a path of the manifest; `withheld` are the variables whose plain value was not written,
    `supply` the sources that are to be given, `sources` all of them by their names, those of `known` too.
    """

    choices: Choices
    known: Desired
    observed: Observed
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    workers: dict[str, dict[str, Flat]] = field(default_factory=dict)
    lives: dict[tuple[str, str], Trigger] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    comments: dict[tuple[str, ...], str] = field(default_factory=dict)
    withheld: list[str] = field(default_factory=list)
    supply: dict[str, str] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)

    def note(self, worker: str, text: str) -> None:
        self.notes.setdefault(worker, []).append(text)

    def users(self, key: str) -> set[str]:
        """The Workers that refer to a connection or token."""
        both = ("repo_connection", "build_token")
        return {
            worker
            for worker, triggers in self.workers.items()
            if any(key == flat.get(name) for flat in triggers.values() for name in both)
        }

    def leave_out(self, worker: str, why: str) -> None:
        """All of a Worker: of half of it a plan would delete what is ours and not said. And what it alone refers to."""
        del self.workers[worker]
        self.note(worker, f"it is not exported: {why}")
        self.lives = {where: live for where, live in self.lives.items() if where[0] != worker}
        self.connections = {key: body for key, body in self.connections.items() if self.users(key)}
        self.tokens = {key: body for key, body in self.tokens.items() if self.users(key)}
        here = f"env/{worker}/"
        self.withheld = [address for address in self.withheld if not address.startswith(here)]
        self.supply = {source: address for source, address in self.supply.items() if not address.startswith(here)}


def collect(observed: Observed, known: Desired, choices: Choices, removed: Collection[tuple[str, str]] = ()) -> Found:
    """Every live trigger that is not another owner's, by Worker; of what is declared only what is missing, and
    nothing of what the manifests have `removed`: Worker and key of a `null`."""
    given = {one.resource.tag: name for name, one in known.workers.items() if one.resource.tag}
    names = {name: given[tag] for name, tag in (observed.workers or {}).items() if tag in given}
    triggers = (replace(live, scope=names.get(live.scope, live.scope)) for live in observed.triggers)
    lives = sorted(triggers, key=lambda live: (live.scope, live.resource.is_preview, live.created_on, live.id))
    found = Found(choices=choices, known=known, observed=replace(observed, triggers=tuple(lives)))
    values = (one.resource.value for trigger in known.triggers for one in trigger.variables.values())
    found.sources |= {value.source.removeprefix("env ") for value in values if isinstance(value, Secret)}
    declared = {name: {one.address.name: one for one in some} for name, some in known.by_worker.items()}
    for live in lives:
        variables = observed.variables.get(live.id)
        marker = ownership.read(variables or {}, live.id)
        problem = _why_not(live, variables, marker, choices.owner)
        if problem or variables is None or isinstance(marker, ownership.Newer):
            found.note(live.scope, f"trigger `{live.resource.trigger_name}` is not exported: {problem}")
            continue
        mine = found.workers.setdefault(live.scope, {})
        twin = _match(live, marker, declared.get(live.scope, {}))
        if twin is not None:
            key = twin.address.name
            ours = {name for name in variables if marker and marker.knows(name)}
            left = {name for name in variables.keys() - twin.variables.keys() - ours if not ignores(twin, name)}
            missing = _variables(found, live.scope, key, {name: variables[name] for name in left})
            mine |= {key: missing} if missing else {}
            declared[live.scope].pop(key)
            continue
        taken = {*mine, *(one.address.name for one in known.by_worker.get(live.scope, ()))}
        key = free(marker.key if marker else "preview" if live.resource.is_preview else "production", taken)
        if (live.scope, key) in removed:
            found.note(live.scope, f"trigger `{live.resource.trigger_name}` is not exported: `{key}: null` removes it")
            continue
        found.lives[live.scope, key] = live.resource
        flat = _fields(found, live, key, protect=bool(marker and marker.protect))
        mine[key] = flat | _variables(found, live.scope, key, variables)
    found.workers = {name: triggers for name, triggers in found.workers.items() if triggers}
    return found


def _why_not(live: Live[Trigger], variables: Mapping[str, EnvVar] | None, marker: Any, owner: str) -> str:
    if variables is None:
        return "its variables could not be read"
    if isinstance(marker, ownership.Newer):
        return "a newer buildsctl manages it"
    if marker is not None and marker.owner != owner:
        theirs = shlex.quote(marker.owner)
        return f"it belongs to owner `{marker.owner}`, and `--owner {theirs}` exports what is theirs, alone"
    if not re.match(WORKER, live.scope):
        return "no manifest can name its Worker"
    if not live.resource.repo_connection_uuid:
        return "the API does not show its connection"
    return "" if live.resource.build_token_uuid else "the API does not show its build token"


def _match(
    live: Live[Trigger], marker: ownership.Marker | None, declared: Mapping[str, DeclaredTrigger]
) -> DeclaredTrigger | None:
    """The declared trigger that means this one: by our marker's key, then by kind, as the plan does."""
    if marker and marker.key in declared:
        return declared[marker.key]
    return next((one for one in declared.values() if one.resource.is_preview == live.resource.is_preview), None)


def free(name: str, taken: Iterable[str], before: str = "-") -> str:
    """`name`, or with the first number that makes it one of its own."""
    names = set(taken)
    return next(one for one in (name, *(f"{name}{before}{n}" for n in range(2, len(names) + 3))) if one not in names)


def literal(value: str) -> str:
    """`value` as it stands in a manifest: what looks like an expression is none."""
    return value.replace("${{", "$${{")


def rewritten(value: Any, each: Callable[[str], str]) -> Any:
    """`value` of a manifest with each of its strings rewritten."""
    match value:
        case dict():
            return {key: rewritten(one, each) for key, one in value.items()}
        case list():
            return [rewritten(one, each) for one in value]
        case _:
            return each(value) if isinstance(value, str) else value


def _placed(section: dict[str, dict[str, Any]], name: str, taken: Collection[str], body: Body) -> str:
    """The first key, `name` or one with a number, that is free for what `body` makes of it, or has it already."""
    for key in (name, *(f"{name}-{number}" for number in range(2, 1000))):
        if key not in taken and section.setdefault(key, body(key)) == body(key):
            return key
    raise AssertionError("a thousand of one name")


def _fields(found: Found, live: Live[Trigger], key: str, *, protect: bool) -> Flat:
    trigger = live.resource
    flat: Flat = {} if trigger.trigger_name == key else {"trigger_name": literal(trigger.trigger_name)}
    ignore = []
    connection = next((one for one in found.observed.connections if one.id == trigger.repo_connection_uuid), None)
    if connection is None or connection.resource.deleted:
        flat["repo_connection_uuid"] = str(trigger.repo_connection_uuid)
        ignore.append("repo_connection")
        found.note(live.scope, f"the connection of `{key}` is deleted or not shown: it is left as it is")
    else:
        flat["repo_connection"] = connection_key(found, connection.resource)
    token = token_key(found, str(trigger.build_token_uuid))
    if token:
        flat["build_token"] = token
    else:
        flat["build_token_uuid"] = str(trigger.build_token_uuid)
        if not found.observed.unread_tokens:
            ignore.append("build_token")
            found.note(live.scope, f"the build token of `{key}` is gone: its builds fail until it has another")
    for name in ("branch_includes", *DEFAULTS, "deploy_command"):
        value, default = getattr(trigger, name), DEFAULTS.get(name)
        compared = tuple(default) if isinstance(default, list) else default
        if name not in DEFAULTS or normal(name, value) != normal(name, compared):
            flat[name] = rewritten(list(value) if isinstance(value, tuple) else value, literal)
    return flat | ({"protect": True} if protect else {}) | ({"ignore": ignore} if ignore else {})


def connection_key(found: Found, live: Connection) -> str:
    """The key of a connection, declared or new."""
    for declared in found.known.connections:
        if declared.resource.natural_key == live.natural_key:
            return declared.address.name
    body = {"provider_type": live.provider_type} if live.provider_type != "github" else {}
    body |= {"provider_account_id": live.provider_account_id, "repo_id": live.repo_id}
    groups = re.sub(r"//+|[^A-Za-z0-9._/-]", "-", live.provider_account_name).strip("/")
    name = f"{groups or 'x'}/{re.sub(r'[^A-Za-z0-9._-]', '-', live.repo_name) or 'x'}"

    def whole(key: str) -> dict[str, Any]:
        owner, _, repo = key.rpartition("/")
        more = {} if owner == live.provider_account_name else {"provider_account_name": live.provider_account_name}
        more |= {} if repo == live.repo_name else {"repo_name": live.repo_name}
        return {field: literal(value) for field, value in {**body, **more}.items()}

    return _placed(found.connections, name, {one.address.name for one in found.known.connections}, whole)


def token_key(found: Found, uuid: str) -> str:
    """The key of a build token, declared or new; empty where the account lists none of this UUID."""
    tokens = found.observed.tokens
    live = next((one for one in tokens if one.id == uuid), None)
    if live is None:
        return ""
    name = live.resource.build_token_name
    generation = ownership.read_token_name(name)

    def means(want: Token | TokenReference) -> bool:
        return [one.id for one in meant(tokens, found.choices.owner, want)] == [uuid]

    for declared in found.known.tokens:
        if means(declared.resource):
            return declared.address.name
    whole = f"{generation.owner}:{generation.name}" if generation else name
    by_name = name and means(TokenReference(build_token_name=whole))
    body = {"build_token_name": literal(whole)} if by_name else {"build_token_uuid": uuid}
    words = re.sub(r"[^a-z0-9]+", "-", (generation.name if generation else name).lower()).strip("-")[:60].strip("-")
    taken = {declared.address.name for declared in found.known.tokens}
    return _placed(found.tokens, words or "token", taken, lambda _: body)


def _variables(found: Found, worker: str, key: str, variables: Mapping[str, EnvVar]) -> Flat:
    return {
        (VARIABLES, name): _variable(found, f"{worker}/{key}/{name}", name, one)
        for name, one in sorted(variables.items())
        if name != ownership.MARKER
    }


def _variable(found: Found, where: str, name: str, one: EnvVar) -> Any:
    if one.is_secret:
        if not found.choices.sources:
            return {"is_secret": True}
        source = re.sub(r"[^A-Z0-9]", "_", where.upper())
        reserved = not source[0].isalpha() or source.startswith(("CLOUDFLARE_", "BUILDSCTL_"))
        source = free(f"SECRET_{source}" if reserved else source, found.sources, "_")
        found.sources.add(source)
        found.supply[source] = f"env/{where}"
        return {"value_from": {"env": source}}
    if not isinstance(one.value, str):
        return {"is_secret": False}
    if looks_like_credential(name, one.value) and not found.choices.suspicious:
        found.withheld.append(f"env/{where}")
        return {"is_secret": False}
    return literal(one.value)
