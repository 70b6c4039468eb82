"""Builds, their logs and the account's limits, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from reconciler.builds import Seen, stamp
from reconciler.kinds.build import Build
from reconciler.kinds.failure import Failure
from reconciler.kinds.limits import Limits
from reconciler.ownership import MARKER
from reconciler.render.escape import clean

MAX_CELL, MIN_CELL = 32, 8  # characters of a cell of a table
MAX_LINE = 10_000  # characters of a line of a log
COMMIT = 8  # characters of a commit's hash
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def table(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Columns under the first row as their heads; the last column is never cut. Where it all takes more than `width`,
    the last column stands below, and the others are cut further."""
    cells = [[_cell(one, MAX_CELL) for one in row[:-1]] for row in rows]
    last = [clean(row[-1]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is None or sum(widths) + 2 * len(widths) + max(map(len, last)) <= width:
        return "".join(f"{_aligned([*row, end], widths)}\n" for row, end in zip(cells, last, strict=True))
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > MIN_CELL:
        widths[widths.index(max(widths))] -= 1
    return "".join(f"{_aligned(row, widths)}\n  {end}\n" for row, end in zip(cells, last, strict=True))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cut = (_cell(one, most).ljust(most) for one, most in zip(row, widths, strict=False))
    return "  ".join((*cut, *row[len(widths) :])).rstrip()


def _cell(text: str, most: int) -> str:
    shown = clean(text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


_COLUMNS: Mapping[str, Callable[[Seen, Build], str]] = {
    "TRIGGER": lambda _, build: build.trigger_name,
    "BRANCH": lambda _, build: build.told("branch"),
    "COMMIT": lambda _, build: build.told("commit_hash")[:COMMIT],
    "SOURCE": lambda _, build: build.told("build_trigger_source"),
    "STATUS": lambda _, build: build.status,
    "OUTCOME": lambda _, build: build.build_outcome,
    "AGE": lambda seen, _: " ".join(span(seen.age).split()[:2]),
    "DURATION": lambda seen, _: span(seen.duration),
    "BUILD": lambda _, build: build.id,
}


def latest_text(rows: Sequence[Seen], width: int | None = None) -> str:
    """One line a Worker, then why those failed of which that is known."""
    names = [name for name in _COLUMNS if name != "SOURCE"]
    lines = [["WORKER", *names], *([one.worker, *_cells(one, names)] for one in rows)]
    why = [failure_text(one.failure, f"{one.worker}: ") for one in rows if one.failure]
    return table(lines, width) + ("\n" if why else "") + "".join(why)


def list_text(rows: Sequence[Seen], width: int | None = None) -> str:
    return table([list(_COLUMNS), *(_cells(one, _COLUMNS) for one in rows)], width)


def _cells(seen: Seen, names: Iterable[str]) -> list[str]:
    if seen.build is None:
        return ["never built", *("-" for _ in list(names)[1:])]
    return [_COLUMNS[name](seen, seen.build) or "-" for name in names]


def span(seconds: float | None) -> str:
    """`5 s`, `3 min 20 s`, `2 h`, `41 d`: two units where the second says something."""
    if seconds is None:
        return ""
    left = max(0, int(seconds))
    for (size, name), (next_size, next_name) in pairwise(_UNITS):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size} {name}" + (f" {rest} {next_name}" if rest and left < 10 * size else "")
    return f"{left} s"


def build_text(seen: Seen) -> str:
    """One build, a line a fact."""
    build = seen.build
    if build is None:
        return "never built\n"
    message, author = build.told("commit_message").partition("\n")[0], build.told("author")
    commit = (build.told("commit_hash"), message, f"({author})" if author else "")
    variables = _under(build.metadata, "environment_variables")
    url = _under(build.answer, "pull_request").get("pull_request_url")
    facts = {
        "status": f"{build.status}, {build.build_outcome}" if build.build_outcome else build.status,
        "trigger": " ".join(filter(None, (build.trigger_name, build.trigger_uuid))),
        "branch": build.told("branch"),
        "commit": " ".join(filter(None, commit)),
        "source": build.told("build_trigger_source"),
        "created": f"{build.created_on} ({span(seen.age)} ago)" if seen.age is not None else build.created_on,
        "duration": span(seen.duration),
        "build": build.told("build_command"),
        "deploy": build.told("deploy_command"),
        "root": build.told("root_directory"),
        "token": build.told("build_token_name") or build.told("build_token_uuid"),
        "variables": ", ".join(sorted(str(name) for name in variables if name != MARKER)),  # values are for JSON
        "pull request": url if isinstance(url, str) else "",
    }
    lines = [f"  {name:<12}  {clean(value)}" for name, value in facts.items() if value]
    return "\n".join((f"build {clean(build.id)}", *lines)) + "\n" + failure_text(seen.failure, "cause: ")


def _under(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


def failure_text(failure: Failure | None, before: str = "") -> str:
    """Why, and what to do; nothing where nobody knows."""
    return f"{clean(before)}{failure.summary}\nhint: {failure.hint}\n" if failure else ""


def build_document(build: Build, failure: Failure | None) -> Mapping[str, Any]:
    """The API's own object; what we know of its failure stands in it under a name of ours."""
    if failure is None:
        return build.answer
    told = {"name": failure.name, "summary": failure.summary, "hint": failure.hint}
    return {**build.answer, "buildsctl": {"failure": told}}


def log_text(lines: Iterable[tuple[float | None, str]]) -> str:
    """A page of a log: time and text, harmless to a terminal."""
    return "".join(f"{stamp(epoch) or '-':<24}  {_line(text)}\n" for epoch, text in lines)


def _line(text: str) -> str:
    rest = len(text) - MAX_LINE
    return clean(text[:MAX_LINE].rstrip("\r\n")) + (f" … ({rest:,} more characters)" if rest > 0 else "")


def limits_text(limits: Limits) -> str:
    """Used up or not, and until when; null is a paid plan (field notes)."""
    refresh = clean(limits.build_minutes_refresh_on)
    if limits.has_reached_build_minutes_limit:
        return f"Build minutes: USED UP{f' until {refresh}' if refresh else ''}: nothing builds.\n"
    if limits.answer.get("has_reached_build_minutes_limit") is None and not refresh:
        return "Build minutes: no limit is shown, as on paid plans.\n"
    return f"Build minutes: not used up{f'; they refresh on {refresh}' if refresh else ''}.\n"
