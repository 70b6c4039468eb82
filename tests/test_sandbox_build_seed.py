"""Seeding builds, repositories and limits: what a document may say of them, and what comes of it."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sandbox import BUILDS, CONNECTION, NEWER_TAG, SEED, TAG, TOKEN
from test_sandbox_builds import REPOSITORY, World, at

from reconciler.sandbox import Sandbox, SeedError
from reconciler.sandbox.store import APPLICATION_ID, SCHEMA

TRIGGERS = [
    {"worker": "web", "build_command": "make", "environment_variables": {"A": "x"}},
    {"worker": "web", "trigger_uuid": "preview", "trigger_name": "Preview", "branch_includes": ["*"]},
]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.sandbox.seed({"triggers": TRIGGERS})
    yield made
    made.sandbox.close()


def seeded(world: World, **build: object) -> Any:
    """The newest build once this one was seeded."""
    reference = {} if {"trigger", "trigger_uuid"} & build.keys() else {"trigger": "Deploy default branch"}
    world.sandbox.seed({"builds": [{"worker": "web", "build_uuid": "b", **reference, **build}]})
    return world.build("b")


def test_a_build_without_more_has_just_gone_well(world: World) -> None:
    build = seeded(world)
    assert (build["status"], build["build_outcome"]) == ("stopped", "success")
    assert (build["created_on"], build["stopped_on"]) == (at(-10), at(0))
    metadata = build["build_trigger_metadata"]
    assert metadata["build_trigger_source"] == "push_event"
    assert (metadata["branch"], metadata["build_command"], metadata["author"]) == (
        "main",
        "make",
        "developer@example.com",
    )
    assert len(metadata["commit_hash"]) == 40
    assert metadata["environment_variables"]["A"]["value"] == "x"


def test_a_build_is_what_its_seed_says(world: World) -> None:
    commit = {"branch": "dev", "commit_hash": "abc", "commit_message": "Mend", "author": "me@example.com"}
    variables = {"A": "old", "S": {"is_secret": True, "value": "canary-secret"}}
    build = seeded(
        world,
        **commit,
        created_on="2025-12-31T12:00:00+01:00",
        outcome="fail",
        build_trigger_source="retry",
        build_command="make old",
        deploy_command=None,
        root_directory="apps/web",
        environment_variables=variables,
        build_token_name="old name",
        log=["one", "two", "three"],
    )
    metadata = build["build_trigger_metadata"]
    assert {name: metadata[name] for name in commit} == commit
    assert (metadata["build_command"], metadata["deploy_command"]) == ("make old", None)
    assert (metadata["root_directory"], metadata["build_trigger_source"]) == ("apps/web", "retry")
    assert (metadata["build_token_uuid"], metadata["build_token_name"]) == (TOKEN, "old name")
    assert {key: each["value"] for key, each in metadata["environment_variables"].items()} == {"A": "old", "S": None}
    assert (build["created_on"], build["build_outcome"]) == ("2025-12-31T11:00:00.000Z", "fail")
    assert world.lines("b") == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("outcome", "last", "marks"),
    [
        ("success", "Success: Deploy command completed", 3),
        ("fail", "Failed: error occurred while running build command", 3),
        ("skipped", "Build was skipped", 1),
        ("cancelled", "Build was cancelled", 3),
        ("terminated", "Failed: build was terminated as it took too long", 3),
    ],
)
@pytest.mark.parametrize("more", [{}, {"status": "stopped"}, {"status": "stopped", "age": 0}])
def test_each_outcome(world: World, outcome: str, last: str, marks: int, more: dict[str, Any]) -> None:
    build = seeded(world, outcome=outcome, **more)
    assert (build["status"], build["build_outcome"]) == ("stopped", outcome)
    assert world.lines("b")[-1] == last
    assert len([name for name in ("initializing_on", "running_on", "stopped_on") if build[name]]) == marks


@pytest.mark.parametrize(
    ("status", "marks", "last"),
    [
        ("queued", [], None),
        ("initializing", ["initializing_on"], "Initializing build environment..."),
        ("running", ["initializing_on", "running_on"], "Cloning repository..."),
    ],
)
@pytest.mark.parametrize("more", [{}, {"age": 0}, {"age": 86400}, {"created_on": "2026-01-01T23:59:59Z"}])
def test_a_status_is_for_good(
    world: World, status: str, marks: list[str], last: str | None, more: dict[str, Any]
) -> None:
    build = seeded(world, status=status, **more)
    for _ in range(2):
        assert (build["status"], build["build_outcome"], build["stopped_on"]) == (status, None, None)
        assert [name for name in ("initializing_on", "running_on") if build[name]] == marks
        assert (world.lines("b") or [None])[-1] == last
        world.wait(3600)
        build = world.build("b")
    assert world.ok("PUT", f"{BUILDS}/builds/b/cancel")["build_outcome"] == "cancelled"


@pytest.mark.parametrize("time", [{"age": 0}, {"created_on": "2026-01-02T00:00:00Z"}, {"created_on": "2026-01-02"}])
def test_without_a_status_the_clock_moves_it(world: World, time: dict[str, Any]) -> None:
    assert seeded(world, outcome="fail", log=["a", "b"], **time)["status"] == "queued"
    assert world.lines("b") == []
    world.wait(6)
    assert world.state("b") == ("running", None)
    assert world.lines("b") == ["a"]
    world.wait(4)
    assert world.state("b") == ("stopped", "fail")
    assert world.lines("b") == ["a", "b"]


def test_an_age_is_in_seconds(world: World) -> None:
    assert seeded(world, age=2.5)["created_on"] == at(-2.5)
    assert world.state("b") == ("initializing", None)


def test_what_must_fail_fails_unless_the_seed_says_otherwise(world: World) -> None:
    world.sandbox.seed({"repositories": [{**REPOSITORY, "root_directories": {"/": {"default_worker_name": "x"}}}]})
    assert seeded(world)["build_outcome"] == "fail"
    assert "(x) must match the name" in world.lines("b")[-1]
    assert seeded(world, outcome="success")["build_outcome"] == "success"
    assert seeded(world, build_token_uuid="gone")["build_outcome"] == "fail"
    assert "deleted or rolled" in world.lines("b")[-1]
    assert world.build("b")["build_trigger_metadata"]["build_token_name"] is None


def test_a_token_that_is_overridden_shows_its_own_name(world: World) -> None:
    token = {"build_token_name": "older", "cloudflare_token_id": "t0", "build_token_uuid": "older-uuid"}
    world.sandbox.seed({"build_tokens": [token]})
    metadata = seeded(world, build_token_uuid="older-uuid")["build_trigger_metadata"]
    assert (metadata["build_token_uuid"], metadata["build_token_name"]) == ("older-uuid", "older")


def test_a_trigger_is_named_or_the_only_one(world: World) -> None:
    assert seeded(world, trigger="Preview")["build_trigger_metadata"]["branch"] == "feature"
    assert seeded(world, trigger_uuid="preview")["trigger"]["trigger_uuid"] == "preview"
    gone = {"worker": "api", "trigger_name": "gone", "deleted_on": "2026-01-01T00:00:00.000Z"}
    world.sandbox.seed({"triggers": [gone, {"worker": "api"}]})
    world.sandbox.seed({"builds": [{"worker": "api", "build_uuid": "only"}]})
    assert world.build("only")["trigger"]["trigger_name"] == "Deploy default branch"
    world.sandbox.seed({"builds": [{"worker": "api", "build_uuid": "gone", "trigger": "gone"}]})
    assert world.build("gone")["trigger"]["deleted_on"]


def test_on_the_newer_surface_builds_run_without_a_trigger(world: World) -> None:
    world.sandbox.seed({"builds": [{"worker": "new", "build_uuid": "n"}]})
    (build,) = world.ok("GET", f"{BUILDS}/workers/{NEWER_TAG}/builds")
    assert (build["trigger"], build["build_outcome"]) == (None, "success")
    assert build["build_trigger_metadata"]["build_token_uuid"] is None
    assert world.ok("GET", f"{BUILDS}/workers/{NEWER_TAG}/triggers") == []


def test_seeding_again_changes_nothing_and_a_changed_build_is_made_anew(world: World) -> None:
    item = {"worker": "web", "trigger": "Preview", "age": 100}
    document = {"builds": [item, item, {**item, "build_uuid": "b", "status": "running"}]}
    world.sandbox.seed(document)
    before = world.ok("GET", f"{BUILDS}/workers/{TAG}/builds")
    assert len(before) == 3
    world.wait(5)
    world.sandbox.seed(document)
    assert world.ok("GET", f"{BUILDS}/workers/{TAG}/builds") == before
    world.ok("PUT", f"{BUILDS}/builds/b/cancel")
    world.sandbox.seed(document)
    assert world.state("b") == ("stopped", "cancelled")
    world.sandbox.seed({"builds": [{**item, "build_uuid": "b", "outcome": "fail"}]})
    assert world.state("b") == ("stopped", "fail")
    assert len(world.ok("GET", f"{BUILDS}/workers/{TAG}/builds")) == 3


def test_a_seeded_build_has_the_same_uuid_on_every_run() -> None:
    def uuid() -> str:
        world = World()
        world.sandbox.seed({"triggers": TRIGGERS[:1], "builds": [{"worker": "web", "age": 1}]})
        (build,) = world.ok("GET", f"{BUILDS}/workers/{TAG}/builds")
        world.sandbox.close()
        return str(build["build_uuid"])

    assert uuid() == uuid()


def test_a_version_is_given_or_derived(world: World) -> None:
    seeded(world, version_id="v1", outcome="fail")
    found = world.ok("GET", f"{BUILDS}/builds", version_ids="v1,v2")["builds"]
    assert found["v1"]["build_uuid"] == "b"
    seeded(world, version_id="v2", status="running")
    assert world.ok("GET", f"{BUILDS}/builds", version_ids="v1,v2") == {"builds": {}}


def test_a_repository_that_is_seeded_again_is_replaced_and_others_stay(world: World) -> None:
    path = f"{BUILDS}/repos/github/41612145/{{}}/config_autofill"
    world.sandbox.seed({"repositories": [{**REPOSITORY, "branches": ["main"]}]})
    world.sandbox.seed({"repositories": [{**REPOSITORY, "repo_id": "7"}]})
    assert world.ok("GET", path.format("1332648945"), branch="main")
    assert world.ok("GET", path.format("7"), branch="any")
    world.sandbox.seed({"repositories": [REPOSITORY]})
    assert world.ok("GET", path.format("1332648945"), branch="any")


def test_no_secret_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    sandbox = Sandbox(path)
    secret = {"S": {"is_secret": True, "value": "canary-secret"}}
    sandbox.seed({**SEED, "triggers": TRIGGERS[:1], "builds": [{"worker": "web", "environment_variables": secret}]})
    sandbox.close()
    assert b"canary" not in path.read_bytes()


def test_a_file_of_version_1_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with sqlite3.connect(path) as db:
        for statement in SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        db.execute(
            "INSERT INTO build_tokens (build_token_uuid, build_token_name, cloudflare_token_id) VALUES (1, 2, 3)"
        )
    db.close()
    for _ in range(2):
        sandbox = Sandbox(path)
        answer = sandbox.handle("GET", f"{BUILDS}/tokens", {}, {"Authorization": "Bearer x"}, b"")
        assert [token["build_token_name"] for token in json.loads(answer.body)["result"]] == ["2"]
        answer = sandbox.handle("GET", f"{BUILDS}/workers/x/builds", {}, {"Authorization": "Bearer x"}, b"")
        assert json.loads(answer.body)["result"] == []
        sandbox.close()


BUILD = {"worker": "web", "trigger": "Preview"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"builds": {}}, "builds: must be a list"),
        ({"builds": [{}]}, r"builds\[0\].worker: must be a string"),
        ({"builds": [{"worker": "nobody"}]}, r"builds\[0\].worker: there is no Worker 'nobody'"),
        ({"builds": [{"worker": "web"}]}, r"builds\[0\]: needs trigger or trigger_uuid, as there are 2"),
        ({"builds": [{"worker": "api"}]}, r"builds\[0\]: needs trigger or trigger_uuid, as there are 0"),
        ({"builds": [{"worker": "web", "trigger": "x"}]}, r"builds\[0\].trigger: there is no 'x'"),
        ({"builds": [{"worker": "new", "trigger": "x"}]}, r"builds\[0\].trigger: there is no 'x'"),
        ({"builds": [{**BUILD, "trigger_uuid": "preview"}]}, "give trigger or trigger_uuid, not both"),
        ({"builds": [{**BUILD, "outcom": "fail"}]}, "unknown key 'outcom'"),
        ({"builds": [{**BUILD, "outcome": "failed"}]}, "outcome: must be one of success, fail, skipped"),
        ({"builds": [{**BUILD, "status": "done"}]}, "status: must be one of queued, initializing, running, stopped"),
        ({"builds": [{**BUILD, "status": "running", "outcome": "fail"}]}, "a build that is running has none"),
        ({"builds": [{**BUILD, "build_trigger_source": "push"}]}, "must be one of push_event, manual, retry, deploy"),
        ({"builds": [{**BUILD, "created_on": "2026-01-01", "age": 1}]}, "give created_on or age, not both"),
        ({"builds": [{**BUILD, "created_on": "soon"}]}, "created_on: must be a time"),
        ({"builds": [{**BUILD, "created_on": "0001-01-01"}]}, "created_on: must be a time"),
        ({"builds": [{**BUILD, "created_on": "9999-12-31"}]}, "created_on: must be a time"),
        ({"builds": [{**BUILD, "age": -1}]}, "age: must be a number of seconds"),
        ({"builds": [{**BUILD, "age": True}]}, "age: must be a number of seconds"),
        ({"builds": [{**BUILD, "age": float("nan")}]}, "age: must be a number of seconds"),
        ({"builds": [{**BUILD, "log": "line"}]}, "log: must be a list of strings"),
        ({"builds": [{**BUILD, "log": ["\ud800"]}]}, "log: must be a list of strings"),
        ({"builds": [{**BUILD, "log": [""] * 100_001}]}, "log: must have at most 100000 lines"),
        ({"builds": [{**BUILD, "author": 1}]}, "author: must be a string"),
        ({"builds": [{**BUILD, "build_command": 1}]}, "build_command: must be a string"),
        ({"builds": [{**BUILD, "environment_variables": {"A": 1}}]}, r"builds\[0\].environment_variables.A: must be"),
        ({"limits": []}, "limits: must be an object"),
        ({"limits": {"minutes": 1}}, "limits: unknown key 'minutes'"),
        ({"limits": {"has_reached_build_minutes_limit": 1}}, "must be true or false"),
        ({"limits": {"build_minutes_refresh_on": "soon"}}, "build_minutes_refresh_on: must be a time"),
        ({"repositories": {}}, "repositories: must be a list"),
        ({"repositories": [{"repo_id": "1"}]}, r"repositories\[0\].provider_account_id: must be a string"),
        ({"repositories": [{**REPOSITORY, "provider_type": "svn"}]}, "provider_type: must be one of github"),
        ({"repositories": [{**REPOSITORY, "branches": "main"}]}, "branches: must be a list of strings"),
        ({"repositories": [{**REPOSITORY, "root_directories": []}]}, "root_directories: must be an object"),
        ({"repositories": [{**REPOSITORY, "root_directories": {"a": [], "b": {}}}]}, "root_directories.a: must be"),
        ({"repositories": [{**REPOSITORY, "root_directories": {"a": {}, "/a": {}}}]}, "/a: is there twice"),
        ({"repositories": [{**REPOSITORY, "root_directories": {"a": {"name": "x"}}}]}, "unknown key 'name'"),
        ({"repositories": [{**REPOSITORY, "root_directories": {"a": {"scripts": {"b": 1}}}}]}, "scripts.b: must be"),
        (
            {"repositories": [{**REPOSITORY, "root_directories": {"a": {"package_manager": "pip"}}}]},
            "package_manager: must be one of npm, yarn, pnpm, bun, uv",
        ),
        ({"build_tokens": [{**SEED["build_tokens"][0], "dead": "yes"}]}, "dead: must be true or false"),
    ],
)
def test_a_bad_seed_says_where_and_leaves_nothing(world: World, document: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=message):
        world.sandbox.seed({**document, "connections": [{**SEED["connections"][0], "repo_name": "renamed"}]})
    shown = world.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")[0]["repo_connection"]
    assert (shown["repo_connection_uuid"], shown["repo_name"]) == (CONNECTION, "site")
    assert world.ok("GET", f"{BUILDS}/workers/{TAG}/builds") == []
