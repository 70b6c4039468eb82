"""`init`: a first manifest from a repository."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Setting, global_options
from reconciler.cli.output import say, write_file
from reconciler.errors import ApiError, BuildsctlError, Exit, UsageError

if TYPE_CHECKING:
    from reconciler.kinds.connection import Connection
    from reconciler.kinds.repository import Repository
    from reconciler.states import Observed

_REMOTE = re.compile(r"(?:https?://(?:[^@/]+@)?|ssh://git@|git@)([^/:]+)(?::\d+)?[/:](.+?)/([^/]+?)(?:\.git)?/?\Z")
GITHUB = "https://api.github.com"


@click.command(
    params=[
        Setting(
            ["-o", "--output"], default="buildsctl.yaml", metavar="FILE", help="Where to write it (buildsctl.yaml)."
        ),
        Setting(["--repo"], metavar="OWNER/REPO", help="The repository; default: the Git remote `origin`."),
        Setting(["--provider-account-id"], metavar="ID", help="Its owner's numeric id; default: asked of GitHub."),
        Setting(["--repo-id"], metavar="ID", help="Its numeric id; default: asked of GitHub."),
        Setting(["--branch"], metavar="NAME", help="The production branch; default: the remote's default branch."),
        Setting(["--root-directory"], default="/", metavar="DIR", help="The Worker's folder in the repository (/)."),
        Setting(["--worker"], multiple=True, metavar="WORKER", help="The Worker; default: what Builds finds there."),
        Setting(["--owner"], metavar="OWNER", help="Who is to manage it; default: OWNER/REPO."),
        Setting(["--cloudflare-token-id"], metavar="ID", help="The API token that builds are to run under."),
    ]
)
@global_options
def init(
    *,
    settings: Globals,
    output: str,
    repo: str | None,
    provider_account_id: str | None,
    repo_id: str | None,
    branch: str | None,
    root_directory: str,
    worker: tuple[str, ...],
    owner: str | None,
    cloudflare_token_id: str | None,
) -> int:
    """Write a first manifest for the repository here. It changes nothing in the account.

    The Git remote says which repository; GitHub its numeric ids (GITHUB_TOKEN where it is private; in Actions
    the environment has them); Cloudflare, where a token and an account are given, the package manager, the
    scripts, the Workers' names, and what is live already, which is exported.

    \b
    Examples:
      buildsctl init
      buildsctl init --root-directory apps/web --worker web
      buildsctl init --repo acme/site --provider-account-id 41612145 \\
        --repo-id 1332648945 --branch main --worker web

    \b
    Exit codes: 0 written · 1 error, nothing was written
    """
    if os.path.exists(output):
        hint = "`buildsctl export` adds what is live to manifests that are there"
        raise UsageError(f"`{output}` is there already", hint=hint)
    where = _repository(repo)
    ids = _Ids.of(where, provider_account_id, repo_id)
    branch = branch or _asked("Production branch", _default_branch())
    known = _Account.look(settings, ids.connection(where), branch, root_directory)
    names = _workers(known, worker, where)
    whose = owner or f"{where.owner}/{where.name}"
    text = known.export(names, whose) or known.compose(
        names, whose, ids.connection(where), branch=branch, folder=root_directory, token_id=cloudflare_token_id or ""
    )
    write_file(output, text)
    say(f"{output} is written; next: buildsctl validate, buildsctl doctor, buildsctl plan\n")
    return Exit.OK


@dataclass(frozen=True)
class _Where:
    """A repository as its remote names it."""

    provider: str
    owner: str
    name: str


def _repository(given: str | None) -> _Where:
    hint = "say --repo OWNER/REPO"
    if given:
        owner, slash, name = given.rpartition("/")
        if not slash or not owner or not name:
            raise UsageError(f"`{given}` is not OWNER/REPO", hint=hint)
        return _Where("github", owner, name)
    remote = _git("remote", "get-url", "origin")
    found = _REMOTE.match(remote)
    if not found:
        raise UsageError("there is no Git remote `origin` here that says which repository it is", hint=hint)
    provider = "gitlab" if "gitlab" in found[1] else "github"
    return _Where(provider, found[2], found[3])


def _git(*arguments: str) -> str:
    """What Git says; nothing where it cannot be asked."""
    from reconciler import git

    try:
        return os.fsdecode(git.run(*arguments, why="it tells which repository this is")).strip()
    except UsageError:
        return ""


def _default_branch() -> str:
    head = _git("symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/")
    return head or _git("branch", "--show-current") or "main"


def _asked(question: str, default: str) -> str:
    """On a terminal somebody can say otherwise."""
    if sys.stdin and sys.stdin.isatty():
        return str(click.prompt(question, default=default or None, err=True))
    return default


@dataclass(frozen=True)
class _Ids:
    account: str
    repo: str

    @classmethod
    def of(cls, where: _Where, account: str | None, repo: str | None) -> _Ids:
        """From the options, from Actions' environment, else from GitHub."""
        in_actions = os.environ.get("GITHUB_REPOSITORY", "").lower() == f"{where.owner}/{where.name}".lower()
        account = account or (os.environ.get("GITHUB_REPOSITORY_OWNER_ID") if in_actions else None)
        repo = repo or (os.environ.get("GITHUB_REPOSITORY_ID") if in_actions else None)
        if account and repo:
            return cls(account, repo)
        hint = "say --provider-account-id and --repo-id; GITHUB_TOKEN is used where it is set"
        if where.provider != "github":
            raise UsageError(f"the ids of a {where.provider} repository have to be given", hint=hint)
        from reconciler.api import fetch_json

        base = os.environ.get("GITHUB_API_URL") or GITHUB
        session.check_encrypted(base, allow_http=False)
        token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or ""
        try:
            found = fetch_json(f"{base}/repos/{where.owner}/{where.name}", token=token)
            ids = (account or str(int(found["owner"]["id"])), repo or str(int(found["id"])))
        except (ApiError, KeyError, TypeError, ValueError) as error:
            told = str(error) if isinstance(error, ApiError) else "the answer holds no ids"
            raise UsageError(f"GitHub does not tell the ids of {where.owner}/{where.name}: {told}", hint=hint) from None
        return cls(*ids)

    def connection(self, where: _Where) -> Connection:
        from reconciler.kinds.connection import Connection

        return Connection(
            provider_type=where.provider,
            provider_account_id=self.account,
            provider_account_name=where.owner,
            repo_id=self.repo,
            repo_name=where.name,
        )


def _note(text: str) -> None:
    from reconciler.render.escape import clean_lines

    say(clean_lines(f"note: {text}") + "\n")


@dataclass
class _Account:
    """What Cloudflare says, as far as it could be asked."""

    repository: Repository
    observed: Observed
    account_id: str = ""

    @classmethod
    def look(cls, settings: Globals, connection: Connection, branch: str, folder: str) -> _Account:
        from reconciler.kinds.repository import Repository
        from reconciler.observe import observe
        from reconciler.states import Desired, Observed

        try:
            account = session.account_id(settings, None)
            with session.open_api(settings, account) as api:
                observed = observe(Desired(owner=None), api, everything=True)
                try:
                    found = api.get(Repository.read(connection, branch, folder), Repository.decode)
                except ApiError as error:
                    _note(f"Builds does not tell what is in the repository: {error}")
                    found = Repository()
            return cls(found, observed, account)
        except BuildsctlError as error:
            _note(f"Cloudflare was not asked: {error}")
            return cls(Repository(), Observed())

    def export(self, names: dict[str, str], owner: str) -> str:
        """The Workers that are live with triggers, as manifests; empty where none is."""
        from dataclasses import replace

        from reconciler.export import Choices, export
        from reconciler.states import Desired

        lives = tuple(live for live in self.observed.triggers if live.scope in names)
        if not lives:
            return ""
        only = replace(self.observed, triggers=lives)
        done = export(
            only, Desired(owner=None), Choices(owner=owner), there={}, account_id=self.account_id, single=True
        )
        for note in done.notes:
            _note(note)
        return done.files[""] if done.found.workers else ""

    def compose(
        self, names: dict[str, str], owner: str, connection: Connection, *, branch: str, folder: str, token_id: str
    ) -> str:
        from reconciler.export.first import First, first_manifest

        listed = [live.resource.build_token_name for live in self.observed.tokens]
        single = listed[0] if len(listed) == 1 and not token_id else ""
        return first_manifest(
            First(
                owner=owner,
                account_id="" if self.account_id == session.SANDBOX_ACCOUNT else self.account_id,
                connection=connection,
                branch=branch,
                root_directory=folder,
                repository=self.repository,
                workers=names,
                token_name=single,
                cloudflare_token_id=token_id,
            )
        )


def _workers(known: Any, given: tuple[str, ...], where: _Where) -> dict[str, str]:
    """By name, with the Wrangler environment of each."""
    repository = known.repository
    by_name = {name: environment for environment, name in repository.env_worker_names.items()}
    if given:
        return {name: by_name.get(name, "") for name in given}
    found = {repository.default_worker_name: ""} if repository.default_worker_name else {}
    found |= by_name
    if found:
        return found
    name = _asked("Worker", "")
    if not name:
        raise UsageError(f"nobody says which Worker {where.owner}/{where.name} is", hint="say --worker NAME")
    return {name: ""}
