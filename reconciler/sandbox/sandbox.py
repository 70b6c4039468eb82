"""The stand-in itself: one function from request to response over the stored state."""

import os
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox import access, github, routes, seed, seed_document
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import RefusalError, Reply, Response, failure, success, unroutable
from reconciler.sandbox.faults import Faults, inflict
from reconciler.sandbox.rate import RateWindow
from reconciler.sandbox.store import Store
from reconciler.sandbox.times import written

MOST_REQUESTS_KEPT = 100_000

_OUTSIDE = re.compile(rf"^{re.escape(routes.PREFIX)}(?:/accounts/[^/]+(?=/|$))?")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _uuid4() -> str:
    return str(uuid.uuid4())


class Sandbox:
    """A stand-in with its data in `path`, a file that outlives it and may be open in other processes too.

    Thread-safe. `clock` gives aware times. Raises StoreError where the file is not the stand-in's own.
    `faults` holds what it was told to fail at; `sleep` is how it is slow.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        clock: Callable[[], datetime] = _utc_now,
        new_uuid: Callable[[], str] = _uuid4,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.faults = Faults()
        self._sleep = sleep
        self._store = Store(path)
        self._clock = clock
        self._new_uuid = new_uuid
        self._rate = RateWindow()
        self._lock = threading.Lock()
        self._count = 0
        self._requests: deque[tuple[str, str]] = deque(maxlen=MOST_REQUESTS_KEPT)

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add what `document` describes (see seed_document), all or nothing; SeedError where it cannot be."""
        parsed = seed_document.parse(document)
        with self._store.transaction(write=True) as db:
            seed.plant(db, parsed, now=written(self._clock()), new_uuid=self._new_uuid)

    def handle(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer one request. `path` is the request line's, without query; header names have any case.

        Raises CutError, after or instead of acting, where a fault cuts the connection.
        """
        if path.startswith(github.PREFIX):
            with self._store.transaction(write=False) as db:
                return github.answer(db, method, path)
        below = _OUTSIDE.sub("", path, count=1)
        with self._lock:
            self._count += 1
            ordinal = self._count
            self._requests.append((method, below))
        now = self._clock()
        answer_headers = {"Content-Type": "application/json", "cf-ray": f"{ordinal:016x}-SBX", **self._rate.count(now)}

        def act() -> Response:
            try:
                reply = self._answer(method, path, query=query, headers=headers, body=body, now=written(now))
            except RefusalError as refusal:
                content = failure(refusal.code, refusal.message)
                return Response(status=refusal.status, headers=answer_headers, body=content)
            return Response(status=200, headers=answer_headers, body=success(reply))

        fault = self.faults.due(method, below)
        return inflict(fault, act, answer_headers, sleep=self._sleep) if fault else act()

    def requests(self) -> list[tuple[str, str]]:
        """(method, path below the account) of the requests since construction, the last 100,000 of them."""
        with self._lock:
            return list(self._requests)

    def close(self) -> None:
        """Let go of the file. Closing twice is fine; handling a request afterwards is an error."""
        self._store.close()

    def _answer(
        self, method: str, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], body: bytes, now: str
    ) -> Reply:
        matched = routes.match(method, path)
        if matched is None:
            raise unroutable(path)
        route, parameters = matched
        write = route.method != "GET"
        with self._store.transaction(write=write) as db:
            caller = access.authenticate(db, headers)
            account_id = parameters.get("account_id", "")
            access.authorise(db, caller, template=route.template, account_id=account_id, write=write)
            call = Call(db=db, caller=caller, path=parameters, query=query, body=body, now=now, new_uuid=self._new_uuid)
            return route.function(call)
