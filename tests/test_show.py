"""A saved plan shows what the plan showed; Markdown for pull requests reads well and nothing breaks out of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import story
from page import Page
from world import World, loads, tried

from reconciler.errors import Diagnostic, Position, Severity
from reconciler.model import Action, Address, Change, Disposition, FieldChange, Plan
from reconciler.render import saved
from reconciler.render.html import plan_html
from reconciler.render.json import dump, plan_document
from reconciler.render.markdown import MAX_LENGTH, plan_markdown
from reconciler.render.text import plan_text, troubles_text
from reconciler.sandbox import Sandbox

CASES = [pytest.param(story.load(path), id=path.stem) for path in story.paths()]


def _plain(text: str) -> str:
    """The JSON does not hold the lines of a manifest: a secret may stand there by mistake."""
    return re.sub(r"\n +\d+ \| .*\n +\^", "", text)


@pytest.mark.parametrize("case", CASES)
def test_a_saved_plan_shows_what_the_plan_showed(case: Any, tmp_path: Path) -> None:
    if not loads(case, tmp_path):
        pytest.skip("the case is about manifests that are refused")
    plan, outcomes, _ = tried(World.of(case, tmp_path))
    if plan is None:
        return
    document = json.loads(dump(plan_document(plan, outcomes)))
    again, became = saved.read(document)
    for whole in (False, True):
        assert plan_text(again, whole=whole) == plan_text(plan, whole=whole)
    assert _plain(troubles_text(again)) == _plain(troubles_text(plan))
    assert _plain(plan_markdown(again, became)) == _plain(plan_markdown(plan, outcomes))
    assert [one.address for one in became or ()] == [one.address for one in outcomes]
    pages = [
        Page.of(plan_html(one, what, digest=document["digest"])) for one, what in ((again, became), (plan, outcomes))
    ]
    assert sorted(pages[0].rows) == sorted(row["address"] for row in document["resource_changes"])
    assert [_plain(text) for text in pages[0].text] == [_plain(text) for text in pages[1].text]


def test_problems_in_markdown_have_their_place_and_way_out_and_errors_come_first() -> None:
    def problem(severity: Severity, number: int, summary: str) -> Diagnostic:
        place = Position("m.yaml", number, 1)
        return Diagnostic(severity=severity, summary=summary, hint="mend `it`", address="worker/w`", position=place)

    warnings = [problem(Severity.WARNING, number, "alike") for number in range(1, 60)]
    warnings += [problem(Severity.WARNING, number, f"odd {number}") for number in range(60, 99)]
    found = (*warnings, problem(Severity.ERROR, 99, "x" * 9_000))
    text = plan_markdown(Plan(account_id="x", owner="o", changes=(), diagnostics=found))
    items = [line for line in text.splitlines() if line.startswith("- ")]
    assert items[0].startswith("- `m.yaml:99:1: error: xxx")
    assert items[1] == "- `m.yaml:1:1: warning: alike` in `` worker/w` ``; hint: `` mend `it` ``"
    assert items[4] == "- `warning: 56 more of: alike`"
    assert items[-1] == "- 14 more that are not shown here"
    assert len(items) == 31
    assert len(text) < MAX_LENGTH / 4


@pytest.mark.parametrize("case", CASES)
def test_on_a_terminal_lines_are_broken_and_nothing_is_cut(case: Any, tmp_path: Path) -> None:
    if not loads(case, tmp_path):
        pytest.skip("the case is about manifests that are refused")
    plan = tried(World.of(case, tmp_path))[0]
    if plan is None:
        return
    text = plan_text(plan, width=80)
    assert text.split() == plan_text(plan).split()
    assert text == re.sub(r"\x1b\[\d+m", "", plan_text(plan, width=80, color=True))
    for line in text.partition("\nrefused: ")[0].splitlines():
        assert len(line) <= 80 or len(line.split()) == 1


def test_a_long_list_stands_in_lines_of_its_own() -> None:
    def lines(*added: str) -> list[str]:
        field = FieldChange(path="path_includes", before=(), after=added, added=added, removed=("*",))
        address = Address.of("trigger", "web", "production")
        row = Change(address=address, action=Action.UPDATE, before={}, after={}, reason="differs", fields=(field,))
        text = plan_text(Plan(account_id="a", owner="o", changes=(row,)))
        return [line.strip() for line in text.splitlines()[3:-3]]

    assert lines("apps/*") == ['path_includes: + "apps/*", - "*"']
    assert lines("apps/*", "packages/*/src/*", "tools/build/*", "libs/*") == [
        "path_includes:",
        '+ "apps/*"',
        '+ "packages/*/src/*"',
        '+ "tools/build/*"',
        '+ "libs/*"',
        '- "*"',
    ]


def _kept(name: str, reason: str = "kept") -> Change:
    address = Address.of("trigger", name, "production")
    return Change(
        address=address, action=Action.NO_OP, before={}, after={}, reason=reason, disposition=Disposition.KEPT
    )


def _going(name: str) -> Change:
    address = Address.of("trigger", name, "old")
    return Change(address=address, action=Action.DELETE, before={}, after=None, reason="no longer declared")


def test_it_finds_itself_again_by_account_and_owner() -> None:
    text = plan_markdown(Plan(account_id="a" * 32, owner="acme/builds", changes=()))
    assert text.startswith(f"<!-- buildsctl:plan account={'a' * 32} owner=acme/builds -->\n### ")
    assert "--" not in plan_markdown(Plan(account_id="x", owner="a --> b", changes=())).split("\n")[0][4:-3]


@pytest.mark.parametrize(
    "text",
    ["```\n# out", "````", "</details><script>", "@everyone", "| a |", "<!-- -->", "[x](y)", "\u202e", "`", "~~~"],
)
def test_nothing_of_strangers_breaks_out(text: str) -> None:
    found = plan_markdown(Plan(account_id="x", owner="o", changes=(_kept(text, text), _going(text))))
    assert "<script>" not in re.sub(r"^```+diff.*?^```+$|`[^`]*`", "", found, flags=re.DOTALL | re.MULTILINE)
    assert "\u202e" not in found
    fences = [line for line in found.splitlines() if re.fullmatch(r"`{3,}(diff)?", line)]
    assert len(fences) % 2 == 0
    for opening, closing in zip(fences[::2], fences[1::2], strict=True):
        assert opening == f"{closing}diff"
        inside = found.partition(opening + "\n")[2].partition("\n" + closing)[0]
        assert closing not in inside


def test_a_long_plan_is_cut_but_never_its_deletes() -> None:
    changes = [_kept(f"worker-{number:04}", "x" * 200) for number in range(1_000)]
    changes += [_going(f"worker-{number:04}") for number in range(500, 530)]
    changes.sort(key=lambda one: one.address.path)
    text = plan_markdown(Plan(account_id="x", owner="o", changes=tuple(changes)))
    assert len(text) <= MAX_LENGTH
    assert all(f"`trigger/worker-{number:04}/old`" in text for number in range(500, 530))
    assert "more Workers are not shown here" in text
    assert text.count("<details>") == text.count("</details>")


def test_the_delete_of_a_variable_is_never_cut() -> None:
    secret = Change(
        address=Address.of("env", "zz", "production", "KEY"),
        action=Action.DELETE,
        before={"is_secret": True, "value": None},
        after=None,
        reason="no longer declared",
    )
    changes = (*(_kept(f"worker-{number:04}", "x" * 200) for number in range(1_000)), secret)
    assert "`env/zz/production/KEY`" in plan_markdown(Plan(account_id="x", owner="o", changes=changes))


ODD: list[tuple[str, Any]] = [
    ("labels", [1]),
    ("undeclared_workers", "\x1b[31mx"),
    ("resource_changes", [{"address": 5}]),
    ("scope", {"account_id": "x", "owner": 5, "target": 1, "prune": False}),
    ("requests", {"read": 1, "write": float("inf"), "window": 1}),
    ("diagnostics", [{"severity": "odd"}]),
]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_a_plan_that_was_tampered_with_is_no_plan(name: str, value: Any, tmp_path: Path) -> None:
    document = json.loads(dump(plan_document(Plan(account_id="x", owner="o", changes=(_going("web"),)))))
    with story.folder(tmp_path, {"p.json": json.dumps({**document, name: value})}):
        for format_ in ("text", "markdown", "html"):
            ran = story.run(["show", "p.json", "--format", format_], {})
            assert (ran.code, "is no plan of this version" in ran.stderr) == (1, True)
            assert "\x1b" not in ran.stdout + ran.stderr


def test_an_action_that_no_plan_has_makes_it_none() -> None:
    document = plan_document(Plan(account_id="x", owner="o", changes=(_going("web"),)))
    document["resource_changes"][0]["change"]["actions"] = ["odd"]
    with pytest.raises(KeyError):
        saved.read(document)


def test_one_read_several_outputs(tmp_path: Path) -> None:
    case = story.load(story.CASES / "update.yaml")
    with story.folder(tmp_path, story.files_of(case)):
        sandbox = Sandbox("sandbox.db")
        sandbox.seed(story.seed_of(case))
        sandbox.close()
        first = story.run(["plan", "--format", "markdown", "--out", "plan.json"], {})
        assert first.code == 0
        for format_ in ("text", "json", "html", "markdown"):
            ran = story.run(["show", "plan.json", "--format", format_], {})
            assert (ran.code, ran.requests) == (0, [])
            assert ran.stdout
        assert _plain(ran.stdout) == _plain(first.stdout)
        assert story.run(["show", "plan.json", "--format", "json"], {}).stdout == Path("plan.json").read_text()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"format_version": "1.0", "scope": {}, "resource_changes": []}']
)
def test_what_is_no_plan_is_said(text: str, tmp_path: Path) -> None:
    with story.folder(tmp_path, {"p.json": text}):
        ran = story.run(["show", "p.json"], {})
        assert ran.code == 1
        assert "is no plan of this version" in ran.stderr
        assert story.run(["show", "absent.json"], {}).code == 1


def test_a_thousand_adopts_are_one_sentence() -> None:
    def adopt(number: int) -> Change:
        trigger = Address.of("trigger", f"w{number}", "production")
        same = {"address": trigger, "before": {}, "after": {}, "disposition": Disposition.ADOPT}
        return Change(action=Action.UPDATE, reason="nobody owned it", **same)

    def lines(count: int, **how: bool) -> int:
        changes = tuple(map(adopt, range(count)))
        return len(plan_text(Plan(account_id="a", owner="o", changes=changes), **how).splitlines())

    assert lines(20) == lines(20, whole=True)
    assert lines(1_000) < 10 < lines(1_000, whole=True)
