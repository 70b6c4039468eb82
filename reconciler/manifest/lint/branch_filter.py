"""Branch filters that the API takes today: one concrete branch, or all branches but one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "branch-filter"
SEVERITY = Severity.ERROR


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """Anything else is 400 / 12002 without a reason (field notes, Triggers)."""
    for trigger in triggers:
        includes = set(trigger.texts("branch_includes"))
        excludes = set(trigger.texts("branch_excludes"))
        if "branch_includes" not in trigger.fields:
            continue  # told already
        if "*" in includes:
            name, hint = _preview(includes, excludes)
        else:
            name, hint = _production(includes, excludes)
        if name:
            yield Finding(
                trigger=trigger,
                summary=f"the API refuses these `{name}` (400 / 12002)",
                hint=hint,
                position=trigger.place(name),
            )


def _preview(includes: set[str], excludes: set[str]) -> tuple[str, str]:
    if len(includes) > 1:
        return "branch_includes", '`["*"]` already is every branch: leave the others out'
    if len(excludes) != 1 or any("*" in name or not name for name in excludes):
        return "branch_excludes", "a preview trigger excludes exactly one branch, the production branch"
    return "", ""


def _production(includes: set[str], excludes: set[str]) -> tuple[str, str]:
    if len(includes) != 1 or any("*" in name or not name for name in includes):
        return "branch_includes", 'name one branch, or `["*"]` for a preview trigger; patterns are not taken'
    if excludes:
        return "branch_excludes", "a production trigger builds one branch and excludes none"
    return "", ""
