"""A plan as Markdown for the comment of a pull request; what strangers wrote cannot break out of it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from reconciler.errors import Diagnostic, Severity
from reconciler.model import Action, Change, Outcome, Plan, Status, Unread
from reconciler.render import text
from reconciler.render.escape import clean
from reconciler.render.problems import folded, more_text

MAX_LENGTH = 60_000  # GitHub takes 65,536 characters in a comment; the rest is the caller's
MOST_ITEMS = 30  # of problems
SIGNS = {"+": "+", "~": "!", "-/+": "-", "-": "-", "^": "!", ".": " ", "?": " ", "!": "!", " ": " "}
"""What a `diff` fence colours."""


def plan_markdown(plan: Plan, outcomes: Sequence[Outcome] | None = None) -> str:
    """One line of summary, what is refused or deleted, then each Worker folded. Deletes and replaces, and what
    an apply did not do, are never cut; the rest is where the comment would get too long."""
    head = [header("plan", plan), f"### {text.headline(plan, outcomes)}", ""]
    if outcomes is not None:
        head += fence(text.outcome_text(one) for one in outcomes if one.status is not Status.DONE)
    head += fence(line for one in plan.refusals for line in text.refusal_lines(one))
    rows = text.shown(plan)
    going = [one for one in rows if one.action in (Action.DELETE, Action.REPLACE)]
    whole = {one.address.path for one in going if one.address.kind == "trigger"}  # its variables go with it
    doomed = [one for one in going if one.address.kind != "env" or one.address.path[:2] not in whole]
    head += ["", "**Deleted or replaced:**", ""] if doomed else []
    head += [f"- {code(text.symbol(one))} {code(str(one.address))}" for one in doomed]
    tail = ["", *(f"{line}  " for line in text.ending(plan)), *troubles(plan.diagnostics, plan.unread)]
    sections = [_section(name, list(changes), plan) for name, changes in groupby(rows, key=text.group)]
    return _cut(head, sections, tail)


def header(kind: str, plan: Plan) -> str:
    """Finds the comment of the run before: by account and owner, so that two estates keep one each."""
    owner = re.sub(r"[^A-Za-z0-9._/]+", "-", plan.owner or "")
    account = re.sub(r"[^A-Za-z0-9_-]", "-", plan.account_id)
    return f"<!-- buildsctl:{kind} account={account} owner={owner} -->"


def code(text: str) -> str:
    """Text of strangers as a code span that it cannot end."""
    shown = clean(text)
    ticks = _ticks(shown)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def _ticks(text: str) -> str:
    """One more than stand together anywhere in it."""
    return "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)


def _section(name: str, changes: Sequence[Change], plan: Plan) -> str:
    """One Worker, folded; what belongs to none stands open."""
    lines = [line for change in changes for line in _row(change, plan)]
    block = "\n".join(fence(lines))
    if not name:
        return block
    heading = f"<summary><code>{html.escape(clean(name))}</code>: {text.counted(changes)}</summary>"
    return f"<details>{heading}\n\n{block}\n\n</details>"


def _row(change: Change, plan: Plan) -> Iterable[str]:
    """A change as lines of a diff: its sign coloured, and what moved in it."""
    sign = text.symbol(change)
    colour = SIGNS[sign]
    first, *more = text.change_lines(change, plan.labels)
    word = _WORDS.get(sign)
    yield f"{colour} {first.strip().removeprefix(sign).strip()}{f' ({word})' if word else ''}"
    left = len(more[0]) - len(more[0].lstrip()) if more else 0
    for line in (line[left:] for line in more):
        if line.lstrip()[:2] in ("+ ", "- "):
            yield f"{line.lstrip()[0]}         {line.lstrip()[2:]}"
        else:
            moved = any(mark in line for mark in (" → ", ": + ", ": - "))
            yield f"{colour if moved else ' '}     {line}"


_WORDS = {"-/+": "replaced", "^": "adopted", ".": "kept", "?": "unknown", "!": "refused"}


def fence(lines: Iterable[str]) -> list[str]:
    """A `diff` block that nothing in it can end."""
    listed = [line for line in lines if line.strip()]
    if not listed:
        return []
    ticks = max("```", _ticks("\n".join(listed)), key=len)
    return [f"{ticks}diff", *listed, ticks]


def troubles(problems: Iterable[Diagnostic], unread: Iterable[Unread]) -> list[str]:
    """A list: what could not be read, errors, then warnings, each with its place and the way out."""
    items = [_item(f"could not read {one.what}: {one.error}", "", one.error.hint) for one in unread]
    for one, more in folded(sorted(problems, key=lambda one: one.severity is Severity.WARNING)):
        place = f"{one.position}: " if one.position else ""
        rule = f" [{one.rule}]" if one.rule else ""
        told = f"{place}{one.severity.value}: {one.summary}{rule}"
        items.append(f"- {code(more_text(one, more))}" if more else _item(told, one.address, one.hint))
    left = len(items) - MOST_ITEMS
    return [""] * bool(items) + items[:MOST_ITEMS] + [f"- {left} more that are not shown here"] * (left > 0)


def _item(told: str, address: str, hint: str) -> str:
    lengths = ((told, 300), (address, 100), (hint, 200))
    told, address, hint = (text.shortened(clean(one), most) for one, most in lengths)
    where, way_out = f" in {code(address)}" if address else "", f"; hint: {code(hint)}" if hint else ""
    return f"- {code(told)}{where}{way_out}"


def _cut(head: list[str], sections: Sequence[str], tail: list[str]) -> str:
    frame = len("\n".join((*head, *tail))) + 200
    kept: list[str] = []
    for section in sections:
        if frame + sum(len(one) + 2 for one in kept) + len(section) > MAX_LENGTH:
            break
        kept.append(section)
    left = len(sections) - len(kept)
    more = f"{left} more Worker{'s are' if left > 1 else ' is'}"
    note = f"\n{more} not shown here: the comment would be too long. The saved plan has all."
    return "\n".join((*head, "", "\n\n".join(kept), *[note] * bool(left), *tail)).rstrip("\n") + "\n"
