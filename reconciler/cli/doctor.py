"""`doctor`: everything that a first run trips over, each with what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, fingerprint_key, global_options, json_option, manifest_options
from reconciler.cli.output import colored, data
from reconciler.errors import BuildsctlError, Exit, ManifestError

if TYPE_CHECKING:
    from reconciler.doctor import Line

T = TypeVar("T")


@click.command(params=[json_option()])
@manifest_options
@global_options
def doctor(settings: Globals, manifests: Manifests, as_json: bool) -> int:
    """Look at token, permissions, account, manifests and what they refer to; say what to do about each.

    It changes nothing. Whether the token may write is asked with an update of a trigger that cannot exist.

    \b
    Examples:
      buildsctl doctor
      buildsctl doctor builds/ --format json

    \b
    Exit codes: 0 no errors, warnings allowed · 1 something is wrong
      6 authentication or permission
    """
    from reconciler.doctor import Level
    from reconciler.render.doctor import doctor_document, ending_text, line_text
    from reconciler.render.json import dump

    lines: list[Line] = []
    color = colored(no_color=settings.no_color)
    width = shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else 0
    for line in _lines(settings, manifests):
        lines.append(line)
        if not as_json:
            data(line_text(line, color=color, width=width))
    wrong = any(one.level is Level.ERROR for one in lines)
    holds = ((Exit.ACCESS, any(one.access for one in lines)), (Exit.ERROR, wrong))
    codes = [code for code, hold in holds if hold] or [Exit.OK]
    data("\n" + ending_text(lines) if not as_json else dump(doctor_document(lines, codes=codes)))
    return codes[0]


def _lines(settings: Globals, manifests: Manifests) -> Iterator[Line]:
    """What is set here, then what the account says of it."""
    from reconciler.doctor import Level, Line, examine, many, verify

    desired = _read("manifests", lambda: session.load(manifests))
    if isinstance(desired, Line):
        yield desired
    else:
        count = len(desired.diagnostics)
        told = f"good, with {many(count, 'warning')}: `buildsctl validate` shows them" if count else "good"
        yield Line(Level.WARNING if count else Level.OK, "manifests", told)
    yield _key()
    url = _read("base URL", lambda: "the sandbox" if settings.sandbox else session.base_url(settings))
    yield url if isinstance(url, Line) else _base_url(url, settings)
    declared = None if isinstance(desired, Line) else desired.account_id
    account = _read("account", lambda: session.account_id(settings, declared))
    yield account if isinstance(account, Line) else Line(Level.OK, "account", account)
    token = _read("token", lambda: "" if settings.sandbox else session.api_token(os.environ))
    yield token if isinstance(token, Line) else _token(settings)
    if isinstance(url, Line) or isinstance(token, Line):
        return
    try:
        with session.open_api(settings, "" if isinstance(account, Line) else account) as api:
            if isinstance(account, Line):
                yield verify(api, token)
                return
            now = None if settings.sandbox else lambda: datetime.now(UTC)
            yield from examine(None if isinstance(desired, Line) else desired, api, now)
    except BuildsctlError as error:
        access = error.exit_code == Exit.ACCESS
        yield Line(Level.ERROR, "token" if access else "API", str(error), error.hint, access=access)


def _read(about: str, read: Callable[[], T]) -> T | Line:
    """What is set, or the line that says what is wrong with it."""
    from reconciler.doctor import Level, Line

    try:
        return read()
    except BuildsctlError as error:
        hint = "`buildsctl validate` shows them" if isinstance(error, ManifestError) else error.hint
        return Line(Level.ERROR, about, str(error), hint, access=error.exit_code == Exit.ACCESS)


def _base_url(url: str, settings: Globals) -> Line:
    from reconciler.doctor import Level, Line

    if settings.sandbox or url == session.BASE_URL:
        return Line(Level.OK, "base URL", url)
    return Line(Level.WARNING, "base URL", url, f"the live API is {session.BASE_URL}")


def _token(settings: Globals) -> Line:
    from reconciler.doctor import Level, Line

    names = [name for name in ("BUILDSCTL_API_TOKEN", "CLOUDFLARE_API_TOKEN") if os.environ.get(name, "").strip()]
    return Line(Level.OK, "token", "the sandbox takes any" if settings.sandbox else f"{names[0]} is set")


def _key() -> Line:
    from reconciler.doctor import Level, Line

    key = _read("fingerprint key", fingerprint_key)
    if isinstance(key, Line):
        return key
    if key:
        return Line(Level.OK, "fingerprint key", "set: secrets that changed are found")
    hint = "`openssl rand -base64 32` makes one, for BUILDSCTL_FINGERPRINT_KEY"
    return Line(Level.WARNING, "fingerprint key", "not set: secrets are written once and never compared", hint)
