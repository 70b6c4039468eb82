"""Write down the requests that carry a trigger's changes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import PENDING_PATHS, Trigger
from reconciler.model import Action, Address, Change, Echo, FieldChange, FingerprintDraft, MarkerDraft, Trial, Value
from reconciler.ownership import MARKER, Marker
from reconciler.plan.board import Board, Phase
from reconciler.states import DeclaredTrigger


@dataclass(kw_only=True)
class Variables:
    """What becomes of a trigger's variables. `entries` is the marker's `e` after the run.

    `marker` is ours, or None where the trigger is nobody's or is being taken over; `memory` is also that of
    the owner it is taken over from: it tells of declared variables, and of nothing else. `live` is the
    trigger's UUID where it has one. `unfinished` is a trigger whose creation was cut short: it still gets
    what is only sent on create.
    """

    trigger: DeclaredTrigger
    marker: Marker | None = None
    memory: Marker | None = None
    live: str = ""
    unfinished: bool = False
    changes: list[Change] = field(default_factory=list)
    writes: dict[str, EnvVar] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)
    entries: dict[str, str | FingerprintDraft] = field(default_factory=dict)

    @property
    def covers(self) -> tuple[Address, ...]:
        """The rows that the one PATCH carries out."""
        return tuple(change.address for change in self.changes if change.action in (Action.CREATE, Action.UPDATE))


def create(
    board: Board, want: Trigger, found: Variables, marker: MarkerDraft | None, *, needs: frozenset[Address]
) -> None:
    """A trigger that gets variables watches nothing until they are there."""
    trigger = found.trigger.address
    made = replace(want, path_includes=PENDING_PATHS) if found.writes else want
    board.write(Phase.CREATES, made.create(), trigger, echo=Echo.TRIGGER, gives=trigger, needs=needs)
    _write_variables(board, found, marker, shows_trigger=True)
    if found.writes:
        _release(board, want, {"path_includes"}, found, trial=None)


def update(
    board: Board,
    want: Trigger,
    fields: Sequence[FieldChange],
    found: Variables,
    marker: MarkerDraft | None,
    *,
    trial: Trial | None,
) -> None:
    """Fields, then variables; the other way about where the trigger still watches nothing."""
    trigger, live = found.trigger.address, found.live
    names = {change.path for change in fields}
    pending = any(change.path == "path_includes" and change.before == PENDING_PATHS for change in fields)
    if names and not pending:
        board.write(Phase.UPDATES, want.update(live, names), trigger, echo=Echo.TRIGGER, trial=trial)
    for key in found.deletes:
        board.write(Phase.VARIABLES, EnvVar.delete(live, key), EnvVar.address(trigger, key))
    _write_variables(board, found, marker, shows_trigger=bool(names))
    if pending:
        _release(board, want, names, found, trial=trial)


def _write_variables(board: Board, found: Variables, marker: MarkerDraft | None, *, shows_trigger: bool) -> None:
    """One PATCH. A name leaves the marker only once its delete was answered, so it needs those."""
    trigger, covers = found.trigger.address, found.covers
    body: dict[str, Value] = {key: dict(one.fields) for key, one in found.writes.items()}
    if marker:
        body[MARKER] = {"is_secret": False, "value": marker}
    if body:
        covers = (trigger, *covers) if shows_trigger or not covers else covers
        needs = frozenset({trigger, *(EnvVar.address(trigger, key) for key in found.deletes)})
        board.write(
            Phase.VARIABLES, EnvVar.upsert(found.live or trigger, body), *covers, echo=Echo.VARIABLES, needs=needs
        )


def _release(board: Board, want: Trigger, names: set[str], found: Variables, *, trial: Trial | None) -> None:
    trigger, needs = found.trigger.address, frozenset(found.covers)
    request = want.update(found.live or trigger, names)
    board.write(Phase.RELEASES, request, trigger, echo=Echo.TRIGGER, needs=needs, trial=trial)
