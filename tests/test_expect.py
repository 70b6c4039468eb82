"""`--expect`: an apply does what was reviewed, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import story

from reconciler import cli
from reconciler.sandbox import Sandbox

KEY = "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXktMDEyMw=="
MANIFEST = """version: 1
owner: acme
connections: {acme/site: {provider_account_id: "1", repo_id: "2"}}
tokens:
  deploy: {cloudflare_token_id: t1, build_token_secret: {value_from: {env: S}}}
workers:
  web:
    triggers:
      production:
        branch_includes: [main]
        deploy_command: npx wrangler deploy
        environment_variables: {A: {value_from: {env: A}}, B: plain}
"""


class Job:
    """A pipeline: the plan job has no secrets, the apply job has them."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        Path("buildsctl.yaml").write_text(MANIFEST, encoding="utf-8")
        sandbox = Sandbox("sandbox.db")
        sandbox.seed({"workers": [{"id": "web"}, {"id": "api"}]})
        sandbox.close()

    def run(self, *arguments: str) -> int:
        return cli.run(["--sandbox", "--sandbox-file", "sandbox.db", *arguments])

    def plan(self, name: str = "plan.json") -> dict[str, Any]:
        assert self.run("plan", "--no-secrets", "--out", name) == 0
        found: dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
        return found

    def apply(self, *expect: str) -> int:
        given = [part for one in expect for part in ("--expect", one)]
        return self.run("apply", "--auto-approve", "--no-verify-token", "--out", "applied.json", *given)

    def edit(self, old: str, new: str) -> None:
        path = Path("buildsctl.yaml")
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    @property
    def error(self) -> str:
        return self.capsys.readouterr().err


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Job:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S", "canary-s")
    monkeypatch.setenv("A", "canary-a")
    return Job(capsys)


def test_what_was_reviewed_is_done_and_fewer_is_fine(job: Job) -> None:
    job.plan()
    assert job.apply("plan.json") == 0
    assert job.apply("plan.json") == 0


def test_what_nobody_reviewed_is_refused_before_the_first_write(job: Job) -> None:
    job.plan()
    job.edit("B: plain", "B: other, C: new")
    assert job.apply("plan.json") == 5
    error = job.error
    assert "env/web/production/C: create, the reviewed plan does not have it" in error
    assert "env/web/production/B: create, its values moved since the review" in error
    assert json.loads(Path("applied.json").read_text(encoding="utf-8"))["exit_codes"] == [5]
    assert job.run("plan", "--detailed-exitcode") == 2


def test_all_exit_codes_are_told_of_a_plan_that_is_unexpected_and_refused(job: Job) -> None:
    job.plan()
    assert job.apply("plan.json") == 0
    reviewed = job.plan()
    job.edit("deploy_command", "protect: true\n        deploy_command")
    assert job.run("apply", "--auto-approve") == 0
    job.edit('repo_id: "2"', 'repo_id: "3"')
    assert job.apply("plan.json") == 5
    applied = json.loads(Path("applied.json").read_text(encoding="utf-8"))
    assert (reviewed["exit_codes"], applied["exit_codes"]) == ([0], [5, 4])
    assert applied["refusals"]


def test_a_plan_with_an_error_that_is_unexpected_too_ends_with_the_error(job: Job) -> None:
    """The first exit code that applies (DESIGN section 7); the report tells both."""
    job.plan()
    job.edit("B: plain", "B: other")
    job.edit("workers:\n", "workers:\n  gone: {triggers: {p: {branch_includes: [main], deploy_command: d}}}\n")
    assert job.apply("plan.json") == 1
    assert "the plan is not the one that was reviewed" in job.error
    applied = json.loads(Path("applied.json").read_text(encoding="utf-8"))
    assert applied["exit_codes"][:2] == [1, 5]


def test_several_reviewed_plans_count_together(job: Job) -> None:
    """A merge queue changed the set: each part was reviewed in a plan of its own."""
    job.plan("first.json")
    job.edit("workers:\n", "workers:\n  api: {triggers: {p: {branch_includes: [main], deploy_command: d}}}\n")
    assert job.apply("first.json") == 5
    job.plan("second.json")
    assert job.apply("first.json", "second.json") == 0


def test_a_hand_that_moved_something_after_the_review(job: Job) -> None:
    assert job.apply() == 0
    job.edit("npx wrangler deploy", "npx wrangler deploy --minify")
    job.plan()
    job.edit("--minify", "--dry-run")
    assert job.apply("plan.json") == 5
    assert "trigger/web/production: update, its values moved" in job.error


def test_a_secret_that_only_the_apply_job_can_compare_is_covered(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    assert job.apply() == 0
    monkeypatch.delenv("BUILDSCTL_FINGERPRINT_KEY")
    job.plan()
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    monkeypatch.setenv("A", "canary-a-2")
    monkeypatch.setenv("S", "canary-s-2")
    assert job.apply("plan.json") == 0
    rows = {one["address"]: one["action"] for one in json.loads(Path("applied.json").read_text("utf-8"))["outcomes"]}
    assert rows == {"token/deploy": "create", "trigger/web/production": "update", "env/web/production/A": "update"}


def test_any_of_several_reviews_covers_a_late_secret(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    monkeypatch.setenv("A2", "canary-a-2")
    assert job.apply() == 0
    monkeypatch.delenv("BUILDSCTL_FINGERPRINT_KEY")
    job.plan("first.json")
    job.edit("env: A}", "env: A2}")
    job.plan("second.json")
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    assert job.apply("first.json") == 5
    assert job.apply("first.json", "second.json") == 0


def test_a_rotation_beside_a_reviewed_change_is_covered(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    assert job.apply() == 0
    monkeypatch.delenv("BUILDSCTL_FINGERPRINT_KEY")
    job.edit("npx wrangler deploy", "npx wrangler deploy --minify")
    job.edit("workers:\n", "workers:\n  api: {triggers: {p: {branch_includes: [main], deploy_command: d}}}\n")
    job.plan()
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    monkeypatch.setenv("S", "canary-s-2")
    job.edit("--minify", "--dry-run")
    assert job.apply("plan.json") == 5
    job.edit("--dry-run", "--minify")
    assert job.apply("plan.json") == 0


def test_a_protection_that_is_lifted_was_reviewed_or_is_refused(job: Job) -> None:
    job.edit("production:\n", "production:\n        protect: true\n")
    assert job.apply() == 0
    job.edit("npx wrangler deploy", "npx wrangler deploy --minify")
    digest = job.plan()["digest"]
    job.edit("        protect: true\n", "")
    assert job.apply(digest) == 5
    assert job.apply("plan.json") == 5
    job.plan()
    assert job.apply("plan.json") == 0


SECOND = """tokens:
  second: {cloudflare_token_id: t2, build_token_secret: {value_from: {env: S}}}
"""
TWO = MANIFEST.replace("tokens:\n", SECOND).replace("production:\n", "production:\n        build_token: deploy\n")


def test_another_token_is_no_late_secret(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its secret was not compared: its id is in the manifest, for everybody to review."""
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    assert job.apply() == 0
    monkeypatch.delenv("BUILDSCTL_FINGERPRINT_KEY")
    digest = job.plan()["digest"]
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    for new in ("t9", "t1, build_token_secret: {value_from: {env: S}, value_version: '2'}, x: {"):
        text = Path("buildsctl.yaml").read_text(encoding="utf-8")
        found = MANIFEST.replace("t1, build_token_secret: {value_from: {env: S}}", new.partition(", x: {")[0])
        found = found if "secret" in new else MANIFEST.replace("t1", new)
        Path("buildsctl.yaml").write_text(found, encoding="utf-8")
        assert job.apply("plan.json") == 5
        assert job.apply(digest) == 5
        assert "token/deploy: create" in job.error
        Path("buildsctl.yaml").write_text(text, encoding="utf-8")


def test_what_a_new_trigger_refers_to_was_reviewed(job: Job) -> None:
    """None of it has an id yet: what differs is only which name stands in the manifest."""
    Path("buildsctl.yaml").write_text(TWO, encoding="utf-8")
    digest = job.plan()["digest"]
    job.edit("build_token: deploy", "build_token: second")
    assert job.plan("other.json")["digest"] != digest
    assert job.apply(digest) == 5
    assert job.apply("plan.json") == 5
    assert "trigger/web/production: create, its values moved" in job.error
    assert job.apply("other.json") == 0


def test_a_secret_from_another_source_was_reviewed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD", "canary-prod")
    job.plan()
    for old, new in (("env: A}", "env: PROD}"), ("env: S}", "env: PROD}")):
        job.edit(old, new)
        assert job.apply("plan.json") == 5
        assert "create, its values moved" in job.error
        job.edit(new, old)
    assert job.apply("plan.json") == 0


def test_a_rotation_covers_no_move_to_another_token(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    Path("buildsctl.yaml").write_text(TWO, encoding="utf-8")
    assert job.apply() == 0
    monkeypatch.delenv("BUILDSCTL_FINGERPRINT_KEY")
    job.plan()
    monkeypatch.setenv("BUILDSCTL_FINGERPRINT_KEY", KEY)
    monkeypatch.setenv("S", "canary-s-2")
    job.edit("build_token: deploy", "build_token: second")
    assert job.apply("plan.json") == 5
    assert "trigger/web/production: update" in job.error
    job.edit("build_token: second", "build_token: deploy")
    assert job.apply("plan.json") == 0


def test_what_only_the_marker_tells_was_reviewed_beside_a_variable(job: Job) -> None:
    job.edit("production:\n", "production:\n        protect: true\n")
    assert job.apply() == 0
    job.edit("B: plain", "B: other")
    digest = job.plan()["digest"]
    job.edit("        protect: true\n", "")
    assert job.apply(digest) == 5
    assert job.apply("plan.json") == 5
    assert "trigger/web/production" in job.error


def test_a_take_over_beside_a_variable_was_reviewed(job: Job) -> None:
    """Somebody else adopted the trigger after the review: it does not change hands again unseen."""
    assert job.apply() == 0
    bob = MANIFEST.replace("acme\nconn", "bob\nconn").replace(
        MANIFEST.split("deploy: ")[1].split("\n", maxsplit=1)[0], "{build_token_name: 'acme:deploy'}"
    )
    Path("bob.yaml").write_text(bob, encoding="utf-8")
    job.edit("B: plain", "B: other")
    digest = job.plan()["digest"]
    assert job.run("apply", "--auto-approve", "--take-over", "*", "bob.yaml") == 0
    for expect in (digest, "plan.json"):
        assert job.run("apply", "--auto-approve", "--take-over", "*", "--expect", expect) == 5
    assert "trigger/web/production: marker, the reviewed plan says no-op" in job.error
    assert job.run("plan", "--take-over", "*", "--format", "markdown") == 0
    assert 'owner: "bob" → "acme"' in job.capsys.readouterr().out
    assert job.run("plan", "--take-over", "*", "--out", "taken.json") == 0
    assert job.run("apply", "--auto-approve", "--take-over", "*", "--expect", "taken.json") == 0


def test_a_digest_is_exact(job: Job) -> None:
    assert job.run("plan", "--out", "plan.json") == 0
    digest = json.loads(Path("plan.json").read_text(encoding="utf-8"))["digest"]
    assert job.apply("sha256:" + "0" * 64) == 5
    assert job.apply(digest) == 0
    assert job.apply(digest) == 5


def test_a_plan_of_another_owner_or_account(job: Job) -> None:
    job.plan()
    job.edit("owner: acme", "owner: other")
    assert job.apply("plan.json") == 5
    assert "no reviewed plan is for account" in job.error


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"format_version": "2.0"}', '{"format_version": "1.0"}', "[" * 9999]
)
def test_what_is_no_plan(job: Job, text: str | None) -> None:
    if text is not None:
        Path("odd.json").write_text(text, encoding="utf-8")
    assert job.apply("odd.json") == 1
    assert "odd.json" in job.error


def test_digests_do_not_depend_on_the_order_of_files_or_on_secrets(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    first = job.plan()["digest"]
    assert job.run("plan", "--out", "b.json") == 0
    assert json.loads(Path("b.json").read_text(encoding="utf-8"))["digest"] == first
    head, workers = MANIFEST.split("workers:\n")
    Path("z.yaml").write_text(head, encoding="utf-8")
    Path("a.yaml").write_text("workers:\n" + workers, encoding="utf-8")
    assert job.run("plan", "z.yaml", "a.yaml", "--out", "c.json") == 0
    assert json.loads(Path("c.json").read_text(encoding="utf-8"))["digest"] == first


PATCH_VARIABLES = "/builds/triggers/*/environment_variables"
FAULTS = [f"500:PATCH:{PATCH_VARIABLES}:times=forever", f"500-after:PATCH:{PATCH_VARIABLES}:times=forever"]
FAULTS += ["cut-after:POST:/builds/triggers:times=forever", "500:PATCH:/builds/triggers/*:times=forever"]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_stopped_half_way_goes_on_under_the_same_review(fault: str, tmp_path: Path) -> None:
    secrets = {"S": "one", "A": "two"}
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        sandbox = Sandbox("sandbox.db")
        sandbox.seed({"workers": [{"id": "web"}]})
        sandbox.close()
        assert story.run(["plan", "--no-secrets", "--out", "plan.json"], {}).code == 0
        apply = ["apply", "--auto-approve", "--no-verify-token", "--expect", "plan.json"]
        broken = story.run(apply, secrets, [fault])
        assert broken.code == (0 if "POST" in fault else 3), broken.stderr  # a lost create is found again
        assert ("Go on from what is live with: " in broken.stdout) == (broken.code == 3)
        again = story.run(apply, secrets)
        assert again.code == 0, again.stderr
        assert "No changes" in story.run(["plan"], secrets).stdout


def test_a_late_token_excuses_no_edit_by_hand(tmp_path: Path) -> None:
    """The review showed the token as not compared; that somebody pointed a trigger elsewhere it did not show."""
    first, second = ({"S": secret, "A": "two", "BUILDSCTL_FINGERPRINT_KEY": KEY} for secret in ("one", "new"))
    with story.folder(tmp_path, {"buildsctl.yaml": MANIFEST}):
        sandbox = Sandbox("sandbox.db")
        hand = "22222222-0000-4000-8000-000000000009"
        token = {"build_token_name": "hand", "cloudflare_token_id": "h", "build_token_uuid": hand}
        sandbox.seed({"workers": [{"id": "web"}], "build_tokens": [token]})
        sandbox.close()
        apply = ["apply", "--auto-approve", "--no-verify-token"]
        assert story.run(apply, first).code == 0
        assert story.run(["plan", "--no-secrets", "--out", "plan.json"], first).code == 0
        story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_token_uuid": hand}]])
        assert story.run([*apply, "--expect", "plan.json"], second).code == 5
        story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_token_uuid": _uuid()}]])
        assert story.run([*apply, "--expect", "plan.json"], second).code == 0


def _uuid() -> str:
    sandbox = Sandbox("sandbox.db")
    tokens = story.call(sandbox, "GET", "/builds/tokens")[1]
    sandbox.close()
    return str(next(one["build_token_uuid"] for one in tokens if one["build_token_name"].startswith("acme:deploy")))


def test_where_nothing_is_to_be_done_any_review_covers_it(job: Job) -> None:
    """A pull request that changed no Worker gives an empty plan; so does one of another owner."""
    empty = {"format_version": "1.0", "scope": {"account_id": "", "owner": None}, "resource_changes": []}
    Path("empty.json").write_text(json.dumps(empty), encoding="utf-8")
    assert job.apply("empty.json") == 5
    assert job.apply() == 0
    assert job.apply("empty.json") == 0


def test_lists_are_sets_and_a_replace_that_was_begun_is_finished(job: Job) -> None:
    """What an earlier apply of the same review deleted is a create now."""
    job.edit("branch_includes: [main]", "branch_includes: [main]\n        path_includes: [a/*]")
    assert job.apply() == 0
    job.edit("[a/*]", "[a/*, b/*]")
    job.edit('repo_id: "2"', 'repo_id: "3"')
    reviewed = job.plan()
    rows = {row["address"]: row for row in reviewed["resource_changes"]}
    assert rows["trigger/web/production"]["change"]["actions"] == ["delete", "create"]
    job.edit("[a/*, b/*]", "[b/*, a/*]")
    sandbox = Sandbox("sandbox.db")
    story.edit_in(sandbox, [["DELETE", "/builds/triggers/{web/production}"]])
    sandbox.close()
    assert job.apply("plan.json") == 0


@pytest.mark.parametrize("by", ["file", "digest"])
def test_what_goes_with_a_trigger_was_reviewed_too(job: Job, by: str) -> None:
    """A variable that somebody adds to a trigger that is to be deleted would be lost with it."""
    job.edit("workers:\n", "workers:\n  api: {triggers: {p: {branch_includes: [main], deploy_command: d}}}\n")
    assert job.apply() == 0
    job.edit("  api: {triggers: {p: {branch_includes: [main], deploy_command: d}}}\n", "  api: {}\n")
    lossy = ("--accept-secret-loss", "*")
    assert job.run("plan", "--no-secrets", *lossy, "--out", "plan.json") == 0
    digest = json.loads(Path("plan.json").read_text(encoding="utf-8"))["digest"]
    expect = "plan.json" if by == "file" else digest
    sandbox = Sandbox("sandbox.db")
    added = {"ADDED": {"is_secret": False, "value": "x"}}
    story.edit_in(sandbox, [["PATCH", "/builds/triggers/{api/p}/environment_variables", added]])
    sandbox.close()
    assert job.run("apply", "--auto-approve", "--no-verify-token", *lossy, "--expect", expect) == 5
    assert job.run("plan", "--no-secrets", *lossy, "--out", "plan.json") == 0
    assert job.run("apply", "--auto-approve", "--no-verify-token", *lossy, "--expect", "plan.json") == 0


def test_a_review_that_is_not_whole_is_no_bug(job: Job) -> None:
    job.plan()
    document = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    for row in document["resource_changes"]:
        del row["fields"]
        row["change"]["before"] = 5
    Path("plan.json").write_text(json.dumps(document), encoding="utf-8")
    assert job.apply("plan.json") in (1, 5)
    assert "bug" not in job.error
