"""Which Workers' effective manifests differ from those of a Git revision, so that a plan costs what changed."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Sequence
from typing import Any

from reconciler import git
from reconciler.errors import UsageError
from reconciler.manifest import ManifestSet, files, read
from reconciler.manifest.merge import REFERENCES

WHY = "--changed-since compares with a Git revision"


def changed_addresses(
    paths: Sequence[str], revision: str, *, given: Sequence[tuple[str, str]] = (), param_files: Sequence[str] = ()
) -> list[str]:
    """Globs for what differs between the working tree and `revision`: `worker/NAME`, and the tokens and
    connections whose own definition changed. Profiles, defaults, params and what a trigger refers to are part
    of what is compared. What cannot be read at the revision counts as changed."""
    now = read(paths, given=given, param_files=param_files)
    now.problems.raise_errors()
    with tempfile.TemporaryDirectory(prefix="buildsctl-") as folder:
        then = _read_revision(paths or [files.default()], revision, folder, given=given, param_files=param_files)
        if then is None:
            return [f"worker/{name}" for name in now.workers]
        shared = [
            f"{kind.kind}/{name}"
            for kind in REFERENCES.values()
            for name, body in now.head.get(kind.section).mapping.items()
            if body.bare() != then.head.get(kind.section, name).bare()
        ]
        return [*(f"worker/{name}" for name in now.workers if _says(now, name) != _says(then, name)), *shared]


def _read_revision(
    paths: Sequence[str], revision: str, folder: str, *, given: Sequence[tuple[str, str]], param_files: Sequence[str]
) -> ManifestSet | None:
    """The set at `revision`, with the param files as they were; None where it cannot be had as one."""
    git.check_revision(revision, why=WHY)
    top = os.fsdecode(git.run("rev-parse", "--show-toplevel", why=WHY)).rstrip("\n")
    inside = [os.path.relpath(os.path.realpath(path), os.path.realpath(top)) for path in (*paths, *param_files)]
    if any(path.split(os.sep)[0] == os.pardir for path in inside[: len(paths)]):
        hint = "run it inside the repository that holds the manifests"
        raise UsageError("the manifests are not in this Git repository", hint=hint)
    if any(path.split(os.sep)[0] == os.pardir for path in inside):
        return None  # a param file of elsewhere: nobody knows what it said then
    try:
        archive = git.run("-C", top, "archive", "--format=tar", revision, "--", *inside, why=WHY)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        held = [os.path.join(folder, path) for path in inside]
        manifests = [path for path in held[: len(paths)] if os.path.exists(path)]
        return read(manifests, given=given, param_files=held[len(paths) :]) if manifests else None
    except (UsageError, tarfile.TarError, OSError):
        return None  # the paths are new, or hold links that lead out


def _says(found: ManifestSet, name: str) -> Any:
    """What a Worker comes to, with what its triggers refer to; places do not count."""
    if name not in found.workers:
        return None
    referred = {}
    for one in (one for one in found.triggers if one.worker == name):
        for field, kind in REFERENCES.items():
            known = found.head.get(kind.section)
            referred[one.key, field] = known.get(one.reference(field, known.mapping) or "").bare()
    shared = [found.head.get(field).bare() for field in ("owner", "account_id", "take_over_from")]
    return found.workers[name].bare(), referred, shared
