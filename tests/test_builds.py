"""Builds are listed, read, followed, started once, cancelled and waited for."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import story
from test_drift import LIVE, MANIFEST, seed

from reconciler import builds
from reconciler.api import Api
from reconciler.errors import AnswerError, ApiError
from reconciler.kinds.build import Build, seed_problem
from reconciler.render.builds import MAX_LINE, build_text, log_text, span, table
from reconciler.sandbox import Response, Sandbox
from reconciler.sandbox.server import serve

UUID = "33333333-0000-4000-8000-00000000000{}"
LOGGED = [f"line {number}" for number in range(250)]
DEAD = "Failed: The build token selected for this build has been deleted or rolled and cannot be used for this build."


def many() -> list[dict[str, Any]]:
    """Builds of `web`, of `api`, none of `other`."""
    web = {"worker": "web", "trigger": "production"}
    return [
        {**web, "build_uuid": UUID.format(1), "age": 90_000, "log": LOGGED, "version_id": "v-1"},
        {**web, "build_uuid": UUID.format(2), "age": 3_600, "outcome": "fail", "log": ["a\x1b[31mb", DEAD]},
        {
            "worker": "web",
            "trigger": "preview",
            "build_uuid": UUID.format(3),
            "age": 60,
            "branch": "fix/1",
            "outcome": "success",
        },
        {"worker": "api", "trigger": "production", "build_uuid": UUID.format(4), "age": 30, "outcome": "skipped"},
    ]


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Path]:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        assert story.run(["apply", "--auto-approve"], {}).code == 0
        seed({"builds": many()})
        yield tmp_path


def ran(*arguments: str, code: int = 0, faults: list[str] | None = None) -> story.Ran:
    found = story.run(["builds", *arguments], {}, faults or [])
    assert found.code == code, found.stdout + found.stderr
    return found


def document(*arguments: str, code: int = 0) -> Any:
    return json.loads(ran(*arguments, "--format", "json", code=code).stdout)


def listed(*arguments: str) -> list[str]:
    return [one["build_uuid"][-1] for one in document("list", "web", *arguments)["builds"]]


def test_a_list_is_filtered(estate: Path) -> None:
    assert listed() == ["3", "2", "1"]
    assert listed("--limit", "1") == ["3"]
    assert listed("--branch", "main") == ["2", "1"]
    assert listed("--branch", "fix/*") == ["3"]
    assert listed("--outcome", "failure") == listed("--outcome", "fail") == ["2"]
    assert listed("--outcome", "fail", "--outcome", "success") == ["3", "2", "1"]
    assert listed("--status", "queued") == []
    assert listed("--since", "2h") == ["3", "2"]
    assert listed("--since", "2020-01-01") == ["3", "2", "1"]
    text = ran("list", "web").stdout
    assert text.splitlines()[0].split() == [
        "TRIGGER", "BRANCH", "COMMIT", "SOURCE", "STATUS", "OUTCOME", "AGE", "DURATION", "BUILD"
    ]  # fmt: skip
    assert "production" in text
    assert "1 h " in text
    assert ran("list", "web", "--status", "queued").stderr == "no build fits"
    misspelt = ran("list", "web", "--outcome", "failed", "--status", "queued").stderr
    assert misspelt.endswith("hint: the API's reference has the outcome success, fail, skipped, cancelled, terminated")
    never = "`other` was never built\nhint: `buildsctl builds run other/TRIGGER --branch BRANCH` starts the first one"
    assert ran("list", "other").stderr == never
    assert "a time is 30m" in ran("list", "web", "--since", "yesterday", code=1).stderr
    assert "did you mean `web`?" in ran("list", "wbe", code=1).stderr
    assert len(document("list", story.tag("web"))["builds"]) == 3


def test_a_list_reads_no_more_pages_than_it_needs(estate: Path) -> None:
    more = [{"worker": "web", "trigger": "production", "age": 100_000 + n, "author": f"a{n}"} for n in range(450)]
    seed({"builds": more})

    def pages(*arguments: str) -> int:
        found = ran("list", "web", *arguments)
        return sum("/builds" in one and "workers/scripts" not in one for one in found.requests)

    assert pages() == 1
    assert pages("--limit", "450") == 3
    assert pages("--outcome", "fail", "--limit", "1") == 1
    assert pages("--outcome", "cancelled") == 3
    assert pages("--since", "30m") == 1
    assert len(document("list", "web", "--limit", "1000")["builds"]) == 453


def test_the_latest_of_all_declared_workers(estate: Path) -> None:
    found = document("latest")["builds"]
    assert {name: one and one["build_uuid"][-1] for name, one in found.items()} == {"web": "3", "api": "4"}
    found = document("latest", "*")["builds"]
    assert set(found) == {"web", "api"}
    assert document("latest", "o*")["builds"] == {"other": None}
    first = ran("latest").stdout.splitlines()[0]
    assert first.split() == [
        "WORKER", "TRIGGER", "BRANCH", "COMMIT", "STATUS", "OUTCOME", "AGE", "DURATION", "BUILD"
    ]  # fmt: skip
    assert "never built" in ran("latest", "other").stdout
    assert (
        "hint: `buildsctl builds run other/TRIGGER --branch BRANCH` starts the first one" in ran("latest", "o*").stderr
    )
    assert ran("latest").stderr == ""
    assert len(ran("latest").requests) == 2
    assert "there is no Worker `nope`" in ran("latest", "nope", code=1).stderr
    assert "no Worker fits `x*`" in ran("latest", "x*", "web", code=1).stderr
    Path("buildsctl.yaml").write_text(MANIFEST + "  gone: {triggers: {}}\n")
    lost = ran("latest", code=1)
    assert "there is no Worker `gone`" in lost.stderr
    assert "skipped" in lost.stdout
    Path("buildsctl.yaml").unlink()
    assert "no Worker is named" in ran("latest", code=1).stderr


def test_the_latest_shows_what_could_be_read(estate: Path) -> None:
    names = ["web", "api", *(f"w{number:02}" for number in range(43))]
    seed({"workers": [{"id": name} for name in names[2:]]})
    Path("buildsctl.yaml").write_text(MANIFEST + "".join(f"  {name}: {{triggers: {{}}}}\n" for name in names[2:]))
    fault = "success-false:GET:/builds/builds/latest:after=1"
    found = ran("latest", "--format", "json", code=7, faults=[fault])
    shown = json.loads(found.stdout)["builds"]
    assert len(shown) in (25, 40)
    told = found.stderr.splitlines()
    assert told[0].startswith("error: could not read the latest builds: ")
    assert {*told[-1].removeprefix("not shown: ").split(", ")} == {*names} - {*shown}
    assert "WORKER" in ran("latest", code=7, faults=[fault]).stdout
    assert ran("latest", code=1, faults=[f"{fault[:-7]}times=forever"]).stdout == ""


def test_the_latest_says_why_it_failed(estate: Path) -> None:
    seed({"builds": [{"worker": "api", "trigger": "production", "age": 11, "outcome": "fail", "log": [DEAD]}]})
    text = ran("latest", "--why").stdout
    assert "api: its build token was deleted or rolled" in text
    assert "hint: give the token" in text
    assert document("latest", "--why")["builds"]["api"]["buildsctl"]["failure"]["name"] == "dead-token"
    assert "buildsctl" not in document("latest")["builds"]["api"]


def test_one_build(estate: Path) -> None:
    whole = document("get", UUID.format(2))
    assert whole["build_outcome"] == "fail"
    assert whole["buildsctl"]["failure"]["name"] == "dead-token"
    assert (
        whole["build_trigger_metadata"]["environment_variables"]["ELSEWHERE"]["value"] is None
        if ("ELSEWHERE" in whole["build_trigger_metadata"]["environment_variables"])
        else True
    )
    text = ran("get", UUID.format(2)).stdout
    assert "stopped, fail" in text
    assert "cause: its build token was deleted or rolled" in text
    assert "BUILDSCTL" not in text
    assert ran("get", UUID.format(9), code=1).stderr.startswith("error: not found")
    for odd in ("..", "latest", "web"):
        assert "no build's UUID" in ran("get", odd, code=1).stderr
    assert "say which build" in ran("get", code=1).stderr
    assert "exclude each other" in ran("get", UUID.format(1), "--version-id", "v", code=1).stderr


def test_builds_of_versions(estate: Path) -> None:
    found = document("get", "--version-id", "v-1")["builds"]
    assert {key: one["build_uuid"] for key, one in found.items()} == {"v-1": UUID.format(1)}
    lost = ran("get", "--version-id", "v-1, v-2", code=1)
    assert "no build made version v-2" in lost.stderr
    assert UUID.format(1) in lost.stdout
    many_ids = ",".join(f"v-{number}" for number in range(41))
    assert len(ran("get", "--version-id", many_ids, code=1).requests) == 3


def test_a_log_of_several_pages_ends(estate: Path) -> None:
    """Though `truncated` stays set at its end, and whatever fails in between."""
    found = ran("logs", UUID.format(1))
    lines = found.stdout.splitlines()
    assert [one.split("  ", 1)[1] for one in lines] == LOGGED
    assert lines[0].startswith("20")
    assert lines[0][23] == "Z"
    assert len(found.requests) == 3
    faulty = ran("logs", UUID.format(1), faults=["cut-after:GET:/builds/builds/*/logs:after=1,times=2"])
    assert faulty.stdout == found.stdout
    followed = ran("logs", UUID.format(1), "--follow")
    assert followed.stdout == found.stdout
    assert len(ran("logs", UUID.format(1), "--since", "2h").stdout.splitlines()) == 0


def test_a_log_is_harmless_and_says_why(estate: Path) -> None:
    found = ran("logs", UUID.format(2))
    assert "\x1b" not in found.stdout
    assert "a\\x1b[31mb" in found.stdout
    assert "the build failed: its build token was deleted or rolled" in found.stderr
    lines = [json.loads(one) for one in ran("logs", UUID.format(2), "--format", "json").stdout.splitlines()]
    assert lines[0]["line"] == "a\x1b[31mb"
    assert lines[0]["time"].endswith("Z")
    assert "no build's UUID" in ran("logs", "../x", code=1).stderr


def test_a_cause_is_told_of_a_failed_build_only(estate: Path) -> None:
    seed({"builds": [{"worker": "web", "trigger": "production", "build_uuid": UUID.format(7), "log": [DEAD]}]})
    assert "the build failed" not in ran("logs", UUID.format(7)).stderr


def test_a_line_of_ten_megabytes_is_shortened() -> None:
    text = log_text([(1_700_000_000_000, "x" * 10_000_000), (None, "no time\r\n")])
    assert len(text) < MAX_LINE + 200
    assert "(9,990,000 more characters)" in text
    assert text.splitlines()[1] == "-                         no time"


# Following, on a clock of its own


class World:
    """A sandbox and a client on one clock, which goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.sandbox = Sandbox(clock=lambda: self.now)
        self.sandbox.seed({name: one for name, one in LIVE.items() if name != "repositories"})
        self.slept: list[float] = []
        self.sent: list[str] = []
        self.before: Callable[[str, str], Response | None] = lambda *_: None
        self.told: list[str] = []

    def handle(self, method: str, path: str, query: Any, headers: Any, body: bytes) -> Response:
        self.sent.append(f"{method} {path.partition('/builds/')[2]}")
        return self.before(method, path) or self.sandbox.handle(method, path, query, headers, body)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def clock(self) -> float:
        return self.now.timestamp()

    @property
    def api(self) -> Api:
        return Api(
            base_url="http://sandbox/client/v4", account_id=story.ACCOUNT, token="t", handler=self.handle,
            clock=self.clock, sleep=self.sleep,
        )  # fmt: skip

    def watch(self, uuid: str, timeout: float | None = None) -> builds.Watch:
        return builds.Watch(self.api, uuid, timeout=timeout, tell=self.told.append, clock=self.clock, sleep=self.sleep)

    def start(self) -> str:
        path = story.bound(self.sandbox, "/builds/triggers/{other/by hand}/builds")
        return str(story.call(self.sandbox, "POST", path, {"branch": "main"})[1]["build_uuid"])


@pytest.fixture
def world() -> World:
    return World()


def answer(status: int, **result: Any) -> Response:
    body = json.dumps({"success": status < 300, "errors": [], "messages": [], "result": result}).encode()
    return Response(status=status, headers={"Content-Type": "application/json"}, body=body)


def test_following_gives_each_line_once_as_it_comes(world: World) -> None:
    uuid = world.start()
    watch = world.watch(uuid)
    pages = [(world.clock(), [text for _, text in page]) for page in watch.log(follow=True)]
    lines = [text for _, page in pages for text in page]
    assert lines[-1] == "Success: Deploy command completed"
    assert len(lines) == len(set(lines))
    assert len(pages) > 2
    assert watch.build
    assert watch.build.build_outcome == "success"
    assert world.told == [f"build {uuid}: {name}" for name in ("queued", "initializing", "running")]


def test_following_outlasts_a_network_that_is_away(world: World) -> None:
    uuid = world.start()
    away = iter([False] * 4 + [True] * 12)

    def cut(method: str, path: str) -> Response | None:
        if next(away, False):
            raise ConnectionError("away")
        return None

    world.before = cut
    lines = [text for page in world.watch(uuid).log(follow=True) for _, text in page]
    assert lines[-1] == "Success: Deploy command completed"
    assert len(lines) == len(set(lines))
    assert any("trying again, the build goes on" in one for one in world.told)


def test_following_outlasts_half_an_answer(world: World) -> None:
    uuid = world.start()
    halves = iter([False] * 4 + [True] * 2)

    def halve(method: str, path: str) -> Response | None:
        return Response(status=200, headers={}, body=b'{"success": tr') if next(halves, False) else None

    world.before = halve
    lines = [text for page in world.watch(uuid).log(follow=True) for _, text in page]
    assert lines[-1] == "Success: Deploy command completed"
    assert len(lines) == len(set(lines))
    world.before = lambda *_: Response(status=200, headers={}, body=b"<html>")
    sent = len(world.sent)
    with pytest.raises(AnswerError):  # it never was the API: the base URL is wrong
        world.watch(uuid).wait()
    assert len(world.sent) == sent + 1


def test_a_network_that_stays_away_is_an_error(world: World) -> None:
    uuid = world.start()
    world.before = lambda *_: Response(status=502, headers={}, body=b"<html>")
    with pytest.raises(ApiError):
        world.watch(uuid).wait()
    assert len(world.sent) == builds.MAX_LOST * 5


def test_waiting_backs_off_and_gives_up(world: World) -> None:
    world.sandbox.seed({"limits": {"has_reached_build_minutes_limit": True}})
    watch = world.watch(world.start(), timeout=100)
    build = watch.wait()
    assert (build.status, watch.timed_out) == ("queued", True)
    assert world.slept[:3] == [1.0, 1.5, 2.25]
    assert max(world.slept) == builds.MAX_PAUSE
    assert sum(world.slept) == pytest.approx(100)
    watch = world.watch(world.start(), timeout=5)
    assert len([*watch.log(follow=True)]) == 1
    assert watch.timed_out
    watch = world.watch(world.start(), timeout=30)
    world.before = lambda *_: Response(status=502, headers={}, body=b"")
    with pytest.raises(ApiError):
        watch.wait()


def test_a_cursor_that_does_not_move_is_an_error(world: World) -> None:
    world.before = lambda *_: answer(200, lines=[[1, "again"]], cursor="same", truncated=True)
    watch = world.watch(UUID.format(1))
    with pytest.raises(AnswerError, match="does not move"):
        list(watch.log())


def test_a_log_is_read_for_a_cause_only_so_far(world: World) -> None:
    numbers = iter(range(1_000))
    world.before = lambda *_: answer(200, lines=[[1, "no cause"]], cursor=f"c{next(numbers)}", truncated=True)
    assert builds.cause(world.api, Build(id=UUID.format(1), build_outcome="fail")) is None
    assert len(world.sent) == builds.MAX_CAUSE_PAGES
    assert builds.cause(world.api, Build(id=UUID.format(1), build_outcome="success")) is None
    assert len(world.sent) == builds.MAX_CAUSE_PAGES


def test_a_log_that_does_not_end_is_said_to_be_cut(world: World) -> None:
    numbers = iter(range(1_000))
    world.before = lambda *_: answer(200, lines=[[1, "more"]], cursor=f"c{next(numbers)}", truncated=True)
    watch = world.watch(UUID.format(1))
    watch.max_pages = 3
    assert len([*watch.log()]) == 3
    assert world.told == ["the log has more than 3 pages: the rest is left out"]


# Run, wait, cancel


def posts(found: story.Ran) -> int:
    return sum(one.startswith("POST") for one in found.requests)


def test_run_starts_the_one_branch_of_a_trigger(estate: Path) -> None:
    found = ran("run", "web/production")
    uuid = found.stdout.strip()
    assert found.stderr.splitlines() == [f"started build {uuid} of trigger/web/production: branch main"]
    build = document("get", uuid)
    assert build["build_trigger_metadata"]["branch"] == "main"
    assert build["build_trigger_metadata"]["build_trigger_source"] == "manual"
    assert document("run", "web/production", "--commit", "abc")["build_uuid"]


def test_run_asks_for_a_branch_where_none_is_obvious(estate: Path) -> None:
    found = ran("run", "web/preview", code=1)
    assert "builds more than one branch: say what to build" in found.stderr
    assert posts(found) == 0
    assert "names 2 triggers" in ran("run", "web/*", "--branch", "x", code=1).stderr


@pytest.mark.parametrize("option", ["--branch", "--commit"])
def test_run_takes_nothing_for_no_branch(estate: Path, option: str) -> None:
    """As a shell's variable that is not set does: the production branch is not what was meant."""
    found = ran("run", "web/production", option, "", code=1)
    assert "is given and empty" in found.stderr
    assert posts(found) == 0


def test_no_variable_of_the_environment_says_what_is_built(estate: Path) -> None:
    found = story.run(["builds", "run", "web/production"], {"BUILDSCTL_BRANCH": "feature"})
    assert found.stderr.endswith("branch main")
    assert story.run(["builds", "list", "web"], {"BUILDSCTL_BRANCH": "feature"}).code == 0


def test_an_empty_log_is_said_to_be_empty(estate: Path) -> None:
    seed({"builds": [{"worker": "web", "trigger": "production", "build_uuid": UUID.format(7), "log": []}]})
    assert "is empty so far; --follow" in ran("logs", UUID.format(7)).stderr


def test_run_warns_of_a_branch_that_a_push_would_not_build(estate: Path) -> None:
    found = ran("run", "web/production", "--branch", "feature")
    assert "a push to `feature` would not build trigger/web/production" in found.stderr
    assert "npx wrangler deploy" in found.stderr
    assert "warning" not in ran("run", "web/preview", "--branch", "feature").stderr


@pytest.mark.parametrize("kind", ["cut-after", "500-after", "502-html-after", "success-false-after", "truncated"])
def test_run_is_sent_once_and_an_unknown_outcome_is_said(estate: Path, kind: str) -> None:
    before = len(document("list", "web")["builds"])
    found = ran("run", "web/production", code=3, faults=[f"{kind}:POST:/builds/triggers/*/builds"])
    assert "nobody knows whether the build was started" in found.stderr
    assert "builds list web" in found.stderr
    assert posts(found) == 1
    assert found.stdout == ""
    assert len(document("list", "web")["builds"]) == before + 1


def test_an_unknown_outcome_in_json(estate: Path) -> None:
    found = ran(
        "run", "web/production", "--format", "json", code=3, faults=["cut-after:POST:/builds/triggers/*/builds"]
    )
    assert json.loads(found.stdout)["status"] == "unknown"


def test_run_waits_out_the_rate_limit(estate: Path) -> None:
    found = ran("run", "web/production", faults=["429:POST:/builds/triggers/*/builds:times=1,retry_after=0"])
    assert posts(found) == 2  # what was refused did not happen
    assert len(found.stdout.split()) == 1


def test_run_with_its_log_ends_as_the_build_does(estate: Path) -> None:
    seed({"build_tokens": [{**LIVE["build_tokens"][0], "dead": True}]})
    found = ran("run", "web/production", "--logs", code=1)
    assert "has been deleted or rolled" in found.stdout
    assert "stopped, fail" in found.stdout
    assert "cause: its build token was deleted or rolled" in found.stdout
    found = ran("run", "web/production", "--logs", "--format", "json", code=1)
    assert json.loads(found.stdout)["buildsctl"]["failure"]["name"] == "dead-token"
    assert "has been deleted or rolled" in found.stderr


def test_run_waits_no_longer_than_it_is_told(estate: Path) -> None:
    seed({"limits": {"has_reached_build_minutes_limit": True}})
    found = ran("run", "web/production", "--wait", "--timeout", "0", code=1)
    assert "the build is still queued after 0 s" in found.stderr
    assert "builds cancel" in found.stderr


def test_an_error_while_it_waits_says_that_the_build_goes_on(estate: Path) -> None:
    found = ran("run", "web/production", "--wait", code=1, faults=["success-false:GET:/builds/builds/*"])
    assert "the build goes on; `buildsctl builds cancel " in found.stderr


@pytest.mark.parametrize(("number", "code"), [(1, 0), (2, 1), (4, 1)])
def test_wait_ends_as_the_build_did(estate: Path, number: int, code: int) -> None:
    found = document("wait", UUID.format(number), code=code)
    assert found["build_uuid"] == UUID.format(number)
    text = ran("wait", UUID.format(number), code=code).stdout
    assert ("cause: " in text) == (number == 2)


def test_a_log_that_cannot_be_had_does_not_hide_a_failure(estate: Path) -> None:
    found = ran("wait", UUID.format(2), code=1, faults=["500:GET:/builds/builds/*/logs:times=forever"])
    assert "stopped, fail" in found.stdout
    assert "could not read the log" in found.stderr


def test_cancel(estate: Path) -> None:
    uuid = ran("run", "web/production").stdout.strip()
    assert ran("cancel", uuid).stdout == f"build {uuid}: cancelled\n"
    assert document("cancel", uuid)["build_outcome"] == "cancelled"  # already
    found = ran("cancel", UUID.format(1), code=1)
    assert "the build ended before, with success" in found.stderr
    assert "not found" in ran("cancel", UUID.format(9), code=1).stderr
    uuid = ran("run", "web/production").stdout.strip()
    assert ran("cancel", uuid, faults=["cut-after:PUT:/builds/builds/*/cancel"]).code == 0
    uuid = ran("run", "web/production").stdout.strip()
    assert ran("cancel", uuid, code=1, faults=["500:PUT:/builds/builds/*/cancel:times=forever"]).code == 1


def test_a_seed_repo_is_checked_before_it_is_sent(estate: Path) -> None:
    good = {"branch": "main", "owner": "acme", "path": "", "provider": "github", "repository": "new"}
    Path("seed.json").write_text(json.dumps({**good, "files": [{"content": "x", "filename": "a"}]}))
    assert ran("run", "web/production", "--seed-repo", "seed.json").code == 0
    Path("seed.json").write_text(json.dumps({**good, "owner": ""}))
    found = ran("run", "web/production", "--seed-repo", "seed.json", code=1)
    assert "it has no text `owner`" in found.stderr
    assert not found.requests
    Path("seed.json").write_text("{")
    assert "is no JSON" in ran("run", "web/production", "--seed-repo", "seed.json", code=1).stderr
    assert "cannot be read" in ran("run", "web/production", "--seed-repo", "absent", code=1).stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"files": "x"}, "not a list"),
        ({"files": ["x"]}, "not a list"),
        ({"files": [{"content": "x"}]}, "`filename` and `content`"),
        ({"files": [{"content": "x", "filename": "a", "isBase64": "no"}]}, "`isBase64` is a flag"),
        ({"files": [{"content": "x", "filename": "a", "isBase64": True, "replace": "y"}]}, ""),
    ],
)
def test_what_is_wrong_with_a_seed_repo(change: dict[str, Any], told: str) -> None:
    good = {"branch": "main", "owner": "acme", "path": "", "provider": "github", "repository": "new"}
    found = seed_problem({**good, **change})
    assert told in found
    assert bool(told) == bool(found)
    assert seed_problem([]) == "it is not an object"


# Decoding and rendering


def test_no_secret_leaves_a_build() -> None:
    variables = {"A": {"is_secret": True, "value": "canary"}, "B": {"is_secret": False, "value": "x"}, "C": "y"}
    build = Build.decode(
        {
            "build_uuid": "u",
            "status": "running",
            "new": 1,
            "build_trigger_metadata": {"environment_variables": variables},
        }
    )
    assert "canary" not in repr(build)
    assert build.answer["new"] == 1
    assert build.metadata["environment_variables"]["B"] == variables["B"]
    assert "variables     A, B, C" in build_text(builds.seen("", build, datetime.now(UTC)))
    assert Build.decode({"build_uuid": "u", "build_trigger_metadata": {}}).metadata == {}


def test_odd_answers_are_told_or_borne() -> None:
    log = Build.decode_logs({"lines": [[1_636_472_400, 7], ["x", "y"], [True, "z"], "odd", []], "truncated": True})
    assert log.lines == ((1_636_472_400_000, "7"), (None, "y"), (None, "z"))
    assert log.more
    assert not Build.decode_logs({"lines": None, "truncated": True, "cursor": "c"}).more
    with pytest.raises(AnswerError):
        Build.decode_logs({"lines": {}})
    with pytest.raises(AnswerError):
        Build.decode_map({"builds": []})
    with pytest.raises(AnswerError):
        Build.decode_run({})
    assert Build.decode_map({"builds": None}) == {}
    assert Build.decode_map({"builds": {"t": None}}) == {}
    assert Build.decode({"build_uuid": "u", "build_trigger_metadata": {"branch": 7}}).told("branch") == ""
    assert Build.decode_list([{"build_uuid": "u"}])[0].id == "u"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""), (-5, "0 s"), (59.9, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (700, "11 min"),
        (7_200, "2 h"), (7_500, "2 h 5 min"), (90_000, "1 d 1 h"), (41 * 86_400, "41 d"),
    ],
)  # fmt: skip
def test_a_span(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_a_table_bears_what_strangers_name_their_branches() -> None:
    text = table([["A", "B"], ["x" * 100 + "\x1b[2J", "\u202egnol" + "y" * 100]])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert f"{'x' * 31}…" in text
    assert "y" * 100 in text


def test_a_table_keeps_to_a_narrow_terminal() -> None:
    """What identifies a build stands below, whole; else the widest columns give way."""
    rows = [["WORKER", "BRANCH", "AGE", "BUILD"], ["w" * 40, "b" * 20, "3 min", UUID.format(1)]]
    assert table(rows, 120) == table(rows)
    assert len(table(rows).splitlines()) == 2
    head, name, row, build = table(rows, 40).splitlines()
    assert (head.split(), name, build) == (["WORKER", "BRANCH", "AGE"], "  BUILD", f"  {UUID.format(1)}")
    assert row == f"{'w' * 14}…  {'b' * 15}…  3 min"
    assert len(row) == 40
    assert table(rows, 1).splitlines()[2] == f"{'w' * 7}…  {'b' * 7}…  3 min"


def test_a_moment_that_is_none() -> None:
    build = Build(id="u", created_on="not a time", status="stopped", running_on="2026-01-02T00:00:00Z")
    found = builds.seen("web", build, datetime.now(UTC))
    assert (found.age, found.duration) == (None, None)
    assert builds.seen("web", None, datetime.now(UTC)).build is None
    assert build_text(builds.seen("web", None, datetime.now(UTC))) == "never built\n"


# A real process


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command against the sandbox at ./sandbox.db, served over HTTP."""
    sandbox = Sandbox("sandbox.db")
    server = serve(sandbox)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    environment = {
        "PYTHONPATH": str(Path(builds.__file__).parents[1]),
        "CLOUDFLARE_API_TOKEN": "t",
        "CLOUDFLARE_ACCOUNT_ID": story.ACCOUNT,
        "CLOUDFLARE_API_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}/client/v4",
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-m", "reconciler", "builds", *arguments]
    started = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()
        server.shutdown()
        server.server_close()
        sandbox.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_following_cleanly(estate: Path, number: int) -> None:
    seed({"builds": [{"worker": "web", "trigger": "production", "build_uuid": UUID.format(8), "status": "running"}]})
    with process("logs", UUID.format(8), "--follow") as started:
        assert started.stdout
        assert "Initializing build environment" in started.stdout.readline()
        started.send_signal(number)
        _, err = started.communicate(timeout=20)
    assert started.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err


def test_a_signal_ends_the_waiting_and_not_the_build(estate: Path) -> None:
    seed({"limits": {"has_reached_build_minutes_limit": True}})
    with process("run", "web/production", "--wait") as started:
        assert started.stderr
        while "queued" not in started.stderr.readline():
            pass
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=20)
    assert started.returncode == 130
    assert "the build goes on; `buildsctl builds cancel " in err
    assert out == ""


def test_a_reader_that_goes_away_ends_the_following(estate: Path) -> None:
    seed({"builds": [{"worker": "web", "trigger": "production", "build_uuid": UUID.format(8), "age": 4}]})
    root = str(Path(builds.__file__).parents[1])
    started_process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "--sandbox", "--sandbox-file", "sandbox.db", "--account-id",
         story.ACCOUNT, "builds", "logs", UUID.format(8), "--follow"],
        env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started_process.stdout
    started_process.stdout.close()
    started = time.monotonic()
    assert started_process.wait(timeout=30) == 0
    assert time.monotonic() - started < 25
    assert started_process.stderr
    assert "Traceback" not in started_process.stderr.read()
    started_process.stderr.close()
