"""What the README claims can be run."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from reconciler.cli import COMMANDS
from reconciler.sandbox.routes import ROUTES

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "reconciler" / "ARCHITECTURE.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_each_promise_names_tests_that_exist() -> None:
    chapter = README.partition("## What it promises\n")[2].partition("\n## ")[0]
    commands = re.findall(r"\| `([^|]*)` \|$", chapter, re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        files = re.findall(r"tests/\w+\.py", command)
        assert files or re.search(r"make (soak|witness)", command)
        names = [name for file in files for name in re.findall(r"def (test_\w+)", (ROOT / file).read_text())]
        for word in re.findall(r"-k (\w+)", command):
            assert [name for name in names if word in name], command


def test_each_operation_of_the_reference_has_its_command() -> None:
    """That the commands send what the table says, the tour shows (test_examples.py)."""
    document = yaml.safe_load((ROOT / "schemas" / "workers-builds.openapi.yaml").read_text(encoding="utf-8"))
    operations = {
        f"{method.upper()} {path}": "x-source" not in one
        for path, item in document["paths"].items()
        for method, one in item.items()
        if method != "parameters"
    }
    chapter = ARCHITECTURE.partition("## Who uses which operation\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| `", chapter, re.MULTILINE)
    below = "/accounts/{account_id}"
    assert {name.replace(" ", f" {below}/builds", 1) for name in told} == {
        name for name in operations if operations[name]
    }
    assert len(told) == 22
    beside = [name.replace(below, "") for name in operations if not operations[name]]
    assert len(beside) == 3
    assert all(f"`{name}`" in chapter for name in beside)
    routed = {f"{one.method} {one.template}" for one in ROUTES}
    assert set(operations) <= routed


def test_each_command_is_in_the_table() -> None:
    chapter = README.partition("## Commands\n")[2].partition("\n## ")[0]
    assert [name for name in COMMANDS if f"`buildsctl {name}" not in chapter] == []
