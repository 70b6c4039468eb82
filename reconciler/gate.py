"""The rate gate: one for all threads, so that one 429 holds everybody up and nobody else is shut out.

Cloudflare counts 1,200 requests in five minutes for all of a user's tools, and shuts all of them out past
that (field notes, Access). The gate learns from `Ratelimit` and `Ratelimit-Policy` and leaves a fifth of the
window to the user's other work. After a 429 one request is tried; the others follow when it was let through.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from threading import get_ident

from reconciler.errors import RateLimitedError

# A signal that comes while the main thread begins to wait without limit is not seen before something else wakes it.
POLL_SECONDS = 0.1
Sleep = Callable[[float], object]
"""Wait for so many seconds; true where the run was told to stop meanwhile."""
Tell = Callable[[str], None]
RESERVE = 0.2  # of the window, for the user's other work
QUOTA, WINDOW_SECONDS, MAX_WINDOW_SECONDS = 1_200, 300.0, 3_600.0
# However short the API says: so long at least, twice as long each time nothing is let through, and so often.
PAUSE_SECONDS, MAX_PAUSE_SECONDS, MAX_REFUSALS = 1.0, 60.0, 4
MAX_SHUT_SECONDS = 600.0  # two windows in which nothing at all is let through
_FACT = re.compile(r"(?:^|[;,\s])([rtqw])=(\d{1,9})")


class Gate:
    """`tell` is given a sentence before a wait; `max_wait` seconds in all are waited at most."""

    def __init__(
        self, *, clock: Callable[[], float], sleep: Sleep, tell: Tell = lambda _: None, max_wait: float | None = None
    ) -> None:
        self._clock, self._sleep, self._tell, self._max_wait = clock, sleep, tell, max_wait
        self._lock = threading.Condition()
        self._refusals = self._trying = 0  # how often nothing was let through; which thread tries again
        self._left: int | None = None
        self._quota, self._window = QUOTA, WINDOW_SECONDS
        self._shut_since = self._shut_for = 0.0  # by the first and the last refusal of those in a row
        self._resets_at = self._closed_until = self._told_until = self._counted_until = 0.0
        self.waited = 0.0

    def pass_through(self) -> bool:
        """Wait until a request may be sent; false where the run was told to stop meanwhile."""
        while True:
            with self._lock:
                until = self._opens_at()
                wait = until - self._clock()
                if self._lets_nothing_through():
                    hint = "something else uses it up: wait, and run it again"
                    told = f"{self._refusals} times in {self._shut_for:.0f} s"
                    raise RateLimitedError(f"the rate limit let nothing through, {told}", hint=hint)
                if wait <= 0 and self._trying not in (0, get_ident()):
                    self._lock.wait(POLL_SECONDS)
                    if self._sleep(0):
                        return False
                    continue
                if wait <= 0:
                    self._trying = get_ident() if self._refusals else 0
                    self._left = None if self._left is None else self._left - 1
                    return True
                if self._max_wait is not None and not self.waited + wait <= self._max_wait:  # NaN is no limit to pass
                    hint = "wait, or allow more with --max-wait"
                    raise RateLimitedError(f"the rate limit would hold the run up for {wait:.0f} s", hint=hint)
                first = until > self._told_until + 1
                self._closed_until, self._left = until, None
                self._told_until = until if first else self._told_until
            if first:
                self._tell(f"waiting {wait:.0f} s for the rate limit, which all of a user's tools share")
            stopped = self._sleep(wait)
            with self._lock:
                if self._closed_until == until:
                    self._closed_until = 0.0
                self.waited += max(0.0, until - max(until - wait, self._counted_until))
                self._counted_until = max(until, self._counted_until)
            if stopped:
                return False

    def _opens_at(self) -> float:
        """When the next request may go: now, at the end of a 429, or with the next window."""
        spent = self._left is not None and self._left <= self._quota * RESERVE
        return max(self._closed_until, self._resets_at if spent else 0.0)

    def _lets_nothing_through(self) -> bool:
        return self._refusals > 2 * MAX_REFUSALS or self._shut_for >= MAX_SHUT_SECONDS

    def close(self, seconds: float, *, times: int = 1) -> bool:
        """A 429 came: nobody sends anything for so long, then one tries. False where the request, which met it so many
        `times`, is to give up, since it may be limited by itself; or all, since nothing at all gets through."""
        with self._lock:
            now = self._clock()
            if self._trying == get_ident() or not self._refusals:  # one that came late says nothing new
                self._shut_since = self._shut_since if self._refusals else now
                self._shut_for = now - self._shut_since
                self._refusals, self._trying = self._refusals + 1, 0
                seconds = max(seconds, min(MAX_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** (self._refusals - 1)))
            self._closed_until = max(self._closed_until, now + seconds)
            self._lock.notify_all()
            return times <= MAX_REFUSALS and not self._lets_nothing_through()

    def open(self) -> None:
        """A request was let through, whatever became of it."""
        with self._lock:
            if self._trying == get_ident() or not self._refusals:
                self._refusals = self._trying = 0
                self._shut_for = 0.0
                self._lock.notify_all()

    def learn(self, headers: Mapping[str, str]) -> None:
        """What an answer says of the window; anything odd is passed over."""
        state, policy = (
            dict(_FACT.findall(headers.get(name, "").partition(",")[0])) for name in ("ratelimit", "ratelimit-policy")
        )
        with self._lock:
            self._quota = int(policy.get("q") or self._quota)
            self._window = min(MAX_WINDOW_SECONDS, float(policy.get("w") or self._window))
            if "r" not in state or "t" not in state:
                return
            resets_at = self._clock() + min(float(state["t"]), self._window)
            new_window = self._left is None or resets_at > self._resets_at + 1
            self._left = int(state["r"]) if new_window else min(self._left or 0, int(state["r"]))
            self._resets_at = resets_at

    def window(self) -> tuple[int | None, int]:
        """How many requests are left, None where nobody said, and how many a window has."""
        with self._lock:
            return self._left, self._quota

    def outlook(self, requests: int) -> float:
        """About how many seconds so many more requests will have to wait."""
        with self._lock:
            free = self._quota * (1 - RESERVE)
            now = free if self._left is None else max(0.0, self._left - self._quota * RESERVE)
            if requests <= now or free < 1:
                return 0.0
            first = self._window if self._left is None else max(0.0, self._resets_at - self._clock())
            return first + ((requests - now - 1) // free) * self._window
