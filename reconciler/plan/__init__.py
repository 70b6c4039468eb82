"""Decide. Pure: what the manifests want and what the API has in, a plan out."""

from __future__ import annotations

import difflib

from reconciler.kinds import ORDER
from reconciler.kinds.worker import Worker
from reconciler.model import Address, Declared, Disposition, Plan
from reconciler.ownership import Marker
from reconciler.plan import connections, losses, tokens, triggers, undeclared
from reconciler.plan.board import MAX_DELETES, Board, Options
from reconciler.plan.match import match
from reconciler.plan.steps import in_order
from reconciler.states import Desired, Observed

__all__ = ["MAX_DELETES", "Options", "plan"]


def plan(desired: Desired, observed: Observed, options: Options, *, account_id: str = "") -> Plan:
    """Every declared resource once, no-ops too, and the writes that carry the changes out."""
    board = Board(desired=desired, observed=observed, options=options)
    board.diagnostics.extend(desired.diagnostics)
    for worker in desired.workers.values():
        _look_up(board, worker)
    connections.decide(board)
    tokens.decide(board)
    for worker in desired.workers.values():
        _decide_worker(board, worker)
    losses.check_deletes(board)
    labels = {live.id: connections.label(live.resource) for live in observed.connections}
    labels |= {live.id: f"token `{live.resource.build_token_name}`" for live in observed.tokens}
    labels |= {uuid: str(address) for address, uuid in board.ids.items()}
    return Plan(
        account_id=account_id,
        owner=desired.owner,
        changes=tuple(sorted(board.changes, key=lambda change: _rank(change.address))),
        steps=in_order(board.first, board.branches),
        ids=board.ids,
        refusals=tuple(board.refusals),
        diagnostics=tuple(board.diagnostics),
        unread=observed.unread,
        labels=labels,
        reads=observed.reads,
        undeclared_workers=(
            None if observed.workers is None else len(set(observed.workers) - set(desired.workers))
        ),
    )


def _rank(address: Address) -> tuple[object, ...]:
    """Connections, tokens, then Worker by Worker: each trigger, followed by its variables."""
    if address.kind in ("trigger", "env"):
        return (ORDER["trigger"], address.path)
    return (ORDER[address.kind], address.path)


def _look_up(board: Board, worker: Declared[Worker]) -> None:
    """A declared Worker that does not exist fails its own addresses only."""
    name = worker.resource.name
    if name in board.observed.tags or board.observed.unread_scripts:
        return
    names = list(board.observed.workers or ())
    nearest = difflib.get_close_matches(name, names, n=1)
    board.fail(
        f"there is no Worker `{name}` in this account",
        hint=f"did you mean `{nearest[0]}`?" if nearest else "deploy it first: `npx wrangler deploy`",
        address=worker.address,
        position=worker.position,
    )


def _decide_worker(board: Board, worker: Declared[Worker]) -> None:
    """Every declared trigger of `worker` with its variables, then what is live beside them."""
    name = worker.resource.name
    declared = [trigger for trigger in board.desired.triggers if trigger.address.path[0] == name]
    unread = board.observed.unread_workers.get(name) or (
        board.observed.unread_scripts if name not in board.observed.tags else None
    )
    reason = board.failed.get(worker.address) or (f"{unread.what} could not be read" if unread else "")
    if reason:
        for trigger in declared:
            triggers.stop(board, trigger, Disposition.UNKNOWN, reason)
        return
    seen = {live.id: triggers.look(board, live) for live in board.observed.triggers if live.scope == name}
    markers = {uuid: one.marker for uuid, one in seen.items() if isinstance(one.marker, Marker)}
    pairs, left = match(declared, [one.live for one in seen.values()], markers, board.owner)
    for trigger, live in pairs:
        found = seen[live.id] if live else None
        siblings = [one for one in seen.values() if one is not found]
        triggers.decide(board, worker, trigger, found, siblings)
    stay = undeclared.decide(board, name, [seen[live.id] for live in left], declared)
    losses.check_kinds(board, pairs, stay)
