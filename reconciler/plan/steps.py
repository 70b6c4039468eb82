"""Write down the requests that carry a Worker's changes out, in the order of DESIGN section 6.

Trigger deletes, creates, updates; then each trigger's variables: one DELETE for each key that goes, then
one PATCH with what is new or changed and the marker; last the real watch paths of triggers that were made
so that they could not build before their variables were there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.kinds import ORDER
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import PENDING_PATHS, Trigger
from reconciler.model import (
    Action,
    Address,
    Change,
    Echo,
    FieldChange,
    FingerprintDraft,
    MarkerDraft,
    Ref,
    Step,
    Trial,
    Value,
)
from reconciler.ownership import MARKER, Marker
from reconciler.states import DeclaredTrigger


@dataclass(kw_only=True)
class Variables:
    """What becomes of a trigger's variables. `entries` is the marker's `e` after the run.

    `marker` is ours, or None where the trigger is nobody's or is being taken over; `memory` is also that of
    the owner it is taken over from: it tells of declared variables, and of nothing else. `live` is the
    trigger's UUID where it has one. `unfinished` is a trigger whose creation was cut short: it still gets
    what is only sent on create. `absent` says why a variable is not there. `left` are the variables that
    stay live beside those declared with a value.
    """

    trigger: DeclaredTrigger
    marker: Marker | None = None
    memory: Marker | None = None
    live: str = ""
    unfinished: bool = False
    absent: str = "not there"
    changes: list[Change] = field(default_factory=list)
    writes: dict[str, EnvVar] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)
    entries: dict[str, str | FingerprintDraft] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    @property
    def covers(self) -> tuple[Address, ...]:
        """The rows that the one PATCH carries out."""
        return tuple(change.address for change in self.changes if change.action in (Action.CREATE, Action.UPDATE))


@dataclass(kw_only=True)
class Branch:
    """The writes of one Worker, by phase."""

    name: str
    deletes: list[Step] = field(default_factory=list)
    creates: list[Step] = field(default_factory=list)
    updates: list[Step] = field(default_factory=list)
    variables: list[Step] = field(default_factory=list)
    releases: list[Step] = field(default_factory=list)

    def __iter__(self) -> Iterator[Step]:
        yield from (*self.deletes, *self.creates, *self.updates, *self.variables, *self.releases)

    def delete(
        self,
        trigger: Address,
        live: str,
        others: tuple[Address, ...],
        *,
        needs: frozenset[Address],
        trial: Trial | None = None,
    ) -> None:
        """Delete the trigger with the UUID `live`; the variables at `others` go with it. What is made in its
        place `needs` those: where they fail, or the `trial` of its token, it stays."""
        request = Trigger.delete(live)
        covers = (trigger, *others)
        self.deletes.append(Step(covers=covers, request=request, branch=self.name, needs=needs, trial=trial))

    def create(
        self,
        trigger: Address,
        want: Trigger,
        variables: Variables,
        marker: MarkerDraft | None,
        *,
        needs: frozenset[Address],
    ) -> None:
        """A trigger that gets variables watches nothing until they are there."""
        pending = bool(variables.writes)
        made = replace(want, path_includes=PENDING_PATHS) if pending else want
        self.creates.append(
            Step(
                covers=(trigger,),
                request=made.create(),
                echo=Echo.TRIGGER,
                branch=self.name,
                gives=trigger,
                needs=needs,
            )
        )
        self._write_variables(trigger, trigger, variables, marker, shows_trigger=True)
        if pending:
            self._release(trigger, trigger, want, {"path_includes"}, variables)

    def update(
        self,
        trigger: Address,
        live: str,
        *,
        want: Trigger,
        fields: tuple[FieldChange, ...],
        variables: Variables,
        marker: MarkerDraft | None,
        trial: Trial | None,
    ) -> None:
        """Fields, then variables; the other way about where the trigger still watches nothing."""
        names = {change.path for change in fields}
        pending = any(change.path == "path_includes" and change.before == PENDING_PATHS for change in fields)
        if names and not pending:
            request = want.update(live, names)
            self.updates.append(
                Step(covers=(trigger,), request=request, echo=Echo.TRIGGER, branch=self.name, trial=trial)
            )
        for key in variables.deletes:
            self.variables.append(
                Step(covers=(EnvVar.address(trigger, key),), request=EnvVar.delete(live, key), branch=self.name)
            )
        self._write_variables(trigger, live, variables, marker, shows_trigger=bool(names))
        if pending:
            self._release(trigger, live, want, names, variables, trial=trial)

    def _write_variables(
        self, trigger: Address, live: Ref, variables: Variables, marker: MarkerDraft | None, *, shows_trigger: bool
    ) -> None:
        """One PATCH. A name leaves the marker only once its delete was answered, so it needs those."""
        body: dict[str, Value] = {key: dict(one.fields) for key, one in variables.writes.items()}
        if marker:
            body[MARKER] = {"is_secret": False, "value": marker}
        if not body:
            return
        covers = variables.covers
        if shows_trigger or not covers:
            covers = (trigger, *covers)
        self.variables.append(
            Step(
                covers=covers,
                request=EnvVar.upsert(live, body),
                echo=Echo.VARIABLES,
                branch=self.name,
                needs=frozenset({trigger, *(EnvVar.address(trigger, key) for key in variables.deletes)}),
            )
        )

    def _release(
        self,
        trigger: Address,
        live: Ref,
        want: Trigger,
        names: set[str],
        variables: Variables,
        *,
        trial: Trial | None = None,
    ) -> None:
        self.releases.append(
            Step(
                covers=(trigger,),
                request=want.update(live, names),
                echo=Echo.TRIGGER,
                branch=self.name,
                needs=frozenset(variables.covers),
                trial=trial,
            )
        )


def in_order(first: list[Step], branches: Mapping[str, Branch]) -> tuple[Step, ...]:
    """Connections and tokens, then Worker by Worker."""
    first = sorted(first, key=lambda step: ORDER[step.covers[0].kind])
    return (*first, *(step for branch in branches.values() for step in branch))
