"""A root directory of at most 256 characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "root-directory-length"
SEVERITY = Severity.ERROR
MAX_LENGTH = 256


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """A longer one is 400 / 12002 without a reason (field notes, Triggers)."""
    for trigger in triggers:
        length = len(trigger.text("root_directory"))
        if length > MAX_LENGTH:
            yield Finding(
                trigger=trigger,
                summary=f"`root_directory` has {length} characters, the API takes {MAX_LENGTH} (400 / 12002)",
                hint="use a shorter path",
                position=trigger.place("root_directory"),
            )
