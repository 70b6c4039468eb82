"""Commands of at most 512 characters."""

from __future__ import annotations

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "command-length"
SEVERITY = ERROR
FIELDS = ("build_command", "deploy_command")
HINTS = ("put the command into a script of the repository and call that",)
MAX_LENGTH = 512


def check(site: Site) -> Findings:
    """A longer one is 400 / 12002 without a reason (field notes, Triggers)."""
    for name in FIELDS:
        length = len(site.trigger.text(name))
        if length > MAX_LENGTH:
            summary = f"`{name}` has {length} characters, the API takes {MAX_LENGTH} (400 / 12002)"
            yield Finding(summary, HINTS[0], site.trigger.get(name).position)
