"""Branch filters that the API takes today: one concrete branch, or all branches but one."""

from __future__ import annotations

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
    preview = site.trigger.is_preview
    concrete = excludes if preview else includes
    if preview and len(includes) > 1:
        name, hint = "branch_includes", ALL
    elif len(concrete) != 1 or not concrete[0] or "*" in concrete[0]:
        name, hint = ("branch_excludes", EXCLUDE) if preview else ("branch_includes", NAME_ONE)
    elif excludes and not preview:
        name, hint = "branch_excludes", NO_EXCLUDES
    else:
        return
    yield Finding(f"the API refuses these `{name}` (400 / 12002)", hint, site.trigger.get(name).position)
