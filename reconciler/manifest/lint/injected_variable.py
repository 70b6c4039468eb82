"""Variables that Workers Builds sets itself."""

from __future__ import annotations

from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site

NAME = "injected-variable"
SEVERITY = WARNING
FIELDS = ("environment_variables",)
CHOOSE = "take it out, and choose the token with `build_token`"
SET = "take it out; where a command needs another value, set it there: `NAME=… npm run build`"
HINTS = (CHOOSE, SET)

TOKEN = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - a name
INJECTED = ("CI", "WORKERS_CI", "WORKERS_CI_BUILD_UUID", "WORKERS_CI_COMMIT_SHA", "WORKERS_CI_BRANCH")


def check(site: Site) -> Findings:
    """The token overrides the one of the build token, and deploys fail; the others are injected into every build
    (field notes, Environment variables)."""
    for name, node in site.trigger.variables.items():
        if name == TOKEN:
            yield Finding(f"`{TOKEN}` overrides the token that Builds injects: deploys fail", CHOOSE, node.place, name)
        elif name in INJECTED:
            yield Finding(f"`{name}` is set by Builds itself", SET.replace("NAME", name), node.place, name)
