"""What a rule finds."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import Position
from reconciler.manifest.merge import Effective


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong at `position`, and the way out. `variable` is set where it is about one."""

    trigger: Effective
    summary: str
    hint: str
    position: Position
    variable: str = ""

    @property
    def address(self) -> str:
        if self.variable:
            return f"env/{self.trigger.worker}/{self.trigger.key}/{self.variable}"
        return self.trigger.address
