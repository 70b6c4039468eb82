"""Branch filters that the API takes today: one concrete branch, or all branches but one."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "branch-filter"
SEVERITY = ERROR
FIELDS = ("branch_includes", "branch_excludes")
ALL = '`["*"]` already is every branch: leave the others out'
EXCLUDE = "a preview trigger excludes exactly one branch, the production branch"
NAME_ONE = 'name one branch, or `["*"]` for a preview trigger; patterns are not taken'
NO_EXCLUDES = "a production trigger builds one branch and excludes none"
HINTS = (NAME_ONE, NO_EXCLUDES, ALL, EXCLUDE)


def check(site: Site) -> Findings:
    """Anything else is 400 / 12002 without a reason (field notes, Triggers)."""
    if "branch_includes" not in site.trigger.fields:
        return  # told already
    includes, excludes = (site.trigger.texts(name) for name in FIELDS)
    name, hint = (_preview if "*" in includes else _production)(includes, excludes)
    if name:
        summary = f"the API refuses these `{name}` (400 / 12002)"
        yield Finding(summary, hint, site.trigger.get(name).position)


def _preview(includes: Sequence[str], excludes: Sequence[str]) -> tuple[str, str]:
    if len(includes) > 1:
        return "branch_includes", ALL
    if len(excludes) != 1 or any("*" in name or not name for name in excludes):
        return "branch_excludes", EXCLUDE
    return "", ""


def _production(includes: Sequence[str], excludes: Sequence[str]) -> tuple[str, str]:
    if len(includes) != 1 or any("*" in name or not name for name in includes):
        return "branch_includes", NAME_ONE
    if excludes:
        return "branch_excludes", NO_EXCLUDES
    return "", ""
