"""Everything that a first run trips over, one line each, with what to do.

Whether the token may write is found by a PATCH of a trigger that cannot exist: a 404 of the API's own says yes, 403 no.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from reconciler import probe
from reconciler.api import Api
from reconciler.errors import ApiError, AuthenticationError, ForbiddenError, NetworkError, Severity
from reconciler.health import Health
from reconciler.model import Plan, Request, Secret, Unread
from reconciler.observe import Lists, observe
from reconciler.plan import Options, plan
from reconciler.states import Desired

NOBODY = "00000000-0000-4000-8000-000000000000"
NO_SUCH_TRIGGER = ((404, 12000), (404, 10007), (400, 12002))
"""Status and code of answers to who may write (field notes, Error codes)."""
MAX_SKEW = timedelta(seconds=60)
FEW_REQUESTS = 0.3  # of the window
SCRIPTS, BUILDS = "Workers Scripts", "Workers Builds Configuration"


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


def examine(desired: Desired | None, api: Api, now: Callable[[], datetime] | None) -> Iterator[Line]:
    """The token and what it may do, then what the manifests declare, where there are any, held against the account.
    `now` is asked right after an answer; None where the other side has no clock of its own."""
    lists = Lists(api)
    goes_on = yield from _token(desired, lists, now)
    if desired and goes_on:
        yield from _estate(desired, lists)
    elif desired:
        yield Line(Level.WARNING, "manifests", "what they declare was not looked at in the account")
    yield from (line for line in _window(api) if line.level is Level.WARNING)


def verify(api: Api, token: str) -> Line:
    """What can be asked about a token without an account."""
    try:
        found = api.verify(Secret(token))
    except ApiError as error:
        return Line(Level.ERROR, "API", *_told(error))
    if found.get("status") == "active":
        return Line(Level.OK, "token", "the API takes it: a user's API token")
    summary = f"it is {found.get('status')}" if found else "it is dead, or no user's: account-owned ones are refused"
    return Line(Level.ERROR, "token", summary, "make one under My Profile, API Tokens", access=True)


def _token(desired: Desired | None, lists: Lists, now: Callable[[], datetime] | None) -> Generator[Line, None, bool]:
    """What the token may do; true where the account can be looked at."""
    scripts = _error(lambda: lists.workers)
    if not isinstance(scripts, NetworkError):
        yield from [_clock(lists.api.date, now())] if now else []
        yield from _window(lists.api)
    builds = _error(lambda: lists.tokens) if not scripts or _is_about_access(scripts) else None
    for error in (scripts, builds):
        if error and not _is_about_access(error):
            yield Line(Level.ERROR, "API", *_told(error))
            return False
    if isinstance(builds, AuthenticationError):
        owned = "it reads Workers and not Workers Builds: it is account-owned"
        yield Line(Level.ERROR, "token", builds.message if scripts else owned, builds.hint, access=True)
        return False
    if builds and scripts:
        summary = "it may read neither Workers nor Workers Builds of this account"
        yield Line(Level.ERROR, "token", summary, builds.hint, access=True)
        return False
    if builds:
        yield Line(Level.OK, "permission", f"{SCRIPTS}: Read")
        hint = "add it to the token: without it nothing can be planned"
        yield Line(Level.ERROR, "permission", f"{BUILDS}: Read is missing", hint, access=True)
        return False
    yield Line(Level.OK, "token", "the API takes it: a user's API token")
    yield _scripts(desired, scripts)
    yield Line(Level.OK, "permission", f"{BUILDS}: Read")
    write = _write(lists.api)
    yield write
    return write.level is not Level.ERROR


def _error(read: Callable[[], object]) -> ApiError | None:
    try:
        read()
    except ApiError as error:
        return error
    return None


def _is_about_access(error: ApiError) -> bool:
    """A gateway's page, which has no code of the API's, is no word about the token."""
    return isinstance(error, AuthenticationError | ForbiddenError) and bool(error.code)


def _told(error: ApiError) -> tuple[str, str]:
    """What it says and what to do."""
    if isinstance(error, AuthenticationError | ForbiddenError) and not error.code:
        summary = f"not the API but a gateway answered ({error.method} {error.path}, HTTP {error.status})"
        return summary, "check CLOUDFLARE_API_BASE_URL and any proxy between"
    return str(error), error.hint


def _scripts(desired: Desired | None, error: ApiError | None) -> Line:
    """Names of Workers need it, and nothing else."""
    if error is None:
        return Line(Level.OK, "permission", f"{SCRIPTS}: Read")
    summary = f"{SCRIPTS}: Read is missing"
    if desired and all(one.resource.tag for one in desired.workers.values()):
        return Line(Level.WARNING, "permission", f"{summary}, and not needed: each Worker has its `tag`")
    return Line(Level.ERROR, "permission", summary, "add it to the token, or give each Worker its `tag`", access=True)


def _write(api: Api) -> Line:
    request = Request(method="PATCH", path=("builds", "triggers", NOBODY), json={"trigger_name": "x"})
    api.allow_writes()
    error = _error(lambda: api.write(request, lambda result: result))
    api.allow_writes(allowed=False)
    if error is None:
        return Line(Level.ERROR, "API", "a trigger that cannot exist was updated: what answers is not the API")
    if (error.status, error.code) in NO_SUCH_TRIGGER:
        return Line(Level.OK, "permission", f"{BUILDS}: Edit")
    if isinstance(error, ForbiddenError) and error.code:
        summary = "it may read and not write: enough for plan and drift, not for apply"
        return Line(Level.WARNING, "permission", summary)
    summary, hint = _told(error)
    return Line(Level.WARNING, "permission", f"whether it may write could not be found out: {summary}", hint)


def _clock(date: str, now: datetime) -> Line:
    try:
        skew = now - parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return Line(Level.WARNING, "clock", "the API did not say what time it is")
    if abs(skew) <= MAX_SKEW:
        return Line(Level.OK, "clock", "agrees with the API's")
    told = f"{timedelta(seconds=round(abs(skew).total_seconds()))} {'ahead of' if skew > timedelta() else 'behind'}"
    return Line(Level.WARNING, "clock", f"this machine's is {told} the API's", "set it: TLS and tokens need it")


def _window(api: Api) -> Iterator[Line]:
    """What is left of the rate limit, where the API says it."""
    left, quota = api.gate.window()
    if left is None:
        return
    text = f"{left:,} of {quota:,} requests are left in this window"
    if left < quota * FEW_REQUESTS:
        yield Line(Level.WARNING, "rate limit", text, "all of a user's tools share it: wait, or look for who spends it")
    else:
        yield Line(Level.OK, "rate limit", text)


def _estate(desired: Desired, lists: Lists) -> Iterator[Line]:
    """What the manifests declare, held against the account."""
    observed = observe(desired, lists.api, tokens=True, lists=lists)
    decided = plan(desired, observed, Options(), account_id=lists.api.account_id)
    yield from _references(desired, decided)
    yield from _secrets(desired)
    health = Health(desired=desired, observed=observed, plan=decided, api=lists.api)
    health.tokens()
    health.failures()
    health.minutes()
    notes, faults = len(health.notes), len(health.findings)
    answered, compared = health.repositories(probe.declared(desired, observed, decided))
    for one in sorted(health.findings, key=lambda one: one.address):
        yield Line(Level.ERROR, one.address, one.summary, one.hint)
    for number, note in enumerate(health.notes):
        yield Line(Level.WARNING, "builds" if number < notes else "repositories", note.summary, note.hint)
    wanted = len(desired.triggers)
    told = f"{answered:,} of {many(wanted, 'trigger')}, {many(compared, 'name')} compared"
    if answered < wanted:
        yield Line(Level.WARNING, "repositories", f"looked at for {told}")
    elif wanted and len(health.findings) == faults:
        yield Line(Level.OK, "repositories", f"reached for {told}")
    yield from _unread(health.unread)


def _references(desired: Desired, decided: Plan) -> Iterator[Line]:
    failed = [one for one in decided.diagnostics if one.severity is Severity.ERROR]
    for one in failed:
        yield Line(Level.ERROR, one.address or "manifests", one.summary, one.hint)
    if decided.unread:
        yield Line(Level.WARNING, "references", "not all of them could be looked at")
    elif not failed:
        counted = (("Worker", desired.workers), ("trigger", desired.triggers), ("token", desired.tokens))
        told = ", ".join(many(len(some), word) for word, some in counted)
        yield Line(Level.OK, "references", f"all of them lead somewhere: {told}")
    for refusal in decided.refusals:
        yield Line(Level.WARNING, str(refusal.address or "plan"), refusal.summary, refusal.hint)
    yield from _unread(decided.unread)


def _unread(unread: Iterable[Unread]) -> Iterator[Line]:
    for one in unread:
        yield Line(Level.ERROR, "API", f"could not read {one.what}: {one.error}", one.error.hint)


def _secrets(desired: Desired) -> Iterator[Line]:
    """Sources that give nothing here; a pipeline may have them."""
    variables = (one for trigger in desired.triggers for one in trigger.variables.values())
    for one in (*variables, *desired.tokens):
        for secret in one.resource.fields.values():
            if isinstance(secret, Secret) and secret.missing:
                summary = f"its source, {secret.source}, {secret.missing}"
                yield Line(Level.WARNING, str(one.address), summary, "an apply that has to write it needs it")


def many(count: int, word: str) -> str:
    """`1 name`, `2 names`."""
    return f"{count:,} {word}{'s' * (count != 1)}"
