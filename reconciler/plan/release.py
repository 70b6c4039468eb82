"""Decide what `release` does: take markers, or single variables out of markers, and change nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import ownership
from reconciler.errors import UsageError
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import Action, Address, Echo, Plan
from reconciler.plan.board import Board, Options, Phase, Seen
from reconciler.plan.undeclared import address_of
from reconciler.states import Desired, Observed


def release(owner: str, observed: Observed, globs: Sequence[str], *, account_id: str) -> Plan:
    """Give up what is `owner`'s and matches one of `globs`; an `env/` address gives up one variable. A glob
    that matches only what nobody owns is no error, but one that matches nothing, if everything could be read."""
    board = Board(desired=Desired(owner=owner), observed=observed, options=Options())
    taken: set[Address] = set()
    free: set[Address] = set()
    blind = {live.scope for live in observed.triggers if live.id in observed.unread_variables}
    for live in observed.triggers:
        seen = board.look(live)
        marker = seen.ours
        if live.scope in blind:
            continue  # its twin might take the address that was named
        if marker:
            trigger = address_of(live.scope, seen, taken)
            _release(board, seen, marker, trigger, globs)
            keys = seen.variables.keys() - {ownership.MARKER}
            free |= {EnvVar.address(trigger, key) for key in keys if not marker.knows(key)}
        elif not seen.marker and not seen.newer:
            # The key went with the marker: the name and the kind stand for it.
            for key in (live.resource.trigger_name, "preview" if live.resource.is_preview else "production"):
                trigger = Address.of(Trigger.kind, live.scope, key)
                free |= {trigger, *(EnvVar.address(trigger, key) for key in seen.variables)}
    for glob in globs if not observed.unread else ():
        if board.has_row(glob):
            continue
        if not any(address.matches(glob) for address in free):
            hint = "`trigger/WORKER/KEY`, `env/WORKER/KEY/NAME` or `worker/WORKER`"
            raise UsageError(f"nothing of owner `{owner}` matches {glob}", hint=hint)
        board.tell(None, f"nobody owns what {glob} matches: there is nothing to release")
    return board.plan(account_id=account_id)


def _release(board: Board, seen: Seen, marker: ownership.Marker, trigger: Address, globs: Sequence[str]) -> None:
    rest = [glob for glob in globs if not trigger.matches(glob)]
    names = [key for key in seen.variables if marker.knows(key) and board.named(EnvVar.address(trigger, key), rest)]
    covers = tuple(EnvVar.address(trigger, key) for key in names)
    for address in covers:
        fields = seen.variables[address.name].fields
        reason = "it leaves the marker: from here on nobody owns it"
        board.row(address, Action.UPDATE, before=fields, after=fields, reason=reason)
    if board.named(trigger, globs):
        fields = seen.live.resource.fields
        reason = "its marker is removed: from here on nobody owns it"
        board.row(trigger, Action.UPDATE, before=fields, after=fields, reason=reason)
        request = EnvVar.delete(seen.live.id, ownership.MARKER)
        board.write(Phase.VARIABLES, request, trigger, *covers, branch=str(trigger))
    elif names:
        text = ownership.without(str(seen.variables[ownership.MARKER].value), names)
        request = EnvVar.upsert(seen.live.id, {ownership.MARKER: {"is_secret": False, "value": text}})
        board.write(Phase.VARIABLES, request, *covers, echo=Echo.VARIABLES, branch=str(trigger))
