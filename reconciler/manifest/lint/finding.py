"""What a rule is, what it looks at, what it finds, and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.errors import Position, Severity
from reconciler.manifest.merge import Effective

ERROR, WARNING = Severity.ERROR, Severity.WARNING
# Papers that the authors of a rule have, and its readers do not.
_PAPERS = re.compile(r"\s*\((?:field notes|DESIGN)[^)]*\)")


@dataclass(frozen=True, kw_only=True)
class Site:
    """One trigger, those of its Worker before and after it, and whether our marker takes one of its variables."""

    trigger: Effective
    before: tuple[Effective, ...]
    after: tuple[Effective, ...]
    has_marker: bool


@dataclass(frozen=True)
class Finding:
    """What is wrong at `position`, and the way out. `variable` is set where it is about one."""

    summary: str
    hint: str
    position: Position
    variable: str = ""


Findings = Iterator[Finding]


class Rule(Protocol):
    """A module of this package. Its docstring says what the rule is about, that of `check` why it is one.

    `FIELDS` are the fields of a manifest that it looks at, `HINTS` its ways out; in these a word in capitals
    stands for what it finds.
    """

    NAME: str
    SEVERITY: Severity

    @property
    def FIELDS(self) -> tuple[str, ...]: ...  # noqa: N802 - a module's constant
    @property
    def HINTS(self) -> tuple[str, ...]: ...  # noqa: N802

    def check(self, site: Site, /) -> Findings: ...


@dataclass(frozen=True, kw_only=True)
class RuleText:
    """`about` says what the rule finds, `why` what comes of it, `ways_out` what to do instead."""

    name: str
    severity: Severity
    fields: tuple[str, ...]
    about: str
    why: str
    ways_out: tuple[str, ...]


def rule_texts(rules: Sequence[Rule]) -> tuple[RuleText, ...]:
    """In the order of the rules."""
    return tuple(
        RuleText(
            name=rule.NAME,
            severity=rule.SEVERITY,
            fields=rule.FIELDS,
            about=_flat(rule.__doc__),
            why=_flat(rule.check.__doc__),
            ways_out=rule.HINTS,
        )
        for rule in rules
    )


def _flat(docstring: str | None) -> str:
    return re.sub(r"\s+", " ", _PAPERS.sub("", docstring or "")).strip()
