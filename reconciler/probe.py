"""Does Builds reach each trigger's repository, branch and folder, and does it find the Worker's name there?

One GET for each repository, branch and folder. `live` triggers are what builds now, `declared` ones what will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.api import Api
from reconciler.drift import Finding, Kind, finding
from reconciler.errors import ApiError, NotFoundError
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.repository import Repository
from reconciler.kinds.trigger import Trigger
from reconciler.lookup import each
from reconciler.model import Address, Live, Plan, Request, Unread
from reconciler.states import DeclaredTrigger, Desired, Observed

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


@dataclass(kw_only=True)
class Probed:
    """What came of it: how many triggers got an answer, how many names could be compared, and the addresses of those
    that were not asked about, by why."""

    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    answered: int = 0
    compared: int = 0
    not_asked: dict[str, list[str]] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """A sentence for each reason not to ask."""
        told = []
        for why, those in self.not_asked.items():
            more = f" and {len(those) - 1:,} more" if those[1:] else ""
            told.append(f"not asked whether Builds reaches the repository of {those[0]}{more}: {why}")
        return told

    def add(self, subject: Subject, name: str, summary: str, hint: str) -> None:
        self.findings.append(finding(Kind.HEALTH, subject.address, summary, name, hint=hint))


def ask(api: Api, subjects: Iterable[Subject]) -> Probed:
    """Ask about each. Sends GETs only."""
    found, asked = Probed(), dict[Request, list[Subject]]()
    for one in subjects:
        if one.connection and one.branch:
            asked.setdefault(Repository.read(one.connection, one.branch, one.folder), []).append(one)
        else:
            why = "it names no branch that has to be there" if one.connection else "its repository is not known"
            found.not_asked.setdefault(why, []).append(one.address)
    answers = each(api, lambda request: api.get(request, Repository.decode), asked)
    for those, answer in zip(asked.values(), answers, strict=True):
        if isinstance(answer, ApiError) and not _is_an_answer(answer):
            place = f"{those[0].repository} on `{those[0].branch}` in `{those[0].folder}`"
            found.unread.append(Unread(what=f"whether Builds reaches {place}", error=answer))
            continue
        found.answered += len(those)
        for one in those:
            if isinstance(answer, ApiError):
                _unreachable(found, one, answer)
            else:
                _compare(found, one, answer)
    return found


def _is_an_answer(error: ApiError) -> bool:
    """Some 404s say that there is no such path: then nobody was asked."""
    return isinstance(error, NotFoundError) and error.code in (*NOT_FOUND, NOT_AUTHORISED, NOT_AMONG_THEM)


def _unreachable(found: Probed, one: Subject, error: ApiError) -> None:
    if error.code == NOT_AUTHORISED:
        summary = f"the GitHub App is not authorised for the owner of {one.repository}: was the repository transferred?"
        found.add(one, "owner", summary, "put the new owner's id as `provider_account_id`, or install the App there")
    elif error.code == NOT_AMONG_THEM:
        summary = f"the GitHub App may not see {one.repository}"
        found.add(one, "not-seen", summary, error.hint)
    else:
        summary = f"Builds cannot reach {one.repository}, its branch `{one.branch}` or the folder `{one.folder}`"
        hint = "check branch and `root_directory`, and that the Cloudflare Workers and Pages App sees the repository"
        found.add(one, "unreachable", summary, hint)


def _compare(found: Probed, one: Subject, repository: Repository) -> None:
    name = repository.worker_name(one.trigger.deploy_command, one.environment)
    found.compared += bool(name)
    if name and name != one.worker:
        where = f"{repository.config_file or 'the Wrangler file'} in `{one.folder}`"
        summary = f"{where} names the Worker `{name}`, this one is `{one.worker}`: builds fail"
        found.add(one, "name", summary, "make the names equal, or give the deploy command the right `--env`")


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
    return [_declared(trigger, lives.get(trigger.address), connections, observed) for trigger in desired.triggers]


def _declared(
    trigger: DeclaredTrigger, now: Live[Trigger] | None, connections: Mapping[object, Connection], observed: Observed
) -> Subject:
    worker, kept = trigger.address.path[0], dict[str, Any]()
    if now:
        kept = {name: value for name, value in now.resource.fields.items() if trigger.ignores(name)}
    want = replace(trigger.resource, **kept)
    environment = _environment({name: one.resource for name, one in trigger.variables.items()})
    if environment == "" and (now or worker in observed.unread_workers):
        environment = _environment(observed.variables.get(now.id) if now else None)
    return Subject(
        address=str(trigger.address),
        worker=worker,
        trigger=want,
        connection=connections.get(want.repo_connection_uuid),
        environment=environment,
    )


def _connections(observed: Observed) -> dict[str, Connection]:
    return {one.id: one.resource for one in observed.connections if not one.resource.deleted}


def _environment(variables: Mapping[str, EnvVar] | None) -> str | None:
    if variables is None:
        return None
    one = variables.get(ENVIRONMENT)
    return "" if one is None else one.value if isinstance(one.value, str) and not one.is_secret else None
