"""Refuse what would lose a variable that cannot be written again, or what could never be applied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from reconciler.kinds.env_var import EnvVar
from reconciler.model import Action, Address
from reconciler.ownership import MARKER, Marker
from reconciler.plan.board import Board, Seen
from reconciler.plan.steps import Variables
from reconciler.plan.variables import MAX_VARIABLES, ignores
from reconciler.states import DeclaredTrigger

MAX_TRIGGERS = 2  # a Worker (field notes, Triggers)


def refuse_replace(board: Board, trigger: DeclaredTrigger, seen: Seen) -> bool:
    """A replace writes again what is declared with a value; everything else would be lost."""
    ours = seen.ours(board.owner)
    if trigger.protect or (isinstance(seen.marker, Marker) and seen.marker.protect):
        _refuse_protected(board, trigger.address, "replaced")
        return True
    lost = []
    for key in seen.variables:
        declared = trigger.variables.get(key)
        known = declared is not None or (ours is not None and ours.knows(key))
        without_value = declared is not None and declared.resource.value is None
        if key != MARKER and (ignores(trigger, key) or not known or without_value):
            lost.append(key)
    return _refuse_loss(board, trigger.address, seen.variables, lost, "replace")


def refuse_delete(board: Board, trigger: Address, live: Mapping[str, EnvVar], ours: Marker | None) -> bool:
    """A delete loses what the trigger's marker does not list."""
    if ours and ours.protect:
        _refuse_protected(board, trigger, "deleted")
        return True
    lost = [key for key in live if key != MARKER and not (ours and ours.knows(key))]
    return _refuse_loss(board, trigger, live, lost, "delete")


def _refuse_protected(board: Board, trigger: Address, what: str) -> None:
    board.refuse(
        trigger,
        f"it is protected, and would be {what}",
        hint="take `protect` back in one apply, then change it in the next",
    )


def _refuse_loss(
    board: Board, trigger: Address, live: Mapping[str, EnvVar], lost: Sequence[str], what: str
) -> bool:
    globs = board.options.accept_secret_loss
    lost = [
        key
        for key in lost
        if not (board.named(trigger, globs) or board.named(EnvVar.address(trigger, key), globs))
    ]
    if not lost:
        return False
    readable = {key: live[key].value for key in sorted(lost) if not live[key].is_secret}
    secrets = [key for key in sorted(lost) if live[key].is_secret]
    lines = []
    if secrets:
        lines.append(f"secrets that nobody can read back: {', '.join(secrets)}")
    if readable:
        lines += ["variables to paste into the manifest:", "  environment_variables:"]
        lines += [f"    {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in readable.items()]
    board.refuse(
        trigger,
        f"to {what} it would lose {len(lost)} variable{'s' if len(lost) > 1 else ''} of others",
        detail="\n".join(lines),
        hint=f"declare them, or accept the loss with --accept-secret-loss '{trigger}'",
    )
    return True


def check_variables(board: Board, trigger: DeclaredTrigger, found: Variables) -> None:
    """64 variables a trigger, the marker counted; those that nobody declared count too."""
    with_value = {key for key, one in trigger.variables.items() if one.resource.value is not None}
    total = len(with_value | found.left) + (board.owner is not None)
    if total > MAX_VARIABLES and "too-many-variables" not in trigger.allow:
        board.refuse(
            trigger.address,
            f"it would hold {total} variables, the marker counted; the API takes {MAX_VARIABLES}",
            hint="take some out, or delete undeclared ones with --delete-unmanaged",
        )


def check_total(
    board: Board, pairs: Sequence[tuple[DeclaredTrigger, Seen | None]], stay: Sequence[Address]
) -> None:
    """A Worker has at most two triggers (field notes, Triggers). That they are of two kinds follows: what is
    kept has a kind that nobody declares, or it would have been matched."""
    total = len(pairs) + len(stay)
    for want, seen in pairs:
        if seen is None and stay and total > MAX_TRIGGERS and "one-trigger-per-kind" not in want.allow:
            board.refuse(
                want.address,
                f"the Worker would have {total} triggers, the API takes {MAX_TRIGGERS}: `{stay[0]}` is kept",
                hint=f"delete that one with --delete-unmanaged '{stay[0]}', or declare it",
            )


def check_deletes(board: Board) -> None:
    """More deletes than a slip of the pen explains: triggers, replaces, tokens, connections and secrets."""
    gone = {
        change.address
        for change in board.changes
        if change.action in (Action.DELETE, Action.REPLACE) and change.address.kind != "env"
    }
    triggers = {address.path for address in gone if address.kind == "trigger"}
    secrets = [
        change
        for change in board.changes
        if change.action is Action.DELETE
        and change.address.kind == "env"
        and change.address.path[:2] not in triggers
        and change.before
        and change.before["is_secret"]
    ]
    count = len(gone) + len(secrets)
    if count > board.options.max_deletes:
        board.refuse_all(
            f"{count} resources would go, and --max-deletes is {board.options.max_deletes}",
            hint=f"if all of them are meant, say --max-deletes {count}",
        )
    if count and board.desired.empty:
        board.refuse_all(
            "the manifests declare nothing, and the plan would delete", hint="is this the right folder?"
        )
