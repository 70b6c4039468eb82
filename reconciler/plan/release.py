"""Decide what `release` does: take markers, or single variables out of markers, and change nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.model import Action, Address, Echo, Plan, Step
from reconciler.plan.board import Board, Options, Seen
from reconciler.plan.undeclared import address_of
from reconciler.states import Desired, Observed


def release(owner: str, observed: Observed, globs: Sequence[str], *, account_id: str) -> Plan:
    """Give up what is `owner`'s and matches one of `globs`; an `env/` address gives up one variable."""
    board = Board(desired=Desired(owner=owner), observed=observed, options=Options())
    steps: list[Step] = []
    taken: set[Address] = set()
    blind = {live.scope for live in observed.triggers if live.id in observed.unread_variables}
    for live in observed.triggers:
        seen = board.look(live)
        marker = seen.ours(owner)
        if marker and live.scope not in blind:  # else its twin might take the address that was named
            steps += _release(board, seen, marker, address_of(live.scope, seen, taken), globs)
    return Plan(
        account_id=account_id,
        owner=owner,
        changes=tuple(sorted(board.changes, key=lambda change: change.address.path)),
        steps=tuple(steps),
        unread=observed.unread,
        reads=observed.reads,
    )


def _release(board: Board, seen: Seen, marker: ownership.Marker, trigger: Address, globs: Sequence[str]) -> list[Step]:
    whole = board.named(trigger, globs)
    rest = [glob for glob in globs if not trigger.matches(glob)]
    names = [key for key in seen.variables if marker.knows(key) and board.named(EnvVar.address(trigger, key), rest)]
    covers = tuple(EnvVar.address(trigger, key) for key in names)
    for address in covers:
        fields = seen.variables[address.name].fields
        reason = "it leaves the marker: from here on nobody owns it"
        board.row(address, Action.UPDATE, before=fields, after=fields, reason=reason)
    if whole:
        fields = seen.live.resource.fields
        reason = "its marker is removed: from here on nobody owns it"
        board.row(trigger, Action.UPDATE, before=fields, after=fields, reason=reason)
        request = EnvVar.delete(seen.live.id, ownership.MARKER)
        return [Step(covers=(trigger, *covers), request=request, branch=str(trigger))]
    if not names:
        return []
    text = ownership.without(str(seen.variables[ownership.MARKER].value), names)
    request = EnvVar.upsert(seen.live.id, {ownership.MARKER: {"is_secret": False, "value": text}})
    return [Step(covers=covers, request=request, echo=Echo.VARIABLES, branch=str(trigger))]
