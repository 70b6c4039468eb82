"""A process that is really killed at any request, and two that apply at once: the next run ends in the same place.

Against a server that knows nothing of the sandbox; every golden case is in `test_killed_stories.py`.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from fake_server import (
    AFTER,
    BEFORE,
    Answer,
    Call,
    FakeServer,
    build_estate,
    environment,
    finish,
    run,
    serving,
    start,
    write,
)

APPLY = ["apply", "--auto-approve"]


def prepared(server: FakeServer, folder: Path, manifest: str) -> None:
    """What stands in the account before `manifest` is applied: nothing but Workers, or what `BEFORE` declares."""
    if manifest is AFTER:
        build_estate(server, folder)
    else:
        for name in ("api", "web", "undeclared"):
            server.worker(name)
        server.add_token("Workers Builds - 2026-01-02")
    write(folder, manifest)
    server.clear()


def shown(server: FakeServer) -> Any:
    """The state by natural keys: a uuid is another one where a trigger was made again."""
    names = {token["build_token_uuid"]: token["build_token_name"] for token in server.tokens}
    repos = {uuid: one["repo_id"] for uuid, one in server.connections.items()}
    triggers = []
    for uuid, one in server.triggers.items():
        fields = {name: value for name, value in one.items() if name != "trigger_uuid"}
        fields["build_token_uuid"] = names[one["build_token_uuid"]]
        fields["repo_connection_uuid"] = repos[one["repo_connection_uuid"]]
        values = {key: one["value"] for key, one in server.variables[uuid].items() if key != "BUILDSCTL"}
        triggers.append((one["external_script_id"], one["trigger_name"], fields, values))
    return sorted(triggers, key=lambda one: one[:2]), sorted(names.values()), sorted(repos.values())


@pytest.mark.parametrize(
    ("manifest", "acts"),
    [
        pytest.param(BEFORE, True, id="from nothing, after it acted", marks=pytest.mark.thorough),
        pytest.param(AFTER, False, id="from BEFORE to AFTER, before it acts"),
        pytest.param(BEFORE, False, id="from nothing, before it acts", marks=pytest.mark.thorough),
        pytest.param(AFTER, True, id="from BEFORE to AFTER, after it acted", marks=pytest.mark.thorough),
    ],
)
def test_a_process_killed_at_any_request_is_finished_by_the_next(
    manifest: str, acts: bool, tmp_path: Path, thorough: bool, record_property: Any
) -> None:
    with serving() as server:
        prepared(server, tmp_path, manifest)
        first = server.state()
        assert run(APPLY, environment(server), tmp_path).code == 0
        whole, requests = shown(server), len(server.log)
        reads = requests - len(server.writes())
        killed = 0
        between = range(2, reads) if thorough else ()  # where nothing differs yet
        for last in (1, *between, *range(reads, requests + 1)):
            server.restore(first)
            server.clear()
            process = _killed_at(server, tmp_path, last, acts=acts)
            killed += process == -signal.SIGKILL
            server.clear()
            again = run(APPLY, environment(server), tmp_path)
            assert again.code == 0, (last, again.text)
            assert shown(server) == whole, last
            assert run(["plan", "--detailed-exitcode"], environment(server), tmp_path).code == 0, last
        assert killed >= requests - reads
        record_property("tried: processes killed with SIGKILL", killed)


def _killed_at(server: FakeServer, folder: Path, last: int, *, acts: bool) -> int:
    """The exit code of an apply that is killed while it waits for the answer to its request number `last`."""
    process = start(APPLY, environment(server), folder)

    def kill(call: Call) -> Answer | None:
        # Requests come in parallel: what comes after the kill was never acted upon.
        with server._lock:
            number = server.log.index(call) + 1
            if number < last:
                return None
            if number == last:
                if acts:
                    server.respond(call)
                process.kill()
                process.wait()
            return Answer(cut="before")

    server.on("", r".*", kill)
    return finish(process).code


@pytest.mark.parametrize("manifest", [BEFORE, AFTER], ids=["from nothing", "from BEFORE to AFTER"])
def test_two_applies_at_once_lose_and_double_nothing(manifest: str, tmp_path: Path) -> None:
    """Neither writes before both have begun to read. At worst one stops and says why; the next run mends."""
    with serving() as server:
        prepared(server, tmp_path, manifest)
        first = server.state()
        assert run(APPLY, environment(server), tmp_path).code == 0
        whole = shown(server)
        server.restore(first)
        server.clear()
        both = threading.Event()

        def together(call: Call) -> Answer | None:
            if call.method != "GET":
                both.wait(timeout=30)
            elif call.path == "/workers/scripts" and len(server.sent("GET", call.path)) >= 2:
                both.set()
            return None

        server.on("", r".*", together)
        pair = [start(APPLY, environment(server), tmp_path) for _ in range(2)]
        ran = [finish(process) for process in pair]
        assert {one.code for one in ran} <= {0, 3, 7}, [one.text for one in ran]  # 7: the other deleted what it read
        for one in ran:
            assert one.code == 0 or "somebody made it meanwhile" in one.out or "error: " in one.err, one.text
        server.clear()
        again = run(APPLY, environment(server), tmp_path)
        assert again.code == 0, again.text
        assert shown(server)[0] == whole[0]
        assert shown(server)[2] == whole[2]
        assert set(shown(server)[1]) == set(whole[1])
        assert run(["plan", "--detailed-exitcode"], environment(server), tmp_path).code == 0
