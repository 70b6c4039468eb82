"""Builds, and the account's limits, for people."""

from __future__ import annotations

from reconciler.kinds.limits import Limits
from reconciler.render.escape import clean


def limits_text(limits: Limits) -> str:
    """Used up or not, and until when; null is a paid plan (field notes)."""
    refresh = clean(limits.build_minutes_refresh_on)
    if limits.has_reached_build_minutes_limit:
        return f"Build minutes: USED UP{f' until {refresh}' if refresh else ''}: nothing builds.\n"
    if limits.answer.get("has_reached_build_minutes_limit") is None and not refresh:
        return "Build minutes: no limit is shown, as on paid plans.\n"
    return f"Build minutes: not used up{f'; they refresh on {refresh}' if refresh else ''}.\n"
