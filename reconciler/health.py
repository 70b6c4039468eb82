"""Look for what matches the manifests and is broken all the same: tokens, builds, minutes, repositories.

Costs one request for the limits, one for 20 Workers' latest builds, one for each repository, branch and folder,
and the log of each Worker whose latest build failed; the age of the last success, the list of builds of each Worker
whose latest build was none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain

from reconciler import builds, probe
from reconciler.answers import NO_ROUTE
from reconciler.api import Api
from reconciler.drift import Finding, Kind, finding
from reconciler.errors import AnswerError, ApiError, Diagnostic, NotFoundError, Severity
from reconciler.kinds.build import SUCCESS, Build
from reconciler.kinds.failure import DEAD_TOKEN
from reconciler.kinds.limits import Limits
from reconciler.kinds.repository import Repository
from reconciler.kinds.trigger import Trigger
from reconciler.lookup import each
from reconciler.model import Live, Plan, Request, Unread
from reconciler.states import Desired, Observed


def look(
    desired: Desired, observed: Observed, plan: Plan, api: Api, *, now: datetime, health: bool, stale_days: int
) -> Health:
    """The health of the declared Workers' live triggers, and whether they built in so many days. Sends GETs only."""
    seen = Health(desired=desired, observed=observed, plan=plan, api=api)
    if health:
        seen.tokens()
        seen.failures()
        seen.minutes()
        seen.repositories(probe.live(desired, observed, plan))
    if stale_days:
        seen.stale(stale_days, now)
    seen.findings.sort(key=lambda one: (one.address, one.id))
    return seen


@dataclass(kw_only=True)
class Health:
    """What was found, what could not be looked at, and what nobody can tell. Each method looks at one thing."""

    desired: Desired
    observed: Observed
    plan: Plan
    api: Api
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    @cached_property
    def triggers(self) -> Mapping[str, Live[Trigger]]:
        """Those of the declared Workers, by UUID."""
        return {live.id: live for live in self.observed.triggers if live.scope in self.desired.workers}

    @cached_property
    def workers(self) -> Mapping[str, str]:
        """The Workers that have a trigger: name by tag."""
        tags = self.observed.tags
        return dict(sorted((tags[live.scope], live.scope) for live in self.triggers.values() if live.scope in tags))

    @cached_property
    def latest(self) -> tuple[Mapping[str, Build], Mapping[str, Unread]]:
        """Each Worker's latest build, and those that could not be read, by tag."""
        found, unread = builds.newest(self.api, self.workers, self.workers)
        self.unread += dict.fromkeys(unread.values())
        return {tag: build for tag, build in found.items() if tag in self.workers}, unread

    def tokens(self) -> None:
        """Is the build token of each trigger still there?"""
        known = {live.id for live in self.observed.tokens}
        for live in self.triggers.values() if not self.observed.unread_tokens else ():
            uuid = str(live.resource.build_token_uuid)
            if uuid and uuid not in known:
                hint = "give it another `build_token`, and apply"
                self._add(
                    probe.address_of(self.plan, live), "token-gone", "its build token is gone: every build fails", hint
                )

    def failures(self) -> None:
        """Why did each Worker's latest build fail, where its log tells it?"""
        latest, untold = self.latest[0], 0
        failed = {tag: build for tag, build in latest.items() if build.has_failed}
        causes = each(self.api, lambda build: builds.cause(self.api, build), failed.values())
        for (tag, build), cause in zip(failed.items(), causes, strict=True):
            if isinstance(cause, ApiError):
                self.unread.append(Unread(what=f"the log of build {build.id}", error=cause))
            elif cause is None:
                untold += 1
            elif cause.name != DEAD_TOKEN or not self._is_mended(tag, build):
                live = self.triggers.get(build.trigger_uuid)
                address = probe.address_of(self.plan, live) if live else f"worker/{self.workers[tag]}"
                self._add(address, cause.name, f"{cause.summary} (build {build.id})", cause.hint)
        if untold:
            summary = f"{untold:,} of {len(latest):,} latest builds failed for a cause that the log does not tell"
            self._note(summary, "`buildsctl builds latest` lists them")

    def _is_mended(self, tag: str, build: Build) -> bool:
        """The Worker's triggers have other tokens than the one that the build died of; none has built since."""
        used = {
            str(live.resource.build_token_uuid) for live in self.triggers.values() if live.scope == self.workers[tag]
        }
        return bool(build.told("build_token_uuid")) and not used & {"", build.told("build_token_uuid")}

    def minutes(self) -> None:
        """Are the account's build minutes used up?"""
        try:
            found = self.api.get(Limits.read(), Limits.decode)
        except ApiError as error:
            if not isinstance(error, NotFoundError) or error.code in NO_ROUTE:  # else there are no limits
                self.unread.append(Unread(what="the account's limits", error=error))
            return
        if found.has_reached_build_minutes_limit:
            until = f" until {found.build_minutes_refresh_on}" if found.build_minutes_refresh_on else ""
            self._add("account", "minutes", f"the build minutes are used up{until}: nothing builds", "wait, or upgrade")

    def repositories(self, subjects: Iterable[probe.Subject]) -> tuple[int, int]:
        """Does Builds reach the repositories of triggers, one request for each repository, branch and folder, and does
        it find the Workers' names there? How many triggers got an answer, and how many names could be compared."""
        asked: dict[Request, list[probe.Subject]] = {}
        left_out: dict[str, list[str]] = {}
        answered = compared = 0
        for one in subjects:
            if one.connection and one.branch:
                asked.setdefault(Repository.read(one.connection, one.branch, one.folder), []).append(one)
            else:
                why = "it names no branch that has to be there" if one.connection else "its repository is not known"
                left_out.setdefault(why, []).append(one.address)
        answers = each(self.api, lambda request: self.api.get(request, Repository.decode), asked)
        for those, answer in zip(asked.values(), answers, strict=True):
            if isinstance(answer, ApiError) and not probe.is_an_answer(answer):
                place = f"{those[0].repository} on `{those[0].branch}` in `{those[0].folder}`"
                self.unread.append(Unread(what=f"whether Builds reaches {place}", error=answer))
                continue
            answered += len(those)
            for one in those:
                if isinstance(answer, ApiError):
                    self._add(one.address, *probe.unreachable(one, answer))
                    continue
                name = answer.worker_name(one.trigger.deploy_command, one.environment)
                compared += bool(name)
                if name and name != one.worker:
                    where = f"{answer.config_file or 'the Wrangler file'} in `{one.folder}`"
                    summary = f"{where} names the Worker `{name}`, this one is `{one.worker}`: builds fail"
                    hint = "make the names equal, or give the deploy command the right `--env`"
                    self._add(one.address, "name", summary, hint)
        for why, addresses in left_out.items():
            more = f" and {len(addresses) - 1:,} more" if addresses[1:] else ""
            self._note(f"not asked whether Builds reaches the repository of {addresses[0]}{more}: {why}")
        return answered, compared

    def stale(self, days: int, now: datetime) -> None:
        """Did each Worker build with success in the last `days`?"""
        latest, unread = self.latest
        tags = [tag for tag in self.workers if tag not in unread]
        limit = now - timedelta(days=days)
        successes = each(self.api, lambda tag: _success(self.api, tag, latest.get(tag), limit), tags)
        for tag, found in zip(tags, successes, strict=True):
            if isinstance(found, ApiError):
                self.unread.append(Unread(what=f"when Worker `{self.workers[tag]}` built with success", error=found))
            elif not found:
                worker = self.workers[tag]
                summary, hint = f"no successful build for {days} days", "see `buildsctl builds list`, or the dashboard"
                if found is None:
                    summary, hint = "it was never built", builds.first_build(worker)
                self._add(f"worker/{worker}", "stale", summary, hint)

    def _add(self, address: str, name: str, summary: str, hint: str) -> None:
        self.findings.append(finding(Kind.HEALTH, address, summary, name, hint=hint))

    def _note(self, summary: str, hint: str = "") -> None:
        self.notes.append(Diagnostic(severity=Severity.WARNING, summary=summary, hint=hint))


def _success(api: Api, tag: str, latest: Build | None, limit: datetime) -> bool | None:
    """Did the Worker build with success since `limit`? None: it never built. Where the latest build does not tell, the
    list of builds, newest first, is read as far back as the limit."""
    if latest and latest.build_outcome == SUCCESS and (ended := _ended(latest)):
        return ended >= limit
    built, odd = latest is not None, False
    for build in chain.from_iterable(builds.of_worker(api, tag)):
        built, ended, made = True, _ended(build), builds.at(build.created_on)
        if build.build_outcome == SUCCESS:
            if ended and ended >= limit:
                return True
            odd = odd or ended is None
        if made and made < limit:
            break
    if odd:
        raise AnswerError("a successful build has no time that can be read")
    return False if built else None


def _ended(build: Build) -> datetime | None:
    return builds.at(build.stopped_on or build.created_on)
