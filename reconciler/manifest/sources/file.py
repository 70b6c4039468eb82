"""`{file: path}`: a file, relative to the manifest; one trailing newline is dropped."""

from __future__ import annotations

import os
import stat

from reconciler.kinds.shape import text
from reconciler.manifest.sources.given import Context, decode
from reconciler.model import Secret

NAME = "file"
SCHEMA = text("A file, relative to the manifest; one trailing newline is dropped.", "license.txt", minLength=1)
MAX_BYTES = 64_000


def ask(spec: str, context: Context) -> Secret:
    path = os.path.join(context.folder, spec)
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
