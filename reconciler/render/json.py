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
ACTIONS = {
    Action.NO_OP: ["no-op"],
    Action.CREATE: ["create"],
    Action.UPDATE: ["update"],
    Action.DELETE: ["delete"],
    Action.REPLACE: ["delete", "create"],
}


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
            {
                "address": str(one.address) if one.address else None,
                "summary": one.summary,
                "detail": one.detail,
                "hint": one.hint,
            }
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
            {
                "address": str(outcome.address),
                "action": outcome.action.value,
                "status": outcome.status.value,
                "error": outcome.error or None,
                "hint": outcome.hint or None,
            }
            for outcome in outcomes
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


def diagnostic(one: Diagnostic) -> dict[str, Any]:
    result: dict[str, Any] = {"severity": one.severity.value, "summary": one.summary, "detail": one.detail}
    result |= {"hint": one.hint, "address": one.address, "rule": one.rule}
    if one.position:
        start = {"line": one.position.line, "column": one.position.column}
        result["range"] = {"filename": one.position.filename, "start": start}
    return result


def _change(change: Change) -> dict[str, Any]:
    after, unknown, after_sensitive = _split(change.after)
    before, _, before_sensitive = _split(change.before)
    secrets = {name: one for name, one in (change.after or {}).items() if isinstance(one, Secret)}
    to_come = {name: str(one) for name, one in (change.after or {}).items() if isinstance(one, Address)}
    return {
        "address": str(change.address),
        "type": change.address.kind,
        "name": change.address.name,
        "index": "/".join(change.address.path[:-1]),  # what stands between kind and name, often nothing
        "disposition": change.disposition.value,
        "change": {
            "actions": ACTIONS[change.action],
            "before": before,
            "after": after,
            "after_unknown": unknown,
            "before_sensitive": before_sensitive,
            "after_sensitive": after_sensitive,
            "after_from": to_come | {name: one.source for name, one in secrets.items() if one.source},
            "after_missing": {name: one.missing for name, one in secrets.items() if one.missing},
        },
        "fields": [_field(one) for one in change.fields],
        "action_reason": change.reason,
        "cause": change.cause.value if change.cause else None,
        "not_compared": bool(change.not_compared),
        "not_compared_reason": change.not_compared or None,
    }


def _field(change: FieldChange) -> dict[str, Any]:
    field = {"path": change.path, "before": plain(change.before), "after": plain(change.after)}
    return (
        field | {"cause": change.cause.value} | ({"after_unknown": True} if isinstance(change.after, Address) else {})
    )


def _split(fields: Mapping[str, Value] | None) -> tuple[dict[str, Any] | None, dict[str, bool], dict[str, bool]]:
    """Plain values; which of them are known only after apply; which are secret."""
    if fields is None:
        return None, {}, {}
    unknown = {name: True for name, value in fields.items() if _is_unknown(value)}
    sensitive = {name: True for name, value in fields.items() if isinstance(value, Secret)}
    return {name: plain(value) for name, value in fields.items()}, unknown, sensitive


def _is_unknown(value: Value) -> bool:
    """An id that is still to come, or a secret whose source gave nothing."""
    return isinstance(value, Address) or (isinstance(value, Secret) and bool(value.source) and value.value is None)


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


def _digest(scope: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> str:
    """The same on every machine: scope and what changes, no times, no secrets, no reasons."""
    rows = [
        [row["address"], row["change"]["actions"], as_sets(row["change"]["before"]), as_sets(row["change"]["after"])]
        + [field["path"] for field in row["fields"] if field["path"] == "protect"]
        for row in changes
        if row["change"]["actions"] != ["no-op"]
    ]
    text = json.dumps([scope, sorted(rows, key=lambda row: str(row[0]))], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
