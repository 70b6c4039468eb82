"""The HTML page in a real headless Chromium: quiet, alone, usable by mouse, keyboard and without script."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import page
import pytest
from test_html import HOSTILE

from reconciler.model import Plan
from reconciler.render.html import drift_html, plan_html

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: the extra `test` has it")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(sys.prefix) / "node" / "node_modules" / "axe-core" / "axe.min.js"
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: `apt-get install chromium`")

PAGES = {
    "plan": plan_html(page.plan("web"), digest="sha256:0"),
    "applied": plan_html(page.plan("web"), page.outcomes("web"), digest="sha256:0"),
    "drift": drift_html(page.report("web")),
    "empty": plan_html(Plan(account_id="", owner=None, changes=()), digest=""),
    **{f"hostile applied {number}": plan_html(page.plan(text), page.outcomes(text), digest=text)
       for number, text in enumerate(HOSTILE)},
    **{f"hostile drift {number}": drift_html(page.report(text)) for number, text in enumerate(HOSTILE)},
    "long": plan_html(page.plan("x" * 500), page.outcomes("x" * 500), digest="x" * 500),
}  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@dataclass
class Heard:
    """What a page said and asked for while a test looked at it."""

    words: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Show = Callable[..., Any]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def show(chromium: Any, tmp_path: Path, heard: Heard) -> Iterator[Show]:
    """Opens a page of PAGES, in a context of its own or in a tab; nothing may be said or asked for meanwhile."""
    contexts, shown = [], []

    def opened(name: str, tab: Any = None, **settings: Any) -> Any:
        path = tmp_path / f"{name}.html"
        path.write_text(PAGES[name], encoding="ascii")
        if tab is None:
            contexts.append(chromium.new_context(**{"viewport": {"width": 1000, "height": 800}, **settings}))
            tab = contexts[-1].new_page()
            tab.set_default_timeout(10_000)
            tab.on("console", lambda message: heard.words.append(message.text))
            tab.on("pageerror", lambda error: heard.words.append(str(error)))
            tab.on("dialog", lambda dialog: (heard.words.append(dialog.message), dialog.dismiss()))
            tab.on("request", lambda request: heard.requests.append(request.url))
        shown.append(path.as_uri())
        tab.goto(shown[-1])
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert heard.words == []
    assert heard.requests == shown


def _visible(tab: Any) -> int:
    return sum(one.is_visible() for one in tab.locator(".row").all())


SHAPE = "[...document.querySelectorAll('*')].map((one) => [one.tagName, ...one.getAttributeNames()].join(' '))"


@pytest.mark.parametrize("kind", ["applied", "drift"])
def test_nothing_hostile_survives(kind: str, show: Show) -> None:
    tab = show(kind)
    shape = tab.evaluate(SHAPE)
    for number in range(len(HOSTILE)):
        show(f"hostile {kind} {number}", tab)
        assert tab.evaluate(SHAPE) == shape


def test_an_injected_script_does_not_run(show: Show, heard: Heard) -> None:
    tab = show("plan")
    tab.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<details open ontoggle='window.ran = true'></details>");
        }"""
    )
    tab.wait_for_timeout(100)
    assert tab.evaluate("window.ran") is None
    assert ["Content Security Policy" in one for one in heard.words] == [True, True]
    heard.words.clear()


def test_filtering_by_mouse(show: Show) -> None:
    tab = show("plan")
    told = tab.locator("[role=status]")
    sync_api.expect(told).to_have_text("13 of 13 rows shown")
    tab.get_by_label("create (2)").uncheck()
    sync_api.expect(told).to_have_text("11 of 13 rows shown")
    assert tab.locator(".row[data-action=create]:visible").count() == 0
    tab.get_by_label("create (2)").check()
    tab.get_by_label("Text").fill("ENV/web/web/SAME")
    sync_api.expect(told).to_have_text("1 of 13 rows shown")
    assert tab.locator(".row:visible .address").all_inner_texts() == ["env/web/web/same"]  # out of its fold
    tab.get_by_label("Text").fill("")
    sync_api.expect(told).to_have_text("13 of 13 rows shown")
    assert _visible(tab) == 11  # the folds are as before
    tab.get_by_role("button", name="Open all").click()
    assert _visible(tab) == 13
    tab.get_by_role("button", name="Close all").click()
    assert _visible(tab) == 0


def test_everything_by_keyboard(show: Show) -> None:
    tab = show("plan")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert tab.locator(".skip").bounding_box()["x"] >= 0
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "rows"
    tab.keyboard.press("Tab")
    tab.keyboard.type("deleted")
    tab.keyboard.press("Enter")  # a form that sends itself would leave the page
    sync_api.expect(tab.locator("[role=status]")).to_have_text("1 of 13 rows shown")
    for _ in range(3):  # two buttons, then the first action
        tab.keyboard.press("Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Space")
    assert not tab.get_by_label("create (2)").is_checked()
    tab.locator(".picture [role=region]").focus()
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == "The picture"


def test_without_script_everything_is_there(show: Show) -> None:
    tab = show("plan", java_script_enabled=False)
    assert not tab.locator("#filter").is_visible()
    assert _visible(tab) == 11
    fold = tab.locator(".fold summary")
    for number in range(fold.count()):
        fold.nth(number).focus()
        tab.keyboard.press("Enter")
    tab.locator(".group > summary").first.click()
    tab.locator(".group > summary").first.click()
    assert _visible(tab) == 13


@pytest.mark.parametrize("width", [320, 1000])
@pytest.mark.parametrize("name", ["applied", "drift", "long"])
def test_the_page_never_scrolls_sideways(name: str, width: int, show: Show) -> None:
    tab = show(name, viewport={"width": width, "height": 800})
    tab.get_by_role("button", name="Open all").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_gets_what_is_folded_and_no_controls(show: Show) -> None:
    tab = show("plan")
    tab.get_by_role("button", name="Close all").click()
    tab.emulate_media(media="print")
    assert _visible(tab) == 13
    assert not tab.locator("#filter").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["applied", "drift", "empty"])
def test_axe_finds_nothing(name: str, scheme: str, show: Show) -> None:
    if not AXE.exists():
        pytest.skip("no axe-core: `make test` installs it where npm is there")
    tab = show(
        name, color_scheme=scheme, viewport={"width": 1000, "height": 6_000}
    )  # what is out of sight is not drawn
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
    told = {one["id"]: [node["html"] for node in one["nodes"]] for one in found["violations"]}
    assert told == {}
    doubtful = [node["html"] for one in found["incomplete"] for node in one["nodes"]]
    # Of text in a picture, and of a sign alone, it cannot tell; their colours are those of the badges.
    assert [one for one in doubtful if not one.startswith(("<text", '<i aria-hidden="true"'))] == []
    assert len(found["passes"]) > 20
