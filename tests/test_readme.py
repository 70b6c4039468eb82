"""What the README claims can be run, and what it holds of the code is what the code says."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import readme
import yaml
from command_line import calls, parse

from reconciler import answers
from reconciler.errors import BuildsctlError
from reconciler.sandbox.routes import ROUTES

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "reconciler" / "ARCHITECTURE.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTERS = [
    "Install",
    "Quick start",
    "Moving from the dashboard",
    "Commands",
    "Manifest reference",
    "How it decides",
    "How it remembers",
    "What it promises",
    "Pipelines",
    "Exit codes",
    "Security model",
    "Speed",
    "Development",
]


def chapter(name: str) -> str:
    return README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_what_is_made_from_the_code_is_as_the_code_has_it() -> None:
    assert set(re.findall(r"<!-- generated: (.+?) -->", README)) == set(readme.BLOCKS)
    assert readme.filled(README) == README, "run `make readme`"


def test_the_order_of_chapters() -> None:
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == CHAPTERS


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https://)([^)#]+)", README)
    assert len(links) > 30
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_can_be_typed() -> None:
    shown = re.findall(r"^\$ (.*)$", README, re.MULTILINE)
    shown += [one.replace("\\|", "|") for one in re.findall(r"`(buildsctl [^`]*)`", README)]
    assert len(shown) > 60
    for line in shown:
        if not re.search(r"[][{}…]", line):  # a usage, or a part left out
            for arguments in calls(line):
                parse(arguments)


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`((?:tests/\w+\.py ?)+)(?:-k (\w+|\"[^\"]+\"))?[^`]*`", README)
    assert len(named) > 15
    for files, words in named:
        names = [
            name for file in files.split() for name in re.findall(r"def (test_\w+)", (ROOT / file).read_text("utf-8"))
        ]
        for word in words.strip('"').split(" or "):
            assert [name for name in names if word in name], (files, word)


def test_each_promise_has_a_command() -> None:
    rows = re.findall(r"^\|.*\|.*\| (.*) \|$", chapter("What it promises"), re.MULTILINE)[2:]
    assert len(rows) > 10
    assert [row for row in rows if not re.search(r"`(tests/|make )", row)] == []


def test_the_quick_start_on_the_sandbox(tmp_path: Path) -> None:
    """Its first block, line by line, in a shell."""
    lines = re.findall(r"^\$ (.*)$", chapter("Quick start").partition("On your account")[0], re.MULTILINE)
    assert len(lines) == 5
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    start = f'buildsctl() {{ "{sys.executable}" -m reconciler "$@"; }}'
    ran = subprocess.run(
        ["bash", "-euc", "\n".join((start, *lines))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Plan: 6 to create." in ran.stdout
    assert ran.stdout.partition("Applied: 6 done.")[2].strip().startswith("No changes: 6 unchanged.")


def test_each_error_says_what_to_do() -> None:
    for one in readme.tree(BuildsctlError):
        what, stop, do = " ".join((inspect.getdoc(one) or "").partition("\n\n")[0].split()).partition(". ")
        assert what, one
        assert stop, one
        assert do.endswith("."), one
    rows = chapter("Exit codes").partition("What the API answers")[2]
    assert not re.search(r"\|  \|$", rows, re.MULTILINE)
    assert {*answers._KNOWN, *answers._TOKEN_HINTS} <= set(readme.STATUSES)


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
