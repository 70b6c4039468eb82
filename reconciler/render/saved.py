"""A plan back from the JSON of `render.json`, so that a saved one can be shown in every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.diff import explained
from reconciler.errors import ApiError, Diagnostic, Position, Severity
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
from reconciler.render.json import ACTIONS

LATER = "\0known after apply"
"""Stands for an id that is still to come; `labels` has the words for it."""


@dataclass(frozen=True, kw_only=True)
class SavedPlan(Plan):
    """A plan to be shown: how many writes it has is known, not which."""

    writes: int = 0


def read(document: Mapping[str, Any]) -> tuple[SavedPlan, tuple[Outcome, ...] | None]:
    """The plan, and what became of it where it was applied. Raises KeyError, TypeError, AttributeError,
    ValueError or OverflowError where the document is none."""
    scope, requests = document["scope"], document["requests"]
    plan = SavedPlan(
        account_id=str(scope["account_id"]),
        owner=None if scope["owner"] is None else str(scope["owner"]),
        target=tuple(scope["target"]),
        prune=bool(scope["prune"]),
        changes=tuple(_change(row) for row in document["resource_changes"]),
        refusals=tuple(
            Refusal(
                **_texts(one, "summary", "detail", "hint"), address=_address(one["address"]) if one["address"] else None
            )
            for one in document["refusals"]
        ),
        diagnostics=tuple(_diagnostic(one) for one in document["diagnostics"]),
        unread=tuple(
            Unread(what=str(one["what"]), error=ApiError(str(one["error"]), hint=str(one["hint"])))
            for one in document["unread"]
        ),
        labels={**{str(k): str(v) for k, v in document.get("labels", {}).items()}, LATER: "(known after apply)"},
        reads=int(requests["read"]),
        writes=int(requests["write"]),
        undeclared_workers=None if document["undeclared_workers"] is None else int(document["undeclared_workers"]),
        left_out=int(document.get("left_out", 0)),
    )
    outcomes = document.get("outcomes")
    return plan, None if outcomes is None else tuple(_outcome(one, plan) for one in outcomes)


def _texts(one: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: str(one[name]) for name in names}


def _address(text: str) -> Address:
    """Only a connection's name holds slashes beside those of the path."""
    kind, _, path = text.partition("/")
    return Address(kind, (path,) if kind in ("connection", "token") else tuple(path.split("/")))


def _change(row: Mapping[str, Any]) -> Change:
    change = row["change"]
    action = next((action for action, names in ACTIONS.items() if names == change["actions"]), None)
    if action is None:
        raise ValueError("an action that no plan has")
    return Change(
        address=_address(row["address"]),
        action=action,
        before=_fields(change["before"], {}, change["before_sensitive"]),
        after=_fields(change["after"], change["after_unknown"], change["after_sensitive"]),
        reason=str(row["action_reason"]),
        disposition=Disposition(row["disposition"]),
        cause=Cause(row["cause"]) if row["cause"] else None,
        fields=tuple(_field(one) for one in row["fields"]),
        not_compared=str(row.get("not_compared_reason") or "") if row["not_compared"] else "",
    )


def _fields(
    given: Mapping[str, Any] | None, unknown: Mapping[str, Any], sensitive: Mapping[str, Any]
) -> Mapping[str, Value] | None:
    if given is None:
        return None
    return {
        name: Secret(None) if name in sensitive else LATER if name in unknown else _value(value)
        for name, value in given.items()
    }


def _value(value: Any) -> Value:
    if isinstance(value, list):
        return tuple(_value(one) for one in value)
    if isinstance(value, dict):
        return {str(key): _value(one) for key, one in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError("not a value of a plan")


def _field(one: Mapping[str, Any]) -> FieldChange:
    before = _value(one["before"])
    after = LATER if one.get("after_unknown") else _value(one["after"])
    path = str(one["path"])
    added, removed = explained(before, after) if path in Trigger.sets else ((), ())
    return FieldChange(path=path, before=before, after=after, cause=Cause(one["cause"]), added=added, removed=removed)


def _diagnostic(one: Mapping[str, Any]) -> Diagnostic:
    place = one.get("range")
    position = place and Position(
        filename=str(place["filename"]), line=int(place["start"]["line"]), column=int(place["start"]["column"])
    )
    texts = _texts(one, "summary", "detail", "hint", "address", "rule")
    return Diagnostic(severity=Severity(one["severity"]), position=position or None, **texts)


def _outcome(one: Mapping[str, Any], plan: Plan) -> Outcome:
    address = _address(one["address"])
    rows = (change.disposition for change in plan.changes if change.address == address)
    return Outcome(
        address=address,
        action=Action(one["action"]),
        status=Status(one["status"]),
        error=str(one["error"] or ""),
        hint=str(one.get("hint") or ""),
        disposition=next(rows, Disposition.DECLARED),
    )
