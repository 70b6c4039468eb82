"""The JSON Schema of the plan that `--format json` and `--out` write."""

from __future__ import annotations

from typing import Any

from reconciler.model import Action, Cause, Disposition, Status
from reconciler.plan.summary import NAMES

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}


def plan_schema() -> dict[str, Any]:
    """Every member is always there, but `outcomes`, which only an apply has."""
    refusal = {"address": {"type": ["string", "null"]}, "summary": _TEXT, "detail": _TEXT, "hint": _TEXT}
    outcome = {
        "address": _TEXT,
        "action": {"enum": [one.value for one in Action]},
        "status": {"enum": [one.value for one in Status]},
        "error": {"type": ["string", "null"]},
    }
    scope = {
        "account_id": _TEXT,
        "owner": {"type": ["string", "null"]},
        "target": _list(_TEXT),
        "prune": {"type": "boolean"},
    }
    document = {
        "format_version": {"const": "1.0"},
        "buildsctl_version": _TEXT,
        "complete": {"type": "boolean"},
        "errored": {"type": "boolean"},
        "applyable": {"type": "boolean"},
        "exit_codes": {**_list({"type": "integer"}), "minItems": 1},
        "scope": _object(scope),
        "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "resource_changes": _list(_row()),
        "refusals": _list(_object(refusal)),
        "unread": _list(_object({"what": _TEXT, "error": _TEXT, "hint": _TEXT})),
        "diagnostics": _list(_diagnostic()),
        "summary": _object(dict.fromkeys(NAMES, _COUNT)),
        "undeclared_workers": {"type": ["integer", "null"], "minimum": 0},
        "requests": _object({"read": _COUNT, "write": _COUNT, "window": _COUNT}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "buildsctl plan",
        **_object(document, outcomes=_list(_object(outcome))),
    }


def _row() -> dict[str, Any]:
    fields = {"type": ["object", "null"]}
    flags = {"type": "object", "additionalProperties": {"const": True}}
    cause = [one.value for one in Cause]
    change = {
        "actions": {"enum": [["no-op"], ["create"], ["update"], ["delete"], ["delete", "create"]]},
        "before": fields,
        "after": fields,
        "after_unknown": flags,
        "before_sensitive": flags,
        "after_sensitive": flags,
    }
    field = {"path": _TEXT, "before": {}, "after": {}, "cause": {"enum": cause}}
    return _object(
        {
            "address": _TEXT,
            "type": {"enum": ["connection", "token", "trigger", "env"]},
            "name": _TEXT,
            "index": _TEXT,
            "disposition": {"enum": [one.value for one in Disposition]},
            "change": _object(change),
            "fields": _list(_object(field, after_unknown={"const": True})),
            "action_reason": _TEXT,
            "cause": {"enum": [*cause, None]},
            "not_compared": {"type": "boolean"},
        }
    )


def _diagnostic() -> dict[str, Any]:
    texts = dict.fromkeys(("summary", "detail", "hint", "address", "rule"), _TEXT)
    place = _object({"filename": _TEXT, "start": _object({"line": _COUNT, "column": _COUNT})})
    return _object({"severity": {"enum": ["error", "warning"]}, **texts}, range=place)


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": {**required, **optional},
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
