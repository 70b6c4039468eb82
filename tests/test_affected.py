"""`affected` says which triggers a push would build, by the rules of the field notes."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import story
from hypothesis import given
from hypothesis import strategies as st

from reconciler.affected import MANY_COMMITS, MANY_FILES, Push, Rule, decide, matches, takes_branch
from reconciler.kinds.trigger import Trigger
from reconciler.model import Address, Declared

MANIFEST = """
version: 1
owner: acme
connections:
  acme/site: {provider_account_id: "1", repo_id: "1"}
tokens: {shared: {build_token_name: x}}
profiles:
  node:
    path_includes: ["apps/${{ worker.name }}/*", "packages/*"]
    path_excludes: ["*.md"]
    deploy_command: make
    triggers:
      production: {branch_includes: [main]}
      preview: {branch_includes: ["*"], branch_excludes: [main], deploy_command: make preview}
workers:
  api: {profile: node}
  web: {profile: node}
"""


def trigger(**fields: Any) -> Declared[Trigger]:
    given: dict[str, Any] = {"branch_includes": ("main",), "deploy_command": "x", **fields}
    resource = Trigger(
        external_script_id="t", trigger_name="p", repo_connection_uuid="c", build_token_uuid="k", **given
    )
    return Declared(address=Address.of("trigger", "web", "production"), resource=resource)


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("*", "anything/at/all", True),
        ("*", "", True),
        ("", "a", False),
        ("apps/web/*", "apps/web/a.ts", True),
        ("apps/web/*", "apps/web/deep/er/a.ts", True),  # a `*` crosses `/`
        ("apps/web/*", "apps/web", False),
        ("apps/web/*", "apps/website/a.ts", False),
        ("apps/web*", "apps/website/a.ts", True),
        ("*.md", "docs/deep/a.md", True),
        ("*.md", "a.md.txt", False),
        ("*/test/*", "a/test/b", True),
        ("*/test/*", "test/b", False),
        ("package.json", "package.json", True),
        ("package.json", "apps/package.json", False),
        ("apps/*/src", "apps/web/src", False),  # not in the middle: there it is itself
        ("apps/*/src", "apps/*/src", True),
        ("src/**", "src/deep/a.ts", True),  # undocumented, read as `*`
        ("**", "a", True),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("README", "readme", False),
    ],
)
def test_a_rule(rule: str, text: str, expected: bool) -> None:
    assert matches(rule, text) is expected


def naive(rule: str, text: str) -> bool:
    """Another reading of the same rules: try every way to split the text."""
    head = len(rule) - len(rule.lstrip("*"))
    tail = len(rule) - len(rule.rstrip("*"))
    core = rule[head : len(rule) - tail] if head < len(rule) else ""
    for start in range(len(text) + 1):
        for end in range(start, len(text) + 1):
            if text[start:end] == core and (head or start == 0) and (tail or end == len(text)):
                return True
    return False


@given(st.text(alphabet="ab/*.", max_size=8), st.text(alphabet="ab/*.", max_size=8))
def test_rules_against_a_naive_matcher(rule: str, text: str) -> None:
    assert matches(rule, text) == naive(rule, text)


_RULES = st.lists(st.text(alphabet="ab/*", min_size=1, max_size=4), max_size=3).map(tuple)
_FILES = st.lists(st.text(alphabet="ab/", min_size=1, max_size=5), max_size=4).map(tuple)


def naive_builds(one: Trigger, push: Push) -> bool:
    def any_of(rules: Sequence[str], text: str) -> bool:
        return any(naive(rule, text) for rule in rules)

    if any_of(one.branch_excludes, push.branch) or not any_of(one.branch_includes, push.branch):
        return False
    if not push.files or push.commits >= 20:
        return True
    left = [file for file in push.files if not any_of(one.path_excludes, file)]
    return any(any_of(one.path_includes, file) for file in left)


@given(st.tuples(_RULES, _RULES, _RULES, _RULES), _FILES, st.sampled_from(["a", "b", "main"]), st.integers(0, 25))
def test_verdicts_against_a_naive_model(
    rules: tuple[tuple[str, ...], ...], files: tuple[str, ...], branch: str, commits: int
) -> None:
    names = ("branch_includes", "branch_excludes", "path_includes", "path_excludes")
    one = trigger(**dict(zip(names, rules, strict=True)))
    push = Push(branch=branch, files=files, commits=commits)
    (verdict,) = decide([one], push)
    assert verdict.builds == naive_builds(one.resource, push)
    if verdict.rule is Rule.PATH_INCLUDES:
        assert naive(verdict.pattern, verdict.file)
        assert verdict.file in files


WATCHING = {"path_includes": ("apps/*",), "path_excludes": ("*.md",)}
PREVIEW = {"branch_includes": ("*",), "branch_excludes": ("main",)}


@pytest.mark.parametrize(
    ("fields", "push", "builds", "rule"),
    [
        ({}, {"branch": "main"}, True, Rule.PATH_INCLUDES),
        ({}, {"branch": "feature"}, False, Rule.BRANCH_INCLUDES),
        (PREVIEW, {"branch": "feature"}, True, Rule.PATH_INCLUDES),
        (PREVIEW, {"branch": "main"}, False, Rule.BRANCH_EXCLUDES),
        (PREVIEW, {"branch": "main", "files": ()}, False, Rule.BRANCH_EXCLUDES),  # branches come first
        (WATCHING, {"files": ()}, True, Rule.NO_FILES),
        (WATCHING, {"files": ("x",) * MANY_FILES}, True, Rule.MANY_FILES),
        (WATCHING, {"files": ("x",) * (MANY_FILES - 1)}, False, Rule.NOT_WATCHED),
        (WATCHING, {"files": ("x",), "commits": MANY_COMMITS}, True, Rule.MANY_COMMITS),
        (WATCHING, {"files": ("x",), "commits": MANY_COMMITS - 1}, False, Rule.NOT_WATCHED),
        (WATCHING, {"files": ("apps/a.md",)}, False, Rule.PATH_EXCLUDES),
        (WATCHING, {"files": ("apps/a.md", "apps/b.md", "x")}, False, Rule.PATH_EXCLUDES),
        (WATCHING, {"files": ("a.md", "x")}, False, Rule.NOT_WATCHED),
        (WATCHING, {"files": ("apps/a.md", "apps/a.ts")}, True, Rule.PATH_INCLUDES),
        ({"path_includes": ()}, {}, False, Rule.NOT_WATCHED),
        ({"path_includes": ("*",), "path_excludes": ("*",)}, {}, False, Rule.PATH_EXCLUDES),
    ],
)
def test_a_verdict(fields: dict[str, Any], push: dict[str, Any], builds: bool, rule: Rule) -> None:
    pushed = Push(**{"branch": "main", "files": ("src/a.ts",), **push})
    (verdict,) = decide([trigger(**fields)], pushed)
    assert (verdict.builds, verdict.rule) == (builds, rule)


def test_which_branches_a_trigger_takes() -> None:
    assert takes_branch(trigger().resource, "main")
    assert not takes_branch(trigger(**PREVIEW).resource, "main")
    assert takes_branch(trigger(**PREVIEW).resource, "main2")


# The command


class Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "buildsctl.yaml").write_text(MANIFEST)
    return tmp_path


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def found(*arguments: str) -> Any:
    ran = story.run(["affected", "--format", "json", *arguments], {})
    assert ran.code == 0, ran.stderr
    assert not ran.requests
    return json.loads(ran.stdout)


def test_named_files(here: Path) -> None:
    document = found("--files", "apps/web/a.ts", "--files", "./apps/web/b.md", "--branch", "main")
    assert document["affected"] == ["trigger/web/production"]
    assert document["workers"] == ["web"]
    assert [one["rule"] for one in document["triggers"]] == [
        "branch_excludes", "not-watched", "branch_excludes", "path_includes"
    ]  # fmt: skip
    web = document["triggers"][-1]
    assert (web["pattern"], web["file"]) == ("apps/web/*", "apps/web/a.ts")
    assert found("--files", "packages/x", "--branch", "f")["workers"] == ["api", "web"]
    assert found("--files", "x", "--branch", "f", "--commits", "20")["workers"] == ["api", "web"]
    text = story.run(["affected", "--files", "apps/web/a.ts", "--branch", "main"], {}).stdout
    assert "builds  trigger/web/production  `apps/web/a.ts` matches `apps/web/*` of its path_includes\n" in text
    assert "-       trigger/web/preview     its branch_excludes hold `main`\n" in text
    assert text.endswith("1 of 4 triggers would build: 1 changed file on branch `main`.\n")


@pytest.mark.parametrize("content", [b"apps/web/a.ts\0packages/a\nb\0", b"apps/web/a.ts\r\napps/web/b.md\n", b""])
def test_names_from_stdin(here: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(content))
    document = found("--files", "-", "--branch", "main")
    assert "trigger/web/production" in document["affected"]
    assert document["files"] == (2 if content else 0)
    assert content or document["triggers"][-1]["rule"] == "no-changed-file"


def test_names_from_stdin_in_quotes_as_git_prints_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("init", "-b", "main")
    name = 'apps/web/é \t"\\\x01'
    Path(name).parent.mkdir(parents=True)
    Path(name).write_text("x")
    git("add", ".")
    for setting in ("true", "false"):
        printed = subprocess.run(
            ["git", "-c", f"core.quotePath={setting}", "diff", "--cached", "--name-only"],
            check=True,
            capture_output=True,
        ).stdout
        assert printed.startswith(b'"') or b'\n"apps' in printed
        monkeypatch.setattr("sys.stdin", Stdin(printed))
        document = found("--files", "-", "--branch", "main")
        assert document["triggers"][-1]["file"] == name
    for broken in (b'"apps/web/a', b'"apps/\\d"', b'"a"b"', b'"\\777"', b'"'):
        monkeypatch.setattr("sys.stdin", Stdin(broken))
        ran = story.run(["affected", "--files", "-", "--branch", "main"], {})
        assert (ran.code, ran.stdout) == (1, "")
        assert "hint: use `git diff -z`" in ran.stderr
    monkeypatch.setattr("sys.stdin", Stdin(b'"apps/web/a"\0'))
    assert not found("--files", "-", "--branch", "main")["affected"]  # between NULs Git quotes nothing


def test_what_git_says(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("init", "-b", "main")
    Path("apps/web").mkdir(parents=True)
    Path("apps/web/old.ts").write_text("x\n" * 20)
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "feature")
    git("mv", "apps/web/old.ts", "new.ts")
    git("commit", "-m", "two")
    assert found("--base", "main")["affected"] == ["trigger/web/preview"]  # both names of a renamed file count
    document = found("--base", "main", "--branch", "main")
    assert (document["branch"], document["commits"], document["files"]) == ("main", 1, 2)
    Path("apps/api").mkdir()
    Path("apps/api/ä\n.ts").write_text("x")
    monkeypatch.chdir("apps/api")
    Path("../../buildsctl.yaml").write_text(MANIFEST + " ")
    assert found("--base", "main", "../../buildsctl.yaml")["workers"] == ["api", "web"]
    assert found("--base", "main", "--committed", "../../buildsctl.yaml")["workers"] == ["web"]
    git("checkout", "--detach")
    ran = story.run(["affected", "--base", "main", "../../buildsctl.yaml"], {})
    assert ran.code == 1
    assert "--branch" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say what changed"),
        (["--base", "x", "--files", "y"], "--base and --files exclude each other"),
        (["--base", "-x"], "is no Git revision"),
        (["--base", "nothing"], "there is no Git repository here"),
        (["--files", "x"], "no branch is checked out"),
        (["--files", "x", "--branch", "b", "--repo", "acme/nope"], "no repository `acme/nope`"),
        (["--files", "x", "--branch", "b", "absent.yaml"], "there is no `absent.yaml`"),
    ],
)
def test_errors(here: Path, arguments: list[str], told: str) -> None:
    ran = story.run(["affected", *arguments], {})
    assert ran.code == 1
    assert told in ran.stderr


def test_files_are_of_one_repository(here: Path) -> None:
    other = '  acme/other: {provider_account_id: "1", repo_id: "2"}\n'
    text = MANIFEST.replace("connections:\n", f"connections:\n{other}").replace(
        "workers:\n", "workers:\n  lone: {profile: node, repo_connection: acme/other, path_includes: ['*']}\n"
    )
    text = text.replace("    deploy_command: make\n", "    deploy_command: make\n    repo_connection: acme/site\n")
    Path("buildsctl.yaml").write_text(text)
    assert found("--files", "a", "--branch", "f", "--repo", "Acme/Other")["workers"] == ["lone"]
    ran = story.run(["affected", "--files", "packages/a", "--branch", "f"], {})
    assert ran.code == 1
    assert "--repo: acme/other, acme/site" in ran.stderr
    git("init", "-b", "main")
    for url in ("git@github.com:acme/site.git", "https://github.com/acme/site"):
        git("config", "remote.origin.url", url)
        ran = story.run(["affected", "--files", "packages/a", "--branch", "f"], {})
        assert "trigger/lone" not in ran.stdout
        assert "2 of 4 triggers would build" in ran.stdout
        assert "2 triggers of other repositories left out" in ran.stderr


def test_a_stranger_s_branch_and_file_are_harmless(here: Path) -> None:
    ran = story.run(["affected", "--files", "packages/\x1b[2J", "--branch", "\u202ef"], {})
    assert "\x1b" not in ran.stdout
    assert "\u202e" not in ran.stdout
