"""The stand-in over real sockets: keep-alive, framing, limits, and that one broken client harms no other."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import MOST_BODY_BYTES, serve

ROOT = "/client/v4/accounts/a"
HEADERS = {"Authorization": "Bearer x"}
BODY = json.dumps({"build_token_name": "n", "build_token_secret": "s", "cloudflare_token_id": "i"})


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def port(sandbox: Sandbox) -> Iterator[int]:
    server = serve(sandbox)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def connection(port: int) -> Iterator[HTTPConnection]:
    made = HTTPConnection("127.0.0.1", port, timeout=10)
    yield made
    made.close()


def read(response: HTTPResponse) -> Any:
    content = response.read()
    assert response.headers["Content-Type"] == "application/json"
    assert int(response.headers["Content-Length"]) == len(content)
    return json.loads(content)


def code(response: HTTPResponse) -> tuple[int, int]:
    document = read(response)
    assert document["success"] is False
    return response.status, document["errors"][0]["code"]


def raw(port: int, data: bytes) -> bytes:
    """What comes back for these bytes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_one_connection_serves_many_requests(connection: HTTPConnection, sandbox: Sandbox) -> None:
    connection.request("POST", f"{ROOT}/builds/tokens", BODY, HEADERS)
    assert read(connection.getresponse())["result"]["build_token_name"] == "n"
    first = connection.sock
    for _ in range(20):
        connection.request("GET", f"{ROOT}/builds/tokens?page=1&per_page=10", headers=HEADERS)
        response = connection.getresponse()
        assert read(response)["result_info"]["per_page"] == 10
        assert response.headers["Ratelimit"]
        assert response.headers["cf-ray"]
        assert response.version == 11
    assert connection.sock is first
    assert len(sandbox.requests()) == 21


def test_no_answer_waits_for_an_acknowledgement(connection: HTTPConnection) -> None:
    began = time.monotonic()
    for _ in range(50):
        connection.request("POST", f"{ROOT}/builds/tokens", BODY, HEADERS)
        read(connection.getresponse())
    # A delayed acknowledgement costs 40 ms each: 2 s for all.
    assert time.monotonic() - began < 1.5


def test_queries_and_escapes_are_decoded(connection: HTTPConnection) -> None:
    connection.request("GET", f"{ROOT}/builds/tokens?per_page=%32%30&page=", headers=HEADERS)
    assert code(connection.getresponse()) == (400, 12013)
    connection.request("GET", f"{ROOT}/builds/tokens?{'&'.join(['a=1'] * 200)}", headers=HEADERS)
    assert code(connection.getresponse()) == (400, 12013)
    connection.request("GET", f"{ROOT}/workers/services/%C3%A9", headers=HEADERS)
    assert code(connection.getresponse()) == (404, 10007)


def test_without_authorization(connection: HTTPConnection) -> None:
    connection.request("GET", f"{ROOT}/workers/scripts")
    assert code(connection.getresponse()) == (401, 12005)


def test_head_and_options_are_unroutable(connection: HTTPConnection) -> None:
    connection.request("HEAD", f"{ROOT}/workers/scripts", headers=HEADERS)
    response = connection.getresponse()
    assert (response.status, response.read()) == (404, b"")
    connection.request("OPTIONS", f"{ROOT}/workers/scripts", headers=HEADERS)
    assert code(connection.getresponse()) == (404, 7003)
    connection.request("BREW", "/", headers=HEADERS)
    assert code(connection.getresponse()) == (501, 501)


def test_a_body_at_the_limit_is_read_and_one_above_is_413(connection: HTTPConnection, sandbox: Sandbox) -> None:
    connection.request("PUT", f"{ROOT}/builds/repos/connections", b" " * MOST_BODY_BYTES, HEADERS)
    assert code(connection.getresponse()) == (400, 12002)
    connection.request("PUT", f"{ROOT}/builds/repos/connections", b" " * (MOST_BODY_BYTES + 1), HEADERS)
    response = connection.getresponse()
    assert code(response) == (413, 413)
    assert response.headers["Connection"] == "close"
    assert len(sandbox.requests()) == 1


def test_a_chunked_body_is_411(connection: HTTPConnection) -> None:
    connection.request("POST", f"{ROOT}/builds/tokens", iter([BODY.encode()]), HEADERS, encode_chunked=True)
    assert code(connection.getresponse()) == (411, 411)


@pytest.mark.parametrize("length", ["-1", "x", "+5", "", "5\r\nContent-Length: 6", "\xb2"])
def test_a_bad_length_is_400(port: int, length: str) -> None:
    head = f"POST {ROOT}/builds/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{{}}"
    assert raw(port, head.encode("latin-1")).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_huge_length_is_413(port: int) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {'9' * 5000}\r\n\r\n"
    assert raw(port, head.encode()).startswith(b"HTTP/1.1 413 ")


def test_expect_is_answered_before_the_body(port: int) -> None:
    head = f"POST {ROOT}/builds/tokens HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    assert raw(port, f"{head}99999999\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")
    answer = raw(port, f"{head}2\r\n\r\n{{}}".encode())
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 ")


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 70000 + b"\r\n\r\n"]
)
def test_a_bad_request_line_gets_the_envelope(port: int, data: bytes) -> None:
    head, _, body = raw(port, data).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert json.loads(body)["success"] is False


def test_a_client_that_goes_away_is_no_noise(port: int, capfd: pytest.CaptureFixture[str], sandbox: Sandbox) -> None:
    head = f"POST {ROOT}/builds/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{{"
    assert raw(port, head.encode()) == b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.sendall(head.encode())
    time.sleep(0.05)
    assert sandbox.requests() == []
    assert capfd.readouterr() == ("", "")


def test_many_clients_at_once(port: int, sandbox: Sandbox) -> None:
    failures: list[object] = []

    def run() -> None:
        client = HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(10):
            client.request("POST", f"{ROOT}/builds/tokens", BODY, HEADERS)
            if (response := client.getresponse()).status != 200:
                failures.append(response.status)
            response.read()
        client.close()

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(sandbox.requests()) == 120


def test_an_error_inside_is_a_500_with_a_traceback_on_stderr(
    port: int, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.close()
    request = f"GET {ROOT}/workers/scripts HTTP/1.1\r\nHost: x\r\n\r\n"
    # The server closes the connection only after it has told of the error, and `raw` waits for that.
    head, _, body = raw(port, request.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"\r\nConnection: close" in head
    assert json.loads(body)["success"] is False
    assert sqlite3.ProgrammingError.__name__ in capfd.readouterr().err


def test_ipv6_where_there_is_one(sandbox: Sandbox) -> None:
    try:
        server = serve(sandbox, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert server.server_address[0] == "::1"
    server.server_close()
