"""Decide about connections: put where a trigger needs one that is not seen, or where the seen one differs."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.kinds.connection import Connection
from reconciler.model import Action, Address, Cause, Declared, Disposition, Echo, FieldChange, Live, Plan, Ref
from reconciler.plan.board import Board, Options, Phase, called
from reconciler.states import Desired, Observed


def decide(board: Board, needed: Collection[Ref]) -> None:
    """Connections have no owner and no list: what no trigger shows is neither known nor deleted. `needed` are those
    that a trigger refers to which can be decided about."""
    named = {trigger.resource.repo_connection_uuid for trigger in board.desired.triggers}
    named |= {address for address, users in board.desired.witnesses.items() if users}
    for declared in board.desired.connections:
        key = declared.resource.natural_key
        lives = [one for one in board.observed.connections if one.resource.natural_key == key]
        live = min((one for one in lives if not one.resource.deleted), key=lambda one: one.id, default=None)
        if live:
            _decide_seen(board, declared, live, needed=declared.address in named and board.selected(declared.address))
        else:
            _decide_unseen(board, declared, needed=declared.address in needed)
        if declared.address not in named and not board.options.target:
            hint = "it is left as it is; name it as `repo_connection` of a trigger, or take it out"
            board.tell(declared, "no trigger needs this connection", hint=hint)


def _decide_seen(board: Board, declared: Declared[Connection], live: Live[Connection], *, needed: bool) -> None:
    """Ids decide, names inform: only another owner's id is a difference."""
    board.ids[declared.address] = live.id
    want, reason = declared.resource, "as declared"
    before, after = live.resource.provider_account_id, want.provider_account_id
    before = before or after  # optional in the answer: what is not shown is not another one
    if before != after and needed:
        fields = (FieldChange(path="provider_account_id", before=before, after=after),)
        reason = f"`provider_account_id` differs: writing it re-points every trigger of {want.full_name}"
        reason += ", of undeclared Workers too"
        seen = live.resource.fields
        board.row(declared, Action.UPDATE, before=seen, fields=fields, reason=reason, cause=Cause.UNKNOWN)
        _put(board, declared)
        return
    if before != after and board.options.target:
        reason = "`provider_account_id` differs, and it was not asked for"
    board.row(declared, before=live.resource.fields, reason=reason)


def _decide_unseen(board: Board, declared: Declared[Connection], *, needed: bool) -> None:
    if not needed:
        who = "trigger that --target names" if board.desired.witnesses.get(declared.address) else "trigger"
        board.row(
            declared,
            reason=f"no {who}{'' if board.may_destroy else ' that can be made now'} needs it, so it is not put",
        )
    elif board.observed.unread_scripts or board.observed.unread_workers:
        board.unknown[declared.address] = "not every Worker's triggers could be read, one may show it"
        board.row(declared, disposition=Disposition.UNKNOWN, reason=board.unknown[declared.address])
    else:
        reason = "no trigger that was read shows it; if it exists all the same, it is changed to this"
        board.row(declared, Action.CREATE, reason=reason)
        _put(board, declared)


def _put(board: Board, declared: Declared[Connection]) -> None:
    address = declared.address
    board.write(Phase.CONNECTIONS, declared.resource.put(), address, echo=Echo.CONNECTION, gives=address)


def prune(board: Board) -> None:
    """Delete an undeclared connection whose last trigger of the account goes in this run."""
    declared = {one.resource.natural_key for one in board.desired.connections}
    named = {one.resource.repo_connection_uuid for one in board.desired.triggers}
    for live in board.observed.connections:
        still, until = board.users(live.id, is_connection=True)
        if still or not until or live.id in named or live.resource.natural_key in declared or not board.may_destroy:
            continue
        name, reason = live.resource.full_name, "its last trigger goes in this run"
        taken = any(change.address == Address.of(Connection.kind, name) for change in board.changes)
        address = Address.of(Connection.kind, f"{name}~{live.id[:8]}" if taken else name)
        gone = Disposition.ORPHAN
        board.row(
            address, Action.DELETE, before=live.resource.fields, reason=reason, disposition=gone, cause=Cause.MANIFEST
        )
        board.write(Phase.LAST, Connection.delete(live.id), address, needs=frozenset(until))


def delete(declared: Declared[Connection], observed: Observed, *, account_id: str) -> Plan:
    """Delete one that no trigger of the account shows: only a put tells its UUID."""
    board, want = Board(desired=Desired(owner=None), observed=observed, options=Options()), declared.resource
    shown = {live.id for live in observed.connections if live.resource.natural_key == want.natural_key}
    # One that a trigger does not show may be this one.
    users = [called(one) for one in observed.triggers if one.resource.repo_connection_uuid in {*shown, ""}]
    if users:
        hint = "delete those first, or point them to another repository"
        board.refuse(declared.address, f"still used by {', '.join(users)}", hint=hint)
    elif observed.unread:
        summary = "not every trigger of the account could be read: one may use it"
        board.refuse(declared.address, summary, hint="run it again")
    else:
        _put(board, declared)
        board.write(Phase.LAST, Connection.delete(declared.address), declared.address)
    board.row(
        declared.address,
        Action.DELETE,
        before=want.fields,
        reason="named to be deleted" if board.refusals else "put once for its UUID, then deleted",
        disposition=Disposition.REFUSED if board.refusals else Disposition.DECLARED,
    )
    return board.plan(account_id=account_id)
