"""At most 64 variables a trigger, of which the marker takes one."""

from __future__ import annotations

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "too-many-variables"
SEVERITY = ERROR
FIELDS = ("environment_variables",)
OURS = "buildsctl keeps one for itself"
TAKE_OUT = "take some out"
HINTS = (TAKE_OUT, OURS)
MAX_VARIABLES = 64


def check(site: Site) -> Findings:
    """More is 400 / 12002 without a reason (field notes, Environment variables)."""
    count, free = len(site.trigger.variables), MAX_VARIABLES - site.has_marker
    if count > free:
        summary = f"{count} variables, {free} are free for a manifest (400 / 12002)"
        hint = OURS if site.has_marker else TAKE_OUT
        yield Finding(summary, hint, site.trigger.position)
