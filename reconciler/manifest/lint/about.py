"""What each rule says of itself, in words for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Rule

# Papers that the authors of a rule have, and its readers do not.
_PAPERS = re.compile(r"\s*\((?:field notes|DESIGN)[^)]*\)")


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
