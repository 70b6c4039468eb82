"""The stand-in's builds: their states by the clock, logs, manual builds, cancelling, limits, config_autofill."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_sandbox import (
    BUILDS,
    CONNECTION,
    NEW_TOKEN,
    NEWER_TAG,
    OTHER_TAG,
    PREVIEW,
    PRODUCTION,
    PUT,
    SEED,
    TAG,
    TOKEN,
    Client,
    outcome,
)

from reconciler.sandbox import Sandbox
from reconciler.sandbox.routes import ROUTES

START = datetime(2026, 1, 2, tzinfo=UTC)
AUTOFILL = f"{BUILDS}/repos/github/41612145/1332648945/config_autofill"
REPOSITORY = {"provider_account_id": "41612145", "repo_id": "1332648945"}
# The fields of the reference's answers.
BUILD = {
    "build_outcome", "build_trigger_metadata", "build_uuid", "created_on", "initializing_on", "modified_on",
    "pull_request", "running_on", "status", "stopped_on", "trigger",
}  # fmt: skip
METADATA = {
    "author", "branch", "build_command", "build_token_name", "build_token_uuid", "build_trigger_source", "commit_hash",
    "commit_message", "deploy_command", "environment_variables", "provider_account_name", "provider_type", "repo_name",
    "root_directory",
}  # fmt: skip
TRIGGER = {
    "branch_excludes", "branch_includes", "build_caching_enabled", "build_command", "created_on", "deleted_on",
    "deploy_command", "external_script_id", "modified_on", "path_excludes", "path_includes", "repo_connection",
    "root_directory", "trigger_name", "trigger_uuid",
}  # fmt: skip


class World(Client):
    """A client whose stand-in's clock stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = START
        super().__init__(Sandbox(clock=lambda: self.now))
        self.sandbox.seed(SEED)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def run(self, trigger: str, **body: object) -> str:
        return str(self.ok("POST", f"{BUILDS}/triggers/{trigger}/builds", body or {"branch": "main"})["build_uuid"])

    def build(self, uuid: str) -> Any:
        return self.ok("GET", f"{BUILDS}/builds/{uuid}")

    def state(self, uuid: str) -> tuple[str, str | None]:
        build = self.build(uuid)
        return build["status"], build["build_outcome"]

    def lines(self, uuid: str) -> list[str]:
        return [line for _, line in self.ok("GET", f"{BUILDS}/builds/{uuid}/logs")["lines"]]

    def end(self, uuid: str) -> tuple[str | None, str]:
        """The outcome once it is over, and the last line of its log."""
        self.wait(60)
        return self.state(uuid)[1], self.lines(uuid)[-1]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.sandbox.close()


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- the operations

REFERENCE = [
    ("GET", "builds/latest"),
    ("GET", "builds"),
    ("GET", "account/limits"),
    ("GET", "workers/{external_script_id}/triggers"),
    ("POST", "triggers"),
    ("PATCH", "triggers/{trigger_uuid}"),
    ("DELETE", "triggers/{trigger_uuid}"),
    ("POST", "triggers/{trigger_uuid}/purge_build_cache"),
    ("POST", "triggers/{trigger_uuid}/builds"),
    ("GET", "triggers/{trigger_uuid}/environment_variables"),
    ("PATCH", "triggers/{trigger_uuid}/environment_variables"),
    ("DELETE", "triggers/{trigger_uuid}/environment_variables/{environment_variable_key}"),
    ("POST", "tokens"),
    ("GET", "tokens"),
    ("DELETE", "tokens/{build_token_uuid}"),
    ("PUT", "repos/connections"),
    ("DELETE", "repos/connections/{repo_connection_uuid}"),
    ("GET", "repos/{provider_type}/{provider_account_id}/{repo_id}/config_autofill"),
    ("GET", "workers/{external_script_id}/builds"),
    ("GET", "builds/{build_uuid}"),
    ("PUT", "builds/{build_uuid}/cancel"),
    ("GET", "builds/{build_uuid}/logs"),
]


def test_every_operation_of_the_reference_is_there() -> None:
    assert len(REFERENCE) == 22
    below = "/accounts/{account_id}/builds/"
    routed = {(route.method, route.template.removeprefix(below)) for route in ROUTES}
    assert set(REFERENCE) <= routed
    # Beside them only those that are not in the reference.
    rest = {("GET", "workers/{external_script_id}"), ("GET", "/user/tokens/verify")}
    rest |= {("GET", f"/accounts/{{account_id}}/workers/{name}") for name in ("scripts", "services/{service_name}")}
    assert routed - set(REFERENCE) == rest


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("GET", "builds/latest", False),
        ("GET", "builds", False),
        ("GET", "builds/x", False),
        ("GET", "builds/x/logs", False),
        ("GET", "account/limits", False),
        ("GET", "workers/x/builds", False),
        ("GET", "repos/github/1/2/config_autofill", False),
        ("PUT", "builds/x/cancel", True),
        ("POST", "triggers/x/builds", True),
        ("POST", "triggers/x/purge_build_cache", True),
    ],
)
def test_access_is_as_elsewhere(world: World, method: str, path: str, writes: bool) -> None:
    world.sandbox.seed({"api_tokens": {"reads": "read-only", "owned": "account"}})
    assert world.refused(method, f"{BUILDS}/{path}", {}, bearer="owned") == (401, 12006)
    answer = world.raw(method, f"{BUILDS}/{path}", b"{}", bearer="reads")
    assert (answer.status == 403) == writes


# --- a manual build, by the clock


def test_a_manual_build_goes_through_its_states_by_the_clock(world: World) -> None:
    trigger = world.trigger()
    made = world.ok("POST", f"{BUILDS}/triggers/{trigger}/builds", {"branch": "main", "commit_hash": "abc123"})
    assert made == {"build_uuid": made["build_uuid"], "created_on": at(0)}
    seen = []
    for _ in range(12):
        build = world.build(made["build_uuid"])
        marks = [build[name] for name in ("initializing_on", "running_on", "stopped_on", "modified_on")]
        seen.append((build["status"], build["build_outcome"], *marks))
        world.wait(1)
    assert [seen[second] for second in (0, 2, 5, 10)] == [
        ("queued", None, None, None, None, at(0)),
        ("initializing", None, at(2), None, None, at(2)),
        ("running", None, at(2), at(5), None, at(5)),
        ("stopped", "success", at(2), at(5), at(10), at(10)),
    ]
    assert [state for state, *_ in seen] == ["queued"] * 2 + ["initializing"] * 3 + ["running"] * 5 + ["stopped"] * 2


def test_a_build_embeds_what_it_was_made_with(world: World) -> None:
    uuid = world.trigger()
    variables = {"PLAIN": {"is_secret": False, "value": "x"}, "S": {"is_secret": True, "value": "canary"}}
    world.ok("PATCH", f"{BUILDS}/triggers/{uuid}/environment_variables", variables)
    build = world.run(uuid, branch="main", commit_hash="abc123")
    world.ok("PATCH", f"{BUILDS}/triggers/{uuid}", {"build_command": "make", "trigger_name": "renamed"})
    world.ok("DELETE", f"{BUILDS}/triggers/{uuid}/environment_variables/PLAIN")
    shown = world.build(build)
    assert set(shown) == BUILD
    assert set(shown["build_trigger_metadata"]) == METADATA
    assert set(shown["trigger"]) == TRIGGER
    assert shown["build_trigger_metadata"] == {
        "author": None,
        "branch": "main",
        "build_command": "npm run build",
        "build_token_name": "deploy",
        "build_token_uuid": TOKEN,
        "build_trigger_source": "manual",
        "commit_hash": "abc123",
        "commit_message": None,
        "deploy_command": "npx wrangler deploy",
        "environment_variables": {
            "PLAIN": {"created_on": at(0), "is_secret": False, "value": "x"},
            "S": {"created_on": at(0), "is_secret": True, "value": None},
        },
        "provider_account_name": "acme",
        "provider_type": "github",
        "repo_name": "site",
        "root_directory": "/",
    }
    # The trigger beside it is as it is now, and stays after it was deleted.
    assert (shown["trigger"]["build_command"], shown["trigger"]["trigger_name"]) == ("make", "renamed")
    assert shown["trigger"]["repo_connection"]["repo_connection_uuid"] == CONNECTION
    world.wait(1)
    world.ok("DELETE", f"{BUILDS}/triggers/{uuid}")
    left = world.build(build)["trigger"]
    assert left == {**shown["trigger"], "deleted_on": at(1)}


def test_a_branch_alone_or_a_commit_alone_will_do(world: World) -> None:
    trigger = world.trigger()
    branch, commit = world.run(trigger, branch="any/branch"), world.run(trigger, commit_hash="abc123")
    by_branch = world.build(branch)["build_trigger_metadata"]
    assert (by_branch["branch"], len(by_branch["commit_hash"])) == ("any/branch", 40)
    by_commit = world.build(commit)["build_trigger_metadata"]
    assert (by_commit["branch"], by_commit["commit_hash"]) == (None, "abc123")


FILE = {"content": "x", "filename": "a"}
SEED_REPO = {"branch": "main", "owner": "acme", "path": "", "provider": "github", "repository": "template"}


@pytest.mark.parametrize(
    "seed_repo",
    [SEED_REPO, {**SEED_REPO, "files": []}, {**SEED_REPO, "files": [FILE, {**FILE, "isBase64": True, "replace": "y"}]}],
)
def test_a_seed_repo_is_accepted(world: World, seed_repo: Any) -> None:
    assert world.state(world.run(world.trigger(), branch="main", seed_repo=seed_repo)) == ("queued", None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"branch": None},
        {"branch": ""},
        {"branch": 1},
        {"branch": "\ud800"},
        {"commit_hash": ""},
        {"commit_hash": None, "branch": "main"},
        {"branch": "main", "unheard_of": 1},
        {"seed_repo": SEED_REPO},
        {"branch": "main", "seed_repo": None},
        {"branch": "main", "seed_repo": []},
        {"branch": "main", "seed_repo": {**SEED_REPO, "provider": "gitlab"}},
        {"branch": "main", "seed_repo": {**SEED_REPO, "more": "x"}},
        *({"branch": "main", "seed_repo": SEED_REPO | {name: None}} for name in SEED_REPO),
        {"branch": "main", "seed_repo": {**SEED_REPO, "files": FILE}},
        {"branch": "main", "seed_repo": {**SEED_REPO, "files": [FILE, {"content": "x"}]}},
        {"branch": "main", "seed_repo": {**SEED_REPO, "files": [{**FILE, "isBase64": "yes"}]}},
        [],
        b"",
        b"{",
    ],
)
def test_a_manual_build_that_is_refused_leaves_none(world: World, body: Any) -> None:
    uuid = world.trigger()
    assert world.refused("POST", f"{BUILDS}/triggers/{uuid}/builds", body) == (400, 12002)
    assert world.ok("GET", f"{BUILDS}/workers/{TAG}/builds") == []


@pytest.mark.parametrize("operation", ["builds", "purge_build_cache"])
def test_an_unknown_trigger_builds_nothing(world: World, operation: str) -> None:
    assert world.refused("POST", f"{BUILDS}/triggers/{TOKEN}/{operation}", {"branch": "main"}) == (404, 12000)
    uuid = world.trigger()
    world.ok("DELETE", f"{BUILDS}/triggers/{uuid}")
    assert world.refused("POST", f"{BUILDS}/triggers/{uuid}/{operation}", {"branch": "main"}) == (404, 12000)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/logs"), ("PUT", "/cancel")])
@pytest.mark.parametrize("uuid", [TOKEN, "web", "%00", "%ff"])
def test_an_unknown_build_is_12000(world: World, method: str, path: str, uuid: str) -> None:
    assert world.refused(method, f"{BUILDS}/builds/{uuid}{path}") == (404, 12000)


# --- what makes a build fail


def test_a_build_on_a_deleted_token_fails_within_seconds(world: World) -> None:
    trigger = world.trigger()
    world.ok("DELETE", f"{BUILDS}/tokens/{TOKEN}")
    build = world.run(trigger)
    world.wait(3)
    shown = world.build(build)
    assert (shown["status"], shown["build_outcome"], shown["running_on"]) == ("stopped", "fail", None)
    assert "has been deleted or rolled" in world.lines(build)[-1]
    assert shown["build_trigger_metadata"]["build_token_name"] == "deploy"


def test_a_build_on_a_dead_token_fails_while_all_looks_fine(world: World) -> None:
    trigger = world.trigger()
    token = {**SEED["build_tokens"][0], "dead": True}
    world.sandbox.seed({"build_tokens": [token]})
    assert [each["build_token_uuid"] for each in world.ok("GET", f"{BUILDS}/tokens")] == [TOKEN]
    last = world.end(world.run(trigger))
    assert last[0] == "fail"
    assert "has been deleted or rolled" in last[1]
    # Without saying it again it stays dead; on another token it builds.
    world.sandbox.seed({"build_tokens": SEED["build_tokens"]})
    assert world.end(world.run(trigger))[0] == "fail"
    fresh = world.ok("POST", f"{BUILDS}/tokens", NEW_TOKEN)["build_token_uuid"]
    world.ok("PATCH", f"{BUILDS}/triggers/{trigger}", {"build_token_uuid": fresh})
    assert world.end(world.run(trigger))[0] == "success"
    world.sandbox.seed({"build_tokens": [{**token, "dead": False}]})
    world.ok("PATCH", f"{BUILDS}/triggers/{trigger}", {"build_token_uuid": TOKEN})
    assert world.end(world.run(trigger))[0] == "success"


@pytest.mark.parametrize(
    ("root", "deploy_command", "found", "expected"),
    [
        ("/", "npx wrangler deploy", {"default_worker_name": "web"}, None),
        ("/", "npx wrangler deploy", {}, None),
        ("/", "npx wrangler deploy", {"default_worker_name": "other"}, "other"),
        ("/apps/web/", "npx wrangler deploy", {"default_worker_name": "other"}, "other"),
        ("apps/web", "npx wrangler deploy --env staging", {"env_worker_names": {"staging": "web"}}, None),
        ("apps/web", "npx wrangler deploy --env=production", {"env_worker_names": {"production": "prod"}}, "prod"),
        ("apps/web", "wrangler deploy -e staging && true", {"env_worker_names": {"staging": "web"}}, None),
        ("apps/web", "npx wrangler deploy --env x", {"default_worker_name": "web"}, None),
    ],
)
def test_a_build_fails_where_the_name_in_the_repository_is_another(
    world: World, root: str, deploy_command: str, found: dict[str, Any], expected: str | None
) -> None:
    world.sandbox.seed({"repositories": [{**REPOSITORY, "root_directories": {root: found}}]})
    trigger = world.trigger({**PRODUCTION, "root_directory": root, "deploy_command": deploy_command})
    build_outcome, last = world.end(world.run(trigger))
    if expected is None:
        assert (build_outcome, last) == ("success", "Success: Deploy command completed")
    else:
        assert build_outcome == "fail"
        assert f"({expected}) must match the name of your Worker" in last


@pytest.mark.parametrize(
    "repositories",
    [
        [],
        [{**REPOSITORY, "repo_id": "7"}],
        [{**REPOSITORY, "provider_account_id": "7"}],
        [{**REPOSITORY, "branches": ["release"]}],
        [{**REPOSITORY, "root_directories": {"apps/api": {}}}],
    ],
)
def test_a_build_fails_where_its_repository_is_not_reached(world: World, repositories: Any) -> None:
    trigger = world.trigger({**PRODUCTION, "root_directory": "apps/web"})
    world.sandbox.seed({"repositories": repositories})
    assert world.end(world.run(trigger)) == ("fail", "Failed: error occurred while cloning repository")


def test_a_build_fails_where_its_connection_is_gone(world: World) -> None:
    trigger = world.trigger()
    world.ok("DELETE", f"{BUILDS}/repos/connections/{CONNECTION}")
    assert world.end(world.run(trigger))[0] == "fail"


def test_a_transferred_repository_builds_again_once_it_is_put_anew(world: World) -> None:
    trigger = world.trigger()
    world.sandbox.seed({"repositories": [{**REPOSITORY, "provider_account_id": "7"}]})
    assert world.end(world.run(trigger))[0] == "fail"
    world.ok("PUT", f"{BUILDS}/repos/connections", {**PUT, "provider_account_id": "7"})
    assert world.end(world.run(trigger))[0] == "success"


# --- logs


def logs(world: World, uuid: str, cursor: str = "") -> Any:
    return world.ok("GET", f"{BUILDS}/builds/{uuid}/logs", **({"cursor": cursor} if cursor else {}))


def test_logs_grow_while_the_build_runs_and_the_cursor_is_a_tail(world: World) -> None:
    build = world.run(world.trigger())
    page = logs(world, build)
    assert (page["lines"], page["truncated"]) == ([], False)
    lines: list[Any] = []
    for _ in range(12):
        world.wait(1)
        page = logs(world, build, page["cursor"])
        lines += page["lines"]
        again = logs(world, build, page["cursor"])
        assert again == {"cursor": page["cursor"], "lines": [], "truncated": False}
    assert lines == logs(world, build)["lines"]
    assert lines[0] == [int(START.timestamp() * 1000) + 2000, "Initializing build environment..."]
    assert [when for when, _ in lines] == sorted(when for when, _ in lines)
    assert "Executing user build command: npm run build" in [line for _, line in lines]
    assert lines[-1] == [int(START.timestamp() * 1000) + 10000, "Success: Deploy command completed"]


def test_without_a_build_command_there_is_no_build_step(world: World) -> None:
    build = world.run(world.trigger({**PRODUCTION, "build_command": ""}))
    assert world.end(build)[0] == "success"
    assert not [line for line in world.lines(build) if "build command" in line]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_a_long_log_comes_in_pages(world: World, count: int) -> None:
    world.trigger()
    lines = [f"line {number}" for number in range(count)]
    world.sandbox.seed({"builds": [{"worker": "web", "build_uuid": "b", "log": lines}]})
    got, page, pages = [], logs(world, "b"), 1
    got += page["lines"]
    while page["truncated"] and page["lines"]:
        page = logs(world, "b", page["cursor"])
        got += page["lines"]
        pages += 1
    assert [line for _, line in got] == lines
    assert pages == max(1, -(-count // 100))
    # Replayed at the end there are no lines, and a long log still calls itself truncated.
    tail = logs(world, "b", page["cursor"])
    assert (tail["lines"], tail["cursor"], tail["truncated"]) == ([], page["cursor"], count > 100)


def _cursor(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["x", "%%%", "\ud800", "AAAA", _cursor([]), _cursor({}), _cursor({"line": -1}), _cursor({"line": 1.5})]
    + [_cursor({"line": value}) for value in (True, "1", 10**30)],
)
def test_a_cursor_that_is_none_is_12013(world: World, cursor: str) -> None:
    build = world.run(world.trigger())
    assert world.refused("GET", f"{BUILDS}/builds/{build}/logs", cursor=cursor) == (400, 12013)


# --- cancelling


@pytest.mark.parametrize(
    ("seconds", "reached"), [(0, []), (1, []), (3, ["initializing_on"]), (9, ["initializing_on", "running_on"])]
)
def test_a_build_is_cancelled_while_it_is_not_stopped(world: World, seconds: int, reached: list[str]) -> None:
    build = world.run(world.trigger())
    world.wait(seconds)
    before = world.lines(build)
    answer = world.ok("PUT", f"{BUILDS}/builds/{build}/cancel")
    assert answer == {"build_outcome": "cancelled", "build_uuid": build, "stopped_on": at(seconds)}
    world.wait(60)
    shown = world.build(build)
    assert (shown["status"], shown["build_outcome"], shown["stopped_on"]) == ("stopped", "cancelled", at(seconds))
    assert [name for name in ("initializing_on", "running_on") if shown[name]] == reached
    assert world.lines(build) == [*before, "Build was cancelled"]
    assert world.refused("PUT", f"{BUILDS}/builds/{build}/cancel") == (400, 12002)


def test_a_stopped_build_cannot_be_cancelled(world: World) -> None:
    build = world.run(world.trigger())
    world.wait(10)
    assert world.refused("PUT", f"{BUILDS}/builds/{build}/cancel") == (400, 12002)
    assert world.state(build) == ("stopped", "success")


# --- lists


def test_the_builds_of_a_worker_come_in_pages_newest_first(world: World) -> None:
    trigger = world.trigger()
    made = []
    for _ in range(5):
        made.append(world.run(trigger))
        world.wait(1)
    world.run(world.trigger({**PRODUCTION, "external_script_id": OTHER_TAG}))
    path = f"{BUILDS}/workers/{TAG}/builds"
    pages = [world.document("GET", path, page=page, per_page="2") for page in "123"]
    assert [build["build_uuid"] for page in pages for build in page["result"]] == made[::-1]
    assert set(pages[0]["result"][0]) == BUILD
    assert pages[0]["result_info"] == {
        "count": 2, "page": 1, "per_page": 2, "total_count": 5, "total_pages": 3, "next_page": True,
    }  # fmt: skip
    assert (pages[2]["result_info"]["count"], pages[2]["result_info"]["next_page"]) == (1, False)
    assert world.document("GET", path)["result_info"]["per_page"] == 50
    for query in ({"page": "4", "per_page": "2"}, {"page": "0"}, {"per_page": "201"}, {"page": "x"}):
        assert world.refused("GET", path, **query) == (400, 12013)


def test_of_one_moment_the_later_build_is_the_newer(world: World) -> None:
    trigger = world.trigger()
    first, second = world.run(trigger), world.run(trigger)
    listed = world.ok("GET", f"{BUILDS}/workers/{TAG}/builds")
    assert [build["build_uuid"] for build in listed] == [second, first]
    latest = world.ok("GET", f"{BUILDS}/builds/latest", external_script_ids=TAG)
    assert latest["builds"][TAG]["build_uuid"] == second


@pytest.mark.parametrize("script_id", ["web", "d" * 32, "%ff"])
def test_a_name_has_an_empty_list_of_builds(world: World, script_id: str) -> None:
    world.run(world.trigger())
    document = world.document("GET", f"{BUILDS}/workers/{script_id}/builds")
    assert document["result"] == []
    assert document["result_info"]["total_count"] == 0


def test_the_latest_builds_are_a_map_by_tag(world: World) -> None:
    trigger = world.trigger()
    world.run(trigger)
    world.wait(1)
    second = world.run(trigger)
    world.wait(-1)
    other = world.run(world.trigger({**PRODUCTION, "external_script_id": OTHER_TAG}))
    ids = f"{TAG}, {OTHER_TAG},,{NEWER_TAG},web,\ud800"
    builds = world.ok("GET", f"{BUILDS}/builds/latest", external_script_ids=ids)["builds"]
    assert {tag: build["build_uuid"] for tag, build in builds.items()} == {TAG: second, OTHER_TAG: other}
    assert set(builds[TAG]) == BUILD


@pytest.mark.parametrize(("path", "name"), [("builds/latest", "external_script_ids"), ("builds", "version_ids")])
def test_twenty_ids_at_most_and_one_at_least(world: World, path: str, name: str) -> None:
    assert world.ok("GET", f"{BUILDS}/{path}", **{name: ",".join(["x"] * 20)}) == {"builds": {}}
    for query in ({}, {name: ""}, {name: " , "}, {name: ",".join(["x"] * 21)}):
        assert world.refused("GET", f"{BUILDS}/{path}", **query) == (400, 12013)


def test_a_build_is_found_by_the_version_it_made(world: World) -> None:
    build = world.run(world.trigger())
    assert world.end(build)[0] == "success"
    (line,) = [line for line in world.lines(build) if line.startswith("Current Version ID: ")]
    version = line.removeprefix("Current Version ID: ")
    found = world.ok("GET", f"{BUILDS}/builds", version_ids=f"{version},{TOKEN}")["builds"]
    assert list(found) == [version]
    assert found[version] == world.build(build)
    # Before it was over there was no version.
    world.wait(-55)
    assert world.ok("GET", f"{BUILDS}/builds", version_ids=version) == {"builds": {}}


def test_a_preview_trigger_builds_too(world: World) -> None:
    assert world.end(world.run(world.trigger(PREVIEW), branch="feature"))[0] == "success"


# --- limits


def test_limits_are_null_on_a_paid_plan(world: World) -> None:
    expected = {"build_minutes_refresh_on": None, "has_reached_build_minutes_limit": None}
    assert world.ok("GET", f"{BUILDS}/account/limits") == expected


def test_once_the_limit_is_reached_builds_wait(world: World) -> None:
    limits = {"build_minutes_refresh_on": "2026-02-01T00:00:00+01:00", "has_reached_build_minutes_limit": True}
    world.sandbox.seed({"limits": limits})
    assert world.ok("GET", f"{BUILDS}/account/limits") == {
        "build_minutes_refresh_on": "2026-01-31T23:00:00.000Z",
        "has_reached_build_minutes_limit": True,
    }
    trigger = world.trigger()
    build = world.run(trigger)
    world.wait(3600)
    assert world.state(build) == ("queued", None)
    assert "Build minutes limit reached" in world.lines(build)[0]
    assert world.ok("PUT", f"{BUILDS}/builds/{build}/cancel")["build_outcome"] == "cancelled"
    world.sandbox.seed({"limits": {"has_reached_build_minutes_limit": False}})
    assert world.ok("GET", f"{BUILDS}/account/limits") == {
        "build_minutes_refresh_on": None,
        "has_reached_build_minutes_limit": False,
    }
    assert world.end(world.run(trigger))[0] == "success"


# --- config_autofill

NOTHING = {
    "config_file": None, "default_worker_name": None, "env_worker_names": {}, "package_manager": None, "scripts": {},
}  # fmt: skip
FOUND = {
    "config_file": "wrangler.jsonc",
    "default_worker_name": "web",
    "env_worker_names": {"staging": "web-staging"},
    "package_manager": "pnpm",
    "scripts": {"build": "vite build"},
}


def test_a_repository_that_nobody_spoke_of_is_reached_and_empty(world: World) -> None:
    assert world.ok("GET", AUTOFILL, branch="main") == NOTHING
    assert world.ok("GET", AUTOFILL, branch="main", root_directory="apps/web") == NOTHING


@pytest.mark.parametrize("query", [{}, {"branch": ""}, {"root_directory": "/"}])
def test_config_autofill_needs_a_branch(world: World, query: dict[str, str]) -> None:
    world.sandbox.seed({"repositories": []})
    assert world.refused("GET", AUTOFILL, **query) == (400, 12013)


def test_only_what_was_listed_is_reached(world: World) -> None:
    folders = {"/": {"package_manager": "npm"}, "apps/web/": FOUND, "/apps/bare": {}}
    listed = {**REPOSITORY, "branches": ["main", "dev"], "root_directories": folders}
    world.sandbox.seed({"repositories": [listed, {**REPOSITORY, "provider_type": "gitlab", "repo_id": "7"}]})
    for root in ("apps/web", "/apps/web", "/apps/web/"):
        assert world.ok("GET", AUTOFILL, branch="dev", root_directory=root) == FOUND
    for root in ("", "/"):
        assert world.ok("GET", AUTOFILL, branch="main", root_directory=root) == {**NOTHING, "package_manager": "npm"}
    assert world.ok("GET", AUTOFILL, branch="main", root_directory="apps/bare") == NOTHING
    other = f"{BUILDS}/repos/gitlab/41612145/7/config_autofill"
    assert world.ok("GET", other, branch="any", root_directory="anywhere") == NOTHING
    unreached = [
        (AUTOFILL, {"branch": "gone"}),
        (AUTOFILL, {"branch": "main", "root_directory": "apps"}),
        (AUTOFILL.replace("github", "gitlab"), {"branch": "main"}),
        (AUTOFILL.replace("github", "svn"), {"branch": "main"}),
        (AUTOFILL.replace("41612145", "1"), {"branch": "main"}),
        (AUTOFILL.replace("1332648945", "1"), {"branch": "main"}),
        (AUTOFILL, {"branch": "\ud800"}),
    ]
    for path, query in unreached:
        assert outcome(world.raw("GET", path, **query)) == (404, 12000)


def test_the_root_is_there_where_only_folders_were_listed(world: World) -> None:
    world.sandbox.seed({"repositories": [{**REPOSITORY, "root_directories": {"apps/web": FOUND}}]})
    assert world.ok("GET", AUTOFILL, branch="main") == NOTHING
