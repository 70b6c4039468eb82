"""What last builds used against what is live, as text and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.builds import LOOKED_AT, Seen, first_build
from reconciler.errors import Diagnostic, Severity
from reconciler.kinds.build import Build
from reconciler.model import FieldChange, Secret
from reconciler.render.builds import COMMIT, span
from reconciler.render.escape import clean
from reconciler.render.json import FORMAT_VERSION, diagnostic, members, plain
from reconciler.render.text import value_text
from reconciler.status import Row, State

STATES = {
    State.AS_CONFIGURED: "as configured",
    State.NOT_BUILT_SINCE: "not built since",
    State.NEVER_BUILT: "never built",
    State.NOT_AMONG_LAST: f"none of the Worker's last {LOOKED_AT} builds",
    State.NOT_LIVE: "not live",
    State.UNKNOWN: "unknown",
}


def status_text(rows: Sequence[Row], seen: Callable[[Build], Seen]) -> str:
    """A paragraph a trigger, then the counts. `seen` knows what time it is."""
    lines: list[str] = []
    for row in rows:
        lines.append(f"{clean(str(row.address))}: {_headline(row)}")
        if row.build:
            lines.append(f"    last build {_build(row.build, seen(row.build).age)}")
        lines += [f"    last build used another {_difference(one)}" for one in row.differences]
        if row.not_compared:
            lines.append(f"    {row.not_compared} secret{'s' * (row.not_compared != 1)} not compared")
        if row.build and row.build.has_failed:
            lines.append(f"    hint: `buildsctl builds get {row.build.id}` says why it failed")
    never = next((row for row in rows if row.state is State.NEVER_BUILT), None)
    if never:  # of many the first
        lines.append(f"hint: {clean(first_build(*never.address.path))}")
    found = Counter(row.state for row in rows)
    counts = ", ".join(f"{found[state]} {text}" for state, text in STATES.items() if found[state])
    return "\n".join(lines) + ("\n\n" if lines else "") + f"Status: {counts or 'no trigger is declared'}.\n"


def _headline(row: Row) -> str:
    text = STATES[row.state]
    if row.state is State.NOT_BUILT_SINCE:
        text = "changed live, but not built since" if row.pending else "applied, but not built since"
    text += f" ({clean(row.reason)})" if row.reason else ""
    differs = row.pending and row.state is not State.NOT_LIVE
    return text + ("; the manifests say something else, see `buildsctl plan`" if differs else "")


def _build(build: Build, age: float | None) -> str:
    ago = f"{span(age)} ago" if age is not None else ""
    what = " ".join(filter(None, (build.told("branch"), build.told("commit_hash")[:COMMIT])))
    return ", ".join(map(clean, filter(None, (build.build_outcome or build.status, ago, what, build.id))))


def _difference(one: FieldChange) -> str:
    name = "branch" if one.path == "branch_includes" else one.path
    return f"{clean(name)}: {value_text(one.before, {})} → {value_text(one.after, {})}"


def status_document(rows: Sequence[Row], codes: Sequence[int], diagnostics: Sequence[Diagnostic]) -> Mapping[str, Any]:
    """Builds are the API's own objects; a secret is null, with `sensitive` beside it."""
    return {
        "format_version": FORMAT_VERSION,
        "errored": any(one.severity is Severity.ERROR for one in diagnostics),
        "exit_codes": list(codes),
        "triggers": [
            {
                "address": str(row.address),
                **members(row, "state", "pending", "reason", "not_compared"),
                "differences": [_difference_document(one) for one in row.differences],
                "build": row.build.answer if row.build else None,
            }
            for row in rows
        ],
        "diagnostics": [diagnostic(one) for one in diagnostics],
        "summary": {state.value: sum(row.state is state for row in rows) for state in State},
    }


def _difference_document(one: FieldChange) -> Mapping[str, Any]:
    sensitive = Secret in (type(one.before), type(one.after))
    return {"path": one.path, "before": plain(one.before), "after": plain(one.after), "sensitive": sensitive}
