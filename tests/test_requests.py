"""Requests are the scarce thing: a run sends the least that will do, and says before how many that is."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import story
from bench import estate

from reconciler.api import Api
from reconciler.observe import observe
from reconciler.sandbox import Sandbox

WORKERS, CHANGED, TOKENS = 7, 3, 401
READS = {
    "/workers/scripts": 1,
    "/builds/tokens": 3,  # pages of 200
    "/builds/workers/{}/triggers": WORKERS,
    "/builds/triggers/{}/environment_variables": estate.TRIGGERS * WORKERS,
}
WRITES = {"/builds/triggers/{}": CHANGED, "/builds/triggers/{}/environment_variables": CHANGED}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An estate that is as declared, in an account with more Workers and tokens than it declares."""
    estate.write_manifests(tmp_path / "same", WORKERS)
    estate.write_manifests(tmp_path / "changed", WORKERS, changed=CHANGED)
    seed = estate.seed(estate.load(tmp_path / "same"))
    seed["workers"] += [{"id": f"other-{number}"} for number in range(20)]
    others = range(TOKENS - len(seed["build_tokens"]))
    seed["build_tokens"] += [{"build_token_name": f"t{one}", "cloudflare_token_id": str(one)} for one in others]
    monkeypatch.chdir(tmp_path)
    sandbox = Sandbox("sandbox.db")
    sandbox.seed(seed)
    sandbox.close()
    return tmp_path


def _ran(*arguments: str) -> tuple[story.Ran, Counter[str], Counter[str], Any]:
    """What a command did, the paths that it read and wrote, and how many requests it said."""
    ran = story.run([*arguments, "--out", "out.json"], estate.ENVIRONMENT)
    reads, writes = Counter[str](), Counter[str]()
    for one in ran.requests:
        method, path, _ = one.split()
        (reads if method == "GET" else writes)[re.sub(r"(?<=/)[0-9a-f-]{32,36}(?=/|$)", "{}", path)] += 1
    return ran, reads, writes, json.loads(Path("out.json").read_text())["requests"]


def test_a_plan_reads_the_least(folder: Path) -> None:
    ran, reads, writes, told = _ran("plan", "same")
    assert (ran.code, reads, writes) == (0, READS, {})
    assert (told["read"], told["write"]) == (sum(READS.values()), 0)


def test_a_drift_reads_the_least(folder: Path) -> None:
    ran, reads, writes, told = _ran("drift", "same")
    assert (ran.code, reads, writes) == (0, READS, {})
    assert told["read"] == sum(READS.values())


def test_an_apply_sends_what_its_plan_says(folder: Path) -> None:
    _, _, _, planned = _ran("plan", "changed")
    ran, reads, writes, told = _ran("apply", "changed", "--auto-approve")
    assert (ran.code, reads, writes) == (0, READS, WRITES)
    assert told == planned
    assert (told["read"], told["write"]) == (sum(READS.values()), sum(WRITES.values()))


def test_tags_that_are_given_save_the_list_of_names(folder: Path) -> None:
    for number in range(WORKERS):
        path = folder / "same" / "workers" / f"{estate.name(number)}.yaml"
        tag = story.tag(estate.name(number))
        path.write_text(path.read_text().replace("    triggers:\n", f"    tag: '{tag}'\n    triggers:\n", 1))
    ran, reads, _, _ = _ran("plan", "same")
    assert (ran.code, reads) == (0, {path: n for path, n in READS.items() if path != "/workers/scripts"})


@pytest.mark.parametrize("breaks_at", [1, 5, 12])
def test_a_bug_in_a_thread_that_reads_ends_the_run(folder: Path, breaks_at: int) -> None:
    def progress(_: str, done: int, __: int) -> None:
        if done == breaks_at:
            raise ZeroDivisionError

    sandbox = Sandbox("sandbox.db")
    with Api(
        base_url="http://sandbox/client/v4",
        account_id=estate.ACCOUNT,
        token="t",
        handler=sandbox.handle,
        progress=progress,
    ) as api:
        with pytest.raises(ZeroDivisionError):
            observe(estate.load(folder / "same"), api)
        assert api.stop.is_set()
    sandbox.close()
