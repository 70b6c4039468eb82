"""Problems as workflow commands, which GitHub shows at the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.errors import Diagnostic
from reconciler.render.escape import clean


def github_text(found: Iterable[Diagnostic]) -> str:
    """`::error file=…,line=…,col=…,title=…::message`, one line each."""
    return "".join(f"{_command(one)}\n" for one in found)


def _command(one: Diagnostic) -> str:
    place = one.position
    properties = {"file": place.filename, "line": str(place.line), "col": str(place.column)} if place else {}
    properties["title"] = one.rule or "buildsctl"
    shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = "\n".join(filter(None, (one.summary, one.detail, f"hint: {one.hint}" if one.hint else "")))
    return f"::{one.severity.value} {shown}::{_data(message)}"


def _data(text: str) -> str:
    """A line break is written out as GitHub wants it; anything else that controls a terminal as everywhere."""
    return "%0A".join(clean(line).replace("%", "%25") for line in text.split("\n"))


def _property(text: str) -> str:
    return clean(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
