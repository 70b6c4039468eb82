"""At most 64 variables a trigger, of which the marker takes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "too-many-variables"
SEVERITY = Severity.ERROR
MAX_VARIABLES = 64


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:
    """More is 400 / 12002 without a reason (field notes, Environment variables)."""
    for trigger in triggers:
        count = len(trigger.variables)
        if count + has_marker > MAX_VARIABLES:
            free = MAX_VARIABLES - has_marker
            yield Finding(
                trigger=trigger,
                summary=f"{count} variables, {free} are free for a manifest (400 / 12002)",
                hint="buildsctl keeps one for itself" if has_marker else "take some out",
                position=trigger.position,
            )
