"""Problems and errors as text: what is wrong, where, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from reconciler.errors import BuildsctlError, Diagnostic, Severity
from reconciler.render.escape import clean, clean_lines

MAX_SOURCE = 120  # characters of a source line that are shown
MOST_ALIKE, FEW = 5, 3  # warnings that say the same: so many are all shown; of more, the first few


def problems_text(found: Sequence[Diagnostic], *, whole: bool = True) -> str:
    """Each problem with its place, the source line under it and a caret; `folded`, unless all is wanted."""
    shown = [(one, 0) for one in found] if whole else folded(found)
    return "\n".join(f"{more_text(one, more)}; -v shows them\n" if more else problem_text(one) for one, more in shown)


def folded(found: Sequence[Diagnostic]) -> Iterator[tuple[Diagnostic, int]]:
    """Of many warnings that say the same a few, and then one with how many more there are."""
    counts = Counter((one.rule, one.summary) for one in found if one.severity is Severity.WARNING)
    seen: Counter[tuple[str, str]] = Counter()
    for one in found:
        same = (one.rule, one.summary)
        seen[same] += one.severity is Severity.WARNING
        if counts[same] <= MOST_ALIKE or seen[same] <= FEW or one.severity is not Severity.WARNING:
            yield one, 0
        elif seen[same] == FEW + 1:
            yield one, counts[same] - FEW


def more_text(one: Diagnostic, more: int) -> str:
    rule = f" [{clean(one.rule)}]" if one.rule else ""
    return f"warning: {more} more of: {clean(one.summary)}{rule}"


def problem_text(one: Diagnostic) -> str:
    place = f"{clean(str(one.position))}: " if one.position else ""
    rule = f" [{clean(one.rule)}]" if one.rule else ""
    lines = [f"{place}{one.severity.value}: {clean(one.summary)}{rule}"]
    lines += [f"  in {clean(one.address)}"] if one.address else []
    if one.source_line.strip() and one.position:
        lines += _source(one.source_line, one.position.line, one.position.column)
    lines += [f"  {clean(line)}" for line in one.detail.split("\n")] if one.detail else []
    lines += [f"  hint: {clean(one.hint)}"] if one.hint else []
    return "\n".join(lines) + "\n"


def _source(line: str, number: int, column: int) -> list[str]:
    """The line and a caret. A long line is cut so that the place stays in sight."""
    start = 0 if column < MAX_SOURCE else column - MAX_SOURCE // 2
    shown = line[start : start + MAX_SOURCE].rstrip()
    before = clean(line[start : column - 1])
    gutter = f"{number:>5} | "
    return [gutter + clean(shown), " " * (len(gutter) + len(before)) + "^"]


def error_text(error: BuildsctlError) -> str:
    """One error with its hint; for `ManifestError` the problems come first."""
    text = f"error: {clean_lines(str(error))}\n"
    return text + (f"hint: {clean_lines(error.hint)}\n" if error.hint else "")


def count_text(found: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    counts = Counter(one.severity for one in found)
    parts = [f"{counts[one]} {one.value}{'s' * (counts[one] != 1)}" for one in Severity if counts[one]]
    return ", ".join(parts) or "no problems"
