"""A drift report as text, JSON and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler import __version__
from reconciler.drift import Finding, Kind, Report
from reconciler.errors import Diagnostic, Severity
from reconciler.model import Disposition
from reconciler.render.escape import clean
from reconciler.render.json import FORMAT_VERSION, diagnostic, members, unread_rows
from reconciler.render.markdown import MAX_LENGTH, code, fence, header
from reconciler.render.markdown import troubles as markdown_list
from reconciler.render.problems import problems_text
from reconciler.render.text import cause_text, change_lines, fit, unread_text

TITLES = {
    Kind.LIVE: "Not as declared (live → as declared)",
    Kind.HEALTH: "Broken, though as declared",
    Kind.PENDING: "In the manifests, and not applied yet (live → as declared)",
    Kind.UNMANAGED: "Live, and declared by nobody",
}
MAX_GONE, MAX_ADDRESS = 50, 150  # rows, and characters of each, that a comment has room for


def by_kind(report: Report) -> list[tuple[Kind, str, list[Finding]]]:
    """The kinds that there are, each with its title and findings."""
    found = {kind: [one for one in report.findings if one.kind is kind] for kind in TITLES}
    return [(kind, title, found[kind]) for kind, title in TITLES.items() if found[kind]]


def counts(report: Report) -> dict[str, int]:
    found = {kind.value: sum(one.kind is kind for one in report.findings) for kind in Kind}
    new = sum(one.id not in report.known for one in report.findings)
    return {**found, "new": new, "known": len(report.known), "gone": len(report.gone), "unseen": len(report.unseen)}


def drift_text(report: Report, *, width: int | None = None) -> str:
    """The findings by kind, each with what differs, then the counts."""
    lines: list[str] = []
    for _, title, found in by_kind(report):
        lines += ["", f"{title}:", *(line for one in found for line in _lines(one, report))]
    for _, title, rows in since_baseline(report):
        lines += ["", f"{title}:", *(f"  {clean(one['address'])}: {clean(one['summary'])}" for one in rows)]
    ending = f"Drift: {headline(report)}. Requests: {report.plan.reads}."
    return "\n".join(fit((*lines, "", ending), width)).lstrip("\n") + "\n"


def headline(report: Report) -> str:
    """`1 live, 3 unmanaged; 1 new, 3 known, 0 gone`"""
    told = counts(report)
    kinds = ", ".join(f"{told[kind]} {kind}" for kind in TITLES if told[kind]) or (
        "none that can be seen" if report.plan.unread else "none"
    )
    since = f"; {told['new']} new, {told['known']} known, {told['gone']} gone" if report.compared else ""
    since += f", {told['unseen']} not looked at" if report.unseen else ""
    since += "; not everything could be read" if report.plan.unread else ""
    return "failed" if report.failure else f"{kinds}{since}"


def since_baseline(report: Report) -> list[tuple[str, str, Sequence[Mapping[str, str]]]]:
    """What the baseline told and this run does not: state, title and rows."""
    gone = ("gone", "Gone since the baseline", report.gone)
    return [one for one in (gone, ("not looked at", "In the baseline, not looked at", report.unseen)) if one[2]]


def _lines(one: Finding, report: Report) -> list[str]:
    new = " (changed again)" if one.id in report.again else " (new)"
    new = new if report.compared and one.id not in report.known else ""
    lines = [f"  {clean(one.address)}{new}"]
    change = one.change
    if change and change.fields and change.disposition is not Disposition.ADOPT:
        moved = change_lines(change, report.plan.labels)
        lines += moved[2:]
        if change.address.kind == "env":
            lines[0] += moved[0].partition(str(change.address))[2]
    lines.append(f"      {'; '.join(filter(None, (clean(one.summary), cause_of(one))))}")
    return lines + ([f"      hint: {clean(one.hint)}"] if one.hint else [])


def cause_of(one: Finding) -> str:
    return cause_text(one.change) if one.change and one.kind in (Kind.LIVE, Kind.PENDING) else ""


def troubles(report: Report, *, whole: bool = True) -> str:
    """Beside the findings: what is told, and what could not be read."""
    return problems_text(told(report), whole=whole) + unread_text(report.plan.unread)


def told(report: Report) -> list[Diagnostic]:
    """Warnings; what leads nowhere is a finding, unless there are none since the run failed."""
    return [one for one in report.plan.diagnostics if report.failure or one.severity is Severity.WARNING]


def drift_document(report: Report, *, codes: Iterable[int]) -> dict[str, Any]:
    """`findings` with stable ids; give it as the next run's `--baseline`."""
    plan = report.plan
    return {
        "format_version": FORMAT_VERSION,
        "buildsctl_version": __version__,
        "complete": not plan.unread and not report.failure,
        "errored": report.failure is not None,
        "error": {"message": str(report.failure), "hint": report.failure.hint} if report.failure else None,
        "exit_codes": list(codes),
        "scope": {"account_id": plan.account_id, "owner": plan.owner},
        "looked_at": {
            "paths": list(report.reach.paths),
            "all": report.reach.everything,
            "health": report.reach.health,
            "stale_days": report.reach.stale_days,
        },
        "findings": [_row(one, report) for one in report.findings],
        "gone": [dict(one) for one in report.gone],
        "unseen": [dict(one) for one in report.unseen],
        "unread": unread_rows(plan),
        "diagnostics": [diagnostic(one) for one in told(report)],
        "summary": counts(report),
        "requests": {"read": report.plan.reads},
    }


def _row(one: Finding, report: Report) -> dict[str, Any]:
    change = one.change
    return {
        **members(one, "id", "kind", "address", "summary", "hint"),
        "cause": change.cause if change else None,
        "fields": [field.path for field in change.fields] if change else [],
        "state": "known" if one.id in report.known else "new",
        "changed_again": one.id in report.again,
    }


def coloured(line: str) -> str:
    """A `diff` fence goes by the first character."""
    sign = line.lstrip()[:2]
    if sign in ("+ ", "- "):
        return sign[0] + line[1:].replace(sign, "  ", 1)
    return "!" + line[1:] if " → " in line else line


def drift_markdown(report: Report) -> str:
    """For an issue that is opened once and updated: what is new first, cut where it would get too long."""
    lines = [
        header("drift", report.plan),
        f"### buildsctl drift: {headline(report)}. Requests: {report.plan.reads}.",
        "",
    ]
    length = 0
    for new in (True, False) if report.compared else (True,):
        for _, title, some in by_kind(report):
            found = [one for one in some if (one.id not in report.known) == new]
            lines += [f"**{title}{'' if new else ', known already'}** ({len(found)})", ""] if found else []
            for number, one in enumerate(found):
                block = [*fence(map(coloured, _lines(one, report))), ""]
                length += sum(len(line) + 1 for line in block)
                if length > MAX_LENGTH - 20_000:
                    lines += [f"{len(found) - number} more of this kind are not shown here.", ""]
                    break
                lines += block
    for state, _, rows in since_baseline(report):
        word = state.capitalize()
        lines += [f"- {word}: {code(one['address'][:MAX_ADDRESS])}" for one in rows[:MAX_GONE]]
        lines += [f"- {word}: {len(rows) - MAX_GONE} more"] if len(rows) > MAX_GONE else []
    lines += [f"- {code(str(report.failure))}"] if report.failure else []
    lines += markdown_list(told(report), report.plan.unread)
    return "\n".join(lines).rstrip("\n") + "\n"
