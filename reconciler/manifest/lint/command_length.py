"""Commands of at most 512 characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "command-length"
SEVERITY = Severity.ERROR
MAX_LENGTH = 512


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """A longer one is 400 / 12002 without a reason (field notes, Triggers)."""
    for trigger in triggers:
        for name in ("build_command", "deploy_command"):
            length = len(trigger.text(name))
            if length > MAX_LENGTH:
                yield Finding(
                    trigger=trigger,
                    summary=f"`{name}` has {length} characters, the API takes {MAX_LENGTH} (400 / 12002)",
                    hint="put the command into a script of the repository and call that",
                    position=trigger.place(name),
                )
