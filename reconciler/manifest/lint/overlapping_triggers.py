"""Two triggers of a Worker that build the same push."""

from __future__ import annotations

from reconciler.affected import matches
from reconciler.manifest.lint import one_trigger_per_kind
from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site
from reconciler.manifest.merge import Effective

NAME = "overlapping-triggers"
SEVERITY = WARNING
FIELDS = ("branch_includes", "branch_excludes")
EXCLUDE = "exclude it here: `branch_excludes: [BRANCH]`"
CHOOSE = "let each trigger name a branch of its own"
HINTS = (EXCLUDE, CHOOSE)


def check(site: Site) -> Findings:
    """Such a push costs two builds at once, and the one that ends last has the last word."""
    one = site.trigger
    for other in (*site.before, *site.after):
        if NAME in other.allow or not _is_told_here(site, other):
            continue
        branch = _shared(other, one)
        if branch:
            yield Finding(
                f"a push to `{branch}` builds by this trigger and by `{other.key}`",
                CHOOSE if one.is_preview == other.is_preview else EXCLUDE.replace("BRANCH", branch),
                one.get("branch_excludes" if one.is_preview else "branch_includes").position,
            )


def _is_told_here(site: Site, other: Effective) -> bool:
    """Each pair once, at the preview trigger, whose excludes mend it. Two of a kind are an error of their own:
    where that is turned off, the later one tells."""
    if site.trigger.is_preview != other.is_preview:
        return site.trigger.is_preview
    return one_trigger_per_kind.NAME in site.trigger.allow and any(one is other for one in site.before)


def _shared(one: Effective, other: Effective) -> str:
    """A branch, or a pattern of branches, that both build."""
    for name in (*one.texts("branch_includes"), *other.texts("branch_includes")):
        some = name.replace("*", "\0")  # no branch that anybody excludes by its name
        if _builds(one, some) and _builds(other, some):
            return name
    return ""


def _builds(one: Effective, branch: str) -> bool:
    return any(matches(rule, branch) for rule in one.texts("branch_includes")) and not any(
        matches(rule, branch) for rule in one.texts("branch_excludes")
    )
