"""Problems and errors as text: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.errors import BuildsctlError, Diagnostic, Severity
from reconciler.render.escape import clean, clean_lines

MAX_SOURCE = 120  # characters of a source line that are shown


def problems_text(found: Iterable[Diagnostic]) -> str:
    """Each problem with its place, the source line under it and a caret."""
    return "\n".join(problem_text(one) for one in found)


def problem_text(one: Diagnostic) -> str:
    place = f"{clean(str(one.position))}: " if one.position else ""
    rule = f" [{clean(one.rule)}]" if one.rule else ""
    lines = [f"{place}{one.severity.value}: {clean(one.summary)}{rule}"]
    if one.address:
        lines.append(f"  in {clean(one.address)}")
    if one.source_line.strip() and one.position:
        lines += _source(one.source_line, one.position.line, one.position.column)
    if one.detail:
        lines += [f"  {clean(line)}" for line in one.detail.split("\n")]
    if one.hint:
        lines.append(f"  hint: {clean(one.hint)}")
    return "\n".join(lines) + "\n"


def _source(line: str, number: int, column: int) -> list[str]:
    """The line and a caret. A long line is cut so that the place stays in sight."""
    start = 0 if column < MAX_SOURCE else column - MAX_SOURCE // 2
    shown = line[start : start + MAX_SOURCE].rstrip()
    before = clean(line[start : column - 1])
    gutter = f"{number:>5} | "
    caret = " " * (len(gutter) + len(before)) + "^"
    return [gutter + clean(shown), caret]


def error_text(error: BuildsctlError) -> str:
    """One error with its hint; for `ManifestError` the problems come first."""
    text = f"error: {clean_lines(str(error))}\n"
    return text + (f"hint: {clean_lines(error.hint)}\n" if error.hint else "")


def count_text(found: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    errors = warnings = 0
    for one in found:
        errors += one.severity is Severity.ERROR
        warnings += one.severity is Severity.WARNING
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return ", ".join(parts) or "no problems"
