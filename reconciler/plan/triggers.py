"""Decide about the triggers of one Worker that are declared: the table of DESIGN section 4, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler import diff, ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import PENDING_PATHS, Trigger
from reconciler.kinds.worker import Worker
from reconciler.model import Action, Address, Cause, Declared, Disposition, FieldChange, MarkerDraft, Ref, Secret, Trial
from reconciler.plan import losses, steps, variables
from reconciler.plan.board import Board, Phase, Seen
from reconciler.plan.steps import Variables
from reconciler.states import DeclaredTrigger

VARIABLES_DIFFER = "its set of variables differs"


def stop(
    board: Board, trigger: DeclaredTrigger, disposition: Disposition, reason: str, seen: Seen | None = None
) -> None:
    """Nothing is done to a trigger, nor to its variables."""
    rows: tuple[Declared[Trigger] | Declared[EnvVar], ...] = (trigger, *trigger.variables.values())
    for declared in rows:
        live = seen and (seen.live.resource if declared is trigger else seen.variables.get(declared.address.name))
        secret = declared.resource.fields.get("is_secret")
        board.row(
            declared,
            disposition=disposition,
            reason=reason,
            before={**live.fields, **({"value": Secret(None)} if secret else {})} if live else None,
        )


def decide(
    board: Board, worker: Declared[Worker], trigger: DeclaredTrigger, seen: Seen | None, siblings: Sequence[Seen]
) -> None:
    """One declared trigger, and the live one that it means."""
    problem = cannot_tell(board, trigger, seen)
    if problem:
        stop(board, trigger, Disposition.UNKNOWN, problem, seen)
        return
    refusal = _refuses(board, worker, trigger, seen)
    if refusal:
        summary, hint = refusal
        board.refuse(trigger.address, summary, hint=hint)
        stop(board, trigger, Disposition.REFUSED, summary, seen)
    elif seen is None:
        _decide_absent(board, worker.resource.name, trigger)
    else:
        _decide_present(board, trigger, seen, siblings)


def cannot_tell(board: Board, trigger: DeclaredTrigger, seen: Seen | None) -> str:
    """Why nothing can be decided about the trigger; empty where something can.

    A token list that could not be read leaves a live trigger its token: only that field is unknown.
    """
    for name in Trigger.references.values():
        ref = getattr(trigger.resource, name)
        if seen and trigger.ignores(name):
            continue
        if trigger.address in board.failed:
            return board.failed[trigger.address]
        if isinstance(ref, str):
            if seen is None and name == "build_token_uuid" and board.observed.unread_tokens:
                return f"{board.observed.unread_tokens.what} could not be read"
            continue
        if ref in board.failed:
            return f"`{ref}` leads nowhere: {board.failed[ref]}"
        if ref in board.unknown and (seen is None or ref.kind == "connection"):
            return f"`{ref}` is unknown: {board.unknown[ref]}"
    return f"{seen.unread.what} could not be read" if seen and seen.unread else ""


def _refuses(
    board: Board, worker: Declared[Worker], trigger: DeclaredTrigger, seen: Seen | None
) -> tuple[str, str] | None:
    """What must not be touched: summary and way out."""
    name, marker = worker.resource.name, seen.marker if seen else None
    named, insist = board.named(trigger.address, board.options.take_over), f"--take-over {trigger.address.as_glob}"
    if seen is None and name in board.observed.newer_surface and not named:
        summary = f"Worker `{name}` lists no trigger, but is configured on Cloudflare's newer builds surface"
        return summary, f"disconnect it in the dashboard first, or insist with {insist}"
    if isinstance(marker, ownership.Newer):
        summary = f"its marker has format {marker.version}, this buildsctl knows {ownership.VERSION}"
        return summary, "upgrade buildsctl"
    if marker is None or marker.owner == board.owner:
        return None
    if board.owner is None:
        return f"it belongs to owner `{marker.owner}`", "with `owner: null` nothing can be taken over"
    if named or marker.owner in board.desired.take_over_from | worker.resource.take_over_from:
        return None
    return f"it belongs to owner `{marker.owner}`", f"if it is to change hands, say {insist}"


def _decide_absent(board: Board, worker: str, trigger: DeclaredTrigger) -> None:
    want = _bound(board, trigger, None)
    found = variables.for_new_trigger(board, trigger, reason="its trigger is created", cause=Cause.UNKNOWN)
    board.row(
        trigger,
        Action.CREATE,
        after=want.fields,
        reason=f"Worker `{worker}` has no {'preview' if want.is_preview else 'production'} trigger",
        cause=Cause.UNKNOWN,
    )
    board.changes.extend(found.changes)
    board.made[trigger.address] = want
    steps.create(board, want, found, _draft(board, trigger, want, found), needs=_refers_to(trigger))


def _decide_present(board: Board, trigger: DeclaredTrigger, seen: Seen, siblings: Sequence[Seen]) -> None:
    ours = seen.ours(board.owner)
    want = _bound(board, trigger, seen.live.resource)
    fields = _differences(want, seen.live.resource, ours)
    if isinstance(want.build_token_uuid, Address) and seen.live.resource.build_token_uuid:
        board.replacing.add(want.build_token_uuid)
    if any(change.path in Trigger.immutable for change in fields):
        _decide_replace(board, trigger, seen, want, fields)
        return
    # The Worker's other trigger carries our marker, this one carries nothing.
    remade = seen.marker is None and not seen.variables and any(one.ours(board.owner) for one in siblings)
    found = Variables(
        trigger=trigger,
        marker=ours,
        memory=seen.marker if isinstance(seen.marker, ownership.Marker) else None,
        live=seen.live.id,
        unfinished=seen.live.resource.path_includes == PENDING_PATHS,
    )
    variables.for_live_trigger(board, found, seen.variables)
    losses.check_variables(board, trigger, seen, found)
    board.after[seen.live.id] = (trigger.address, want)
    draft = _draft(board, trigger, want, found)
    writes = bool(fields or found.writes or found.deletes)
    becomes_ours = draft is not None and not ours
    why = _why_adopt(seen, draft, remade=remade) if draft else []
    adopts = bool(why) and not writes
    if writes and not becomes_ours:
        why = [reason for reason in why if reason != VARIABLES_DIFFER]  # the rows of the variables say so
    lifted = ours is not None and draft is not None and ours.protect and not draft.protect
    board.row(
        trigger,
        Action.UPDATE if fields or adopts else Action.NO_OP,
        before=seen.live.resource.fields,
        after=want.fields,
        fields=(*fields, *([FieldChange(path="protect", before=True, after=False)] if lifted else [])),
        reason=_reason(fields, why),
        disposition=Disposition.ADOPT if adopts else Disposition.DECLARED,
        cause=_cause(fields, why if adopts else []),
    )
    board.changes.extend(found.changes)
    if writes or adopts:
        steps.update(board, want, fields, found, draft, trial=_trial(board, trigger, seen, want))


def _cause(fields: tuple[FieldChange, ...], why: list[str]) -> Cause | None:
    if fields:
        return ownership.joined([change.cause for change in fields])
    return Cause.MANIFEST if why else None


def _decide_replace(
    board: Board, trigger: DeclaredTrigger, seen: Seen, want: Trigger, fields: tuple[FieldChange, ...]
) -> None:
    """Delete and create: the API cannot change a trigger's connection, and its variables go with it."""
    if not board.may_destroy:
        stop(board, trigger, Disposition.UNKNOWN, "not replaced, since not everything could be read", seen)
        return
    refused = losses.refuse_replace(board, trigger, seen)
    board.row(
        trigger,
        Action.REPLACE,
        before=seen.live.resource.fields,
        after=want.fields,
        fields=fields,
        reason=f"{_why_replace(board, seen)}: it is deleted and made again",
        disposition=Disposition.REFUSED if refused else Disposition.DECLARED,
        cause=_cause(fields, []),
    )
    cause = _cause(fields, []) or Cause.UNKNOWN
    found = variables.for_new_trigger(
        board, trigger, reason="written again: its trigger is replaced", cause=cause, live=seen.variables
    )
    gone = variables.going(trigger, seen.variables, reason="goes with the trigger that is replaced")
    board.changes.extend((*found.changes, *gone))
    if refused:
        return
    board.after[seen.live.id] = (trigger.address, None)
    board.made[trigger.address] = want
    # What is made in its place needs those: where they fail, or the trial of its token, it stays.
    needs, trial = _refers_to(trigger), _trial(board, trigger, seen, want)
    covers = (trigger.address, *(change.address for change in gone))
    board.write(Phase.DELETES, Trigger.delete(seen.live.id), *covers, needs=needs, trial=trial)
    steps.create(board, want, found, _draft(board, trigger, want, found), needs=needs)


def _trial(board: Board, trigger: DeclaredTrigger, seen: Seen, want: Trigger) -> Trial | None:
    """Where the trigger moves from a token to a managed one that an earlier run made: it may have replaced
    nothing then, so nobody tried it."""
    live, token = seen.live.resource.build_token_uuid, trigger.resource.build_token_uuid
    if not live or live == want.build_token_uuid or isinstance(want.build_token_uuid, Address):
        return None  # nothing to lose, nothing changes, or tried when it is made
    return board.trials.get(token)


def _refers_to(trigger: DeclaredTrigger) -> frozenset[Address]:
    """What has to have succeeded before the trigger is made: a connection that is put again, too."""
    refs = (getattr(trigger.resource, name) for name in Trigger.references.values() if not trigger.ignores(name))
    return frozenset(ref for ref in refs if isinstance(ref, Address))


def _keeps_generation(board: Board, ref: Ref, live: str | Address) -> bool:
    """Under `--target` a trigger whose token was not selected keeps its live generation (DESIGN section 5)."""
    if not isinstance(ref, Address) or board.selected(ref):
        return False
    names = [one.resource.build_token_name for one in board.observed.tokens if one.id == live]
    generations = [ownership.read_token_name(name) for name in names]
    return any(one and (one.owner, one.name) == (board.owner, ref.name) for one in generations)


def _why_replace(board: Board, seen: Seen) -> str:
    shown = [one for one in board.observed.connections if one.id == seen.live.resource.repo_connection_uuid]
    is_deleted = any(one.resource.deleted for one in shown)
    return f"its connection {'is marked as deleted' if is_deleted else 'differs'}, which the API cannot change"


def _bound(board: Board, trigger: DeclaredTrigger, live: Trigger | None) -> Trigger:
    """`trigger` with ids for its refs, and the live value where a field is ignored or cannot be known."""
    want = trigger.resource
    want = replace(
        want,
        external_script_id=board.observed.tags[trigger.address.path[0]],
        repo_connection_uuid=board.bind(want.repo_connection_uuid),
        build_token_uuid=board.bind(want.build_token_uuid),
    )
    if live is None:
        return want
    kept = {field: getattr(live, field) for field in want.fields if trigger.ignores(field)}
    token = trigger.resource.build_token_uuid
    if want.build_token_uuid in board.unknown or _keeps_generation(board, token, live.build_token_uuid):
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
        changes.append(replace(change, cause=moved))
    return tuple(changes)


def _draft(board: Board, trigger: DeclaredTrigger, want: Trigger, found: Variables) -> MarkerDraft | None:
    """The marker as it has to be after the run; None where nobody owns anything."""
    if board.owner is None:
        return None
    return MarkerDraft(
        owner=board.owner,
        key=trigger.address.name,
        protect=trigger.protect,
        fields={name: value for name, value in want.fields.items() if not trigger.ignores(name)},
        entries=found.entries,
        kid=found.memory.kid if found.memory else "",
    )


def _why_adopt(seen: Seen, draft: MarkerDraft, *, remade: bool) -> list[str]:
    """What alone is a reason to write a marker: owner, key, protection, set of variables (section 5)."""
    marker = seen.marker
    if not isinstance(marker, ownership.Marker):
        if ownership.MARKER in seen.variables:
            return ["the one it carries is malformed, or another trigger's"]
        without = "it has none, nor variables: the dashboard made it anew, or it was released"
        return [without if remade else "nobody owned it"]
    reasons = {
        f"it belonged to owner `{marker.owner}`": marker.owner != draft.owner,
        f"its key was `{marker.key}`": marker.key != draft.key,
        "its protection differs": marker.protect != draft.protect,
        VARIABLES_DIFFER: set(marker.entries) != set(draft.entries),
    }
    return [reason for reason, holds in reasons.items() if holds]


def _reason(fields: tuple[FieldChange, ...], why: list[str]) -> str:
    names = ", ".join(f"`{change.path}`" for change in fields)
    reason = f"{names} differ{'s' if len(fields) == 1 else ''}" if fields else "as declared"
    return f"{reason}; its marker is written: {', '.join(why)}" if why else reason
