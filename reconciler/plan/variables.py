"""Decide about the variables of one trigger: which are written, deleted, kept, and what the marker says."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler import ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.model import (
    Action,
    Cause,
    Change,
    Declared,
    Disposition,
    FieldChange,
    FingerprintDraft,
    Secret,
    Value,
    row,
)
from reconciler.ownership import MARKER, entry, hash_name
from reconciler.plan.board import Board
from reconciler.plan.steps import Variables
from reconciler.states import DeclaredTrigger

MAX_VARIABLES = 64  # a trigger, the marker counted (field notes, Environment variables)


def ignores(trigger: DeclaredTrigger, key: str) -> bool:
    """Is the variable `key` left alone? `ignore` may say `environment_variables` or `….GLOB`."""
    if not trigger.ignore:
        return False
    names = (f"environment_variables.{key}", "environment_variables")
    return any(fnmatchcase(name, glob) for glob in trigger.ignore for name in names)


def for_new_trigger(
    board: Board, trigger: DeclaredTrigger, *, reason: str, cause: Cause, live: Mapping[str, EnvVar] | None = None
) -> Variables:
    """All variables with a value are written, ignored ones too: a field is still sent on create.

    `live` are those of the trigger that it replaces.
    """
    result = Variables(trigger=trigger)
    for key, declared in trigger.variables.items():
        if declared.resource.value is None:
            result.changes.append(_only_exists(board, declared, (live or {}).get(key)))
            continue
        _write(result, key, declared.resource)
        result.changes.append(row(declared, Action.CREATE, reason=reason, cause=cause))
    return result


def for_live_trigger(board: Board, result: Variables, live: Mapping[str, EnvVar]) -> None:
    """Fill `result`: every declared variable, then what is live beside them."""
    declared = result.trigger.variables
    for key, one in declared.items():
        result.changes.append(_decide_declared(board, result, key, one, live.get(key)))
    for key, seen in live.items():
        if key != MARKER and key not in declared:
            result.changes.append(_decide_undeclared(board, result, key, seen))


def _decide_declared(
    board: Board, result: Variables, key: str, declared: Declared[EnvVar], seen: EnvVar | None
) -> Change:
    want, marker = declared.resource, result.memory
    if want.value is None:
        return _only_exists(board, declared, seen)
    if ignores(result.trigger, key) and not (result.unfinished and seen is None):
        _keep_entry(result, key, seen)
        reason = "ignored: never compared, updated or deleted" if seen else "ignored, and not there"
        return _row(declared, Action.NO_OP, seen, reason=reason)
    applied = marker.entries.get(hash_name(key)) if marker else None
    result.entries[hash_name(key)] = entry(want)
    if seen is None:
        _write(result, key, want)
        after = applied if want.is_secret else entry(want)
        moved = ownership.cause(applied=applied, before=None, after=after)
        if marker and applied is None:
            moved = Cause.MANIFEST
        reason = "not there" if applied is None else "it was written before and is gone"
        return _row(declared, Action.CREATE, None, reason=reason, cause=moved)
    fields = _differences(want, seen, applied)
    if fields:
        _write(result, key, want)
        reason = f"`{fields[0].path}` differs"
        return _row(declared, Action.UPDATE, seen, reason=reason, cause=fields[0].cause, fields=fields)
    if not isinstance(want.value, Secret):
        return _row(declared, Action.NO_OP, seen, reason="as declared")
    rewrite, not_compared = _compare_secret(board, result, declared, want.value, applied)
    if rewrite:
        _write(result, key, want)
        change = FieldChange(path="value", before=Secret(None), after=want.value, cause=Cause.MANIFEST)
        return _row(declared, Action.UPDATE, seen, reason=rewrite, cause=Cause.MANIFEST, fields=(change,))
    if applied is not None:
        result.entries[hash_name(key)] = applied  # a run keeps the fingerprints of what it does not write
    reason = f"there; not compared: {not_compared}" if not_compared else "as declared, by its fingerprint"
    return _row(declared, Action.NO_OP, seen, reason=reason, not_compared=not_compared)


def _write(result: Variables, key: str, want: EnvVar) -> None:
    """Write the variable; a fingerprint is recorded only for a value that this run writes."""
    result.writes[key] = want
    result.entries[hash_name(key)] = entry(want)
    if isinstance(want.value, Secret):
        draft = FingerprintDraft(name=key, secret=want.value, version=want.value_version)
        result.entries[hash_name(key)] = draft


def _compare_secret(
    board: Board, result: Variables, declared: Declared[EnvVar], secret: Secret, applied: str | None
) -> tuple[str, str]:
    """Why a secret is written again, or why nobody can tell whether it has to be; both empty where it is
    the same."""
    if board.named(declared.address, board.options.rewrite_secrets):
        return "named by --rewrite-secrets", ""
    if applied is not None and ownership.version_of(applied) != declared.resource.value_version:
        return "its `value_version` changed", ""
    key, fingerprint = board.options.key, ownership.fingerprint_of(applied or "")
    if key is None:
        return "", "there is no BUILDSCTL_FINGERPRINT_KEY"
    if not fingerprint or result.memory is None:
        return "", "buildsctl has not written it under a key yet"
    if result.memory.kid != key.kid:
        return "", "it was written under another key"
    if secret.value is None:
        return "", "its source gives no value"
    same = key.fingerprint(result.live, declared.address.name, secret.value) == fingerprint
    return "" if same else "its value is not the one that was written last", ""


def _differences(want: EnvVar, seen: EnvVar, applied: str | None) -> tuple[FieldChange, ...]:
    """A secret differs only by its kind; its value is not compared."""
    name = "is_secret" if want.is_secret != seen.is_secret else "value"
    before, after = getattr(seen, name), getattr(want, name)
    if before == after or (name == "value" and want.is_secret):
        return ()
    told = [entry(seen), entry(want)]
    if name == "is_secret" and applied is not None:  # of a secret no value is known: only what kind it was
        was_secret = not applied.startswith("p")
        told = ["" if one.is_secret == was_secret else "other" for one in (seen, want)]
        applied = ""
    moved = ownership.cause(applied=applied, before=told[0], after=told[1])
    return (FieldChange(path=name, before=before, after=after, cause=moved),)


def _decide_undeclared(board: Board, result: Variables, key: str, seen: EnvVar) -> Change:
    address = EnvVar.address(result.trigger.address, key)
    ours = result.marker is not None and result.marker.knows(key)
    ignored = ignores(result.trigger, key)
    doomed = not ignored and (ours or board.named(address, board.options.delete_unmanaged))
    if doomed and board.may_destroy:
        result.deletes.append(key)
        return row(
            address,
            Action.DELETE,
            before=seen.fields,
            reason="no longer declared" if ours else "named by --delete-unmanaged",
            disposition=Disposition.ORPHAN,
            cause=Cause.MANIFEST if ours else Cause.LIVE,
        )
    _keep_entry(result, key, seen)
    reason = "nobody declared it, and buildsctl did not write it"
    if doomed:
        reason = "not deleted, since not everything could be read"
    elif ignored:
        reason = "ignored: never compared, updated or deleted"
    return row(
        address,
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
        row(
            EnvVar.address(trigger.address, key), Action.DELETE, before=seen.fields, reason=reason, cause=Cause.MANIFEST
        )
        for key, seen in live.items()
        if key != MARKER and key not in trigger.variables
    )


def _only_exists(board: Board, declared: Declared[EnvVar], seen: EnvVar | None) -> Change:
    """Declared without a value: it should exist; never written, never deleted."""
    reason = "its value is looked after elsewhere"
    kind = "secret" if declared.resource.is_secret else "plain variable"
    if seen is None or seen.is_secret != declared.resource.is_secret:
        reason = f"it should exist as a {kind}, and is missing" if seen is None else f"it is there, but as no {kind}"
        hint = "set it where its value is looked after, or give it a value here"
        board.warn(declared, reason, hint=hint)
    return _row(declared, Action.NO_OP, seen, reason=reason)


def _shown(seen: EnvVar, want: EnvVar | None = None) -> Mapping[str, Value]:
    """A live variable's fields. Its plain value is hidden where it is declared as a secret: it may be it."""
    if want is not None and want.is_secret and not seen.is_secret:
        return {**seen.fields, "value": Secret(None)}
    return seen.fields


def _row(declared: Declared[EnvVar], action: Action, seen: EnvVar | None, **more: Any) -> Change:
    return row(declared, action, before=_shown(seen, declared.resource) if seen else None, **more)
