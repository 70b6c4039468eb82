"""`affected`: which triggers a set of changed files would build, offline."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, json_option, offline_options, option
from reconciler.cli.output import data, say
from reconciler.errors import Exit, UsageError

if TYPE_CHECKING:
    from reconciler.model import Ref
    from reconciler.states import DeclaredTrigger, Desired

MAX_NAMES = 100_000_000  # bytes of stdin
QUOTED = re.compile(rb'"(?:[^"\\]|\\(?:[abtnvfr"\\]|[0-3][0-7]{2}))*"')
"""A name as Git prints it where a character of it is special (`core.quotePath`)."""
WHY = "--base compares with a Git revision; --files takes the names instead"


@click.command(
    params=[
        option("--base REV", "What differs from this Git revision, working tree included."),
        option("--committed", "With --base: leave the working tree out."),
        option("--files FILE", "A changed file; repeatable. - reads names from stdin.", multiple=True),
        option("--branch NAME", "The branch that is pushed; default: Git's current one."),
        option("--commits N", "How many commits; default: Git's count, or 1.", type=click.IntRange(0)),
        option("--repo OWNER/REPO", "Whose files; default: the only one declared, or Git's origin."),
        json_option,
    ]
)
@offline_options
def affected(
    *,
    settings: Globals,  # noqa: ARG001 - an option
    manifests: Manifests,
    base: str | None,
    committed: bool,
    files: tuple[str, ...],
    branch: str | None,
    commits: int | None,
    repo: str | None,
    as_json: bool,
) -> int:
    """Show which declared triggers a push would build, each with the rule that decided. Offline.

    Names of files are relative to the repository's root; on stdin they are separated by NUL, as after
    `git diff -z`, or by newlines, and then read out of the quotes in which Git puts some. Watch paths
    work as Cloudflare documents them: excludes first, then includes; a * is any run of characters, / too, at
    the start or the end of a rule only. A push of no changed file, of 3,000 files or of 20 commits always
    builds what its branch reaches. --base REV looks at everything since REV as one push.

    \b
    Examples:
      buildsctl affected --base origin/main --branch main
      buildsctl affected --files apps/web/index.ts --branch feature
      git diff -z --name-only HEAD~1 | \\
        buildsctl affected --files - --branch main --format json

    \b
    Exit codes: 0 shown, whatever builds · 1 error
    """
    from reconciler import git
    from reconciler.affected import Push, decide
    from reconciler.render.affected import affected_document, affected_text
    from reconciler.render.json import dump

    if base is not None and files:
        raise UsageError("--base and --files exclude each other", hint="--base asks Git, --files is told")
    if base is None and not files:
        raise UsageError("say what changed", hint="--base REV, or --files FILE; --files - reads names from stdin")
    desired = session.load(manifests)
    if base is not None:
        found, counted = git.changed_files(base, committed=committed, why=WHY)
    else:
        found, counted = [name for one in files for name in (_from_stdin() if one == "-" else [one])], 1
    branch = branch or git.current_branch()
    if not branch:
        raise UsageError("no branch is checked out here", hint="name the one that is pushed with --branch")
    changed = dict.fromkeys(name.removeprefix("./") for name in found)
    push = Push(branch=branch, files=tuple(filter(None, changed)), commits=counted if commits is None else commits)
    triggers, others = _triggers(desired, repo)
    verdicts = decide(sorted(triggers, key=lambda one: one.address.path), push)
    data(dump(affected_document(verdicts, push)) if as_json else affected_text(verdicts, push))
    if others:
        say(f"{others} trigger{'s' * (others != 1)} of other repositories left out\n")
    return Exit.OK


def _from_stdin() -> list[str]:
    """Names, separated by NUL where there is one, else by newlines, and then in quotes where Git puts them."""
    content = sys.stdin.buffer.read(MAX_NAMES + 1) if sys.stdin else b""
    if len(content) > MAX_NAMES:
        raise UsageError(f"stdin holds more than {MAX_NAMES:,} bytes", hint="--base lets buildsctl ask Git itself")
    lines = (line.rstrip(b"\r") for line in content.split(b"\n"))
    return [os.fsdecode(one) for one in (content.split(b"\0") if b"\0" in content else map(_unquoted, lines))]


def _unquoted(name: bytes) -> bytes:
    """A name that is misread would be one that no trigger watches."""
    if not name.startswith(b'"'):
        return name
    if not QUOTED.fullmatch(name):
        raise UsageError(f"`{os.fsdecode(name)}` is no name in quotes as Git writes them", hint="use `git diff -z`")
    return name[1:-1].decode("unicode_escape").encode("latin-1")


def _triggers(desired: Desired, repo: str | None) -> tuple[list[DeclaredTrigger], int]:
    """The triggers whose repository changed, and how many are of others: files are of one repository."""
    from reconciler import git
    from reconciler.remote import read_remote

    references: set[Ref] = {one.resource.repo_connection_uuid for one in desired.triggers}
    if repo is None and len(references) <= 1:
        return list(desired.triggers), 0
    here = None if repo else read_remote(git.remote_address())
    wanted = (here.path if here else repo or "").casefold()
    mine: set[Ref] = {one for one in references if isinstance(one, str) and one.casefold() == wanted}
    known = []
    for one in desired.connections:
        names = (str(one.address).partition("/")[2], one.resource.full_name)
        known.append(names[0])
        if wanted and wanted in (name.casefold() for name in names):
            mine.add(one.address)
    if not mine:
        told = f"the manifests have no repository `{repo}`" if repo else "the manifests are about several repositories"
        raise UsageError(told, hint=f"say whose files changed with --repo: {', '.join(known[:5])}")
    found = [one for one in desired.triggers if one.resource.repo_connection_uuid in mine]
    return found, len(desired.triggers) - len(found)
