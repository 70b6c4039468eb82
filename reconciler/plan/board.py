"""What deciding writes on, one run long: the rows, writes, refusals and warnings found so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, auto
from typing import Any

from reconciler import ownership
from reconciler.errors import Diagnostic, Severity
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import (
    Action,
    Address,
    Change,
    Declared,
    Live,
    Plan,
    Ref,
    Refusal,
    Request,
    Resource,
    Step,
    Trial,
    Unread,
)
from reconciler.states import Desired, Observed

MAX_DELETES = 5
RANKS = {"connection": 0, "token": 1, "trigger": 2, "env": 2}
WITHHELD = "not deleted, since not everything could be read"


class Phase(IntEnum):
    """The order of writes (DESIGN section 6). What stands between tokens and the last is done Worker by Worker."""

    CONNECTIONS = auto()
    TOKENS = auto()
    DELETES = auto()
    CREATES = auto()
    UPDATES = auto()
    VARIABLES = auto()  # for each trigger a DELETE for each key that goes, then a PATCH of the others and the marker
    RELEASES = auto()  # the real watch paths of triggers that could not build before their variables were there
    LAST = auto()  # deletes of what nothing uses any more


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person may add to the decision; each glob matches addresses (DESIGN section 4)."""

    take_over: tuple[str, ...] = ()
    delete_unmanaged: tuple[str, ...] = ()
    accept_secret_loss: tuple[str, ...] = ()
    rewrite_secrets: tuple[str, ...] = ()
    key: ownership.FingerprintKey | None = None  # tells whether secrets changed
    max_deletes: int = MAX_DELETES
    prune: bool = False
    target: tuple[str, ...] = ()
    changed_since: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A live trigger with its variables and its marker; `ours` is that, where it proves that this owner made or
    adopted the trigger, `newer` the format of one that this version does not know."""

    live: Live[Trigger]
    variables: Mapping[str, EnvVar]
    marker: ownership.Marker | None
    ours: ownership.Marker | None
    newer: int
    unread: Unread | None


def called(live: Live[Trigger]) -> str:
    """A live trigger that has no address."""
    return f"trigger `{live.resource.trigger_name}` of Worker `{live.scope}`"


@dataclass(kw_only=True)
class Board:
    """The only mutable value of a decision.

    `after` is what becomes of a live trigger, by its UUID, None where it goes; `addresses` what each is called; `made`
    are new ones. `replacing` are tokens still to be made that take the place of one that a live trigger works with;
    `trials` what the secret of a managed token has to prove then, where its source gives it. `ids` holds what is bound;
    `used` the UUIDs of tokens that the manifests stand for; `failed` the addresses that lead nowhere, `unknown` those
    that could not be read, each with the reason.
    """

    desired: Desired
    observed: Observed
    options: Options
    changes: list[Change] = field(default_factory=list)
    writes: list[tuple[Phase, Step]] = field(default_factory=list)
    after: dict[str, tuple[Address, Trigger | None]] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    made: dict[Address, Trigger] = field(default_factory=dict)
    replacing: set[Address] = field(default_factory=set)
    trials: dict[Ref, Trial] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    ids: dict[Address, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    failed: dict[Address, str] = field(default_factory=dict)
    unknown: dict[Address, str] = field(default_factory=dict)

    @property
    def owner(self) -> str | None:
        return self.desired.owner

    @property
    def may_destroy(self) -> bool:
        """Whoever could not look everywhere deletes and replaces nothing (DESIGN, principle 3)."""
        return not self.observed.unread

    def look(self, live: Live[Trigger]) -> Seen:
        """`live` with its variables and its marker."""
        variables = self.observed.variables.get(live.id, {})
        found = ownership.read(variables, live.id)
        marker = found if isinstance(found, ownership.Marker) else None
        laid_open = {
            key: replace(one, laid_open=True)
            for key, one in variables.items()
            if marker and not one.is_secret and marker.is_secret(key)
        }
        return Seen(
            live=live,
            variables={**variables, **laid_open} if laid_open else variables,
            marker=marker,
            ours=marker if marker and marker.owner == self.owner else None,
            newer=found.version if isinstance(found, ownership.Newer) else 0,
            unread=self.observed.unread_variables.get(live.id),
        )

    def write(self, phase: Phase, request: Request, *covers: Address, branch: str = "", **more: Any) -> None:
        """Add a step. Those of a Worker are a branch."""
        if covers[0].kind in (Trigger.kind, EnvVar.kind):
            branch = branch or f"worker/{covers[0].path[0]}"
        self.writes.append((phase, Step(covers=covers, request=request, branch=branch, **more)))

    def plan(self, **more: Any) -> Plan:
        """What was decided, as one value. Rows by connections, tokens, Workers: each trigger, then its variables."""
        names = dict.fromkeys(["", *(step.branch for _, step in self.writes)])
        branches = {name: number for number, name in enumerate(names)}
        order = sorted(self.writes, key=lambda one: (one[0] is Phase.LAST, branches[one[1].branch], one[0]))
        return Plan(
            owner=self.owner,
            changes=tuple(sorted(self.changes, key=lambda one: (RANKS[one.address.kind], one.address.path))),
            # The secret of a token that replaces a working one is tried before.
            steps=tuple(
                replace(step, trial=self.trials.get(step.gives)) if step.gives in self.replacing else step
                for _, step in order
            ),
            ids=self.ids,
            refusals=tuple(self.refusals),
            diagnostics=tuple(self.diagnostics),
            unread=self.observed.unread,
            addresses=self.addresses,
            reads=self.observed.reads,
            **more,
        )

    def bind(self, ref: Ref) -> Ref:
        """The id of `ref` where it is known, else its address."""
        return self.ids.get(ref, ref) if isinstance(ref, Address) else ref

    def tell(
        self, about: Declared[Resource] | None, summary: str, *, hint: str = "", severity: Severity = Severity.WARNING
    ) -> None:
        address, position = (str(about.address), about.position) if about else ("", None)
        self.diagnostics.append(
            Diagnostic(severity=severity, summary=summary, hint=hint, address=address, position=position)
        )

    def fail(self, declared: Declared[Resource], summary: str, *, hint: str) -> None:
        """It leads nowhere; what refers to it fails with it, the rest of the plan goes on."""
        self.failed[declared.address] = summary
        self.tell(declared, summary, hint=hint, severity=Severity.ERROR)

    def users(self, live: str, *, is_connection: bool = False) -> tuple[list[Address | str], list[Address]]:
        """Who still uses the token or connection `live` after the run, and who uses it until then. A trigger
        whose connection the API does not show may use any."""
        still: list[Address | str] = []
        until: list[Address] = []
        for one in self.observed.triggers:
            address, after = self.after.get(one.id, (None, one.resource))
            hidden = after is not None and not after.repo_connection_uuid and is_connection
            if after and (hidden or after.uses(live)):
                still.append(address or called(one))
            elif one.resource.uses(live) and address:
                until.append(address)
        used = any(one.uses(live) for one in self.made.values())
        return [*still, *(["a new trigger"] if used else [])], until

    def refuse(self, address: Address | None, summary: str, *, detail: str = "", hint: str) -> None:
        """Without an address the plan as a whole is refused."""
        self.refusals.append(Refusal(summary=summary, detail=detail, hint=hint, address=address))

    def row(self, where: Address | Declared[Resource], action: Action = Action.NO_OP, **more: Any) -> None:
        """Write a change down; a declared resource brings its address, its place, and what it should be."""
        if isinstance(where, Declared):
            more.setdefault("after", where.resource.fields)
            self.changes.append(Change(address=where.address, action=action, position=where.position, **more))
        else:
            self.changes.append(Change(address=where, action=action, **more))

    def selected(self, address: Address) -> bool:
        """May this be changed? Under `--target` only what it names."""
        return not self.options.target or self.named(address, self.options.target)

    def has_row(self, glob: str) -> bool:
        return any(change.address.matches(glob) for change in self.changes)

    def has_variable(self, glob: str) -> bool:
        """Is there one live? Those of a trigger that goes have no rows."""
        lives = ((self.addresses.get(uuid), keys) for uuid, keys in self.observed.variables.items())
        return any(EnvVar.address(one, key).matches(glob) for one, keys in lives if one for key in keys)

    def named(self, address: Address, globs: Iterable[str]) -> bool:
        """Did the user name this address?"""
        return any(address.matches(glob) for glob in globs)

    def names_variable(self, trigger: Address, key: str, globs: Iterable[str]) -> bool:
        """Did the user name it, or its trigger?"""
        return any(self.named(one, globs) for one in (trigger, EnvVar.address(trigger, key)))
