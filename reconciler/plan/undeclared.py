"""Decide about live triggers of a declared Worker that no manifest declares."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.kinds.trigger import PENDING_PATHS, Trigger
from reconciler.model import Action, Address, Cause, Disposition
from reconciler.ownership import MARKER
from reconciler.plan import losses
from reconciler.plan.board import WITHHELD, Board, Phase, Seen
from reconciler.states import DeclaredTrigger


def decide(board: Board, worker: str, left: Sequence[Seen], declared: Sequence[DeclaredTrigger]) -> None:
    """Delete what is ours, keep the rest; nothing is said of what is not selected."""
    taken = {trigger.address for trigger in declared}
    for seen in left:
        address = board.addresses[seen.live.id] = address_of(worker, seen, taken)
        if board.selected(address):
            _decide(board, address, seen, declared)


def address_of(worker: str, seen: Seen, taken: set[Address]) -> Address:
    """By its marker's key, else by its name; where that is `taken`, with the start of its UUID."""
    key = seen.marker.key if seen.marker else seen.live.resource.trigger_name
    address, length = Address.of(Trigger.kind, worker, key or seen.live.id), 8
    while address in taken and length <= 36:
        address, length = Address.of(Trigger.kind, worker, f"{key}~{seen.live.id[:length]}"), length + 1
    taken.add(address)
    return address


def _decide(board: Board, address: Address, seen: Seen, declared: Sequence[DeclaredTrigger]) -> None:
    live, ours = seen.live.resource.fields, seen.ours
    named = board.named(address, board.options.delete_unmanaged)
    twins = [trigger for trigger in declared if ours and trigger.address.name == ours.key]
    not_ours = _why_kept(seen, twins)
    kept = _why_untouched(seen) or ("" if named or seen.unread else not_ours)  # unread is unknown, not kept
    if kept:
        board.row(address, disposition=Disposition.KEPT, reason=kept, before=live, after=live)
        return
    if seen.unread or not board.may_destroy:
        board.row(address, disposition=Disposition.UNKNOWN, reason=str(seen.unread or WITHHELD), before=live)
        return
    refused = losses.refuse(board, address, seen, "delete")
    held = sorted(key for key in seen.variables if key != MARKER)
    reason = "its key is another trigger's by now" if twins else "no longer declared"
    reason = "named by --delete-unmanaged" if not_ours else reason
    board.row(
        address,
        Action.DELETE,
        before={**live, "environment_variables": tuple(held)},  # so that a review, and its digest, know them
        reason=reason + (f"; its variables go with it: {', '.join(held)}" if held else ""),
        disposition=Disposition.REFUSED if refused else Disposition.ORPHAN,
        cause=Cause.LIVE if not_ours else Cause.MANIFEST,
    )
    board.after[seen.live.id] = (address, None)
    board.write(Phase.DELETES, Trigger.delete(seen.live.id), address)


def _why_untouched(seen: Seen) -> str:
    """Why no flag of ours touches it."""
    if seen.newer:
        return f"its marker has format {seen.newer}: upgrade buildsctl to see whose it is"
    return f"it belongs to owner `{seen.marker.owner}`" if seen.marker and not seen.ours else ""


def _why_kept(seen: Seen, twins: Sequence[DeclaredTrigger]) -> str:
    """Why it goes only when it is named; empty where it is ours. `twins` are declared under its key."""
    if not seen.marker:
        begun = seen.live.resource.path_includes == PENDING_PATHS
        reason = "its creation by buildsctl was cut short, and nobody declares it any more"
        return reason if begun else "nobody declared it, and buildsctl did not make it"
    doubled = any(one.resource.is_preview == seen.live.resource.is_preview for one in twins)
    return "another live trigger has its key; name it with --delete-unmanaged to delete it" if doubled else ""
