"""Secrets of a preview trigger: whoever may push a branch can read them."""

from __future__ import annotations

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding, Findings, Site

NAME = "secret-on-preview"
SEVERITY = Severity.WARNING


def check(site: Site) -> Findings:
    """The build of any branch runs that branch's own code, with the trigger's variables in its environment."""
    if "*" not in site.trigger.texts("branch_includes"):
        return
    names = []
    for name, node in site.trigger.variables.items():
        is_secret = node.get("is_secret")
        if "value_from" in node.mapping or (is_secret and is_secret.value is True):
            names.append(name)
    if names:
        yield Finding(
            f"a preview trigger has secrets, which the code of any branch can read: {', '.join(names)}",
            "give previews credentials of their own, with fewer rights, or none",
            site.trigger.variables[names[0]].place,
        )
