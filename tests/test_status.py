"""`status` tells what the last build of each declared trigger really used from what is live now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import story
from test_drift import LIVE, MANIFEST, seed

from reconciler import builds
from reconciler.errors import GatewayError
from reconciler.kinds.build import Build
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import Address, Live, Plan, Unread
from reconciler.render.status import status_text
from reconciler.states import DeclaredTrigger, Desired, Observed
from reconciler.status import Last, State, status

VARIABLES = "/builds/triggers/{web/production}/environment_variables"
UUID = "33333333-0000-4000-8000-00000000000{}"


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Path]:
    """Everything applied, and `web` built as it is."""
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        assert story.run(["apply", "--auto-approve"], {}).code == 0
        story.edit([["PATCH", VARIABLES, {"ELSEWHERE": {"is_secret": True, "value": "canary-x"}}]])
        preview = {"worker": "web", "trigger": "preview", "age": 100, "outcome": "success"}
        production = {"worker": "web", "trigger": "production", "age": 50, "outcome": "success"}
        seed({"builds": [preview, {**production, "build_uuid": UUID.format(1)}]})
        yield tmp_path


def rows(code: int = 0) -> dict[str, Any]:
    ran = story.run(["status", "--format", "json"], {})
    assert ran.code == code, ran.stderr
    assert all(one.startswith("GET") for one in ran.requests)
    assert "canary" not in ran.stdout + ran.stderr
    document = json.loads(ran.stdout)
    assert document["exit_codes"] == [code]
    return {one["address"]: one for one in document["triggers"]}


def test_a_run_that_fails_is_a_document_too(estate: Path) -> None:
    def failed(code: int) -> dict[str, Any]:
        ran = story.run(["status", "--format", "json"], {})
        assert ran.code == code, ran.stderr
        assert "error: " in ran.stderr
        document = json.loads(ran.stdout)
        assert (document["errored"], document["exit_codes"], document["triggers"]) == (True, [code], [])
        assert (story.run(["status"], {}).stdout, len(document["diagnostics"])) == ("", 1)
        problem: dict[str, Any] = document["diagnostics"][0]
        return problem

    Path("buildsctl.yaml").write_text(MANIFEST + "surprise: 1\n")
    assert failed(1)["range"]["filename"] == "buildsctl.yaml"
    Path("buildsctl.yaml").write_text(MANIFEST)
    Path("sandbox.db").unlink()  # a sandbox that knows no token
    seed({"api_tokens": {"another": "user"}})
    problem = failed(6)
    assert (problem["severity"], "token" in problem["summary"]) == ("error", True)


def test_what_was_built_as_it_is(estate: Path) -> None:
    found = rows()
    assert {address: one["state"] for address, one in found.items()} == {
        "trigger/api/production": "never-built",
        "trigger/web/preview": "as-configured",
        "trigger/web/production": "as-configured",
    }
    assert found["trigger/web/production"]["not_compared"] == 1
    assert found["trigger/web/production"]["build"]["build_uuid"] == UUID.format(1)
    assert not any(one["pending"] for one in found.values())
    plan = len(story.run(["plan"], {}).requests)
    assert len(story.run(["status"], {}).requests) == plan + 2  # latest builds, and the list of `web`


def test_what_was_applied_and_not_built_since(estate: Path) -> None:
    text = MANIFEST.replace(
        "branch_includes: [main]", 'branch_includes: [main]\n        build_command: "npm run build"', 1
    )
    Path("buildsctl.yaml").write_text(text.replace('A: "1"', 'B: "2"'))
    assert story.run(["apply", "--auto-approve"], {}).code == 0
    one = rows()["trigger/web/production"]
    assert (one["state"], one["pending"]) == ("not-built-since", False)
    assert [(d["path"], d["before"], d["after"]) for d in one["differences"]] == [
        ("build_command", "", "npm run build"),
        ("environment_variables.A", "1", None),
        ("environment_variables.B", None, "2"),
    ]
    text = story.run(["status"], {}).stdout
    assert "trigger/web/production: applied, but not built since" in text
    assert '    last build used another build_command: "" → "npm run build"' in text
    assert "Status: 1 as configured, 1 not built since, 1 never built." in text
    assert "trigger/api/production: never built\n" in text
    assert "hint: `buildsctl builds run api/production --branch BRANCH` starts the first one\n\nStatus:" in text


def test_what_was_changed_by_hand_is_not_what_the_manifests_say(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"deploy_command": "by \x1b hand"}]])
    one = rows()["trigger/web/production"]
    assert (one["state"], one["pending"]) == ("not-built-since", True)
    text = story.run(["status"], {}).stdout
    assert "changed live, but not built since; the manifests say something else" in text
    assert "\x1b" not in text


def test_a_secret_is_never_shown(estate: Path) -> None:
    story.edit([["PATCH", VARIABLES, {"A": {"is_secret": True, "value": "canary-y"}}]])
    differences = rows()["trigger/web/production"]["differences"]
    assert differences == [{"path": "environment_variables.A", "before": "1", "after": None, "sensitive": True}]
    assert 'environment_variables.A: "1" → (secret)' in story.run(["status"], {}).stdout


def test_another_token_and_another_branch(estate: Path) -> None:
    tokens = "22222222-0000-4000-8000-000000000009"
    seed({"build_tokens": [{"build_token_name": "old", "cloudflare_token_id": "t9", "build_token_uuid": tokens}]})
    build = {"worker": "web", "trigger": "production", "age": 20, "build_token_uuid": tokens, "branch": "trunk"}
    seed({"builds": [{**build, "outcome": "fail", "build_uuid": UUID.format(2)}]})
    found = rows()["trigger/web/production"]["differences"]
    assert [(one["path"], one["before"], one["after"]) for one in found] == [
        ("build_token", "old", "by hand"),
        ("branch_includes", ["trunk"], ["main"]),
    ]
    text = story.run(["status"], {}).stdout
    assert 'last build used another branch: ["trunk"] → ["main"]' in text
    assert f"`buildsctl builds get {UUID.format(2)}` says why it failed" in text
    seed({"builds": [{**build, "build_trigger_source": "manual", "age": 10, "build_token_uuid": None}]})
    assert "differences" in rows()["trigger/web/production"]
    assert not [one for one in rows()["trigger/web/production"]["differences"] if one["path"] == "branch_includes"]


def test_what_is_not_live(estate: Path) -> None:
    story.edit([["DELETE", "/builds/triggers/{web/preview}"]])
    Path("buildsctl.yaml").write_text(
        MANIFEST + "  gone: {triggers: {production: {branch_includes: [main], deploy_command: x}}}\n"
    )
    found = rows(code=1)
    assert found["trigger/web/preview"]["state"] == "not-live"
    assert found["trigger/web/preview"]["reason"] == "declared, and not applied yet"
    assert found["trigger/gone/production"]["reason"] == "its Worker does not exist"


@pytest.mark.parametrize(
    "path", ["builds/latest", "workers/{tag}/builds", "workers/{tag}/triggers", "triggers/*/environment_variables"]
)
def test_what_cannot_be_read_is_unknown(estate: Path, path: str) -> None:
    fault = f"500:GET:/builds/{path.format(tag=story.tag('web'))}:times=forever"
    ran = story.run(["status", "--format", "json"], {}, [fault])
    assert ran.code == 7
    assert "could not read" in ran.stderr
    states = {one["address"]: one["state"] for one in json.loads(ran.stdout)["triggers"]}
    assert states["trigger/web/preview"] == "unknown"
    assert "not-live" not in states.values()


def test_who_was_built_long_ago_is_not_called_never_built(estate: Path) -> None:
    production = {"worker": "web", "trigger": "production", "outcome": "success"}
    seed({"builds": [{**production, "age": 20 + n / 10, "author": f"a{n}"} for n in range(60)]})
    assert rows()["trigger/web/preview"]["state"] == "not-among-last"
    assert "none of the Worker's last 50 builds" in story.run(["status"], {}).stdout


# The pure part, where the sandbox cannot lead


def _status(
    metadata: dict[str, Any], variables: dict[str, EnvVar] | None = None, **more: Any
) -> tuple[State, list[tuple[str, object, object]], int]:
    address = Address.of("trigger", "web", "production")
    trigger = Trigger(
        external_script_id="t", trigger_name="production", repo_connection_uuid="c", build_token_uuid="k",
        branch_includes=("main",), deploy_command="x", root_directory="/apps/",
    )  # fmt: skip
    desired = Desired(owner=None, triggers=(DeclaredTrigger(address=address, resource=trigger),))
    observed = Observed(
        tags={"web": "tag"},
        triggers=(Live(id="u", resource=trigger, scope="web"),),
        variables={} if variables is None else {"u": variables},
    )
    build = Build(id="b", trigger_uuid="u", metadata=metadata)
    plan = Plan(account_id="", owner=None, changes=(), addresses={"u": address})
    row = status(desired, observed, plan, Last(builds={"u": build}, **more))[0]
    return row.state, [(one.path, one.before, one.after) for one in row.differences], row.not_compared


def test_what_a_build_does_not_say_is_not_compared() -> None:
    assert _status({}, {}) == (State.AS_CONFIGURED, [], 0)
    assert _status({"root_directory": "apps"}, {"BUILDSCTL": EnvVar(is_secret=False, value="{}")})[2] == 0
    assert _status({"build_command": None, "deploy_command": "x"}, {})[0] is State.AS_CONFIGURED
    assert _status({}, None)[0] is State.UNKNOWN
    assert _status({"deploy_command": "y"}, None)[0] is State.NOT_BUILT_SINCE
    assert _status({}, {"A": EnvVar(is_secret=False, value="1")})[2] == 1


def test_the_references_form_of_variables_may_be_secrets() -> None:
    """A map of texts does not say which of them are secret: none is shown."""
    given = {"environment_variables": {"A": "canary", "B": "2", "GONE": "canary", "NULL": {"value": None}}}
    live = {"A": EnvVar(is_secret=True, value=None), "B": EnvVar(is_secret=False, value="2")}
    state, differences, not_compared = _status(given, live)
    assert "canary" not in repr(differences)
    assert [one[0] for one in differences] == ["environment_variables.GONE", "environment_variables.NULL"]
    assert not_compared == 2
    assert state is State.NOT_BUILT_SINCE


def test_a_worker_that_could_not_be_listed_is_unknown() -> None:
    address = Address.of("trigger", "web", "production")
    trigger = Trigger(
        external_script_id="t", trigger_name="p", repo_connection_uuid="c", build_token_uuid="k",
        branch_includes=("main",), deploy_command="x",
    )  # fmt: skip
    desired = Desired(owner=None, triggers=(DeclaredTrigger(address=address, resource=trigger),))
    unread = Unread(what="the list", error=GatewayError("x"))
    row = status(desired, Observed(unread_scripts=unread), Plan(account_id="", owner=None, changes=()), Last())[0]
    assert (row.state, row.reason) == (State.UNKNOWN, "the list could not be read")
    text = status_text([row], lambda build: builds.seen("", build, datetime.now(UTC)))
    assert "trigger/web/production: unknown (the list could not be read)" in text
    assert status_text([], lambda build: builds.seen("", build, datetime.now(UTC))) == (
        "Status: no trigger is declared.\n"
    )
