"""Write: data to stdout, everything else to stderr, files atomically."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from reconciler.errors import Exit, UsageError

if TYPE_CHECKING:
    from reconciler.model import Unread

QUICK_SECONDS = 0.5  # what takes no longer needs no progress
LONG_SECONDS = 5.0  # of a pause that is counted down
STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
lost: list[str] = []
"""Why output was lost, where it was; a reader that went away is no reason."""
under_way: list[str] = []
"""What stands on the terminal's last line, if anything."""


def data(text: str) -> bool:
    """To stdout. A reader that went away (`| head`) does not stop the command; false where it goes away now."""
    return _write(sys.stdout, text)


def say(text: str) -> None:
    """To stderr: progress, prompts, warnings, errors."""
    _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> bool:
    """Output that cannot be had must not stop a run half-way: the error is told once, and kept."""
    if stream is None:
        return True
    _show("")
    try:
        stream.write(text)
        stream.flush()
        return True
    except OSError as error:
        # What is still to be written goes nowhere, the flush at exit too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            lost.append(f"the output cannot be written: {error.strerror}")
        return False


def tell(text: str) -> None:
    """Something that somebody should know, on one line of stderr, with what could move a cursor written out."""
    from reconciler.render.escape import clean

    say(clean(text) + "\n")


def tell_unread(unread: Collection[Unread]) -> int:
    """What could not be read, and the exit code for it."""
    from reconciler.render.text import unread_text

    say(unread_text(unread))
    return Exit.UNKNOWN if unread else Exit.OK


def indented(value: Any) -> str:
    """JSON for an object of the API's own."""
    return json.dumps(value, indent=2) + "\n"


def asks() -> bool:
    """Is there somebody to ask?"""
    return sys.stdin is not None and sys.stdin.isatty()


def asked(question: str, missing: UsageError, default: str = "") -> str:
    """What somebody on a terminal answers; elsewhere the default, and an error where there is none."""
    from reconciler.render.escape import clean

    if asks():
        shown = clean(f"{question} [{default}]" if default else question)
        return str(click.prompt(shown, default=default or None, show_default=False, err=True))
    if not default:
        raise missing
    return default


def _show(text: str) -> None:
    """On the terminal's last line, for as long as nothing else is written."""
    if text or under_way:
        under_way[:] = [text] if text else []
        with suppress(OSError):
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()


def has_progress(*, hidden: bool) -> bool:
    """Is there a terminal that shows how far a run is? Its trace shows that as well."""
    return not hidden and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(*, hidden: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Takes what is done, how many of how many (of 0: it cannot be counted), and shows it on a terminal's last line,
    which is empty again once all are; silent elsewhere, and for what is over at once."""
    doing, started = "", 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal doing, started
        if not total:
            _show(what[: shutil.get_terminal_size().columns - 1])
            return
        if what != doing:
            doing, started = what, time.monotonic()
        took = time.monotonic() - started
        left = took / done * (total - done) if done else 0
        about = f", about {left:.0f} s left" if left > 1 else ""
        _show(f"{what}: {done} of {total}{about}" if done < total and took > QUICK_SECONDS else "")

    if not has_progress(hidden=hidden):
        yield lambda _, __, ___: None
        return
    try:
        yield show
    finally:
        _show("")


def count_down(wait: Callable[[float], bool], seconds: float) -> bool:
    """A pause of the run, with the seconds that are left. True where it was told to stop meanwhile."""
    end = time.monotonic() + seconds
    while seconds > LONG_SECONDS and (left := end - time.monotonic()) > 0:
        _show(f"waiting: {left:.0f} s left")
        if wait(min(1.0, left)):
            return True
    return seconds <= LONG_SECONDS and wait(seconds)


def width() -> int | None:
    """Columns of the terminal on stdout; None where there is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def colored(*, no_color: bool) -> bool:
    """Colour only on a terminal that can show it (no-color.org)."""
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout is not None and sys.stdout.isatty()


def check_writable(path: str) -> None:
    """Find out before the work is done, not after."""
    import tempfile

    try:
        if not path or path.endswith("/") or os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_stream(path) and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not _is_stream(path):
            tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(path))).close()
    except OSError as error:
        raise _unwritable(path, error) from None


def _is_stream(path: str) -> bool:
    """A device or a pipe, which is written into: to replace it would take it from everybody else."""
    return os.path.exists(path) and (not os.path.isfile(path) or os.path.abspath(path).startswith(STREAMS))


def _unwritable(path: str, error: OSError) -> UsageError:
    told = f"`{path}` cannot be written: {error.strerror}"
    return UsageError(told, hint="name a file in a folder that exists, on a disk that is not full")


def _mode(path: str) -> int:
    """That of the file which is replaced: who closed it to others did so for what it holds."""
    if os.path.exists(path):
        return stat.S_IMODE(os.stat(path).st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_file(path: str, text: str) -> None:
    """Replace `path`, or what it links to, at once or not at all; write into a device or a pipe."""
    import tempfile  # 3 ms that every `--help` would pay

    folder = os.path.dirname(os.path.realpath(path))
    try:
        if _is_stream(path):
            # A pipe that nobody reads is an error in place of a wait for somebody.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            with open(descriptor, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            return
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".buildsctl-", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(_mode(path))
            os.replace(temporary, os.path.realpath(path))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def read_json(path: str, *, most: int, what: str, hint: str) -> Any:
    """What a JSON file of the user's holds: `what` it should be, of at most so many bytes."""
    try:
        if os.path.getsize(path) > most:
            raise UsageError(f"`{path}` is too large for a {what}", hint=hint)
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}", hint=hint) from None
    except (ValueError, RecursionError):
        raise UsageError(f"`{path}` is no {what}: it is no JSON", hint=hint) from None
