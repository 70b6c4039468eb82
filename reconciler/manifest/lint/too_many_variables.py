"""At most 64 variables a trigger, of which the marker takes one."""

from __future__ import annotations

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding, Findings, Site

NAME = "too-many-variables"
SEVERITY = Severity.ERROR
MAX_VARIABLES = 64


def check(site: Site) -> Findings:
    """More is 400 / 12002 without a reason (field notes, Environment variables)."""
    count, free = len(site.trigger.variables), MAX_VARIABLES - site.has_marker
    if count > free:
        summary = f"{count} variables, {free} are free for a manifest (400 / 12002)"
        hint = "buildsctl keeps one for itself" if site.has_marker else "take some out"
        yield Finding(summary, hint, site.trigger.position)
