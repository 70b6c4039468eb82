"""Watch paths that match something else than they seem to."""

from __future__ import annotations

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding, Findings, Site

NAME = "watch-path"
SEVERITY = Severity.WARNING


def check(site: Site) -> Findings:
    """`*` is any run of characters, slashes included, at the start or the end only; paths begin at the root of
    the repository (field notes, Triggers)."""
    for field in ("path_includes", "path_excludes"):
        node = site.trigger.fields.get(field)
        for item in node.items if node else ():
            problem = _problem(str(item.value))
            if problem:
                yield Finding(f"the watch path `{item.value}` {problem[0]}", problem[1], item.position)


def _problem(path: str) -> tuple[str, str] | None:
    if "**" in path:
        return "holds `**`, which is not documented", "`*` already matches slashes: `apps/web/*`"
    if "*" in path[1:-1]:
        return "holds a `*` inside, where it is no wildcard", "put `*` at the start or the end of the rule"
    if path.startswith(("/", "./")):
        return "does not begin at the root of the repository", "leave the start out: `apps/web/*`"
    return None
