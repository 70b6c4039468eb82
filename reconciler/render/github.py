"""Problems as GitHub's workflow commands, which show them at the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.errors import Diagnostic
from reconciler.render.escape import clean


def github_text(found: Iterable[Diagnostic]) -> str:
    """`::error file=…,line=…,col=…,title=…::message`, one line each."""
    return "".join(f"{_command(one)}\n" for one in found)


def _command(one: Diagnostic) -> str:
    place = one.position
    properties = {"title": one.rule or "buildsctl"}
    if place and place.line:  # an option of the command line is no file
        properties = {"file": place.filename, "line": str(place.line), "col": str(place.column), **properties}
    shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    where = f"in {one.address}" if one.address else ""
    message = [one.summary, where, *one.detail.split("\n"), f"hint: {one.hint}" if one.hint else ""]
    return f"::{one.severity.value} {shown}::" + "%0A".join(_data(line) for line in message if line)


def _data(line: str) -> str:
    """A line of the message: what could begin a new line is written out by `clean` already."""
    return clean(line).replace("%", "%25")


def _property(text: str) -> str:
    """A value that stands between `=` and `,` or `::`."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
