"""Ask Git, without a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

from reconciler.errors import UsageError

MAX_OUTPUT = 200_000_000  # bytes
SECONDS = 60.0


def run(*arguments: str, why: str) -> bytes:
    """What `git` prints; `why` tells the user what it was for."""
    # A repository's own settings shall start no process.
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired):
        raise UsageError("git cannot be run", hint=why) from None
    if ran.returncode or len(ran.stdout) > MAX_OUTPUT:
        hint = "in a pipeline, fetch the revision first, with its history (`fetch-depth: 0`): a shallow clone lacks it"
        raise UsageError(f"`git {' '.join(arguments)}` failed", hint=hint)
    return ran.stdout


def check_revision(revision: str, *, why: str) -> None:
    """Is it a commit, and no option?"""
    if revision.startswith("-"):
        raise UsageError(f"`{revision}` is no Git revision", hint="name a commit, a branch or a tag")
    try:
        run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", why=why)
    except UsageError as error:
        if error.hint == why:
            raise
        if not _told("rev-parse", "--git-dir"):
            safe = "`git config --global --add safe.directory DIR`"
            hint = f"run it in the repository; where it belongs to another user, {safe}"
            raise UsageError("there is no Git repository here, or Git refuses it", hint=hint) from None
        raise UsageError(f"Git knows no revision `{revision}` here", hint=error.hint) from None


def changed_files(base: str, *, committed: bool, why: str) -> tuple[list[str], int]:
    """The files that differ between `base` and HEAD since they parted, and in the working tree unless only what is
    `committed` counts, relative to the repository's root, with both names of a renamed one; and how many commits
    there are since."""
    check_revision(base, why=why)
    top = os.fsdecode(run("rev-parse", "--show-toplevel", why=why)).rstrip("\n")
    diff = ("-C", top, "diff", "--no-ext-diff", "--no-renames", "--name-only", "-z")
    found = [*_names(run(*diff, f"{base}...HEAD", "--", why=why))]
    if not committed:
        found += _names(run(*diff, "HEAD", "--", why=why))
        found += _names(run("-C", top, "ls-files", "--others", "--exclude-standard", "-z", why=why))
    commits = int(run("rev-list", "--count", f"{base}..HEAD", "--", why=why))
    return list(dict.fromkeys(found)), commits


def _names(output: bytes) -> Iterator[str]:
    return (os.fsdecode(one) for one in output.split(b"\0") if one)


def current_branch() -> str:
    """Empty where HEAD is no branch, as in most pipelines, or where there is no repository."""
    return _told("symbolic-ref", "--short", "--quiet", "HEAD")


def default_branch() -> str:
    """That of the remote `origin`, as it was when it was cloned; empty where nobody can tell."""
    return _told("symbolic-ref", "--short", "--quiet", "refs/remotes/origin/HEAD").removeprefix("origin/")


def remote_address() -> str:
    """Of the remote `origin`, rewritten as Git would; empty where there is none. It may hold a password."""
    return _told("remote", "get-url", "origin")


def _told(*arguments: str) -> str:
    try:
        return os.fsdecode(run(*arguments, why="")).strip()
    except UsageError:
        return ""
