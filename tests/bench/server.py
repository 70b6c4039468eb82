"""The API as far as the bench asks it, cheap enough to be no part of what is measured: `server.py ANSWERS MS`.

Every answer is made in advance, and leaves after MS milliseconds. A PATCH answers what it would have come to,
and changes nothing, so that the same run can be measured again. `GET /count` tells what was asked since the
last time, by method. It announces a rate limit so wide that nobody has to wait.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n"
    b'CF-Ray: 8f0000000000beef-SBX\r\nRatelimit: "default";r=1000000;t=300\r\n'
    b'Ratelimit-Policy: "default";q=1000000;w=300\r\nContent-Length: %d\r\n\r\n'
)
NOT_FOUND = b'{"result":null,"success":false,"errors":[{"code":12000,"message":"Not found"}],"messages":[]}'


class Answers:
    def __init__(self, answers: dict[str, str], seconds: float) -> None:
        self.seconds = seconds
        self.count: Counter[str] = Counter()
        self.made = {path: _http(text.encode()) for path, text in answers.items()}
        self.results = {path: json.loads(text)["result"] for path, text in answers.items()}
        self.triggers = {
            trigger["trigger_uuid"]: trigger
            for path, result in self.results.items()
            if path.endswith("/triggers")
            for trigger in result
        }

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        self.count[method] += 1
        if method == "GET":
            return self.made.get(path) or _http(NOT_FOUND, b"HTTP/1.1 404 Not Found\r\n")
        sent = json.loads(body)
        if path.endswith("/environment_variables"):
            written = {key: one | {"value": None if one["is_secret"] else one["value"]} for key, one in sent.items()}
            result = {**self.results[path], **written}
        else:
            result = {**self.triggers[path.rpartition("/")[2]], **sent}
        return _http(json.dumps({"result": result, "success": True, "errors": [], "messages": []}).encode())


def _http(body: bytes, status: bytes = b"") -> bytes:
    head = HEADERS % len(body)
    return (status + head.partition(b"\r\n")[2] if status else head) + body


class Connection(asyncio.Protocol):
    """Requests one after the other, as HTTP/1.1 without pipelining has them."""

    def __init__(self, answers: Answers) -> None:
        self.answers, self.read = answers, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, found, body = self.read.partition(b"\r\n\r\n")
        if not found:
            return
        line, *fields = head.split(b"\r\n")
        lengths = [int(one[15:]) for one in fields if one[:15].lower() == b"content-length:"]
        if len(body) < sum(lengths):
            return
        self.read = b""
        method, path = line.decode().split(" ")[:2]
        if path == "/count":
            self.transport.write(_http(json.dumps(self.answers.count).encode()))
            self.answers.count.clear()
            return
        answer = self.answers.answer(method, path.partition("?")[0], body)
        asyncio.get_running_loop().call_later(self.answers.seconds, self.transport.write, answer)


async def main() -> None:
    answers = Answers(json.loads(Path(sys.argv[1]).read_text()), float(sys.argv[2]) / 1000)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
