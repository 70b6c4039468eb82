"""A Worker's field that flattens what the triggers of its profile say differently."""

from __future__ import annotations

from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site

NAME = "profile-override"
SEVERITY = WARNING
FIELDS = ("profile", "profiles", "triggers")
HINTS = ("say it under the Worker's `triggers`, for the one that is meant",)


def check(site: Site) -> Findings:
    """What stands nearer to the Worker wins, for all of its triggers (DESIGN section 3, merge order)."""
    for name, node in site.trigger.flattened.items():
        summary = f"`{name}` of the Worker overrides values in which the triggers of its profile differ"
        yield Finding(summary, HINTS[0], node.place)
