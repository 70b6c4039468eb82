"""Count a plan, and say which exit codes it and its outcomes deserve (DESIGN section 7)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import Exit, Severity
from reconciler.model import Action, Disposition, Outcome, Plan, Status

NAMES = ("create", "update", "replace", "delete", "adopt", "no-op", "kept", "unknown", "refused", "not-compared")


def summary(plan: Plan) -> dict[str, int]:
    """How many rows there are of each sort; `not-compared` counts besides."""
    counts = dict.fromkeys(NAMES, 0)
    for change in plan.changes:
        counts["not-compared"] += bool(change.not_compared)
        if change.disposition in (Disposition.DECLARED, Disposition.ORPHAN):
            is_kept = change.disposition is Disposition.ORPHAN and change.action is Action.NO_OP
            counts["kept" if is_kept else change.action.value] += 1
        else:
            counts[change.disposition.value] += 1
    return counts


def errored(plan: Plan) -> bool:
    """Did a declared Worker or a reference lead nowhere?"""
    return any(one.severity is Severity.ERROR for one in plan.diagnostics)


def exit_codes(plan: Plan, outcomes: Sequence[Outcome] | None = None, *, interrupted: bool = False) -> list[int]:
    """All codes that hold, in the order in which the first is taken; `[0]` where none does. `outcomes` is None for a
    plan. Whether 2 ends a `plan` is the caller's choice."""
    done = any(outcome.status is Status.DONE or outcome.began for outcome in outcomes or ())
    short = any(outcome.status is not Status.DONE for outcome in outcomes or ())
    holds = {
        Exit.INTERRUPTED: interrupted,
        Exit.ACCESS: any(outcome.denied for outcome in outcomes or ()) and not done,
        Exit.ERROR: (errored(plan) or short) and not done,
        Exit.REFUSED: bool(plan.refusals),
        Exit.PARTIAL: done and (short or errored(plan)),
        Exit.UNKNOWN: bool(plan.unread),
        Exit.CHANGES: outcomes is None and plan.changed,
    }
    return [code for code in Exit.ORDER if holds.get(code)] or [Exit.OK]
