"""What is sent, how often and in which order, and what becomes of a run when a request goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fake_server import (
    AFTER,
    DEPLOY,
    SECRET,
    Answer,
    Call,
    FakeServer,
    Ran,
    build_estate,
    envelope,
    environment,
    failure,
    finish,
    html,
    raw,
    run,
    serving,
    start,
    write,
)

from reconciler import api
from reconciler.settle import ATTEMPTS

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas" / "plan.schema.json").read_text())
ELEVEN = {
    "branch_excludes",
    "branch_includes",
    "build_command",
    "build_token_uuid",
    "deploy_command",
    "external_script_id",
    "path_excludes",
    "path_includes",
    "repo_connection_uuid",
    "root_directory",
    "trigger_name",
}
PENDING = [".buildsctl-pending/*"]
VARIABLES = r"/builds/triggers/[^/]+/environment_variables"
VARIABLE = VARIABLES + r"/[^/]+"
TRIGGER = r"/builds/triggers/[^/]+"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeServer, Any]]:
    with serving() as server:
        build_estate(server, tmp_path_factory.mktemp("estate"))
        yield server, server.state()


@pytest.fixture
def server(shared: tuple[FakeServer, Any], monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    found, state = shared
    found.restore(state)
    found.clear()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, AFTER)


def apply(server: FakeServer, folder: Path, *more: str) -> Ran:
    """An apply; its report fits the schema."""
    ran = run(["apply", "--auto-approve", "--format", "json", *more], environment(server), folder)
    jsonschema.validate(ran.document, SCHEMA)
    return ran


def outcomes(ran: Ran) -> dict[str, tuple[str, str]]:
    return {one["address"]: (one["status"], one["error"] or "") for one in ran.document["outcomes"]}


def settled(server: FakeServer, folder: Path) -> None:
    """The next run finishes, and the one after it has nothing to do."""
    server.clear()
    assert apply(server, folder).code == 0
    server.clear()
    ran = run(["plan", "--detailed-exitcode"], environment(server), folder)
    assert ran.code == 0, ran.text


# Reads


def test_the_fewest_reads_that_do(server: FakeServer, folder: Path) -> None:
    """Names once, tokens once, one a Worker, one a trigger; nothing twice; nothing of undeclared Workers."""
    ran = run(["plan"], environment(server), folder)
    assert ran.code == 0
    expected = ["/workers/scripts", "/builds/tokens"]
    expected += [f"/builds/workers/{server.workers[name]}/triggers" for name in ("api", "web")]
    expected += [f"/builds/triggers/{uuid}/environment_variables" for uuid in server.triggers]
    assert sorted(str(call) for call in server.log) == sorted(f"GET {path}" for path in expected)
    assert server.sent("GET", "/builds/tokens")[0].query["per_page"] == "200"


def test_an_apply_reads_no_more_than_a_plan(server: FakeServer, folder: Path) -> None:
    assert run(["plan"], environment(server), folder).code == 0
    reads = sorted(str(call) for call in server.log)
    server.log.clear()
    assert apply(server, folder).code == 0
    assert sorted(str(call) for call in server.sent("GET")) == reads


def test_no_names_where_tags_are_given_and_tokens_only_where_one_is_named(server: FakeServer, tmp_path: Path) -> None:
    manifest = f"""
version: 1
owner: acme/builds
workers:
  web:
    tag: "{server.workers["web"]}"
    repo_connection_uuid: 00000002-0000-4000-8000-000000000002
    build_token_uuid: 00000004-0000-4000-8000-000000000004
    triggers:
      preview:
        branch_includes: ["*"]
        branch_excludes: [main]
        deploy_command: npx wrangler versions upload
        environment_variables: {{Q: "1"}}
"""
    ran = run(["plan", "--detailed-exitcode"], environment(server), write(tmp_path, manifest))
    assert ran.code == 0, ran.text
    reads = [f"/builds/workers/{server.workers['web']}/triggers"]
    reads += [f"/builds/triggers/{server.trigger('web', 'preview')['trigger_uuid']}/environment_variables"]
    reads += ["/builds/tokens"]  # one that leads nowhere is found out here, not by the API's 12002
    assert sorted(call.path for call in server.log) == sorted(reads)
    server.log.clear()
    tag = server.workers["undeclared"]
    write(tmp_path, f'version: 1\nowner: acme/builds\nworkers: {{undeclared: {{tag: "{tag}"}}}}\n')
    assert run(["plan"], environment(server), tmp_path).code == 0
    assert [call.path for call in server.log] == [f"/builds/workers/{tag}/triggers"]


def test_what_a_request_looks_like(server: FakeServer, folder: Path) -> None:
    apply(server, folder)
    for call in server.log:
        assert call.headers["user-agent"].startswith("buildsctl/")
        assert ("content-type" in call.headers) is (call.body is not None)
        if call.body is not None:
            assert call.headers["content-type"] == "application/json"
            assert call.method in ("POST", "PUT", "PATCH")


def test_sixteen_connections_and_no_more(tmp_path: Path) -> None:
    """Reads go out side by side: sixteen are held until all of them are there, no seventeenth comes."""
    names = [f"w{number}" for number in range(40)]
    together = threading.Barrier(16)
    with serving() as server:
        tags = {name: server.worker(name) for name in names}
        seen = threading.Semaphore(16)

        def hold(call: Call) -> Answer | None:
            if seen.acquire(blocking=False):
                together.wait(timeout=30)
            return None

        server.on("GET", "/builds/workers/[^/]+/triggers", hold)
        workers = "".join(f'  {name}: {{tag: "{tag}"}}\n' for name, tag in tags.items())
        write(tmp_path, f"version: 1\nowner: a\nworkers:\n{workers}")
        ran = run(["plan"], environment(server), tmp_path)
        assert ran.code == 0, ran.text
        assert len(server.log) == 40
        assert server.most_open == 16


# Writes


def of(server: FakeServer, *paths: str) -> list[Call]:
    return [call for call in server.writes() if call.path.startswith(paths)]


def test_the_writes_of_an_update(server: FakeServer, folder: Path) -> None:
    """Fields, then a DELETE for each key that goes, then one PATCH of all variables with the marker."""
    uuid = server.trigger("api", "production")["trigger_uuid"]
    assert apply(server, folder).code == 0
    fields, delete, patch = of(server, f"/builds/triggers/{uuid}")
    assert (fields.method, fields.body) == ("PATCH", {"build_command": "make"})
    assert str(delete) == f"DELETE /builds/triggers/{uuid}/environment_variables/OLD"
    assert str(patch) == f"PATCH /builds/triggers/{uuid}/environment_variables"
    marker = patch.body.pop("BUILDSCTL")
    assert patch.body == {"A": {"is_secret": False, "value": "2"}, "NEW": {"is_secret": False, "value": "n"}}
    assert marker["is_secret"] is False
    assert json.loads(marker["value"]).items() >= {"v": 1, "owner": "acme/builds", "u": uuid}.items()
    assert "OLD" not in marker["value"]


def test_the_writes_of_a_create(server: FakeServer, folder: Path) -> None:
    """Nothing can build before its variables are there."""
    assert apply(server, folder).code == 0
    uuid = server.trigger("web", "production")["trigger_uuid"]
    create = next(call for call in server.sent("POST") if call.body["trigger_name"] == "production")
    assert set(create.body) == ELEVEN | {"build_caching_enabled"}
    assert create.body["path_includes"] == PENDING
    assert create.body["branch_excludes"] == create.body["path_excludes"] == []
    assert (create.body["build_command"], create.body["build_caching_enabled"]) == ("", False)
    variables, paths = of(server, f"/builds/triggers/{uuid}")
    assert variables.method == "PATCH"
    assert set(variables.body) == {"SENTRY_AUTH_TOKEN", "N", "BUILDSCTL"}
    assert variables.body["SENTRY_AUTH_TOKEN"] == {"is_secret": True, "value": SECRET}
    assert variables.body["N"] == {"is_secret": False, "value": ""}
    assert (paths.method, paths.body) == ("PATCH", {"path_includes": ["apps/web/*"]})
    order = [server.log.index(call) for call in (create, variables, paths)]
    assert order == sorted(order)


def test_the_writes_of_a_replace(server: FakeServer, folder: Path) -> None:
    old = server.trigger("api", "preview")["trigger_uuid"]
    assert apply(server, folder).code == 0
    new = server.trigger("api", "preview")["trigger_uuid"]
    assert new != old
    found = [
        call
        for call in server.writes()
        if (call.body or {}).get("trigger_name") == "preview" or old in call.path or new in call.path
    ]
    assert [call.method for call in found] == ["DELETE", "POST", "PATCH", "PATCH"]
    assert found[2].body["P"] == {"is_secret": False, "value": "1"}
    assert found[3].body == {"path_includes": ["*"]}


def test_the_order_within_a_worker_and_over_all(server: FakeServer, folder: Path) -> None:
    server.tokens = [one for one in server.tokens if not one["build_token_name"].startswith("acme")]
    assert apply(server, folder).code == 0
    writes = [str(call) for call in server.writes()]
    assert writes[0] == "POST /builds/tokens"
    assert server.writes()[0].body["build_token_secret"] == DEPLOY
    for name in ("api", "web"):
        tag = server.workers[name]
        create = next(n for n, c in enumerate(server.writes()) if (c.body or {}).get("external_script_id") == tag)
        assert any(line.startswith("DELETE /builds/triggers/") for line in writes[:create])


def test_a_trigger_without_variables_is_made_at_once(server: FakeServer, folder: Path) -> None:
    """Only the marker follows: it is no variable that a build would miss."""
    write(folder, re.sub(r"        environment_variables: \{SENTRY.*\n", "", AFTER))
    assert apply(server, folder).code == 0
    uuid = server.trigger("web", "production")["trigger_uuid"]
    create = next(call for call in server.sent("POST") if call.body["trigger_name"] == "production")
    assert create.body["path_includes"] == ["apps/web/*"]
    assert [set(call.body) for call in of(server, f"/builds/triggers/{uuid}")] == [{"BUILDSCTL"}]


# Answers to writes


@pytest.mark.parametrize("answer", [failure(404, 12000), Answer(204), Answer(200), envelope("ok"), envelope({"id": 1})])
def test_deletes_that_count_as_done(server: FakeServer, folder: Path, answer: Answer) -> None:
    def deleted(call: Call) -> Answer:
        server.respond(call)
        return answer

    server.on("DELETE", ".*", deleted)
    ran = apply(server, folder)
    assert ran.code == 0, ran.err
    assert len(server.sent("DELETE")) == 3
    settled(server, folder)


@pytest.mark.parametrize("answer", [html(404), html(200), failure(200, 12000), failure(400, 12002), raw(b"{}")])
def test_deletes_that_do_not(server: FakeServer, folder: Path, answer: Answer) -> None:
    """The rest of the Worker that does not depend on it goes on; what depends on it says so."""
    server.on("DELETE", VARIABLE, answer)
    ran = apply(server, folder)
    assert ran.code == 3
    found = outcomes(ran)
    assert found["env/api/production/OLD"][0] in ("failed", "unknown")
    assert found["env/api/production/NEW"][0] == "skipped"
    assert "env/api/production/OLD" in found["env/api/production/NEW"][1]
    assert found["trigger/api/preview"][0] == found["trigger/web/production"][0] == "done"
    settled(server, folder)


def without(name: str, server: FakeServer) -> Any:
    """A server that takes everything but `name`, and says nothing of it."""

    def ignoring(call: Call) -> Answer:
        body = {key: value for key, value in call.body.items() if key != name}
        if call.method == "POST":
            body[name] = {"build_caching_enabled": True, "root_directory": "/elsewhere"}.get(name, "other")
        return server.respond(Call(call.method, call.path, call.query, body, call.headers))

    return ignoring


@pytest.mark.parametrize(
    ("route", "name", "address"),
    [
        (("POST", "/builds/triggers"), "build_caching_enabled", "trigger/web/production"),
        (("POST", "/builds/triggers"), "root_directory", "trigger/web/production"),
        (("POST", "/builds/triggers"), "trigger_name", "trigger/web/production"),
        (("PATCH", TRIGGER), "build_command", "trigger/api/production"),
        (("PATCH", TRIGGER), "path_includes", "trigger/web/production"),
        (("PATCH", VARIABLES), "NEW", "env/api/production/NEW"),
        (("PATCH", VARIABLES), "SENTRY_AUTH_TOKEN", "env/web/production/SENTRY_AUTH_TOKEN"),
        (("PATCH", VARIABLES), "BUILDSCTL", "trigger/web/production"),
        (("POST", "/builds/tokens"), "build_token_name", "token/deploy"),
    ],
)
def test_a_field_that_is_silently_ignored(
    server: FakeServer, folder: Path, route: tuple[str, str], name: str, address: str
) -> None:
    server.tokens = [one for one in server.tokens if not one["build_token_name"].startswith("acme")]
    server.on(*route, without(name, server))
    ran = apply(server, folder)
    assert ran.code in (1, 3), ran.text
    status, error = outcomes(ran)[address]
    assert status == "failed"
    assert f"`{name}`" in error


def test_a_connection_that_is_put_elsewhere_than_told(server: FakeServer, folder: Path) -> None:
    write(folder, AFTER.replace("41612145", "999"))
    server.on("PUT", ".*", lambda _: envelope(server.connections["00000002-0000-4000-8000-000000000002"]))
    ran = apply(server, folder)
    assert ran.code in (1, 3)
    status, error = outcomes(ran)["connection/acme/site"]
    assert status == "failed"
    assert "`provider_account_id`" in error


def test_a_connection_that_stays_deleted_costs_no_trigger(server: FakeServer, folder: Path) -> None:
    """Where the put gives a deleted connection back, what would be made again with it is not deleted either."""
    write(folder, AFTER.replace("1332648945", "777"))
    deleted = {
        **server.connections["00000002-0000-4000-8000-000000000002"],
        "repo_id": "777",
        "deleted_on": "2026-01-02",
    }
    server.on("PUT", ".*", lambda _: envelope(deleted))
    ran = apply(server, folder)
    status, error = outcomes(ran)["connection/acme/site"]
    assert status in ("failed", "unknown")
    assert "the API's answer is a deleted connection" in error
    replaced = [one for one in ran.document["outcomes"] if one["action"] == "replace"]
    assert replaced
    assert {one["status"] for one in replaced} == {"skipped"}


def test_a_ray_id_is_no_place_for_anything_else(server: FakeServer, folder: Path) -> None:
    server.on("GET", "/builds/tokens", Answer(403, b"<html>", {"CF-Ray": "ra`y|<b>-SBX"}))
    assert "-FRArayb-SBX\n" in run(["plan", "-v"], environment(server), folder).err


@pytest.mark.parametrize("status", [429, 500, 502, 503, 524])
def test_idempotent_requests_are_sent_again(server: FakeServer, folder: Path, status: int) -> None:
    answer = Answer(status, b"<html>", {"Retry-After": "0"})
    for method, path in (("GET", "/builds/tokens"), ("PATCH", VARIABLES), ("PATCH", TRIGGER), ("DELETE", ".*")):
        server.on(method, path, answer, times=1)
    ran = apply(server, folder)
    assert ran.code == 0, ran.err
    settled(server, folder)


def test_a_create_is_sent_again_after_429(server: FakeServer, folder: Path) -> None:
    """The limit refuses a request before anything acts on it."""
    server.on("POST", "/builds/triggers", Answer(429, b"{}", {"Retry-After": "0"}), times=2)
    assert apply(server, folder).code == 0
    assert len(server.triggers) == 3


@pytest.mark.parametrize(
    "answer",
    [html(502), failure(500, 10001), Answer(cut="before"), Answer(200, b"{" * 40, cut="middle")],
    ids=["502", "500", "cut", "cut within"],
)
@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("path", ["/builds/triggers", "/builds/tokens"])
def test_a_create_is_never_repeated_blindly(
    server: FakeServer, folder: Path, answer: Answer, acts: bool, path: str
) -> None:
    """Nobody knows whether it was done: it is looked for by its natural key, and sent again only where it is
    proved not to be there."""
    server.tokens = [one for one in server.tokens if not one["build_token_name"].startswith("acme")]
    made: list[Any] = []

    def fail(call: Call) -> Answer:
        made.append(call.body.get("external_script_id"))
        if acts:
            server.respond(call)
        return answer

    server.on("POST", path, fail)
    ran = apply(server, folder)
    assert len(made) == len(set(made)) * (1 if acts else ATTEMPTS)
    assert (ran.code == 0) == acts
    if ran.code:
        address = "trigger/web/production" if path.endswith("triggers") else "token/deploy"
        assert outcomes(ran)[address][0] == "unknown"
        assert "trigger/api/production" in outcomes(ran)
    settled(server, folder)
    assert len([one for one in server.tokens if one["build_token_name"].startswith("acme")]) == 1
    assert len(server.triggers) == 3


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"success": true, "result": nul', b"[]"])
def test_a_create_that_is_answered_with_rubbish_may_have_been_done(
    server: FakeServer, folder: Path, body: bytes
) -> None:
    """HTTP 200 without an envelope says nothing: it is looked for, found, and never sent again."""

    def rubbish(call: Call) -> Answer:
        server.respond(call)
        return raw(body)

    server.on("POST", "/builds/triggers", rubbish)
    ran = apply(server, folder)
    assert ran.code == 0
    assert len(server.sent("POST")) == 2
    assert outcomes(ran)["trigger/web/production"][0] == "done"
    settled(server, folder)


def test_one_worker_fails_and_the_others_go_on(server: FakeServer, folder: Path) -> None:
    tag = server.workers["web"]
    bad = failure(400, 12002)
    server.on(
        "POST", "/builds/triggers", lambda call: bad if call.body["external_script_id"] == tag else server.respond(call)
    )
    ran = apply(server, folder, "--out", "report.json")
    assert ran.code == 3
    found = outcomes(ran)
    assert found["trigger/web/production"][0] == "failed"
    assert re.search(r"POST /builds/triggers, HTTP 400, code 12002, ray", found["trigger/web/production"][1])
    for name in ("SENTRY_AUTH_TOKEN", "N"):
        status, reason = found[f"env/web/production/{name}"]
        assert (status, "trigger/web/production" in reason) == ("skipped", True)
    done = [address for address, (status, _) in found.items() if status == "done"]
    assert {"trigger/web/preview", "trigger/api/preview", "trigger/api/production"} <= set(done)
    assert json.loads((folder / "report.json").read_text()) == ran.document
    settled(server, folder)


def test_a_token_that_fails_skips_what_needs_it_and_nothing_else(server: FakeServer, folder: Path) -> None:
    write(folder, AFTER.replace("ed1757", "aaaaaa"))
    server.on("POST", "/builds/tokens", failure(400, 12002))
    ran = apply(server, folder)
    found = outcomes(ran)
    assert found["token/deploy"][0] == "failed"
    assert found["trigger/web/production"][0] == "skipped"
    assert "token/deploy" in found["trigger/web/production"][1]
    assert found["trigger/web/preview"][0] == "done"
    assert ran.code == 3


def test_a_failed_delete_of_a_replace_stops_the_create(server: FakeServer, folder: Path) -> None:
    uuid = server.trigger("api", "preview")["trigger_uuid"]
    server.on("DELETE", f"/builds/triggers/{uuid}", failure(409, 12345))
    ran = apply(server, folder)
    assert ran.code == 3
    assert outcomes(ran)["trigger/api/preview"][0] == "failed"
    assert [call.body["external_script_id"] for call in server.sent("POST")] == [server.workers["web"]]
    settled(server, folder)


# Being told to stop, and streams that break


class Held:
    """A server that holds one request until it is let go."""

    def __init__(self, server: FakeServer, method: str, path: str) -> None:
        self.there, self.go = threading.Event(), threading.Event()
        self.server = server
        server.on(method, path, self, times=1)

    def __call__(self, _: Call) -> Answer | None:
        self.there.set()
        self.go.wait(timeout=60)
        return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_apply_after_the_requests_under_way(server: FakeServer, folder: Path, number: int) -> None:
    held = Held(server, "PATCH", f"/builds/triggers/{server.trigger('api', 'production')['trigger_uuid']}")
    process = start(["apply", "--auto-approve", "--out", "report.json"], environment(server), folder)
    assert held.there.wait(timeout=60)
    process.send_signal(number)
    assert process.stderr
    seen = ""
    while "stopping" not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    held.go.set()
    ran = finish(process)
    assert ran.code == 130
    report = json.loads((folder / "report.json").read_text())
    jsonschema.validate(report, SCHEMA)
    found = {one["address"]: one for one in report["outcomes"]}
    assert report["exit_codes"][0] == 130
    assert found["env/api/production/NEW"]["status"] == "skipped"
    assert "stop" in found["env/api/production/OLD"]["error"]
    assert "env/api/production/NEW: skipped" in ran.out
    rows = report["resource_changes"]
    assert set(found) == {row["address"] for row in rows if row["change"]["actions"] != ["no-op"]}
    settled(server, folder)


def test_a_second_signal_stops_at_once_and_tells_what_became_of_each_change(server: FakeServer, folder: Path) -> None:
    """The server never answers: only the signals end it."""
    held = Held(server, "PATCH", f"/builds/triggers/{server.trigger('api', 'production')['trigger_uuid']}")
    process = start(["apply", "--auto-approve", "--out", "report.json"], environment(server), folder)
    assert held.there.wait(timeout=60)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    while "stopping" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        pytest.fail("the second signal did not end it")
    finally:
        held.go.set()
        ran = finish(process)
    assert ran.code == 130
    report = json.loads((folder / "report.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert report["exit_codes"] == [130, 3]
    found = {one["address"]: one for one in report["outcomes"]}
    rows = report["resource_changes"]
    assert set(found) == {row["address"] for row in rows if row["change"]["actions"] != ["no-op"]}
    assert found["trigger/api/production"]["status"] == "unknown"
    assert "under way" in found["trigger/api/production"]["error"]
    assert found["env/api/production/NEW"]["status"] == "skipped"
    assert "trigger/api/production: UNKNOWN" in ran.out
    assert "Go on from what is live with: buildsctl apply" in ran.out
    settled(server, folder)


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_signal_ends_the_reading(server: FakeServer, folder: Path, command: str) -> None:
    """Nothing was written, so nothing has to be waited for; a report is written all the same."""
    held = Held(server, "GET", "/builds/tokens")
    more = ["--auto-approve"] if command == "apply" else []
    process = start([command, "--out", "report.json", *more], environment(server), folder)
    assert held.there.wait(timeout=60)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        pytest.fail("the signal did not end it")
    finally:
        held.go.set()
        ran = finish(process)
    assert ran.code == 130
    assert "interrupted" in ran.err
    assert not server.writes()
    assert json.loads((folder / "report.json").read_text())["exit_codes"][0] == 130


def test_a_signal_ends_the_waiting_for_the_rate_limit(server: FakeServer, folder: Path) -> None:
    limited = threading.Event()

    def limit(_: Call) -> Answer:
        limited.set()
        return Answer(429, b"{}", {"Retry-After": "300"})

    uuid = server.trigger("api", "production")["trigger_uuid"]
    server.on("PATCH", f"/builds/triggers/{uuid}", limit)
    process = start(["apply", "--auto-approve"], environment(server), folder)
    assert limited.wait(timeout=60)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("it sat out the whole of Retry-After")
    assert finish(process).code == 130
    assert len(server.sent("PATCH", f"/builds/triggers/{uuid}")) == 1


@pytest.mark.parametrize("arguments", [["plan"], ["plan", "--format", "json"], ["apply", "--auto-approve"]])
def test_a_reader_that_goes_away(server: FakeServer, folder: Path, arguments: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    process = start(arguments, environment(server), folder, stdout=writes)
    os.close(writes)
    ran = finish(process)
    assert (ran.code, ran.err) == (0, "")
    assert bool(server.writes()) is (arguments[0] == "apply")


@pytest.mark.parametrize("arguments", [["plan"], ["apply", "--auto-approve"]])
def test_no_stdout_at_all(server: FakeServer, folder: Path, arguments: list[str]) -> None:
    without_stdout = ("sh", "-c", 'exec "$0" "$@" >&-')
    ran = finish(start(arguments, environment(server), folder, before=without_stdout, stdout=None))
    assert ran.code == 0, ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["plan"], 1),
        (["plan", "--detailed-exitcode"], 1),
        (["plan", "--detailed-exitcode", "--format", "json"], 1),
        (["drift", "--fail-on", "live,pending"], 1),
        (["apply", "--auto-approve", "--out", "report.json"], 3),
    ],
)
def test_a_full_disk(server: FakeServer, folder: Path, arguments: list[str], code: int) -> None:
    with Path("/dev/full").open("w") as full:
        ran = finish(start(arguments, environment(server), folder, stdout=full))
    assert ran.code == code
    assert "error: " in ran.err


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_report_that_cannot_be_written_is_found_out_before_the_first_write(
    server: FakeServer, folder: Path, command: str
) -> None:
    more = ["--auto-approve"] if command == "apply" else []
    ran = run([command, "--out", "nowhere/report.json", *more], environment(server), folder)
    assert ran.code == 1
    assert "nowhere/report.json" in ran.err
    assert not server.writes()


def test_a_report_that_cannot_be_written_hides_no_other_error(server: FakeServer, folder: Path) -> None:
    env = environment(server, CLOUDFLARE_API_TOKEN=None)
    ran = run(["plan", "--out", "nowhere/report.json"], env, folder)
    assert ran.code in (1, 6)
    assert "no API token is set" in ran.err


@pytest.mark.parametrize("command", ["plan", "apply"])
@pytest.mark.parametrize("manifest", ["version: 1\nowner: a\nworkerz: {}\n", "", "a: [", "\x00"])
def test_a_report_is_written_for_bad_manifests_too(
    server: FakeServer, folder: Path, command: str, manifest: str
) -> None:
    more = ["--auto-approve"] if command == "apply" else []
    ran = run([command, "--out", "r.json", *more], environment(server), write(folder, manifest))
    report = json.loads((folder / "r.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert ran.code == 1
    assert report["exit_codes"][0] == 1
    assert report["errored"] is True
    assert not server.log


def test_a_source_that_is_missing_stops_an_apply_before_its_first_write(server: FakeServer, folder: Path) -> None:
    env = environment(server, SENTRY_AUTH_TOKEN="")
    ran = run(["apply", "--auto-approve", "--out", "r.json"], env, folder)
    assert ran.code == 1
    assert "SENTRY_AUTH_TOKEN" in ran.err
    assert not server.writes()
    jsonschema.validate(json.loads((folder / "r.json").read_text()), SCHEMA)


@pytest.mark.parametrize("code", [12042, 12030])
def test_a_create_that_is_refused_as_taken_is_settled_by_looking(server: FakeServer, folder: Path, code: int) -> None:
    """Somebody made the same trigger between the plan and the write: it is the one that is wanted."""

    def taken(call: Call) -> Answer:
        server.respond(call)
        return failure(409 if code == 12042 else 400, code)

    server.on("POST", "/builds/triggers", taken)
    ran = apply(server, folder)
    assert ran.code == 0, ran.text
    settled(server, folder)


def test_a_create_that_met_another_trigger_says_so(server: FakeServer, folder: Path) -> None:
    def other(call: Call) -> Answer:
        server.respond(Call(**{**vars(call), "body": {**call.body, "deploy_command": "by hand"}}))
        return failure(409, 12042)

    server.on("POST", "/builds/triggers", other)
    ran = apply(server, folder)
    assert ran.code == 3
    assert "has another production trigger" in ran.text
    server.clear()
    settled(server, folder)


def test_what_cannot_be_looked_for_stays_unknown(server: FakeServer, folder: Path) -> None:
    def fail(call: Call) -> Answer:
        server.respond(call)
        server.on("GET", "/builds/workers/.*/triggers", failure(404, 12000))
        return html(502)

    server.on("POST", "/builds/triggers", fail, times=1)
    ran = apply(server, folder)
    assert ran.code == 3
    assert "unknown" in {status for status, *_ in outcomes(ran).values()}
    server.clear()
    settled(server, folder)


def test_fail_fast_starts_nothing_more(server: FakeServer, folder: Path) -> None:
    server.on("PATCH", "/builds/triggers/[^/]*", failure(400, 12002))
    ran = apply(server, folder, "--fail-fast")
    assert ran.code in (1, 3)
    assert any("--fail-fast" in (error or "") for _, error in outcomes(ran).values())


def test_a_trigger_that_somebody_else_made_and_owns_is_not_seized(server: FakeServer, folder: Path) -> None:
    """Equal in every field, but with a variable of its own: it is not the one that this run made."""

    def theirs(call: Call) -> Answer:
        made = json.loads(server.respond(call).body)["result"]
        path = f"/builds/triggers/{made['trigger_uuid']}/environment_variables"
        body = {"THEIRS": {"is_secret": False, "value": "x"}}
        server.respond(Call(**{**vars(call), "method": "PATCH", "path": path, "body": body}))
        return failure(409, 12042)

    server.on("POST", "/builds/triggers", theirs)
    ran = apply(server, folder)
    assert ran.code == 3
    assert "has another production trigger" in ran.text


@pytest.mark.parametrize("last", [failure(429, 0), None])
def test_an_attempt_that_may_have_happened_is_never_reported_as_not_done(
    server: FakeServer, folder: Path, last: Answer | None
) -> None:
    """The first attempt acts and its answer is lost; the later ones are refused, or never sent."""
    path = f"/builds/triggers/{server.trigger('api', 'production')['trigger_uuid']}"

    def lost(call: Call) -> Answer:
        server.respond(call)
        server.on("PATCH", path, last or Answer(cut="before"))
        return html(502)

    server.on("PATCH", path, lost, times=1)
    ran = apply(server, folder, "--max-wait", "5")
    assert ran.code == 3
    assert outcomes(ran)["trigger/api/production"][0] == "unknown"
    settled(server, folder)


def test_a_lost_create_is_found_where_the_api_shows_no_connection(server: FakeServer, folder: Path) -> None:
    """`repo_connection` is optional in the reference's answers: not shown is not another one."""

    def hiding(call: Call) -> Answer:
        document = json.loads(server.respond(call).body)
        return envelope([{**one, "repo_connection": None} for one in document["result"]])

    def lost(call: Call) -> Answer:
        server.respond(call)
        server.on("GET", "/builds/workers/.*/triggers", hiding)
        return html(502)

    server.on("POST", "/builds/triggers", lost, times=1)
    ran = apply(server, folder)
    assert ran.code == 0, ran.text
    server.clear()
    settled(server, folder)


def test_what_nobody_could_look_at_is_told_once(server: FakeServer, tmp_path: Path) -> None:
    """Thirty Workers and no network: one sentence, and `-v` for who wants each."""
    server.on("GET", r".*", failure(500, 10001))
    trigger = "{production: {branch_includes: [main], deploy_command: d}}"
    workers = "\n".join(f"  w{number}: {{triggers: {trigger}}}" for number in range(30))
    references = "repo_connection_uuid: 0-c\n  build_token_uuid: 0-t"
    folder = write(tmp_path, f"version: 1\nowner: acme/builds\ndefaults:\n  {references}\nworkers:\n{workers}\n")
    ran = run(["plan"], environment(server), folder)
    assert ran.code == 7, ran.text
    assert "  ? 30 unknown; -v lists them\n      the account's list of Workers could not be read\n" in ran.out
    assert "trigger/w7/production" not in ran.out
    assert "? trigger/w7/production" in run(["-v", "plan"], environment(server), folder).out


def test_a_report_goes_into_what_is_there_and_replaces_files_only(server: FakeServer, folder: Path) -> None:
    """A link stays a link, a pipe is written into; so is a device, which would otherwise be gone for everybody."""
    (folder / "report.json").write_text("old")
    (folder / "link").symlink_to("report.json")
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # somebody reads, though not yet
    for name in ("link", "pipe"):
        assert run(["plan", "--out", name], environment(server), folder).code == 0
    with os.fdopen(reader, encoding="utf-8") as stream:
        piped = stream.read()
    assert (folder / "link").is_symlink()
    assert (folder / "pipe").is_fifo()
    assert json.loads(piped) == json.loads((folder / "report.json").read_text())
    ran = run(["plan", "--out", "pipe"], environment(server), folder)
    assert ran.code == 1, "nobody reads it: that is no reason to wait for ever"
    assert "`pipe` cannot be written" in ran.err


@pytest.mark.parametrize(
    ("arguments", "is_written"),
    [
        (["plan", "--out", "r.json", "--max-deletes", "x"], True),
        (["plan", "--nope", "--out=r.json"], True),
        (["apply", "--nope", "x", "--out", "r.json"], True),
        (["apply", "--out", "r.json", "--target"], True),
        (["tokens", "prune", "--out", "r.json", "more"], True),
        (["connections", "delete", "--out", "r.json"], True),
        (["--max-wait", "abc", "plan", "--out", "r.json"], True),
        (["--nope", "plan", "--out", "r.json"], True),
        (["plan", "--", "--out", "r.json", "--nope"], False),
        (["plna", "plan", "--out", "r.json"], False),
        (["validate", "--out", "r.json"], False),
    ],
)
def test_a_usage_error_is_reported_too_where_the_command_writes_reports(
    arguments: list[str], is_written: bool, server: FakeServer, folder: Path
) -> None:
    ran = run(arguments, environment(server), folder)
    assert (ran.code, ran.out) == (1, "")
    assert (folder / "r.json").exists() == is_written
    if is_written:
        report = json.loads((folder / "r.json").read_text())
        jsonschema.validate(report, SCHEMA)
        assert (report["errored"], report["exit_codes"]) == (True, [1])
        assert f"error: {report['diagnostics'][0]['summary']}\n" in ran.err
    assert not server.log


def test_a_usage_error_goes_where_the_environment_wants_reports(server: FakeServer, folder: Path) -> None:
    env = environment(server, BUILDSCTL_OUT="r.json")
    assert run(["drift", "--fail-on", "x"], env, folder).code == 1
    assert "`x` is none of" in json.loads((folder / "r.json").read_text())["error"]["message"]
    (folder / "r.json").unlink()
    assert run(["validate", "--nope"], env, folder).code == 1
    assert not (folder / "r.json").exists()
    assert run(["plan"], environment(server, BUILDSCTL_OUT="r.json", BUILDSCTL_TARGET="x"), folder).code == 1
    assert "must be a JSON array" in json.loads((folder / "r.json").read_text())["diagnostics"][0]["summary"]
    for name in ("BUILDSCTL_MAX_WAIT", "BUILDSCTL_FINGERPRINT_KEY"):
        assert run(["plan", "--out", "k.json"], environment(server, **{name: "x"}), folder).code == 1
        assert name in json.loads((folder / "k.json").read_text())["diagnostics"][0]["summary"]


def test_a_file_that_is_replaced_keeps_its_mode(server: FakeServer, folder: Path) -> None:
    report = folder / "r.json"
    for mode in (0o600, 0o640):
        report.write_text("old")
        report.chmod(mode)
        assert run(["plan", "--out", "r.json"], environment(server), folder).code == 0
        assert report.stat().st_mode & 0o777 == mode
        assert json.loads(report.read_text())["complete"] is True


@pytest.mark.parametrize(
    ("variable", "value", "command"),
    [("MAX_WAIT", "x", "plan"), ("FORMAT", "x", "plan"), ("FAIL_ON", "x", "drift"), ("PARAM", '["x"]', "plan")],
)
def test_a_wrong_value_of_the_environment_is_told_by_its_variable(
    variable: str, value: str, command: str, server: FakeServer, folder: Path
) -> None:
    ran = run([command], environment(server, **{f"BUILDSCTL_{variable}": value}), folder)
    assert ran.code == 1
    assert f"error: Invalid value for BUILDSCTL_{variable}: " in ran.err
    ran = run([command, f"--{variable.lower().replace('_', '-')}", "x"], environment(server), folder)
    assert f"error: Invalid value for '--{variable.lower().replace('_', '-')}': " in ran.err
