"""What a rule looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.errors import Position
from reconciler.manifest.merge import Effective


@dataclass(frozen=True, kw_only=True)
class Site:
    """One trigger, those of its Worker before it, and whether our marker takes one of its variables."""

    trigger: Effective
    before: tuple[Effective, ...]
    has_marker: bool


@dataclass(frozen=True)
class Finding:
    """What is wrong at `position`, and the way out. `variable` is set where it is about one."""

    summary: str
    hint: str
    position: Position
    variable: str = ""


Findings = Iterator[Finding]
