"""`doctor` says what a first run trips over, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import story
from test_drift import LIVE, MANIFEST, seed

HTTP = ["slow:OPTIONS:/nowhere"]
"""A fault that no request meets: the sandbox is served over HTTP, where tokens count."""


def doctor(*arguments: str, code: int, environment: dict[str, str] | None = None) -> dict[str, list[tuple[str, str]]]:
    """(level, summary) of each line, by what it is about."""
    ran = story.run(["doctor", "--format", "json", *arguments], environment or {}, HTTP)
    assert ran.code == code, ran.stdout + ran.stderr
    writes = [one for one in ran.requests if not one.startswith("GET")]
    assert all(one.startswith("PATCH /builds/triggers/00000000-") for one in writes)
    found: dict[str, list[tuple[str, str]]] = {}
    for line in json.loads(ran.stdout):
        found.setdefault(line["about"], []).append((line["level"], line["summary"]))
    return found


def test_a_good_estate_has_no_errors(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        assert story.run(["apply", "--auto-approve"], {}).code == 0
        found = doctor(code=0, environment={"BUILDSCTL_FINGERPRINT_KEY": "MTEx" * 11})
        levels = {level for lines in found.values() for level, _ in lines}
        assert levels <= {"ok", "warning"}
        assert found["fingerprint key"] == [("ok", "set: secrets that changed are found")]
        assert ("ok", "Workers Builds Configuration: Edit") in found["permission"]
        assert found["clock"][0][0] == "ok"
        assert "requests are left" in found["rate limit"][0][1]


@pytest.mark.parametrize(
    ("kind", "code", "about", "text"),
    [
        ("read-only", 0, "permission", "it may read and not write"),
        ("account", 6, "token", "account-owned"),
        ("invalid", 6, "token", "does not take this kind of token"),
        ("expired", 6, "token", "does not accept the token"),
    ],
)
def test_kinds_of_tokens_are_told_apart(kind: str, code: int, about: str, text: str, tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed({**LIVE, "api_tokens": {"canary-token-55aa": kind}})
        found = doctor(code=code)
        assert any(text in summary for _, summary in found[about]), found
