"""Decide which triggers a push would build, and by which rule. Pure; the rules are those of field notes, Triggers.

Branches first: excludes, then includes. Then what always builds: no changed file, 3,000 files or more, 20 commits or
more. Then watch paths: excludes take files away, and what is left builds where an include matches it. A `*` is any
run of characters, `/` too, at the start or the end of a rule only; elsewhere it is itself. `**` is not documented:
there it is read as `*`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from reconciler.kinds.trigger import Trigger
from reconciler.model import Address, Declared

MANY_FILES = 3_000
MANY_COMMITS = 20


class Rule(StrEnum):
    """What decided. The first two and the last two do not build."""

    BRANCH_EXCLUDES = "branch_excludes"
    BRANCH_INCLUDES = "branch_includes"
    NO_FILES = "no-changed-file"
    MANY_FILES = "many-files"
    MANY_COMMITS = "many-commits"
    PATH_INCLUDES = "path_includes"
    PATH_EXCLUDES = "path_excludes"
    NOT_WATCHED = "not-watched"


@dataclass(frozen=True, kw_only=True)
class Push:
    """What is pushed. `files` are relative to the repository's root; `commits` is 1 where nobody counted."""

    branch: str
    files: tuple[str, ...]
    commits: int = 1


@dataclass(frozen=True)
class Verdict:
    """Whether a trigger builds, and why: the rule, its pattern and the file that it met, where there is one."""

    address: Address
    rule: Rule
    pattern: str = ""
    file: str = ""

    @property
    def builds(self) -> bool:
        return self.rule not in (Rule.BRANCH_EXCLUDES, Rule.BRANCH_INCLUDES, Rule.PATH_EXCLUDES, Rule.NOT_WATCHED)


def decide(triggers: Iterable[Declared[Trigger]], push: Push) -> list[Verdict]:
    """One verdict a trigger, in their order."""
    return [Verdict(one.address, *_decide(one.resource, push)) for one in triggers]


def _decide(trigger: Trigger, push: Push) -> tuple[Rule, str, str]:
    """The rule, its pattern, and the file that it met."""
    excluded = _first(trigger.branch_excludes, push.branch)
    if excluded is not None:
        return Rule.BRANCH_EXCLUDES, excluded, ""
    always = {
        Rule.BRANCH_INCLUDES: not takes_branch(trigger, push.branch),
        Rule.NO_FILES: not push.files,
        Rule.MANY_FILES: len(push.files) >= MANY_FILES,
        Rule.MANY_COMMITS: push.commits >= MANY_COMMITS,
    }
    for rule, holds in always.items():
        if holds:
            return rule, "", ""
    told = Rule.NOT_WATCHED, "", ""
    for file in push.files:
        included, excluded = _first(trigger.path_includes, file), _first(trigger.path_excludes, file)
        if included is not None and excluded is None:
            return Rule.PATH_INCLUDES, included, file
        if included is not None and excluded is not None and told[0] is Rule.NOT_WATCHED:
            told = Rule.PATH_EXCLUDES, excluded, file
    return told


def takes_branch(trigger: Trigger, branch: str) -> bool:
    """Does a push to `branch` reach the trigger?"""
    return _first(trigger.branch_excludes, branch) is None and _first(trigger.branch_includes, branch) is not None


def _first(rules: Iterable[str], text: str) -> str | None:
    return next((rule for rule in rules if matches(rule, text)), None)


def matches(rule: str, text: str) -> bool:
    """Does one rule match a whole path, or a whole branch?"""
    core = rule.strip("*")
    if not core:
        return bool(rule) or not text
    if rule.startswith("*"):
        return core in text if rule.endswith("*") else text.endswith(core)
    return text.startswith(core) if rule.endswith("*") else text == core
