"""Watch paths that match something else than they seem to."""

from __future__ import annotations

import re

from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site

NAME = "watch-path"
SEVERITY = WARNING
FIELDS = ("path_includes", "path_excludes")
ENDS = "a `*` stands at the start or the end of a rule, and matches slashes as well"
WRITE = "write `PATH`"
HINTS = (ENDS, WRITE)


def check(site: Site) -> Findings:
    """`*` is any run of characters, slashes included, at the start or the end only; paths begin at the root of
    the repository (field notes, Triggers)."""
    for field in FIELDS:
        for item in site.trigger.get(field).items:
            problem = _problem(str(item.value))
            if problem:
                better = re.sub(r"\*+", "*", re.sub(r"^(?:\.{0,2}/)+", "", item.value))
                hint = WRITE.replace("PATH", better) if better and not _problem(better) else ENDS
                yield Finding(f"the watch path `{item.value}` {problem}", hint, item.position)


def _problem(path: str) -> str:
    if "**" in path:
        return "holds `**`, which is not documented"
    if "*" in path[1:-1]:
        return "holds a `*` inside, where it is no wildcard"
    if path.startswith(("/", "./", "../")):
        return "does not begin at the root of the repository"
    return ""
