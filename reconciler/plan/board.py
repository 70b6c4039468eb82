"""What deciding writes on, one run long: the rows, writes, refusals and warnings found so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler import ownership
from reconciler.errors import Diagnostic, Position, Severity
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import Action, Address, Change, Declared, Live, Ref, Refusal, Resource, Step, Trial, Unread, row
from reconciler.plan.steps import Branch
from reconciler.states import Desired, Observed

MAX_DELETES = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person may add to the decision; each glob matches addresses (DESIGN section 4).

    `key` tells whether secrets changed, where there is one.
    """

    take_over: tuple[str, ...] = ()
    delete_unmanaged: tuple[str, ...] = ()
    accept_secret_loss: tuple[str, ...] = ()
    rewrite_secrets: tuple[str, ...] = ()
    key: ownership.FingerprintKey | None = None
    max_deletes: int = MAX_DELETES
    prune: bool = False
    target: tuple[str, ...] = ()
    changed_since: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A live trigger with its variables and what its marker says."""

    live: Live[Trigger]
    variables: Mapping[str, EnvVar]
    marker: ownership.Marker | ownership.Newer | None
    unread: Unread | None

    def ours(self, owner: str | None) -> ownership.Marker | None:
        """The marker, where it proves that `owner` made or adopted the trigger."""
        found = self.marker
        return found if isinstance(found, ownership.Marker) and found.owner == owner else None


@dataclass(kw_only=True)
class Board:
    """The only mutable value of a decision. `first`, `branches` and `last` are writes in order: connections
    and tokens, then Worker by Worker, then deletes of what nothing uses any more.

    `after` is what becomes of a live trigger, by its UUID, None where it goes; `addresses` what each is called;
    `made` are new ones.
    `replacing` are tokens still to be made that take the place of one that a live trigger works with;
    `trials` what the secret of a managed token has to prove then, where its source gives it.
    `ids` holds what is bound; `failed` the addresses that lead nowhere, `unknown` those that could not
    be read, each with the reason.
    """

    desired: Desired
    observed: Observed
    options: Options
    changes: list[Change] = field(default_factory=list)
    first: list[Step] = field(default_factory=list)
    branches: dict[str, Branch] = field(default_factory=dict)
    last: list[Step] = field(default_factory=list)
    after: dict[str, tuple[Address, Trigger | None]] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    made: dict[Address, Trigger] = field(default_factory=dict)
    replacing: set[Address] = field(default_factory=set)
    trials: dict[Ref, Trial] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    ids: dict[Address, str] = field(default_factory=dict)
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
        found = self.observed.variables.get(live.id, {})
        unread = self.observed.unread_variables.get(live.id)
        return Seen(live=live, variables=found, marker=ownership.read(found, live.id), unread=unread)

    def branch(self, worker: str) -> Branch:
        """The writes of one Worker."""
        return self.branches.setdefault(worker, Branch(name=f"worker/{worker}"))

    def bind(self, ref: Ref) -> Ref:
        """The id of `ref` where it is known, else its address."""
        return self.ids.get(ref, ref) if isinstance(ref, Address) else ref

    def warn(self, summary: str, *, hint: str = "", address: Address, position: Position | None) -> None:
        self._say(Severity.WARNING, summary, hint=hint, address=address, position=position)

    def fail(self, summary: str, *, hint: str, address: Address, position: Position | None) -> None:
        """`address` leads nowhere; what refers to it fails with it, the rest of the plan goes on."""
        self.failed[address] = summary
        self._say(Severity.ERROR, summary, hint=hint, address=address, position=position)

    def _say(self, severity: Severity, summary: str, *, hint: str, address: Address, position: Position | None) -> None:
        self.diagnostics.append(
            Diagnostic(severity=severity, summary=summary, hint=hint, address=str(address), position=position)
        )

    def users(self, live: str, *, is_connection: bool = False) -> tuple[list[Address | str], list[Address]]:
        """Who still uses the token or connection `live` after the run, and who uses it until then. A trigger
        whose connection the API does not show may use any."""
        still: list[Address | str] = []
        until: list[Address] = []
        for one in self.observed.triggers:
            uses = (one.resource.build_token_uuid, one.resource.repo_connection_uuid)
            address, after = self.after.get(one.id, (None, one.resource))
            hidden = after is not None and not after.repo_connection_uuid and is_connection
            if after and (hidden or live in (after.build_token_uuid, after.repo_connection_uuid)):
                still.append(address or f"trigger `{one.resource.trigger_name}` of Worker `{one.scope}`")
            elif live in uses and address:
                until.append(address)
        used = any(live in (one.build_token_uuid, one.repo_connection_uuid) for one in self.made.values())
        return [*still, *(["a new trigger"] if used else [])], until

    def refuse(self, address: Address, summary: str, *, detail: str = "", hint: str = "") -> None:
        self.refusals.append(Refusal(summary=summary, detail=detail, hint=hint, address=address))

    def refuse_all(self, summary: str, *, hint: str) -> None:
        """The plan as a whole is refused."""
        self.refusals.append(Refusal(summary=summary, hint=hint))

    def row(self, where: Address | Declared[Resource], action: Action = Action.NO_OP, **more: Any) -> None:
        """Write a row down; see `model.row`."""
        self.changes.append(row(where, action, **more))

    def selected(self, address: Address) -> bool:
        """May this be changed? Under `--target` only what it names."""
        return not self.options.target or self.named(address, self.options.target)

    def named(self, address: Address, globs: Iterable[str]) -> bool:
        """Did the user name this address?"""
        return any(address.matches(glob) for glob in globs)
