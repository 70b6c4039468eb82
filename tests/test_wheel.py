"""The wheel works in an empty environment, with the source out of reach."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUNTIME = re.compile(r"^([A-Za-z0-9._-]+)(?![^;]*;.*extra)")


def _dependencies(name: str, found: set[str]) -> set[str]:
    """The distributions that `name` needs at run time, itself left out."""
    for line in importlib.metadata.requires(name) or ():
        match = RUNTIME.match(line)
        if match and "extra ==" not in line and match[1].lower() not in found:
            try:
                importlib.metadata.distribution(match[1])
            except importlib.metadata.PackageNotFoundError:
                continue  # for another platform or version of Python
            found.add(match[1].lower())
            _dependencies(match[1], found)
    return found


def _link_dependencies(folder: Path) -> None:
    folder.mkdir()
    for name in _dependencies("buildsctl", set()):
        for file in importlib.metadata.distribution(name).files or ():
            top = file.parts[0]
            source = Path(str(file.locate())) if len(file.parts) == 1 else _top(file)
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(source)


def _top(file: importlib.metadata.PackagePath) -> Path:
    located = Path(str(file.locate()))
    return located.parents[len(file.parts) - 2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, capture_output=True, timeout=60
    )
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    _link_dependencies(folder / "dependencies")
    return folder


def _run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed / "dependencies"),
        "DEPLOY_TOKEN": "one",
        "SENTRY_AUTH_TOKEN": "two",
    }
    return subprocess.run(
        [installed / "venv" / "bin" / arguments[0], *arguments[1:]],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_wheel_holds_the_package_only(installed: Path) -> None:
    where = _run(installed, "python", "-c", "import reconciler; print(reconciler.__file__)").stdout
    assert where.startswith(str(installed / "venv"))


def test_the_wheel_does_the_main_job(installed: Path) -> None:
    for name in ("buildsctl.yaml", "seed.json"):
        text = (ROOT / "examples" / "quickstart" / name).read_text(encoding="utf-8")
        (installed / name).write_text(text, encoding="utf-8")
    assert _run(installed, "buildsctl", "--version").returncode == 0
    assert _run(installed, "buildsctl", "sandbox", "seed", "seed.json").returncode == 0
    assert _run(installed, "buildsctl", "validate").returncode == 0
    assert _run(installed, "buildsctl", "schema", "plan").stdout.startswith("{")
    api = (ROOT / "schemas" / "workers-builds.openapi.yaml").read_text(encoding="utf-8")
    assert _run(installed, "buildsctl", "schema", "api").stdout == api
    applied = _run(installed, "buildsctl", "--sandbox", "apply", "--auto-approve")
    assert (applied.returncode, applied.stderr) == (0, "")
    again = _run(installed, "buildsctl", "--sandbox", "plan", "--detailed-exitcode")
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "No changes: 6 unchanged.")
    assert _run(installed, "buildsctl", "--sandbox", "plan", "--format", "html").stdout.startswith("<!DOCTYPE html>")
