"""Every golden case prints, sends and ends with what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import story

from reconciler.sandbox import Sandbox


@pytest.mark.parametrize("path", story.paths(), ids=lambda path: path.stem)
def test_case(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = story.load(path)
    update = request.config.getoption("--update-golden")
    with story.folder(tmp_path, story.files_of(case)):
        sandbox = Sandbox("sandbox.db")
        sandbox.seed(story.seed_of(case))
        sandbox.close()
        for run in case["runs"]:
            actual = _run(case, run, tmp_path)
            if update:
                run.update(actual)
            else:
                assert actual == {name: run.get(name) for name in actual}
    if update:
        path.write_text(story.dump(case), encoding="utf-8")


def _run(case: dict[str, Any], run: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "manifest" in run:
        (folder / "buildsctl.yaml").write_text(run["manifest"], encoding="utf-8")
    story.edit(run.get("edit", []))
    environment = {**case.get("environment", {}), **run.get("environment", {})}
    ran = story.masked(story.run(run["args"], environment, run.get("faults", ())))
    stderr = ran.stderr.strip("\n")
    return {
        "exit": ran.code,
        "requests": ran.requests,
        "stdout": ran.stdout,
        **({"stderr": stderr + "\n"} if stderr else {}),
    }
