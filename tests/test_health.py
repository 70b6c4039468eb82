"""`drift --health` and `--stale-days`: what is broken is found, and nothing is told that nobody can know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import Answer, envelope, failure, html
from health_server import AUTOFILL, DEAD, LATEST, LIMITS, Estate, ago, applied, build

from reconciler import api, gate
from reconciler.errors import AnswerError
from reconciler.kinds.build import Build
from reconciler.kinds.failure import why
from reconciler.kinds.limits import Limits
from reconciler.kinds.repository import Repository

REPOSITORY = Repository(default_worker_name="base", env_worker_names={"staging": "web-staging"})


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    with applied(tmp_path) as found:
        yield found


def uuid(number: int) -> str:
    return str(build(number, "")["build_uuid"])


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("npx wrangler deploy", "base"),
        ("wrangler deploy", "base"),
        ("npx --yes wrangler@4.1 deploy --minify --keep-vars", "base"),
        ("pnpm exec wrangler versions upload", "base"),
        ("node_modules/.bin/wrangler deploy src/index.ts", "base"),
        ("npx wrangler deploy --env staging", "web-staging"),
        ("npx wrangler deploy --env=staging", "web-staging"),
        ("npx wrangler deploy -e staging", "web-staging"),
        ("npx wrangler -e=staging versions upload", "web-staging"),
        ('npx wrangler deploy --env "staging"', "web-staging"),
        ("npx wrangler deploy --env=", "base"),
        ("npx wrangler deploy --env other", ""),
        # Whatever is more than a plain call of Wrangler tells nothing.
        ('npx wrangler deploy --env "$ENV"', ""),
        ("CLOUDFLARE_ENV=staging npx wrangler deploy", ""),
        ("npx wrangler deploy --name web", ""),
        ("npx wrangler deploy --name=web", ""),
        ("npx wrangler deploy -c other/wrangler.toml", ""),
        ("npx wrangler deploy -cother.toml", ""),
        ("npx wrangler deploy --config other.toml", ""),
        ("npx wrangler --cwd x deploy", ""),
        ("npx wrangler deploy --env-file .env", ""),
        ("cd sub && npx wrangler deploy", ""),
        ("bash -e ./x.sh; npx wrangler deploy", ""),
        ("npx wrangler deploy > log", ""),
        ("npm run deploy", ""),
        ("echo npx wrangler deploy", ""),
        ("npx wrangler pages deploy", ""),
        ("npx wrangler versions deploy", ""),
        ('npx wrangler deploy "', ""),
        ("npx wrangler deploy --env", ""),
        ("npx", ""),
        ("", ""),
    ],
)
def test_which_worker_a_deploy_command_means(command: str, name: str) -> None:
    assert REPOSITORY.worker_name(command, "") == name


@pytest.mark.parametrize(("variable", "name"), [("staging", "web-staging"), ("", "base"), (None, "")])
def test_the_variable_says_the_environment_where_the_command_does_not(variable: str | None, name: str) -> None:
    assert REPOSITORY.worker_name("npx wrangler deploy", variable) == name
    assert REPOSITORY.worker_name("npx wrangler deploy -e staging", variable) == "web-staging"


def test_what_a_repository_holds() -> None:
    assert Repository.decode(None) == Repository()
    assert Repository.decode({"env_worker_names": {"s": "x", "odd": 1}, "scripts": None}).env_worker_names == {"s": "x"}
    with pytest.raises(AnswerError):
        Repository.decode({"env_worker_names": []})
    with pytest.raises(AnswerError):
        Repository.decode([])


@pytest.mark.parametrize(
    ("variable", "unread", "told"),
    [
        (None, False, True),
        ({"is_secret": False, "value": "staging"}, False, False),
        ({"is_secret": True, "value": None}, False, False),
        (None, True, False),
    ],
)
def test_a_name_is_compared_only_where_the_environment_is_known(
    estate: Estate, variable: dict[str, Any] | None, unread: bool, told: bool
) -> None:
    production = estate.server.trigger("web", "production")["trigger_uuid"]
    estate.server.found["main", ""] = {"default_worker_name": "base", "env_worker_names": {"staging": "web"}}
    estate.server.trigger("web", "preview")["deploy_command"] = "make deploy"
    if variable:
        estate.server.variables[production]["CLOUDFLARE_ENV"] = variable
    if unread:
        estate.server.on("GET", f"/builds/triggers/{production}/environment_variables", failure(500, 1))
    found = estate.health("--health", "--fail-on", "none", code=7 if unread else 0)
    summary = "the Wrangler file in `/` names the Worker `base`, this one is `web`: builds fail"
    assert (("trigger/web/production", summary) in found) is told


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (DEAD, "dead-token"),
        ("\x1b[31mFailed: The build token selected for this build has been \x1b[1mrolled\x1b[0m", "dead-token"),
        (
            "✘ [ERROR] The name in your Wrangler configuration file (a) must match the name of your Worker.",
            "name-mismatch",
        ),
        ('npm error Missing script: "build"', "missing-script"),
        (" ERR_PNPM_NO_SCRIPT  Missing script: build", "missing-script"),
        ("Failed: error occurred while cloning repository", "cannot-clone"),
        ("npm warn: package name of foo does not match version name", None),
        ("script foo.js not found in cache; skipping", None),
        ("Finished in 2 build minutes", None),
        ("12 build minutes so far", None),
        ("Build minutes limit reached: the build waits until build minutes refresh", "minutes-used-up"),
        ('error: Script not found "build"', "missing-script"),
        ("invalid " + "build token " * 100_000, None),
        ("info: build token=abc; 3 invalid links ignored", None),
        ("you must match: name of x must match y", None),
        ("all good", None),
    ],
)
def test_what_a_log_tells(line: str, name: str | None) -> None:
    failure = why(["x", line])
    assert (failure.name if failure else None) == name


def test_the_last_cause_in_a_log_counts() -> None:
    warning = 'warning: npm error Missing script: "lint"'
    last = why([warning, DEAD, "bye"])
    assert last
    assert last.name == "dead-token"


def test_a_failure_is_told_of_its_trigger(estate: Estate) -> None:
    production = estate.server.trigger("web", "production")["trigger_uuid"]
    estate.server.builds = {
        "web": [build(1, "fail", trigger={"trigger_uuid": production})],
        "api": [build(2, "fail", trigger={"trigger_uuid": "gone"})],
    }
    estate.server.logs = {uuid(1): [DEAD], uuid(2): [DEAD]}
    assert [address for address, _ in estate.health(code=2)] == ["trigger/web/production", "worker/api"]


@pytest.mark.parametrize(
    ("used", "shown", "told"), [("now", "now", True), ("old", "now", False), (None, "now", True), ("old", None, True)]
)
def test_a_dead_token_that_was_mended_is_none(estate: Estate, used: str | None, shown: str | None, told: bool) -> None:
    (token,) = estate.server.tokens
    known = {"now": token["build_token_uuid"], "old": "99999999-0000-4000-8000-000000000009"}
    if shown is None:
        estate.server.trigger("api", "production")["build_token_uuid"] = None
    metadata = {"build_token_uuid": known.get(used or "")}
    estate.server.builds = {"api": [build(1, "fail", build_trigger_metadata=metadata)]}
    estate.server.logs = {uuid(1): [DEAD]}
    found = estate.health("--health", "--fail-on", "none")
    assert any("deleted or rolled" in summary for _, summary in found) is told
    assert not any("is gone" in summary for _, summary in found)


def test_failures_that_no_log_explains_are_counted(estate: Estate) -> None:
    estate.server.builds = {"web": [build(1, "fail")], "api": [build(2, "failure")]}
    ran = estate.run("drift", "--health")
    assert ran.code == 0
    assert "Drift: none" in ran.out
    assert "warning: 2 of 2 latest builds failed for a cause that the log does not tell\n" in ran.err


def test_builds_of_a_worker_that_nobody_asked_about_are_passed_over(estate: Estate) -> None:
    estate.server.on("GET", LATEST, envelope({"builds": {"f" * 32: build(1, "fail")}}))
    assert estate.health("--health", "--stale-days", "3", "--fail-on", "none") == [
        ("worker/api", "it was never built"),
        ("worker/web", "it was never built"),
    ]


def test_a_log_that_cannot_be_read(estate: Estate) -> None:
    estate.server.builds = {"web": [build(1, "fail")]}
    estate.server.on("GET", ".*/logs", failure(500, 1))
    ran = estate.run("drift", "--health")
    assert ran.code == 7
    assert f"could not read the log of build {uuid(1)}" in ran.err


@pytest.mark.parametrize("error", [failure(404, 7003), failure(404, 7000), failure(404, 1), html(404), failure(500, 1)])
def test_what_nobody_asked_is_not_called_unreachable(estate: Estate, error: Answer) -> None:
    estate.server.on("GET", AUTOFILL, error)
    ran = estate.run("drift", "--health")
    assert ran.code == 7
    assert "Drift: none" in ran.out
    assert "could not read whether Builds reaches acme/site on `main` in `/`:" in ran.err
    assert "could not read whether Builds reaches acme/site on `main` in `/apps/api`:" in ran.err


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (12000, "Builds cannot reach acme/site, its branch `main` or the folder `/apps/api`"),
        (10007, "Builds cannot reach acme/site, its branch `main` or the folder `/apps/api`"),
        (8000008, "the GitHub App is not authorised for the owner of acme/site: was the repository transferred?"),
        (8000012, "the GitHub App may not see acme/site"),
    ],
)
def test_each_way_not_to_reach_a_repository(estate: Estate, code: int, text: str) -> None:
    estate.server.on("GET", AUTOFILL, failure(404, code))
    assert estate.health(code=2)[0] == ("trigger/api/production", text)


def test_no_branch_is_made_up(estate: Estate) -> None:
    """A repository whose only branch is `master` has nothing wrong with it."""
    estate.server.found = {("master", "apps/api"): {}}
    estate.server.trigger("web", "preview")["branch_excludes"] = []
    estate.server.trigger("web", "production")["branch_includes"] = ["release/*"]
    estate.server.trigger("api", "production")["branch_includes"] = ["master"]
    ran = estate.run("drift", "--health", "--fail-on", "health")
    assert ran.code == 0, ran.text
    assert estate.probes() == [("master", "apps/api")]
    told = "trigger/web/preview and 1 more: it names no branch that has to be there"
    assert told in ran.err.replace("trigger/web/production and", "trigger/web/preview and")


def test_a_build_of_the_wrong_shape_hides_no_other_worker(estate: Estate) -> None:
    estate.server.builds = {"web": [{**build(1, "fail"), "build_uuid": None}], "api": [build(2, "fail")]}
    estate.server.logs = {uuid(2): [DEAD]}
    ran = estate.run("drift", "--health")
    assert ran.code == 7
    assert "could not read the latest build of Worker `web`: the API's answer has no usable `build_uuid`" in ran.err
    assert "worker/api" in ran.out


@pytest.mark.parametrize("answer", [envelope(None), envelope({}), envelope({"builds": None})])
def test_no_builds_are_no_error(estate: Estate, answer: Answer) -> None:
    estate.server.on("GET", LATEST, answer)
    assert estate.health() == []
    assert Build.decode_map(None) == {}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (envelope(None), 0),
        (envelope({}), 0),
        (failure(404, 12000), 0),
        (failure(404, 7003), 7),
        (failure(500, 1), 7),
        (envelope({"has_reached_build_minutes_limit": True}), 2),
    ],
)
def test_limits(estate: Estate, answer: Answer, code: int) -> None:
    estate.server.on("GET", LIMITS, answer)
    assert len(estate.health(code=code)) == (code == 2)
    assert Limits.decode(None) == Limits()


def test_days_alone_cost_no_more_than_the_builds(estate: Estate) -> None:
    estate.server.builds = {"web": [build(1, "success")], "api": [build(2, "success")]}
    estate.server.found = {}
    estate.server.limits = {"has_reached_build_minutes_limit": True}
    assert estate.health("--stale-days", "3") == []
    plain = 1 + 1 + 2 + 3  # names, tokens, triggers, variables
    assert len(estate.server.log) == plain + 1
    assert len(estate.health("--health", "--stale-days", "3", code=2)) == 4


@pytest.mark.parametrize(
    ("builds", "summary"),
    [
        ([], "it was never built"),
        ([build(1, "success", ago(days=2))], ""),
        ([build(1, "success", ago(days=4))], "no successful build for 3 days"),
        ([build(1, "fail"), build(2, "success", ago(days=2))], ""),
        ([build(1, "fail"), build(2, "success", ago(days=4))], "no successful build for 3 days"),
        ([build(1, "success", ago(days=4), stopped_on=ago(days=2))], ""),
        # More failed builds of today than a page holds say nothing of yesterday.
        ([*(build(number, "fail") for number in range(250)), build(999, "success", ago(days=2))], ""),
        ([*(build(number, "fail") for number in range(250))], "no successful build for 3 days"),
        ([build(1, "fail", "odd"), build(2, "success", ago(days=2))], ""),
    ],
)
def test_how_long_ago_a_worker_built_with_success(estate: Estate, builds: list[dict[str, Any]], summary: str) -> None:
    estate.server.builds = {"web": builds, "api": [build(3, "success")]}
    found = estate.health("--stale-days", "3", code=2 if summary else 0)
    assert found == ([("worker/web", summary)] if summary else [])


def test_no_more_is_read_than_as_far_as_the_days_go(estate: Estate) -> None:
    old = [build(number, "fail", ago(days=4)) for number in range(2, 1_000)]
    estate.server.builds = {"web": [build(1, "fail"), *old], "api": [build(3, "success")]}
    assert estate.health("--stale-days", "3", code=2) == [("worker/web", "no successful build for 3 days")]
    (only,) = estate.server.sent("GET", ".*/workers/.*/builds")
    assert only.query == {"page": "1", "per_page": "200"}


@pytest.mark.parametrize(
    ("path", "builds", "text"),
    [
        (LATEST, [], "the latest builds"),
        ("/builds/workers/.*/builds", [build(1, "fail")], "when Worker `web` built with success"),
        ("/none", [build(1, "success", "odd")], "when Worker `web` built with success"),
        ("/none", [{**build(1, "fail"), "build_uuid": None}], "the latest build of Worker `web`"),
    ],
)
def test_nobody_is_called_stale_whose_builds_could_not_be_read(
    estate: Estate, path: str, builds: list[dict[str, Any]], text: str
) -> None:
    estate.server.builds = {"web": builds, "api": [build(3, "success")]}
    estate.server.on("GET", path, failure(500, 1))
    ran = estate.run("drift", "--stale-days", "3")
    assert ran.code == 7
    assert "Drift: none" in ran.out
    assert f"could not read {text}: " in ran.err
