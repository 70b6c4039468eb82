"""Counts requests in the API's rate-limit window and words the two headers that tell about it.

The window belongs to the running stand-in, not to the stored data: counting in the file would turn every read
into a write. It is told honestly and not enforced.
"""

import math
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

QUOTA = 1200
WINDOW = timedelta(minutes=5)


class RateWindow:
    """1,200 requests in 5 minutes (field notes, *Access*). Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: datetime | None = None
        self._used = 0

    def count(self, now: datetime) -> Mapping[str, str]:
        """Count one request made at `now`; returns the headers to answer it with."""
        with self._lock:
            # An earlier `now` means that the clock was set back: a window of negative age would never end.
            if self._began is None or not timedelta(0) <= now - self._began < WINDOW:
                self._began, self._used = now, 0
            self._used += 1
            left = max(0, QUOTA - self._used)
            seconds = math.ceil((self._began + WINDOW - now).total_seconds())
        return {
            "Ratelimit": f'"default";r={left};t={seconds}',
            "Ratelimit-Policy": f'"default";q={QUOTA};w={int(WINDOW.total_seconds())}',
        }
