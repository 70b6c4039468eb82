"""A preview trigger that deploys: every branch would go into production."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site

NAME = "preview-deploys"
SEVERITY = WARNING
FIELDS = ("deploy_command", "build_command")
HINTS = ("use `wrangler versions upload`",)

_ENDS = re.compile(r"[;&|(){}\n]")
_QUOTES = str.maketrans("\"'`", "   ")
_WITH_VALUE = frozenset({"-c", "--config", "--cwd", "-e", "--env", "--env-file", "-n", "--name"})


def check(site: Site) -> Findings:
    """`wrangler versions upload` makes a version with an address of its own instead (field notes, Triggers)."""
    for name in FIELDS if site.trigger.is_preview else ():
        verb = _deploying(site.trigger.text(name))
        if verb:
            summary = f"a preview trigger runs `wrangler {verb}`: every branch goes into production"
            yield Finding(summary, HINTS[0], site.trigger.get(name).position)


def _deploying(command: str) -> str:
    """What `wrangler` is told to do that changes what is live; empty where it is not."""
    for part in _ENDS.split(command.replace("\\\n", " ")):
        words = part.translate(_QUOTES).split()
        for number, word in enumerate(words):
            if word.rpartition("/")[2].partition("@")[0] == "wrangler":
                verb = _verb(words[number + 1 :])
                if verb and "--dry-run" not in words:
                    return verb
    return ""


def _verb(words: Sequence[str]) -> str:
    said = _without_options(words)
    first = next(said, "")
    if first in ("deploy", "publish"):
        return first
    return "versions deploy" if first == "versions" and next(said, "") == "deploy" else ""


def _without_options(words: Sequence[str]) -> Iterator[str]:
    before = ""
    for word in words:
        if not word.startswith("-") and before not in _WITH_VALUE:
            yield word
        before = word
