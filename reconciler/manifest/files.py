"""Find and read the files that make up the set of manifests."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reconciler.errors import Position, UsageError
from reconciler.manifest.nodes import Node, Problems
from reconciler.manifest.parse import parse, place_after

MAX_BYTES = 5_000_000  # of one file
MAX_FILES = 20_000
DEFAULTS = ("buildsctl.yaml", "builds")
READABLE = "name files that can be read; of a folder every `*.yaml` and `*.yml` is read"


def default() -> str:
    """`./buildsctl.yaml`, else `./builds/`."""
    found = [name for name in DEFAULTS if os.path.exists(name)]
    if not found:
        raise UsageError(
            "there is no manifest here: neither `buildsctl.yaml` nor a folder `builds`",
            hint="name a file or a folder, or let `buildsctl init` write a first manifest",
        )
    return found[0]


def find(paths: Sequence[str]) -> list[str]:
    """The files of `paths`, each a file or a folder; without any, `./buildsctl.yaml`, else `./builds/`.

    Folders are searched for `*.yaml` and `*.yml`, sorted; hidden files and folders are skipped, and
    folders behind symbolic links are not entered, so a loop of them has an end.
    """
    paths = paths or [default()]
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            inside = sorted(search(path))
            if not inside:
                raise UsageError(
                    f"the folder `{path}` holds no manifest",
                    hint="manifests are `*.yaml` and `*.yml`; hidden files and folders are skipped",
                )
            found += inside
        elif os.path.exists(path):
            found.append(path)
        else:
            raise UsageError(f"there is no `{path}`", hint="name a file or a folder that exists")
    found = list(dict.fromkeys(os.path.normpath(path) for path in found))
    if len(found) > MAX_FILES:
        raise UsageError(f"more than {MAX_FILES:,} manifests", hint="name the folder that holds them")
    return found


def is_manifest(filename: str, paths: Sequence[str], param_files: Sequence[str] = ()) -> bool:
    """Is the file, by whatever name, one of `paths`, of those that are read without any, or a param file?"""
    named = (*paths, *DEFAULTS, *param_files)
    found = (one for path in named for one in (search(path, None) if os.path.isdir(path) else [path]))
    return os.path.exists(filename) and any(os.path.exists(one) and os.path.samefile(one, filename) for one in found)


def _fail(error: OSError) -> None:
    raise UsageError(
        f"the folder `{error.filename}` cannot be searched: {error.strerror}",
        hint="what is in it would pass for not declared; make it readable, or name the files",
    )


def search(folder: str, fail: Callable[[OSError], object] | None = _fail) -> Iterator[str]:
    """The manifests in `folder`, in no order. With `fail` None, past what cannot be searched."""
    for where, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                yield os.path.join(where, name)


def load(filename: str, problems: Problems) -> Node | None:
    """What a file holds, an empty mapping where it is empty; None, and a problem, where it cannot be had."""
    at = Position(filename=filename, line=1, column=1)
    try:
        kind = os.stat(filename)
        if not stat.S_ISREG(kind.st_mode):
            problems.error("this is not a regular file", at=at, hint=READABLE)
            return None
        if kind.st_size > MAX_BYTES:
            problems.error(f"the file has more than {MAX_BYTES:,} bytes", at=at, hint="split it")
            return None
        text = Path(filename).read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.error(f"the file cannot be read: {error.strerror}", at=at, hint=READABLE)
        return None
    except UnicodeDecodeError as error:
        place = place_after(error.object[: error.start].decode(), filename)
        problems.error("the file is not UTF-8", at=place, hint="save it as UTF-8")
        return None
    problems.texts[filename] = text.splitlines()
    before, root = len(problems.found), parse(text, filename, problems)
    return Node({}, at) if root is None and len(problems.found) == before else root
