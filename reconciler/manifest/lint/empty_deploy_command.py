"""A deploy command that is not empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding
from reconciler.manifest.merge import Effective

NAME = "empty-deploy-command"
SEVERITY = Severity.ERROR


def check(triggers: Sequence[Effective], *, has_marker: bool) -> Iterator[Finding]:  # noqa: ARG001
    """An empty one is 400 / 12002 without a reason (field notes, Triggers)."""
    for trigger in triggers:
        if "deploy_command" in trigger.fields and not trigger.text("deploy_command"):
            yield Finding(
                trigger=trigger,
                summary="`deploy_command` is empty, which the API refuses (400 / 12002)",
                hint="say what deploys the Worker, such as `npx wrangler deploy`",
                position=trigger.place("deploy_command"),
            )
