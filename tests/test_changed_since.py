"""`--changed-since`: only what differs from a Git revision is looked at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler import cli
from reconciler.errors import UsageError
from reconciler.manifest.changed import changed_addresses
from reconciler.sandbox import Sandbox

SET = """version: 1
owner: acme
params: {branch: main}
connections: {acme/site: {provider_account_id: "1", repo_id: "2"}}
tokens: {shared: {build_token_name: x}}
profiles:
  node: {triggers: {production: {branch_includes: ["${{ params.branch }}"], deploy_command: npx wrangler deploy}}}
  other: {triggers: {production: {branch_includes: [main], deploy_command: make}}}
"""
ALL = ["worker/api", "worker/docs", "worker/odd", "worker/web"]


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three Workers of one profile and one of another, committed."""
    monkeypatch.chdir(tmp_path)
    builds = tmp_path / "builds"
    builds.mkdir()
    (builds / "set.yaml").write_text(SET, encoding="utf-8")
    for name in ("api", "docs", "web"):
        (builds / f"{name}.yaml").write_text(f"workers:\n  {name}: {{profile: node}}\n", encoding="utf-8")
    (builds / "odd.yaml").write_text("workers:\n  odd: {profile: other}\n", encoding="utf-8")
    _git(tmp_path, "init", "-q", "-b", "main")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "first")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("set.yaml", "", "", []),
        ("web.yaml", "workers:\n", "# a comment\nworkers:\n", []),
        ("web.yaml", "{profile: node}", "{profile: node, build_command: make}", ["worker/web"]),
        ("web.yaml", "{profile: node}", "{profile: node, environment_variables: {A: '1'}}", ["worker/web"]),
        ("set.yaml", "branch: main", "branch: trunk", ["worker/api", "worker/docs", "worker/web"]),
        ("set.yaml", "deploy_command: make", "deploy_command: make it", ["worker/odd"]),
        ("set.yaml", 'repo_id: "2"', 'repo_id: "3"', ["connection/acme/site", *ALL]),
        ("set.yaml", "build_token_name: x", "build_token_name: y", ["token/shared", *ALL]),
        ("set.yaml", "owner: acme", "owner: acme\ntake_over_from: [them]", ALL),
        ("set.yaml", "owner: acme", f"owner: acme\naccount_id: {'a' * 32}", ALL),
    ],
)
def test_what_differs(repository: Path, file: str, old: str, new: str, expected: list[str]) -> None:
    path = repository / "builds" / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    assert sorted(changed_addresses([], "HEAD")) == expected


def test_the_order_of_blocks_is_no_difference(repository: Path) -> None:
    path = repository / "builds" / "set.yaml"
    two = 'repo_id: "2"}, acme/two: {provider_account_id: "1", repo_id: "3"}}'
    path.write_text(SET.replace('repo_id: "2"}}', two), encoding="utf-8")
    both = (
        "production: {repo_connection: acme/two, branch_includes: [main], deploy_command: a}",
        'preview: {repo_connection: acme/site, branch_includes: ["*"], branch_excludes: [main], deploy_command: b}',
    )
    for name in ("api", "docs", "odd", "web"):
        (repository / "builds" / f"{name}.yaml").unlink()
    web = repository / "builds" / "web.yaml"
    for first, second in (both, both[::-1]):
        web.write_text(f"workers:\n  web:\n    triggers:\n      {first}\n      {second}\n", encoding="utf-8")
        if first == both[0]:
            _git(repository, "add", "-A")
            _git(repository, "commit", "-qm", "second")
    assert not changed_addresses([], "HEAD")


def test_a_new_worker_and_new_manifests_differ(repository: Path) -> None:
    (repository / "builds" / "new.yaml").write_text("workers: {new: {profile: node}}\n", encoding="utf-8")
    assert changed_addresses([], "HEAD") == ["worker/new"]
    (repository / "elsewhere").mkdir()
    for path in (repository / "builds").iterdir():
        (repository / "elsewhere" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert len(changed_addresses(["elsewhere"], "HEAD")) == 5


def test_paths_may_be_absolute_or_from_a_folder_below(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repository / "builds" / "web.yaml"
    path.write_text("workers:\n  web: {profile: node, build_command: make}\n", encoding="utf-8")
    assert changed_addresses([str(repository / "builds")], "HEAD") == ["worker/web"]
    monkeypatch.chdir(repository / "builds")
    assert changed_addresses(["."], "HEAD") == ["worker/web"]


def test_manifests_outside_the_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "m.yaml"
    other.write_text("version: 1\nowner: a\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not in this Git repository"):
        changed_addresses([str(other)], "HEAD")


@pytest.mark.parametrize("revision", ["nothing", "-x", "HEAD~5"])
def test_what_is_no_revision(repository: Path, revision: str) -> None:
    with pytest.raises(UsageError):
        changed_addresses([], revision)


def test_git_that_refuses_is_no_unknown_revision(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(UsageError, match="there is no Git repository here, or Git refuses it") as found:
        changed_addresses([str(repository / "builds")], "HEAD")
    assert "safe.directory" in found.value.hint


def test_an_empty_revision_is_not_all(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--sandbox", "plan", "--changed-since", ""]) == 1
    assert "it is empty: a variable that is not set?" in capsys.readouterr().err


def test_a_plan_costs_what_changed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox = Sandbox("sandbox.db")
    names = ("api", "docs", "web", "odd")
    workers = [{"id": name} for name in names]
    sandbox.seed({"workers": workers, "build_tokens": [{"build_token_name": "x", "cloudflare_token_id": "1"}]})
    sandbox.close()
    data = ["--sandbox", "--sandbox-file", "sandbox.db"]
    assert cli.run([*data, "plan", "--changed-since", "HEAD"]) == 0
    assert "so nothing was asked" in capsys.readouterr().out
    path = repository / "builds" / "web.yaml"
    path.write_text("workers:\n  web: {profile: node, build_command: make}\n", encoding="utf-8")
    assert cli.run([*data, "apply", "--auto-approve", "--changed-since", "HEAD"]) == 0
    out = capsys.readouterr().out
    assert "trigger/web/production: done" in out
    assert "trigger/api" not in out
    assert "3 declared Workers were not" in out
    assert cli.run([*data, "plan", "--changed-since", "HEAD", "--prune"]) == 1


def test_a_param_file_is_read_as_it_was(repository: Path) -> None:
    """One that Git does not have, or that lies elsewhere, may have said anything."""
    set_ = repository / "builds" / "set.yaml"
    set_.write_text(set_.read_text().replace("params: {branch: main}\n", ""))
    params = repository / "p.yaml"
    params.write_text("branch: main\n")
    _git(repository, "add", ".")
    _git(repository, "commit", "-qm", "second")
    assert changed_addresses([], "HEAD", param_files=["p.yaml"]) == []
    params.write_text("branch: trunk\n")
    changed = ["worker/api", "worker/docs", "worker/web"]
    assert sorted(changed_addresses([], "HEAD", param_files=["p.yaml"])) == changed
    new = repository / "new.yaml"
    new.write_text("branch: main\n")
    assert sorted(changed_addresses([], "HEAD", param_files=["new.yaml"])) == ALL


def test_links_that_lead_out_make_everything_changed(repository: Path) -> None:
    (repository / "builds" / "link").symlink_to("/etc")
    _git(repository, "add", ".")
    _git(repository, "commit", "-qm", "second")
    assert sorted(changed_addresses([], "HEAD")) == ALL


def test_it_does_not_go_with_target(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what to look at: together they would look at more than either."""
    assert cli.run(["--sandbox", "plan", "--changed-since", "HEAD", "--target", "worker/web"]) == 1
    assert "--target and --changed-since exclude each other" in capsys.readouterr().err
