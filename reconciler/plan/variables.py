"""Decide about the variables of one trigger: which are written, deleted, kept, and what the marker says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from reconciler import ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import PENDING_PATHS
from reconciler.model import Action, Address, Cause, Declared, Disposition, FieldChange, FingerprintDraft, Secret
from reconciler.ownership import MARKER, entry, hash_name
from reconciler.plan.board import WITHHELD, Board, Seen
from reconciler.states import DeclaredTrigger

MAX_VARIABLES = 64  # a trigger, the marker counted (field notes, Environment variables)
IGNORED = "ignored: never compared, updated or deleted"


def ignores(trigger: DeclaredTrigger, key: str) -> bool:
    """Is the variable `key` left alone? `ignore` may say `environment_variables` or `….GLOB`."""
    if not trigger.ignore:
        return False
    names = (f"environment_variables.{key}", "environment_variables")
    return any(fnmatchcase(name, glob) for glob in trigger.ignore for name in names)


@dataclass(kw_only=True)
class Variables:
    """What becomes of a trigger's variables. `entries` is the marker's `e` after the run; what only the variable tells
    is hashed where a marker is written.

    `anew` says why all of them are written, where their trigger is made; `live` is its UUID where it is not.
    `unfinished` is a trigger whose creation was cut short: it still gets what is only sent on create. `ours` is None
    where the trigger is nobody's or is being taken over; `memory` is also the marker of the owner it is taken over
    from: it tells of declared variables, and of nothing else.
    """

    trigger: DeclaredTrigger
    live: str = ""
    ours: ownership.Marker | None = None
    memory: ownership.Marker | None = None
    unfinished: bool = False
    anew: str = ""
    cause: Cause = Cause.UNKNOWN
    writes: dict[str, EnvVar] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)
    entries: dict[str, str | EnvVar | FingerprintDraft] = field(default_factory=dict)

    def addresses(self, keys: Iterable[str]) -> tuple[Address, ...]:
        return tuple(EnvVar.address(self.trigger.address, key) for key in keys)


def decide(
    board: Board, trigger: DeclaredTrigger, seen: Seen | None, *, anew: str = "", cause: Cause = Cause.UNKNOWN
) -> Variables:
    """Every declared variable, then what is live beside them. Without `anew` the trigger is there, and stays."""
    result = Variables(trigger=trigger, anew=anew, cause=cause)
    if seen and not anew:
        result.live, result.ours, result.memory = seen.live.id, seen.ours, seen.marker
        result.unfinished = seen.live.resource.path_includes == PENDING_PATHS
    live = seen.variables if seen else {}
    for key, declared in trigger.variables.items():
        _decide_declared(board, result, declared, live.get(key))
    for key, one in live.items():
        if key != MARKER and key not in trigger.variables:
            _decide_undeclared(board, result, key, one)
    return result


def _decide_declared(board: Board, result: Variables, declared: Declared[EnvVar], seen: EnvVar | None) -> None:
    want, key = declared.resource, declared.address.name
    applied = result.memory.entries.get(hash_name(key)) if result.memory else None
    if want.value is None:
        _only_exists(board, declared, seen)
    elif result.anew:  # ignored ones, too: a field is still sent on create
        _write(board, result, declared, None, reason=result.anew, cause=result.cause)
    elif ignores(result.trigger, key) and not (result.unfinished and seen is None):
        _keep_entry(result, key, seen, result.memory)
        row(board, declared, seen, reason=IGNORED if seen else "ignored, and not there")
    elif seen is None:
        moved = ownership.cause(applied=applied, before=None, after=applied if want.is_secret else entry(want))
        if result.memory and applied is None:
            moved = Cause.MANIFEST
        reason = "not there" if applied is None else "it was written before and is gone"
        _write(board, result, declared, None, reason=reason, cause=moved)
    elif change := _difference(want, seen, applied):
        _write(board, result, declared, seen, reason=f"`{change.path}` differs", cause=change.cause, fields=(change,))
    elif isinstance(want.value, Secret):
        _decide_secret(board, result, declared, seen, applied)
    else:
        result.entries[hash_name(key)] = want
        row(board, declared, seen, reason="as declared")


def row(
    board: Board, declared: Declared[EnvVar], seen: EnvVar | None, action: Action = Action.NO_OP, **more: Any
) -> None:
    """A row. A live plain value is hidden where it is declared as a secret: it may be it."""
    before = seen and seen.fields
    if before and declared.resource.is_secret:
        before = {**before, "value": Secret(None)}
    board.row(declared, action, before=before, **more)


def _write(board: Board, result: Variables, declared: Declared[EnvVar], seen: EnvVar | None, **more: Any) -> None:
    """Write the variable; a fingerprint is recorded only for a value that this run writes."""
    want, key = declared.resource, declared.address.name
    result.writes[key] = want
    result.entries[hash_name(key)] = want
    if isinstance(want.value, Secret):
        draft = FingerprintDraft(name=key, secret=want.value, version=want.value_version)
        result.entries[hash_name(key)] = draft
    row(board, declared, seen, Action.UPDATE if seen else Action.CREATE, **more)


def _decide_secret(
    board: Board, result: Variables, declared: Declared[EnvVar], seen: EnvVar, applied: str | None
) -> None:
    """One that is there: written again where it changed, as far as anybody can tell."""
    rewrite, not_compared = _compare(board, result, declared, applied)
    if rewrite:
        after = declared.resource.value
        change = FieldChange(path="value", before=Secret(None), after=after, cause=Cause.MANIFEST)
        _write(board, result, declared, seen, reason=rewrite, cause=Cause.MANIFEST, fields=(change,))
        return
    # A run keeps the fingerprints of what it does not write; the hash of a plain value is none.
    kept = applied if applied and not applied.startswith("p") else declared.resource
    result.entries[hash_name(declared.address.name)] = kept
    reason = f"there; not compared: {not_compared}" if not_compared else "as declared, by its fingerprint"
    row(board, declared, seen, reason=reason, not_compared=not_compared)


def _compare(board: Board, result: Variables, declared: Declared[EnvVar], applied: str | None) -> tuple[str, str]:
    """Why a secret is written again, or why nobody can tell whether it has to be; both empty where it is the same."""
    secret = declared.resource.value
    if board.names_variable(result.trigger.address, declared.address.name, board.options.rewrite_secrets):
        return "named by --rewrite-secrets", ""
    if applied is not None and ownership.version_of(applied) != declared.resource.value_version:
        return "its `value_version` changed", ""
    key, fingerprint = board.options.key, ownership.fingerprint_of(applied or "")
    if key is None:
        return "", "there is no BUILDSCTL_FINGERPRINT_KEY"
    if not fingerprint or result.memory is None:
        return "", "not written under a key yet"
    if result.memory.kid != key.kid:
        return "", "written under another key"
    if not isinstance(secret, Secret) or secret.value is None:
        return "", "no value from its source"
    same = key.fingerprint(result.live, declared.address.name, secret.value) == fingerprint
    return "" if same else "its value is not the one that was written last", ""


def _difference(want: EnvVar, seen: EnvVar, applied: str | None) -> FieldChange | None:
    """A secret differs only by its kind; its value is not compared."""
    name = "is_secret" if want.is_secret != seen.is_secret else "value"
    before, after = getattr(seen, name), getattr(want, name)
    if before == after or (name == "value" and want.is_secret):
        return None
    told = [entry(seen), entry(want)]
    if name == "is_secret" and applied is not None:  # of a secret no value is known: only what kind it was
        was_secret = not applied.startswith("p")
        told = ["" if one.is_secret == was_secret else "other" for one in (seen, want)]
        applied = ""
    moved = ownership.cause(applied=applied, before=told[0], after=told[1])
    return FieldChange(path=name, before=seen.fields[name], after=after, cause=moved)


def _decide_undeclared(board: Board, result: Variables, key: str, seen: EnvVar) -> None:
    address, gone = EnvVar.address(result.trigger.address, key), Disposition.ORPHAN
    if result.anew:
        result.deletes.append(key)
        reason = "goes with the trigger that is replaced"
        board.row(address, Action.DELETE, before=seen.fields, reason=reason, disposition=gone, cause=Cause.MANIFEST)
        return
    ours = result.ours is not None and result.ours.knows(key)
    disposition, reason = Disposition.KEPT, "nobody declared it, and buildsctl did not write it"
    if ignores(result.trigger, key):
        reason = IGNORED
    elif ours or board.named(address, board.options.delete_unmanaged):
        if board.may_destroy:
            result.deletes.append(key)
            reason = "no longer declared" if ours else "named by --delete-unmanaged"
            cause = Cause.MANIFEST if ours else Cause.LIVE
            board.row(address, Action.DELETE, before=seen.fields, reason=reason, disposition=gone, cause=cause)
            return
        disposition, reason = Disposition.UNKNOWN, WITHHELD
    _keep_entry(result, key, seen, result.ours)
    board.row(address, before=seen.fields, after=seen.fields, reason=reason, disposition=disposition)


def _keep_entry(result: Variables, key: str, seen: EnvVar | None, marker: ownership.Marker | None) -> None:
    """A variable that `marker` lists, and that is still live, stays ours (DESIGN section 5)."""
    if seen is not None and marker is not None and marker.knows(key):
        result.entries[hash_name(key)] = marker.entries[hash_name(key)]


def _only_exists(board: Board, declared: Declared[EnvVar], seen: EnvVar | None) -> None:
    """Declared without a value: it should exist; never written, never deleted."""
    reason = "its value is looked after elsewhere"
    kind = "secret" if declared.resource.is_secret else "plain variable"
    if seen is None or seen.is_secret != declared.resource.is_secret:
        reason = f"it should exist as a {kind}, and is missing" if seen is None else f"it is there, but as no {kind}"
        hint = "set it where its value is looked after, or give it a value here"
        board.tell(declared, reason, hint=hint)
    row(board, declared, seen, reason=reason)
