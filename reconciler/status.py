"""Compare what the last build of each declared trigger really used with what is live now. Pure.

A build embeds its trigger's settings as they were when it began (reference, *Builds*: `build_trigger_metadata`), so a
difference is a change that no build has used yet. Secrets are neither shown nor compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from reconciler import ownership
from reconciler.affected import takes_branch
from reconciler.diff import normal
from reconciler.kinds.build import Build
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import Action, Address, Disposition, FieldChange, Live, Plan, Secret, Unread, Value
from reconciler.states import Desired, Observed

FIELDS = ("build_command", "deploy_command", "root_directory")


class State(StrEnum):
    AS_CONFIGURED = "as-configured"
    NOT_BUILT_SINCE = "not-built-since"
    NEVER_BUILT = "never-built"
    NOT_AMONG_LAST = "not-among-last"  # of the Worker's last builds, which is as far as anybody looked
    NOT_LIVE = "not-live"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A declared trigger. `differences` are from what the build used to what is live: None is absent, a `Secret` one
    that nobody shows. `pending`: what is live is not what the manifests say. `not_compared` counts secrets."""

    address: Address
    state: State
    build: Build | None = None
    differences: tuple[FieldChange, ...] = ()
    not_compared: int = 0
    pending: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Last:
    """The last build of each live trigger, by its UUID; `searched` are tags of Workers with more builds than were
    looked at, `unread` those whose builds could not be read."""

    builds: Mapping[str, Build] = field(default_factory=dict)
    searched: frozenset[str] = frozenset()
    unread: Mapping[str, Unread] = field(default_factory=dict)


def matched(desired: Desired, observed: Observed, plan: Plan) -> dict[Address, Live[Trigger]]:
    """The live trigger that each declared one means; those that are not live, or were not read, are left out."""
    lives = {plan.addresses.get(live.id): live for live in observed.triggers}
    return {one.address: lives[one.address] for one in desired.triggers if one.address in lives}


def status(desired: Desired, observed: Observed, plan: Plan, last: Last) -> list[Row]:
    """A row a declared trigger, in the order of the plan."""
    lives = matched(desired, observed, plan)
    pending = {
        change.address.path[:2]
        for change in plan.changes
        if change.address.kind in (Trigger.kind, EnvVar.kind)
        and change.action is not Action.NO_OP
        and change.disposition is not Disposition.ADOPT
    }
    order = sorted((one.address for one in desired.triggers), key=lambda address: address.path)
    return [_row(address, lives.get(address), observed, last, pending=address.path in pending) for address in order]


def _row(address: Address, live: Live[Trigger] | None, observed: Observed, last: Last, *, pending: bool) -> Row:
    worker = address.path[0]
    tag = observed.tags.get(worker, "")
    unread = observed.unread_workers.get(worker) or (None if tag else observed.unread_scripts)
    if live is None and unread:
        return Row(address=address, state=State.UNKNOWN, reason=str(unread))
    row = Row(address=address, state=State.NOT_LIVE, pending=pending)
    if live is None:
        return replace(row, reason="declared, and not applied yet" if tag else "its Worker does not exist")
    build = last.builds.get(live.id)
    if build is None and tag in last.unread:
        return replace(row, state=State.UNKNOWN, reason=str(last.unread[tag]))
    if build is None:
        return replace(row, state=State.NOT_AMONG_LAST if tag in last.searched else State.NEVER_BUILT)
    variables = observed.variables.get(live.id)
    reason = "its variables could not be read" if variables is None else ""
    found, not_compared = ([], 0) if variables is None else _variables(variables, build)
    differences = (*_fields(live.resource, build, observed), *found)
    state = State.NOT_BUILT_SINCE if differences else State.UNKNOWN if reason else State.AS_CONFIGURED
    return replace(row, state=state, build=build, differences=differences, not_compared=not_compared, reason=reason)


def _fields(live: Trigger, build: Build, observed: Observed) -> Iterator[FieldChange]:
    """Commands, root, token and branch, as far as the build says what it used: would a push to its branch build now? A
    person may start any branch by hand."""
    for name in FIELDS:
        if name in build.metadata:
            used, now = build.told(name), live.fields[name]
            if normal(name, used) != normal(name, now):
                yield FieldChange(path=name, before=used, after=now)
    used, now = build.told("build_token_uuid"), str(live.build_token_uuid)
    if used and used != now:
        names = {one.id: one.resource.build_token_name for one in observed.tokens}
        before = build.told("build_token_name") or names.get(used, used)
        yield FieldChange(path="build_token", before=before, after=names.get(now, now))
    branch = build.told("branch")
    if branch and build.told("build_trigger_source") != "manual" and not takes_branch(live, branch):
        yield FieldChange(path="branch_includes", before=(branch,), after=live.branch_includes)


def _variables(live: Mapping[str, EnvVar], build: Build) -> tuple[list[FieldChange], int]:
    """Plain values are compared, of secrets only whether they are there. The marker is no variable."""
    used = build.metadata.get("environment_variables")
    if not isinstance(used, dict):
        return [], sum(name != ownership.MARKER for name in live)
    differences, not_compared = [], 0
    for name in sorted({*used, *live} - {ownership.MARKER}):
        before, after = _used(used[name]) if name in used else None, _now(live.get(name))
        if isinstance(before, Secret) and isinstance(after, Secret):
            not_compared += 1
        elif isinstance(used.get(name), str) and after is not None and before != after:
            # The reference's form, a bare text, does not say whether it is a secret: then it is treated as one.
            not_compared += 1
        elif before != after:
            differences.append(FieldChange(path=f"environment_variables.{name}", before=before, after=after))
    return differences, not_compared


def _used(one: object) -> Value:
    """A variable as a build embeds it: an object in reality, a text in the reference (field notes, Builds)."""
    if not isinstance(one, dict) or one.get("is_secret"):
        return Secret(None)
    value = one.get("value")
    return value if isinstance(value, str) else ""


def _now(one: EnvVar | None) -> Value:
    if one is None:
        return None
    return one.value if isinstance(one.value, str) and not one.is_secret else Secret(None)
