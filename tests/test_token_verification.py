"""A secret that is to replace a working token is tried first, and what cannot be tried says how to go on."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_server import (
    AFTER,
    CLOUDFLARE_TOKEN_ID,
    DEPLOY,
    Answer,
    FakeServer,
    Ran,
    build_estate,
    envelope,
    environment,
    failure,
    finish,
    html,
    run,
    serving,
    start,
    write,
)

from reconciler import api, gate

NEW = "f" * 32
VERIFY = r".*/user/tokens/verify"
ARGUMENTS = ["apply", "--auto-approve", "--out", "report.json"]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    with serving() as found:
        build_estate(found, tmp_path_factory.mktemp("estate"))
        found.clear()
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, AFTER.replace(CLOUDFLARE_TOKEN_ID, NEW))


def outcome(ran: Ran, folder: Path) -> tuple[str, str, str]:
    report = json.loads((folder / "report.json").read_text())
    (found,) = [one for one in report["outcomes"] if one["address"] == "token/deploy"]
    return found["status"], found["error"] or "", ran.text


def test_it_is_asked_under_the_new_secret_and_nothing_else(server: FakeServer, folder: Path) -> None:
    server.on("GET", VERIFY, envelope({"id": NEW, "status": "active"}))
    assert run(ARGUMENTS, environment(server), folder).code == 0
    (asked,) = server.sent("GET", VERIFY)
    assert asked.headers["authorization"] == f"Bearer {DEPLOY}"
    assert [one.headers["authorization"] for one in server.log].count(f"Bearer {DEPLOY}") == 1


@pytest.mark.parametrize("answer", [failure(404, 7003), html(404), failure(404, 1000, "Not Found")])
def test_where_there_is_no_such_path_it_is_skipped(server: FakeServer, folder: Path, answer: Answer) -> None:
    server.on("GET", VERIFY, answer)
    ran = run(ARGUMENTS, environment(server), folder)
    assert ran.code == 0, ran.text


@pytest.mark.parametrize(
    "answer", [failure(500, 1), html(502), html(403), failure(400, 6003), Answer(cut="before"), envelope([1])]
)
def test_what_cannot_be_tried_says_how_to_go_on(server: FakeServer, folder: Path, answer: Answer) -> None:
    server.on("GET", VERIFY, answer)
    ran = run(ARGUMENTS, environment(server), folder)
    status, error, text = outcome(ran, folder)
    assert (ran.code, status) == (3, "failed"), text
    assert "the secret of `token/deploy` could not be tried" in error
    assert "--no-verify-token skips this" in text
    assert not server.sent("POST", "/builds/tokens")
    server.clear()
    assert run([*ARGUMENTS, "--no-verify-token"], environment(server), folder).code == 0
    assert not server.sent("GET", VERIFY)


@pytest.mark.parametrize("found", [{"id": "0" * 32, "status": "active"}, {"id": NEW, "status": "disabled"}])
def test_a_wrong_secret_leaves_the_working_token(server: FakeServer, folder: Path, found: object) -> None:
    server.on("GET", VERIFY, envelope(found))
    ran = run(ARGUMENTS, environment(server), folder)
    status, error, _ = outcome(ran, folder)
    assert (ran.code, status) == (3, "failed")
    assert "the working token stays" in error
    assert not server.sent("POST", "/builds/tokens")


def test_an_interruption_says_nothing_of_the_secret(server: FakeServer, folder: Path) -> None:
    """The rate limit holds the verification up, and a signal ends the waiting."""
    server.on("GET", VERIFY, Answer(status=429, headers={"Retry-After": "300"}))
    process = start(ARGUMENTS, environment(server), folder)
    assert process.stderr
    while "rate limit" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    status, error, _ = outcome(ran, folder)
    assert (ran.code, status) == (130, "skipped")
    assert "secret" not in error
