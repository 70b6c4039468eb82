"""At most one production and one preview trigger a Worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "one-trigger-per-kind"
SEVERITY = Severity.ERROR


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """A second one is 409 / 12042, a third 400 / 12030 (field notes, Error codes)."""
    first: dict[str, Effective] = {}
    for trigger in (one for one in triggers if "branch_includes" in one.fields):
        kind = "preview" if "*" in trigger.texts("branch_includes") else "production"
        other = first.setdefault(kind, trigger)
        if other is not trigger:
            yield Finding(
                trigger=trigger,
                summary=f"a second {kind} trigger beside `{other.key}` (409 / 12042)",
                hint="with `*` among its `branch_includes` it is a preview trigger; keep one of each kind",
                position=trigger.position,
            )
