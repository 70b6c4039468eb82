"""Seeding and storing: what a document may say; state outlives the process and withstands threads."""

import copy
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox import Sandbox, SeedError, StoreError

ROOT = "/client/v4/accounts/0123456789abcdef0123456789abcdef"
REPOSITORY = {
    "provider_type": "github",
    "provider_account_id": "1",
    "provider_account_name": "acme",
    "repo_id": "2",
    "repo_name": "site",
}
SEED: dict[str, Any] = {
    "workers": [{"id": "web"}],
    "connections": [REPOSITORY],
    "build_tokens": [{"build_token_name": "deploy", "cloudflare_token_id": "t"}],
    "triggers": [
        {
            "worker": "web",
            "build_token": "deploy",
            "repo_connection": "acme/site",
            "environment_variables": {"PLAIN": "x", "S": {"is_secret": True, "value": "canary-secret"}},
        },
        {"worker": "web", "branch_includes": ["*"], "created_on": "2025-01-02T03:04:05.000Z"},
    ],
}
TAG = "4f1c7e0c" + "0" * 24


def call(sandbox: Sandbox, method: str, path: str, body: object = None) -> Any:
    content = b"" if body is None else json.dumps(body).encode()
    response = sandbox.handle(method, ROOT + path, {}, {"Authorization": "Bearer canary-token"}, content)
    document = json.loads(response.body)
    assert document["success"] is True, document["errors"]
    return document["result"]


def triggers(sandbox: Sandbox, worker: str = "web") -> list[dict[str, Any]]:
    tag = call(sandbox, "GET", f"/workers/services/{worker}")["default_environment"]["script"]["tag"]
    listed = call(sandbox, "GET", f"/builds/workers/{tag}/triggers")
    assert isinstance(listed, list)
    return listed


def variables(sandbox: Sandbox, trigger: dict[str, Any]) -> Any:
    return call(sandbox, "GET", f"/builds/triggers/{trigger['trigger_uuid']}/environment_variables")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    numbers = count(1)
    made = Sandbox(new_uuid=lambda: f"00000000-0000-4000-8000-{next(numbers):012}")
    yield made
    made.close()


def test_defaults_are_filled_in(sandbox: Sandbox) -> None:
    sandbox.seed(SEED)
    production, preview = triggers(sandbox)
    assert production["trigger_name"] == "Deploy default branch"
    assert production["branch_includes"] == ["main"]
    assert production["deploy_command"] == "npx wrangler deploy"
    assert production["build_token_name"] == "deploy"
    assert production["repo_connection"]["repo_id"] == "2"
    assert preview["trigger_name"] == "Deploy non-production branches"
    assert preview["branch_excludes"] == ["main"]
    assert preview["deploy_command"] == "npx wrangler versions upload"
    assert preview["created_on"] == "2025-01-02T03:04:05.000Z"
    shown = variables(sandbox, production)
    assert (shown["PLAIN"]["value"], shown["S"]["value"], shown["S"]["is_secret"]) == ("x", None, True)
    assert variables(sandbox, preview) == {}


def test_a_tag_is_given_or_derived_from_the_name(sandbox: Sandbox) -> None:
    sandbox.seed({"workers": [{"id": "web"}, {"id": "api", "tag": TAG}]})
    tags = {item["id"]: item["tag"] for item in call(sandbox, "GET", "/workers/scripts")}
    assert tags["api"] == TAG
    other = Sandbox()
    other.seed({"workers": [{"id": "web"}]})
    assert call(other, "GET", "/workers/scripts")[0]["tag"] == tags["web"]
    other.close()


def test_states_that_the_api_refuses_can_be_seeded(sandbox: Sandbox) -> None:
    odd = [
        {"worker": "web", "branch_includes": ["a", "b/*"], "branch_excludes": ["c", "*"]},
        {"worker": "web", "trigger_name": "twin", "deploy_command": None, "root_directory": None},
        {"worker": "web", "trigger_name": "gone", "deleted_on": "2025-01-02T03:04:05.000Z"},
    ]
    sandbox.seed({**SEED, "triggers": odd})
    first, twin, gone = triggers(sandbox)
    assert first["branch_includes"] == ["a", "b/*"]
    assert (twin["deploy_command"], twin["root_directory"]) == (None, None)
    # Only the filters that a PATCH sends are judged.
    assert call(sandbox, "PATCH", f"/builds/triggers/{first['trigger_uuid']}", {"build_command": "make"})
    assert gone["deleted_on"] == "2025-01-02T03:04:05.000Z"
    path = f"{ROOT}/builds/triggers/{gone['trigger_uuid']}"
    assert sandbox.handle("DELETE", path, {}, {"Authorization": "Bearer x"}, b"").status == 404


def test_a_soft_deleted_trigger_does_not_count(sandbox: Sandbox) -> None:
    gone = {"worker": "web", "deleted_on": "2025-01-02T03:04:05.000Z"}
    preview = {"worker": "web", "branch_includes": ["*"]}
    sandbox.seed({**SEED, "triggers": [gone, {**gone, "trigger_name": "x"}, preview]})
    change = {"branch_includes": ["main"], "branch_excludes": []}
    uuid = triggers(sandbox)[2]["trigger_uuid"]
    assert call(sandbox, "PATCH", f"/builds/triggers/{uuid}", change)["branch_includes"] == ["main"]


def test_seeding_again_changes_nothing(sandbox: Sandbox) -> None:
    def state() -> list[Any]:
        listed = triggers(sandbox)
        known = [call(sandbox, "GET", "/workers/scripts"), call(sandbox, "GET", "/builds/tokens")]
        return [listed, *known, [variables(sandbox, trigger) for trigger in listed]]

    twins = {"worker": "web", "trigger_name": "twin"}
    tokens = [*SEED["build_tokens"], *SEED["build_tokens"]]
    triggers_ = [{**item, "build_token_uuid": "u"} for item in (twins, twins)]
    given = {"build_token_name": "deploy", "cloudflare_token_id": "t", "build_token_uuid": "u"}
    sandbox.seed({**SEED, "build_tokens": [given, *tokens], "triggers": triggers_})
    before = state()
    assert len(before[0]) == 2
    assert len(before[2]) == 3
    sandbox.seed({**SEED, "build_tokens": [given, *tokens], "triggers": triggers_})
    assert state() == before


def test_seeding_again_updates_and_adds(sandbox: Sandbox) -> None:
    sandbox.seed(SEED)
    before, preview = triggers(sandbox)
    changed = copy.deepcopy(SEED)
    changed["connections"][0]["repo_name"] = "renamed"
    changed["triggers"][0].update(repo_connection="acme/renamed", build_command="make")
    changed["triggers"][0]["environment_variables"] = {"PLAIN": "y", "MORE": "z"}
    changed["workers"][0]["newer_surface"] = True
    sandbox.seed(changed)
    after, same = triggers(sandbox)
    assert after["trigger_uuid"] == before["trigger_uuid"]
    assert (after["build_command"], after["repo_connection"]["repo_name"]) == ("make", "renamed")
    assert same == {**preview, "repo_connection": after["repo_connection"]}
    assert {key: item["value"] for key, item in variables(sandbox, after).items()} == {
        "PLAIN": "y",
        "MORE": "z",
        "S": None,
    }
    assert call(sandbox, "GET", f"/builds/workers/{after['external_script_id']}")


def test_seeding_again_brings_back_what_was_deleted(sandbox: Sandbox) -> None:
    seed = copy.deepcopy(SEED)
    seed["connections"][0]["repo_connection_uuid"] = "c"
    seed["build_tokens"][0]["build_token_uuid"] = "t"
    sandbox.seed(seed)
    before = triggers(sandbox)
    call(sandbox, "DELETE", "/builds/repos/connections/c")
    call(sandbox, "DELETE", "/builds/tokens/t")
    sandbox.seed(seed)
    assert triggers(sandbox) == before
    assert [token["build_token_uuid"] for token in call(sandbox, "GET", "/builds/tokens")] == ["t"]
    # Without a given UUID it comes back as another one, and the trigger moves to that.
    call(sandbox, "DELETE", "/builds/repos/connections/c")
    del seed["connections"][0]["repo_connection_uuid"]
    sandbox.seed(seed)
    connection = triggers(sandbox)[0]["repo_connection"]
    assert connection["repo_connection_uuid"] != "c"
    assert connection["deleted_on"] is None


def test_a_trigger_that_comes_back_has_none_of_its_old_variables(sandbox: Sandbox) -> None:
    seed = {**SEED, "triggers": [{"worker": "web", "trigger_uuid": "u"}]}
    sandbox.seed(seed)
    call(sandbox, "PATCH", "/builds/triggers/u/environment_variables", {"A": {"is_secret": True, "value": "x"}})
    call(sandbox, "DELETE", "/builds/triggers/u")
    sandbox.seed(seed)
    assert call(sandbox, "GET", "/builds/triggers/u/environment_variables") == {}


TRIGGER = {"worker": "web"}
TWO_TOKENS = [{"build_token_name": "same", "cloudflare_token_id": name} for name in "ab"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the seed: must be an object"),
        ({"worker": []}, "unknown key 'worker'"),
        ({"account_id": "acme"}, "account_id: must be 32"),
        ({"account_id": 7}, "account_id: must be a string"),
        ({"api_tokens": {"canary-token": "admin"}}, "api_tokens: the kind of a token must be one of user"),
        ({"api_tokens": ["x"]}, "api_tokens: must be an object"),
        ({"workers": {}}, "workers: must be a list"),
        ({"workers": [{}]}, r"workers\[0\].id: must be a string"),
        ({"workers": [{"id": "a"}, {"id": ""}]}, r"workers\[1\].id: must be a string that is not empty"),
        ({"workers": [{"id": "a", "tag": "A" * 32}]}, r"workers\[0\].tag: must be 32"),
        ({"workers": [{"id": "a", "newer_surface": 1}]}, "newer_surface: must be true or false"),
        ({"workers": [{"id": "a", "name": "x"}]}, "unknown key 'name', known are id, newer_surface, tag"),
        ({"workers": [{"id": "a", "tag": TAG}, {"id": "b", "tag": TAG}]}, "another Worker has the tag"),
        ({"workers": [{"id": "a"}, {"id": "a", "tag": TAG}]}, "exists already, with the tag"),
        ({"connections": [{}]}, r"connections\[0\].provider_account_id"),
        ({"connections": [{**REPOSITORY, "repo_id": 2}]}, r"connections\[0\].repo_id: must be a string"),
        ({"connections": [{**REPOSITORY, "provider_type": "x"}]}, "provider_type: must be one of github"),
        ({"connections": [{**REPOSITORY, "repo_connection_uuid": name} for name in "ab"]}, "with the UUID a"),
        (
            {"connections": [{**REPOSITORY, "repo_id": name, "repo_connection_uuid": "u"} for name in "ab"]},
            "the connection u exists already",
        ),
        ({"build_tokens": [{"build_token_name": "x"}]}, r"build_tokens\[0\].cloudflare_token_id"),
        ({"triggers": [{}]}, r"triggers\[0\].worker"),
        ({**SEED, "triggers": [{"worker": "nobody"}]}, "there is no Worker 'nobody'"),
        (
            {**SEED, "triggers": [{**TRIGGER, "build_tokn": "x"}]},
            "unknown key 'build_tokn', did you mean 'build_token'?",
        ),
        ({**SEED, "triggers": [{**TRIGGER, "build_token": "x"}]}, "build_token: there is no 'x'"),
        ({**SEED, "triggers": [{**TRIGGER, "repo_connection_uuid": "x"}]}, "repo_connection: there is no 'x'"),
        ({**SEED, "triggers": [{**TRIGGER, "build_token": "x", "build_token_uuid": "y"}]}, "not both"),
        ({"workers": [{"id": "web"}], "triggers": [TRIGGER]}, "needs repo_connection or repo_connection_uuid"),
        ({**SEED, "build_tokens": TWO_TOKENS, "triggers": [TRIGGER]}, "as there are 2 to choose from"),
        ({**SEED, "build_tokens": TWO_TOKENS, "triggers": [{**TRIGGER, "build_token": "same"}]}, "2 have the name"),
        ({**SEED, "triggers": [{**TRIGGER, "branch_includes": "main"}]}, "branch_includes: must be a list"),
        ({**SEED, "triggers": [{**TRIGGER, "path_includes": [1]}]}, "path_includes: must be a list of strings"),
        ({**SEED, "triggers": [{**TRIGGER, "trigger_name": None}]}, "trigger_name: must be a string"),
        ({**SEED, "triggers": [{**TRIGGER, "build_caching_enabled": None}]}, "must be true or false"),
        ({**SEED, "triggers": [{**TRIGGER, "created_on": "yesterday"}]}, "created_on: must be a time"),
        ({**SEED, "triggers": [{**TRIGGER, "environment_variables": {"A": 1}}]}, "A: must be an object"),
        ({**SEED, "triggers": [{**TRIGGER, "environment_variables": {"A": {"value": "x"}}}]}, "A.is_secret"),
        ({**SEED, "triggers": [{**TRIGGER, "environment_variables": {"A": {"is_secret": True}}}]}, "A.value"),
        ({**SEED, "workers": [{"id": "\ud800"}]}, "id: must be a string"),
    ],
)
def test_a_bad_seed_says_where_and_leaves_nothing(sandbox: Sandbox, document: Any, message: str) -> None:
    with pytest.raises(SeedError, match=message) as caught:
        sandbox.seed(document)
    assert "canary" not in str(caught.value)
    assert call(sandbox, "GET", "/workers/scripts") == []


def test_a_trigger_stays_on_its_worker(sandbox: Sandbox) -> None:
    workers = [{"id": "web"}, {"id": "api"}]
    sandbox.seed({**SEED, "workers": workers, "triggers": [{"worker": "web", "trigger_uuid": "u"}]})
    with pytest.raises(SeedError, match="the trigger u exists already, on another Worker"):
        sandbox.seed({"triggers": [{"worker": "api", "trigger_uuid": "u"}]})


# --- the file


def test_state_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    first = Sandbox(path)
    first.seed({**SEED, "account_id": ROOT.rpartition("/")[2], "api_tokens": {"canary-token": "user"}})
    call(first, "POST", "/builds/tokens", {**SEED["build_tokens"][0], "build_token_secret": "canary-build"})
    before = triggers(first)
    first.close()
    second = Sandbox(path)
    assert triggers(second) == before
    assert second.requests() != []
    refused = second.handle("GET", f"{ROOT}/builds/tokens", {}, {"Authorization": "Bearer other"}, b"")
    assert refused.status == 401
    second.close()
    second.close()
    assert b"canary" not in path.read_bytes()


def test_two_sandboxes_share_one_file(tmp_path: Path) -> None:
    one, two = Sandbox(tmp_path / "sandbox.db"), Sandbox(tmp_path / "sandbox.db")
    one.seed(SEED)
    uuid = triggers(two)[0]["trigger_uuid"]
    call(two, "PATCH", f"/builds/triggers/{uuid}", {"build_command": "make"})
    assert triggers(one)[0]["build_command"] == "make"
    one.close()
    two.close()


WRITER = """
import json, sys
from reconciler.sandbox import Sandbox
sandbox = Sandbox(sys.argv[1])
for index in range(40):
    token_id = f"{sys.argv[2]}-{index}"
    body = {"build_token_name": "n", "build_token_secret": "s", "cloudflare_token_id": token_id}
    path = "/client/v4/accounts/a/builds/tokens"
    response = sandbox.handle("POST", path, {}, {"Authorization": "Bearer x"}, json.dumps(body).encode())
    assert response.status == 200, response.body
sandbox.close()
"""


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    assert [writer.wait(timeout=30) for writer in writers] == [0, 0]
    sandbox = Sandbox(path)
    response = sandbox.handle("GET", f"{ROOT}/builds/tokens", {"per_page": "200"}, {"Authorization": "Bearer x"}, b"")
    ids = [token["cloudflare_token_id"] for token in json.loads(response.body)["result"]]
    sandbox.close()
    assert sorted(ids) == sorted(f"{name}-{index}" for name in "ab" for index in range(40))


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be taken for one at first sight" * 20)
    with pytest.raises(StoreError, match=r"notes\.txt: file is not a database"):
        Sandbox(text)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE workers (x)")
    db.close()
    before = foreign.read_bytes()
    with pytest.raises(StoreError, match="was not made by the sandbox"):
        Sandbox(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(StoreError, match="unable to open"):
        Sandbox(tmp_path / "missing" / "sandbox.db")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    Sandbox(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="its data has version 99"):
        Sandbox(path)


# --- threads


def test_threads_neither_lose_nor_double_anything(sandbox: Sandbox) -> None:
    sandbox.seed({**SEED, "triggers": SEED["triggers"][:1]})
    (trigger,) = triggers(sandbox)
    path = f"/builds/triggers/{trigger['trigger_uuid']}/environment_variables"

    def write(index: int) -> None:
        call(sandbox, "PATCH", path, {f"K{index}": {"is_secret": False, "value": str(index)}})
        call(sandbox, "GET", path)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(60)))
    shown = call(sandbox, "GET", path)
    assert {key: item["value"] for key, item in shown.items() if key[0] == "K"} == {
        f"K{index}": str(index) for index in range(60)
    }


def test_of_many_creates_at_once_one_wins(sandbox: Sandbox) -> None:
    sandbox.seed({**SEED, "triggers": [{"worker": "web", "branch_includes": ["*"]}]})
    (preview,) = triggers(sandbox)
    body = {name: preview[name] for name in preview if name.startswith(("path_", "build_token_uuid"))}
    body |= {name: preview[name] for name in ("build_command", "deploy_command", "root_directory")}
    body |= {"branch_includes": ["main"], "branch_excludes": [], "trigger_name": "x"}
    body |= {"external_script_id": preview["external_script_id"]}
    body["repo_connection_uuid"] = preview["repo_connection"]["repo_connection_uuid"]

    def create(_: int) -> int:
        content = json.dumps(body).encode()
        return sandbox.handle("POST", f"{ROOT}/builds/triggers", {}, {"Authorization": "Bearer x"}, content).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(16))) == [200] + [400] * 15
