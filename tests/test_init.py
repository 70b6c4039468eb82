"""`init` writes a first manifest that plans: from flags, Actions' environment, GitHub, and what is live."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import story
from test_drift import LIVE, seed

HTTP = ["slow:OPTIONS:/nowhere"]
FLAGS = ["--repo", "acme/site", "--provider-account-id", "41612145", "--repo-id", "1332648945", "--branch", "main"]
FRESH: dict[str, Any] = {**LIVE, "triggers": [], "build_tokens": [LIVE["build_tokens"][0]]}
FRESH["repositories"] = [
    {
        **LIVE["repositories"][0],
        "root_directories": {
            "/": {
                "default_worker_name": "web",
                "env_worker_names": {"staging": "api"},
                "package_manager": "pnpm",
                "scripts": {"build": "vite build"},
            }
        },
    }
]


def init(*arguments: str, code: int = 0, environment: dict[str, str] | None = None) -> str:
    ran = story.run(["init", *arguments], environment or {})
    assert ran.code == code, ran.stderr
    assert all(one.startswith("GET") for one in ran.requests)
    return Path("buildsctl.yaml").read_text() if code == 0 else ran.stderr


def test_from_flags_and_what_builds_finds_in_the_repository(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        seed(FRESH)
        text = init(*FLAGS)
        assert "  web:\n" in text
        assert "deploy_command: pnpm exec wrangler deploy}" in text
        assert "deploy_command: pnpm exec wrangler deploy --env staging" in text
        assert "build_command: pnpm run build" in text
        assert "build_token_name: by hand" in text
        assert "# pushes to every other branch" in text
        ran = story.run(["apply", "--auto-approve"], {})
        assert ran.code == 0, ran.stderr
        assert "No changes" in story.run(["plan"], {}).stdout


def test_what_is_live_is_exported(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        seed({**FRESH, "triggers": [{"worker": "web", "build_command": "make", "deploy_command": "x"}]})
        text = init(*FLAGS)
        assert "build_command: make" in text
        ran = story.run(["plan"], {})
        assert ran.code == 0, ran.stderr
        assert "1 to adopt" in ran.stdout


def test_without_an_account_it_works_from_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler import cli

    monkeypatch.chdir(tmp_path)
    assert cli.run(["init", *FLAGS, "--worker", "web", "--root-directory", "apps/web"]) == 0
    text = (tmp_path / "buildsctl.yaml").read_text()
    assert "buildsctl tokens id --env DEPLOY_TOKEN" in text
    assert "path_includes: [apps/web/*]" in text
    assert cli.run(["validate"]) == 0


def test_ids_come_from_github_and_the_repository_from_the_remote(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        seed(FRESH)
        subprocess.run(["git", "init", "-q", "-b", "trunk"], check=True)
        subprocess.run(["git", "remote", "add", "origin", "git@github.com:Acme/Site.git"], check=True)
        with story.failing(HTTP) as options:
            base = options[1].removesuffix("/client/v4")
            text = init("--branch", "main", environment={"GITHUB_API_URL": f"{base}/github"})
        assert 'provider_account_id: "41612145", repo_id: "1332648945"' in text
        assert "owner: Acme/Site" in text


def test_in_actions_the_environment_has_the_ids(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        seed(FRESH)
        ids = {"GITHUB_REPOSITORY_ID": "1332648945", "GITHUB_REPOSITORY_OWNER_ID": "41612145"}
        text = init("--repo", "acme/site", "--branch", "main", environment={"GITHUB_REPOSITORY": "acme/site", **ids})
        assert 'repo_id: "1332648945"' in text


@pytest.mark.parametrize(
    ("remote", "where"),
    [
        ("https://github.com/acme/site", "acme/site"),
        ("https://x-token@github.com/acme/site.git", "acme/site"),
        ("ssh://git@github.com:22/acme/site.git", "acme/site"),
        ("git@gitlab.com:group/sub/site.git", "group/sub/site"),
    ],
)
def test_remotes(remote: str, where: str, tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        seed(FRESH)
        subprocess.run(["git", "init", "-q"], check=True)
        subprocess.run(["git", "remote", "add", "origin", remote], check=True)
        text = init(*FLAGS[2:], "--worker", "web")
        assert f"  {where}: {{" in text
        assert ("provider_type: gitlab" in text) == ("gitlab" in remote)


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        ([], {}, "no Git remote `origin`"),
        (["--repo", "site"], {}, "is not OWNER/REPO"),
        (
            ["--repo", "acme/site"],
            {"GITHUB_API_URL": "http://127.0.0.1:9"},
            "GitHub does not tell the ids of acme/site",
        ),
        (["--repo", "acme/site"], {"GITHUB_API_URL": "http://example.com"}, "would send the token unencrypted"),
        ([*FLAGS, "--worker", "web", "-o", "sandbox.db"], {}, "is there already"),
    ],
)
def test_what_it_cannot_find_out_it_says(
    arguments: list[str], environment: dict[str, str], text: str, tmp_path: Path
) -> None:
    with story.folder(tmp_path, {}):
        seed(FRESH)
        assert text in init(*arguments, code=1, environment=environment)
