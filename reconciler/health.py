"""Look for what matches the manifests and is broken all the same: tokens, repositories, names, minutes, builds.

Costs one request for the limits, one for 20 Workers' latest builds, one for each repository, branch and folder,
and one for the log of each Worker whose latest build failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler import builds, ownership
from reconciler.api import CONNECTIONS, Api
from reconciler.drift import Finding, Kind, finding
from reconciler.errors import ApiError, NotFoundError
from reconciler.kinds.build import AT_ONCE, Build
from reconciler.kinds.connection import Connection
from reconciler.kinds.failure import Failure
from reconciler.kinds.limits import Limits
from reconciler.kinds.repository import Repository
from reconciler.kinds.trigger import Trigger
from reconciler.model import Live, Request, Unread
from reconciler.states import Desired, Observed

NOT_AUTHORISED = 8000008


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
    _tokens(health, observed, triggers)
    with ThreadPoolExecutor(max_workers=CONNECTIONS) as pool:
        limits = pool.submit(_try, health, "the account's limits", api, Limits.read(), Limits.decode)
        tags = sorted({observed.tags[live.scope] for live in triggers if live.scope in observed.tags})
        chunks = [tags[start : start + AT_ONCE] for start in range(0, len(tags), AT_ONCE)]
        asked = [
            pool.submit(_try, health, "the latest builds", api, Build.read_latest(one), Build.decode_map)
            for one in chunks
        ]
        probes = _probes(observed, triggers)
        repositories = {key: pool.submit(_probe, health, api, *key) for key in probes}
        latest = {tag: build for one in asked for tag, build in (one.result() or {}).items()}
        failed = {tag: build for tag, build in latest.items() if build.has_failed}
        causes = {tag: pool.submit(_cause, health, api, build) for tag, build in failed.items()}
        for key, lives in probes.items():
            _repositories(health, observed, repositories[key].result(), key, lives)
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


def _tokens(health: Health, observed: Observed, triggers: Iterable[Live[Trigger]]) -> None:
    known = {live.id for live in observed.tokens}
    for live in triggers if not observed.unread_tokens else ():
        if str(live.resource.build_token_uuid) not in known:
            hint = "give it another `build_token`, and apply"
            health.add(_address(observed, live), "token-gone", "its build token is gone: every build fails", hint)


Key = tuple[Connection, str, str]
"""What a probe is about: connection, branch and folder."""


def _probes(observed: Observed, triggers: Iterable[Live[Trigger]]) -> dict[Key, list[Live[Trigger]]]:
    connections = {live.id: live.resource for live in observed.connections if not live.resource.deleted}
    probes: dict[Key, list[Live[Trigger]]] = {}
    for live in triggers:
        connection = connections.get(str(live.resource.repo_connection_uuid))
        if connection:
            key = (connection, branch_of(live.resource), live.resource.root_directory.strip("/"))
            probes.setdefault(key, []).append(live)
    return probes


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


def _repositories(
    health: Health, observed: Observed, found: Repository | ApiError | None, key: Key, lives: Sequence[Live[Trigger]]
) -> None:
    connection, branch, folder = key
    where = f"{connection.provider_account_name}/{connection.repo_name}"
    for live in lives if isinstance(found, ApiError) else ():
        if isinstance(found, ApiError) and found.code == NOT_AUTHORISED:
            summary = f"the GitHub App is not authorised for the owner of {where}: was the repository transferred?"
            hint = "put the new owner's id as `provider_account_id`, or install the App there"
            health.add(_address(observed, live), "owner", summary, hint)
        else:
            summary = f"Builds cannot reach {where}, its branch `{branch}` or the folder `/{folder}`"
            hint = (
                "check branch and `root_directory`, and that the Cloudflare Workers and Pages App sees the repository"
            )
            health.add(_address(observed, live), "unreachable", summary, hint)
    for live in lives if isinstance(found, Repository) else ():
        variables = observed.variables.get(live.id, {})
        plain = {name: one.value for name, one in variables.items() if isinstance(one.value, str)}
        expected = found.worker_name(live.resource.deploy_command, plain) if isinstance(found, Repository) else ""
        if expected and expected != live.scope:
            file = found.config_file or "the Wrangler file" if isinstance(found, Repository) else ""
            summary = f"{file} in `/{folder}` names the Worker `{expected}`, this one is `{live.scope}`: builds fail"
            hint = "make the names equal, or give the deploy command the right `--env`"
            health.add(_address(observed, live), "name", summary, hint)


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


def _address(observed: Observed, live: Live[Trigger]) -> str:
    """By its marker's key, else by its name."""
    marker = ownership.read(observed.variables.get(live.id, {}), live.id)
    key = marker.key if isinstance(marker, ownership.Marker) else live.resource.trigger_name
    return f"trigger/{live.scope}/{key}"
