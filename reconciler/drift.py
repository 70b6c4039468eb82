"""What is live that the manifests do not say, as findings with stable ids. Pure.

| kind | what |
| --- | --- |
| live | somebody changed it outside buildsctl, or nobody can tell who did; a variable that should exist and does not |
| pending | the manifests changed and were not applied yet; adopts |
| unmanaged | live, and nobody declares it: kept |
| health | matches the manifests, and is broken all the same (`health.py`) |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler import ownership
from reconciler.diff import normal
from reconciler.errors import BuildsctlError, Severity
from reconciler.kinds.token import TokenReference
from reconciler.model import Action, Address, Cause, Change, Disposition, Plan, Secret, Value
from reconciler.states import Desired, Observed


class Kind(StrEnum):
    LIVE = "live"
    PENDING = "pending"
    UNMANAGED = "unmanaged"
    HEALTH = "health"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that differs or is broken. `id` is the same in every run that finds the same thing."""

    id: str
    kind: Kind
    address: str
    summary: str
    hint: str = ""
    change: Change | None = None


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a run was told to look at."""

    paths: tuple[str, ...] = ()
    everything: bool = False
    health: bool = False
    stale_days: int = 0

    def covers(self, other: Reach, kind: str) -> bool:
        """Would this run see what the other one saw of a kind?"""
        if kind == Kind.UNMANAGED and other.everything and not self.everything:
            return False
        if kind == Kind.HEALTH and ((other.health and not self.health) or (other.stale_days and not self.stale_days)):
            return False
        return self.paths == other.paths

    def with_that_of(self, other: Reach) -> Reach:
        """What one of both was told to look at."""
        return Reach(
            paths=other.paths,
            everything=self.everything or other.everything,
            health=self.health or other.health,
            stale_days=self.stale_days or other.stale_days,
        )


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The findings of an earlier run, by id, and what it looked at."""

    rows: Mapping[str, Mapping[str, str]]
    reach: Reach


@dataclass(frozen=True, kw_only=True)
class Report:
    """Findings in order; `known` are ids that the baseline has too, `again` new ones of what it has under another id,
    as it was changed once more; `gone` its findings that are no more, `unseen` those that this run could not look for.
    `failure` is what stopped the run."""

    plan: Plan
    findings: tuple[Finding, ...]
    reach: Reach
    known: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    gone: tuple[Mapping[str, str], ...] = ()
    unseen: tuple[Mapping[str, str], ...] = ()
    compared: bool = False
    failure: BuildsctlError | None = None

    def fails(self, kinds: Collection[str]) -> bool:
        """Is there a finding of these kinds, a new one where there is a baseline?"""
        return any(one.kind in kinds and one.id not in self.known for one in self.findings)


def finding(
    kind: Kind, address: str, summary: str, *parts: str, hint: str = "", change: Change | None = None
) -> Finding:
    """`parts` tell apart what the address alone does not; neither wording nor time is part of the id."""
    text = json.dumps([kind, address, *parts])
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return Finding(id=f"{kind}-{digest}", kind=kind, address=address, summary=summary, hint=hint, change=change)


def findings(plan: Plan, observed: Observed) -> list[Finding]:
    """Those of a plan, one for each row that says something, and one for each declaration that leads nowhere."""
    lost = [one for one in plan.diagnostics if one.severity is Severity.ERROR]
    nowhere = [finding(Kind.LIVE, one.address, one.summary, "nowhere", hint=one.hint) for one in lost]
    return [*nowhere, *(one for change in plan.changes if (one := _of(_caused(change, observed))))]


def _caused(change: Change, observed: Observed) -> Change:
    """Where a trigger differs only in a build token that is gone, the manifests are not what moved."""
    known = {"", *(one.id for one in observed.tokens)}
    gone = [one.path == "build_token_uuid" and one.before not in known for one in change.fields]
    lost = gone and all(gone) and not observed.unread_tokens and change.cause is Cause.MANIFEST
    return replace(change, cause=Cause.LIVE) if lost else change


def _of(change: Change) -> Finding | None:
    address = str(change.address)
    if change.disposition is Disposition.UNKNOWN:
        return None  # nobody could look: told beside the findings
    if change.disposition is Disposition.REFUSED:
        kind = Kind.PENDING if change.cause is Cause.MANIFEST else Kind.LIVE
        return finding(kind, address, change.reason, "refused", change=change)
    if change.action is Action.NO_OP:
        if change.disposition in (Disposition.KEPT, Disposition.ORPHAN):
            return finding(Kind.UNMANAGED, address, change.reason, change=change)
        if change.address.kind == "env" and change.after and _has_no_value(change.after):
            if change.before is None:
                return finding(Kind.LIVE, address, "declared without a value, and not there", "missing", change=change)
            if change.before["is_secret"] != change.after["is_secret"]:
                return finding(Kind.LIVE, address, change.reason, "is_secret", change=change)
        return None
    theirs = change.cause in (Cause.LIVE, Cause.BOTH, Cause.UNKNOWN) and change.disposition is not Disposition.ADOPT
    named = change.disposition is Disposition.ORPHAN and change.action is Action.DELETE
    kind = Kind.LIVE if theirs and not named else Kind.PENDING
    moved = [f"{one.path}={_shown(normal(one.path, one.before))}" for one in change.fields]
    return finding(kind, address, change.reason, change.action, *moved, change=change)


def _has_no_value(after: Mapping[str, Value]) -> bool:
    """Declared as "should exist": neither a value nor a source."""
    value = after["value"]
    return value is None or (isinstance(value, Secret) and not value.source and value.value is None)


def _shown(value: Value) -> str:
    """A live value as part of an id: another edit by hand is another finding. Secrets say nothing."""
    if isinstance(value, Secret | Address):
        return ""
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)


def undeclared(desired: Desired, observed: Observed) -> list[Finding]:
    """Triggers of Workers that nobody declares, where every Worker was read, and tokens that nobody names."""
    declared = {observed.tags[name] for name in desired.workers if name in observed.tags}
    found = []
    for live in observed.triggers:
        if live.scope in desired.workers or (observed.workers or {}).get(live.scope) in declared:
            continue
        marker = ownership.read(observed.variables.get(live.id, {}), live.id)
        told = "nobody declares its Worker"
        if isinstance(marker, ownership.Marker):
            ours = marker.owner == desired.owner
            gone = "ours, and nobody declares its Worker any more: --prune deletes it"
            told = gone if ours else f"owner `{marker.owner}` manages it"
        found.append(finding(Kind.UNMANAGED, f"trigger/{live.scope}/{live.resource.trigger_name}", told, live.id))
    return found


def unused_tokens(desired: Desired, observed: Observed, plan: Plan) -> list[Finding]:
    """Build tokens that neither the manifests name nor any trigger that was read uses."""
    used = {one.resource.build_token_uuid for one in observed.triggers} | set(plan.ids.values())
    rows = {change.address.name for change in plan.changes if change.address.kind == "token"}
    rows |= {one.resource.build_token_name for one in desired.tokens if isinstance(one.resource, TokenReference)}
    found = []
    for live in observed.tokens:
        name = live.resource.build_token_name
        generation = ownership.read_token_name(name)
        ours = generation and generation.owner == desired.owner  # old generations are rows of the plan
        if not ours and live.id not in used and name not in rows:
            told = "no trigger that was read uses it, and nobody declares it"
            found.append(finding(Kind.UNMANAGED, f"token/{name}", told, live.id))
    return found


def report(
    plan: Plan, found: Sequence[Finding], reach: Reach, baseline: Baseline | None, failure: BuildsctlError | None = None
) -> Report:
    """What was found, against the baseline. Only what was looked for, and could be read, can be gone; the rest stays
    in the report, so that the next run still knows it. With it stays what the baseline looked at."""
    before = baseline or Baseline(rows={}, reach=reach)
    ids = {one.id for one in found}
    proves = not plan.unread and not failure
    new = {(str(one.kind), one.address): one.id for one in found if one.change and one.id not in before.rows}
    again: set[str] = set()
    gone: list[Mapping[str, str]] = []
    unseen: list[Mapping[str, str]] = []
    for row in (row for key, row in before.rows.items() if key not in ids):
        changed = new.get((row["kind"], row["address"]))
        if changed:
            again.add(changed)
        else:
            (gone if proves and reach.covers(before.reach, row["kind"]) else unseen).append(row)
    return Report(
        plan=plan,
        findings=tuple(found),
        reach=reach.with_that_of(before.reach) if unseen else reach,
        known=frozenset(ids & before.rows.keys()),
        again=frozenset(again),
        gone=tuple(gone),
        unseen=tuple(unseen),
        compared=baseline is not None,
        failure=failure,
    )
