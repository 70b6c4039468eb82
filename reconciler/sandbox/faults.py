"""Has the stand-in fail at requests that it was told to fail at. What it was told lives in memory only.

A request may match several faults: all of them count it, the first that is due, in the order added, fails it.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from reconciler.sandbox.envelope import Response, failure
from reconciler.sandbox.fault_spec import FOREVER, GRAMMAR, Fault, FaultError, from_fields

PATH = "/__sandbox/faults"
MOST_FAULTS = 1_000

_HTML = b"<!DOCTYPE html>\n<html><head><title>%d</title></head><body><h1>Error %d</h1>cloudflare</body></html>\n"


class CutError(ConnectionError):
    """What `Sandbox.handle` raises, instead of answering, where a fault cuts the connection."""


class Faults:
    """The faults of one stand-in, in the order added. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[tuple[Fault, list[int]]] = []  # each with how many requests matched, and how many failed

    def add(self, fault: Fault) -> None:
        with self._lock:
            if len(self._held) >= MOST_FAULTS:
                raise FaultError(f"there are {MOST_FAULTS} faults already")
            self._held.append((fault, [0, 0]))

    def clear(self) -> None:
        with self._lock:
            self._held.clear()

    def due(self, method: str, path: str) -> Fault | None:
        """Count a request, whose path is the one below the account; the fault that it is to meet, if any."""
        found = None
        with self._lock:
            for fault, counts in self._held:
                if not fault.matches(method, path):
                    continue
                counts[0] += 1
                left = fault.times is None or counts[1] < fault.times
                if found is None and left and counts[0] > fault.after:
                    counts[1] += 1
                    found = fault
        return found

    def answer(self, method: str, body: bytes) -> Response:
        """What the server says on PATH: GET lists, POST adds one, DELETE clears."""
        status, document = 200, {}
        try:
            if method == "POST":
                self.add(from_fields(json.loads(body)))
            elif method == "DELETE":
                self.clear()
            elif method != "GET":
                status, document = 405, {"error": "GET lists the faults, POST adds one, DELETE clears them"}
        except (ValueError, RecursionError) as error:
            return _json(400, {"error": str(error), "hint": f"the fields of {GRAMMAR}"})
        return _json(status, document or {"faults": self._listed()})

    def _listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {**asdict(fault), "times": fault.times or FOREVER, "matched": matched, "failed": failed}
                for fault, (matched, failed) in self._held
            ]


def inflict(
    fault: Fault, act: Callable[[], Response], headers: Mapping[str, str], *, sleep: Callable[[float], object]
) -> Response:
    """The answer to a request that this is due for, with `headers` beside its own; `act` has the API act."""
    kind = fault.kind.removesuffix("-after")
    acted = act() if fault.kind != kind or kind in ("truncated", "wrong-shape") else None
    if kind.startswith("cut"):
        raise CutError(f"cut by the fault {fault.kind}")
    if kind == "slow":
        sleep(fault.seconds)
        return acted or act()
    if acted and kind == "truncated":
        return replace(acted, body=acted.body[: len(acted.body) // 2])
    if acted and kind == "wrong-shape":
        return replace(acted, body=json.dumps({**json.loads(acted.body), "result": "of no known shape"}).encode())
    if kind == "success-false":
        return Response(status=200, headers=headers, body=failure(10001, "Internal error"))
    if kind == "429":
        limited = {**headers, "Retry-After": str(fault.retry_after)}
        return Response(status=429, headers=limited, body=failure(971, "Please wait, too many requests"))
    status = int(kind[:3])
    if kind.endswith("-html"):
        page = {**headers, "Content-Type": "text/html; charset=UTF-8"}
        return Response(status=status, headers=page, body=_HTML % (status, status))
    return Response(status=status, headers=headers, body=failure(10001, "Internal error"))


def _json(status: int, document: Mapping[str, Any]) -> Response:
    return Response(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode())
