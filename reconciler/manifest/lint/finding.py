"""What a rule is, what it looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from reconciler.errors import Position, Severity
from reconciler.manifest.merge import Effective


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

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a module's constant
    @property
    def SEVERITY(self) -> Severity: ...  # noqa: N802
    @property
    def FIELDS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def HINTS(self) -> tuple[str, ...]: ...  # noqa: N802

    def check(self, site: Site, /) -> Findings: ...
