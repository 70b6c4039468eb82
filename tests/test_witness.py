"""Prism between buildsctl and the sandbox: what either says to the other keeps to the OpenAPI document.

Prism reads that document on its own, passes everything on and logs what does not fit. `make witness` installs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
BUILDSCTL = Path(sys.executable).with_name("buildsctl")
PRISM = Path(sys.prefix) / "node" / "node_modules" / ".bin" / "prism"
DOCUMENT = ROOT / "schemas" / "workers-builds.openapi.yaml"
ACCOUNT = "0123456789abcdef0123456789abcdef"
START_SECONDS = 60

pytestmark = [
    pytest.mark.witness,
    pytest.mark.skipif(not PRISM.exists(), reason="no Prism: `make witness` installs it"),
]


@contextlib.contextmanager
def sandbox(seed: Path, *faults: str) -> Iterator[str]:
    """Its base URL."""
    options = [text for fault in faults for text in ("--fault", fault)]
    command = [BUILDSCTL, "sandbox", "serve", "--port", "0", "--seed", seed, *options]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout
        yield process.stdout.readline().strip()


@contextlib.contextmanager
def prism(document: Path, upstream: str, log: Path) -> Iterator[str]:
    """Its base URL; nobody but Prism knows that of the sandbox, so nothing can pass it by."""
    command = [PRISM, "proxy", document, upstream, "--port", "0"]
    with log.open("w") as file, ended(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)) as process:
        end = time.monotonic() + START_SECONDS
        while not (listening := re.search(r"Prism is listening on (\S+)", log.read_text(encoding="utf-8"))):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, "Prism does not start"
            time.sleep(0.05)
        yield listening[1]


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def violations(log: Path) -> list[str]:
    """What Prism found, requests and answers alike, and what it did not let through."""
    return re.findall(r"(?:Violation: |terminated with error: )(.*)", log.read_text(encoding="utf-8"))


def passed(log: Path) -> int:
    return log.read_text(encoding="utf-8").count("Received forward response")


@pytest.mark.parametrize("script", ["quickstart/demo.py", "tour/tour.py"])
def test_nothing_breaks_the_contract(script: str, tmp_path: Path) -> None:
    path, log = EXAMPLES / script, tmp_path / "prism.log"
    with sandbox(path.parent / "seed.json") as upstream, prism(DOCUMENT, upstream, log) as url:
        ran = subprocess.run([sys.executable, path, url], capture_output=True, text=True, check=False)
    assert violations(log) == []
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert passed(log) > 30, "Prism was passed by"


def test_what_breaks_it_is_noticed(tmp_path: Path) -> None:
    """In an answer, in a request, and in a request that the document does not have."""
    planted = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    planted["components"]["schemas"]["RepoConnectionUpsert"]["required"].append("planted")
    document, log = tmp_path / "planted.json", tmp_path / "prism.log"
    document.write_text(json.dumps(planted), encoding="utf-8")
    tour = EXAMPLES / "tour"
    with (
        sandbox(tour / "seed.json", "wrong-shape:GET:/builds/tokens") as upstream,
        prism(document, upstream, log) as url,
    ):
        assert run(url, "tokens", "list") == 7
        assert violations(log) == ["response.body.result Response body property result must be array"]
        assert run(url, "apply", "--auto-approve", tour / "buildsctl.yaml") == 0
        assert violations(log)[1:] == ["request.body Request body must have required property 'planted'"]
        with pytest.raises(HTTPError):
            urlopen(Request(f"{url}/user/tokens", headers={"Authorization": "Bearer t"}), timeout=10)
        assert violations(log)[2:] == ["request Selected route not found"]


def run(url: str, *arguments: str | Path) -> int:
    access = {"CLOUDFLARE_API_BASE_URL": url, "CLOUDFLARE_API_TOKEN": "t", "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}
    return subprocess.run(
        [BUILDSCTL, *arguments], env={**os.environ, **access, "DEPLOY_TOKEN": "s"}, capture_output=True, check=False
    ).returncode
