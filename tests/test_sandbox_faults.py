"""The stand-in told to fail: each fault in the process and over a real socket, how often, and by whom."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPConnection
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from reconciler import cli
from reconciler.sandbox import CutError, FaultError, Sandbox
from reconciler.sandbox.fault_spec import Fault, from_fields, parse
from reconciler.sandbox.faults import MOST_FAULTS, PATH
from reconciler.sandbox.server import serve

ROOT = "/client/v4/accounts/a"
TOKENS = "/builds/tokens"
BODY = json.dumps({"build_token_name": "n", "build_token_secret": "s", "cloudflare_token_id": "i"}).encode()
HEADERS = {"Authorization": "Bearer x"}
CUT = "cut"


class Held:
    """A stand-in that is asked in one of two ways; `slept` is how long it was slow."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.sandbox = Sandbox(sleep=self.slept.append)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes] | str:
        try:
            found = self.sandbox.handle(method, path, {}, HEADERS, body)
        except CutError:
            return CUT
        return found.status, dict(found.headers), found.body

    def tokens(self) -> int:
        self.sandbox.faults.clear()
        answer = self.sandbox.handle("GET", ROOT + TOKENS, {}, HEADERS, b"")
        return len(json.loads(answer.body)["result"])


class Served(Held):
    """Each request on a connection of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.server: ThreadingHTTPServer = serve(self.sandbox)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes] | str:
        return asked(self.server.server_port, method, path, body)


def asked(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes] | str:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, HEADERS)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers.items()), answer.read()
    except (BadStatusLine, ConnectionError):
        return CUT
    finally:
        connection.close()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()
    made.sandbox.close()


@pytest.fixture(params=["in the process", "over a socket"])
def held(request: pytest.FixtureRequest) -> Iterator[Held]:
    if request.param == "over a socket":
        yield request.getfixturevalue("served")
        return
    made = Held()
    yield made
    made.sandbox.close()


def listed(held: Held) -> Any:
    answer = held.ask("GET", PATH)
    assert answer != CUT
    return json.loads(answer[2])["faults"]


@pytest.mark.parametrize(
    ("kind", "status", "acted"),
    [
        ("429", 429, False),
        ("500", 500, False),
        ("599", 599, False),
        ("503-after", 503, True),
        ("502-html", 502, False),
        ("520-html-after", 520, True),
        ("success-false", 200, False),
        ("success-false-after", 200, True),
        ("slow", 200, True),
        ("slow-after", 200, True),
        ("cut-before", None, False),
        ("cut-after", None, True),
        ("truncated", 200, True),
        ("wrong-shape", 200, True),
    ],
)
def test_each_fault(held: Held, kind: str, status: int | None, acted: bool) -> None:
    more = {"429": ":retry_after=7", "slow": ":seconds=0.25", "slow-after": ":seconds=0.25"}.get(kind, "")
    held.sandbox.faults.add(parse(f"{kind}:POST:{TOKENS}{more}"))
    answer = held.ask("POST", ROOT + TOKENS, BODY)
    assert held.tokens() == acted
    assert held.slept == ([0.25] if kind.startswith("slow") else [])
    if status is None or answer == CUT:
        assert (status, answer) == (None, CUT)
        return
    assert answer[0] == status
    headers, body = answer[1], answer[2]
    assert headers["cf-ray"]
    assert headers.get("Retry-After") == ("7" if kind == "429" else None)
    assert headers["Content-Type"] == ("text/html; charset=UTF-8" if "html" in kind else "application/json")
    if "html" in kind:
        assert body.startswith(b"<!DOCTYPE html>")
    elif kind == "truncated":
        assert body
        with pytest.raises(ValueError, match="line 1"):
            json.loads(body)
    else:
        document = json.loads(body)
        assert document["success"] is (kind.startswith("slow") or kind == "wrong-shape")
        assert document["errors"] if not document["success"] else not document["errors"]
        assert isinstance(document["result"], str) is (kind == "wrong-shape")


def test_only_the_connection_of_the_cut_ends(served: Served) -> None:
    other = HTTPConnection("127.0.0.1", served.server.server_port, timeout=10)
    other.request("GET", ROOT + TOKENS, headers=HEADERS)
    other.getresponse().read()
    first = other.sock
    served.sandbox.faults.add(parse("cut-before:POST:*"))
    assert served.ask("POST", ROOT + TOKENS, BODY) == CUT
    other.request("GET", ROOT + TOKENS, headers=HEADERS)
    assert other.getresponse().read()
    assert other.sock is first
    other.close()


def statuses(held: Held, *specs: str, method: str = "GET", path: str = TOKENS, count: int = 5) -> list[int]:
    for spec in specs:
        held.sandbox.faults.add(parse(spec))
    return [int(held.ask(method, ROOT + path)[0]) for _ in range(count)]


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["500:GET:*"], [500, 200, 200, 200, 200]),
        (["500:GET:*:times=3"], [500, 500, 500, 200, 200]),
        (["500:GET:*:after=2"], [200, 200, 500, 200, 200]),
        (["500:GET:*:after=3,times=forever"], [200, 200, 200, 500, 500]),
        (["500:GET:*", "503:GET:*"], [500, 503, 200, 200, 200]),
        (["500:GET:*:times=2", "503:GET:*:after=1,times=2"], [500, 500, 503, 503, 200]),
        (["500:POST:*:times=forever"], [200] * 5),
    ],
)
def test_how_often_and_from_when(held: Held, specs: list[str], expected: list[int]) -> None:
    assert statuses(held, *specs) == expected


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*", "/builds/triggers/x/environment_variables", True),
        ("/**", "/builds/triggers", True),
        ("/builds/**", "/builds/triggers/x", True),
        ("/builds/**", "/workers/scripts", False),
        ("/builds/triggers/*", "/builds/triggers/x", True),
        ("/builds/triggers/*", "/builds/triggers/x/environment_variables", False),
        ("/builds/triggers/*/environment_variables", "/builds/triggers/x/environment_variables", True),
        ("/builds/triggers", "/builds/triggers/x", False),
        ("/builds/triggers/[ab]?", "/builds/triggers/b1", True),
        ("/user/tokens/verify", "/user/tokens/verify", True),
    ],
)
def test_which_paths(glob: str, path: str, fits: bool) -> None:
    assert parse(f"500:*:{glob}").matches("PATCH", path) is fits


def test_a_spec_and_its_json_are_the_same_fault() -> None:
    fault = Fault(kind="429", method="*", path="*", times=3, retry_after=2)
    assert parse("429:*:*:times=3,retry_after=2") == fault
    assert from_fields({"kind": "429", "method": "*", "path": "*", "times": 3, "retry_after": 2}) == fault
    assert parse("slow:GET:*:seconds=2").seconds == 2
    assert parse("slow:GET:*:times=forever").times is None


BAD = [
    "",
    "500",
    "500:GET",
    "GET:500:*",
    "600:GET:*",
    "404:GET:*",
    "429-after:GET:*",
    "cut:GET:*",
    "truncated-after:GET:*",
    "500:get:*",
    "500:GET:builds",
    "500:GET:",
    "500:GET:*:",
    "500:GET:*:times",
    "500:GET:*:times=0",
    "500:GET:*:times=-1",
    "500:GET:*:times=1.5",
    "500:GET:*:times=1_0",
    "500:GET:*:times=1,times=2",
    "500:GET:*:kind=429",
    "500:GET:*:after=forever",
    "500:GET:*:sometimes=1",
    "500:GET:*:seconds=1",
    "500:GET:*:retry_after=1",
    "429:GET:*:retry_after=0.5",
    "slow:GET:*:seconds=inf",
    "slow:GET:*:seconds=601",
]


@pytest.mark.parametrize("spec", BAD)
def test_a_bad_spec_is_told_the_grammar(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FaultError):
        parse(spec)
    assert cli.run(["sandbox", "serve", "--port", "0", f"--fault={spec}"]) == 1
    error = capsys.readouterr().err
    assert f"the fault `{spec}` cannot be used: " in error
    assert "hint: it is KIND:METHOD:PATH[:NAME=VALUE,…]" in error


def test_the_endpoint_lists_adds_and_clears(served: Served) -> None:
    assert listed(served) == []
    body = json.dumps({"kind": "500", "method": "GET", "path": TOKENS, "times": "forever", "after": 1})
    added = served.ask("POST", PATH, body.encode())
    assert added[0] == 200
    assert statuses(served, count=3) == [200, 500, 500]
    (fault,) = listed(served)
    assert (fault["kind"], fault["method"], fault["path"]) == ("500", "GET", TOKENS)
    assert (fault["times"], fault["after"], fault["matched"], fault["failed"]) == ("forever", 1, 3, 2)
    assert served.ask("DELETE", PATH)[0] == 200
    assert listed(served) == []
    assert statuses(served, count=1) == [200]
    assert served.ask("PUT", PATH)[0] == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"kind": 500, "method": "GET", "path": "*"}',
        b'{"kind": "500", "method": ["GET"], "path": "*"}',
        b'{"kind": "500", "method": "GET", "path": "*", "times": true}',
        b'{"kind": "500", "method": "GET", "path": "*", "times": null}',
        b'{"kind": "slow", "method": "GET", "path": "*", "seconds": NaN}',
    ],
)
def test_the_endpoint_refuses_what_is_no_fault(served: Served, body: bytes) -> None:
    answer = served.ask("POST", PATH, body)
    assert answer[0] == 400
    document = json.loads(answer[2])
    assert document["error"]
    assert "KIND:METHOD:PATH" in document["hint"]
    assert listed(served) == []


def test_the_endpoint_is_no_part_of_the_api(served: Served) -> None:
    served.sandbox.faults.add(parse("500:*:*:times=forever"))
    assert served.ask("GET", PATH)[0] == 200
    assert served.sandbox.requests() == []
    assert served.sandbox.handle("DELETE", PATH, {}, {}, b"").status == 500
    assert served.ask("DELETE", PATH)[0] == 200
    assert served.sandbox.handle("GET", PATH, {}, {}, b"").status == 404
    assert served.ask("GET", f"{ROOT}{PATH}")[0] == 404


def test_only_this_machine_may_have_it_fail(served: Served) -> None:
    accept = served.server.get_request
    served.server.get_request = lambda: (accept()[0], ("192.0.2.1", 1))  # type: ignore[method-assign]
    assert served.ask("GET", PATH)[0] == 404
    assert served.ask("GET", ROOT + TOKENS)[0] == 200


def test_there_is_an_end_to_faults(served: Served) -> None:
    for _ in range(MOST_FAULTS):
        served.sandbox.faults.add(parse("500:GET:*"))
    assert served.ask("POST", PATH, b'{"kind": "500", "method": "GET", "path": "*"}')[0] == 400
    assert cli.run(["sandbox", "serve", "--port", "0", *["--fault=500:GET:*"] * (MOST_FAULTS + 1)]) == 1


def test_serving_with_faults() -> None:
    command = [sys.executable, "-m", "reconciler", "sandbox", "serve", "--port", "0"]
    faults = ["--fault", f"500:GET:{TOKENS}", "--fault", f"cut-after:POST:{TOKENS}"]
    server = subprocess.Popen([*command, *faults], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = urlsplit(server.stdout.readline().strip()).port
        assert port is not None
        found = [asked(port, "GET", ROOT + TOKENS)[0] for _ in range(2)]
        assert asked(port, "POST", ROOT + TOKENS, BODY) == CUT
        assert found == [500, 200]
    finally:
        server.terminate()
        server.communicate(timeout=10)


def test_help_shows_the_grammar_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sandbox", "serve", "--help"]) == 0
    told = capsys.readouterr().out
    assert "KIND:METHOD:PATH[:NAME=VALUE,…]" in told
    assert max(map(len, told.splitlines())) <= 80
