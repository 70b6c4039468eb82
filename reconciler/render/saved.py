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

BY_NAMES = {tuple(names): action for action, names in ACTIONS.items()}


@dataclass(frozen=True, kw_only=True)
class SavedPlan(Plan):
    """A plan to be shown: how many writes it has is known, and what they lack, not which they are."""

    writes: int = 0
    missing: tuple[tuple[Address, Secret], ...] = ()


def read(document: Mapping[str, Any]) -> tuple[SavedPlan, tuple[Outcome, ...] | None]:
    """The plan, and what became of it where it was applied. Raises KeyError, TypeError, AttributeError,
    ValueError or OverflowError where the document is none."""
    scope, requests = document["scope"], document["requests"]
    undeclared, outcomes = document["undeclared_workers"], document.get("outcomes")
    plan = SavedPlan(
        account_id=str(scope["account_id"]),
        owner=None if scope["owner"] is None else str(scope["owner"]),
        target=tuple(scope["target"]),
        prune=bool(scope["prune"]),
        changes=tuple(map(_change, document["resource_changes"])),
        refusals=tuple(map(_refusal, document["refusals"])),
        diagnostics=tuple(map(_diagnostic, document["diagnostics"])),
        unread=tuple(
            Unread(what=str(one["what"]), error=ApiError(str(one["error"]), hint=str(one["hint"])))
            for one in document["unread"]
        ),
        labels={str(uuid): str(name) for uuid, name in document["labels"].items()},
        reads=int(requests["read"]),
        writes=int(requests["write"]),
        missing=tuple(
            (_address(one["address"]), Secret(None, str(one["source"]), str(one["why"])))
            for one in document["missing_secrets"]
        ),
        undeclared_workers=None if undeclared is None else int(undeclared),
        left_out=int(document["left_out"]),
    )
    rows = {change.address: change.disposition for change in plan.changes}
    return plan, None if outcomes is None else tuple(_outcome(one, rows) for one in outcomes)


def _texts(one: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: str(one[name] or "") for name in names}


def _address(text: str) -> Address:
    """Only a connection's name holds slashes beside those of the path."""
    kind, _, path = text.partition("/")
    return Address(kind, (path,) if kind in ("connection", "token") else tuple(path.split("/")))


def _change(row: Mapping[str, Any]) -> Change:
    change = row["change"]
    secret = Secret(None)
    before = _fields(change["before"], dict.fromkeys(change["before_sensitive"], secret))
    after = _fields(change["after"], _unshown(change))
    return Change(
        address=_address(row["address"]),
        action=BY_NAMES[tuple(change["actions"])],
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
    unknown, comes, missing = change["after_unknown"], change["after_from"], change["after_missing"]
    values: dict[str, Value] = {}
    for name in change["after_sensitive"]:
        values[name] = Secret(None if name in unknown else "", str(comes.get(name, "")), str(missing.get(name, "")))
    return {name: _address(comes[name]) for name in unknown if name not in values} | values


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


def _field(one: Mapping[str, Any], *row: Mapping[str, Value]) -> FieldChange:
    """`row` is what was before and comes after: what is not shown of it in the field stands there."""
    path, both = str(one["path"]), (one["before"], one["after"])
    before, after = (side.get(path) if own is None else _value(own) for own, side in zip(both, row, strict=True))
    added, removed = explained(before, after) if path in Trigger.sets else ((), ())
    return FieldChange(path=path, before=before, after=after, cause=Cause(one["cause"]), added=added, removed=removed)


def _refusal(one: Mapping[str, Any]) -> Refusal:
    address = _address(one["address"]) if one["address"] else None
    return Refusal(address=address, **_texts(one, "summary", "detail", "hint"))


def _diagnostic(one: Mapping[str, Any]) -> Diagnostic:
    position, texts = None, _texts(one, "summary", "detail", "hint", "address", "rule")
    if "range" in one:
        place, start = one["range"], one["range"]["start"]
        position = Position(str(place["filename"]), int(start["line"]), int(start["column"]))
    return Diagnostic(severity=Severity(one["severity"]), position=position, **texts)


def _outcome(one: Mapping[str, Any], rows: Mapping[Address, Disposition]) -> Outcome:
    address = _address(one["address"])
    return Outcome(
        address=address,
        action=Action(one["action"]),
        status=Status(one["status"]),
        disposition=rows.get(address, Disposition.DECLARED),
        **_texts(one, "error", "hint"),
    )
