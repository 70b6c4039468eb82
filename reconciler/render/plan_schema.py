"""The JSON Schema of the plan that `--format json` and `--out` write."""

from __future__ import annotations

from typing import Any

from reconciler.model import Action, Cause, Disposition, Status
from reconciler.plan.summary import NAMES


def plan_schema() -> dict[str, Any]:
    """Every member is always there, but `outcomes`, which only an apply has."""
    flags = {"type": "object", "additionalProperties": {"const": True}}
    fields = {"type": ["object", "null"]}
    text = {"type": "string"}
    cause = {"enum": [one.value for one in Cause]}
    count = {"type": "integer", "minimum": 0}
    change = {
        "actions": {"enum": [["no-op"], ["create"], ["update"], ["delete"], ["delete", "create"]]},
        "before": fields,
        "after": fields,
        "after_unknown": flags,
        "before_sensitive": flags,
        "after_sensitive": flags,
    }
    row = {
        "address": text,
        "type": {"enum": ["connection", "token", "trigger", "env"]},
        "name": text,
        "index": text,
        "disposition": {"enum": [one.value for one in Disposition]},
        "change": _object(change),
        "fields": _list(
            _object({"path": text, "before": {}, "after": {}, "cause": cause}, after_unknown={"const": True})
        ),
        "action_reason": text,
        "cause": {"enum": [*cause["enum"], None]},
        "not_compared": {"type": "boolean"},
    }
    start = _object({"line": count, "column": count})
    diagnostic = {"severity": {"enum": ["error", "warning"]}, "summary": text, "detail": text}
    diagnostic |= {"hint": text, "address": text, "rule": text}
    refusal = {"address": {"type": ["string", "null"]}, "summary": text, "detail": text, "hint": text}
    outcome = {
        "address": text,
        "action": {"enum": [one.value for one in Action]},
        "status": {"enum": [one.value for one in Status]},
        "error": {"type": ["string", "null"]},
    }
    scope = {
        "account_id": text,
        "owner": {"type": ["string", "null"]},
        "target": _list(text),
        "prune": {"type": "boolean"},
    }
    document = {
        "format_version": {"const": "1.0"},
        "buildsctl_version": text,
        "complete": {"type": "boolean"},
        "errored": {"type": "boolean"},
        "applyable": {"type": "boolean"},
        "exit_codes": {**_list({"type": "integer"}), "minItems": 1},
        "scope": _object(scope),
        "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "resource_changes": _list(_object(row)),
        "refusals": _list(_object(refusal)),
        "unread": _list(_object({"what": text, "error": text, "hint": text})),
        "diagnostics": _list(_object(diagnostic, range=_object({"filename": text, "start": start}))),
        "summary": _object(dict.fromkeys(NAMES, count)),
        "requests": _object({"read": count, "write": count, "window": count}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "buildsctl plan",
        **_object(document, outcomes=_list(_object(outcome))),
    }


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": {**required, **optional},
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
