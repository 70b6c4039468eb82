"""A plan and its outcomes as text, for a terminal or a log."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from textwrap import wrap

from reconciler.errors import Severity
from reconciler.kinds.trigger import Trigger
from reconciler.model import (
    Action,
    Address,
    Cause,
    Change,
    Disposition,
    FieldChange,
    Outcome,
    Plan,
    Refusal,
    Secret,
    Status,
    Unread,
    Value,
)
from reconciler.plan.summary import summary
from reconciler.render.escape import clean
from reconciler.render.problems import problems_text

SYMBOLS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "-/+", Action.DELETE: "-", Action.NO_OP: " "}
ASIDE = {Disposition.ADOPT: "^", Disposition.UNKNOWN: "?", Disposition.REFUSED: "!"}
WORDS = {"+": "create", "~": "update", "-/+": "replace", "-": "delete", "^": "adopt", ".": "kept"}
WORDS |= {"?": "unknown", "!": "refused", " ": "unchanged"}
FOLDED = {"^": "to adopt", "?": "unknown"}  # nobody reads one sentence as often
MAX_LENGTH = 66  # characters of a value in a list of many: with what stands before it, 80 columns
MOST = 6_000  # in full: a variable holds at most 5,000
MOST_ALIKE = 20  # of one reason that are listed one by one
MOST_SOURCES = 5  # that are named at the end of a plan
NOT_ALL_READ = "not everything could be read: until it can be, nothing is deleted or replaced"
COLORS = {"+": 32, "~": 33, "-/+": 31, "-": 31, "^": 36, "!": 31, "?": 35}
CAUSES = {
    Cause.MANIFEST: "the manifests changed",
    Cause.LIVE: "somebody changed it outside buildsctl",
    Cause.BOTH: "the manifests changed, and somebody changed it outside buildsctl",
    Cause.UNKNOWN: "",
}
_DEFAULTS = Trigger(
    external_script_id="",
    trigger_name="",
    repo_connection_uuid="",
    build_token_uuid="",
    branch_includes=(),
    deploy_command="",
).fields


def symbol(change: Change) -> str:
    """`+` create, `~` update, `-/+` replace, `-` delete, `^` adopt, `.` kept; `?` unknown, `!` refused."""
    kept = change.disposition in (Disposition.KEPT, Disposition.ORPHAN) and change.action is Action.NO_OP
    return ASIDE.get(change.disposition) or ("." if kept else SYMBOLS[change.action])


def _painted(sign: str, *, color: bool) -> str:
    return f"\x1b[{COLORS[sign]}m{sign}\x1b[0m" if color and sign in COLORS else sign


def headline(plan: Plan, outcomes: Sequence[Outcome] | None = None) -> str:
    """`buildsctl plan: 1 to create, 2 to update`, or how much of it was applied."""
    acts, still = _counts(plan, {"unknown": "unknown", "refused": "refused"})
    told = ", ".join((*acts, *still))
    if outcomes and not plan.refusals:
        done = sum(one.status is Status.DONE for one in outcomes)
        return f"buildsctl applied {done} of {len(outcomes)} change{'s' * (len(outcomes) != 1)}"
    errors = sum(one.severity is Severity.ERROR for one in plan.diagnostics)
    if errors:
        return f"buildsctl plan: {errors} error{'s' * (errors > 1)}; {told or 'nothing else'}"
    if plan.refusals:
        return f"buildsctl refuses this plan{': ' * bool(told)}{told}"
    nothing = "no changes that can be seen" if plan.unread else "no changes"
    return f"buildsctl {'plan' if outcomes is None else 'apply'}: {told or nothing}"


def _counts(plan: Plan, rests: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What is to be done, and what is not, in the words of `rests`."""
    counts = summary(plan)
    acts = ("create", "update", "replace", "delete", "adopt")
    return (
        [f"{counts[name]} to {name}" for name in acts if counts[name]],
        [f"{counts[name]} {word}" for name, word in rests.items() if counts[name]],
    )


def counted(changes: Iterable[Change]) -> str:
    """`1 create, 2 kept`."""
    return ", ".join(f"{count} {word}" for word, count in by_word(changes).items())


def by_word(changes: Iterable[Change]) -> dict[str, int]:
    """How many rows there are of each word, what moves first."""
    counts = Counter(WORDS[symbol(change)] for change in changes)
    return {word: counts[word] for word in WORDS.values() if counts[word]}


def plan_text(plan: Plan, *, color: bool = False, whole: bool = False, width: int | None = None) -> str:
    """Every change with its reason, grouped by Worker. No-ops are a count, and long values shortened, unless all is
    wanted. Lines are broken to `width`, but for what may be copied from a refusal."""
    rows = plan.changes if whole else shown(plan)
    alike = Counter((symbol(one), one.reason) for one in rows if symbol(one) in FOLDED)
    many = {key: count for key, count in alike.items() if count > MOST_ALIKE and not whole}
    rows = [one for one in rows if (symbol(one), one.reason) not in many]
    most = MOST if whole else MAX_LENGTH
    triggers = {one.address.path: one for one in plan.changes if one.address.kind == "trigger"}
    born = {path for path, one in triggers.items() if one.action in (Action.CREATE, Action.REPLACE)}
    lines: list[str] = []
    for name, changes in groupby(rows, key=group):
        lines += ["", clean(name)] if name else [""]
        heading: tuple[str, ...] = ()
        for change in changes:
            before, heading = heading, change.address.path[:2]
            if change.address.kind == "env" and heading != before:
                reason = clean(triggers[heading].reason) if heading in triggers else ""
                lines += fit([f"    {clean(str(Address('trigger', heading)))}: {reason}".rstrip(": ")], width)
            comes = change.action is Action.CREATE and heading in born
            head, *told = fit(change_lines(change, plan.labels, born=comes, most=most), width)
            sign = symbol(change)
            lines += [head.replace(sign, _painted(sign, color=color), 1), *told]
    for (sign, reason), count in many.items():
        head = f"{_painted(sign, color=color)} {count} {FOLDED[sign]}; -v lists them"
        lines += ["", f"  {head}", *fit([f"      {clean(reason)}"], width)]
    for refusal in plan.refusals:
        first, *rest = refusal_lines(refusal)
        lines += ["", *fit([first], width), *rest]
    return "\n".join((*lines, "", *fit(ending(plan), width))).strip("\n") + "\n"


def fit(lines: Iterable[str], width: int | None, indent: str = "") -> list[str]:
    """`lines`, broken between words where they take more than `width` columns; the rest stands at `indent`, or deeper
    than its line."""
    broken: list[str] = []
    for line in lines:
        if width is None or len(line) <= width:
            broken.append(line)
            continue
        deeper = indent or " " * (len(line) - len(line.lstrip()) + 2)
        broken += wrap(line, width, subsequent_indent=deeper, break_long_words=False, break_on_hyphens=False)
    return broken


def shown(plan: Plan) -> list[Change]:
    """The rows that say something: no no-ops, and no variables about which nobody can decide, as about their trigger:
    that speaks for them."""
    silent = (Disposition.UNKNOWN, Disposition.REFUSED)
    rows = [one for one in plan.changes if symbol(one) != " " or one.fields]
    speaks = [one for one in rows if one.address.kind == "trigger" and one.disposition in silent]
    told = {(one.address.path, one.disposition) for one in speaks}
    return [one for one in rows if one.address.kind != "env" or (one.address.path[:2], one.disposition) not in told]


def troubles_text(plan: Plan, *, whole: bool = True) -> str:
    """Warnings, what leads nowhere, and what could not be read: for stderr, beside the plan."""
    told = f"{NOT_ALL_READ}\n" if plan.unread else ""
    return problems_text(plan.diagnostics, whole=whole) + unread_text(plan.unread) + told


def unread_text(unread: Collection[Unread]) -> str:
    """What could not be read, each with its way out once."""
    failed = [f"error: could not read {clean(one.what)}: {clean(str(one.error))}\n" for one in unread]
    hints = dict.fromkeys(f"hint: {clean(one.error.hint)}\n" for one in unread if one.error.hint)
    return "".join((*failed, *hints))


def group(change: Change) -> str:
    """The Worker that a row stands under; empty for what belongs to none."""
    return change.address.path[0] if change.address.kind in ("trigger", "env") else ""


def change_lines(change: Change, labels: Mapping[str, str], *, born: bool = False, most: int = MAX_LENGTH) -> list[str]:
    """`born`: the variable comes with its trigger, and needs no sentence of its own. `most` characters of a value."""
    indent = "      " if change.address.kind == "env" else "  "
    head = f"{indent}{symbol(change)} {clean(str(change.address))}"
    why = "; ".join(filter(None, (clean(change.reason), cause_text(change))))
    if change.address.kind == "env":
        return [f"{head}{_variable(change, labels, most)}", *([] if born else [f"{indent}    {why}"])]
    lines = [head, f"{indent}    {why}"]
    if change.action is Action.CREATE:
        lines += [
            f"{indent}    {name} = {value_text(value, labels, most)}"
            for name, value in telling(change.address.kind, change.after)
        ]
    return lines + [f"{indent}    {line}" for one in change.fields for line in _field(one, labels, most)]


def cause_text(change: Change) -> str:
    """Who moved, where that says anything: a delete and an adopt say it themselves."""
    told = change.action is not Action.DELETE and change.disposition is not Disposition.ADOPT
    return CAUSES[change.cause] if change.cause and told else ""


def _variable(change: Change, labels: Mapping[str, str], most: int) -> str:
    before, after = change.before or {}, change.after or {}
    match change.action:
        case Action.CREATE:
            return f" = {value_text(after['value'], labels, most)}"
        case Action.UPDATE if change.fields:
            return f": {held(before, labels, most)} → {value_text(after['value'], labels, most)}"
        case _:
            return ""


def held(before: Mapping[str, Value], labels: Mapping[str, str], most: int = MAX_LENGTH) -> str:
    """What a variable held; a plain value that is to be a secret may be it."""
    text = value_text(before["value"], labels, most)
    return "(plain value)" if text == "(secret)" and not before["is_secret"] else text


def telling(kind: str, fields: Mapping[str, Value] | None) -> Iterable[tuple[str, Value]]:
    """The fields of a resource that say something: a trigger's where they are not the default."""
    return [(n, value) for n, value in (fields or {}).items() if kind != "trigger" or value != _DEFAULTS.get(n)]


def _field(change: FieldChange, labels: Mapping[str, str], most: int) -> list[str]:
    moved = items(change, labels, most)
    listed = ", ".join(f"{sign} {text}" for sign, text in moved)
    if moved and len(change.path + listed) <= MAX_LENGTH:
        return [f"{change.path}: {listed}"]
    moved = moved or line_diff(change.before, change.after, around=MOST if most == MOST else 1)
    if not moved:
        was, now = (value_text(one, labels, most) for one in (change.before, change.after))
        if was == now:  # what differs was cut out
            was, now = (value_text(one, labels, MOST) for one in (change.before, change.after))
        if change.path in Trigger.references.values() or len(change.path + was + now) <= MAX_LENGTH:
            return [f"{change.path}: {was} → {now}"]
        moved = [("-", was), ("+", now)]
    return [f"{change.path}:", *(f"  {sign} {clean(line)}".rstrip() for sign, line in moved)]


def value_text(value: Value, labels: Mapping[str, str], most: int = MAX_LENGTH) -> str:
    """A string in quotes, shortened in the middle; ids by what they are called; secrets never."""
    match value:
        case None:
            return "(none)"
        case bool():
            return str(value).lower()
        case Secret():
            if value.source and value.value is None:
                return f"(secret, unknown: {clean(value.source)} {clean(value.missing)})"
            return f"(secret, from {clean(value.source)})" if value.source else "(secret)"
        case Address():
            return f"{clean(str(value))} (known after apply)"
        case str() if value in labels:
            return clean(labels[value])
        case str():
            return clean(json.dumps(shortened(value, most), ensure_ascii=False))
        case tuple():
            return f"[{', '.join(value_text(one, labels, most) for one in value)}]"
        case _:
            return clean(str(value))


def shortened(text: str, most: int) -> str:
    """At most so many characters, cut in the middle."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def items(change: FieldChange, labels: Mapping[str, str], most: int) -> list[tuple[str, str]]:
    """What came into a list and what went out, each with its sign."""
    sides = (("+", change.added), ("-", change.removed))
    return [(sign, value_text(one, labels, most)) for sign, side in sides for one in side]


def line_diff(before: Value, after: Value, *, around: int) -> list[tuple[str, str]]:
    """Signs and lines, with so many unchanged ones around; nothing where neither text has several lines, or only the
    end of the last one differs."""
    was, now = (one.removesuffix("\n").split("\n") if isinstance(one, str) and one else [] for one in (before, after))
    if len(was) <= 1 and len(now) <= 1:
        return []
    lines = [*difflib.unified_diff(was, now, n=around, lineterm="")][3:]
    return [("…", "") if line.startswith("@@") else (line[0], line[1:]) for line in lines]


def refusal_lines(refusal: Refusal) -> list[str]:
    """What stops an apply, with the ways out."""
    where = f"{clean(str(refusal.address))}: " if refusal.address else ""
    detail = refusal.detail.split("\n") if refusal.detail else []
    lines = [f"refused: {where}{clean(refusal.summary)}", *(f"  {clean(line)}" for line in detail)]
    return lines + ([f"  hint: {clean(refusal.hint)}"] if refusal.hint else [])


def ending(plan: Plan) -> list[str]:
    """Counts, and what the run costs and left out."""
    if not plan.changes and any(one.severity is Severity.ERROR for one in plan.diagnostics):
        return ["There is no plan."]
    rests = {"no-op": "unchanged", "kept": "kept", "unknown": "unknown", "refused": "refused"}
    acts, still = _counts(plan, rests)
    unseen = plan.unread or any(symbol(one) == "?" for one in plan.changes)
    words = "Refused plan" if plan.refusals else "Plan" if acts else "No changes"
    words += " that can be seen" if words == "No changes" and unseen else ""
    told = f"{', '.join(acts)}{'; ' if acts and still else ''}{', '.join(still)}"
    lines = [f"{words}{': ' if told else ''}{told}."]
    lines += _not_compared(plan)
    missing = dict.fromkeys(clean(secret.source) for _, secret in plan.missing)
    if missing:
        few = ", ".join([*missing][:MOST_SOURCES]) + (", …" if len(missing) > MOST_SOURCES else "")
        values = f"{len(missing)} value{'s' * (len(missing) != 1)}"
        lines.append(f"An apply needs {values} that this run does not have: {few}.")
    lines.append(f"Requests: {plan.reads} read, {plan.writes} to write.")
    if plan.target:
        were = "Worker was" if plan.left_out == 1 else "Workers were"
        left_out = f"; {plan.left_out} declared {were} not" if plan.left_out else ""
        lines.append(f"Only what was asked for was looked at{left_out}.")
    if plan.undeclared_workers == 0:
        lines.append("Every Worker of the account is declared.")
    elif plan.undeclared_workers and not plan.prune:
        workers, are, were = ("Worker", "is", "was") if plan.undeclared_workers == 1 else ("Workers", "are", "were")
        lines.append(f"{plan.undeclared_workers} {workers} of the account {are} not declared and {were} not read.")
    return lines


def _not_compared(plan: Plan) -> list[str]:
    """One line: how many secrets could not be compared, and why."""
    why = Counter(one.not_compared for one in plan.changes if one.not_compared)
    total = why.total()
    told = "; ".join(f"{reason} ({count})" if len(why) > 1 else reason for reason, count in why.items())
    return [f"{total} secret{'s' * (total != 1)} not compared: {told}."] if why else []


def outcome_text(outcome: Outcome, *, color: bool = False) -> str:
    """One line for one change, as it is known."""
    words = {Status.FAILED: "FAILED", Status.UNKNOWN: "UNKNOWN: nobody knows whether it was done"}
    sign = "^" if outcome.disposition is Disposition.ADOPT else SYMBOLS[outcome.action]
    text = f"  {_painted(sign, color=color)} {clean(str(outcome.address))}: "
    text += words.get(outcome.status, outcome.status.value)
    text += f": {clean(outcome.error)}" if outcome.error else ""
    return text + (f"\n      hint: {clean(outcome.hint)}" if outcome.hint else "")


def outcomes_ending(outcomes: Iterable[Outcome], again: str) -> str:
    """`Applied: 3 done, 1 failed, 2 skipped.`, and `again`, the command that goes on from what is live."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts[one]} {one.value}" for one in Status if counts[one] or (one is Status.DONE and counts)]
    rest = "" if set(counts) <= {Status.DONE} else f"Go on from what is live with: {clean(again)}\n"
    return f"Applied: {', '.join(parts) or 'nothing to do'}.\n{rest}"
