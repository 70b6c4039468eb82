"""What the README claims can be run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_each_promise_names_tests_that_exist() -> None:
    chapter = README.partition("## What it promises\n")[2].partition("\n## ")[0]
    commands = re.findall(r"\| `([^|]*)` \|$", chapter, re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        files = re.findall(r"tests/\w+\.py", command)
        assert files or "make soak" in command
        names = [name for file in files for name in re.findall(r"def (test_\w+)", (ROOT / file).read_text())]
        for word in re.findall(r"-k (\w+)", command):
            assert [name for name in names if word in name], command
