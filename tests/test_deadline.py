"""Answers that never end: the limit is on the whole request, whatever drips in."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from reconciler import api
from reconciler.errors import NetworkError
from reconciler.model import Request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
NEVER = {
    "a body": (HEAD, lambda: b" "),
    "headers": (b"HTTP/1.1 200 OK\r\nX-A: ", lambda: b"a"),
    "hints before the answer": (b"", lambda: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "silence": (b"", lambda: b""),
}


@contextlib.contextmanager
def dripping(first: bytes, more: Callable[[], bytes]) -> Iterator[str]:
    """A server that starts an answer and never ends it."""
    done = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            connection.sendall(first)
            while not done.wait(0.02):
                connection.sendall(more())

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/client/v4"
    finally:
        done.set()
        listening.close()


@pytest.mark.parametrize("what", NEVER)
def test_no_answer_lasts_for_ever(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TOTAL_SECONDS", 0.3)
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    started = time.monotonic()
    with dripping(*NEVER[what]) as url, api.Api(base_url=url, account_id="a", token="t") as asked:
        request = Request(method="GET", path=("builds", "tokens"))
        with pytest.raises(NetworkError, match="no answer in time"):
            asked.get(request, lambda result: result)
        with pytest.raises(NetworkError, match="no answer in time"):
            api.fetch_json(f"{url}/repos/acme/site")
    assert asked.reads == api.ATTEMPTS
    assert time.monotonic() - started < api.READ_SECONDS / 2  # two requests of five and one attempts, not one's limit
