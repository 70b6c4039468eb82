"""Decide about the variables of one trigger: which are written, deleted, kept, and what the marker says."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from reconciler import ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.model import Action, Cause, Change, Declared, Disposition, FieldChange, Secret, Value
from reconciler.ownership import MARKER, Marker, entry, hash_name
from reconciler.plan.board import Board
from reconciler.plan.steps import Variables
from reconciler.states import DeclaredTrigger

MAX_VARIABLES = 64  # a trigger, the marker counted (field notes, Environment variables)


def ignores(trigger: DeclaredTrigger, key: str) -> bool:
    """Is the variable `key` left alone? `ignore` may say `environment_variables` or `….GLOB`."""
    names = (f"environment_variables.{key}", "environment_variables")
    return any(fnmatchcase(name, glob) for glob in trigger.ignore for name in names)


def for_new_trigger(trigger: DeclaredTrigger, *, reason: str, cause: Cause) -> Variables:
    """All variables with a value are written, ignored ones too: a field is still sent on create."""
    result = Variables(trigger=trigger)
    for key, declared in trigger.variables.items():
        if declared.resource.value is None:
            result.changes.append(_only_exists(declared, None))
            continue
        result.writes[key] = declared.resource
        result.entries[hash_name(key)] = entry(declared.resource)
        result.changes.append(
            Change(
                address=declared.address,
                action=Action.CREATE,
                before=None,
                after=declared.resource.fields,
                reason=reason,
                cause=cause,
                position=declared.position,
            )
        )
    return result


def for_live_trigger(
    board: Board,
    trigger: DeclaredTrigger,
    live: Mapping[str, EnvVar],
    marker: Marker | None,
    *,
    unfinished: bool,
) -> Variables:
    """Every declared variable, then what is live beside them.

    `unfinished` is a trigger whose creation was cut short: it still gets what is only sent on create.
    """
    result = Variables(trigger=trigger, marker=marker, unfinished=unfinished)
    for key, declared in trigger.variables.items():
        result.changes.append(_decide_declared(result, key, declared, live.get(key)))
    for key, seen in live.items():
        if key != MARKER and key not in trigger.variables:
            result.changes.append(_decide_undeclared(board, result, key, seen))
    return result


def _decide_declared(result: Variables, key: str, declared: Declared[EnvVar], seen: EnvVar | None) -> Change:
    want, marker = declared.resource, result.marker
    if want.value is None:
        result.left |= {key} if seen else set()
        return _only_exists(declared, seen)
    if ignores(result.trigger, key) and not (result.unfinished and seen is None):
        _keep_entry(result, key, seen)
        result.left |= {key} if seen else set()
        reason = "ignored: never compared, updated or deleted" if seen else "ignored, and not there"
        return _row(declared, Action.NO_OP, seen, reason=reason)
    result.entries[hash_name(key)] = entry(want)
    applied = marker.entries.get(hash_name(key)) if marker else None
    if seen is None:
        result.writes[key] = want
        moved = ownership.cause(applied=applied, before=None, after=entry(want))
        if marker and applied is None:
            moved = Cause.MANIFEST
        reason = "not there" if applied is None else "it was written before and is gone"
        return _row(declared, Action.CREATE, None, reason=reason, cause=moved)
    fields = _differences(want, seen, applied)
    if fields:
        result.writes[key] = want
        reason = f"`{fields[0].path}` differs"
        return _row(declared, Action.UPDATE, seen, reason=reason, cause=fields[0].cause, fields=fields)
    secret = want.is_secret
    reason = "there; a secret's value cannot be read, so it is not compared" if secret else "as declared"
    return _row(declared, Action.NO_OP, seen, reason=reason, not_compared=secret)


def _differences(want: EnvVar, seen: EnvVar, applied: str | None) -> tuple[FieldChange, ...]:
    """A secret differs only by its kind; its value is not compared."""
    moved = ownership.cause(applied=applied, before=entry(seen), after=entry(want))
    fields = []
    if want.is_secret != seen.is_secret:
        fields.append(FieldChange(path="is_secret", before=seen.is_secret, after=want.is_secret, cause=moved))
    elif not want.is_secret and want.value != seen.value:
        fields.append(FieldChange(path="value", before=seen.value, after=want.value, cause=moved))
    return tuple(fields)


def _decide_undeclared(board: Board, result: Variables, key: str, seen: EnvVar) -> Change:
    row = EnvVar.address(result.trigger.address, key)
    ours = result.marker is not None and result.marker.knows(key)
    ignored = ignores(result.trigger, key)
    doomed = not ignored and (ours or board.named(row, board.options.delete_unmanaged))
    if doomed and board.may_destroy:
        result.deletes.append(key)
        return Change(
            address=row,
            action=Action.DELETE,
            before=seen.fields,
            after=None,
            reason="no longer declared" if ours else "named by --delete-unmanaged",
            cause=Cause.MANIFEST if ours else Cause.LIVE,
        )
    _keep_entry(result, key, seen)
    result.left.add(key)
    reason = "nobody declared it, and buildsctl did not write it"
    if doomed:
        reason = "not deleted, since not everything could be read"
    elif ignored:
        reason = "ignored: never compared, updated or deleted"
    return Change(
        address=row,
        action=Action.NO_OP,
        before=seen.fields,
        after=seen.fields,
        reason=reason,
        disposition=Disposition.UNKNOWN if doomed else Disposition.KEPT,
    )


def _keep_entry(result: Variables, key: str, seen: EnvVar | None) -> None:
    """A variable that was ours and is still live stays ours (DESIGN section 5)."""
    if seen is not None and result.marker is not None and result.marker.knows(key):
        result.entries[hash_name(key)] = result.marker.entries[hash_name(key)]


def going(trigger: DeclaredTrigger, live: Mapping[str, EnvVar], *, reason: str) -> tuple[Change, ...]:
    """Rows for the live variables that go with their trigger and are not written again."""
    return tuple(
        Change(
            address=EnvVar.address(trigger.address, key),
            action=Action.DELETE,
            before=seen.fields,
            after=None,
            reason=reason,
            cause=Cause.MANIFEST,
        )
        for key, seen in live.items()
        if key != MARKER and key not in trigger.variables
    )


def _only_exists(declared: Declared[EnvVar], seen: EnvVar | None) -> Change:
    """Declared without a value: it should exist; never written, never deleted."""
    reason = "its value is looked after elsewhere"
    if seen is None:
        reason = "missing, and its value is looked after elsewhere"
    elif seen.is_secret != declared.resource.is_secret:
        reason = f"there, but not as `is_secret: {str(declared.resource.is_secret).lower()}`"
    return _row(declared, Action.NO_OP, seen, reason=reason)


def _shown(seen: EnvVar, want: EnvVar | None = None) -> Mapping[str, Value]:
    """A live variable's fields. Its plain value is hidden where it is declared as a secret: it may be it."""
    if want is not None and want.is_secret and not seen.is_secret:
        return {**seen.fields, "value": Secret(None)}
    return seen.fields


def _row(
    declared: Declared[EnvVar],
    action: Action,
    seen: EnvVar | None,
    *,
    reason: str,
    cause: Cause | None = None,
    fields: tuple[FieldChange, ...] = (),
    not_compared: bool = False,
) -> Change:
    return Change(
        address=declared.address,
        action=action,
        before=_shown(seen, declared.resource) if seen else None,
        after=declared.resource.fields,
        reason=reason,
        cause=cause,
        fields=fields,
        not_compared=not_compared,
        position=declared.position,
    )
