"""A preview trigger that deploys: every branch would go into production."""

from __future__ import annotations

import re

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding, Findings, Site

NAME = "preview-deploys"
SEVERITY = Severity.WARNING

_DEPLOYS = re.compile(r"\bwrangler(?:@\S+)?(?:\s+--?\S+(?:[= ][^\s-]\S*)?)*?\s+(?:deploy|publish)\b")


def check(site: Site) -> Findings:
    """`wrangler versions upload` makes a version with an address of its own instead (field notes, Triggers)."""
    if "*" in site.trigger.texts("branch_includes") and _DEPLOYS.search(site.trigger.text("deploy_command")):
        yield Finding(
            "a preview trigger runs `wrangler deploy`: every branch goes into production",
            "use `wrangler versions upload`",
            site.trigger.place("deploy_command"),
        )
