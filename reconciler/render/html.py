"""A plan, its outcomes or a drift report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reconciler import __version__, drift
from reconciler.errors import Severity
from reconciler.model import Action, Change, Disposition, FieldChange, Outcome, Plan, Status
from reconciler.render.drift import TITLES, cause_of, since_baseline
from reconciler.render.drift import headline as drift_headline
from reconciler.render.escape import clean
from reconciler.render.picture import picture
from reconciler.render.problems import problem_text
from reconciler.render.text import (
    NOT_ALL_READ,
    WORDS,
    by_word,
    cause_text,
    counted,
    ending,
    group,
    headline,
    held,
    items,
    line_diff,
    outcome_text,
    refusal_lines,
    shown,
    symbol,
    telling,
)
from reconciler.render.value import MOST, value_text


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


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a row: what it was and is, or what came into a list and went out, or a diff of lines."""

    name: str
    before: str = ""
    after: str = ""
    items: Sequence[tuple[str, str]] = ()
    lines: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One change or finding. `tags` are what the filters look at, `told` sentences behind a word each."""

    sign: str
    word: str
    address: str
    told: Sequence[tuple[str, str]]
    tags: Mapping[str, str]
    state: str = ""
    fields: Sequence[Field] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows under one heading; those in `folded` are a count until somebody opens it."""

    title: str
    count: str
    rows: Sequence[Row]
    folded: Sequence[Row] = ()
    fold: str = ""


def plan_html(plan: Plan, outcomes: Sequence[Outcome] | None = None, *, digest: str) -> str:
    """The page of a plan: what stops it, the picture, each Worker with its rows. Every change is a row."""
    became = {one.address: one for one in outcomes or ()}
    loud = {id(change) for change in shown(plan)}
    groups: dict[str, list[Change]] = {}
    for change in plan.changes:
        groups.setdefault(group(change), []).append(change)
    return _page(
        plan,
        headline=headline(plan, outcomes),
        facts={"Digest": digest, "Scope": ", ".join((*plan.target, *["--prune"] * plan.prune))},
        notes=ending(plan),
        alarms={"Not done": _undone(became.values()), "Refused": [refusal_lines(one) for one in plan.refusals]},
        groups=[_group(name, changes, loud, became, plan.labels) for name, changes in groups.items()],
        filters={"action": by_word(plan.changes)},
    )


def drift_html(report: drift.Report) -> str:
    """The page of a drift report: the findings by kind, and what is gone since the baseline."""
    groups, failure = [], report.failure
    for kind, title in TITLES.items():
        rows = [_finding(one, report) for one in report.findings if one.kind is kind]
        groups += [Group(title=title, count=f"{len(rows)} {kind}", rows=rows)] if rows else []
    for state, title, found in since_baseline(report):
        rows = [_told_before(state, one) for one in found]
        groups += [Group(title=title, count=f"{len(rows)} {state}", rows=rows)] if rows else []
    states = Counter(row.tags["state"] for one in groups for row in one.rows)
    kinds = Counter(kind.value for kind in TITLES for one in report.findings if one.kind is kind)
    return _page(
        report.plan,
        headline=f"buildsctl drift: {drift_headline(report)}",
        facts={},
        notes=[f"Requests: {report.reads} read."],
        alarms={"Failed": [[str(failure), *[f"hint: {failure.hint}"] * bool(failure.hint)]]} if failure else {},
        groups=groups,
        filters={"kind": kinds, **({"state": states} if report.compared else {})},
    )


def _told_before(state: str, one: Mapping[str, str]) -> Row:
    told = [("", one["summary"]), ("id", one["id"])]
    return Row(sign=" ", word=state, address=one["address"], told=told, tags={"state": state})


def _page(plan: Plan, *, facts: Mapping[str, str], alarms: Mapping[str, Any], **more: Any) -> str:
    """ASCII, whatever the encoding of stdout: the hashes of the policy are those of the bytes that arrive."""
    text = _PAGES.get_template("page.html").render(
        facts={"Account": plan.account_id, "Owner": plan.owner or "nobody", **facts},
        alarms={**alarms, **_troubles(plan)},
        picture=picture(plan),
        version=__version__,
        signs=WORDS,
        words={word: sign for sign, word in WORDS.items()},
        **more,
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _undone(outcomes: Iterable[Outcome]) -> list[list[str]]:
    """What failed, and how much was skipped for it: that stands at its rows."""
    rest = [one for one in outcomes if one.status is not Status.DONE]
    told = [outcome_text(one).strip().splitlines() for one in rest if one.status is not Status.SKIPPED]
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
        unread.append([NOT_ALL_READ])
    return {"Errors": told[Severity.ERROR], "Could not be read": unread, "Warnings": told[Severity.WARNING]}


def _group(
    name: str, changes: Sequence[Change], loud: set[int], became: Mapping[Any, Outcome], labels: Mapping[str, str]
) -> Group:
    """A Worker, or what belongs to none. What says nothing of its own is folded."""
    quiet = [one for one in changes if id(one) not in loud]
    return Group(
        title=name or "Connections and tokens",
        count=counted(changes),
        rows=[_row(one, became.get(one.address), labels) for one in changes if id(one) in loud],
        folded=[_row(one, None, labels) for one in quiet],
        fold=counted(quiet),
    )


def _row(change: Change, outcome: Outcome | None, labels: Mapping[str, str]) -> Row:
    sign = symbol(change)
    told = [("", change.reason), ("cause", cause_text(change)), ("not compared", change.not_compared)]
    return Row(
        sign=sign,
        word=WORDS[sign],
        address=str(change.address),
        told=[*told, ("error", outcome.error), ("hint", outcome.hint)] if outcome else told,
        tags={"action": WORDS[sign]},
        state=outcome.status.value if outcome else "",
        fields=_fields(change, labels),
    )


def _finding(one: drift.Finding, report: drift.Report) -> Row:
    change, sign = one.change, symbol(one.change) if one.change else " "
    state = "known" if one.id in report.known else "new"
    alone = "." if one.kind is drift.Kind.UNMANAGED else "!"
    return Row(
        sign=sign if sign != " " else alone,
        word=WORDS[sign] if sign != " " else one.kind.value,
        address=one.address,
        told=[("", one.summary), ("cause", cause_of(one)), ("hint", one.hint), ("id", one.id)],
        tags={"kind": one.kind.value, "state": state},
        state=state if report.compared else "",
        fields=_fields(change, report.plan.labels) if change and change.disposition is not Disposition.ADOPT else (),
    )


def _fields(change: Change, labels: Mapping[str, str]) -> list[Field]:
    """What moves, field by field; of a new or deleted resource, what it is or was."""
    kind, before, after = change.address.kind, change.before or {}, change.after or {}
    if change.action in (Action.CREATE, Action.DELETE):
        new = change.action is Action.CREATE
        return [
            _field(FieldChange(path=name, before=None if new else one, after=one if new else None), labels)
            for name, one in telling(kind, after or before)
            if kind != "env" or name == "value"
        ]
    found = [_field(one, labels) for one in change.fields]
    if kind == "env" and any(one.path == "is_secret" for one in change.fields):
        now = value_text(after["value"], labels, MOST)
        found.append(Field(name="value", before=held(before, labels, MOST), after=now))
    return found


def _field(change: FieldChange, labels: Mapping[str, str]) -> Field:
    before, after = ("" if one is None else value_text(one, labels, MOST) for one in (change.before, change.after))
    lines = line_diff(change.before, change.after, around=MOST)
    return Field(name=change.path, before=before, after=after, items=items(change, labels, MOST), lines=lines)
