"""Everything that a first run trips over, one line each, with what to do.

Whether the token may write is found by a PATCH of a trigger that cannot exist: 404 says yes, 403 no.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from reconciler.api import Api
from reconciler.drift import Finding
from reconciler.errors import ApiError, AuthenticationError, ForbiddenError, NotFoundError, Severity
from reconciler.health import Health, Subject, look, repositories
from reconciler.kinds.token import Token
from reconciler.kinds.worker import Worker
from reconciler.model import Address, Plan, Request, Secret
from reconciler.observe import observe
from reconciler.plan import Options, plan
from reconciler.states import Desired, Observed

NOBODY = "00000000-0000-4000-8000-000000000000"
MAX_SKEW_SECONDS = 60
FEW_REQUESTS = 0.3  # of the window


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at; `access` where it is the token's fault."""

    level: Level
    about: str
    summary: str
    hint: str = ""
    access: bool = False


def token(api: Api, *, now: datetime) -> Iterator[Line]:
    """Who the token is, what it may do, and what the answers say of clock and window."""
    yield from _kind(api)
    if not api.date:
        return
    try:
        skew = abs((parsedate_to_datetime(api.date) - now).total_seconds())
    except (TypeError, ValueError):
        return
    if skew > MAX_SKEW_SECONDS:
        yield Line(
            Level.WARNING, "clock", f"this machine's clock is {skew:.0f} s off", "set it: TLS and tokens need it"
        )
    else:
        yield Line(Level.OK, "clock", "agrees with the API's")


def _kind(api: Api) -> Iterator[Line]:
    scripts = _ask(api, Worker.read())
    builds = _ask(api, Token.read(1))
    if isinstance(builds, AuthenticationError):
        if scripts is None:
            summary = "it reads Workers and not Workers Builds: it is account-owned, or of another user"
            yield Line(Level.ERROR, "token", summary, builds.hint, access=True)
        else:
            yield Line(Level.ERROR, "token", builds.message, builds.hint, access=True)
        return
    if builds is not None and not isinstance(builds, ForbiddenError):
        yield Line(Level.ERROR, "API", str(builds), builds.hint)
        return
    yield Line(Level.OK, "token", "the API takes it: a user's API token")
    yield _permission("Workers Scripts: Read", scripts, "names of Workers cannot be looked up; or give each its `tag`")
    yield _permission("Workers Builds Configuration: Read", builds, "nothing can be planned")
    if builds is None:
        write = _ask(api, Request(method="PATCH", path=("builds", "triggers", NOBODY), json={"trigger_name": "x"}))
        may = write is None or isinstance(write, NotFoundError) or getattr(write, "status", 0) == 400
        if may:
            yield Line(Level.OK, "permission", "Workers Builds Configuration: Edit")
        elif isinstance(write, ForbiddenError):
            yield Line(
                Level.WARNING, "permission", "it may read and not write: enough for plan and drift, not for apply"
            )
        else:
            yield Line(Level.WARNING, "permission", f"whether it may write could not be found out: {write}")


def _ask(api: Api, request: Request) -> ApiError | None:
    try:
        if request.method == "GET":
            api.get(request, lambda result: result)
        else:
            api.write(request, lambda result: result)
    except ApiError as error:
        return error
    return None


def _permission(name: str, error: ApiError | None, without: str) -> Line:
    if error is None:
        return Line(Level.OK, "permission", name)
    if isinstance(error, ForbiddenError):
        return Line(
            Level.ERROR, "permission", f"{name} is missing", f"add it to the token: without it {without}", access=True
        )
    return Line(Level.ERROR, "permission", f"{name}: {error}", error.hint)


def estate(desired: Desired, api: Api, *, now: datetime) -> Iterator[Line]:
    """What the manifests declare, held against the account."""
    observed = observe(desired, api, tokens=True)
    decided = plan(desired, observed, Options(), account_id=api.account_id)
    yield from _references(desired, decided)
    yield from _surfaces(observed)
    yield from _secrets(desired)
    health = look(desired, observed, api, now=now)
    live = {one.address for one in health.findings}
    new = Health()
    declared = [one for one in _declared(desired, observed) if one.address not in live]
    with api.pool() as pool:
        repositories(new, api, declared, pool)
    findings = [*health.findings, *new.findings]
    yield from (Line(Level.ERROR, one.address, one.summary, one.hint) for one in findings)
    yield from _fine(findings, desired)
    for unread in (*decided.unread, *health.unread, *new.unread):
        yield Line(Level.ERROR, "API", f"could not read {unread.what}: {unread.error}", unread.error.hint)


def _references(desired: Desired, decided: Plan) -> Iterator[Line]:
    failed = [one for one in decided.diagnostics if one.severity is Severity.ERROR]
    for one in failed:
        yield Line(Level.ERROR, one.address or "manifests", one.summary, one.hint)
    if not failed:
        counts = f"{len(desired.workers)} Workers, {len(desired.triggers)} triggers, {len(desired.tokens)} tokens"
        yield Line(Level.OK, "references", f"all of them lead somewhere: {counts}")
    for refusal in decided.refusals:
        yield Line(Level.WARNING, str(refusal.address or "plan"), refusal.summary, refusal.hint)


def _surfaces(observed: Observed) -> Iterator[Line]:
    for name in sorted(observed.newer_surface):
        summary = "lists no trigger, but is configured on Cloudflare's newer builds surface"
        yield Line(
            Level.WARNING, f"worker/{name}", summary, "disconnect it in the dashboard before buildsctl makes triggers"
        )


def _secrets(desired: Desired) -> Iterator[Line]:
    """Sources that give nothing here; a pipeline may have them."""
    for where, secret in _sources(desired):
        if secret.value is None:
            yield Line(
                Level.WARNING,
                where,
                f"its source, {secret.source}, {secret.missing}",
                "an apply that has to write it needs it",
            )


def _sources(desired: Desired) -> Iterator[tuple[str, Secret]]:
    for trigger in desired.triggers:
        for variable in trigger.variables.values():
            if isinstance(variable.resource.value, Secret):
                yield str(variable.address), variable.resource.value
    for one in desired.tokens:
        if isinstance(one.resource, Token) and one.resource.build_token_secret:
            yield str(one.address), one.resource.build_token_secret


def _declared(desired: Desired, observed: Observed) -> Iterator[Subject]:
    """Triggers that are not live yet: their repositories can be probed all the same."""
    connections = {one.address: one.resource for one in desired.connections}
    kinds = {(one.scope, one.resource.is_preview) for one in observed.triggers}
    for trigger in desired.triggers:
        worker, want = trigger.address.path[0], trigger.resource
        if (worker, want.is_preview) in kinds or worker not in observed.tags:
            continue
        ref = want.repo_connection_uuid
        yield Subject(
            address=str(trigger.address),
            worker=worker,
            trigger=want,
            connection=connections.get(ref) if isinstance(ref, Address) else None,
            variables=_plain(trigger.variables.items()),
        )


def _plain(variables: Iterable[tuple[str, object]]) -> Mapping[str, str]:
    values = ((name, getattr(getattr(one, "resource", None), "value", None)) for name, one in variables)
    return {name: value for name, value in values if isinstance(value, str)}


def _fine(findings: Iterable[Finding], desired: Desired) -> Iterator[Line]:
    if desired.triggers and not list(findings):
        yield Line(Level.OK, "repositories", "Builds reaches them, and the Workers' names are those found there")


def window(api: Api) -> Iterator[Line]:
    """What is left of the rate limit."""
    left, quota = api.gate.window()
    if left is None:
        return
    text = f"{left} of {quota} requests are left in this window"
    if left < quota * FEW_REQUESTS:
        yield Line(Level.WARNING, "rate limit", text, "all of a user's tools share it: wait, or look for who spends it")
    else:
        yield Line(Level.OK, "rate limit", text)


def utc_now() -> datetime:
    return datetime.now(UTC)
