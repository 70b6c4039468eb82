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


def _run(server: FakeServer, folder: Path, *arguments: str, terminal: bool, code: int = 0, **more: str) -> str:
    ours, theirs = pty.openpty()
    errors = theirs if terminal else subprocess.PIPE
    env = environment(server, NO_COLOR=None, TERM="xterm", **more)
    process = start(list(arguments or ["plan"]), env, folder, stderr=errors)
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
    assert process.returncode == code
    return seen.decode() if terminal else err


def test_progress_on_a_terminal_and_nothing_behind(tmp_path: Path) -> None:
    with serving() as server:
        _slow(server)
        text = _run(server, write(tmp_path, MANIFEST), terminal=True)
    assert re.search(rf"reading: \d+ of {WORKERS + 1}", text)
    assert text.endswith("\r\x1b[K")
    assert re.fullmatch(r"(?:\r\x1b\[K(?:reading: \d+ of \d+(?:, about \d+ s left)?)?)+", text)


def test_silence_in_a_pipe(tmp_path: Path) -> None:
    with serving() as server:
        _slow(server)
        assert _run(server, write(tmp_path, MANIFEST), terminal=False) == ""


def test_an_apply_says_how_many_writes_are_done_and_how_long_it_waits(tmp_path: Path) -> None:
    with serving() as server:
        server.worker("web")
        token = server.add_token("t")["build_token_uuid"]
        text = "version: 1\nowner: acme\nconnections: {acme/site: {provider_account_id: '1', repo_id: '2'}}\n"
        trigger = "{branch_includes: [main], deploy_command: x}"
        text += f"workers: {{web: {{build_token_uuid: {token}, triggers: {{p: {trigger}}}}}}}\n"
        answers = iter([Answer(status=429, headers={"Retry-After": "7"})])

        def wait(call: Call) -> Answer:
            import time

            time.sleep(0.7)
            return next(answers, None) or server.respond(call)

        for method in ("PUT", "POST", "PATCH"):
            server.on(method, "/builds/.*", wait)
        seen = _run(server, write(tmp_path, text), "apply", "--auto-approve", terminal=True)
    assert re.search(r"writing: \d of \d, about \d+ s left", seen)
    assert re.search(r"waiting: [67] s left", seen)
    assert "waiting 7 s for the rate limit, which all of a user's tools share\r\n" in seen
    assert seen.endswith("\r\x1b[K")


def test_without_a_network_a_terminal_shows_that_it_tries_again(tmp_path: Path) -> None:
    away = {"CLOUDFLARE_API_BASE_URL": "http://127.0.0.1:9"}
    with serving() as server:
        folder = write(tmp_path, MANIFEST)
        seen = _run(server, folder, terminal=True, code=7, **away)
        assert "\r\x1b[Kno connection to `127.0.0.1:9`: trying again\r\x1b[K" in seen
        assert "trying again" not in re.sub(r"\r\x1b\[K[^\r\n]*(?=\r\x1b\[K)", "", seen)
        err = _run(server, folder, terminal=False, code=7, **away)
    assert "trying again" not in err
    assert "no connection to `127.0.0.1:9`" in err
