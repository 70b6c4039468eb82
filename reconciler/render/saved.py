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


@dataclass(frozen=True, kw_only=True)
class SavedPlan(Plan):
    """A plan to be shown: how many writes it has is known, and what they lack, not which they are."""

    writes: int = 0
    missing: tuple[tuple[Address, Secret], ...] = ()


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
        labels={str(k): str(v) for k, v in document["labels"].items()},
        reads=int(requests["read"]),
        writes=int(requests["write"]),
        missing=tuple(
            (_address(one["address"]), Secret(None, str(one["source"]), str(one["why"])))
            for one in document["missing_secrets"]
        ),
        undeclared_workers=None if document["undeclared_workers"] is None else int(document["undeclared_workers"]),
        left_out=int(document["left_out"]),
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
    before = _fields(change["before"], dict.fromkeys(change["before_sensitive"], Secret(None)))
    after = _fields(change["after"], _unshown(change))
    return Change(
        address=_address(row["address"]),
        action=action,
        before=before,
        after=after,
        reason=str(row["action_reason"]),
        disposition=Disposition(row["disposition"]),
        cause=Cause(row["cause"]) if row["cause"] else None,
        fields=tuple(_field(one, before or {}, after or {}) for one in row["fields"]),
        not_compared=str(row["not_compared_reason"] or ""),
    )


def _unshown(change: Mapping[str, Any]) -> dict[str, Value]:
    """What stands as null in `after`: ids that are still to come, and secrets. One with a value has none here."""
    come: dict[str, Value] = {
        name: _address(change["after_from"][name])
        for name in change["after_unknown"]
        if name not in change["after_sensitive"]
    }
    for name in change["after_sensitive"]:
        value = None if name in change["after_unknown"] else ""
        come[name] = Secret(value, *(str(change[it].get(name, "")) for it in ("after_from", "after_missing")))
    return come


def _fields(given: Mapping[str, Any] | None, unshown: Mapping[str, Value]) -> Mapping[str, Value] | None:
    return None if given is None else {name: unshown.get(name, _value(value)) for name, value in given.items()}


def _value(value: Any) -> Value:
    if isinstance(value, list):
        return tuple(_value(one) for one in value)
    if isinstance(value, dict):
        return {str(key): _value(one) for key, one in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError("not a value of a plan")


def _field(one: Mapping[str, Any], row_before: Mapping[str, Value], row_after: Mapping[str, Value]) -> FieldChange:
    """What is not shown in it stands in its row."""
    path = str(one["path"])
    before, after = (
        row.get(path) if one[side] is None else _value(one[side])
        for side, row in (("before", row_before), ("after", row_after))
    )
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
