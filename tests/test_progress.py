"""On a terminal a long read says how far it is, and leaves nothing behind; in a pipe it is silent."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

from fake_server import Answer, Call, FakeServer, environment, serving, start, write

WORKERS = 24
MANIFEST = "version: 1\nowner: acme\nworkers:\n" + "".join(f"  w{number}: {{}}\n" for number in range(WORKERS))


def _slow(server: FakeServer) -> None:
    for number in range(WORKERS):
        server.worker(f"w{number}")

    def wait(call: Call) -> Answer:
        import time

        time.sleep(0.4)
        return server.respond(call)

    server.on("GET", "/builds/workers/[^/]+/triggers", wait)


def _run(server: FakeServer, folder: Path, *, terminal: bool) -> str:
    ours, theirs = pty.openpty()
    errors = theirs if terminal else subprocess.PIPE
    env = environment(server, NO_COLOR=None, TERM="xterm")
    process = start(["plan"], env, folder, stderr=errors)
    os.close(theirs)
    seen = b""
    if terminal:
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
    _, err = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    return seen.decode() if terminal else err


def test_progress_on_a_terminal_and_nothing_behind(tmp_path: Path) -> None:
    with serving() as server:
        _slow(server)
        text = _run(server, write(tmp_path, MANIFEST), terminal=True)
    assert re.search(rf"reading: \d+ of {WORKERS + 1}", text)
    assert text.endswith("\r\x1b[K")
    assert re.fullmatch(r"(?:\r\x1b\[K(?:reading: \d+ of \d+)?)+", text)


def test_silence_in_a_pipe(tmp_path: Path) -> None:
    with serving() as server:
        _slow(server)
        assert _run(server, write(tmp_path, MANIFEST), terminal=False) == ""
