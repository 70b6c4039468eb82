"""Refuse what would lose a variable that cannot be written again, or what could never be applied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from reconciler.model import Action, Address
from reconciler.ownership import MARKER
from reconciler.plan.board import Board, Seen
from reconciler.plan.variables import MAX_VARIABLES, Variables, ignores
from reconciler.states import DeclaredTrigger

MAX_TRIGGERS = 2  # a Worker (field notes, Triggers)


def refuse(
    board: Board,
    trigger: Address,
    seen: Seen,
    what: Literal["delete", "replace"],
    declared: DeclaredTrigger | None = None,
) -> bool:
    """Refuse to delete or replace what is protected, or what holds variables that cannot be written again.

    A delete loses what the trigger's marker does not list; a replace writes again what is declared with a value. The
    plan lists what would be lost, the readable ones as YAML to paste. Those that are declared, or were written, as a
    secret are not shown though they can be read: the plain value may be it.
    """
    if (declared and declared.protect) or (seen.marker and seen.marker.protect):
        hint = "apply it once with `protect: false` in its block, then change or take out the block"
        board.refuse(trigger, f"it is protected, and would be {what}d", hint=hint)
        return True
    globs, wanted, lost = board.options.accept_secret_loss, declared.variables if declared else {}, []
    for key in sorted(seen.variables.keys() - {MARKER}):
        again = seen.ours is not None and seen.ours.knows(key)
        if key in wanted:
            again = wanted[key].resource.value is not None
        again = again and not (declared and ignores(declared, key))
        if not again and not board.names_variable(trigger, key, globs):
            lost.append(key)
    if not lost:
        return False
    known = {key for key, one in wanted.items() if one.resource.is_secret}
    known |= {key for key in lost if seen.variables[key].is_secret or seen.variables[key].laid_open}
    secrets = [key for key in lost if key in known]
    readable = {key: seen.variables[key].value for key in lost if key not in secrets}
    lines = [f"secrets: {', '.join(secrets)}"] if secrets else []
    if readable:
        lines += ["variables to paste into the manifest:", "  environment_variables:"]
        lines += [f"    {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in readable.items()]
    many = "variables" if len(lost) > 1 else "a variable"
    declare = "give each a value or a source in the manifest, or " if declared else ""
    board.refuse(
        trigger,
        f"the {what} would lose {many} that buildsctl cannot write again: {', '.join(lost)}",
        detail="\n".join(lines),
        hint=f"{declare}accept the loss with --accept-secret-loss {trigger.as_glob}",
    )
    return True


def check_variables(board: Board, trigger: DeclaredTrigger, seen: Seen, found: Variables) -> None:
    """64 variables a trigger, the marker counted; those that nobody declared count too."""
    held = (found.writes.keys() | seen.variables.keys()) - {MARKER, *found.deletes}
    total = len(held) + (board.owner is not None)
    if total > MAX_VARIABLES and "too-many-variables" not in trigger.allow:
        board.refuse(
            trigger.address,
            f"it would hold {total} variables, the marker counted; the API takes {MAX_VARIABLES}",
            hint="take some out, or delete undeclared ones with --delete-unmanaged",
        )


def check_total(board: Board, declared: Sequence[DeclaredTrigger], left: Sequence[Seen]) -> None:
    """A Worker has at most two triggers, one production and one preview (field notes, Triggers)."""
    stay = [(board.addresses[one.live.id], one.live.resource) for one in left if one.live.id not in board.after]
    total = len(declared) + len(stay)
    for want in declared:
        made = board.made.get(want.address)
        if not made or not stay:
            continue
        same = [address for address, one in stay if one.is_preview == made.is_preview]
        same = [] if "one-trigger-per-kind" in want.allow else same
        if same or total > MAX_TRIGGERS:
            kept = same[0] if same else stay[0][0]
            what = f"two {'preview' if made.is_preview else 'production'}" if same else f"{total}"
            board.refuse(
                want.address,
                f"the Worker would have {what} triggers, which the API does not take: `{kept}` is kept",
                hint=f"delete that one with --delete-unmanaged {kept.as_glob}, or declare it",
            )


def check_deletes(board: Board) -> int:
    """More deletes than a slip of the pen explains: triggers, replaces, tokens, connections and
    secrets. Returns how many go."""
    going = [change for change in board.changes if change.action in (Action.DELETE, Action.REPLACE)]
    gone = {change.address for change in going if change.address.kind != "env"}
    triggers = {address.path for address in gone if address.kind == "trigger"}
    variables = [one for one in going if one.address.kind == "env" and one.address.path[:2] not in triggers]
    count = len(gone) + sum(1 for one in variables if one.before and one.before["is_secret"])
    if count > board.options.max_deletes:
        board.refuse(
            None,
            f"{count} resource{'s' * (count != 1)} would go, and --max-deletes is {board.options.max_deletes}",
            hint=f"if all of them are meant, say --max-deletes {count}",
        )
    return count
