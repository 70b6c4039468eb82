"""`doctor`: everything that a first run trips over, each with what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, fingerprint_key, format_option, global_options, manifest_options
from reconciler.cli.output import colored, data
from reconciler.errors import BuildsctlError, Exit, ManifestError

if TYPE_CHECKING:
    from reconciler.doctor import Line
    from reconciler.states import Desired

COLORS = {"ok": 32, "warning": 33, "error": 31}


@click.command(params=[format_option("text", "json")])
@manifest_options
@global_options
def doctor(settings: Globals, manifests: Manifests, format: str) -> int:  # noqa: A002 - the option's name
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

    lines: list[Line] = []
    color = colored(no_color=settings.no_color)
    for line in _lines(settings, manifests):
        lines.append(line)
        if format == "text":
            data(_text(line, color=color))
    if format == "json":
        rows = [{"level": one.level, "about": one.about, "summary": one.summary, "hint": one.hint} for one in lines]
        data(json.dumps(rows, indent=2) + "\n")
    else:
        counts = {level: sum(one.level is level for one in lines) for level in Level}
        data(f"\n{counts[Level.ERROR]} errors, {counts[Level.WARNING]} warnings, {counts[Level.OK]} fine\n")
    if any(one.access for one in lines):
        return Exit.ACCESS
    return Exit.ERROR if any(one.level is Level.ERROR for one in lines) else Exit.OK


def _lines(settings: Globals, manifests: Manifests) -> Iterator[Line]:
    from reconciler import doctor as looking
    from reconciler.doctor import Level, Line

    desired: Desired | None = None
    try:
        desired = session.load(manifests)
        warnings = len(desired.diagnostics)
        told = f"good; {warnings} warnings: `buildsctl validate` shows them" if warnings else "good"
        yield Line(Level.WARNING if warnings else Level.OK, "manifests", told)
    except ManifestError as error:
        yield Line(Level.ERROR, "manifests", str(error), "`buildsctl validate` shows them")
    except BuildsctlError as error:
        yield Line(Level.ERROR, "manifests", str(error), error.hint)
    yield _key()
    try:
        url = "the sandbox" if settings.sandbox else session.base_url(settings)
        level = Level.OK if settings.sandbox or url == session.BASE_URL else Level.WARNING
        yield Line(level, "base URL", url, "" if level is Level.OK else f"the live API is {session.BASE_URL}")
        account = session.account_id(settings, desired.account_id if desired else None)
        yield Line(Level.OK, "account", account)
        names = [name for name in ("BUILDSCTL_API_TOKEN", "CLOUDFLARE_API_TOKEN") if os.environ.get(name, "").strip()]
        with session.open_api(settings, account) as api:
            yield Line(Level.OK, "token", f"{names[0]} is set" if names else "the sandbox takes any")
            api.allow_writes()  # for the one update of a trigger that cannot exist
            bad = False
            for line in looking.token(api, now=looking.utc_now()):
                bad |= line.access
                yield line
            if desired and not bad:
                yield from looking.estate(desired, api, now=looking.utc_now())
            yield from looking.window(api)
    except BuildsctlError as error:
        access = error.exit_code == Exit.ACCESS
        yield Line(Level.ERROR, "token" if access else "API", str(error), error.hint, access=access)


def _key() -> Line:
    from reconciler.doctor import Level, Line

    try:
        key = fingerprint_key()
    except BuildsctlError as error:
        return Line(Level.ERROR, "fingerprint key", str(error), error.hint)
    if key:
        return Line(Level.OK, "fingerprint key", "set: secrets that changed are found")
    hint = "`openssl rand -base64 32` makes one, for BUILDSCTL_FINGERPRINT_KEY"
    return Line(Level.WARNING, "fingerprint key", "not set: secrets are written once and never compared", hint)


def _text(line: Line, *, color: bool) -> str:
    from reconciler.render.escape import clean

    word = f"{line.level.value:<8}"
    shown = f"\x1b[{COLORS[line.level.value]}m{word}\x1b[0m" if color else word
    text = f"{shown}{clean(line.about)}: {clean(line.summary)}\n"
    return text + (f"        hint: {clean(line.hint)}\n" if line.hint else "")
