"""`{file: path}`: a file, relative to the manifest; one trailing newline is dropped."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from reconciler.kinds.shape import text
from reconciler.model import Secret

NAME = "file"
SCHEMA = text("A file, relative to the manifest; one trailing newline is dropped.", "license.txt", minLength=1)
MAX_BYTES = 64_000


def ask(spec: str, folder: str, environment: Mapping[str, str]) -> Secret:  # noqa: ARG001 - as every source
    path = os.path.join(folder, spec)
    try:
        # Non-blocking, or a FIFO of that name would hold the run up for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return Secret(None, missing=f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return Secret(None, missing="is not a regular file")
    with os.fdopen(handle, "rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    return decode(data) if len(data) <= MAX_BYTES else Secret(None, missing=f"has more than {MAX_BYTES:,} bytes")


def decode(data: bytes) -> Secret:
    """The bytes of a file or of a command's output: UTF-8, one trailing newline dropped."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Secret(None, missing="does not give UTF-8")
    if "\0" in text:
        return Secret(None, missing="gives a NUL character")
    return Secret(text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text)
