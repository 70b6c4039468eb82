"""Every example is checked, planned and applied; then nothing is left to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import cli

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
ARCHITECTURE = (ROOT / "reconciler" / "ARCHITECTURE.md").read_text(encoding="utf-8")
RUNS = {
    "quickstart": [["."]],
    "monorepo": [["."]],
    "existing-token": [["."]],
    "tour": [["."]],
    "accounts": [["builds", "--param-file", f"{name}.yaml"] for name in ("staging", "production")],
}


@pytest.mark.parametrize("name", RUNS)
def test_example(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(EXAMPLES / name)
    monkeypatch.setenv("DEPLOY_TOKEN", "one")
    monkeypatch.setenv("SENTRY_AUTH_TOKEN", "two")
    for number, arguments in enumerate(RUNS[name]):
        data = ["--sandbox-file", str(tmp_path / f"{number}.db")]
        assert cli.run([*data, "sandbox", "seed", "seed.json"]) == 0
        capsys.readouterr()
        assert cli.run(["validate", *arguments]) == 0
        assert capsys.readouterr().out.endswith(": no problems\n")
        assert cli.run([*data, "--sandbox", "plan", "--detailed-exitcode", *arguments]) == 2
        assert cli.run([*data, "--sandbox", "apply", "--auto-approve", *arguments]) == 0
        capsys.readouterr()
        assert cli.run([*data, "--sandbox", "plan", "--detailed-exitcode", *arguments]) == 0
        assert capsys.readouterr().out.startswith("No changes")


def test_every_example_is_tried() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if (path / "seed.json").exists()} == set(RUNS)


def test_a_worker_of_the_monorepo_takes_three_lines_at_most() -> None:
    files = sorted((EXAMPLES / "monorepo" / "workers").glob("*.yaml"))
    assert len(files) == 12
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 3


def test_demo_shows_the_main_job() -> None:
    demo = EXAMPLES / "quickstart" / "demo.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, demo], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.count("$ buildsctl") == 8
    assert "Success: Deploy command completed" in ran.stdout
    assert ran.stdout.count("No changes: 6 unchanged.") == 2
    assert 'build_command: "make" → "npm run build"' in ran.stdout
    assert "the-secret" not in ran.stdout + ran.stderr


def test_seeds_are_json() -> None:
    for path in EXAMPLES.rglob("seed.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["workers"]


def test_migrate_moves_thirty_workers_made_by_hand_into_git() -> None:
    """export, commit, adopt; drift finds exactly the outside edit, doctor the five planted troubles."""
    script = EXAMPLES / "migrate" / "migrate.py"
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    export = ran.stdout.partition("$ buildsctl apply")[0]
    profile = export.partition("profiles:\n")[2]
    assert len(profile.strip().splitlines()) <= 18
    doctor = ran.stdout.partition("$ buildsctl doctor")[2]
    for trouble in (
        "there is no Worker `deleted-last-year`",
        "the build minutes are used up",
        "names the Worker `acme-website`, this one is `acme-site`",
        "the folder `/apps/legacy`",
        "trigger/service-05/production: its build token was deleted or rolled",
    ):
        assert trouble in doctor


def test_the_tour_uses_all_22_operations() -> None:
    script = EXAMPLES / "tour" / "tour.py"
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert "22 of 22 operations were used" in ran.stdout
    for block in ran.stdout.split("\n$ buildsctl ")[1:]:
        command, _, rest = block.partition("\n")
        for method, path in re.findall(r"^    ([A-Z]+) (/builds/\S+) \d+$", rest, re.MULTILINE):
            assert tells(method, path, command), f"ARCHITECTURE.md does not say that `{command}` sends {method} {path}"


def tells(method: str, path: str, command: str) -> bool:
    """Does the table of operations have this command where it has that request?"""
    for operation, senders in re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.*) \|$", ARCHITECTURE, re.MULTILINE):
        shape = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(operation))
        if re.fullmatch(shape, f"{method} {path.removeprefix('/builds')}") and any(
            f"{command} ".startswith((f"{name.partition(' --')[0]} ", f"builds {name.partition(' --')[0]} "))
            for name in re.findall(r"`([^`]+)`", senders)
        ):
            return True
    # The newer surface stands beside the reference.
    return bool(re.fullmatch(r"GET /builds/workers/[^/]+", f"{method} {path}"))
