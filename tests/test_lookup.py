"""`limits`, `cache purge`, and how commands find the triggers that they are told of."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import story
from test_drift import LIVE, MANIFEST, seed


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Path]:
    """An account as the manifests say, with what somebody made by hand beside it."""
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        assert story.run(["apply", "--auto-approve"], {}).code == 0
        yield tmp_path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def purged(*names: str, code: int = 0) -> list[str]:
    ran = story.run(["cache", "purge", *names, "--auto-approve", "--format", "json"], {})
    assert ran.code == code, ran.stderr
    assert sum(one.startswith("POST") for one in ran.requests) == len(json.loads(ran.stdout)["purged"])
    return [one["address"] for one in json.loads(ran.stdout)["purged"]]


def test_limits_of_a_paid_plan_and_of_a_free_one(estate: Path) -> None:
    ran = story.run(["limits"], {})
    assert ran.stdout == "Build minutes: no limit is shown, as on paid plans.\n"
    assert len(ran.requests) == 1
    seed({"limits": {"has_reached_build_minutes_limit": True, "build_minutes_refresh_on": "2026-12-01T00:00:00Z"}})
    assert "USED UP until 2026-12-01T00:00:00.000Z" in story.run(["limits"], {}).stdout
    document = json.loads(story.run(["limits", "--format", "json"], {}).stdout)
    assert document["has_reached_build_minutes_limit"] is True
    seed({"limits": {"has_reached_build_minutes_limit": False, "build_minutes_refresh_on": "2026-12-01T00:00:00Z"}})
    assert "not used up; they refresh on 2026-12-01" in story.run(["limits"], {}).stdout


@pytest.mark.parametrize(
    ("names", "addresses"),
    [
        (["web/production"], ["trigger/web/production"]),
        (["trigger/web/production"], ["trigger/web/production"]),
        (["worker/web"], ["trigger/web/preview", "trigger/web/production"]),
        (["web/*", "web/preview"], ["trigger/web/preview", "trigger/web/production"]),
        (["*/production"], ["trigger/api/production", "trigger/web/production"]),
        (["trigger/*"], ["trigger/api/production", "trigger/web/preview", "trigger/web/production"]),
        (["other/by hand"], ["trigger/other/by hand"]),
        (["other/production"], ["trigger/other/by hand"]),  # by its kind
        (["oth*/*"], ["trigger/other/by hand"]),  # no declared Worker fits
    ],
)
def test_triggers_are_found_by_what_people_call_them(estate: Path, names: list[str], addresses: list[str]) -> None:
    assert sorted(purged(*names)) == addresses


def test_a_renamed_trigger_has_its_key_its_name_and_its_kind(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"trigger_name": "Deploy default branch"}]])
    assert purged("web/production") == purged("web/Deploy default branch") == ["trigger/web/production"]
    Path("buildsctl.yaml").unlink()
    assert purged("web/production") == purged("web/Deploy*") == ["trigger/web/Deploy default branch"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("web", "names no trigger"),
        ("web/", "names no trigger"),
        ("wbe/production", "did you mean `web`?"),
        ("nothing-alike/production", "deploy it first"),
        ("web/nope", "there is `trigger/web/production`, `trigger/web/preview`"),
    ],
)
def test_what_names_nothing_is_an_error(estate: Path, name: str, told: str) -> None:
    ran = story.run(["cache", "purge", name, "--auto-approve"], {})
    assert ran.code == 1
    assert told in ran.stderr
    assert not [one for one in ran.requests if one.startswith("POST")]


def test_what_is_declared_and_not_live_yet_is_said(estate: Path) -> None:
    story.edit([["DELETE", "/builds/triggers/{web/preview}"]])
    ran = story.run(["cache", "purge", "web/preview", "--auto-approve"], {})
    assert "is declared and not live yet" in ran.stderr


def test_a_purge_asks(estate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = story.run(["cache", "purge", "web/production"], {})
    assert ran.code == 1
    assert "no terminal to ask on" in ran.stderr
    assert not ran.requests
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    ran = story.run(["cache", "purge", "web/*"], {})
    assert ran.code == 1
    assert "Empty the build cache of 2 triggers?" in ran.stderr
    assert "the answer was no" in ran.stderr
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert story.run(["cache", "purge", "web/production"], {}).stdout == (
        "trigger/web/production: purged (caching is off)\n"
    )


def test_a_purge_in_part_is_3_and_none_is_1(estate: Path) -> None:
    fault = ["cache", "purge", "web/*", "--auto-approve", "--format", "json"]
    ran = story.run(fault, {}, ["500:POST:/builds/triggers/*/purge_build_cache:times=5"])
    assert ran.code == 3
    assert [one["status"] for one in json.loads(ran.stdout)["purged"]] == ["failed", "done"]
    ran = story.run(fault, {}, ["500:POST:/builds/triggers/*/purge_build_cache:times=forever"])
    assert ran.code == 1
    ran = story.run(fault, {}, ["cut-after:POST:/builds/triggers/*/purge_build_cache"])
    assert ran.code == 0  # it does no harm to purge again


def test_broken_manifests_do_not_hold_up_who_names_a_trigger(estate: Path) -> None:
    Path("buildsctl.yaml").write_text(MANIFEST.replace("branch_includes: [main]", "branch_includes: 7", 1))
    ran = story.run(["cache", "purge", "web/production", "--auto-approve"], {})
    assert ran.code == 0
    assert "the manifests hold errors" in ran.stderr
    assert story.run(["cache", "purge", "*/production", "--auto-approve"], {}).code == 1


def test_reads_are_no_more_than_the_names_need(estate: Path) -> None:
    def gets(name: str) -> int:
        ran = story.run(["cache", "purge", name, "--auto-approve"], {})
        return sum(one.startswith("GET") for one in ran.requests)

    assert gets("web/production") == 2  # names, the Worker's triggers
    assert gets("*/production") == 3
    Path("buildsctl.yaml").write_text(MANIFEST.replace("  web:\n", f"  web:\n    tag: {story.tag('web')}\n"))
    assert gets("web/production") == 1
