"""A plan and its outcomes as JSON, in the shape that Terraform's users know (DESIGN section 8)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler import __version__
from reconciler.errors import Diagnostic
from reconciler.model import Action, Address, Change, FieldChange, MarkerDraft, Outcome, Plan, Secret, Value
from reconciler.plan.summary import errored, exit_codes, summary

FORMAT_VERSION = "1.0"
WINDOW = 1200  # requests in five minutes for all of a user's tools (field notes, Access)
MEMORY = ("owner", "protect")  # paths of `fields` that only a trigger's marker holds
ACTIONS = {action: [action.value] for action in Action} | {Action.REPLACE: ["delete", "create"]}


def plan_document(
    plan: Plan, outcomes: Sequence[Outcome] | None = None, *, codes: Sequence[int] | None = None
) -> dict[str, Any]:
    """The plan as `schemas/plan.schema.json` describes it; with `outcomes` after an apply."""
    changes = [_change(change) for change in plan.changes]
    scope = {"account_id": plan.account_id, "owner": plan.owner, "target": list(plan.target), "prune": plan.prune}
    sides = [row["change"][side] or {} for row in changes for side in ("before", "after")]
    strings = {value for side in sides for value in side.values() if isinstance(value, str)}
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "buildsctl_version": __version__,
        "complete": not plan.unread and not errored(plan),
        "errored": errored(plan),
        "applyable": plan.changed and not plan.refusals,
        "exit_codes": list(codes if codes is not None else exit_codes(plan, outcomes)),
        "scope": scope,
        "digest": _digest(scope, changes),
        "resource_changes": changes,
        "refusals": [
            {"address": one.address and str(one.address)} | members(one, "summary", "detail", "hint")
            for one in plan.refusals
        ],
        "unread": unread_rows(plan),
        "diagnostics": [diagnostic(one) for one in plan.diagnostics],
        "summary": summary(plan),
        "undeclared_workers": plan.undeclared_workers,
        "left_out": plan.left_out,
        "missing_secrets": [
            {"address": str(address), "source": secret.source, "why": secret.missing}
            for address, secret in plan.missing
        ],
        "labels": {uuid: name for uuid, name in sorted(plan.labels.items()) if uuid in strings},
        "requests": {"read": plan.reads, "write": plan.writes, "window": WINDOW},
    }
    if outcomes is not None:
        document["outcomes"] = [
            {"address": str(one.address), "action": one.action, "status": one.status}
            | {"error": one.error or None, "hint": one.hint or None}
            for one in outcomes
        ]
    return document


def unread_rows(plan: Plan) -> list[dict[str, str]]:
    return [{"what": one.what, "error": str(one.error), "hint": one.error.hint} for one in plan.unread]


def dump(document: Mapping[str, Any]) -> str:
    """A line for each member, and for each row of a list; ASCII, so that nothing in it can move a cursor.

    With `indent` the standard library leaves its C code, and takes ten times as long.
    """
    lines = []
    for name, value in document.items():
        shown = json.dumps(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            shown = "[\n" + ",\n".join(f"    {json.dumps(one)}" for one in value) + "\n  ]"
        lines.append(f"  {json.dumps(name)}: {shown}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def members(one: Any, *names: str) -> dict[str, Any]:
    """Attributes that a document calls by their own names."""
    return {name: getattr(one, name) for name in names}


def diagnostic(one: Diagnostic) -> dict[str, Any]:
    result = members(one, "severity", "summary", "detail", "hint", "address", "rule")
    if one.position:
        start = {"line": one.position.line, "column": one.position.column}
        result["range"] = {"filename": one.position.filename, "start": start}
    return result


def _change(change: Change) -> dict[str, Any]:
    before, after = change.before or {}, change.after or {}
    secrets = {name: one for name, one in after.items() if isinstance(one, Secret)}
    to_come = {name: str(one) for name, one in after.items() if isinstance(one, Address)}
    without = {name for name, one in secrets.items() if one.source and one.value is None}
    return {
        "address": str(change.address),
        "type": change.address.kind,
        "name": change.address.name,
        "index": "/".join(change.address.path[:-1]),  # what stands between kind and name, often nothing
        "disposition": change.disposition,
        "change": {
            "actions": ACTIONS[change.action],
            "before": plain(change.before),
            "after": plain(change.after),
            "after_unknown": {name: True for name in after if name in to_come or name in without},
            "before_sensitive": {name: True for name, one in before.items() if isinstance(one, Secret)},
            "after_sensitive": dict.fromkeys(secrets, True),
            "after_from": to_come | {name: one.source for name, one in secrets.items() if one.source},
            "after_missing": {name: one.missing for name, one in secrets.items() if one.missing},
        },
        "fields": [_field(one) for one in change.fields],
        "action_reason": change.reason,
        "cause": change.cause,
        "not_compared": bool(change.not_compared),
        "not_compared_reason": change.not_compared or None,
    }


def _field(one: FieldChange) -> dict[str, Any]:
    unknown = {"after_unknown": True} if isinstance(one.after, Address) else {}
    return {"path": one.path, "before": plain(one.before), "after": plain(one.after), "cause": one.cause, **unknown}


def plain(value: Value) -> Any:
    """What is secret, or known only after apply, is null."""
    match value:
        case Secret() | Address() | MarkerDraft():
            return None
        case tuple():
            return [plain(one) for one in value]
        case Mapping():
            return {key: plain(one) for key, one in value.items()}
        case _:
            return value


def as_sets(fields: Mapping[str, Any] | None) -> Any:
    """Lists compare as sets: the API may give one in another order the next time."""
    return fields and {name: sorted(map(str, v)) if isinstance(v, list) else v for name, v in fields.items()}


def acts(row: Mapping[str, Any]) -> bool:
    """Does an apply do anything for this row? Of a take-over beside changed variables only its fields tell."""
    return row["change"]["actions"] != ["no-op"] or any(field["path"] in MEMORY for field in row["fields"])


def _digest(scope: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> str:
    """The same on every machine: scope and what changes, no times, no secrets, no reasons."""
    rows = []
    for row in (one for one in changes if acts(one)):
        change, memory = row["change"], [field for field in row["fields"] if field["path"] in MEMORY]
        sides = [as_sets(change[side]) for side in ("before", "after")]
        rows.append([row["address"], change["actions"], *sides, change["after_from"], memory])
    text = json.dumps([scope, sorted(rows, key=lambda row: str(row[0]))], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
