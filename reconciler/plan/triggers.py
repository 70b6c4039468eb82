"""Decide about the triggers of one Worker that are declared: the table of DESIGN section 4, row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from reconciler import diff, ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import PENDING_PATHS, Trigger
from reconciler.kinds.worker import Worker
from reconciler.model import Action, Address, Cause, Declared, Disposition, Echo, FieldChange, MarkerDraft, Trial, Value
from reconciler.plan import losses, variables
from reconciler.plan.board import Board, Phase, Seen
from reconciler.plan.variables import Variables
from reconciler.states import DeclaredTrigger

VARIABLES_DIFFER = "its set of variables differs"


def stop(
    board: Board, trigger: DeclaredTrigger, disposition: Disposition, reason: str, seen: Seen | None = None
) -> None:
    """Nothing is done to a trigger, nor to its variables."""
    live = seen.live.resource.fields if seen else None
    board.row(trigger, before=live, disposition=disposition, reason=reason)
    for key, declared in trigger.variables.items():
        one = seen.variables.get(key) if seen else None
        variables.row(board, declared, one, disposition=disposition, reason=reason)


def decide(
    board: Board, worker: Declared[Worker], trigger: DeclaredTrigger, seen: Seen | None, all_seen: Sequence[Seen]
) -> None:
    """A trigger that something can be said of, and the live one that it means; `all_seen` are those of its Worker."""
    refusal = _refuses(board, worker, trigger, seen)
    if refusal:
        summary, hint = refusal
        board.refuse(trigger.address, summary, hint=hint)
        stop(board, trigger, Disposition.REFUSED, summary, seen)
    elif seen is None:
        want = _bound(board, trigger, None)
        kind = "preview" if want.is_preview else "production"
        reason = f"Worker `{worker.resource.name}` has no {kind} trigger"
        board.row(trigger, Action.CREATE, after=want.fields, reason=reason, cause=Cause.UNKNOWN)
        _write(board, want, variables.decide(board, trigger, None, anew="its trigger is created"))
    else:
        _decide_present(board, trigger, seen, all_seen)


def cannot_tell(board: Board, trigger: DeclaredTrigger, seen: Seen | None) -> str:
    """Why nothing can be decided about the trigger; empty where something can. A token list that could not be read
    leaves a live trigger its token: only that field is unknown."""
    for name in Trigger.references.values():
        ref = getattr(trigger.resource, name)
        if seen and trigger.ignores(name):
            continue
        if trigger.address in board.failed:
            return board.failed[trigger.address]
        if isinstance(ref, str):
            if seen is None and name == "build_token_uuid" and board.observed.unread_tokens:
                return str(board.observed.unread_tokens)
            continue
        if ref in board.failed:
            return f"`{ref}` leads nowhere: {board.failed[ref]}"
        if ref in board.unknown and (seen is None or ref.kind == "connection"):
            return f"`{ref}` is unknown: {board.unknown[ref]}"
    return str(seen.unread) if seen and seen.unread else ""


def _refuses(
    board: Board, worker: Declared[Worker], trigger: DeclaredTrigger, seen: Seen | None
) -> tuple[str, str] | None:
    """What must not be touched: summary and way out."""
    name, marker = worker.resource.name, seen.marker if seen else None
    named, insist = board.named(trigger.address, board.options.take_over), f"--take-over {trigger.address.as_glob}"
    if seen is None and name in board.observed.newer_surface and not named:
        summary = f"Worker `{name}` lists no trigger, but is configured on Cloudflare's newer builds surface"
        return summary, f"disconnect it in the dashboard first, or insist with {insist}"
    if seen and seen.newer:
        return f"its marker has format {seen.newer}, this buildsctl knows {ownership.VERSION}", "upgrade buildsctl"
    if marker is None or marker.owner == board.owner:
        return None
    if board.owner is None:
        return f"it belongs to owner `{marker.owner}`", "with `owner: null` nothing can be taken over"
    if named or marker.owner in board.desired.take_over_from | worker.resource.take_over_from:
        return None
    return f"it belongs to owner `{marker.owner}`", f"if it is to change hands, say {insist}"


def _decide_present(board: Board, trigger: DeclaredTrigger, seen: Seen, all_seen: Sequence[Seen]) -> None:
    live, ours = seen.live.resource, seen.ours
    want = _bound(board, trigger, live)
    fields = _differences(want, live, ours)
    if isinstance(want.build_token_uuid, Address) and live.build_token_uuid:
        board.replacing.add(want.build_token_uuid)
    if any(change.path in Trigger.immutable for change in fields):
        _decide_replace(board, trigger, seen, want, fields)
        return
    found = variables.decide(board, trigger, seen)
    losses.check_variables(board, trigger, seen, found)
    board.after[seen.live.id] = (trigger.address, want)
    writes = bool(fields or found.writes or found.deletes)
    # This one carries nothing, and the Worker's other trigger our marker.
    remade = not seen.variables and any(one.ours for one in all_seen)
    why = _why_adopt(board, seen, found, remade=remade) if board.owner is not None else []
    adopts = bool(why) and not writes
    if writes and ours:
        why = [one for one in why if one != VARIABLES_DIFFER]  # the rows of the variables say so
    cause = ownership.joined([change.cause for change in fields]) if fields else Cause.MANIFEST if adopts else None
    names = ", ".join(f"`{change.path}`" for change in fields)
    reason = f"{names} differ{'s' if len(fields) == 1 else ''}" if fields else "as declared"
    reason += f"; its marker is written: {', '.join(why)}" if why else ""
    board.row(
        trigger,
        Action.UPDATE if fields or adopts else Action.NO_OP,
        before=live.fields,
        after=want.fields,
        fields=(*fields, *_marked(board, trigger, seen)),
        reason=reason,
        disposition=Disposition.ADOPT if adopts else Disposition.DECLARED,
        cause=cause,
    )
    if writes or adopts:
        _write(board, want, found, {change.path for change in fields}, _trial(board, trigger, seen, want))


def _decide_replace(
    board: Board, trigger: DeclaredTrigger, seen: Seen, want: Trigger, fields: tuple[FieldChange, ...]
) -> None:
    """Delete and create: the API cannot change a trigger's connection, and its variables go with it."""
    if not board.may_destroy:
        stop(board, trigger, Disposition.UNKNOWN, "not replaced, since not everything could be read", seen)
        return
    tokens, kept = {live.id for live in board.observed.tokens}, want.build_token_uuid
    if trigger.ignores("build_token_uuid") and kept not in tokens:
        told = f"there is no build token `{kept}` in this account, with which it would be made again"
        board.fail(trigger, told, hint="take `build_token` out of `ignore`")
        stop(board, trigger, Disposition.UNKNOWN, "not replaced: its build token is gone", seen)
        return
    refused = losses.refuse(board, trigger.address, seen, "replace", trigger)
    shown = [one.resource for one in board.observed.connections if one.id == seen.live.resource.repo_connection_uuid]
    deleted = {one.natural_key for one in shown if one.deleted}
    meant = {
        one.resource.natural_key
        for one in board.desired.connections
        if one.address == trigger.resource.repo_connection_uuid
    }
    if deleted & meant:  # the same repository, cut off by somebody
        fields = tuple(
            replace(one, cause=Cause.LIVE) if one.path in Trigger.immutable and one.cause is Cause.MANIFEST else one
            for one in fields
        )
    cause = ownership.joined([change.cause for change in fields])
    differs = "is marked as deleted" if deleted else "differs"
    board.row(
        trigger,
        Action.REPLACE,
        before=seen.live.resource.fields,
        after=want.fields,
        fields=(*fields, *_marked(board, trigger, seen)),
        reason=f"its connection {differs}, which the API cannot change: it is deleted and made again",
        disposition=Disposition.REFUSED if refused else Disposition.DECLARED,
        cause=cause,
    )
    found = variables.decide(board, trigger, seen, anew="written again: its trigger is replaced", cause=cause)
    if refused:
        return
    board.after[seen.live.id] = (trigger.address, None)
    # What is made in its place needs those: where they fail, or the trial of its token, it stays.
    needs, trial = _refers_to(trigger), _trial(board, trigger, seen, want)
    covers = (trigger.address, *found.addresses(found.deletes))
    board.write(Phase.DELETES, Trigger.delete(seen.live.id), *covers, needs=needs, trial=trial)
    _write(board, want, found)


def _write(
    board: Board, want: Trigger, found: Variables, names: Collection[str] = (), trial: Trial | None = None
) -> None:
    """Make the trigger, or update its fields `names`; then its variables. One that still gets variables watches nothing
    until they are there."""
    trigger, live = found.trigger.address, found.live
    is_held = "path_includes" in names and found.unfinished if live else bool(found.writes)
    if not live:
        board.made[trigger] = want
        request = (replace(want, path_includes=PENDING_PATHS) if is_held else want).create()
        needs = _refers_to(found.trigger)
        board.write(Phase.CREATES, request, trigger, echo=Echo.TRIGGER, gives=trigger, needs=needs)
    elif names and not is_held:
        board.write(Phase.UPDATES, want.update(live, names), trigger, echo=Echo.TRIGGER, trial=trial)
    covers, gone = found.addresses(found.writes), found.addresses(found.deletes)
    for address in gone if live else ():
        board.write(Phase.VARIABLES, EnvVar.delete(live, address.name), address)
    body: dict[str, Value] = {key: dict(one.fields) for key, one in found.writes.items()}
    marker = _draft(board, want, found)
    if marker:
        body[ownership.MARKER] = {"is_secret": False, "value": marker}
    if body:
        shown = (trigger, *covers) if names or not live or not covers else covers
        # A name leaves the marker only once its delete was answered.
        upsert, after = EnvVar.upsert(live or trigger, body), frozenset({trigger, *gone})
        board.write(Phase.VARIABLES, upsert, *shown, echo=Echo.VARIABLES, needs=after)
    if is_held:
        request = want.update(live or trigger, names or ("path_includes",))
        board.write(Phase.RELEASES, request, trigger, echo=Echo.TRIGGER, needs=frozenset(covers), trial=trial)


def _trial(board: Board, trigger: DeclaredTrigger, seen: Seen, want: Trigger) -> Trial | None:
    """Where the trigger moves from a token to a managed one that an earlier run made: it may have replaced
    nothing then, so nobody tried it."""
    if isinstance(want.build_token_uuid, Address) or seen.live.resource.build_token_uuid in {"", want.build_token_uuid}:
        return None  # tried when it is made, nothing to lose, or nothing changes
    return board.trials.get(trigger.resource.build_token_uuid)


def _refers_to(trigger: DeclaredTrigger) -> frozenset[Address]:
    """What has to have succeeded before the trigger is made: a connection that is put again, too."""
    refs = (getattr(trigger.resource, name) for name in Trigger.references.values() if not trigger.ignores(name))
    return frozenset(ref for ref in refs if isinstance(ref, Address))


def _keeps_generation(board: Board, trigger: DeclaredTrigger, live: Trigger) -> bool:
    """Under `--target` a trigger whose token was not selected keeps its live generation (DESIGN section 5)."""
    ref = trigger.resource.build_token_uuid
    if not isinstance(ref, Address) or board.selected(ref):
        return False
    names = (one.resource.build_token_name for one in board.observed.tokens if one.id == live.build_token_uuid)
    found = ownership.read_token_name(next(names, ""))
    return found is not None and (found.owner, found.name) == (board.owner, ref.name)


def _bound(board: Board, trigger: DeclaredTrigger, live: Trigger | None) -> Trigger:
    """`trigger` with ids for its refs, and the live value where a field is ignored or cannot be known."""
    want = replace(
        trigger.resource,
        external_script_id=board.observed.tags[trigger.address.path[0]],
        repo_connection_uuid=board.bind(trigger.resource.repo_connection_uuid),
        build_token_uuid=board.bind(trigger.resource.build_token_uuid),
    )
    if live is None:
        return want
    kept = {field: getattr(live, field) for field in want.fields if trigger.ignores(field)}
    if want.build_token_uuid in board.unknown or _keeps_generation(board, trigger, live):
        kept["build_token_uuid"] = live.build_token_uuid
    if not live.repo_connection_uuid:
        kept["repo_connection_uuid"] = ""  # optional in the answer: what is not shown is not another one
    if live.path_includes == PENDING_PATHS:
        kept.pop("path_includes", None)  # always mended (DESIGN section 6)
    return replace(want, **kept) if kept else want


def _differences(want: Trigger, live: Trigger, ours: ownership.Marker | None) -> tuple[FieldChange, ...]:
    changes = []
    for change in diff.trigger_fields(live.fields, want.fields):
        applied = ours.fields.get(change.path) if ours else None
        before, after = (
            None if isinstance(value, Address) else ownership.hash_field(change.path, value)
            for value in (change.before, change.after)
        )
        moved = ownership.cause(applied=applied, before=before, after=after)
        if change.path == "path_includes" and change.before == PENDING_PATHS:
            moved = Cause.MANIFEST  # an apply was stopped before it wrote the real paths
        if isinstance(change.after, Address) and moved is Cause.BOTH:
            moved = Cause.UNKNOWN  # somebody moved it; whether to what is wanted, only its id could tell
        changes.append(replace(change, cause=moved))
    return tuple(changes)


def _marked(board: Board, trigger: DeclaredTrigger, seen: Seen) -> Iterator[FieldChange]:
    """What only the marker says and a review has to know: another owner, a protection that is lifted."""
    marker = seen.marker
    if marker and marker.owner != board.owner:
        yield FieldChange(path="owner", before=marker.owner, after=board.owner)
    if seen.ours and seen.ours.protect and not trigger.protect:
        yield FieldChange(path="protect", before=True, after=False)


def _draft(board: Board, want: Trigger, found: Variables) -> MarkerDraft | None:
    """The marker as it has to be after the run; None where nobody owns anything."""
    trigger = found.trigger
    if board.owner is None:
        return None
    return MarkerDraft(
        owner=board.owner,
        key=trigger.address.name,
        protect=trigger.protect,
        fields={name: value for name, value in want.fields.items() if not trigger.ignores(name)},
        entries={name: ownership.entry(one) if isinstance(one, EnvVar) else one for name, one in found.entries.items()},
        kid=found.memory.kid if found.memory else "",
    )


def _why_adopt(board: Board, seen: Seen, found: Variables, *, remade: bool) -> list[str]:
    """What alone is a reason to write a marker: owner, key, protection, set of variables (section 5)."""
    marker, trigger = seen.marker, found.trigger
    if not marker:
        if ownership.MARKER in seen.variables:
            return ["the one it carries is malformed, or another trigger's"]
        without = "it has none, nor variables: the dashboard made it anew, or it was released"
        return [without if remade else "nobody owned it"]
    reasons = {
        f"it belonged to owner `{marker.owner}`": marker.owner != board.owner,
        f"its key was `{marker.key}`": marker.key != trigger.address.name,
        "its protection differs": marker.protect != trigger.protect,
        VARIABLES_DIFFER: marker.entries.keys() != found.entries.keys(),
    }
    return [reason for reason, holds in reasons.items() if holds]
