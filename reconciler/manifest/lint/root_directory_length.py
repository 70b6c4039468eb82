"""A root directory of at most 256 characters."""

from __future__ import annotations

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "root-directory-length"
SEVERITY = ERROR
FIELDS = ("root_directory",)
HINTS = ("use a shorter path",)
MAX_LENGTH = 256


def check(site: Site) -> Findings:
    """A longer one is 400 / 12002 without a reason (field notes, Triggers)."""
    length = len(site.trigger.text("root_directory"))
    if length > MAX_LENGTH:
        summary = f"`root_directory` has {length} characters, the API takes {MAX_LENGTH} (400 / 12002)"
        yield Finding(summary, HINTS[0], site.trigger.get("root_directory").position)
