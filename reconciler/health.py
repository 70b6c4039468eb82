"""Look for what matches the manifests and is broken all the same: tokens, repositories, names, minutes, builds.

Costs one request for the limits, one for 20 Workers' latest builds, one for each repository, branch and folder,
and one for the log of each Worker whose latest build failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler import builds, ownership
from reconciler.api import Api
from reconciler.drift import Finding, Kind, finding
from reconciler.errors import ApiError, NotFoundError
from reconciler.kinds.build import Build
from reconciler.kinds.connection import Connection
from reconciler.kinds.failure import Failure
from reconciler.kinds.limits import Limits
from reconciler.kinds.repository import Repository
from reconciler.kinds.trigger import Trigger
from reconciler.model import Live, Request, Unread
from reconciler.states import Desired, Observed

NOT_AUTHORISED = 8000008


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A trigger, live or declared, with the repository that it builds and the plain variables that it gives."""

    address: str
    worker: str
    trigger: Trigger
    connection: Connection | None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Health:
    """What was found, and what could not be looked at."""

    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def add(self, address: str, name: str, summary: str, hint: str) -> None:
        self.findings.append(finding(Kind.HEALTH, address, summary, name, hint=hint))


def look(desired: Desired, observed: Observed, api: Api, *, now: datetime, stale_days: int = 0) -> Health:
    """The health of the declared Workers' live triggers. Sends GETs only."""
    health = Health()
    triggers = [live for live in observed.triggers if live.scope in desired.workers]
    subjects = [_subject(observed, live) for live in triggers]
    if not observed.unread_tokens:
        _tokens(health, {live.id for live in observed.tokens}, subjects)
    tags = sorted({observed.tags[live.scope] for live in triggers if live.scope in observed.tags})
    latest, unread = builds.newest(api, tags)
    health.unread += dict.fromkeys(unread.values())
    with api.pool() as pool:
        limits = pool.submit(_try, health, "the account's limits", api, Limits.read(), Limits.decode)
        failed = {tag: build for tag, build in latest.items() if build.has_failed}
        causes = {tag: pool.submit(_cause, health, api, build) for tag, build in failed.items()}
        repositories(health, api, subjects, pool)
        for tag, cause in causes.items():
            _failure(health, _name(observed, tag), failed[tag], cause.result())
        found = limits.result()
    if stale_days:
        _stale(health, observed, api, tags, latest=latest, now=now, days=stale_days)
    if found and found.has_reached_build_minutes_limit:
        until = f" until {found.build_minutes_refresh_on}" if found.build_minutes_refresh_on else ""
        health.add("account", "minutes", f"the build minutes are used up{until}: nothing builds", "wait, or upgrade")
    health.findings.sort(key=lambda one: (one.address, one.id))
    return health


def _try(health: Health, what: str, api: Api, request: Request, decode: Callable[[Any], Any]) -> Any:
    """The answer, or None where it could not be had."""
    try:
        return api.get(request, decode)
    except ApiError as error:
        health.unread.append(Unread(what=what, error=error))
        return None


def _subject(observed: Observed, live: Live[Trigger]) -> Subject:
    """By its marker's key, else by its name."""
    variables = observed.variables.get(live.id, {})
    marker = ownership.read(variables, live.id)
    key = marker.key if isinstance(marker, ownership.Marker) else live.resource.trigger_name
    connections = {one.id: one.resource for one in observed.connections if not one.resource.deleted}
    return Subject(
        address=f"trigger/{live.scope}/{key}",
        worker=live.scope,
        trigger=live.resource,
        connection=connections.get(str(live.resource.repo_connection_uuid)),
        variables={name: one.value for name, one in variables.items() if isinstance(one.value, str)},
    )


def _tokens(health: Health, known: Collection[str], subjects: Iterable[Subject]) -> None:
    for subject in subjects:
        if str(subject.trigger.build_token_uuid) not in known:
            hint = "give it another `build_token`, and apply"
            health.add(subject.address, "token-gone", "its build token is gone: every build fails", hint)


def repositories(health: Health, api: Api, subjects: Iterable[Subject], pool: ThreadPoolExecutor) -> None:
    """Does Builds reach each repository, branch and folder, and is the Worker's name the one found there?"""
    probes: dict[tuple[Connection, str, str], list[Subject]] = {}
    for subject in subjects:
        if subject.connection:
            key = (subject.connection, branch_of(subject.trigger), subject.trigger.root_directory.strip("/"))
            probes.setdefault(key, []).append(subject)
    answers = {key: pool.submit(_probe, health, api, *key) for key in probes}
    for key, those in probes.items():
        found = answers[key].result()
        for subject in those:
            if isinstance(found, ApiError):
                _unreachable(health, found, key, subject)
            elif found:
                _name_differs(health, found, subject)


def branch_of(trigger: Trigger) -> str:
    """A branch that has to be there: the one that builds, or the one that a preview trigger leaves out."""
    concrete = [name for name in (*trigger.branch_includes, *trigger.branch_excludes) if "*" not in name]
    return concrete[0] if concrete else "main"


def _probe(health: Health, api: Api, connection: Connection, branch: str, folder: str) -> Repository | ApiError | None:
    """None where nobody can tell."""
    try:
        return api.get(Repository.read(connection, branch, folder), Repository.decode)
    except NotFoundError as error:
        return error
    except ApiError as error:
        what = f"whether Builds reaches {connection.provider_account_name}/{connection.repo_name} on `{branch}`"
        health.unread.append(Unread(what=what, error=error))
        return None


def _unreachable(health: Health, error: ApiError, key: tuple[Connection, str, str], subject: Subject) -> None:
    connection, branch, folder = key
    where = f"{connection.provider_account_name}/{connection.repo_name}"
    if error.code == NOT_AUTHORISED:
        summary = f"the GitHub App is not authorised for the owner of {where}: was the repository transferred?"
        hint = "put the new owner's id as `provider_account_id`, or install the App there"
        health.add(subject.address, "owner", summary, hint)
        return
    summary = f"Builds cannot reach {where}, its branch `{branch}` or the folder `/{folder}`"
    hint = "check branch and `root_directory`, and that the Cloudflare Workers and Pages App sees the repository"
    health.add(subject.address, "unreachable", summary, hint)


def _name_differs(health: Health, found: Repository, subject: Subject) -> None:
    expected = found.worker_name(subject.trigger.deploy_command, subject.variables)
    if expected and expected != subject.worker:
        where = f"{found.config_file or 'the Wrangler file'} in `/{subject.trigger.root_directory.strip('/')}`"
        summary = f"{where} names the Worker `{expected}`, this one is `{subject.worker}`: builds fail"
        hint = "make the names equal, or give the deploy command the right `--env`"
        health.add(subject.address, "name", summary, hint)


def _cause(health: Health, api: Api, build: Build) -> Failure | None:
    """Why it failed, where its log tells it."""
    try:
        return builds.cause(api, build)
    except ApiError as error:
        health.unread.append(Unread(what=f"the log of build {build.id}", error=error))
        return None


def _failure(health: Health, worker: str, build: Build, cause: Failure | None) -> None:
    if cause:
        health.add(f"worker/{worker}", cause.name, f"{cause.summary} (build {build.id})", cause.hint)


def _stale(
    health: Health,
    observed: Observed,
    api: Api,
    tags: Sequence[str],
    *,
    latest: Mapping[str, Build],
    now: datetime,
    days: int,
) -> None:
    """Workers without a successful build for so long; the list of builds is read only where the latest failed."""
    limit = now - timedelta(days=days)
    for tag in tags:
        last = latest.get(tag)
        found = [last] if last else []
        if last and last.build_outcome != "success" and _at(last) >= limit:
            found = _try(health, "the list of builds", api, Build.read_of(tag), Build.decode_list) or []
        if not any(one.build_outcome == "success" and _at(one) >= limit for one in found):
            summary = f"no successful build for {days} days" if found else "it was never built"
            health.add(
                f"worker/{_name(observed, tag)}", "stale", summary, "see `buildsctl builds list`, or the dashboard"
            )


def _at(build: Build) -> datetime:
    return builds.at(build.stopped_on or build.created_on) or datetime.min.replace(tzinfo=UTC)


def _name(observed: Observed, tag: str) -> str:
    return next((name for name, one in observed.tags.items() if one == tag), tag)
