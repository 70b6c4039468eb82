"""The HTML page says what the plan says, asks for nothing, and nothing of strangers breaks out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import page
import pytest
import story
from hypothesis import example, given, settings
from hypothesis import strategies as st
from page import Page

from reconciler.model import Action, Address, Change, Disposition, FieldChange, Plan
from reconciler.render.html import drift_html, plan_html
from reconciler.render.json import dump, plan_document
from reconciler.render.picture import MOST, picture
from reconciler.sandbox import Sandbox

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onfocus="alert(1)" autofocus="\' onfocus=\'alert(1)\'',
    "]]></style></svg><svg onload=alert(1)>",
    "--><!-- <![CDATA[ </title></textarea></pre><!DOCTYPE html>",
    "&lt;script&gt;&#60;script&#62; {{ 7 * 7 }} {% raw %} ${7*7}",
    "javascript:alert(1)",
    "\u202e\u2066\u200f\u200b\ufeff\x1b[31m\x00\x07\r\t\x85\u2028\ud800 \U000e0041",
    "`*_[x](y)_*`",
    "é 中文 \U0001f600",
]


def both(text: str) -> list[Page]:
    whole = plan_html(page.plan(text), page.outcomes(text), digest=text)
    return [Page.of(one) for one in (whole, drift_html(page.report(text)))]


EXPECTED = both("harmless")


@given(st.text(st.characters(exclude_characters="\n"), min_size=1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_nothing_of_strangers_becomes_markup(text: str) -> None:
    for found, expected in zip(both(text), EXPECTED, strict=True):
        assert found.elements == expected.elements
        assert found.odd == []
        assert found.texts["script"] == expected.texts["script"]
        assert found.texts["style"] == expected.texts["style"]
        assert [one for one in found.attributes if one not in expected.attributes] == []
        read = "".join(found.text).replace("\n", "")
        assert [one for one in read if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")] == []


for one in HOSTILE:
    test_nothing_of_strangers_becomes_markup = example(one)(test_nothing_of_strangers_becomes_markup)


def test_the_bytes_are_ascii_the_same_every_time_and_hold_no_secret() -> None:
    text = plan_html(page.plan(HOSTILE[-1]), page.outcomes("x"), digest="")
    assert text.isascii()
    assert text == plan_html(page.plan(HOSTILE[-1]), page.outcomes("x"), digest="")
    assert "canary" not in text


def test_the_policy_lets_run_what_the_page_holds_and_nothing_else() -> None:
    for found in both("x"):
        (policy,) = (value for name, value in found.attributes if name == "content" and "default-src" in value)
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
        assert {rules["default-src"], rules["base-uri"], rules["form-action"]} == {"'none'"}
        for tag in ("style", "script"):
            digest = base64.b64encode(hashlib.sha256(found.texts[tag][0].encode()).digest()).decode()
            assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
        names = Counter(name for name, _ in found.attributes)
        assert not [name for name in names if name.startswith("on") or name in ("src", "style", "xlink:href")]
        assert [value for name, value in found.attributes if name == "href"] == ["#rows"]
        ids = [value for name, value in found.attributes if name == "id"]
        assert len(ids) == len(set(ids))


def test_headings_go_down_one_by_one() -> None:
    for found in both("x"):
        levels = [int(tag[1]) for tag, *_ in found.elements if tag in ("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_what_moves_is_told_as_before_and_after_as_added_and_removed_or_as_a_diff() -> None:
    text = " ".join("".join(Page.of(plan_html(page.plan("x"), digest="sha256:d")).text).split())
    for told in ("- a", "+ b", '+ "x"', '- "x2"', "before", "somebody changed it outside buildsctl", "(plain value)"):
        assert told in text
    assert "(secret, from x)" in text
    assert "sha256:d" in text
    assert "not compared:" in text


def test_what_stops_a_plan_stands_on_top() -> None:
    found = Page.of(plan_html(page.plan("x"), page.outcomes("x"), digest=""))
    headings = [*found.texts["h2"]]
    assert headings[:5] == ["Not done", "Refused", "Errors", "Could not be read", "Warnings (1)"]
    assert "2 skipped; each says why" in found.texts["span"]
    assert found.texts["h1"][0].startswith("buildsctl plan: 1 error; ")  # refused: nothing was applied


def _change(address: str, action: Action, disposition: Disposition = Disposition.DECLARED, **more: object) -> Change:
    kind, _, rest = address.partition("/")
    path = tuple(rest.split("/")) if kind in ("trigger", "env") else (rest,)
    made = {"before": page.fields("x"), "after": page.fields("x"), **more}
    made |= {"before": None} if action is Action.CREATE else {"after": None} if action is Action.DELETE else {}
    return Change(address=Address(kind, path), action=action, reason="r", disposition=disposition, **made)


def _plan(*changes: Change, labels: dict[str, str] | None = None) -> Plan:
    names = {"c": "connection/acme/site", "t": "token/deploy", **(labels or {})}
    return Plan(account_id="a", owner="o", changes=changes, labels=names)


def test_the_picture_ties_triggers_to_what_they_use() -> None:
    moved = page.fields("x", Address.of("token", "new"))
    drawn = picture(
        _plan(
            _change("connection/acme/site", Action.NO_OP),
            _change("token/new", Action.CREATE),
            _change("trigger/web/production", Action.UPDATE, after=moved),
            _change("env/web/production/A", Action.DELETE),
            _change("env/api/production/A", Action.CREATE),
            _change("trigger/api/production", Action.NO_OP),
        )
    )
    assert drawn
    assert drawn.told == [
        "update web/production, 1 variable: connection/acme/site, no longer token/deploy, now token/new.",
        "update api/production, 1 variable: connection/acme/site, token/deploy.",
    ]
    assert sorted(one.sign for one in drawn.edges) == [" ", " ", " ", "+", "-"]
    assert [text for _, _, text in drawn.workers] == ["web", "api"]
    assert {(one.sign, one.title) for one in drawn.boxes if one.x != drawn.columns[1][0]} == {
        (" ", "connection/acme/site"),
        ("+", "token/new"),
        (" ", "token/deploy"),
    }
    assert drawn.left_out == ""


def test_an_old_generation_of_a_token_is_one_box() -> None:
    old = _change("token/deploy#1~00000000", Action.NO_OP, Disposition.ORPHAN, before={"build_token_name": "o:d [1]"})
    drawn = picture(_plan(old, _change("trigger/web/production", Action.NO_OP), labels={"t": "token `o:d [1]`"}))
    assert drawn
    assert drawn.told == ["unchanged web/production: connection/acme/site, token/deploy#1~00000000."]


@pytest.mark.parametrize(
    ("moving", "alone", "bundles"),
    [(0, 0, ["  500"]), (12, 12, ["  488"]), (13, 0, ["~ 13", "  487"]), (400, 0, ["~ 400", "  100"])],
)
def test_a_large_picture_is_summed_up(moving: int, alone: int, bundles: list[str]) -> None:
    actions = [Action.UPDATE if number < moving else Action.NO_OP for number in range(500)]
    changes = [_change(f"trigger/w{number}/production", action) for number, action in enumerate(actions)]
    drawn = picture(_plan(*changes))
    assert drawn
    boxes = [one for one in drawn.boxes if one.x == drawn.columns[1][0]]
    assert [f"{one.sign} {one.title.split()[0]}" for one in boxes[alone:]] == bundles
    assert len(drawn.workers) == alone
    assert "drawn together" in drawn.left_out
    assert all(one.text.endswith("Workers") for one in boxes[alone:])


def test_what_finds_no_place_in_the_picture_is_counted() -> None:
    labels = {f"t{number}": f"token/{number}" for number in range(200)}
    many = [
        _change(f"trigger/w{number}/x", Action.NO_OP, before=page.fields("x", f"t{number}")) for number in range(200)
    ]
    drawn = picture(_plan(*many, labels=labels))
    assert drawn
    assert f"{200 - MOST} triggers found no place" in drawn.left_out
    tokens = [_change(f"token/{number}", Action.NO_OP) for number in range(MOST + 2)]
    drawn = picture(_plan(*tokens, _change("trigger/web/x", Action.NO_OP)))
    assert drawn
    assert "3 tokens found no place" in drawn.left_out
    assert len(drawn.edges) == 2
    assert picture(_plan()) is None


def test_five_hundred_workers_stay_a_file_that_can_be_sent() -> None:
    value = {"is_secret": False, "value": "https://api.example.com/v1"}
    changes = []
    for worker in range(500):
        for name in ("preview", "production"):
            changes.append(_change(f"trigger/worker-{worker}/{name}", Action.CREATE))
            changes += [
                _change(f"env/worker-{worker}/{name}/V{number}", Action.CREATE, after=value) for number in range(10)
            ]
    text = plan_html(_plan(*changes), digest="")
    assert text.count('<li class="row"') == 11_000
    assert len(text) < 5_000_000


def test_the_end_of_a_text_alone_is_no_diff() -> None:
    change = FieldChange(path="build_command", before="make\nx", after="make\nx\n")
    text = plan_html(_plan(_change("trigger/web/x", Action.UPDATE, fields=(change,))), digest="")
    assert "&#34;make\\nx&#34;" in text
    assert "<pre>" not in text


MANIFEST = story.load(story.CASES / "update.yaml")["manifest"]


def _seed() -> None:
    sandbox = Sandbox("sandbox.db")
    sandbox.seed(story.seed_of(story.load(story.CASES / "update.yaml")))
    sandbox.close()


def test_the_commands_print_one_page(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        _seed()
        planned = story.run(["plan", "--format", "html", "--out", "plan.json"], {})
        applied = story.run(["apply", "--auto-approve", "--format", "html", "--out", "applied.json"], {})
        shown = story.run(["show", "applied.json", "--format", "html"], {})
        drifted = story.run(["drift", "--format", "html"], {})
        Path("buildsctl.yaml").write_text("version: 1\nowner: acme\nworkers: {web: {odd: 1}}\n")
        broken = story.run(["plan", "--format", "html"], {})
    for ran, title in (
        (planned, "buildsctl plan: 5 to create"),
        (applied, "buildsctl applied 5 of 5 changes"),
        (shown, "buildsctl applied 5 of 5 changes"),
        (drifted, "buildsctl drift: none"),
        (broken, "buildsctl plan: 1 error; nothing else"),
    ):
        found = Page.of(ran.stdout)
        assert found.texts["title"][0] == title
        assert found.texts["h1"] == [title]
    assert json.loads((tmp_path / "plan.json").read_text())["digest"] in planned.stdout
    assert shown.stdout.count(">done<") == 5
    assert "unknown key" in broken.stdout or "odd" in broken.stdout


PROGRAM = """
import sys
from reconciler import cli
cli.run(["show", "p.json", "--format", sys.argv[1]])
print("jinja2" in sys.modules, file=sys.stderr)
"""


def test_the_same_bytes_in_every_process_and_no_template_for_other_formats(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(dump(plan_document(page.plan("web"), page.outcomes("web"))))

    def run(format_: str, seed: int) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONIOENCODING": ("utf-8", "latin-1")[seed]}
        command = [sys.executable, "-c", PROGRAM, format_]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=60)

    one, two, text = run("html", 0), run("html", 1), run("text", 0)
    assert one.stdout == two.stdout
    assert one.stdout.startswith(b"<!DOCTYPE html>")
    assert (b"True" in one.stderr, b"True" in text.stderr) == (True, False)


def test_a_drift_page_tells_new_known_and_gone() -> None:
    found = Page.of(drift_html(page.report("x")))
    states = Counter(value for name, value in found.attributes if name == "data-state")
    assert states == {"new": 4, "known": 1, "gone": 1, "not looked at": 1}
    kinds = Counter(value for name, value in found.attributes if name == "data-kind")
    assert kinds == {"live": 1, "pending": 1, "unmanaged": 1, "health": 2}
