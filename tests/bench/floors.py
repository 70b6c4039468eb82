"""The floor: the same requests from a script that does nothing else: `floors.py LIBRARY PORT JOB`.

JOB is a file with `prefix` and `writes`. It knows nothing in advance: names to tags, then each Worker's triggers,
then each trigger's variables as soon as its UUID is known, on 16 connections; then for each trigger in `writes`
its PATCH, then that of its variables. Each library is used the way it is quickest.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

CONNECTIONS = 16
Call = tuple[str, str, bytes | None]  # method, path, body
Send = Callable[[str, str, bytes | None], bytes]


class Job:
    """What to ask: `first` at once, `after` what an answer leads to."""

    def __init__(self, path: str) -> None:
        job = json.loads(Path(path).read_text())
        self.prefix: str = job["prefix"]
        self.writes: list[list[list[Any]]] = job["writes"]

    def first(self) -> list[Call]:
        return [
            ("GET", f"{self.prefix}{path}", None) for path in ("/workers/scripts", "/builds/tokens?page=1&per_page=200")
        ]

    def after(self, path: str, body: bytes) -> Iterator[Call]:
        result = json.loads(body)["result"]
        if path.endswith("/scripts"):
            for worker in result:
                yield "GET", f"{self.prefix}/builds/workers/{worker['tag']}/triggers", None
        elif path.endswith("/triggers"):
            for trigger in result:
                yield "GET", f"{self.prefix}/builds/triggers/{trigger['trigger_uuid']}/environment_variables", None

    def branches(self) -> list[list[Call]]:
        return [[(method, path, json.dumps(body).encode()) for method, path, body in one] for one in self.writes]


def threads(job: Job, connect: Callable[[], Send]) -> None:
    """A queue and 16 threads, each with a connection of its own, or all with one pool."""
    todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
    done: queue.SimpleQueue[int] = queue.SimpleQueue()

    def work() -> None:
        send = connect()
        while (calls := todo.get()) is not None:
            for method, path, body in calls:
                answer = send(method, path, body)
                more = list(job.after(path, answer)) if method == "GET" else []
                for call in more:
                    todo.put([call])
                if method != "GET":
                    json.loads(answer)
            done.put(len(more))

    for _ in range(CONNECTIONS):
        threading.Thread(target=work, daemon=True).start()
    for branches in ([[call] for call in job.first()], job.branches()):
        for branch in branches:
            todo.put(branch)
        left = len(branches)
        while left:
            left += done.get() - 1


async def tasks(job: Job, send: Callable[[str, str, bytes | None], Awaitable[bytes]]) -> None:
    """A queue and 16 tasks."""
    import asyncio

    todo: asyncio.Queue[list[Call]] = asyncio.Queue()

    async def work() -> None:
        while True:
            for method, path, body in await todo.get():
                answer = await send(method, path, body)
                if method == "GET":
                    for call in job.after(path, answer):
                        todo.put_nowait([call])
                else:
                    json.loads(answer)
            todo.task_done()

    workers = [asyncio.create_task(work()) for _ in range(CONNECTIONS)]
    for branches in ([[call] for call in job.first()], job.branches()):
        for branch in branches:
            todo.put_nowait(branch)
        await todo.join()
    for one in workers:
        one.cancel()


HEADERS = {"Authorization": "Bearer bench"}
JSON = {**HEADERS, "Content-Type": "application/json"}


def http_client(port: int, job: Job) -> None:
    import http.client

    def connect() -> Send:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def send(method: str, path: str, body: bytes | None) -> bytes:
            connection.request(method, path, body, JSON if body else HEADERS)
            return connection.getresponse().read()

        return send

    threads(job, connect)


def urllib3(port: int, job: Job) -> None:
    import urllib3

    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=CONNECTIONS, block=True)

    def send(method: str, path: str, body: bytes | None) -> bytes:
        return pool.request(method, path, body=body, headers=JSON if body else HEADERS).data

    threads(job, lambda: send)


def httpx_threads(port: int, job: Job) -> None:
    import httpx

    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", limits=limits, trust_env=False, verify=False)  # noqa: S501 - no TLS

    def send(method: str, path: str, body: bytes | None) -> bytes:
        return client.request(method, path, content=body, headers=JSON if body else HEADERS).content

    threads(job, lambda: send)


def httpx_async(port: int, job: Job) -> None:
    import asyncio

    import httpx

    async def main() -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, verify=False) as client:  # noqa: S501

            async def send(method: str, path: str, body: bytes | None) -> bytes:
                return (await client.request(method, path, content=body, headers=JSON if body else HEADERS)).content

            await tasks(job, send)

    asyncio.run(main())


def aiohttp(port: int, job: Job) -> None:
    import asyncio

    import aiohttp

    async def main() -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:

            async def send(method: str, path: str, body: bytes | None) -> bytes:
                headers = JSON if body else HEADERS
                async with session.request(method, path, data=body, headers=headers) as answer:
                    return await answer.read()

            await tasks(job, send)

    asyncio.run(main())


def pycurl(port: int, job: Job) -> None:
    from io import BytesIO

    import pycurl

    def connect() -> Send:
        curl = pycurl.Curl()

        def send(method: str, path: str, body: bytes | None) -> bytes:
            into = BytesIO()
            curl.reset()
            curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}{path}")
            curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in (JSON if body else HEADERS).items()])
            curl.setopt(pycurl.WRITEDATA, into)
            if body:
                curl.setopt(pycurl.CUSTOMREQUEST, method)
                curl.setopt(pycurl.POSTFIELDS, body)
            curl.perform()
            return into.getvalue()

        return send

    threads(job, connect)


LIBRARIES = {one.__name__: one for one in (http_client, urllib3, httpx_threads, httpx_async, aiohttp, pycurl)}

if __name__ == "__main__":
    LIBRARIES[sys.argv[1]](int(sys.argv[2]), Job(sys.argv[3]))
