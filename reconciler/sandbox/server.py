"""Serves a stand-in over HTTP/1.1 with keep-alive: frames requests and answers, knows nothing of the API.

Beside the API, on a path that is not part of it, a client on the same machine can have it fail (see faults).
"""

import contextlib
import ipaddress
import socket
import socketserver
import sys
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from reconciler.sandbox import faults
from reconciler.sandbox.envelope import failure
from reconciler.sandbox.sandbox import Sandbox

# The largest body that makes sense: 64 variables of 5,000 characters, each twelve bytes of JSON escapes.
MOST_BODY_BYTES = 4 * 1024 * 1024
# How much of a refused body is read and thrown away, so that its sender gets to see the refusal.
MOST_DRAINED_BYTES = 16 * MOST_BODY_BYTES
DRAIN_SECONDS = 2.0
IDLE_SECONDS = 60.0


def serve(sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server, bound but not yet serving; port 0 takes a free one and `server_address` tells which.

    The caller runs `serve_forever()`, `shutdown()` and `server_close()`.
    """
    return _Server((host, port), sandbox)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the name service for the host's full name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away in the middle is no event worth a traceback.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS

    def answer(self) -> None:
        """Read one whole request, have it handled, send the answer."""
        if self._refused_framing():
            return
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        if path == faults.PATH and self._is_local():
            told = self.server.sandbox.faults.answer(self.command, body)
            self._send(told.status, told.headers, told.body)
            return
        try:
            parameters = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=100))
        except ValueError:
            self._send(400, {}, failure(12013, "Invalid query parameter"))
            return
        try:
            response = self.server.sandbox.handle(self.command, path, parameters, dict(self.headers.items()), body)
        except faults.CutError:
            self.close_connection = True
            return
        except Exception:
            # Whatever broke, the client is owed an answer. The traceback goes where the server's errors go.
            self.close_connection = True
            self._send(500, {}, failure(10001, "Internal error of the sandbox"))
            raise
        self._send(response.status, response.headers, response.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815 - the library's names

    def handle_expect_100(self) -> bool:
        """Refuse a body before it is sent, instead of asking for it."""
        return not self._refused_framing() and super().handle_expect_100()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses by itself, a malformed request line for one, in the envelope as well."""
        self.close_connection = True
        self._send(code, {}, failure(code, message or explain or HTTPStatus(code).phrase))

    def log_message(self, *_: Any) -> None:
        """Silent: requests are counted by the sandbox, not told on stderr."""

    def _is_local(self) -> bool:
        """Whether the client is on this machine: from elsewhere, nobody tells it to fail."""
        return ipaddress.ip_address(self.client_address[0]).is_loopback

    def _refused_framing(self) -> bool:
        """Whether the body will not be read: then the request is refused and the connection ends."""
        lengths = set(self.headers.get_all("Content-Length", []))
        if "Transfer-Encoding" in self.headers:
            status = HTTPStatus.LENGTH_REQUIRED
        elif len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            status = HTTPStatus.BAD_REQUEST
        elif any(len(length) > 12 or int(length) > MOST_BODY_BYTES for length in lengths):
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        else:
            return False
        self.close_connection = True
        self._send(status, {}, failure(status, status.phrase))
        self._drain()
        return True

    def _drain(self) -> None:
        """Closing with unread input resets the connection, and the reset can overtake the answer."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(DRAIN_SECONDS)
            for _ in range(MOST_DRAINED_BYTES // 65536):
                if not self.rfile.read1(65536):
                    return

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        # Gateways answer 520 to 524 (field notes, Access), which no standard names: there may be no phrase.
        phrase = self.responses.get(status, ("",))[0]
        # One write for head and body: in two, the second may wait for the first one's acknowledgement.
        lines = [
            f"{self.protocol_version} {int(status)} {phrase}",
            f"Date: {formatdate(usegmt=True)}",
            *(f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()),
            f"Content-Length: {len(body)}",
            *(["Connection: close"] if self.close_connection else []),
        ]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self.wfile.write(head if self.command == "HEAD" else head + body)
