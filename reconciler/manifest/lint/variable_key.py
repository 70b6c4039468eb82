"""Names of variables that the API takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.kinds.env_var import KEY
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "variable-key"
SEVERITY = Severity.ERROR


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """Any other is 400 / 12002 without a reason (field notes, Environment variables)."""
    for trigger in triggers:
        for key in trigger.variables:
            if not KEY.fullmatch(key):
                yield Finding(
                    trigger=trigger,
                    summary=f"`{key}` is not a name that the API takes (400 / 12002)",
                    hint="use letters, digits and `_`, not starting with a digit",
                    position=trigger.variables[key].place,
                    variable=key,
                )
