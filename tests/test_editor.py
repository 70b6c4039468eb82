"""The real yaml-language-server, as editors run it, takes the examples and underlines a misspelt field."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SERVER = Path(sys.prefix) / "node" / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
MANIFESTS = [
    path
    for path in sorted((ROOT / "examples").rglob("*.yaml"))
    if "yaml-language-server: $schema=" in path.read_text(encoding="utf-8")
]


class Editor:
    """As much of an editor as the server needs."""

    def __init__(self) -> None:
        node = shutil.which("node")
        if not node or not SERVER.exists():
            pytest.skip("no Node.js with yaml-language-server: `make test` installs it where npm is there")
        self.process = subprocess.Popen(
            [node, SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        root = ROOT.as_uri()
        self.send("initialize", {"processId": None, "rootUri": root, "capabilities": {}}, id=1)
        while self.read().get("id") != 1:
            pass
        self.send("initialized", {})
        settings = {"yaml": {"validate": True, "schemaStore": {"enable": False}}}
        self.send("workspace/didChangeConfiguration", {"settings": settings})

    def send(self, method: str, params: Any, **more: Any) -> None:
        text = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        assert self.process.stdin
        self.process.stdin.write(f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        length = 0
        while (line := self.process.stdout.readline().strip()) or not length:
            assert line, "the server ended"
            length = int(line.partition(b":")[2]) if line.lower().startswith(b"content-length") else length
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if "id" in message and "method" in message:  # the server asks something: an editor without settings
            items = message.get("params", {}).get("items", [])
            reply = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": [{"validate": True}] * len(items)})
            assert self.process.stdin
            self.process.stdin.write(f"Content-Length: {len(reply)}\r\n\r\n{reply}".encode())
            self.process.stdin.flush()
        return message

    def problems(self, path: Path) -> list[str]:
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": path.read_text(encoding="utf-8")}
        self.send("textDocument/didOpen", {"textDocument": document})
        while True:
            message = self.read()
            if message.get("method") == "textDocument/publishDiagnostics":
                params = message["params"]
                if params["uri"] == document["uri"]:
                    return [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in params["diagnostics"]]


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    found = Editor()
    yield found
    found.process.kill()
    found.process.communicate()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_the_examples_are_good(editor: Editor, path: Path) -> None:
    assert editor.problems(path) == []


def test_a_misspelt_field_is_underlined(editor: Editor, tmp_path: Path) -> None:
    text = f"""# yaml-language-server: $schema={ROOT / "schemas" / "manifest.schema.json"}
version: 1
owner: acme
workers:
  web:
    triggers:
      production: {{branch_includes: [main], deploy_comand: npx wrangler deploy}}
"""
    path = tmp_path / "misspelt.yaml"
    path.write_text(text)
    (problem,) = editor.problems(path)
    assert problem.startswith("7: ")
    assert "deploy_comand" in problem
