"""Which triggers a push would build, as text and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.affected import MANY_COMMITS, MANY_FILES, Push, Rule, Verdict
from reconciler.doctor import many
from reconciler.render.escape import clean
from reconciler.render.json import FORMAT_VERSION, members

REASONS = {
    Rule.BRANCH_EXCLUDES: "its branch_excludes hold `{pattern}`",
    Rule.BRANCH_INCLUDES: "its branch_includes do not take `{branch}`",
    Rule.NO_FILES: "a push without a changed file always builds",
    Rule.MANY_FILES: f"a push of {MANY_FILES:,} files or more always builds",
    Rule.MANY_COMMITS: f"a push of {MANY_COMMITS} commits or more always builds",
    Rule.PATH_INCLUDES: "`{file}` matches `{pattern}` of its path_includes",
    Rule.PATH_EXCLUDES: "what it watches is excluded: `{file}` by `{pattern}` of its path_excludes",
    Rule.NOT_WATCHED: "it watches none of the changed files",
}


def affected_text(verdicts: Sequence[Verdict], push: Push) -> str:
    """A line a trigger with the rule that decided, then the counts."""
    width = max((len(clean(str(one.address))) for one in verdicts), default=0)
    lines = [
        f"{'builds' if one.builds else '-':<6}  {clean(str(one.address)):<{width}}  {clean(_reason(one, push))}"
        for one in verdicts
    ]
    count = sum(one.builds for one in verdicts)
    what = f"{many(len(push.files), 'changed file')} on branch `{push.branch}`"
    told = f"{count} of {many(len(verdicts), 'trigger')} would build: {what}."
    return "\n".join((*lines, "", clean(told))) + "\n"


def _reason(one: Verdict, push: Push) -> str:
    return REASONS[one.rule].format(branch=push.branch, file=one.file, pattern=one.pattern)


def affected_document(verdicts: Sequence[Verdict], push: Push) -> Mapping[str, Any]:
    """For pipelines: `affected` and `workers` are lists to build a matrix from."""
    builds = [one for one in verdicts if one.builds]
    return {
        "format_version": FORMAT_VERSION,
        "branch": push.branch,
        "files": len(push.files),
        "commits": push.commits,
        "affected": [str(one.address) for one in builds],
        "workers": list(dict.fromkeys(one.address.path[0] for one in builds)),
        "triggers": [
            {
                "address": str(one.address),
                "worker": one.address.path[0],
                "trigger": one.address.name,
                **members(one, "builds", "rule", "pattern", "file"),
                "reason": _reason(one, push),
            }
            for one in verdicts
        ],
    }
