"""`init`: a first manifest from a repository."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from reconciler.cli import repository, session
from reconciler.cli.export import check_owner
from reconciler.cli.options import Globals, bundle, global_options, option
from reconciler.cli.output import asked, check_writable, say, tell, tell_unread, write_file
from reconciler.cli.validate import write_schema
from reconciler.errors import AnswerError, Exit, NotFoundError, RejectedError, UsageError
from reconciler.kinds.connection import Connection
from reconciler.kinds.repository import Repository
from reconciler.kinds.worker import Worker
from reconciler.states import Desired, Observed

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.export import First
    from reconciler.export.first import Site

NO_REPOSITORY = 12000
MAX_OWNER = 64  # characters


@click.command(
    params=[
        option("-o, --output FILE", "Where to write it (buildsctl.yaml).", default="buildsctl.yaml"),
        option("--root-directory DIR", "The Worker's folder; default: the root.", multiple=True),
        option("--worker WORKER", "The Worker; several in the order of their folders.", multiple=True),
        option("--owner OWNER", "Who is to manage it; default: OWNER/REPO."),
        option("--cloudflare-token-id ID", "The API token that builds are to run under."),
    ]
)
@bundle("given", dict, repository.OPTIONS)
@global_options
def init(
    settings: Globals,
    given: repository.Given,
    *,
    output: str,
    root_directory: tuple[str, ...],
    worker: tuple[str, ...],
    owner: str | None,
    cloudflare_token_id: str | None,
) -> int:
    """Write a first manifest for the repository here. It changes nothing in the account.

    The Git remote says which repository; GitHub its numeric ids (GITHUB_TOKEN where it is private; in Actions
    the environment has them); Cloudflare, where a token and an account are given, the package manager, the
    scripts, the Workers' names, and what is live already, which is exported. A terminal is asked for the rest.

    \b
    Examples:
      buildsctl init
      buildsctl init --root-directory apps/web --root-directory apps/api
      buildsctl init --repo acme/site --provider-account-id 41612145 \\
        --repo-id 1332648945 --branch main --worker web

    \b
    Exit codes: 0 written · 1 error · 6 authentication or permission
      7 could not look everywhere: nothing is written
    """
    from reconciler.export import First
    from reconciler.manifest.files import DEFAULTS
    from reconciler.observe import observe

    folders = _checked(output, root_directory or ("/",), worker, owner)
    connection, branch = repository.look(given)
    for folder in folders if os.path.exists(".git") and not given["repo"] else ():
        if not os.path.isdir(folder):
            tell(f"note: there is no folder `{folder}` here")
    with _open(settings) as api:
        contents = {folder: _contents(api, connection, branch, folder) for folder in folders}
        workers = _workers(contents, worker)
        wanted = Desired(owner=None, workers=Worker.named(workers))
        observed = observe(wanted, api, tokens=True) if api else Observed()
    if tell_unread(observed.unread):  # it might be live: a manifest that says otherwise would overwrite it
        say("hint: nothing is written; run it again, or `buildsctl doctor` where a permission is missing\n")
        return Exit.UNKNOWN
    for name, site in workers.items():
        if observed.workers is not None and name not in observed.workers:
            deploy = site.wrangler("deploy")
            tell(f"note: there is no Worker `{name}` in this account yet: deploy it once, with {deploy}")
    first = First(connection=connection, branch=branch, workers=workers, cloudflare_token_id=cloudflare_token_id or "")
    account = api.account_id if api and api.account_id != session.SANDBOX_ACCOUNT else ""
    write_file(output, _text(first, observed, owner or _owner(connection), account))
    write_schema(os.path.dirname(output))
    path = "" if output == DEFAULTS[0] else f" {output}"
    say(f"{output} and its schema are written; next: buildsctl validate{path}, then doctor{path}, then plan{path}\n")
    return Exit.OK


def _checked(output: str, folders: tuple[str, ...], workers: tuple[str, ...], owner: str | None) -> list[str]:
    """The folders as the API takes them, where these options can be used."""
    from reconciler.manifest.files import DEFAULTS
    from reconciler.remote import folder_of

    there = [name for name in (output, *(DEFAULTS if output == DEFAULTS[0] else ())) if os.path.exists(name)]
    if there:
        hint = "`buildsctl export --all -o builds` adds what is live to the manifests of the folder `builds`"
        raise UsageError(f"`{there[0]}` is there already", hint=hint)
    check_writable(output)
    for name in workers:
        _check_worker(name)
    check_owner(owner)
    for folder in folders:
        if not folder_of(folder):
            hint = "say it from the repository's root, as in --root-directory apps/web"
            raise UsageError(f"`{folder}` is no folder of a repository that Builds takes", hint=hint)
    return list(dict.fromkeys(map(folder_of, folders)))


def _check_worker(name: str) -> None:
    from reconciler.manifest.schema import FORMS, WORKER

    if not re.match(WORKER, name):
        raise UsageError(f"`{name}` is no name of a Worker", hint=FORMS[WORKER])


def _open(settings: Globals) -> AbstractContextManager[Api | None]:
    """The API, where an account and a token are given: without them a manifest can be written as well."""
    if not (settings.sandbox or settings.account_id):
        tell("note: Cloudflare is not asked, since no account is named (CLOUDFLARE_ACCOUNT_ID)")
    elif not (settings.sandbox or session.first_token(os.environ, *session.TOKENS)):
        tell(f"note: Cloudflare is not asked, since no API token is set ({session.TOKENS[-1]})")
    else:
        return session.open_api(settings, session.account_id(settings, None))
    return nullcontext()


def _contents(api: Api | None, connection: Connection, branch: str, folder: str) -> Repository:
    if api:
        try:
            return api.get(Repository.read(connection, branch, folder), Repository.decode)
        except (NotFoundError, RejectedError, AnswerError) as error:
            where = f"{connection.full_name}, branch `{branch}`, folder `{folder}`"
            tell(f"note: Builds does not tell what is in {where}: {error}")
            if error.code == NO_REPOSITORY:
                tell("note: it sees only what is pushed, and where the Cloudflare Workers and Pages App is installed")
    return Repository()


def _workers(contents: Mapping[str, Repository], given: tuple[str, ...]) -> dict[str, Site]:
    """By name: those that Builds finds in the folders, else those that somebody names."""
    from reconciler.export.first import Site, workers_in

    found: dict[str, Site] = {}
    odd: dict[str, str] = {}
    for folder, content in contents.items():
        some, bad = workers_in(folder, content)
        odd |= bad
        if not given:
            for why in bad.values():
                tell(f"note: {why}: it is left out")
            if not some:
                hint = "say --worker NAME, or in which folder it is with --root-directory"
                nobody = UsageError(f"nobody says which Worker is in `{folder}`", hint=hint)
                name = asked(f"Worker in `{folder}`", nobody)
                _check_worker(name)
                some = {name: Site(root_directory=folder, repository=content)}
        for name in some.keys() & found.keys():
            tell(
                f"note: Worker `{name}` is in `{found[name].root_directory}` and in `{folder}`: the first one is taken"
            )
        found = {**some, **found}
    missing = [name for name in dict.fromkeys(given) if name not in found]
    empty = [folder for folder in contents if all(site.root_directory != folder for site in found.values())]
    places = [*contents] * len(missing) if len(contents) == 1 else empty
    for name in missing:
        if name in odd:
            raise UsageError(odd[name], hint="give it another name in the Wrangler file")
    if missing and len(missing) != len(places):
        hint = "give as many --worker as --root-directory, in the same order"
        raise UsageError(f"nobody says in which folder Worker `{missing[0]}` is", hint=hint)
    # A folder of its name is a Worker's own; where not each has one, their order counts.
    own = {folder.rpartition("/")[2]: folder for folder in empty if len(contents) > 1}
    places = [own.get(name, "") for name in missing] if own.keys() >= {*missing} else places
    for name, folder in zip(missing, places, strict=False):
        if len(contents) > 1:
            tell(f"note: Worker `{name}` is taken to be in `{folder}`")
        found[name] = Site(root_directory=folder, repository=contents[folder])
    taken = {name: found[name] for name in given or found}
    used = {site.root_directory for site in taken.values()}
    for folder in (one for one in contents if one not in used):
        others = " or ".join(f"`{name}`" for name, site in found.items() if site.root_directory == folder)
        tell(f"note: nothing of `{folder}` is written" + (f": no --worker names {others}" if others else ""))
    return taken


def _owner(connection: Connection) -> str:
    """OWNER/REPO, as far as there is room."""
    whole = connection.full_name
    if len(whole) > MAX_OWNER:
        tell(f"note: the manifest's owner is cut to {MAX_OWNER} characters; --owner says another one")
    return whole[:MAX_OWNER]


def _text(first: First, observed: Observed, owner: str, account_id: str) -> str:
    from reconciler.export import Choices, export
    from reconciler.render.escape import clean_lines

    nothing, choices = Desired(owner=None), Choices(owner=owner)
    done = export(observed, nothing, choices, there={}, account_id=account_id, single=True, first=first)
    for one in done.notes:
        say(clean_lines(f"note: {one}") + "\n")
    if not done.found.workers:
        raise UsageError("nothing is left to write down", hint="name another Worker with --worker")
    return done.files[""]
