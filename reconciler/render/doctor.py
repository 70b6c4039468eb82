"""What `doctor` found, as text and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reconciler import __version__
from reconciler.doctor import Level, Line, many
from reconciler.render.escape import clean
from reconciler.render.json import FORMAT_VERSION, members
from reconciler.render.text import fit

COLORS = {Level.OK: 32, Level.WARNING: 33, Level.ERROR: 31}
INDENT = " " * 8


def line_text(line: Line, *, color: bool, width: int | None = None) -> str:
    """One line, and under it what to do; broken between words where `width` columns are all there is."""
    word = f"{line.level.value:<{len(INDENT)}}"
    told = [f"{word}{clean(line.about)}: {clean(line.summary)}"]
    told += [f"{INDENT}hint: {clean(line.hint)}"] if line.hint else []
    text = "\n".join(fit(told, width, INDENT)) + "\n"
    return f"\x1b[{COLORS[line.level]}m{word}\x1b[0m{text[len(word) :]}" if color else text


def ending_text(lines: Iterable[Line]) -> str:
    """`1 error, 2 warnings, 9 fine`."""
    told = _counts(lines)
    return f"{many(told['error'], 'error')}, {many(told['warning'], 'warning')}, {told['ok']:,} fine\n"


def doctor_document(lines: Sequence[Line], *, codes: Iterable[int]) -> dict[str, Any]:
    """Every line as it was found, and all exit codes that hold."""
    return {
        "format_version": FORMAT_VERSION,
        "buildsctl_version": __version__,
        "exit_codes": list(codes),
        "lines": [members(one, "level", "about", "summary", "hint") for one in lines],
        "summary": _counts(lines),
    }


def _counts(lines: Iterable[Line]) -> dict[str, int]:
    levels = [one.level for one in lines]
    return {level.value: levels.count(level) for level in Level}
