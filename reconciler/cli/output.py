"""Write: data to stdout, everything else to stderr, files atomically."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from reconciler.errors import UsageError


def data(text: str) -> None:
    """To stdout. A reader that went away (`| head`) does not stop the command."""
    _write(sys.stdout, text)


def say(text: str) -> None:
    """To stderr: progress, prompts, warnings, errors."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # What is still to be written goes nowhere, the flush at exit too; the command ends as it would.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def colored(*, no_color: bool) -> bool:
    """Colour only on a terminal that can show it (no-color.org)."""
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def write_file(path: str, text: str) -> None:
    """Replace `path` at once or not at all."""
    folder = os.path.dirname(path) or "."
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".buildsctl-", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            f"`{path}` cannot be written: {error.strerror}", hint="name a file in a folder that exists"
        ) from None
