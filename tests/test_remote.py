"""Addresses of remotes, names of branches and folders are read as Git and the API read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.remote import GITHUB, folder_of, is_branch, provider_of, read_remote, split_path

SECRET = "canary~SECRET"
PIECES = [*"ab/.-@{}~^:?*[\\ #é\x7f\x01\n", ".lock", "HEAD", "..", "refs/heads/", "\u202e"]


@pytest.mark.parametrize(
    ("address", "host", "path"),
    [
        ("https://github.com/acme/site", "github.com", "acme/site"),
        ("https://github.com/acme/site.git/", "github.com", "acme/site"),
        (f"https://{SECRET}@github.com/acme/site.git", "github.com", "acme/site"),
        (f"https://alice@corp.example:{SECRET}@github.com/acme/site.git", "github.com", "acme/site"),
        (f"https://github.com/acme/site?access_token={SECRET}#{SECRET}", "github.com", "acme/site"),
        ("ssh://git@ssh.github.com:443/acme/site.git", "ssh.github.com", "acme/site"),
        ("ssh://alice@github.com/acme/site", "github.com", "acme/site"),
        ("git://github.com/acme/site.git", "github.com", "acme/site"),
        ("git+ssh://git@github.com/acme/site.git", "github.com", "acme/site"),
        ("git@GitHub.com:acme/site.git", "github.com", "acme/site"),
        ("git@github.com:/acme/site.git", "github.com", "acme/site"),
        ("org-123@github.com:acme/site.git", "github.com", "acme/site"),
        (f"a@b/{SECRET}@github.com:acme/site.git", "github.com", "acme/site"),
        ("github.com:acme/site.git", "github.com", "acme/site"),
        ("gh:acme/site", "gh", "acme/site"),
        ("https://[::1]:3000/acme/site.git", "::1", "acme/site"),
        ("git@gitlab.com:group/sub/site.git", "gitlab.com", "group/sub/site"),
        ("https://dev.azure.com/acme/proj/_git/site", "dev.azure.com", "acme/proj/_git/site"),
    ],
)
def test_an_address_tells_host_and_path(address: str, host: str, path: str) -> None:
    found = read_remote(address)
    assert found is not None
    assert (found.host, found.path) == (host, path)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/srv/git/acme/site.git",
        "../site",
        "file:///srv/acme/site.git",
        "https://github.com/site",
        "https://github.com//acme//site",
        "https://github.com/acme/..",
        "https://github.com/ac%20me/site",
        "https://github.com/acme/sité",
        "https://gïthub.com/acme/site",
        "https://[::1/acme/site",
        "https://git\u2100hub.com/acme/site",
        "codecommit::us-east-1://site",
        f"https://user:pa/{SECRET}@github.com/acme/site",
        f"https://user:pa?{SECRET}@github.com/acme/site",
        f"user:{SECRET}@github.com:acme/site",
    ],
)
def test_what_is_not_plain_is_no_address(address: str) -> None:
    assert read_remote(address) is None


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1), st.sampled_from(["https://{}@github.com/acme/site", "{}@github.com:acme/site"]))
def test_nothing_before_the_host_is_kept(user: str, form: str) -> None:
    found = read_remote(form.format(f"{user}{SECRET}"))
    assert found is None or "SECRET" not in f"{found.host} {found.path}"
    assert "/" in user or "\\" in user or found is None or found.path == "acme/site"


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("github.com", "github"),
        ("ssh.github.com", "github"),
        ("ghe.example", "github"),
        ("github.mycorp.example", ""),
        ("notgithub.com.evil.example", ""),
        ("bitbucket.org", ""),
        ("gitlab.com", "gitlab"),
        ("code.gitlab.example", "gitlab"),
    ],
)
def test_a_host_tells_the_provider(host: str, provider: str) -> None:
    assert provider_of(host, {*GITHUB, "ghe.example"}) == provider


@pytest.mark.parametrize(
    "path", ["site", "/site", "acme/", "a b/c", "acme/${{x}}", "./site", "~user/site", "acme/site\n"]
)
def test_what_is_no_owner_and_repository(path: str) -> None:
    assert split_path(path) is None


@settings(max_examples=60, deadline=None)
@given(name=st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join))
def test_a_branch_is_what_git_takes(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    asked = subprocess.run(
        ["git", "check-ref-format", "--branch", name],
        capture_output=True,
        check=False,
        cwd=tmp_path_factory.getbasetemp(),
    )
    assert is_branch(name) == (asked.returncode == 0 and name != "@")


def test_some_branches() -> None:
    assert all(map(is_branch, ["main", "feature/#12", "ma'in", "main,dev", "a@b", "é"]))
    assert not any(map(is_branch, ["", "@", "HEAD", "*", "feat/*", "-x", "\x1b[31m", " ", "a/", "a.lock", "\udcff"]))


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("", "/"),
        ("/", "/"),
        (".", "/"),
        ("./", "/"),
        ("apps/web", "apps/web"),
        ("/apps//web/", "apps/web"),
        ("./apps/web", "apps/web"),
        ("apps/x/../web", "apps/web"),
        ("..apps", "..apps"),
        ("../x", ""),
        ("a/../../x", ""),
        ("apps/*", ""),
        ("apps\\web", ""),
        ("apps/\x1b[2J", ""),
        ("x" * 256, "x" * 256),
        ("x" * 257, ""),
    ],
)
def test_a_folder_is_relative_to_the_root(text: str, folder: str) -> None:
    assert folder_of(text) == folder


def test_the_module_needs_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler import git

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (git.remote_address(), git.default_branch(), git.current_branch()) == ("", "", "")
    monkeypatch.setenv("PATH", "")
    assert git.remote_address() == ""
