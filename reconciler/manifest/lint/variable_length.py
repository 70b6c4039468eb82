"""Values of at most 5,000 characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "variable-length"
SEVERITY = Severity.ERROR
MAX_LENGTH = 5_000


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """A longer one is 400 / 12002 without a reason (field notes, Environment variables)."""
    for trigger in triggers:
        for key, node in trigger.variables.items():
            value = node.get("value") or node
            length = len(value.value) if isinstance(value.value, str) else 0
            if length > MAX_LENGTH:
                yield Finding(
                    trigger=trigger,
                    summary=f"`{key}` has {length:,} characters, the API takes {MAX_LENGTH:,} (400 / 12002)",
                    hint="keep the text in the repository, and its path in the variable",
                    position=value.position,
                    variable=key,
                )
