"""A deploy command that is not empty."""

from __future__ import annotations

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "empty-deploy-command"
SEVERITY = ERROR
FIELDS = ("deploy_command",)
HINTS = ("say what deploys the Worker, such as `npx wrangler deploy`",)


def check(site: Site) -> Findings:
    """An empty one is 400 / 12002 without a reason (field notes, Triggers)."""
    if "deploy_command" in site.trigger.fields and not site.trigger.text("deploy_command"):
        summary = "`deploy_command` is empty, which the API refuses (400 / 12002)"
        yield Finding(summary, HINTS[0], site.trigger.get("deploy_command").position)
