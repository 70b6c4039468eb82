"""`export`: what is live, as manifests."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, names_options, option
from reconciler.cli.output import data, say, tell_unread, write_file
from reconciler.cli.validate import write_schema
from reconciler.errors import UsageError
from reconciler.kinds.worker import Worker
from reconciler.render.escape import clean_lines
from reconciler.states import Desired, Observed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.api import Api


@click.command(
    params=[
        option("--worker WORKER", "This Worker; repeatable.", multiple=True),
        option("--all", "Every Worker of the account."),
        option("-o, --output DIR", "Write a file a Worker there; default: all to stdout."),
        option("--owner OWNER", "Who is to manage them; default: that of the manifests in DIR."),
        option("--secret-sources", "Say of each secret from which variable it will come."),
        option("--include-suspicious", "Write plain values that look like credentials, too.", weakens_safety=True),
    ]
)
@names_options
def export(
    settings: Globals,
    manifests: Manifests,
    *,
    worker: tuple[str, ...],
    all: bool,  # noqa: A002 - the option's name
    output: str | None,
    owner: str | None,
    secret_sources: bool,
    include_suspicious: bool,
) -> int:
    """Write live configuration as manifests. It sends only GETs.

    A plan of what it writes is nothing but adopts. What many Workers share becomes profiles and defaults. A
    secret cannot be read: it is written as `{is_secret: true}`, to be looked after elsewhere, or with
    --secret-sources as a variable of the environment, all of which are listed. Where DIR holds manifests
    already, only what they lack is added, no other byte touched; `-o builds` knows ./buildsctl.yaml, too. The
    account is theirs, else that of the manifests here.

    \b
    Examples:
      buildsctl export --worker web
      buildsctl export --all -o builds --owner acme/builds
      buildsctl export --all -o builds && buildsctl plan builds

    \b
    Exit codes: 0 written · 1 error · 6 authentication or permission
      7 could not look everywhere: what could be read is written
    """
    from reconciler.export import Choices
    from reconciler.export import export as made

    if bool(worker) == all:
        told = "--worker and --all exclude each other" if all else "say which Workers to export"
        raise UsageError(told, hint="--worker NAME, or --all")
    check_owner(owner)
    there = _there(output) if output else {}
    known = Desired(owner=None)
    params: dict[str, Any] = {}
    if output and there:
        paths = tuple(os.path.normpath(os.path.join(output, name)) for name in there)
        known = session.names(replace(manifests, paths=paths), strict=True)
        params = {"given": manifests.param, "param_files": manifests.param_file}
        if owner and owner != known.owner:
            raise UsageError(f"the manifests of `{output}` have the owner `{known.owner}`", hint="leave --owner out")
    declared = known if there else _here(manifests)
    with session.open_api(settings, session.account_id(settings, declared.account_id)) as api:
        observed = _observed(api, worker)
        whose = known.owner if there else owner or _owner(observed)
        choices = Choices(owner=whose or "", sources=secret_sources, suspicious=include_suspicious)
        done = made(observed, known, choices, there=there, account_id=api.account_id, single=output is None, **params)
    if done.found.workers or not observed.unread:  # else the owner would be a guess, and stay
        _write(done.files, output, there, manifests)
    for note in done.notes:
        say(clean_lines(f"note: {note}") + "\n")
    return tell_unread(observed.unread)


def check_owner(owner: str | None) -> None:
    from reconciler.manifest.schema import FORMS, OWNER

    if owner and not re.match(OWNER, owner):
        raise UsageError(f"`{owner}` is no owner", hint=FORMS[OWNER])


def _write(files: Mapping[str, str], output: str | None, there: Mapping[str, str], manifests: Manifests) -> None:
    for name, text in files.items():
        if output is None:
            data(text)
        else:
            Path(output).mkdir(parents=True, exist_ok=True)
            write_file(os.path.join(output, name), text)
    if output is not None:
        if files:
            write_schema(output)
        say(_written(os.path.normpath(output), files, there, manifests))


def _here(manifests: Manifests) -> Desired:
    """What the manifests here say. Empty ones say nothing: a shell makes one of `> buildsctl.yaml`."""
    from reconciler.manifest import files

    alone, folder = files.DEFAULTS
    found = [alone] if os.path.exists(alone) else files.search(folder, None)
    if manifests.paths or any(os.lstat(path).st_size for path in found):
        return session.names(manifests, strict=False)
    return Desired(owner=None)


def _there(folder: str) -> dict[str, str]:
    """The manifests of the folder by their names in it, as they are. `builds` is one set with a `buildsctl.yaml`
    beside it: two that say the same could not be read together, and each would miss what the other says."""
    from reconciler.manifest import files

    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"`{folder}` is not a folder", hint="-o names the folder that the files go to")
    alone, default = files.DEFAULTS
    found = [alone] if os.path.normpath(folder) == default and os.path.exists(alone) else []
    found += files.search(folder) if os.path.isdir(folder) else []
    return {os.path.relpath(path, folder): Path(path).read_bytes().decode() for path in found}


def _observed(api: Api, names: tuple[str, ...]) -> Observed:
    from reconciler.observe import observe

    observed = observe(Desired(owner=None, workers=Worker.named(names)), api, everything=not names, tokens=True)
    unknown = [name for name in names if observed.workers is not None and name not in observed.workers]
    if unknown:
        raise UsageError(f"there is no Worker `{unknown[0]}` in this account", hint="`export --all` takes every one")
    return observed


def _owner(observed: Observed) -> str:
    """A name to begin with: the account of the first repository."""
    name = min((live.resource.provider_account_name for live in observed.connections), default="")
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', name)[:57] or 'my'}/builds"


def _written(folder: str, files: Mapping[str, str], there: Mapping[str, str], manifests: Manifests) -> str:
    """What was done, and with which command all of it is read."""
    from reconciler.manifest.files import DEFAULTS

    if not files:
        return f"nothing to add: the manifests of `{folder}` already say everything\n"
    added = sum(name in there for name in files)
    counts = ((len(files) - added, "written"), (added, "added to"))
    told = ", ".join(f"{count} file{'s' * (count != 1)} {what}" for count, what in counts if count)
    beside = [DEFAULTS[0]] * (os.path.join("..", DEFAULTS[0]) in there)
    params = [f"--param-file={name}" for name in manifests.param_file]
    params += [f"--param={name}={value}" for name, value in manifests.param]
    command = shlex.join(("buildsctl", "plan", *beside, folder, *(params if there else ())))
    text = f"`{folder}`: {told}; `{command}` shows what would be adopted\n"
    default = next((name for name in DEFAULTS if os.path.exists(name)), "")
    if beside:
        text += f"hint: `mv {default} {folder}` makes it one folder, which a plain `buildsctl plan` reads\n"
    elif os.path.normpath(folder) != default:
        reads = f"reads `{default}` alone" if default else "looks for `buildsctl.yaml` and `builds` alone"
        text += f"hint: a plain `buildsctl plan` {reads}: name `{folder}` whenever you plan or apply\n"
    return text
