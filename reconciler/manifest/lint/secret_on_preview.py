"""Secrets of a preview trigger: whoever may push a branch can read them."""

from __future__ import annotations

from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site

NAME = "secret-on-preview"
SEVERITY = WARNING
FIELDS = ("environment_variables", "value_from", "is_secret")
HINTS = ("give previews credentials of their own, with fewer rights, or none",)


def check(site: Site) -> Findings:
    """The build of any branch runs that branch's own code, with the trigger's variables in its environment."""
    if not site.trigger.is_preview:
        return
    names = [
        name
        for name, node in site.trigger.variables.items()
        if node.mapping and ("value_from" in node.mapping or node.get("is_secret").value is True)
    ]
    if names:
        summary = f"a preview trigger has secrets, which the code of any branch can read: {', '.join(names)}"
        yield Finding(summary, HINTS[0], site.trigger.variables[names[0]].place)
