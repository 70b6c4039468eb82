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
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler import ownership
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
class Report:
    """Findings in order; `known` are ids that the baseline has too, `gone` its findings that are no more."""

    plan: Plan
    findings: tuple[Finding, ...]
    known: frozenset[str] = frozenset()
    gone: tuple[Mapping[str, Any], ...] = ()
    compared: bool = False
    reads: int = 0

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


def findings(plan: Plan) -> list[Finding]:
    """Those of a plan, one for each row that says something."""
    return [one for change in plan.changes if (one := _of(change))]


def _of(change: Change) -> Finding | None:
    address = str(change.address)
    if change.disposition is Disposition.UNKNOWN:
        return None  # nobody could look: told beside the findings
    if change.disposition is Disposition.REFUSED:
        return finding(Kind.LIVE, address, change.reason, "refused", change=change)
    if change.action is Action.NO_OP:
        if change.disposition in (Disposition.KEPT, Disposition.ORPHAN):
            return finding(Kind.UNMANAGED, address, change.reason, change=change)
        if change.address.kind == "env" and change.before is None and _has_no_value(change.after):
            return finding(Kind.LIVE, address, "declared without a value, and not there", "missing", change=change)
        return None
    theirs = change.cause in (Cause.LIVE, Cause.BOTH, Cause.UNKNOWN) and change.disposition is not Disposition.ADOPT
    named = change.disposition is Disposition.ORPHAN and change.action is Action.DELETE
    kind = Kind.LIVE if theirs and not named else Kind.PENDING
    moved = [f"{one.path}={_shown(one.before)}" for one in change.fields]
    return finding(kind, address, change.reason, change.action, *moved, change=change)


def _has_no_value(after: Mapping[str, Value] | None) -> bool:
    """Declared as "should exist": neither a value nor a source."""
    value = (after or {}).get("value")
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
        whose = marker.owner if isinstance(marker, ownership.Marker) else ""
        told = f"owner `{whose}` manages it" if whose and whose != desired.owner else "nobody declares its Worker"
        if whose == desired.owner and whose:
            told = "ours, and nobody declares its Worker any more: --prune deletes it"
        found.append(finding(Kind.UNMANAGED, f"trigger/{live.scope}/{live.resource.trigger_name}", told, live.id))
    return found


def unused_tokens(desired: Desired, observed: Observed, plan: Plan) -> list[Finding]:
    """Build tokens that neither the manifests name nor any trigger that was read uses."""
    used = {one.resource.build_token_uuid for one in observed.triggers} | set(plan.ids.values())
    rows = {change.address.name for change in plan.changes if change.address.kind == "token"}
    found = []
    for live in observed.tokens:
        generation = ownership.read_token_name(live.resource.build_token_name)
        if live.id in used or (generation and generation.owner == desired.owner):
            continue  # old generations are rows of the plan
        name = live.resource.build_token_name
        if name not in rows:
            told = "no trigger that was read uses it, and nobody declares it"
            found.append(finding(Kind.UNMANAGED, f"token/{name}", told, live.id))
    return found


def compare(
    found: Sequence[Finding], baseline: Sequence[Mapping[str, Any]]
) -> tuple[frozenset[str], tuple[Mapping[str, Any], ...]]:
    """The ids that the baseline knows, and its findings that are gone."""
    ids = {one.id for one in found}
    before = {str(one.get("id")): one for one in baseline}
    return frozenset(ids & before.keys()), tuple(one for key, one in before.items() if key not in ids)
