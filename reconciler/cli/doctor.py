"""`doctor`: everything that a first run trips over, each with what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, fingerprint_key, global_options, json_option, manifest_options
from reconciler.cli.output import colored, data, width
from reconciler.errors import BuildsctlError, Exit, ManifestError

if TYPE_CHECKING:
    from reconciler.doctor import Line
    from reconciler.ownership import FingerprintKey
    from reconciler.states import Desired

T = TypeVar("T")
SANDBOX = "the sandbox"


@click.command(params=[json_option])
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
    for line in _lines(settings, manifests):
        lines.append(line)
        if not as_json:
            data(line_text(line, color=color, width=width()))
    wrong = any(one.level is Level.ERROR for one in lines)
    holds = ((Exit.ACCESS, any(one.access for one in lines)), (Exit.ERROR, wrong))
    codes = [code for code, hold in holds if hold] or [Exit.OK]
    data(dump(doctor_document(lines, codes=codes)) if as_json else "\n" + ending_text(lines))
    return codes[0]


def _lines(settings: Globals, manifests: Manifests) -> Iterator[Line]:
    """What is set here, then what the account says of it."""
    from reconciler.doctor import Level, Line, examine, verify

    desired = yield from _read("manifests", lambda: session.load(manifests), _of_manifests)
    yield from _read("fingerprint key", fingerprint_key, _of_key)
    url = yield from _read(
        "base URL",
        lambda: SANDBOX if settings.sandbox else session.base_url(settings),
        lambda found: (found in (SANDBOX, session.BASE_URL), found, f"the live API is {session.BASE_URL}"),
    )
    declared = desired.account_id if desired else None
    account = yield from _read(
        "account", lambda: session.account_id(settings, declared), lambda found: (True, found, "")
    )
    token = yield from _read("token", lambda: "" if settings.sandbox else session.api_token(os.environ), _of_token)
    if url is None or token is None:
        return
    try:
        with session.open_api(settings, account or "") as api:
            if account is None:
                yield verify(api, token)
                return
            yield from examine(desired, api, None if settings.sandbox else lambda: datetime.now(UTC))
    except BuildsctlError as error:
        access = error.exit_code == Exit.ACCESS
        yield Line(Level.ERROR, "token" if access else "API", str(error), error.hint, access=access)


def _read(
    about: str, read: Callable[[], T], told: Callable[[T], tuple[bool, str, str]]
) -> Generator[Line, None, T | None]:
    """What is set, None where it cannot be used, and the line about it: is it good, what it is, what to do if not."""
    from reconciler.doctor import Level, Line

    try:
        found = read()
    except BuildsctlError as error:
        hint = "`buildsctl validate` shows them" if isinstance(error, ManifestError) else error.hint
        yield Line(Level.ERROR, about, str(error), hint, access=error.exit_code == Exit.ACCESS)
        return None
    good, summary, hint = told(found)
    yield Line(Level.OK, about, summary) if good else Line(Level.WARNING, about, summary, hint)
    return found


def _of_manifests(desired: Desired) -> tuple[bool, str, str]:
    from reconciler.doctor import many

    count = len(desired.diagnostics)
    return not count, f"good, with {many(count, 'warning')}: `buildsctl validate` shows them" if count else "good", ""


def _of_key(key: FingerprintKey | None) -> tuple[bool, str, str]:
    if key:
        return True, "set: secrets that changed are found", ""
    hint = "`openssl rand -base64 32` makes one, for BUILDSCTL_FINGERPRINT_KEY"
    return False, "not set: secrets are written once and never compared", hint


def _of_token(token: str) -> tuple[bool, str, str]:
    names = [name for name in session.TOKENS if os.environ.get(name, "").strip()]
    return True, f"{names[0]} is set" if token else "the sandbox takes any", ""
