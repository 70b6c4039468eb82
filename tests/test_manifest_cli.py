"""Manifests at the command line: `validate`, `render` and `schema manifest`, and what they print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator
from test_manifest_text import HEAD, WORKER, load, write

from reconciler import cli
from reconciler.manifest import lint
from reconciler.model import Secret
from reconciler.states import Desired

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("buildsctl")


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command line inside `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        code = cli.run(list(arguments))
        shown = capsys.readouterr()
        assert "this is a bug" not in shown.out + shown.err
        assert "Traceback" not in shown.out + shown.err
        return Ran(code, shown.out, shown.err)

    return run


# --- validate


def test_validate_says_what_it_saw(tmp_path: Path, run: Run) -> None:
    write(tmp_path, {"buildsctl.yaml": HEAD + WORKER})
    ran = run("validate")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"1 Workers?, 1 triggers?: no problems\n", ran.out)


def test_a_problem_with_its_line_and_a_caret(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD + "workers: {web: {triggers: {p: {ignore_changes: []}}}}\n")
    ran = run("validate", "m.yaml")
    assert ran.code == 1
    assert ran.out.startswith(
        "m.yaml:5:32: error: unknown field `ignore_changes`\n"
        "  in trigger/web/p\n"
        "    5 | workers: {web: {triggers: {p: {ignore_changes: []}}}}\n"
        "                                       ^\n"
        "  hint: did you mean `ignore`?\n"
    )
    assert ran.out.endswith("1 error\n")


def test_the_caret_stays_under_its_place_in_a_long_line(tmp_path: Path, run: Run) -> None:
    write(tmp_path, f"{HEAD}defaults: {{build_command: {'x' * 500}, zzz: 1}}\n")
    ran = run("validate", "m.yaml")
    lines = ran.out.splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.strip() == "^"]
    assert lines[number - 1][lines[number].index("^") :].startswith("zzz: 1")
    assert max(map(len, lines[number - 1 : number + 1])) < 150


def test_of_many_warnings_that_say_the_same_a_few_and_a_count_are_shown(tmp_path: Path, run: Run) -> None:
    trigger = (
        "{triggers: {preview: {branch_includes: ['*'], branch_excludes: [main], deploy_command: npx wrangler deploy}}}"
    )
    for count, shown in ((5, 5), (50, 3)):
        names = "".join(f"  w{one}: {trigger}\n" for one in range(count))
        write(tmp_path, {"buildsctl.yaml": f"{HEAD}workers:\n{names}"})
        ran = run("validate")
        assert ran.code == 0
        assert ran.out.count("  in trigger/w") == shown
        assert ("\nwarning: 47 more of: a preview trigger runs" in ran.out) == (count > shown)
        assert f"{count} warnings\n" in ran.out
        assert run("-v", "validate").out.count("  in trigger/w") == count
        assert run("--sandbox", "plan").err.count("  in trigger/w") == shown
        assert run("--sandbox", "plan", "-v").err.count("  in trigger/w") == count
        assert len(json.loads(run("validate", "--format", "json").out)["diagnostics"]) == count
        assert run("validate", "--format", "github").out.count("::warning ") == count
        write(tmp_path, {"buildsctl.yaml": f"{HEAD}workers:\n{names.replace('deploy_command', 'x')}"})
        assert run("validate").out.count("unknown field `x`") == count, "errors are told one by one"


def test_validate_as_json(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD + "x: 1\nworkers: {web: {triggers: {p: {branch_includes: [a, b], deploy_command: d}}}}\n")
    ran = run("validate", "--format", "json", "m.yaml")
    document = json.loads(ran.out)
    assert (ran.code, document["valid"]) == (1, False)
    first, second = document["diagnostics"]
    assert first["range"] == {"filename": "m.yaml", "start": {"line": 5, "column": 1}}
    assert (second["severity"], second["rule"], second["address"]) == ("error", "branch-filter", "trigger/web/p")
    write(tmp_path, HEAD)
    assert json.loads(run("validate", "--format", "json", "m.yaml").out) == {"valid": True, "diagnostics": []}


HOSTILE = '"\\e]0;owned\\a\\u202e\\u2066\\x9b31m\\r\\u200b\\ufeff\\u2028"'


@pytest.mark.parametrize(
    "command",
    [["validate"], *(["validate", "--format", name] for name in ("json", "github", "sarif")), ["render"], ["plan"]],
)
@pytest.mark.parametrize(
    "text",
    [
        f"{HOSTILE}: 1\n",
        f"workers: {{{HOSTILE}: {{}}}}\n",
        f"defaults: {{environment_variables: {{{HOSTILE}: x}}}}\n{WORKER}",
        f"defaults: {{profile: {HOSTILE}}}\n{WORKER}",
        f"defaults: {{ignore: [{HOSTILE}]}}\n{WORKER}",
        f"defaults: {{repo_connection: {HOSTILE}}}\n{WORKER}",
        f"lint: {{allow: [{HOSTILE}]}}\n",
        f"params: {{{HOSTILE}: x}}\n",
        f'defaults: {{build_command: "${{{{ {HOSTILE[1:-1]} }}}}"}}\n{WORKER}',
        "# \u202e\u2066 \u200b\nzzz: '\u202e\u2066\u200b'\n",
        f"account_id: {HOSTILE}\n",
    ],
)
def test_what_moves_a_cursor_or_turns_the_text_is_written_out(
    tmp_path: Path, run: Run, command: list[str], text: str
) -> None:
    write(tmp_path, HEAD + text)
    ran = run(*command, "m.yaml", *(["--sandbox"] if command == ["plan"] else []))
    shown = ran.out + ran.err
    assert ran.code == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", shown)


def test_a_hostile_file_name_and_a_hostile_source_line(tmp_path: Path, run: Run) -> None:
    write(tmp_path, {"b/\x1b[2J\u202e\n.yaml": "zzz: '\u202e\u2066'\n"})
    ran = run("validate", "b")
    assert ran.code == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e\u2066]", ran.out + ran.err)


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/\xff.yaml")).write_text("zzz: 1\n", encoding="utf-8")
    for more in ([], *(["--format", name] for name in ("json", "github", "sarif"))):
        ran = subprocess.run([COMMAND, "validate", "b", *more], cwd=tmp_path, capture_output=True, check=False)
        assert ran.returncode == 1
        assert b"bug" not in ran.stderr
        assert b"unknown field `zzz`" in ran.stdout
        ran.stdout.decode()


@pytest.mark.parametrize("command", ["validate", "render", "plan"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no manifest here: neither `buildsctl.yaml` nor a folder `builds`"),
        (["gone.yaml"], "there is no `gone.yaml`"),
        (["empty"], "the folder `empty` holds no manifest"),
        (["--param", "x", "m.yaml"], "`x` is not NAME=VALUE"),
        (["--param", "=x", "m.yaml"], "`=x` is not NAME=VALUE"),
        (["--zzz"], "--zzz"),
    ],
)
def test_usage_errors(tmp_path: Path, run: Run, command: str, arguments: list[str], message: str) -> None:
    write(tmp_path, {"m.yaml": HEAD + WORKER})
    (tmp_path / "empty").mkdir()
    ran = run(command, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")
    assert message in ran.err
    assert "hint: " in ran.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["plna"], "did you mean `plan`?"),
        (["destroy"], "there are init, validate, render, plan, apply, drift, "),
        (["tokens", "ls"], "did you mean `list`?"),
        (["tokens", "show"], "there are id, list, prune"),
        (["plan", "--formt", "json"], "did you mean `--format`?"),
        (["drift", "--target", "x"], "`buildsctl drift --help` shows what there is"),
        (["plan", "--nope"], "`buildsctl plan --help` shows what there is"),
        (["plan", "--out"], "`buildsctl plan --help` shows what there is"),
    ],
)
def test_only_what_is_near_is_guessed(run: Run, arguments: list[str], hint: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert f"\nhint: {hint}" in ran.err
    assert ran.err.count("\n") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--out", "builds/m.yaml"],
        ["plan", "builds/m.yaml", "absent.yaml", "--out", "./builds/../builds/m.yaml"],
        ["plan", "--out", "link", "builds"],
        ["plan", "builds", "--param-file", "p.yaml", "--out", "p.yaml"],
        ["apply", "--auto-approve", "--out", "link"],
        ["drift", "--out", "link", "--format", "json"],
        ["release", "--auto-approve", "--out", "link", "*"],
        ["tokens", "prune", "--auto-approve", "--out", "link"],
        ["connections", "delete", "acme/site", "--auto-approve", "--out", "link"],
        ["plan", "--nope", "--out", "link"],
    ],
)
@pytest.mark.parametrize("broken", ["", "surprise: 1\n"])
def test_no_report_is_written_over_a_manifest(tmp_path: Path, run: Run, arguments: list[str], broken: str) -> None:
    files = {"builds/m.yaml": HEAD + WORKER + broken, "p.yaml": "v: 1\n"}
    write(tmp_path, files)
    (tmp_path / "link").symlink_to("builds/m.yaml")
    ran = run("--sandbox", "--sandbox-file", "s.db", "--account-id", "a", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "--nope" in ran.err or "is one of the manifests" in ran.err
    assert {name: (tmp_path / name).read_text() for name in files} == files
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ('build_token: "$${{deploy"', "there is no token `${{deploy`"),
        ('repo_connection: "$${{acme/site}}"', "there is no connection `${{acme/site}}`"),
        ('ignore: ["$${{foo"]', "`${{foo` cannot be ignored"),
    ],
)
def test_a_literal_expression_is_no_reference(tmp_path: Path, run: Run, field: str, problem: str) -> None:
    """Were it passed over as one that has been told, its trigger would be gone from the plan, and then deleted."""
    trigger = f"p: {{branch_includes: [main], deploy_command: d, {field}}}"
    write(tmp_path, {"buildsctl.yaml": f"{HEAD}workers: {{web: {{triggers: {{{trigger}}}}}}}\n"})
    ran = run("validate")
    assert (ran.code, problem in ran.out) == (1, True), ran.out


@pytest.mark.parametrize("option", ["--repo-id", "--provider-account-id"])
@pytest.mark.parametrize("text", ["abc", "1/2", "-1", "\u0661", " 1"])
def test_the_ids_of_a_connection_are_numbers(tmp_path: Path, run: Run, option: str, text: str) -> None:
    write(tmp_path, {"buildsctl.yaml": HEAD + WORKER})
    ran = run(
        "--sandbox", "--sandbox-file", "s.db", "--account-id", "a",
        "connections", "delete", "acme/site", "--auto-approve", f"{option}={text}",
    )  # fmt: skip
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {option} `{text}` is no number\nhint: it is an `id` and all digits: ")
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize("value", ["a b", "a\u00e9", "a\tb", "a\x7f"])
def test_what_is_no_api_token_is_not_sent(run: Run, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert not Secret(value).can_be_token
    monkeypatch.setenv("CI_TOKEN", value)
    monkeypatch.setenv("BUILDSCTL_API_TOKEN", value)
    for name, command in (("CI_TOKEN", ["tokens", "id", "--env", "CI_TOKEN"]), ("BUILDSCTL_API_TOKEN", ["limits"])):
        ran = run("--sandbox", "--account-id", "a", *command)
        assert (ran.code, f"error: {name} holds characters that no API token has" in ran.err) == (1, True)
        assert value not in ran.err


def test_a_report_may_stand_beside_manifests(tmp_path: Path, run: Run) -> None:
    write(tmp_path, {"builds/m.yaml": HEAD + WORKER, "builds/plan.json": "old", "other.yaml": "old"})
    for out in ("builds/plan.json", "other.yaml"):
        run("--sandbox", "--sandbox-file", "s.db", "--account-id", "a", "plan", "--out", out)
        assert (tmp_path / out).read_text().startswith("{")


def test_params_from_the_command_line(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {"m.yaml": HEAD + WORKER + 'defaults: {build_command: "${{ params.v }}"}\n', "p.yaml": "v: from a file\n"},
    )
    assert 'build_command: "a=b"' in run("render", "m.yaml", "--param", "v=a=b").out
    assert 'build_command: "from a file"' in run("render", "m.yaml", "--param-file", "p.yaml").out
    assert 'build_command: "x"' in run("render", "m.yaml", "--param-file", "p.yaml", "--param", "v=x").out
    assert 'build_command: ""' in run("render", "m.yaml", "--param", "v=").out
    monkeypatch.setenv("BUILDSCTL_PARAM", '["v=from the environment"]')
    assert 'build_command: "from the environment"' in run("render", "m.yaml").out
    monkeypatch.setenv("BUILDSCTL_PARAM", "v=x")
    assert "JSON array" in run("render", "m.yaml").err


def test_for_machines_there_is_a_report_where_there_is_no_manifest(run: Run) -> None:
    assert (
        json.loads(run("validate", "--format", "json", "gone").out)["diagnostics"][0]["summary"] == "there is no `gone`"
    )
    (result,) = json.loads(run("validate", "--format", "sarif", "gone").out)["runs"][0]["results"]
    assert result["level"] == "error"
    assert run("validate", "--format", "github", "gone").out.startswith("::error title=buildsctl::there is no `gone`")
    assert run("validate", "gone").out == ""


def test_render_shows_the_workers_that_are_named(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, HEAD + "workers: {web: {}, api: {}, third: {}}\n")
    monkeypatch.setenv("BUILDSCTL_WORKER", '["api", "third"]')
    shown = run("render", "m.yaml").out
    assert "  api:" in shown
    assert "  third:" in shown
    assert "  web:" not in shown
    assert "  web:" in run("render", "m.yaml", "--worker", "web").out


def test_a_param_that_is_no_text_is_refused_or_harmless(tmp_path: Path) -> None:
    write(tmp_path, HEAD + WORKER + 'defaults: {build_command: "${{ params.v }}"}\n')
    for command in (["validate"], ["render"], ["validate", "--format", "json"]):
        arguments = [COMMAND, *command, "m.yaml", "--param", b"v=\xff"]
        ran = subprocess.run(arguments, cwd=tmp_path, capture_output=True, check=False)
        assert b"this is a bug" not in ran.stderr, command


# --- secrets


def test_offline_commands_ask_no_source(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
defaults:
  environment_variables:
    A: {value_from: {env: A_SECRET}}
    B: {value_from: {file: fifo}}
    C: {value_from: {command: [touch, ran]}}
"""
    write(tmp_path, HEAD + WORKER + text)
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("A_SECRET", "canary-4711")
    for command in (["validate"], ["validate", "--format", "json"], ["render"]):
        ran = run(*command, "m.yaml", "--allow-commands")
        assert ran.code == 0
        assert "canary-4711" not in ran.out + ran.err
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("flags", [[], ["--no-secrets"], ["--allow-commands", "--no-secrets"]])
def test_no_secrets_and_no_command_unless_allowed(tmp_path: Path, run: Run, flags: list[str]) -> None:
    text = "defaults: {environment_variables: {C: {value_from: {command: [touch, ran]}}}}\n"
    write(tmp_path, HEAD + WORKER + text)
    run("plan", "m.yaml", "--sandbox", *flags)
    assert not (tmp_path / "ran").exists()
    if not flags:
        run("plan", "m.yaml", "--sandbox", "--allow-commands")
        assert (tmp_path / "ran").exists()


def test_no_variable_of_the_environment_allows_commands(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "defaults: {environment_variables: {C: {value_from: {command: [touch, ran]}}}}\n"
    write(tmp_path, HEAD + WORKER + text)
    monkeypatch.setenv("BUILDSCTL_ALLOW_COMMANDS", "1")
    run("plan", "m.yaml", "--sandbox")
    assert not (tmp_path / "ran").exists()


def test_a_source_that_is_a_folder_is_a_missing_secret(tmp_path: Path, run: Run) -> None:
    text = "defaults: {environment_variables: {C: {value_from: {file: folder}}}}\n"
    write(tmp_path, HEAD + WORKER + text)
    (tmp_path / "folder").mkdir()
    ran = run("plan", "m.yaml", "--sandbox", "--format", "json")
    (row,) = [one for one in json.loads(ran.out)["resource_changes"] if one["address"].endswith("/C")]
    assert row["change"]["after_unknown"] == {"value": True}


# --- render

SET = r"""
version: 1
owner: acme/builds
account_id: 0123456789abcdef0123456789abcdef
take_over_from: [old/owner]
params: {branch: main, shell: "$HOME ${HOME} $${{ literal }}"}
connections:
  acme/site: {provider_account_id: "41", repo_id: "42"}
  group/sub/lab: {provider_type: gitlab, provider_account_id: "1", repo_id: "2", repo_name: Lab}
tokens:
  deploy:
    cloudflare_token_id: ed17574386854bf78a67040be0a770b0
    build_token_secret: {value_from: {env: DEPLOY}, value_version: "2", allow_empty: true}
  from-dashboard: {build_token_name: "Workers Builds - 2026-01-02 10:00"}
  by-id: {build_token_uuid: 11111111-1111-4111-8111-111111111111}
lint: {allow: [variable-key]}
defaults: {repo_connection: acme/site, build_token: deploy, build_caching_enabled: true,
  ignore: [root_directory]}
profiles:
  node:
    params: {dir: "${{ worker.name }}"}
    root_directory: apps/${{ params.dir }}
    path_includes: ["apps/${{ params.dir }}/*", "packages/*"]
    triggers:
      production: {branch_includes: ["${{ params.branch }}"], deploy_command: npx wrangler deploy}
      preview:
        branch_includes: ["*"]
        branch_excludes: ["${{ params.branch }}"]
        deploy_command: "${{ params.shell }}"
workers:
  api: {profile: node}
  "true": {profile: node, params: {dir: "null"}}
  null-ish: {profile: node, triggers: {preview: null}, take_over_from: [someone, "123"]}
  bare:
  web:
    profile: node
    tag: 0123456789abcdef0123456789abcdef
    repo_connection: group/sub/lab
    lint: {allow: [branch-filter]}
    triggers:
      production:
        trigger_name: "Deploy: default # branch"
        branch_includes: ["true", "null", yes, "1", "1e3", "~", "", "- a", "a: b", "x #y", "é", "\u202e"]
        path_includes: ['"q"', "'q'", "y\n", "[", "{a: b}", "!x", "&x", "*x", "|", ">", "%", "@", "`", "-"]
        build_command: |
          npm ci
          npm run build	# with a tab
        path_excludes: []
        protect: true
        ignore: [build_command, "environment_variables.CI_*", repo_connection]
        environment_variables:
          NODE_VERSION: "24"
          "true": "yes"
          "1": "0x1F"
          EMPTY: ""
          NULL_TEXT: "null"
          CONTROL: "a\tb\x1b[0m\x7f\x85\u2028\U0001F600\U000E0001"
          LONG: {value: "the long way", is_secret: false}
          ELSEWHERE: {is_secret: true}
          PLAIN_ELSEWHERE: {is_secret: false}
          E: {value_from: {env: SENTRY}}
          F: {value_from: {file: "secrets/a b.txt"}, value_version: "x"}
          G: {value_from: {command: [op, "op://a/b", "--x=${{ params.branch }}", "true"]}, allow_empty: true}
      preview:
        environment_variables: {NODE_VERSION: "22"}
"""


def meaning(wanted: Desired) -> Any:
    """What a set wants, without its places."""

    def of(one: Any) -> Any:
        return (
            str(one.address),
            one.resource,
            set(one.ignore),
            one.protect,
            getattr(one, "allow", None),
            {key: variable.resource for key, variable in getattr(one, "variables", {}).items()},
        )

    return (
        wanted.owner,
        wanted.account_id,
        wanted.take_over_from,
        {name: of(one) for name, one in wanted.workers.items()},
        [of(one) for one in wanted.connections],
        [of(one) for one in wanted.tokens],
        [of(one) for one in wanted.triggers],
    )


def test_render_is_a_manifest_that_means_the_same(tmp_path: Path, run: Run) -> None:
    write(tmp_path, {"buildsctl.yaml": SET})
    first = run("render")
    assert (first.code, first.err) == (0, "")
    write(tmp_path, {"rendered.yaml": first.out})
    second = run("render", "rendered.yaml")
    assert (second.code, second.err) == (0, "")
    assert _without_comments(second.out) == _without_comments(first.out)
    before, after = (load(tmp_path, {}, paths=[name]) for name in ("buildsctl.yaml", "rendered.yaml"))
    assert meaning(after) == meaning(before)


def _without_comments(text: str) -> list[str]:
    return [re.sub(r"\s+# [\w./-]+:\d+$", "", line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('workers: {"true": {}}\n', "a Worker of a boolean's name"),
        (WORKER.replace("[main]", '["true"]'), "a branch called true"),
        (WORKER.replace("[main]", '["null"]'), "a branch called null"),
        (WORKER.replace("production:", '"False":'), "a trigger of a boolean's name"),
        (WORKER + 'defaults: {environment_variables: {"NULL": x}}\n', "a variable called NULL"),
        ("take_over_from: [old]\n", "whom to take over"),
        (WORKER + "lint: {allow: [branch-filter]}\n", "rules turned off"),
        (WORKER + 'defaults: {ignore: ["environment_variables.$${{ a }}"]}\n', "what looks like an expression"),
        (WORKER + "defaults: {lint: {allow: [variable-key]}, environment_variables: {'': x, 'a b': y}}\n", "keys"),
        ("workers: {}\n", "no Worker"),
        ("profiles: {p: {}}\n", "nothing"),
    ],
)
def test_render_round_trips(tmp_path: Path, run: Run, text: str, name: str) -> None:
    write(tmp_path, HEAD + text)
    ran = run("render", "m.yaml")
    assert ran.code == 0, ran.err
    write(tmp_path, {"again.yaml": ran.out})
    assert meaning(load(tmp_path, {}, paths=["again.yaml"])) == meaning(load(tmp_path, {}, paths=["m.yaml"]))


def test_render_says_where_each_line_came_from(tmp_path: Path, run: Run) -> None:
    files = {
        "a.yaml": HEAD + "lint: {allow: [variable-key]}\n",
        "b.yaml": "defaults:\n  build_command: from defaults\n  ignore: [build_token]\n",
        "c.yaml": "profiles:\n  p:\n    root_directory: x\n    environment_variables: {A: x}\n",
        "w/d.yaml": (
            "workers:\n  web:\n    profile: p\n    triggers:\n      production:\n"
            "        branch_includes: [main]\n        deploy_command: '${{ params.x }}'\n"
        ),
    }
    write(tmp_path, {f"builds/{name}": text for name, text in files.items()})
    ran = run("render", "--param", "x=y")
    lines = {line.split(":")[0].strip(): line.partition("  # ")[2] for line in ran.out.splitlines()}
    assert lines["owner"] == "builds/a.yaml:2"
    assert lines["build_command"] == "builds/b.yaml:2"
    assert lines["root_directory"] == "builds/c.yaml:3"
    assert lines["A"] == "builds/c.yaml:4"
    assert lines["production"] == "builds/w/d.yaml:5"
    assert lines["branch_includes"] == "builds/w/d.yaml:6"
    assert lines["deploy_command"] == "builds/w/d.yaml:7"
    assert lines["ignore"] == "builds/b.yaml:3"
    assert lines["lint"] == "builds/a.yaml:5"


def test_render_one_worker(tmp_path: Path, run: Run) -> None:
    write(tmp_path, {"buildsctl.yaml": SET})
    ran = run("render", "--worker", "web")
    assert ran.code == 0
    assert "  web:" in ran.out
    assert "  api:" not in ran.out
    ran = run("render", "--worker", "wbe")
    assert (ran.code, ran.out) == (1, "")
    assert "hint: did you mean `web`?" in ran.err


def test_render_tells_all_problems_and_no_half_of_a_manifest(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD + "x: 1\ny: 2\n")
    ran = run("render", "m.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert "m.yaml:5:1: error" in ran.err
    assert "m.yaml:6:1: error" in ran.err
    assert "error: 2 problems in the manifests\n" in ran.err


# --- schema, and the installed command


def test_the_published_schema_is_fresh(run: Run) -> None:
    ran = run("schema", "manifest")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (ROOT / "schemas/manifest.schema.json").read_text(encoding="utf-8")


@pytest.mark.skipif(not COMMAND.exists(), reason="the command is not installed beside this Python")
def test_the_installed_command(tmp_path: Path) -> None:
    write(tmp_path, {"good.yaml": HEAD + WORKER, "bad.yaml": "zzz: 1\n"})

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([COMMAND, *arguments], cwd=tmp_path, capture_output=True, check=False)

    good, bad, piped = run("validate", "good.yaml"), run("validate", "bad.yaml"), run("render", "good.yaml")
    assert (good.returncode, good.stderr) == (0, b"")
    assert (bad.returncode, bad.stdout.startswith(b"bad.yaml:1:1: error: ")) == (1, True)
    assert (piped.returncode, piped.stderr) == (0, b"")


@pytest.mark.skipif(not COMMAND.exists(), reason="the command is not installed beside this Python")
@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_the_locale_changes_nothing_but_the_spelling(tmp_path: Path, locale: str) -> None:
    write(tmp_path, HEAD + "ünknöwn: '日本'\n" + WORKER)
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = subprocess.run(
        [COMMAND, "validate", "m.yaml"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"m.yaml:5:1: error: unknown field `" in ran.stdout


# --- formats for machines


def test_annotations_for_github(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD + "workers: {web: {triggers: {p: {branch_includes: [], deploy_command: d%0A}}}}\nzzz%: 1\n")
    ran = run("validate", "m.yaml", "--format", "github")
    assert (ran.code, ran.err) == (1, "")
    first, second = ran.out.splitlines()
    assert first == (
        "::error file=m.yaml,line=5,col=49,title=branch-filter::the API refuses these `branch_includes` (400 / 12002)"
        '%0Ain trigger/web/p%0Ahint: name one branch, or `["*"]` for a preview trigger; patterns are not taken; '
        "to insist, `lint: {allow: [branch-filter]}`"
    )
    assert second.startswith("::error file=m.yaml,line=6,col=1,title=buildsctl::unknown field `zzz%25`%0Ahint: ")


def test_a_warning_for_github_does_not_fail(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD + WORKER.replace("deploy_command: d", 'deploy_command: d, path_includes: ["a**"]'))
    ran = run("validate", "m.yaml", "--format", "github")
    assert ran.code == 0
    assert ran.out.startswith("::warning file=m.yaml,line=5,col=101,title=watch-path::the watch path `a**` holds")
    write(tmp_path, HEAD + WORKER)
    assert run("validate", "m.yaml", "--format", "github") == (0, "", "")


def test_annotations_hold_nothing_that_github_would_take_for_more(tmp_path: Path, run: Run) -> None:
    """A stranger's file name or key ends no property and no line, and begins no command."""
    folder = "a,b:c%d\r\n::error::e"
    write(tmp_path, {f"{folder}/m.yaml": 'version: 1\nowner: acme\n"odd\u202e\\r\\n::error::x%0A": 1\n'})
    (line,) = run("validate", folder, "--format", "github").out.splitlines()
    properties, _, message = line.removeprefix("::error ").partition("::")
    assert properties == "file=a%2Cb%3Ac%25d\\r\\n%3A%3Aerror%3A%3Ae/m.yaml,line=3,col=1,title=buildsctl"
    assert message.startswith("unknown field `odd\\u202e\\r\\n::error::x%250A`%0Ahint: ")


def test_files_are_named_from_the_top_of_the_checkout(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where GitHub looks for them, wherever the command runs and however they are named."""
    write(tmp_path, {"infra/m.yaml": "zzz: 1\n"})
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    absolute = str(tmp_path / "infra" / "m.yaml")
    for path in ("infra/m.yaml", "./infra//m.yaml", absolute):
        assert "::error file=infra/m.yaml,line=1," in run("validate", path, "--format", "github").out
        assert '"uri": "infra/m.yaml"' in run("validate", path, "--format", "sarif").out
    monkeypatch.chdir(tmp_path / "infra")
    assert "::error file=m.yaml,line=1," in run("validate", "m.yaml", "--format", "github").out
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert "::error file=infra/m.yaml,line=1," in run("validate", "m.yaml", "--format", "github").out
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "inf"))  # not where `infra` is
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"::error file={absolute},line=1," in run("validate", absolute, "--format", "github").out
    assert f'"uri": "file://{absolute}"' in run("validate", absolute, "--format", "sarif").out


def test_what_stands_in_no_file_has_no_place(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD)
    arguments = ["validate", "m.yaml", "--param", "a=b", "--format"]
    assert run(*arguments, "github").out.startswith("::error title=buildsctl::the param `a` is never used%0A")
    (one,) = json.loads(run(*arguments, "sarif").out)["runs"][0]["results"]
    assert "locations" not in one


TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
COUNT = {"type": "integer", "minimum": 1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {"minItems": 1},
    },
    "$defs": {
        "rule": {
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string", "pattern": "^[a-z-]+$"},
                "shortDescription": TEXT,
                "fullDescription": TEXT,
                "help": TEXT,
                "defaultConfiguration": {"required": ["level"], "properties": {"level": LEVEL}},
            },
        },
        "result": {
            "required": ["message", "ruleId", "ruleIndex", "level"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": LEVEL,
                "message": TEXT,
                "locations": {"maxItems": 1, "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation", "region"],
                    "properties": {
                        "artifactLocation": {"required": ["uri"], "properties": {"uri": {"type": "string"}}},
                        "region": {
                            "required": ["startLine", "startColumn"],
                            "additionalProperties": False,
                            "properties": {"startLine": COUNT, "startColumn": COUNT},
                        },
                    },
                },
                "logicalLocations": {"items": {"required": ["fullyQualifiedName"]}},
            },
        },
    },
}
"""What we write of SARIF 2.1.0, with the standard's own limits: its schema comes in no package."""


def sarif(ran: Ran) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rules and the results of a document, each checked."""
    document = json.loads(ran.out)
    Draft202012Validator(SARIF).validate(document)
    (one,) = document["runs"]
    assert one["columnKind"] == "unicodeCodePoints"
    assert one["tool"]["driver"]["name"] == "buildsctl"
    rules, results = one["tool"]["driver"]["rules"], one["results"]
    for name, items in (("rule", rules), ("result", results)):
        for item in items:
            Draft202012Validator({**SARIF["$defs"][name], "$defs": SARIF["$defs"]}).validate(item)
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in results)
    return rules, results


def test_sarif(tmp_path: Path, run: Run) -> None:
    text = "workers: {web: {triggers: {p: {branch_includes: [], deploy_command: d, path_includes: ['a**']}}}}\nodd: 1\n"
    write(tmp_path, HEAD + text)
    ran = run("validate", "m.yaml", "--format", "sarif")
    assert (ran.code, ran.err) == (1, "")
    rules, results = sarif(ran)
    assert [rule["id"] for rule in rules] == ["manifest", *(rule.NAME for rule in lint.RULES)]
    found = [
        (
            result["ruleId"],
            result["level"],
            tuple(result["locations"][0]["physicalLocation"]["region"].values()),
            [one["fullyQualifiedName"] for one in result["locations"][0].get("logicalLocations", ())],
        )
        for result in results
    ]
    assert found == [
        ("branch-filter", "error", (5, 49), ["trigger/web/p"]),
        ("watch-path", "warning", (5, 88), ["trigger/web/p"]),
        ("manifest", "error", (6, 1), []),
    ]
    assert results[1]["message"]["text"] == (
        "the watch path `a**` holds `**`, which is not documented.\n"
        "Hint: write `a*`; to insist, `lint: {allow: [watch-path]}`"
    )
    by_id = {rule["id"]: rule for rule in rules}
    assert by_id["watch-path"]["defaultConfiguration"] == {"level": "warning"}
    assert "To insist: `lint: {allow: [watch-path]}`." in by_id["watch-path"]["help"]["text"]
    assert not re.search("field notes|DESIGN", ran.out)


def test_sarif_without_problems(tmp_path: Path, run: Run) -> None:
    write(tmp_path, HEAD + WORKER)
    ran = run("validate", "m.yaml", "--format", "sarif")
    assert (ran.code, sarif(ran)[1]) == (0, [])


def test_sarif_names_files_by_uri(tmp_path: Path, run: Run) -> None:
    odd = os.fsdecode(b"a b#?%:\xff\n[\xc3\xa9].yaml")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / odd).write_text("zzz: 1\n", encoding="utf-8")
    _, results = sarif(run("validate", "b", "--format", "sarif"))
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert uris == {"b/a%20b%23%3F%25%3A%FF%0A%5B%C3%A9%5D.yaml"}


def test_the_readme_has_a_row_for_each_rule() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in lint.NAMES if f"| `{name}` |" not in text} == set()
