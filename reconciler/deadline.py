"""One limit for a whole request: that of the HTTP library is for each read, and never ends where an answer drips in."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore


class Deadline(httpcore.NetworkBackend):
    """Opens connections whose every wait ends when the time of the request in this thread is over."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._sockets, self._thread = clock, httpcore.SyncBackend(), threading.local()

    @contextmanager
    def of(self, seconds: float) -> Iterator[None]:
        """The request inside takes no longer; then it ends in the library's own error for no answer in time."""
        self._thread.end = self._clock() + seconds
        try:
            yield
        finally:
            del self._thread.end

    def left(self, timeout: float | None) -> float | None:
        """How long may be waited now."""
        end = getattr(self._thread, "end", None)
        if end is None:
            return timeout
        left = float(end - self._clock())
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is over")
        return left if timeout is None else min(timeout, left)

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *rest: Any, **more: Any
    ) -> httpcore.NetworkStream:
        return _Stream(self._sockets.connect_tcp(host, port, self.left(timeout), *rest, **more), self)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
