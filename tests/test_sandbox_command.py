"""`sandbox serve` and `sandbox seed`, as a user starts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from reconciler import cli

ACCOUNT = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("text", ['{"workers": [{"id": "web"}]}', "workers:\n  - id: web\n"], ids=["json", "yaml"])
def test_a_seed_is_json_or_yaml(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = tmp_path / "seed"
    seed.write_text(text, encoding="utf-8")
    data = ["--sandbox-file", str(tmp_path / "deep" / "er" / "x.db")]
    assert cli.run([*data, "sandbox", "seed", str(seed)]) == 0
    (tmp_path / "m.yaml").write_text("version: 1\nowner: a\nworkers: {web: {}}\n", encoding="utf-8")
    assert cli.run([*data, "--sandbox", "plan", str(tmp_path / "m.yaml")]) == 0
    assert "No changes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [("[", "neither JSON nor YAML"), ("7", "cannot be used"), ('{"wrokers": []}', "wrokers"), (None, "cannot be read")],
)
def test_a_seed_that_cannot_be_used(
    text: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = tmp_path / "seed.json"
    if text is not None:
        seed.write_text(text, encoding="utf-8")
    assert cli.run(["--sandbox-file", str(tmp_path / "x.db"), "sandbox", "seed", str(seed)]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "hint: " in error


def test_data_that_is_no_database_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "x.db"
    data.write_text("precious", encoding="utf-8")
    (tmp_path / "m.yaml").write_text("version: 1\nowner: a\n", encoding="utf-8")
    assert cli.run(["--sandbox", "--sandbox-file", str(data), "plan", str(tmp_path / "m.yaml")]) == 1
    assert "--sandbox-file" in capsys.readouterr().err
    assert data.read_text(encoding="utf-8") == "precious"


def test_serving_over_http_and_keeping_the_data(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text('{"workers": [{"id": "web"}]}', encoding="utf-8")
    command = [sys.executable, "-m", "reconciler", "sandbox", "serve", "--port", "0", "--data", "x.db"]
    for more in (["--seed", "seed.json"], []):
        server = subprocess.Popen([*command, *more], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            request = Request(f"{url}/accounts/{ACCOUNT}/workers/scripts", headers={"Authorization": "Bearer any"})
            with urlopen(request, timeout=10) as answer:
                assert [one["id"] for one in json.load(answer)["result"]] == ["web"]
        finally:
            server.terminate()
            server.communicate(timeout=10)
        assert server.returncode == 0
