"""A read that fails is never absence: every read, broken in every way, against a server that is not ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import (
    AFTER,
    HTML,
    Answer,
    Call,
    FakeServer,
    Ran,
    build_estate,
    envelope,
    environment,
    failure,
    html,
    raw,
    run,
    serving,
    write,
)

from reconciler import api, gate

SCRIPTS, TOKENS = r"/workers/scripts", r"/builds/tokens"
TRIGGERS = r"/builds/workers/[^/]+/triggers"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeServer, Any]]:
    with serving() as server:
        build_estate(server, tmp_path_factory.mktemp("estate"))
        yield server, server.state()


@pytest.fixture
def server(shared: tuple[FakeServer, Any], monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The estate as `BEFORE` left it; requests are repeated at once."""
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    found, state = shared
    found.restore(state)
    found.clear()
    found.normalise, found.page_size = False, 200
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, AFTER)


def apply(server: FakeServer, folder: Path, *more: str) -> Ran:
    arguments = ["apply", "--auto-approve", "--format", "json", *more]
    return run(arguments, environment(server), folder)


def unknown(ran: Ran) -> set[str]:
    rows = ran.document["resource_changes"]
    return {row["address"] for row in rows if row["disposition"] == "unknown"}


def text(document: Any) -> Answer:
    return raw(json.dumps(document).encode())


def truncated(_: Call) -> Answer:
    body = envelope([{"id": "api"}]).body
    return raw(body[: len(body) - 9])


GOOD: dict[str, Any] = {"success": True, "errors": [], "messages": []}
WAYS: dict[str, Answer | Callable[[Call], Answer]] = {
    "500": failure(500, 10001),
    "502 HTML": html(502),
    "522 without a body": Answer(522),
    "429 again and again": Answer(429, b"{}", {"Retry-After": "0"}),
    "404 / 12000": failure(404, 12000),
    "404 / 10007": failure(404, 10007),
    "404 HTML": html(404),
    "403 / 10000": failure(403, 10000),
    "400 / 12013": failure(400, 12013),
    "200 HTML": html(200),
    "200 success: false": failure(200, 12000),
    "200 success: false, null errors": text({"success": False, "errors": None, "result": []}),
    "200 success: 'true'": text({**GOOD, "success": "true", "result": []}),
    "200 without success": text({"errors": [], "messages": [], "result": []}),
    "200 without result": text(GOOD),
    "200 result a text": envelope("nothing"),
    "200 result a number": envelope(0),
    "200 result false": envelope(False),
    "200 result a list of nulls": envelope([None]),
    "200 result nested": envelope({"items": [], "data": []}),
    "200 a list": text([]),
    "200 null": raw(b"null"),
    "200 empty": Answer(200),
    "204": Answer(204),
    "truncated JSON": truncated,
    "deep JSON": raw(b'{"success":true,"result":' + b"[" * 100_000),
    "not UTF-8": raw(b'{"success": true, "result": ["\xff\xfe"]}'),
    "302": Answer(302, b"", {"Location": "/client/v4/elsewhere"}),
    "302 to nowhere": Answer(302, b"", {"Location": "http://[::"}),
    "304": Answer(304),
    "cut before": Answer(cut="before"),
    "cut in the middle": Answer(200, envelope([]).body, cut="middle"),
    "broken gzip": raw(b"no gzip", content_encoding="gzip"),
}
FIELDS = {f"env/api/production/{name}" for name in ("A", "NEW")}
PREVIEW = {"trigger/api/preview", "env/api/preview/P"}
API = {"trigger/api/production", *FIELDS, *PREVIEW}
WEB = {"trigger/web/production", "env/web/production/SENTRY_AUTH_TOKEN", "env/web/production/N"}
GONE = {"trigger/web/preview"}  # ours, and no longer declared
OLD = {"env/api/production/OLD"}
BROKEN: dict[str, tuple[set[str], bool]] = {
    # what is read: what is unknown then, and whether the new trigger's absence is still proved
    "names": ({"connection/acme/site"} | API | WEB, False),
    "tokens": ({"token/deploy", "token/dash"} | WEB | PREVIEW | GONE | OLD, False),
    "triggers api": (API | GONE, True),
    "triggers web": (WEB | PREVIEW | OLD, False),
    "variables api production": ({"trigger/api/production"} | FIELDS | PREVIEW | GONE, True),
    "variables api preview": (PREVIEW | OLD | GONE, True),
    # its marker could say that it is the trigger `production` under another kind
    "variables web preview": (WEB | PREVIEW | OLD | GONE, False),
}


def route(server: FakeServer, what: str) -> str:
    kind, *names = what.split()
    if kind == "triggers":
        return f"/builds/workers/{server.workers[names[0]]}/triggers"
    if kind == "variables":
        return f"/builds/triggers/{server.trigger(*names)['trigger_uuid']}/environment_variables"
    return SCRIPTS if kind == "names" else TOKENS


def test_it_plans_and_applies_here_at_all(server: FakeServer, folder: Path) -> None:
    ran = apply(server, folder)
    assert (ran.code, unknown(ran)) == (0, set()), ran.err
    assert len(server.sent("DELETE")) == 3
    assert len(server.sent("POST")) == 2
    again = run(["plan", "--detailed-exitcode"], environment(server), folder)
    assert again.code == 0, again.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", BROKEN)
def test_one_broken_read(server: FakeServer, folder: Path, what: str, way: str) -> None:
    """Nothing is deleted or replaced; only what was proved absent is created; exit 7; the rest goes on."""
    server.on("GET", route(server, what), WAYS[way])
    expected, creates = BROKEN[what]
    ran = apply(server, folder, "--out", "report.json")
    assert ran.code == 7, ran.text
    assert not server.sent("DELETE")
    assert [call.body["external_script_id"] for call in server.sent("POST")] == (
        [server.workers["web"]] if creates else []
    )
    assert not server.sent("PUT")
    assert unknown(ran) == expected
    assert ran.document["complete"] is False
    assert len(ran.document["unread"]) == 1
    assert json.loads((folder / "report.json").read_text())["exit_codes"][0] == 7


@pytest.mark.parametrize("what", BROKEN)
def test_after_a_broken_read_the_next_run_finishes(server: FakeServer, folder: Path, what: str) -> None:
    server.on("GET", route(server, what), html(404))
    assert apply(server, folder).code == 7
    server.clear()
    assert apply(server, folder).code == 0
    server.clear()
    assert apply(server, folder).code == 0
    assert not server.writes()


@pytest.mark.parametrize("what", BROKEN)
def test_a_plan_says_which_read_failed_and_how(server: FakeServer, folder: Path, what: str) -> None:
    path = route(server, what)
    server.on("GET", path, failure(404, 12000))
    ran = run(["plan"], environment(server), folder)
    assert ran.code == 7
    assert f"GET {path}, HTTP 404, code 12000, ray 0" in ran.err
    assert "hint: " in ran.err
    assert "nothing is deleted or replaced" in ran.err
    assert not server.writes()


SHAPES: dict[str, dict[str, Any]] = {
    "names": {"id": 7, "tag": 7},
    "tokens": {"build_token_uuid": None, "build_token_name": 3, "cloudflare_token_id": {}},
    "triggers api": {
        "trigger_uuid": None,
        "trigger_name": ["x"],
        "branch_includes": "main",
        "branch_excludes": [1],
        "path_includes": {},
        "build_caching_enabled": "yes",
        "build_command": 0,
        "repo_connection": "acme/site",
        "build_token_uuid": 4,
        "created_on": 1767323045,
    },
}


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, items in SHAPES.items() for name in items])
def test_one_field_of_the_wrong_shape(server: FakeServer, folder: Path, what: str, name: str) -> None:
    def bent(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        document["result"][-1][name] = SHAPES[what][name]
        return text(document)

    server.on("GET", route(server, what), bent)
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert not server.sent("DELETE")
    assert unknown(ran) == BROKEN[what][0]
    assert name.removeprefix("repo_") in ran.err


@pytest.mark.parametrize("uuid", ["", ".", "..", "\ud800"])
def test_an_id_that_cannot_stand_in_a_path(server: FakeServer, folder: Path, uuid: str) -> None:
    def bent(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        document["result"][0]["trigger_uuid"] = uuid
        return text(document)

    server.on("GET", route(server, "triggers api"), bent)
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert not server.sent("DELETE")


@pytest.mark.parametrize("tag", ["..", ".", "\udfff"])
def test_a_tag_that_cannot_stand_in_a_path(server: FakeServer, folder: Path, tag: str) -> None:
    def bent(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        document["result"][0]["tag"] = tag
        return text(document)

    server.on("GET", SCRIPTS, bent)
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert not server.sent("DELETE")


@pytest.mark.parametrize("one", [{"value": 5}, {"is_secret": "no"}, None, "text"])
def test_a_variable_of_the_wrong_shape(server: FakeServer, folder: Path, one: Any) -> None:
    server.on("GET", route(server, "variables api preview"), envelope({"P": one}))
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert unknown(ran) == BROKEN["variables api preview"][0]
    assert not server.sent("DELETE")


def test_a_trigger_that_shows_no_connection_is_not_replaced(server: FakeServer, folder: Path) -> None:
    """`repo_connection` is optional in the reference: an answer without it proves no difference."""

    def bent(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        for item in document["result"]:
            del item["repo_connection"]
        return text(document)

    server.on("GET", route(server, "triggers api"), bent)
    before = server.trigger("api", "production")["trigger_uuid"]
    ran = apply(server, folder)
    assert f"/builds/triggers/{before}" not in [call.path for call in server.sent("DELETE")], ran.text


def test_null_is_an_empty_list_and_an_empty_map(server: FakeServer, folder: Path) -> None:
    server.triggers.clear()
    server.variables.clear()
    server.on("GET", TRIGGERS, envelope(None))
    ran = apply(server, folder)
    assert ran.code == 0, ran.err
    assert len(server.sent("POST", "/builds/triggers")) == 3


def test_null_variables_are_an_empty_map(server: FakeServer, folder: Path) -> None:
    """Without its marker a trigger is nobody's: adopted where declared, kept where not."""
    server.on("GET", ".*/environment_variables", envelope(None))
    ran = run(["plan", "--format", "json"], environment(server), folder)
    rows = {row["address"]: row for row in ran.document["resource_changes"]}
    assert rows["trigger/web/preview"]["disposition"] == "kept"
    assert rows["env/api/production/A"]["change"]["actions"] == ["create"]


def test_null_where_the_tokens_belong_is_an_empty_list(server: FakeServer, folder: Path) -> None:
    server.on("GET", TOKENS, envelope(None))
    ran = run(["plan", "--format", "json"], environment(server), folder)
    rows = {row["address"]: row for row in ran.document["resource_changes"]}
    assert rows["token/deploy"]["change"]["actions"] == ["create"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (failure(404, 12040), 0),
        (failure(404, 12000), 0),
        (html(404), 0),
        (failure(403, 10000), 7),
        (failure(500, 1), 7),
        (failure(200, 12040), 7),
        (envelope({"anything": 1}), 4),
        (envelope(None), 4),
    ],
    ids=lambda given: str(getattr(given, "status", given)),
)
def test_the_newer_surface_is_asked_before_a_first_create(
    server: FakeServer, folder: Path, answer: Answer, code: int
) -> None:
    server.triggers.clear()
    server.variables.clear()
    tag = server.workers["web"]
    server.on("GET", f"/builds/workers/{tag}", answer)
    ran = apply(server, folder)
    assert ran.code == code, ran.text
    assert len(server.sent("GET", f"/builds/workers/{tag}")) == (5 if answer.status == 500 else 1)
    made = [call.body["external_script_id"] for call in server.sent("POST", "/builds/triggers")]
    assert (tag in made) is (code == 0)
    if code == 4:
        assert not server.writes()


ODD_ERRORS = [None, "refused", {}, {"code": 12000}, [None], ["x"], [[]], [{}], [{"code": "12000"}]]
ODD_ERRORS += [[{"code": None}], [{"code": 1e400}], [{"code": -1}], [{"code": True}], [{"message": 5}]]


@pytest.mark.parametrize("errors", ODD_ERRORS, ids=str)
@pytest.mark.parametrize("status", [200, 404])
def test_errors_of_odd_shapes(server: FakeServer, folder: Path, errors: Any, status: int) -> None:
    body = json.dumps({"success": False, "errors": errors, "messages": None, "result": None}).encode()
    server.on("GET", route(server, "triggers web"), raw(body, status))
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert unknown(ran) == BROKEN["triggers web"][0]


@pytest.mark.parametrize("messages", [None, "x", [{"code": 1, "message": "hello"}], [None, 3, {"a": [{}]}]], ids=str)
def test_messages_of_any_shape_and_errors_beside_success(server: FakeServer, folder: Path, messages: Any) -> None:
    def chatty(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        return text({**document, "messages": messages, "errors": [{"code": 12000}], "new": {"deep": [1]}})

    server.on("GET", ".*/(triggers|environment_variables|scripts|tokens)", chatty)
    assert apply(server, folder).code == 0


def test_a_server_that_normalises_what_it_stores(server: FakeServer, folder: Path) -> None:
    """Order of lists, null for empty texts, no outer slashes: the notes leave all that unknown."""
    server.normalise = True
    assert apply(server, folder).code == 0
    again = run(["plan", "--detailed-exitcode"], environment(server), folder)
    assert again.code == 0, again.text


def test_a_deleted_trigger_that_is_still_shown_is_absent(server: FakeServer, folder: Path) -> None:
    def with_deleted(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        ghost = document["result"][0] | {"trigger_uuid": "dead", "deleted_on": "2026-01-01T00:00:00Z"}
        document["result"].append(ghost | {"branch_includes": ["main"]})
        return text(document)

    server.on("GET", route(server, "triggers web"), with_deleted)
    assert apply(server, folder).code == 0
    assert not [call for call in server.log if "dead" in call.path]


def test_a_huge_answer_is_given_up(server: FakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_ANSWER", 1_000_000)
    path = route(server, "triggers web")
    server.on("GET", path, raw(b'{"success": true, "result": [' + b" " * 1_000_000 + b"]}"))
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert f"GET {path}" in ran.err
    assert "bytes" in ran.err
    assert unknown(ran) == BROKEN["triggers web"][0]


def test_control_characters_of_strangers_are_written_out(server: FakeServer, folder: Path) -> None:
    nasty = "a\x1b[2J\x9b31m\u202e\r\nb"
    trigger = server.trigger("api", "production")
    trigger["trigger_name"] = trigger["build_command"] = nasty
    server.variables[trigger["trigger_uuid"]]["\x1b]0;x\x07"] = {"is_secret": False, "value": nasty}
    server.on("GET", SCRIPTS, lambda call: ray(server.respond(call), "\x9b31mX"))
    ran = run(["-v", "plan"], environment(server), folder)
    assert ran.code == 0, ran.text
    assert not set(ran.text) & set("\x1b\x9b\x07\r\u202e"), ascii(ran.text)


def ray(answer: Answer, text: str) -> Answer:
    return Answer(answer.status, answer.body, {**answer.headers, "CF-RAY": text})


# Pages of the list of tokens. `token/dash` is the last of them all, so what is missed shows.


def tokens(server: FakeServer, count: int) -> None:
    managed = [one for one in server.tokens if one["build_token_name"].startswith("acme/builds")]
    named = [one for one in server.tokens if one not in managed]
    server.tokens.clear()
    for number in range(count - 2):
        server.add_token(f"token {number}")
    server.tokens.extend([*named, *managed])


def numbered(server: FakeServer, call: Call, size: int) -> list[Any]:
    page = int(call.query["page"])
    return server.tokens[(page - 1) * size : page * size]


def seen_tokens(ran: Ran) -> bool:
    rows = {row["address"]: row for row in ran.document["resource_changes"]}
    return all(rows[name]["change"]["actions"] == ["no-op"] for name in ("token/deploy", "token/dash"))


@pytest.mark.parametrize(("count", "pages"), [(200, 1), (201, 2), (400, 2), (450, 3)])
def test_all_pages_are_read_and_none_too_many(server: FakeServer, folder: Path, count: int, pages: int) -> None:
    tokens(server, count)
    ran = apply(server, folder)
    assert ran.code == 0, ran.err
    assert seen_tokens(ran)
    assert [call.query["page"] for call in server.sent("GET", TOKENS)] == [str(n + 1) for n in range(pages)]


def test_a_server_that_gives_smaller_pages_than_asked_for(server: FakeServer, folder: Path) -> None:
    tokens(server, 120)
    server.page_size = 50
    ran = apply(server, folder)
    assert ran.code == 0, ran.err
    assert seen_tokens(ran)
    assert len(server.sent("GET", TOKENS)) == 3


INFOS: dict[str, tuple[Callable[[int, int, int, int], Any], int]] = {
    # what result_info says of (page, per page, items on this page, all items), and the right exit code
    "total_count only": (lambda *n: {"total_count": n[3]}, 0),
    "total_pages only": (lambda *n: {"total_pages": -(-n[3] // n[1])}, 0),
    "next_page only": (lambda *n: {"next_page": n[0] * n[1] < n[3]}, 0),
    "per_page only": (lambda *n: {"per_page": n[1], "count": n[2]}, 0),
    "total_count too high": (lambda *n: {"total_count": n[3] + 1}, 7),
    "total_count too low": (lambda *n: {"total_count": n[3] - 1}, 7),
    "total_count zero": (lambda *_: {"total_count": 0}, 7),
    "texts": (lambda *n: {"total_count": str(n[3]), "per_page": str(n[1])}, 0),
    "none": (lambda *_: None, 0),
    "a list": (lambda *_: [], 0),
}


@pytest.mark.parametrize("info", INFOS)
@pytest.mark.parametrize("size", [200, 50], ids=["per_page kept", "per_page ignored"])
def test_result_info_of_every_sort(server: FakeServer, folder: Path, info: str, size: int) -> None:
    """Whatever it says: either all tokens are seen, or the list is unknown; never a part for all."""
    tokens(server, 230)
    tell, code = INFOS[info]

    def answer(call: Call) -> Answer:
        rows = numbered(server, call, size)
        return envelope(rows, result_info=tell(int(call.query["page"]), size, len(rows), len(server.tokens)))

    server.on("GET", TOKENS, answer)
    ran = apply(server, folder)
    assert ran.code in (code, 7), ran.text
    if ran.code == 7:
        assert {"token/deploy", "token/dash"} <= unknown(ran)
        assert not server.sent("POST")
        assert not server.sent("DELETE")
    else:
        assert seen_tokens(ran)
    if size == 200:
        assert ran.code == code


def test_the_same_page_again_and_again_is_an_error(server: FakeServer, folder: Path) -> None:
    tokens(server, 250)
    info = {"total_count": 250, "per_page": 200}
    server.on("GET", TOKENS, lambda _: envelope(server.tokens[:200], result_info=info))
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert len(server.sent("GET", TOKENS)) == 2
    assert not server.sent("DELETE")
    assert "repeats" in ran.err


@pytest.mark.parametrize("end", [failure(400, 12013), None], ids=["ends early", "loses an item"])
def test_a_list_that_is_not_read_to_its_end_is_unknown(server: FakeServer, folder: Path, end: Answer | None) -> None:
    """What is missing must not pass for absent: a token would be made a second time."""
    tokens(server, 250)

    def answer(call: Call) -> Answer:
        if call.query["page"] == "2":
            if end:
                return end
            del server.tokens[0]  # somebody deleted one that was read: the next page begins one further on
        return server.respond(call)

    server.on("GET", TOKENS, answer)
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert unknown(ran) == BROKEN["tokens"][0]
    assert not server.sent("POST", TOKENS)


def test_where_all_is_looked_at_a_null_is_no_empty_account(server: FakeServer, folder: Path) -> None:
    """What its Workers use would pass for unused."""
    server.on("GET", "/workers/scripts", envelope(None))
    ran = run(["plan", "--prune", "--format", "json"], environment(server), folder)
    assert ran.code == 7, ran.text
    assert run(["plan", "--format", "json"], environment(server), folder).code == 1


def test_a_later_page_that_fails_makes_the_whole_list_unknown(server: FakeServer, folder: Path) -> None:
    tokens(server, 250)
    server.on("GET", TOKENS, lambda call: html(502) if call.query["page"] == "2" else server.respond(call))
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert unknown(ran) == BROKEN["tokens"][0]


def test_endless_pages_end(server: FakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_PAGES", 20)

    def endless(call: Call) -> Answer:
        row = {**server.tokens[0], "build_token_uuid": f"u{call.query['page']}"}
        return envelope([row], result_info={"next_page": True})

    server.on("GET", TOKENS, endless)
    ran = apply(server, folder)
    assert ran.code == 7, ran.text
    assert "pages" in ran.err


def test_html_shows_nothing_of_itself(server: FakeServer, folder: Path) -> None:
    server.on("GET", TRIGGERS, html(200))
    ran = run(["-v", "plan"], environment(server), folder)
    assert ran.code == 7
    assert HTML[:9].decode() not in ran.text
    assert "what answered is not the API" in ran.text
