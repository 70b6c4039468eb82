"""`doctor` says what a first run trips over, changes nothing, and calls nothing good that it did not look at."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import story
from fake_server import Answer, Call, envelope, failure, html, write
from health_server import AUTOFILL, DEAD, LIMITS, PROBE, SCRIPTS, TOKENS, Estate, ago, applied, build
from test_drift import LIVE, MANIFEST, seed

from reconciler import api, gate
from reconciler.doctor import Level, Line, examine
from reconciler.model import Request
from reconciler.render.doctor import line_text

HTTP = ["slow:OPTIONS:/nowhere"]
"""A fault that no request meets: the sandbox is served over HTTP, where tokens count."""
TAGS = (("  web:\n", f"  web:\n    tag: '{2:032x}'\n"), ("  api:\n", f"  api:\n    tag: '{1:032x}'\n"))


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    with applied(tmp_path) as found:
        yield found


def doctor(*arguments: str, code: int, environment: dict[str, str] | None = None) -> dict[str, list[tuple[str, str]]]:
    """(level, summary) of each line, by what it is about; on the sandbox."""
    ran = story.run(["doctor", "--format", "json", *arguments], environment or {}, HTTP)
    assert ran.code == code, ran.stdout + ran.stderr
    writes = [one for one in ran.requests if not one.startswith("GET")]
    assert all(one.startswith("PATCH /builds/triggers/00000000-") for one in writes)
    found: dict[str, list[tuple[str, str]]] = {}
    for line in json.loads(ran.stdout)["lines"]:
        found.setdefault(line["about"], []).append((line["level"], line["summary"]))
    return found


def about(lines: list[tuple[str, str, str]], *names: str) -> list[tuple[str, str, str]]:
    return [one for one in lines if one[1] in names]


def test_a_good_estate_has_no_errors(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        assert story.run(["apply", "--auto-approve"], {}).code == 0
        found = doctor(code=0, environment={"BUILDSCTL_FINGERPRINT_KEY": "MTEx" * 11})
        levels = {level for lines in found.values() for level, _ in lines}
        assert levels <= {"ok", "warning"}
        assert found["fingerprint key"] == [("ok", "set: secrets that changed are found")]
        assert ("ok", "Workers Builds Configuration: Edit") in found["permission"]
        assert found["clock"] == [("ok", "agrees with the API's")]
        assert found["repositories"] == [("ok", "reached for 3 of 3 triggers, 3 names compared")]
        assert found["rate limit"] == [("ok", "1,199 of 1,200 requests are left in this window")]


def test_the_sandbox_inside_the_process_has_no_clock_of_its_own(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        ran = story.run(["doctor"], {"BUILDSCTL_FINGERPRINT_KEY": "MTEx" * 11})
        assert ran.code == 0
        assert "clock" not in ran.stdout
        assert "0 errors, 0 warnings" in ran.stdout


@pytest.mark.parametrize(
    ("kind", "code", "name", "text"),
    [
        ("read-only", 0, "permission", "it may read and not write"),
        ("account", 6, "token", "account-owned"),
        ("invalid", 6, "token", "does not take this kind of token"),
        ("expired", 6, "token", "does not accept the token"),
    ],
)
def test_kinds_of_tokens_are_told_apart(kind: str, code: int, name: str, text: str, tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed({**LIVE, "api_tokens": {"canary-token-55aa": kind}})
        found = doctor(code=code)
        assert any(text in summary for _, summary in found[name]), found


@pytest.mark.parametrize(
    "answer", [failure(500, 1), html(502), failure(404, 7003), Answer(status=302), html(403), html(401)]
)
@pytest.mark.parametrize("path", [".*", TOKENS])
def test_what_is_not_the_api_ends_it_and_nothing_is_called_good(estate: Estate, path: str, answer: Answer) -> None:
    estate.server.on("", path, answer)
    lines = estate.doctor(code=1)
    assert [level for level, name, _ in lines if name == "API"] == ["error"]
    assert about(lines, "references", "repositories", "permission") == []
    assert ("warning", "manifests", "what they declare was not looked at in the account") in lines
    assert len(estate.server.log) <= 6  # one that fails is tried five times


def test_without_network_nothing_is_called_good(estate: Estate) -> None:
    lines = estate.doctor(code=1, CLOUDFLARE_API_BASE_URL="http://127.0.0.1:9/x")
    assert ("error", "API", "no connection to `127.0.0.1:9` (GET /workers/scripts)") in lines
    assert about(lines, "references", "repositories", "clock", "permission") == []


def test_references_are_not_good_where_the_account_could_not_be_read(estate: Estate) -> None:
    estate.server.on("GET", r"/builds/workers/[^/]+/triggers", failure(500, 1))
    lines = estate.doctor(code=1)
    assert about(lines, "references") == [("warning", "references", "not all of them could be looked at")]


@pytest.mark.parametrize(
    ("answer", "level", "summary"),
    [
        (failure(500, 1), "warning", "looked at for 0 of 3 triggers, 0 names compared"),
        (failure(404, 7003), "warning", "looked at for 0 of 3 triggers, 0 names compared"),
        (envelope({}), "ok", "reached for 3 of 3 triggers, 0 names compared"),
        (envelope(None), "ok", "reached for 3 of 3 triggers, 0 names compared"),
    ],
)
def test_repositories_are_counted(estate: Estate, answer: Answer, level: str, summary: str) -> None:
    estate.server.on("GET", AUTOFILL, answer)
    lines = estate.doctor(code=0 if level == "ok" else 1)
    assert about(lines, "repositories") == [(level, "repositories", summary)]


def test_a_repository_that_nobody_knows_is_not_called_reached(estate: Estate) -> None:
    estate.manifest(("branch_includes: [main], ", "branch_includes: [main], repo_connection_uuid: elsewhere, "))
    (known, counted) = about(estate.doctor(), "repositories")
    assert known[0] == counted[0] == "warning"
    assert "trigger/web/production and 1 more: its repository is not known" in known[2]
    assert counted[2] == "looked at for 1 of 3 triggers, 1 name compared"


def test_what_the_manifests_want_is_asked_also_where_something_else_is_live(estate: Estate) -> None:
    estate.manifest(
        ("{branch_includes: [main], deploy", "{branch_includes: [trunk], deploy"), ("apps/api", "apps/nope")
    )
    lines = estate.doctor(code=1)
    cannot = "Builds cannot reach acme/site, its branch `trunk` or the folder "
    assert [one[1:] for one in lines if "cannot reach" in one[2]] == [
        ("trigger/api/production", cannot + "`/apps/nope`"),
        ("trigger/web/production", cannot + "`/`"),
    ]
    assert estate.probes() == [("main", ""), ("trunk", ""), ("trunk", "apps/nope")]


def test_what_is_partly_live_is_asked_about_once(estate: Estate) -> None:
    del estate.server.triggers[estate.server.trigger("web", "preview")["trigger_uuid"]]
    estate.doctor()
    assert estate.probes() == [("main", ""), ("main", "apps/api")]


def test_a_connection_is_known_by_its_uuid_where_a_live_trigger_shows_it(estate: Estate) -> None:
    (uuid,) = estate.server.connections
    estate.manifest(("{branch_includes: [main], ", f"{{branch_includes: [trunk], repo_connection_uuid: {uuid}, "))
    estate.doctor(code=1)
    assert ("trunk", "apps/api") in estate.probes()


def test_what_is_ignored_is_asked_as_it_is(estate: Estate) -> None:
    estate.manifest(("root_directory: apps/api", "root_directory: apps/nope\n    ignore: [root_directory]"))
    estate.doctor()
    assert estate.probes() == [("main", ""), ("main", "apps/api")]


def test_each_list_is_read_once(estate: Estate) -> None:
    estate.doctor()
    assert len(estate.server.sent("GET", SCRIPTS)) == len(estate.server.sent("GET", TOKENS)) == 1
    assert len(estate.server.log) == 2 + 1 + 2 + 3 + 2 + 2  # lists, write, triggers, variables, health, repositories


@pytest.mark.parametrize(
    ("answer", "level", "text"),
    [
        (failure(404, 12000), "ok", "Workers Builds Configuration: Edit"),
        (failure(404, 10007), "ok", "Workers Builds Configuration: Edit"),
        (failure(400, 12002), "ok", "Workers Builds Configuration: Edit"),
        (failure(403, 10000), "warning", "it may read and not write"),
        (failure(404, 7003), "warning", "could not be found out: whatever answered does not know"),
        (failure(400, 1), "warning", "could not be found out: the API refuses"),
        (failure(500, 1), "warning", "could not be found out: the API, or a gateway"),
        (html(403), "warning", "could not be found out: not the API but a gateway answered"),
        (html(404), "warning", "could not be found out: what answered is not the API"),
    ],
)
def test_who_may_write(estate: Estate, answer: Answer, level: str, text: str) -> None:
    estate.server.on("PATCH", PROBE, answer)
    (last,) = about(estate.doctor(), "permission")[2:]
    assert last[0] == level
    assert text in last[2]


def test_what_updates_a_trigger_that_cannot_exist_is_not_the_api(estate: Estate) -> None:
    estate.server.on("PATCH", PROBE, envelope({}))
    lines = estate.doctor(code=1)
    summary = "a trigger that cannot exist was updated: what answers is not the API"
    assert about(lines, "API", "repositories") == [("error", "API", summary)]


def test_names_of_workers_are_needed_only_without_tags(estate: Estate) -> None:
    estate.server.on("GET", SCRIPTS, failure(403, 10000))
    lines = estate.doctor(code=6)
    assert ("error", "permission", "Workers Scripts: Read is missing") in lines
    assert ("warning", "references", "not all of them could be looked at") in lines
    estate.manifest(*TAGS)
    lines = estate.doctor()
    summary = "Workers Scripts: Read is missing, and not needed: each Worker has its `tag`"
    assert ("warning", "permission", summary) in lines
    assert ("ok", "references", "all of them lead somewhere: 2 Workers, 3 triggers, 1 token") in lines
    assert estate.run("plan").code == 0


def test_a_token_that_may_read_nothing_is_not_called_a_users(estate: Estate) -> None:
    estate.server.on("GET", ".*", failure(403, 10000))
    lines = estate.doctor(code=6)
    summary = "it may read neither Workers nor Workers Builds of this account"
    assert about(lines, "token", "permission")[1:] == [("error", "token", summary)]
    estate.server.clear()
    estate.server.on("GET", TOKENS, failure(403, 10000))
    assert about(estate.doctor(code=6), "token", "permission")[1:] == [
        ("ok", "permission", "Workers Scripts: Read"),
        ("error", "permission", "Workers Builds Configuration: Read is missing"),
    ]


@pytest.mark.parametrize(
    ("answer", "code", "summary"),
    [
        (envelope({"id": "x", "status": "active"}), 1, "the API takes it: a user's API token"),
        (envelope({"id": "x", "status": "disabled"}), 6, "it is disabled"),
        (failure(401, 1000), 6, "it is dead, or no user's: account-owned ones are refused"),
    ],
)
def test_a_token_without_an_account_is_looked_at(estate: Estate, answer: Answer, code: int, summary: str) -> None:
    estate.server.on("GET", ".*/user/tokens/verify", answer)
    lines = estate.doctor(code=code, CLOUDFLARE_ACCOUNT_ID=None)
    assert ("error", "account", "no account is named") in lines
    assert about(lines, "token")[1][2] == summary


@pytest.mark.parametrize(
    ("environment", "name", "code"),
    [
        ({"CLOUDFLARE_ACCOUNT_ID": None}, "account", 1),
        ({"CLOUDFLARE_ACCOUNT_ID": "a b"}, "account", 1),
        ({"CLOUDFLARE_API_BASE_URL": "http://example.com"}, "base URL", 1),
        ({"CLOUDFLARE_API_TOKEN": "two words"}, "token", 1),
        ({"CLOUDFLARE_API_TOKEN": None}, "token", 6),
        ({"BUILDSCTL_FINGERPRINT_KEY": "short"}, "fingerprint key", 1),
    ],
)
def test_what_is_set_wrongly_is_told_where_it_is_set(
    estate: Estate, environment: dict[str, Any], name: str, code: int
) -> None:
    assert [about for level, about, _ in estate.doctor(code=code, **environment) if level == "error"] == [name]


def test_a_first_manifest_comes_from_init(estate: Estate) -> None:
    (estate.folder / "buildsctl.yaml").unlink()
    ran = estate.run("doctor")
    assert "hint: name a file or a folder, or let `buildsctl init` write a first manifest\n" in ran.out
    write(estate.folder, "version: 1\nodd: 1\n")
    assert "hint: `buildsctl validate` shows them\n" in estate.run("doctor").out


def test_the_newer_surface_is_told_once(estate: Estate) -> None:
    del estate.server.triggers[estate.server.trigger("api", "production")["trigger_uuid"]]
    estate.server.on("GET", f"/builds/workers/{estate.server.workers['api']}", envelope({}))
    lines = estate.doctor()
    assert [one[1] for one in lines if "newer builds surface" in one[2]] == ["trigger/api/production"]


@pytest.mark.parametrize(
    ("seconds", "level", "summary"),
    [
        (0, "ok", "agrees with the API's"),
        (7_200, "warning", "behind the API's"),
        (-86_400 * 365, "warning", "ahead of the API's"),
    ],
)
def test_the_clock(estate: Estate, seconds: int, level: str, summary: str) -> None:
    estate.server.date = lambda: email.utils.formatdate(time.time() + seconds, usegmt=True)
    ((found, _, told),) = about(estate.doctor(), "clock")
    assert found == level
    assert told.endswith(summary)
    assert ("365 days, " in told or "364 days, " in told) == (seconds < -86_400)


@pytest.mark.parametrize("date", ["odd", "", "Wed, 21 Oct 2026 07:28:00 -0000"])
def test_a_clock_that_the_api_does_not_tell(estate: Estate, date: str) -> None:
    estate.server.date = lambda: date
    assert about(estate.doctor(), "clock") == [("warning", "clock", "the API did not say what time it is")]


def test_waiting_does_not_put_the_clock_off_and_nothing_is_written_afterwards() -> None:
    """The time is taken right after the answer that it is compared with."""
    begin, waited = datetime(2026, 1, 1, tzinfo=UTC), []

    def handler(*_: Any) -> Answer:
        if not waited:
            return Answer(429, headers={"retry-after": "64"})
        date = email.utils.format_datetime(begin + timedelta(seconds=sum(waited)), usegmt=True)
        return Answer(envelope([]).status, envelope([]).body, {"date": date})

    def sleep(seconds: float) -> None:
        waited.append(seconds)

    with api.Api(
        base_url="http://x", account_id="a", token="t", handler=handler, sleep=sleep, clock=lambda: sum(waited)
    ) as one:
        lines = list(examine(None, one, lambda: begin + timedelta(seconds=sum(waited))))
        with pytest.raises(AssertionError, match="before writing was allowed"):
            one.write(Request(method="PATCH", path=("x",), json={}), lambda result: result)
    assert waited
    assert [line.summary for line in lines if line.about == "clock"] == ["agrees with the API's"]


def test_the_window_is_told_before_anything_waits_for_it(estate: Estate) -> None:
    def short(call: Call) -> Answer:
        answer = estate.server.respond(call)
        told = {"ratelimit": '"default";r=100;t=300', "ratelimit-policy": '"default";q=1200;w=300'}
        return Answer(answer.status, answer.body, {**answer.headers, **told})

    estate.server.on("", ".*", short)
    ran = estate.run("doctor", "--max-wait", "0", "--format", "json")
    lines = [(one["level"], one["summary"]) for one in json.loads(ran.out)["lines"] if one["about"] == "rate limit"]
    assert lines == [("warning", "100 of 1,200 requests are left in this window")] * 2
    assert ran.code == 1
    assert len(estate.server.log) == 1


def test_what_is_broken_is_told_with_its_count(estate: Estate) -> None:
    estate.server.found["main", "apps/api"] = {"default_worker_name": "other"}
    estate.server.builds = {"web": [build(1, "fail")], "api": [build(2, "fail")]}
    estate.server.logs = {build(1, "fail")["build_uuid"]: [DEAD]}
    lines = estate.doctor(code=1)
    assert [one[1] for one in lines if one[0] == "error"] == ["trigger/api/production", "worker/web"]
    summary = "1 of 2 latest builds failed for a cause that the log does not tell"
    assert ("warning", "builds", summary) in lines


def test_text_and_json(estate: Estate) -> None:
    estate.manifest(*TAGS)
    estate.server.on("GET", SCRIPTS, failure(403, 10000))
    text = estate.run("doctor", BUILDSCTL_FINGERPRINT_KEY="MTEx" * 11)
    assert text.out.endswith("\n\n0 errors, 2 warnings, 10 fine\n")
    estate.server.on("GET", LIMITS, envelope({"has_reached_build_minutes_limit": True}))
    text = estate.run("doctor", BUILDSCTL_FINGERPRINT_KEY="MTEx" * 11)
    assert text.out.endswith("\n\n1 error, 2 warnings, 10 fine\n")
    document = json.loads(estate.run("doctor", "--format", "json").out)
    assert document["format_version"] == "1.0"
    assert document["exit_codes"] == [1]
    assert document["summary"] == {"ok": 9, "warning": 3, "error": 1}
    estate.server.on("GET", TOKENS, failure(401, 12006))
    assert json.loads(estate.run("doctor", "--format", "json").out)["exit_codes"] == [6, 1]


def test_a_line_is_broken_between_words_on_a_terminal() -> None:
    line = Line(Level.ERROR, "trigger/web/production", "Builds cannot reach acme/site, its branch", "check the branch")
    text = "error   trigger/web/production: Builds cannot\n        reach acme/site, its branch\n"
    text += "        hint: check the branch\n"
    assert line_text(line, color=False, width=50) == text
    assert line_text(line, color=True, width=50) == f"\x1b[31merror   \x1b[0m{text[8:]}"
    assert line_text(line, color=False).count("\n") == 2
    assert line_text(Line(Level.OK, "x", "y" * 90), color=False, width=80) == "ok      x:\n" + " " * 8 + "y" * 90 + "\n"


def test_nothing_of_strangers_reaches_the_terminal(estate: Estate) -> None:
    odd = "\x1b[31m\u202eodd\n"
    estate.server.found["main", ""] = {"default_worker_name": odd, "config_file": odd}
    estate.server.limits = {"has_reached_build_minutes_limit": True, "build_minutes_refresh_on": odd + ago()}
    out = estate.run("doctor").out
    assert "names the Worker `\\x1b[31m\\u202eodd\\n`" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
