"""Names of variables that the API takes."""

from __future__ import annotations

from reconciler.kinds.env_var import KEY
from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "variable-key"
SEVERITY = ERROR
FIELDS = ("environment_variables",)
HINTS = ("use letters, digits and `_`, not starting with a digit",)


def check(site: Site) -> Findings:
    """Any other is 400 / 12002 without a reason (field notes, Environment variables)."""
    for key, node in site.trigger.variables.items():
        if not KEY.fullmatch(key):
            summary = f"`{key}` is not a name that the API takes (400 / 12002)"
            yield Finding(summary, HINTS[0], node.place, key)
