"""Which repository `init` is about, and its production branch: options, Git, Actions, GitHub, or an answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from reconciler.cli import session
from reconciler.cli.options import option
from reconciler.cli.output import asked, asks, read_json, tell
from reconciler.errors import AnswerError, ApiError, UsageError
from reconciler.kinds.connection import PROVIDERS, Connection
from reconciler.remote import GITHUB, Remote, is_branch, provider_of, read_remote, split_path

API, SERVER = "https://api.github.com", "https://github.com"
MAX_EVENT = 50_000_000  # bytes
IDS = "say --provider-account-id and --repo-id"
IDS_OF_GITHUB = f"{IDS}; GITHUB_TOKEN is used where it is set"
OPTIONS = (
    option("--repo OWNER/REPO", "The repository; default: the Git remote `origin`."),
    option(
        "--provider-type TYPE", f"{', '.join(PROVIDERS)}; default: what the remote shows.", type=click.Choice(PROVIDERS)
    ),
    option("--provider-account-id ID", "Its owner's numeric id; default: asked of GitHub."),
    option("--repo-id ID", "Its numeric id; default: asked of GitHub."),
    option("--branch NAME", "The production branch; default: the remote's default branch."),
)


Given = Mapping[str, str | None]


def look(given: Given) -> tuple[Connection, str]:
    """The repository with its ids, and its production branch. `given` is what OPTIONS say, by their names."""
    from reconciler import git

    here = read_remote(git.remote_address())
    remote = _remote(given, here)
    provider = _provider(given, remote)
    cloned = here is not None and here.path.casefold() == remote.path.casefold()
    told = {"provider_account_id": given["provider_account_id"] or "", "repo_id": given["repo_id"] or ""}
    told["branch"] = given["branch"] or (git.default_branch() if cloned else "")
    why: UsageError | None = None
    # Only what is on its server is asked about there: elsewhere the same name is a stranger's.
    is_there = remote.host in ("", _server()) or {remote.host, _server()} <= GITHUB
    for source in (_from_actions, _from_github) if provider == "github" and is_there else ():
        if not all(told.values()):
            try:
                more = source(remote)
            except UsageError as error:
                more, why = {}, error
                if asks():
                    tell(f"note: {error.message}")
            told = {name: text or more.get(name, "") for name, text in told.items()}
    no_ids = why or UsageError(f"nobody tells the ids of {remote.path}", hint=IDS)
    account = told["provider_account_id"] or asked("The owner's numeric id", no_ids)
    repo = told["repo_id"] or asked("The repository's numeric id", no_ids)
    check_ids(provider, remote.path, {"provider_account_id": account, "repo_id": repo})
    branch = told["branch"]
    if not given["branch"]:
        told_why = f": {why.message}" if why else ""
        missing = UsageError(f"nobody tells the production branch of {remote.path}{told_why}", hint="say --branch NAME")
        branch = asked("Production branch", missing, branch or (git.current_branch() if cloned and asks() else ""))
    branch = branch.removeprefix("refs/heads/")
    if not is_branch(branch):
        raise UsageError(f"`{branch}` is no name of a branch", hint="say --branch NAME, as Git shows it")
    return Connection(
        provider_type=provider,
        provider_account_id=account,
        provider_account_name=remote.owner,
        repo_id=repo,
        repo_name=remote.name,
    ), branch


def _remote(given: Given, here: Remote | None) -> Remote:
    """`host` is empty where nobody says it: then it is GitHub's."""
    path = given["repo"] or ("" if here else os.environ.get("GITHUB_REPOSITORY", ""))
    if here and not path:
        return here
    told = "there is no Git remote `origin` here that says which repository it is"
    missing = UsageError(told, hint="say --repo OWNER/REPO")
    found = split_path(path or asked("Repository (OWNER/REPO)", missing))
    if found is None:
        raise UsageError("the repository is not OWNER/REPO", hint="say --repo OWNER/REPO, without a host")
    return Remote(host=here.host if here and not given["provider_type"] else "", owner=found[0], name=found[1])


def _provider(given: Given, remote: Remote) -> str:
    found = given["provider_type"] or (provider_of(remote.host, {*GITHUB, _server()}) if remote.host else "github")
    if not found:
        hint = f"{IDS} with --provider-type, or --repo OWNER/REPO --provider-type github where it stands for github.com"
        missing = UsageError(f"`{remote.host}` is neither GitHub nor GitLab, as far as its name tells", hint=hint)
        found = asked(f"Provider ({', '.join(PROVIDERS)})", missing)
    if found not in PROVIDERS:
        raise UsageError(f"`{found}` is no provider", hint=f"one of {', '.join(PROVIDERS)}")
    if found == "github" and "/" in remote.owner:
        raise UsageError(f"`{remote.path}` is not on GitHub, which has OWNER/REPO", hint="say --provider-type")
    return found


def _server() -> str:
    """The host of GITHUB_SERVER_URL, which Actions sets; github.com elsewhere."""
    try:
        return urlsplit(os.environ.get("GITHUB_SERVER_URL") or SERVER).hostname or ""
    except ValueError:
        return ""


def _from_actions(remote: Remote) -> dict[str, str]:
    """Its variables and its event, where they are about this repository."""
    if os.environ.get("GITHUB_REPOSITORY", "").casefold() != remote.path.casefold():
        return {}
    ids = {"provider_account_id": "GITHUB_REPOSITORY_OWNER_ID", "repo_id": "GITHUB_REPOSITORY_ID"}
    found = {name: os.environ.get(variable, "").strip() for name, variable in ids.items()}
    try:
        event = read_json(os.environ.get("GITHUB_EVENT_PATH", ""), most=MAX_EVENT, what="event", hint="")
    except UsageError:
        event = None
    branch = _default_branch(event.get("repository") if isinstance(event, dict) else None)
    return {**{name: one for name, one in found.items() if _is_number(one)}, "branch": branch}


def _from_github(remote: Remote) -> dict[str, str]:
    from reconciler.api import fetch_json

    base = os.environ.get("GITHUB_API_URL") or (API if _server() in GITHUB else "")
    base = session.checked_url(base, allow_http=False, hint="GITHUB_API_URL says where GitHub's API is")
    token = session.first_token(os.environ, "GITHUB_TOKEN", "GH_TOKEN")
    try:
        found = fetch_json(f"{base.rstrip('/')}/repos/{remote.path}", token=token)
        ids = (found["owner"]["id"], found["id"])
        if not all(type(one) is int for one in ids):
            raise ValueError
    except (ApiError, LookupError, TypeError, ValueError) as error:
        told, hint = _why(error, token)
        raise UsageError(f"GitHub does not tell what {remote.path} is: {told}", hint=hint) from None
    return {"provider_account_id": str(ids[0]), "repo_id": str(ids[1]), "branch": _default_branch(found)}


def _why(error: Exception, token: str) -> tuple[str, str]:
    match error:
        case AnswerError(status=301 | 302 | 307 | 308):
            return f"it was renamed or moved (HTTP {error.status})", "say --repo with the name that it has now"
        case AnswerError(status=401):
            return "it does not take the token (HTTP 401)", "set GITHUB_TOKEN anew, or unset it"
        case AnswerError(status=403 | 404 | 429) if not token:
            return f"is it private? (HTTP {error.status})", f"set GITHUB_TOKEN, or {IDS}"
        case AnswerError(status=403 | 404 | 429):
            return f"the token may not see it (HTTP {error.status})", f"check the name and GITHUB_TOKEN, or {IDS}"
        case ApiError():
            return str(error), IDS_OF_GITHUB
        case _:
            return "the answer holds no ids", IDS_OF_GITHUB


def _default_branch(repository: Any) -> str:
    found = repository.get("default_branch") if isinstance(repository, dict) else None
    return found if isinstance(found, str) and is_branch(found) else ""


def check_ids(provider: str, name: str, ids: Mapping[str, str]) -> None:
    """Those of a repository, by the API's names of them."""
    for field, text in ids.items():
        if not _is_number(text):
            shown = f"{API}/repos/{name} shows both" if provider == "github" else "the provider's API shows it"
            told = f"--{field.replace('_', '-')} `{text}` is no number"
            raise UsageError(told, hint=f"it is an `id` and all digits: {shown}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
