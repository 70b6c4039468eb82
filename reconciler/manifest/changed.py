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
from reconciler.manifest.nodes import Node

WHY = "--changed-since compares with a Git revision"


def changed_addresses(paths: Sequence[str], revision: str, **params: Any) -> list[str]:
    """Globs for what differs between the working tree and `revision`: `worker/NAME`, and the tokens and
    connections whose own definition changed. Profiles, defaults and params are part of what is compared."""
    now = read(paths, **params)
    now.problems.raise_errors()
    with tempfile.TemporaryDirectory(prefix="buildsctl-") as folder:
        then = _read_revision(paths or [files.default()], revision, folder, params)
        if then is None:
            return [f"worker/{name}" for name in now.workers]
        shared = [
            f"{kind}/{name}"
            for kind, section in (("connection", "connections"), ("token", "tokens"))
            for name, body in now.section(section).items()
            if _bare(body) != _bare(then.section(section).get(name))
        ]
        return [*(f"worker/{name}" for name in now.workers if _says(now, name) != _says(then, name)), *shared]


def _read_revision(paths: Sequence[str], revision: str, folder: str, params: Any) -> ManifestSet | None:
    """The set at `revision`; None where there was none, or where it cannot be read as one."""
    git.check_revision(revision, why=WHY)
    top = os.fsdecode(git.run("rev-parse", "--show-toplevel", why=WHY)).rstrip("\n")
    inside = [os.path.relpath(os.path.realpath(path), os.path.realpath(top)) for path in paths]
    if any(path.split(os.sep)[0] == os.pardir for path in inside):
        hint = "run it inside the repository that holds the manifests"
        raise UsageError("the manifests are not in this Git repository", hint=hint)
    try:
        archive = git.run("-C", top, "archive", "--format=tar", revision, "--", *inside, why=WHY)
    except UsageError:
        return None  # the paths are new
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    held = [os.path.join(folder, path) for path in inside]
    try:
        return read([path for path in held if os.path.exists(path)], **params)
    except UsageError:
        return None


def _bare(node: Node | None) -> Any:
    return None if node is None else node.bare()


def _says(found: ManifestSet, name: str) -> Any:
    """What a Worker's triggers come to, with what they refer to; places do not count."""
    if name not in found.workers:
        return None
    triggers = {
        one.key: (
            {field: node.bare() for field, node in one.fields.items()},
            {key: node.bare() for key, node in one.variables.items()},
            [node.bare() for node in one.ignore],
        )
        for one in found.triggers
        if one.worker == name
    }
    own = {field: _bare(found.workers[name].get(field)) for field in ("tag", "take_over_from")}
    return own, triggers, found.owner
