"""A plan, its outcomes or a drift report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reconciler import __version__, drift
from reconciler.errors import Severity
from reconciler.model import Action, Change, Disposition, FieldChange, Outcome, Plan, Status
from reconciler.render import text
from reconciler.render.drift import by_kind, cause_of, since_baseline, told
from reconciler.render.drift import headline as drift_headline
from reconciler.render.escape import clean
from reconciler.render.picture import picture
from reconciler.render.problems import problem_text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_PAGES = Environment(
    loader=PackageLoader("reconciler.render", "page"),
    autoescape=True,
    finalize=lambda value: value if isinstance(value, Markup) else clean(str(value)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
"""Whatever a template shows is cleaned and escaped; only what it wrote itself is markup."""
_PAGES.filters["hash"] = _hash


Part = Mapping[str, Any]
"""A group of rows, a row, or a field of one, as the template shows it."""


def plan_html(plan: Plan, outcomes: Sequence[Outcome] | None = None, *, digest: str) -> str:
    """The page of a plan: what stops it, the picture, each Worker with its rows. Every change is a row."""
    became = {one.address: one for one in outcomes or ()}
    loud = {id(change) for change in text.shown(plan)}
    groups: dict[str, list[Change]] = {}
    for change in plan.changes:
        groups.setdefault(text.group(change), []).append(change)
    return _page(
        plan,
        headline=text.headline(plan, outcomes),
        facts={"Digest": digest, "Scope": ", ".join((*plan.target, *["--prune"] * plan.prune))},
        notes=text.ending(plan),
        alarms={"Not done": _undone(became.values()), "Refused": [text.refusal_lines(one) for one in plan.refusals]},
        groups=[_worker(name, changes, loud, became, plan.labels) for name, changes in groups.items()],
        filters={"action": text.by_word(plan.changes)},
    )


def drift_html(report: drift.Report) -> str:
    """The page of a drift report: the findings by kind, and what is gone since the baseline."""
    failure, known = report.failure, by_kind(report)
    found = [(kind.value, title, [_finding(one, report) for one in some]) for kind, title, some in known]
    found += [
        (state, title, [_told_before(state, one) for one in gone]) for state, title, gone in since_baseline(report)
    ]
    states = Counter(row["tags"]["state"] for _, _, rows in found for row in rows)
    return _page(
        replace(report.plan, diagnostics=tuple(told(report))),
        headline=f"buildsctl drift: {drift_headline(report)}",
        facts={},
        notes=[f"Requests: {report.plan.reads} read."],
        alarms={"Failed": [[str(failure), *[f"hint: {failure.hint}"] * bool(failure.hint)]]} if failure else {},
        groups=[_group(title, f"{len(rows)} {word}", rows) for word, title, rows in found],
        filters={
            "kind": {kind.value: len(some) for kind, _, some in known},
            **({"state": states} if report.compared else {}),
        },
    )


def _page(plan: Plan, *, facts: Mapping[str, str], alarms: Mapping[str, Any], **more: Any) -> str:
    """ASCII, whatever the encoding of stdout: the hashes of the policy are those of the bytes that arrive."""
    page = _PAGES.get_template("page.html").render(
        facts={"Account": plan.account_id, "Owner": plan.owner or "nobody", **facts},
        alarms={**alarms, **_troubles(plan)},
        picture=picture(plan),
        version=__version__,
        signs=text.WORDS,
        words={word: sign for sign, word in text.WORDS.items()},
        **more,
    )
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _undone(outcomes: Iterable[Outcome]) -> list[list[str]]:
    """What failed, and how much was skipped for it: that stands at its rows."""
    rest = [one for one in outcomes if one.status is not Status.DONE]
    told = [text.outcome_text(one).strip().splitlines() for one in rest if one.status is not Status.SKIPPED]
    return told + ([[f"{len(rest) - len(told)} skipped; each says why"]] if len(rest) > len(told) else [])


def _troubles(plan: Plan) -> dict[str, list[list[str]]]:
    """Problems without their source line: a caret under it needs a terminal's letters."""
    told: dict[Severity, list[list[str]]] = {one: [] for one in Severity}
    for one in plan.diagnostics:
        told[one.severity].append(problem_text(replace(one, source_line="")).splitlines())
    unread = [
        [f"{one.what}: {one.error}", *[f"  hint: {one.error.hint}"] * bool(one.error.hint)] for one in plan.unread
    ]
    if unread:
        unread.append([text.NOT_ALL_READ])
    return {"Errors": told[Severity.ERROR], "Could not be read": unread, "Warnings": told[Severity.WARNING]}


def _worker(
    name: str, changes: Sequence[Change], loud: set[int], became: Mapping[Any, Outcome], labels: Mapping[str, str]
) -> Part:
    """A Worker, or what belongs to none. What says nothing of its own is folded."""
    quiet = [one for one in changes if id(one) not in loud]
    rows = [_row(one, became.get(one.address), labels) for one in changes if id(one) in loud]
    folded = [_row(one, None, labels) for one in quiet]
    return _group(name or "Connections and tokens", text.counted(changes), rows, folded, text.counted(quiet))


def _group(title: str, count: str, rows: Sequence[Part], folded: Sequence[Part] = (), fold: str = "") -> Part:
    """Rows under one heading; those in `folded` are a count until somebody opens it."""
    return {"title": title, "count": count, "rows": rows, "folded": folded, "fold": fold}


def _row(change: Change, outcome: Outcome | None, labels: Mapping[str, str]) -> Part:
    sign = text.symbol(change)
    told = [("", change.reason), ("cause", text.cause_text(change)), ("not compared", change.not_compared)]
    return {
        "sign": sign,
        "word": text.WORDS[sign],
        "address": change.address,
        "told": [*told, ("error", outcome.error), ("hint", outcome.hint)] if outcome else told,
        "tags": {"action": text.WORDS[sign]},  # what the filters look at
        "state": outcome.status.value if outcome else "",
        "fields": _fields(change, labels),
    }


def _finding(one: drift.Finding, report: drift.Report) -> Part:
    change, sign = one.change, text.symbol(one.change) if one.change else " "
    state = "known" if one.id in report.known else "changed again" if one.id in report.again else "new"
    alone = "." if one.kind is drift.Kind.UNMANAGED else "!"
    return {
        "sign": sign if sign != " " else alone,
        "word": text.WORDS[sign] if sign != " " else one.kind.value,
        "address": one.address,
        "told": [("", one.summary), ("cause", cause_of(one)), ("hint", one.hint), ("id", one.id)],
        "tags": {"kind": one.kind.value, "state": state},
        "state": state if report.compared else "",
        "fields": _fields(change, report.plan.labels) if change and change.disposition is not Disposition.ADOPT else (),
    }


def _told_before(state: str, one: Mapping[str, str]) -> Part:
    told = [("", one["summary"]), ("id", one["id"])]
    row = {"sign": " ", "word": state, "address": one["address"], "told": told}
    return {**row, "tags": {"state": state}, "state": "", "fields": ()}


def _fields(change: Change, labels: Mapping[str, str]) -> list[Part]:
    """What moves, field by field; of a new or deleted resource, what it is or was."""
    kind, before, after = change.address.kind, change.before or {}, change.after or {}
    if change.action in (Action.CREATE, Action.DELETE):
        new = change.action is Action.CREATE
        return [
            _field(FieldChange(path=name, before=None if new else one, after=one if new else None), labels)
            for name, one in text.telling(kind, after or before)
            if kind != "env" or name == "value"
        ]
    found = [_field(one, labels) for one in change.fields]
    if kind == "env" and any(one.path == "is_secret" for one in change.fields):
        now = text.value_text(after["value"], labels, text.MOST)
        found.append(
            {"name": "value", "before": text.held(before, labels, text.MOST), "after": now, "moves": (), "lines": ()}
        )
    return found


def _field(change: FieldChange, labels: Mapping[str, str]) -> Part:
    """What it was and is, or what came into a list and went out, or a diff of lines."""
    before, after = (
        "" if one is None else text.value_text(one, labels, text.MOST) for one in (change.before, change.after)
    )
    lines = text.line_diff(change.before, change.after, around=text.MOST)
    moves = text.items(change, labels, text.MOST)
    return {"name": change.path, "before": before, "after": after, "moves": moves, "lines": lines}
