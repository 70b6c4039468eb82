"""`{command: [argv…]}`: what a command prints; only with `--allow-commands`, without a shell."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.kinds.shape import texts
from reconciler.manifest.sources.file import decode
from reconciler.model import Secret

if TYPE_CHECKING:
    import subprocess

NAME = "command"
SCHEMA = texts(
    "A command and its arguments, run without a shell; needs --allow-commands.", ["pass", "show", "deploy"], minItems=1
)
MAX_BYTES = 64_000
MAX_SECONDS = 60.0


def ask(spec: Sequence[str], folder: str, environment: Mapping[str, str]) -> Secret:
    import subprocess  # noqa: PLC0415 - 2 ms, and few sets have a command

    try:
        process = subprocess.Popen(  # noqa: S603 - no shell, and only with --allow-commands
            list(spec),
            cwd=folder or ".",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may hold the secret
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Secret(None, missing=f"cannot be started: {getattr(error, 'strerror', None) or 'not a command'}")
    found: list[bytes] = []
    reader = threading.Thread(target=_read, args=(process, found), daemon=True)
    reader.start()
    try:
        reader.join(MAX_SECONDS)
    finally:
        done = bool(found)
        if not done or len(found[0]) > MAX_BYTES:
            _kill(process)  # what it started may hold the pipe: nobody waits for that
    if not done:
        return Secret(None, missing=f"did not end within {MAX_SECONDS:.0f} seconds")
    data = found[0]
    process.wait()
    if len(data) > MAX_BYTES:
        return Secret(None, missing=f"prints more than {MAX_BYTES:,} bytes")
    if process.returncode != 0:
        return Secret(None, missing=f"ends with exit code {process.returncode}; run it by hand to see why")
    return decode(data)


def _read(process: subprocess.Popen[bytes], found: list[bytes]) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for above
    with process.stdout as output:
        data = output.read(MAX_BYTES + 1)
    if len(data) <= MAX_BYTES:
        process.wait()
    found.append(data)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The command and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
