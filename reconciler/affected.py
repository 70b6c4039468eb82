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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a trigger builds, and why: the rule, its pattern and the file that it met, where there is one."""

    address: Address
    builds: bool
    rule: Rule
    pattern: str = ""
    file: str = ""


def decide(triggers: Iterable[Declared[Trigger]], push: Push) -> list[Verdict]:
    """One verdict a trigger, in their order."""
    return [_decide(one.address, one.resource, push) for one in triggers]


def _decide(address: Address, trigger: Trigger, push: Push) -> Verdict:
    excluded = branch_excluded(trigger, push.branch)
    if excluded is not None:
        return Verdict(address=address, builds=False, rule=Rule.BRANCH_EXCLUDES, pattern=excluded)
    if not takes_branch(trigger, push.branch):
        return Verdict(address=address, builds=False, rule=Rule.BRANCH_INCLUDES)
    always = {
        Rule.NO_FILES: not push.files,
        Rule.MANY_FILES: len(push.files) >= MANY_FILES,
        Rule.MANY_COMMITS: push.commits >= MANY_COMMITS,
    }
    for rule, holds in always.items():
        if holds:
            return Verdict(address=address, builds=True, rule=rule)
    return _by_paths(address, trigger, push.files)


def _by_paths(address: Address, trigger: Trigger, files: Iterable[str]) -> Verdict:
    told = Verdict(address=address, builds=False, rule=Rule.NOT_WATCHED)
    for file in files:
        included = _first(trigger.path_includes, file)
        if included is None:
            continue
        excluded = _first(trigger.path_excludes, file)
        if excluded is None:
            return Verdict(address=address, builds=True, rule=Rule.PATH_INCLUDES, pattern=included, file=file)
        if told.rule is Rule.NOT_WATCHED:
            told = Verdict(address=address, builds=False, rule=Rule.PATH_EXCLUDES, pattern=excluded, file=file)
    return told


def takes_branch(trigger: Trigger, branch: str) -> bool:
    """Does a push to `branch` reach the trigger?"""
    return branch_excluded(trigger, branch) is None and _first(trigger.branch_includes, branch) is not None


def branch_excluded(trigger: Trigger, branch: str) -> str | None:
    """The rule of its `branch_excludes` that keeps `branch` out."""
    return _first(trigger.branch_excludes, branch)


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
