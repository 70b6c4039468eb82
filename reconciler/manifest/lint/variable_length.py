"""Values of at most 5,000 characters."""

from __future__ import annotations

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "variable-length"
SEVERITY = ERROR
FIELDS = ("environment_variables", "value")
HINTS = ("keep the text in the repository, and its path in the variable",)
MAX_LENGTH = 5_000


def check(site: Site) -> Findings:
    """A longer one is 400 / 12002 without a reason (field notes, Environment variables)."""
    for key, node in site.trigger.plain.items():
        if len(node.value) > MAX_LENGTH:
            summary = f"`{key}` has {len(node.value):,} characters, the API takes {MAX_LENGTH:,} (400 / 12002)"
            yield Finding(summary, HINTS[0], node.position, key)
