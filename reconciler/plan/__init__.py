"""Decide. Pure: what the manifests want and what the API has in, a plan out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.errors import Diagnostic, Severity
from reconciler.kinds import ORDER
from reconciler.kinds.worker import Worker
from reconciler.model import Address, Declared, Disposition, Plan, Ref, Unread
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
    used = tokens.decide(board)
    connections.decide(board, {ref for site in sites for ref in _needed_connections(board, site)})
    for site in sites:
        _decide_site(board, site)
    if options.prune:
        _prune(board)
        connections.prune(board)
    tokens.decide_orphans(board, used)
    if losses.check_deletes(board) and desired.empty:
        summary = "the manifests declare nothing, and the plan would delete"
        board.refuse(None, summary, hint="is this the right folder?")
    _warn_of_idle_globs(board)
    labels = {live.id: connections.label(live.resource) for live in observed.connections}
    labels |= {live.id: f"token `{live.resource.build_token_name}`" for live in observed.tokens}
    labels |= {uuid: str(address) for address, uuid in board.ids.items()}
    unknown = observed.workers is None or bool(options.target)
    result = board.plan(
        sorted(board.changes, key=lambda change: _rank(change.address)),
        account_id=account_id,
        prune=options.prune,
        labels=labels,
        target=options.target,
        left_out=desired.left_out,
        undeclared_workers=None if unknown else len(_undeclared(desired, observed)),
    )
    target.check(result, options.target)
    return result


def _prune(board: Board) -> None:
    """Delete what our marker proves ours on Workers that nobody declares; of the rest nothing is said."""
    for name in sorted(_undeclared(board.desired, board.observed)):
        seen = [board.look(live) for live in board.observed.by_worker.get(name, ())]
        undeclared.decide(board, name, [one for one in seen if one.ours], ())


def _warn_of_idle_globs(board: Board) -> None:
    """A glob that matches nothing is a slip of the pen."""
    options = board.options
    given = {
        "--delete-unmanaged": options.delete_unmanaged,
        "--take-over": options.take_over,
        "--rewrite-secrets": options.rewrite_secrets,
    }
    for name, globs in given.items():
        for glob in globs:
            if not any(change.address.matches(glob) for change in board.changes):
                summary = f"{name} {glob} matches nothing"
                board.diagnostics.append(Diagnostic(severity=Severity.WARNING, summary=summary))


def _undeclared(desired: Desired, observed: Observed) -> set[str]:
    """Workers of the account that nobody declares, neither by name nor by tag."""
    tags = {observed.tags[name] for name in desired.workers if name in observed.tags}
    return {name for name, tag in (observed.workers or {}).items() if name not in desired.workers and tag not in tags}


def _rank(address: Address) -> tuple[object, ...]:
    """Connections, tokens, then Worker by Worker: each trigger, followed by its variables."""
    if address.kind in ("trigger", "env"):
        return (ORDER["trigger"], address.path)
    return (ORDER[address.kind], address.path)


@dataclass(frozen=True, kw_only=True)
class _Site:
    """A declared Worker: its triggers with the live ones that they mean, and the live ones left over.

    `stopped` is why nothing can be decided about it.
    """

    worker: Declared[Worker]
    declared: tuple[DeclaredTrigger, ...]
    pairs: tuple[tuple[DeclaredTrigger, Seen | None], ...] = ()
    left: tuple[Seen, ...] = ()
    stopped: str = ""

    def beside(self, seen: Seen | None) -> list[Seen]:
        """The Worker's live triggers other than `seen`."""
        return [one for one in (*(one for _, one in self.pairs if one), *self.left) if one is not seen]


def _look(board: Board, worker: Declared[Worker], tags: Mapping[str | None, list[str]]) -> _Site:
    """`tags` holds the declared Workers by tag."""
    _look_up(board, worker, tags)
    name = worker.resource.name
    declared = tuple(board.desired.by_worker.get(name, ()))
    unread = board.observed.unread_workers.get(name) or (
        board.observed.unread_scripts if name not in board.observed.tags else None
    )
    stopped = board.failed.get(worker.address) or (f"{unread.what} could not be read" if unread else "")
    if stopped:
        return _Site(worker=worker, declared=declared, stopped=stopped)
    seen = {live.id: board.look(live) for live in board.observed.by_worker.get(name, ())}
    markers = {uuid: one.marker for uuid, one in seen.items() if one.marker}
    pairs, left = match(declared, [one.live for one in seen.values()], markers, board.owner)
    return _Site(
        worker=worker,
        declared=declared,
        pairs=tuple((trigger, seen[live.id] if live else None) for trigger, live in pairs),
        left=tuple(seen[live.id] for live in left),
    )


def _look_up(board: Board, worker: Declared[Worker], tags: Mapping[str | None, list[str]]) -> None:
    """A declared Worker that does not exist fails its own addresses only."""
    name, given = worker.resource.name, worker.resource.tag
    tag = board.observed.tags.get(name)
    twins = [one for one in tags[tag] if one != name] if tag else []
    if twins:
        summary = f"Worker `{name}` and Worker `{twins[0]}` of the manifests have the same tag: they are one"
        board.fail(worker, summary, hint="declare it once")
        return
    unread = board.observed.unread_scripts and not given
    if name in board.observed.tags or unread or name in board.observed.unread_workers:
        return
    if given:
        hint = "a Worker that was deleted and made again has a new tag"
        board.fail(worker, f"no Worker of this account has the tag `{given}`", hint=hint)
        return
    nearest = difflib.get_close_matches(name, list(board.observed.workers or ()), n=1)
    hint = f"did you mean `{nearest[0]}`?" if nearest else "deploy it first: `npx wrangler deploy`"
    board.fail(worker, f"there is no Worker `{name}` in this account", hint=hint)


def _selected(board: Board, site: _Site) -> Iterator[tuple[DeclaredTrigger, Seen | None]]:
    """The pairs that are decided about: matching sees all declared triggers, `--target` selects afterwards."""
    return (pair for pair in site.pairs if target.selects(board.options.target, pair[0]))


def _needed_connections(board: Board, site: _Site) -> Iterator[Ref]:
    """Those that a trigger refers to, but where it ignores its connection, or cannot be made."""
    if site.worker.address in board.failed:
        return
    if site.stopped:
        yield from (one.resource.repo_connection_uuid for one in site.declared)
    for trigger, seen in _selected(board, site):
        ignored = seen and (trigger.ignores("repo_connection_uuid") or not seen.live.resource.repo_connection_uuid)
        if not ignored and not _unread_rival(site, trigger, seen) and not triggers.cannot_tell(board, trigger, seen):
            yield trigger.resource.repo_connection_uuid


def _decide_site(board: Board, site: _Site) -> None:
    """Every declared trigger of a Worker with its variables, then what is live beside them."""
    for trigger in site.declared if site.stopped else ():
        if target.selects(board.options.target, trigger):
            triggers.stop(board, trigger, Disposition.UNKNOWN, site.stopped)
    board.addresses |= {seen.live.id: trigger.address for trigger, seen in site.pairs if seen}
    for trigger, seen in _selected(board, site):
        unread = _unread_rival(site, trigger, seen)
        if unread:
            triggers.stop(board, trigger, Disposition.UNKNOWN, f"{unread.what} could not be read", seen)
        else:
            triggers.decide(board, site.worker, trigger, seen, site.beside(seen))
    stay = undeclared.decide(board, site.worker.resource.name, site.left, site.declared)
    losses.check_total(board, site.declared, stay)


def _unread_rival(site: _Site, trigger: DeclaredTrigger, seen: Seen | None) -> Unread | None:
    """Another live trigger whose marker could not be read, and could say that it is the one that is meant."""
    for one in site.beside(seen):
        same_kind = one.live.resource.is_preview == trigger.resource.is_preview
        if one.unread and (same_kind or (seen is None and one in site.left)):
            return one.unread
    return None
