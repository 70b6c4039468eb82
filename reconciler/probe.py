"""The triggers about which Builds is asked whether it reaches their repository, and what its answers say. Pure.

`live` triggers are what builds now, `declared` ones what will.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.errors import ApiError, NotFoundError
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import Address, Live, Plan
from reconciler.states import Desired, Observed

ENVIRONMENT = "CLOUDFLARE_ENV"
NOT_FOUND, NOT_AUTHORISED, NOT_AMONG_THEM = (12000, 10007), 8000008, 8000012


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A trigger and the repository that it builds. `environment` is what `CLOUDFLARE_ENV` says in it: empty where it
    is not set, None where it cannot be read."""

    address: str
    worker: str
    trigger: Trigger
    connection: Connection | None
    environment: str | None

    @property
    def branch(self) -> str:
        """One that has to be there: it builds, or a preview trigger leaves it out. Empty where no such is named."""
        names = (*self.trigger.branch_includes, *self.trigger.branch_excludes)
        return next((name for name in names if "*" not in name), "")

    @property
    def folder(self) -> str:
        return "/" + self.trigger.root_directory.strip("/")

    @property
    def repository(self) -> str:
        one = self.connection
        return one.full_name if one else ""


def is_an_answer(error: ApiError) -> bool:
    """Some 404s say that there is no such path: then nobody was asked."""
    return isinstance(error, NotFoundError) and error.code in (*NOT_FOUND, NOT_AUTHORISED, NOT_AMONG_THEM)


def unreachable(one: Subject, error: ApiError) -> tuple[str, str, str]:
    """What an answer that is an error says: a name for it, a sentence, and what to do."""
    if error.code == NOT_AUTHORISED:
        summary = f"the GitHub App is not authorised for the owner of {one.repository}: was the repository transferred?"
        return "owner", summary, "put the new owner's id as `provider_account_id`, or install the App there"
    if error.code == NOT_AMONG_THEM:
        return "not-seen", f"the GitHub App may not see {one.repository}", error.hint
    summary = f"Builds cannot reach {one.repository}, its branch `{one.branch}` or the folder `{one.folder}`"
    hint = "check branch and `root_directory`, and that the Cloudflare Workers and Pages App sees the repository"
    return "unreachable", summary, hint


def address_of(plan: Plan, live: Live[Trigger]) -> str:
    """As in the plan, else by name: of a Worker about which nothing could be decided it names no trigger."""
    return str(plan.addresses.get(live.id) or Address.of("trigger", live.scope, live.resource.trigger_name or live.id))


def live(desired: Desired, observed: Observed, plan: Plan) -> list[Subject]:
    """The declared Workers' live triggers, as they are."""
    connections = _connections(observed)
    return [
        Subject(
            address=address_of(plan, one),
            worker=one.scope,
            trigger=one.resource,
            connection=connections.get(str(one.resource.repo_connection_uuid)),
            environment=_environment(observed.variables.get(one.id)),
        )
        for one in observed.triggers
        if one.scope in desired.workers
    ]


def declared(desired: Desired, observed: Observed, plan: Plan) -> list[Subject]:
    """The declared triggers, as they will be: live or not, what is ignored and what nobody declares stays."""
    connections: dict[object, Connection] = {one.address: one.resource for one in desired.connections}
    connections.update(_connections(observed))
    lives = {plan.addresses.get(live.id): live for live in observed.triggers}
    found = []
    for one in desired.triggers:
        worker, now = one.address.path[0], lives.get(one.address)
        kept: dict[str, Any] = dict(now.resource.fields) if now else {}
        want = replace(one.resource, **{name: value for name, value in kept.items() if one.ignores(name)})
        environment = _environment({name: variable.resource for name, variable in one.variables.items()})
        if environment == "" and (now or worker in observed.unread_workers):
            environment = _environment(observed.variables.get(now.id) if now else None)
        found.append(
            Subject(
                address=str(one.address),
                worker=worker,
                trigger=want,
                connection=connections.get(want.repo_connection_uuid),
                environment=environment,
            )
        )
    return found


def _connections(observed: Observed) -> dict[str, Connection]:
    return {one.id: one.resource for one in observed.connections if not one.resource.deleted}


def _environment(variables: Mapping[str, EnvVar] | None) -> str | None:
    if variables is None:
        return None
    one = variables.get(ENVIRONMENT)
    return "" if one is None else one.value if isinstance(one.value, str) and not one.is_secret else None
