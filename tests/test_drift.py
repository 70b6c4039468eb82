"""`drift` finds exactly what somebody changed, tells new from known, and sees what is broken though as declared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import story

from reconciler.errors import AnswerError
from reconciler.kinds.build import Build
from reconciler.sandbox import Sandbox

MANIFEST = """
version: 1
owner: acme
connections: {acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}}
tokens: {shared: {build_token_name: by hand}}
workers:
  web:
    triggers:
      production:
        branch_includes: [main]
        deploy_command: npx wrangler deploy
        environment_variables: {A: "1", ELSEWHERE: {is_secret: true}}
      preview:
        branch_includes: ["*"]
        branch_excludes: [main]
        deploy_command: npx wrangler versions upload
  api:
    root_directory: apps/api
    triggers: {production: {branch_includes: [main], deploy_command: npx wrangler deploy --env staging}}
"""
ELSEWHERE = {"ELSEWHERE": {"is_secret": True, "value": "canary-x"}}
LIVE: dict[str, Any] = {
    "workers": [{"id": name} for name in ("web", "api", "other")],
    "connections": [
        {
            "provider_account_id": "41612145",
            "provider_account_name": "acme",
            "repo_id": "1332648945",
            "repo_name": "site",
        }
    ],
    "build_tokens": [
        {
            "build_token_name": "by hand",
            "cloudflare_token_id": "t1",
            "build_token_uuid": "22222222-0000-4000-8000-000000000001",
        },
        {"build_token_name": "unused", "cloudflare_token_id": "t2"},
    ],
    "triggers": [
        {
            "worker": "other",
            "trigger_name": "by hand",
            "build_token": "by hand",
            "deploy_command": "x",
            "branch_includes": ["main"],
        }
    ],
    "repositories": [
        {
            "provider_account_id": "41612145",
            "repo_id": "1332648945",
            "branches": ["main"],
            "root_directories": {
                "/": {"config_file": "wrangler.jsonc", "default_worker_name": "web"},
                "apps/api": {"default_worker_name": "api", "env_worker_names": {"staging": "api"}},
            },
        }
    ],
}


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Path]:
    """An account as the manifests say, with what somebody made by hand beside it."""
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        seed(LIVE)
        assert story.run(["apply", "--auto-approve"], {}).code == 0
        story.edit([["PATCH", "/builds/triggers/{web/production}/environment_variables", ELSEWHERE]])
        yield tmp_path


def seed(document: dict[str, Any]) -> None:
    sandbox = Sandbox("sandbox.db")
    sandbox.seed(document)
    sandbox.close()


def drift(*arguments: str, code: int) -> dict[str, Any]:
    ran = story.run(["drift", "--format", "json", *arguments], {})
    assert ran.code == code, ran.stdout + ran.stderr
    assert all(one.startswith("GET") for one in ran.requests)
    document = json.loads(ran.stdout)
    assert document["exit_codes"][0] == code
    return document


def found(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["address"]) for one in document["findings"]]


def test_nothing_is_found_where_nothing_differs(estate: Path) -> None:
    assert found(drift(code=0)) == []


def test_an_outside_edit_is_found_and_nothing_else(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "by hand"}]])
    document = drift(code=2)
    assert found(document) == [("live", "trigger/web/production")]
    assert document["findings"][0]["fields"] == ["build_command"]
    assert document["findings"][0]["cause"] == "live"
    assert drift("--fail-on", "health,pending", code=0)["summary"]["live"] == 1
    assert drift("--fail-on", "none", code=0)["summary"]["live"] == 1


@pytest.mark.parametrize(
    ("edit", "address"),
    [
        (["DELETE", "/builds/triggers/{web/preview}"], "trigger/web/preview"),
        (["DELETE", "/builds/triggers/{web/production}/environment_variables/A"], "env/web/production/A"),
        (
            ["DELETE", "/builds/triggers/{web/production}/environment_variables/ELSEWHERE"],
            "env/web/production/ELSEWHERE",
        ),
    ],
)
def test_what_was_taken_away_by_hand_is_live(estate: Path, edit: list[Any], address: str) -> None:
    story.edit([edit])
    assert found(drift(code=2)) == [("live", address)]


MANAGED = "{cloudflare_token_id: t9, build_token_secret: {value_from: {env: S}}}"


def test_a_managed_token_that_was_deleted_by_hand_is_live_with_its_triggers(estate: Path) -> None:
    Path("buildsctl.yaml").write_text(MANIFEST.replace("{build_token_name: by hand}", MANAGED))
    triggers = ["trigger/api/production", "trigger/web/preview", "trigger/web/production"]
    assert found(drift(code=2)) == [("live", "token/shared"), *(("pending", one) for one in triggers)]
    assert story.run(["apply", "--auto-approve", "--no-verify-token"], {"S": "canary-s"}).code == 0
    assert found(drift(code=0)) == []
    Path("buildsctl.yaml").write_text(MANIFEST.replace("{build_token_name: by hand}", MANAGED.replace("t9", "t8")))
    assert not drift(code=0)["summary"]["live"]  # a rotation
    Path("buildsctl.yaml").write_text(MANIFEST.replace("{build_token_name: by hand}", MANAGED))
    delete_token("acme:shared")
    document = drift(code=2)
    assert found(document) == [("live", "token/shared"), *(("live", one) for one in triggers)]
    assert {one["cause"] for one in document["findings"][1:]} == {"live"}
    text = story.run(["drift"], {}).stdout
    assert "not applied yet" not in text
    assert "the manifests changed" not in text


def test_a_referenced_token_that_was_made_anew_by_hand_is_live(estate: Path) -> None:
    delete_token("by hand")
    seed({"build_tokens": [{"build_token_name": "by hand", "cloudflare_token_id": "t1"}]})
    Path("buildsctl.yaml").write_text(MANIFEST.replace("root_directory: apps/api", "root_directory: apps/other"))
    assert found(drift(code=2)) == [
        ("pending", "trigger/api/production"),  # its manifest changed, too
        ("live", "trigger/web/preview"),
        ("live", "trigger/web/production"),
    ]


def delete_token(name: str) -> None:
    sandbox = Sandbox("sandbox.db")
    tokens = story.call(sandbox, "GET", "/builds/tokens")[1]
    uuid = next(one["build_token_uuid"] for one in tokens if one["build_token_name"].startswith(name))
    assert story.call(sandbox, "DELETE", f"/builds/tokens/{uuid}")[0] == 200
    sandbox.close()


def test_a_secret_that_is_looked_after_elsewhere_and_lies_open_is_live(estate: Path) -> None:
    """Without a value nothing is written: only a finding can tell."""
    edit = {"ELSEWHERE": {"is_secret": False, "value": "canary-x"}}
    story.edit([["PATCH", "/builds/triggers/{web/production}/environment_variables", edit]])
    document = drift(code=2)
    assert found(document) == [("live", "env/web/production/ELSEWHERE")]
    assert document["findings"][0]["summary"] == "it is there, but as no secret"
    assert "canary-x" not in json.dumps(document)


def test_what_the_manifests_changed_is_pending(estate: Path) -> None:
    Path("buildsctl.yaml").write_text(MANIFEST.replace('A: "1"', 'A: "2", B: "3"'))
    document = drift(code=0)
    assert found(document) == [("pending", "env/web/production/A"), ("pending", "env/web/production/B")]
    assert found(drift("--fail-on", "pending", code=2)) == found(document)


def test_what_nobody_declares_is_unmanaged(estate: Path) -> None:
    story.edit(
        [
            [
                "PATCH",
                "/builds/triggers/{web/production}/environment_variables",
                {"HAND": {"is_secret": False, "value": "x"}},
            ]
        ]
    )
    assert found(drift(code=0)) == [("unmanaged", "env/web/production/HAND")]
    document = drift("--all", code=0)
    assert found(document) == [
        ("unmanaged", "env/web/production/HAND"),
        ("unmanaged", "trigger/other/by hand"),
        ("unmanaged", "token/unused"),
    ]


def test_a_token_of_a_name_that_the_manifests_mean_is_no_stranger(estate: Path) -> None:
    twin = {"build_token_name": "by hand", "cloudflare_token_id": "t7", "build_token_secret": "s"}
    story.edit([["POST", "/builds/tokens", twin]])
    ran = story.run(["drift", "--all", "--format", "json"], {})
    assert "2 build tokens have the name" in ran.stdout
    assert "token/by hand" not in [address for _, address in found(json.loads(ran.stdout))]


def test_a_baseline_tells_new_known_and_gone(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "by hand"}]])
    first = drift("--out", "base.json", code=2)
    again = drift("--baseline", "base.json", code=0)
    assert [one["id"] for one in again["findings"]] == [one["id"] for one in first["findings"]]
    assert (again["summary"]["new"], again["summary"]["known"], again["summary"]["gone"]) == (0, 1, 0)
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "by another hand"}]])
    moved = drift("--baseline", "base.json", code=2)
    assert (moved["summary"]["new"], moved["summary"]["gone"]) == (1, 0)
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": ""}]])
    mended = drift("--baseline", "base.json", code=0)
    assert [one["address"] for one in mended["gone"]] == ["trigger/web/production"]
    ran = story.run(["drift", "--baseline", "base.json"], {})
    assert "Gone since the baseline:" in ran.stdout
    assert story.run(["drift", "--baseline", "absent.json"], {}).code == 1
    Path("odd.json").write_text("{}")
    assert "no drift report" in story.run(["drift", "--baseline", "odd.json"], {}).stderr


def test_what_is_new_is_told_first(estate: Path) -> None:
    for number in range(30):
        body = {f"K{number}": {"is_secret": False, "value": "x"}}
        story.edit([["PATCH", "/builds/triggers/{api/production}/environment_variables", body]])
    drift("--out", "base.json", code=0)
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "new"}]])
    text = story.run(["drift", "--baseline", "base.json", "--format", "markdown"], {}).stdout
    assert text.index("trigger/web/production") < text.index("env/api")
    assert "known already" in text


def test_what_was_changed_again_stands_there_once(estate: Path) -> None:
    """It ends in 2, as what is new does; what was there before is not gone."""
    for command in ("by hand", "by another hand"):
        story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": command}]])
        drift("--out", command, code=2)
    ran = story.run(["drift", "--baseline", "by hand"], {})
    assert ran.code == 2
    assert "  trigger/web/production (changed again)\n" in ran.stdout
    assert ran.stdout.count("trigger/web/production") == 1
    assert "Drift: 1 live; 1 new, 0 known, 0 gone. " in ran.stdout
    again = drift("--baseline", "by hand", code=2)
    assert [(one["state"], one["changed_again"]) for one in again["findings"]] == [("new", True)]
    assert (again["gone"], again["unseen"]) == ([], [])
    known = drift("--baseline", "by another hand", code=0)
    assert [(one["state"], one["changed_again"]) for one in known["findings"]] == [("known", False)]


def test_what_cannot_be_read_is_7_and_nothing_is_gone(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "by hand"}]])
    drift("--out", "base.json", code=2)
    fault = f"500:GET:/builds/workers/{story.tag('web')}/triggers:times=forever"
    ran = story.run(["drift", "--baseline", "base.json", "--format", "json"], {}, [fault])
    assert ran.code == 7
    assert json.loads(ran.stdout)["gone"] == []


def test_what_cannot_be_read_is_not_called_none(estate: Path) -> None:
    ran = story.run(["drift", "--api-base-url", "http://127.0.0.1:9/client/v4"], {}, faults=["500:GET:/*"])
    assert ran.code == 7
    assert ran.stdout.startswith("Drift: none that can be seen; not everything could be read.")


def test_what_a_run_did_not_look_for_is_not_gone(estate: Path) -> None:
    seed({"limits": {"has_reached_build_minutes_limit": True, "build_minutes_refresh_on": "2026-12-01T00:00:00Z"}})
    drift("--health", "--all", "--out", "base.json", code=2)
    narrow = drift("--baseline", "base.json", "--out", "base.json", code=0)
    assert narrow["gone"] == []
    assert [one["address"] for one in narrow["unseen"]] == ["trigger/other/by hand", "token/unused", "account"]
    ran = story.run(["drift", "--baseline", "base.json"], {})
    assert "In the baseline, not looked at:\n  trigger/other/by hand" in ran.stdout
    assert "0 gone, 3 not looked at" in ran.stdout
    again = drift("--health", "--all", "--baseline", "base.json", code=0)
    assert (again["summary"]["known"], again["gone"], again["unseen"]) == (3, [], [])


def test_what_could_not_be_read_is_still_known_by_the_run_after(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "by hand"}]])
    drift("--out", "base.json", code=2)
    fault = f"500:GET:/builds/workers/{story.tag('web')}/triggers:times=forever"
    ran = story.run(["drift", "--baseline", "base.json", "--out", "base.json"], {}, [fault])
    assert ran.code == 7
    assert drift("--baseline", "base.json", code=0)["summary"]["known"] == 1


def test_what_leads_nowhere_is_drift(estate: Path) -> None:
    """A Worker, or a token that is looked up, went away or was renamed: nothing else would tell."""
    text = MANIFEST.replace("  web:", "  absent:\n    triggers: {p: {branch_includes: [x], deploy_command: x}}\n  web:")
    Path("buildsctl.yaml").write_text(text.replace("by hand", "renamed"))
    document = drift(code=2)
    assert {("live", "worker/absent"), ("live", "token/shared")} <= set(found(document))
    assert "deploy it first" in "".join(one["hint"] for one in document["findings"])


def test_an_id_does_not_hang_on_the_order_of_a_list(estate: Path) -> None:
    ids = []
    for paths, root in ((["a/*", "b/*"], "x"), (["b/*", "a/*"], "/x/")):
        edit = {"path_includes": paths, "root_directory": root}
        story.edit([["PATCH", "/builds/triggers/{web/production}", edit]])
        ids.append([one["id"] for one in drift(code=2)["findings"]])
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("arguments", "environment", "fault", "code"),
    [
        ([], {}, "401:GET:*:times=forever", 6),
        (["--baseline", "absent.json"], {}, "", 1),
        (["absent.yaml"], {}, "", 1),
        ([], {"BUILDSCTL_FINGERPRINT_KEY": "short"}, "", 1),
    ],
)
def test_a_report_is_written_whatever_ends_the_run(
    estate: Path, arguments: list[str], environment: dict[str, str], fault: str, code: int
) -> None:
    Path("out.json").write_text("old")
    if fault:
        Path("sandbox.db").unlink()  # a sandbox that knows no token
        seed({"api_tokens": {"another": "user"}})
    ran = story.run(["drift", "--out", "out.json", "--format", "json", *arguments], environment)
    assert ran.code == code, ran.stderr
    document = json.loads(Path("out.json").read_text())
    assert json.loads(ran.stdout) == document
    assert (document["errored"], document["complete"], document["exit_codes"]) == (True, False, [code])
    assert document["error"]["message"]
    ran = story.run(["drift", "--format", "markdown", *arguments], environment)
    assert ran.stdout.startswith("<!-- buildsctl:drift ")
    assert "drift: failed" in ran.stdout


def test_a_report_of_broken_manifests_says_what_is_broken_and_where(estate: Path) -> None:
    text = Path("buildsctl.yaml").read_text()
    Path("buildsctl.yaml").write_text(text + "surprise: 1\n")
    found = drift("--out", "out.json", code=1)["diagnostics"]
    assert [(one["severity"], one["range"]["start"]["line"]) for one in found] == [("error", text.count("\n") + 1)]
    for format_ in ("markdown", "html"):
        ran = story.run(["drift", "--format", format_], {})
        assert (ran.code, "surprise" in ran.stdout, "buildsctl.yaml:" in ran.stdout) == (1, True, True)


def test_what_ends_a_run_leaves_the_baseline_known(estate: Path) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "by hand"}]])
    drift("--out", "base.json", code=2)
    Path("buildsctl.yaml").rename("aside.yaml")
    assert story.run(["drift", "--baseline", "base.json", "--out", "base.json"], {}).code == 1
    Path("aside.yaml").rename("buildsctl.yaml")
    assert drift("--baseline", "base.json", code=0)["summary"]["known"] == 1


def test_a_baseline_of_another_estate_is_refused(estate: Path) -> None:
    base = drift("--out", "base.json", code=0)
    for change in ({"scope": {**base["scope"], "owner": "others"}}, {"format_version": "2.0"}, {"looked_at": None}):
        Path("other.json").write_text(json.dumps(base | change))
        assert story.run(["drift", "--baseline", "other.json"], {}).code == 1
    Path("nowhere").mkdir()
    ran = story.run(["drift", "--out", "nowhere/x/drift.json"], {})
    assert (ran.code, ran.requests) == (1, [])


def health(code: int = 2) -> list[tuple[str, str]]:
    document = drift("--health", code=code)
    return [(one["address"], one["summary"]) for one in document["findings"] if one["kind"] == "health"]


def test_a_healthy_estate_is_healthy_and_costs_few_requests(estate: Path) -> None:
    seed({"builds": [{"worker": "web", "trigger": "production"}]})
    assert health(code=0) == []
    plain = len(story.run(["drift"], {}).requests)
    assert len(story.run(["drift", "--health"], {}).requests) == plain + 4  # limits, latest, two probes


def test_a_dead_token_is_found_though_everything_is_as_declared(estate: Path) -> None:
    seed(
        {
            "build_tokens": [{**LIVE["build_tokens"][0], "dead": True}],
            "builds": [{"worker": "web", "trigger": "production"}],
        }
    )
    ((address, summary),) = health()
    assert address == "trigger/web/production"
    assert "build token was deleted or rolled" in summary


def test_a_name_that_differs_is_found(estate: Path) -> None:
    repository = json.loads(json.dumps(LIVE["repositories"][0]))
    repository["root_directories"]["apps/api"]["env_worker_names"] = {"staging": "api-staging"}
    repository["root_directories"]["/"]["default_worker_name"] = "site"
    seed({"repositories": [repository]})
    summaries = dict(health())
    assert "names the Worker `api-staging`, this one is `api`" in summaries["trigger/api/production"]
    assert "wrangler.jsonc in `/` names the Worker `site`" in summaries["trigger/web/production"]


def test_a_repository_that_cannot_be_reached_is_found(estate: Path) -> None:
    seed({"repositories": [{**LIVE["repositories"][0], "branches": ["trunk"]}]})
    assert {address for address, summary in health() if "cannot reach acme/site" in summary} == {
        "trigger/api/production",
        "trigger/web/preview",
        "trigger/web/production",
    }


def test_minutes_that_are_used_up_are_found(estate: Path) -> None:
    seed({"limits": {"has_reached_build_minutes_limit": True, "build_minutes_refresh_on": "2026-12-01T00:00:00Z"}})
    assert health() == [("account", "the build minutes are used up until 2026-12-01T00:00:00.000Z: nothing builds")]


def test_no_success_for_days(estate: Path) -> None:
    seed({"builds": [{"worker": "web", "trigger": "production", "age": 40 * 86_400}]})
    document = drift("--stale-days", "30", code=2)
    assert [(one["address"], one["summary"]) for one in document["findings"]] == [
        ("worker/api", "it was never built"),
        ("worker/web", "no successful build for 30 days"),
    ]
    assert found(drift("--stale-days", "50", code=2)) == [("health", "worker/api")]


def test_what_health_cannot_look_at_is_said(estate: Path) -> None:
    ran = story.run(["drift", "--health"], {}, ["500:GET:/builds/account/limits:times=forever"])
    assert ran.code == 7
    assert "could not read the account's limits" in ran.stderr


@pytest.mark.parametrize("format_", ["text", "markdown"])
def test_formats(estate: Path, format_: str) -> None:
    story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "```\u202e</details>"}]])
    ran = story.run(["drift", "--format", format_], {})
    assert ran.code == 2
    assert "\u202e" not in ran.stdout
    assert "1 live" in ran.stdout
    assert "canary" not in ran.stdout
    if format_ == "markdown":
        assert re.search(r"^! +build_command: ", ran.stdout, re.MULTILINE)
        assert ran.stdout.startswith(f"<!-- buildsctl:drift account={story.ACCOUNT} owner=acme -->\n")
        assert "````diff" in ran.stdout


@pytest.mark.parametrize("fail_on", ["unmanaged", "live,unmanaged", '["unmanaged"]', '["live", "unmanaged"]'])
def test_what_fails_can_come_from_the_environment_in_both_forms(estate: Path, fail_on: str) -> None:
    assert story.run(["drift", "--all"], {"BUILDSCTL_FAIL_ON": "[]"}).code == 0
    assert story.run(["drift", "--all"], {"BUILDSCTL_FAIL_ON": fail_on}).code == 2


@pytest.mark.parametrize("fail_on", ["lvie", "live,odd", "[1]", '["live,health"]', '["live"'])
def test_a_kind_that_is_none_is_refused(estate: Path, fail_on: str) -> None:
    ran = story.run(["drift", "--fail-on", fail_on], {})
    assert ran.code == 1
    assert "is none of live, pending" in ran.stderr


@pytest.mark.parametrize("fail_on", ["", ",", " , "])
def test_what_fails_is_not_nothing_by_a_slip(estate: Path, fail_on: str) -> None:
    ran = story.run(["drift", "--fail-on", fail_on], {})
    assert (ran.code, ran.requests) == (1, [])
    assert "it names nothing: live, pending, unmanaged, health, or none" in ran.stderr


def test_a_kind_that_is_not_looked_for_is_told(estate: Path) -> None:
    ran = story.run(["drift", "--fail-on", "health"], {})
    assert "warning: without --health or --stale-days nothing is found" in ran.stderr
    assert "warning" not in story.run(["drift", "--fail-on", "health", "--health"], {}).stderr


ODD = [[1], "x", {"builds": "x"}, {"builds": {"t": 1}}, {"builds": {"t": {"build_uuid": ".."}}}]


@pytest.mark.parametrize("result", ODD)
def test_builds_of_the_wrong_shape_are_an_error(result: Any) -> None:
    with pytest.raises(AnswerError):
        Build.decode_map(result)


def test_builds_of_odd_but_good_shapes() -> None:
    assert Build.decode_map({}) == {}
    assert Build.decode_map({"builds": {"t": None}}) == {}
    build = {"build_uuid": "u", "trigger": None, "build_trigger_metadata": [], "x_new": 1}
    (one,) = Build.decode_list([build])
    assert (one.id, one.status, one.metadata) == ("u", "", {})
    assert Build.decode_list(None) == []
    with pytest.raises(AnswerError):
        Build.decode_logs({"lines": "x"})


def test_a_failed_build_after_a_good_one_is_not_stale(estate: Path) -> None:
    old = {"worker": "web", "trigger": "production", "age": 5 * 86_400}
    seed({"builds": [old, {"worker": "web", "trigger": "production", "outcome": "fail", "log": ["odd"]}]})
    assert found(drift("--stale-days", "30", code=2)) == [("health", "worker/api")]
    assert found(drift("--stale-days", "3", code=2)) == [("health", "worker/api"), ("health", "worker/web")]
