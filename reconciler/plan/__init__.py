"""Decide. Pure: what the manifests want and what the API has in, a plan out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.errors import UsageError, nearest
from reconciler.kinds.worker import Worker
from reconciler.model import Declared, Disposition, Plan, Ref
from reconciler.plan import connections, losses, target, tokens, triggers, undeclared
from reconciler.plan.board import MAX_DELETES, Board, Options, Seen
from reconciler.plan.match import match
from reconciler.states import DeclaredTrigger, Desired, Observed

__all__ = ["MAX_DELETES", "Options", "plan"]


def plan(desired: Desired, observed: Observed, options: Options, *, account_id: str = "") -> Plan:
    """Every declared resource once, no-ops too, and the writes that carry the changes out."""
    board = Board(desired=desired, observed=observed, options=options)
    board.diagnostics.extend(desired.diagnostics)
    tags: dict[str | None, list[str]] = {}
    for name in desired.workers:
        tags.setdefault(observed.tags.get(name), []).append(name)
    sites = [_look(board, worker, tags) for worker in desired.workers.values()]
    tokens.decide(board)
    connections.decide(board, {ref for site in sites for ref in _needed_connections(board, site)})
    for site in sites:
        _decide_site(board, site)
    if options.prune:  # what our marker proves ours on Workers that nobody declares; of the rest nothing is said
        for name in sorted(_undeclared(desired, observed)):
            seen = [board.look(live) for live in observed.by_worker.get(name, ())]
            undeclared.decide(board, name, [one for one in seen if one.ours], ())
        connections.prune(board)
    tokens.decide_orphans(board)
    if losses.check_deletes(board) and desired.empty:
        summary = "the manifests declare nothing, and the plan would delete"
        board.refuse(None, summary, hint="is this the right folder?")
    _check_globs(board)
    labels = {live.id: f"connection/{live.resource.full_name}" for live in observed.connections}
    labels |= {live.id: f"token `{live.resource.build_token_name}`" for live in observed.tokens}
    labels |= {uuid: str(address) for address, uuid in board.ids.items()}
    unknown = observed.workers is None or bool(options.target)
    return board.plan(
        account_id=account_id,
        prune=options.prune,
        labels=labels,
        target=options.target,
        left_out=desired.left_out,
        undeclared_workers=None if unknown else len(_undeclared(desired, observed)),
    )


def _check_globs(board: Board) -> None:
    """A glob that matches nothing is a slip of the pen; one of `--target` an error, where everything could be read."""
    declared = [f"worker/{name}" for name in board.desired.workers]  # one may have nothing yet, or no more
    for glob in () if board.observed.unread else board.options.target:
        if not board.has_row(glob) and not any(fnmatchcase(one, glob) for one in declared):
            hint = "an address such as `trigger/web/production`, `worker/web` or `token/*`; quote it for the shell"
            raise UsageError(f"--target {glob} matches nothing", hint=hint)
    for name in ("delete_unmanaged", "take_over", "rewrite_secrets", "accept_secret_loss"):
        for glob in getattr(board.options, name):
            if not (board.has_row(glob) or board.has_variable(glob)):
                board.tell(None, f"--{name.replace('_', '-')} {glob} matches nothing")


def _undeclared(desired: Desired, observed: Observed) -> set[str]:
    """Workers of the account that nobody declares, neither by name nor by tag."""
    tags = {observed.tags[name] for name in desired.workers if name in observed.tags}
    return {name for name, tag in (observed.workers or {}).items() if name not in desired.workers and tag not in tags}


@dataclass(frozen=True, kw_only=True)
class _Site:
    """A declared Worker: its triggers that are decided about, each with the live one that it means and with why nothing
    can be decided; all that is live, and what of it is `left` over. `unread`: its triggers could not be read."""

    worker: Declared[Worker]
    declared: tuple[DeclaredTrigger, ...]
    pairs: tuple[tuple[DeclaredTrigger, Seen | None, str], ...]
    seen: tuple[Seen, ...]
    left: tuple[Seen, ...]
    unread: bool


def _look(board: Board, worker: Declared[Worker], tags: Mapping[str | None, list[str]]) -> _Site:
    """`tags` holds the declared Workers by tag. Matching sees all declared triggers, `--target` selects afterwards."""
    _look_up(board, worker, tags)
    name, observed = worker.resource.name, board.observed
    declared = tuple(board.desired.by_worker.get(name, ()))
    unread = observed.unread_workers.get(name) or (observed.unread_scripts if name not in observed.tags else None)
    stopped = board.failed.get(worker.address) or str(unread or "")
    seen = {live.id: board.look(live) for live in observed.by_worker.get(name, ()) if not stopped}
    markers = {uuid: one.marker for uuid, one in seen.items() if one.marker}
    found, lives = match(declared, [one.live for one in seen.values()], markers, board.owner)
    left = tuple(seen[live.id] for live in lives)
    pairs = [(trigger, seen[live.id] if live else None) for trigger, live in found]
    board.addresses |= {one.live.id: trigger.address for trigger, one in pairs if one}
    everything = (*(one for _, one in pairs if one), *left)
    return _Site(
        worker=worker,
        declared=declared,
        pairs=tuple(
            (trigger, one, stopped or _unread_rival(trigger, one, everything, left))
            for trigger, one in pairs
            if target.selects(board.options.target, trigger)
        ),
        seen=everything,
        left=left,
        unread=bool(unread) and worker.address not in board.failed,
    )


def _unread_rival(trigger: DeclaredTrigger, found: Seen | None, seen: Sequence[Seen], left: Sequence[Seen]) -> str:
    """Why nobody can tell: another live trigger, whose marker could not be read, may be the one that is meant."""
    for one in seen:
        same_kind = one.live.resource.is_preview == trigger.resource.is_preview
        if one.unread and one is not found and (same_kind or (found is None and one in left)):
            return str(one.unread)
    return ""


def _look_up(board: Board, worker: Declared[Worker], tags: Mapping[str | None, list[str]]) -> None:
    """A declared Worker that does not exist fails its own addresses only."""
    name, given = worker.resource.name, worker.resource.tag
    tag = board.observed.tags.get(name)
    twins = [one for one in tags[tag] if one != name] if tag else []
    if twins:
        summary = f"Worker `{name}` and Worker `{twins[0]}` of the manifests have the same tag: they are one"
        board.fail(worker, summary, hint="declare it once")
    elif tag is not None or name in board.observed.unread_workers:
        return
    elif given:
        hint = "a Worker that was deleted and made again has a new tag"
        board.fail(worker, f"no Worker of this account has the tag `{given}`", hint=hint)
    elif not board.observed.unread_scripts:
        deploys = (one.resource for one in board.desired.by_worker.get(name, ()) if not one.resource.is_preview)
        command = next((one.deploy_command for one in deploys if "\n" not in one.deploy_command), "")
        told = f"deploy it first: `{command or 'npx wrangler deploy'}`"
        hint = nearest(name, board.observed.workers or ()) or told
        board.fail(worker, f"there is no Worker `{name}` in this account", hint=hint)


def _needed_connections(board: Board, site: _Site) -> Iterator[Ref]:
    """Those that a trigger refers to, but where it ignores its connection, or cannot be made (again)."""
    if site.unread:
        yield from (one.resource.repo_connection_uuid for one in site.declared)
    for trigger, seen, problem in site.pairs:
        ignored = seen and (trigger.ignores("repo_connection_uuid") or not seen.live.resource.repo_connection_uuid)
        stays = seen and not board.may_destroy  # what is live would have to be replaced
        if not ignored and not stays and not problem and not triggers.cannot_tell(board, trigger, seen):
            yield trigger.resource.repo_connection_uuid


def _decide_site(board: Board, site: _Site) -> None:
    """Every declared trigger of a Worker with its variables, then what is live beside them."""
    for trigger, seen, problem in site.pairs:
        unknown = problem or triggers.cannot_tell(board, trigger, seen)
        if unknown:
            triggers.stop(board, trigger, Disposition.UNKNOWN, unknown, seen)
        else:
            triggers.decide(board, site.worker, trigger, seen, site.seen)
    undeclared.decide(board, site.worker.resource.name, site.left, site.declared)
    losses.check_total(board, site.declared, site.left)
