"""Stand-ins for what pipelines talk to: `gh`, GitLab's API over HTTP, and a PATH with our own `buildsctl`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
GH = """#!{python}
import json, os, pathlib, shutil, sys
folder, arguments = pathlib.Path(os.environ["GH_FOLDER"]), sys.argv[1:]
option = lambda name, default=None: arguments[arguments.index(name) + 1] if name in arguments else default
call = {{"arguments": arguments}}
if option("--input"):
    call["body"] = json.loads(pathlib.Path(option("--input")).read_text())
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps(call) + "\\n")
if arguments[:2] == ["run", "download"]:
    artifact = folder / "artifacts" / arguments[2] / "plan.json"
    if not artifact.exists():
        sys.exit("no valid artifacts found to download")
    pathlib.Path(option("--dir")).mkdir(parents=True)
    shutil.copy(artifact, option("--dir"))
elif arguments[0] == "api" and option("--method", "GET") == "GET":
    path = next(one for one in arguments if one.startswith("repos/"))
    answers = json.loads((folder / "answers").read_text())
    if path.partition("?")[0] not in answers:
        sys.exit("HTTP 404: " + path)
    for page in answers[path.partition("?")[0]]:
        print(json.dumps(page))
"""


class Shell:
    """Runs a pipeline's shell as its runner does: bash, a folder, an environment with nothing but what is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.command("buildsctl", f'#!/bin/sh\nexec "{sys.executable}" -m reconciler "$@"\n')

    def command(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def run(self, script: str, *, posix: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        github = {name: str(self.folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        path = f"{self.bin}:{os.environ['PATH']}"
        shell = ["sh"] if posix else ["bash", "--noprofile", "--norc"]
        return subprocess.run(
            [*shell, "-e", "-c", script],
            cwd=self.folder,
            env={"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(self.folder), **github, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


class Gh:
    """A `gh` that knows some answers and artifacts, and remembers what it was asked."""

    def __init__(self, shell: Shell) -> None:
        self.folder = shell.folder / "gh"
        self.folder.mkdir()
        shell.command("gh", GH.format(python=sys.executable))
        self.answers: dict[str, list[Any]] = {}

    def answer(self, path: str, *pages: object) -> None:
        self.answers[f"repos/acme/site/{path}"] = list(pages)
        (self.folder / "answers").write_text(json.dumps(self.answers), encoding="utf-8")

    def artifact(self, run: int, plan: str = "{}") -> None:
        path = self.folder / "artifacts" / str(run) / "plan.json"
        path.parent.mkdir(parents=True)
        path.write_text(plan, encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {"GH_FOLDER": str(self.folder), "GITHUB_REPOSITORY": "acme/site"}

    def writes(self) -> list[tuple[str, dict[str, Any]]]:
        """What was posted, patched or closed: the command line, and the body that went with it."""
        path = self.folder / "calls"
        calls = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        reads = ("api", "run")
        return [
            (" ".join(one["arguments"]), one.get("body", {}))
            for one in calls
            if "--method" in one["arguments"] or one["arguments"][0] not in reads
        ]


@contextmanager
def gitlab(answers: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """GitLab's API with these answers, a list in pages of two: its address, and the writes that it got."""
    writes: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = answers.get(path.removeprefix("/api/v4"))
            if self.headers["PRIVATE-TOKEN"] != "canary-token" or (found is None and self.command == "GET"):
                self.send_error(404)
                return
            if self.command != "GET":
                writes.append((self.command, path.removeprefix("/api/v4"), json.loads(body)))
            if "&page=" in query:
                page = int(query.rpartition("=")[2])
                found = found[2 * page - 2 : 2 * page]
            text = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do  # noqa: N815 the library's names

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 the signature is the library's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v4", writes
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
