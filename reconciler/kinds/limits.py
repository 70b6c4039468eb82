"""Limits: whether the account's build minutes are used up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.kinds.answer import flag, mapping, text_or_blank
from reconciler.model import Request


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Account limits (reference, *Get account limits*); on paid plans both are null (field notes). `answer` is what the
    API said, with what it says beyond the reference."""

    build_minutes_refresh_on: str = ""
    has_reached_build_minutes_limit: bool = False
    answer: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def read() -> Request:
        return Request(method="GET", path=("builds", "account", "limits"))

    @classmethod
    def decode(cls, result: Any) -> Limits:
        """`null` is no limits."""
        item = mapping({} if result is None else result, "limits")
        return cls(
            build_minutes_refresh_on=text_or_blank(item, "build_minutes_refresh_on"),
            has_reached_build_minutes_limit=flag(item, "has_reached_build_minutes_limit"),
            answer=item,
        )
