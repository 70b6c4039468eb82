"""Two triggers of a Worker that build the same push."""

from __future__ import annotations

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding, Findings, Site
from reconciler.manifest.merge import Effective

NAME = "overlapping-triggers"
SEVERITY = Severity.WARNING


def check(site: Site) -> Findings:
    """A push to the production branch would build twice, and the later one wins."""
    for other in site.before:
        if ("*" in other.texts("branch_includes")) == ("*" in site.trigger.texts("branch_includes")):
            continue  # two of a kind are an error of their own
        branch = _shared(other, site.trigger) or _shared(site.trigger, other)
        if branch:
            yield Finding(
                f"a push to `{branch}` builds by this trigger and by `{other.key}`",
                f"exclude it from one of them: `branch_excludes: [{branch}]`",
                site.trigger.place("branch_excludes"),
            )


def _shared(one: Effective, other: Effective) -> str:
    """A branch that `one` names and `other` takes as well."""
    includes, excludes = other.texts("branch_includes"), other.texts("branch_excludes")
    names = (name for name in one.texts("branch_includes") if "*" not in name and name not in excludes)
    return next((name for name in names if name in includes or "*" in includes), "")
