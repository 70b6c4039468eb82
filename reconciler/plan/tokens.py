"""Decide about build tokens: make a generation where none fits, look up references, report the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reconciler.errors import nearest
from reconciler.kinds.token import NO_TOKEN_ID, Token, TokenReference
from reconciler.model import Action, Address, Cause, Declared, Disposition, Echo, Live, Plan, Trial
from reconciler.ownership import NO_MAC, Generation, hash_token_id, read_token_name
from reconciler.plan import losses
from reconciler.plan.board import MAX_DELETES, WITHHELD, Board, Options, Phase
from reconciler.states import Desired, Observed

NAMED = "named by --rewrite-secrets"
AnyToken = Declared[Token] | Declared[TokenReference]
Generations = Sequence[tuple[Generation, Live[Token]]]


def decide(board: Board) -> None:
    """Managed tokens and references."""
    uuids = (one.resource.build_token_uuid for one in board.desired.triggers)
    board.used |= {uuid for uuid in uuids if isinstance(uuid, str)}
    for declared in board.desired.tokens:
        want = declared.resource
        if board.observed.unread_tokens:
            board.unknown[declared.address] = "the list of build tokens could not be read"
            board.row(declared, disposition=Disposition.UNKNOWN, reason=board.unknown[declared.address])
        elif isinstance(want, TokenReference):
            _decide_reference(board, declared, want)
        elif want.cloudflare_token_id == NO_TOKEN_ID:
            hint = "`buildsctl tokens id --env NAME` prints that of the API token in the variable NAME"
            summary = "its `cloudflare_token_id` is still the one that `init` writes where it knows none"
            _fail(board, declared, summary, hint)
        else:
            _decide_managed(board, declared, want)
    _check_uuids(board)


def _fail(board: Board, declared: AnyToken, summary: str, hint: str) -> None:
    board.fail(declared, summary, hint=hint)
    board.row(declared, disposition=Disposition.UNKNOWN, reason=summary)


def _keep(board: Board, declared: AnyToken, live: Live[Token], **more: Any) -> None:
    board.ids[declared.address] = live.id
    board.used.add(live.id)
    board.row(declared, before=live.resource.fields, **more)


def meant(tokens: Iterable[Live[Token]], owner: str | None, want: Token | TokenReference) -> list[Live[Token]]:
    """What `owner` declares, among live `tokens`: the newest generation; a reference by UUID, by exact name, or
    `owner:name` as the highest generation of a managed token. More than one where an exact name is not unique."""
    name, is_managed = want.build_token_name, isinstance(want, Token)
    if isinstance(want, TokenReference) and want.build_token_uuid:
        return [live for live in tokens if live.id == want.build_token_uuid]
    exact = [live for live in tokens if live.resource.build_token_name == name and not is_managed]
    whose, name = (owner, name) if is_managed else name.partition(":")[::2]
    return exact or [live for _, live in _generations(tokens, whose, name)[:1]]


def _generations(tokens: Iterable[Live[Token]], owner: str | None, name: str | None) -> Generations:
    """Live tokens of `owner` (and `name`), newest first; of equal doubles the lower UUID counts."""
    found = []
    for live in tokens:
        generation = read_token_name(live.resource.build_token_name)
        if generation and generation.owner == owner and name in (None, generation.name):
            found.append((generation, live))
    return sorted(found, key=lambda pair: (-pair[0].number, pair[1].id))


def _decide_managed(board: Board, declared: AnyToken, want: Token) -> None:
    """A rotation is a create: the old generation goes when nothing uses it."""
    generations = _generations(board.observed.tokens, board.owner, want.build_token_name)
    address, secret, api_token = declared.address, want.build_token_secret, want.cloudflare_token_id
    mac8, key = NO_MAC, board.options.key
    if secret and secret.value is not None:
        board.trials[address] = Trial(token=address, secret=secret, cloudflare_token_id=api_token)
        mac8 = key.token_mac(api_token, secret.value) if key else NO_MAC
    made = Generation(
        owner=board.owner or "",
        name=want.build_token_name,
        number=generations[0][0].number + 1 if generations else 1,
        id6=hash_token_id(api_token, want.value_version),
        mac8=mac8,
    )
    reason, trial, cause = "no token of this name and owner", None, Cause.UNKNOWN
    if generations:
        rotate, not_compared = _compare(board, declared, generations[0][0], made)
        if not rotate:
            reason = f"as declared; its secret is not compared: {not_compared}" if not_compared else "as declared"
            _keep(board, declared, generations[0][1], reason=reason, not_compared=not_compared)
            return
        reason = f"{rotate}: a new generation is made, and our triggers are pointed to it"
        trial, cause = board.trials.get(address), Cause.UNKNOWN if rotate == NAMED else Cause.MANIFEST
    board.row(declared, Action.CREATE, after={**want.fields, "build_token_name": str(made)}, reason=reason, cause=cause)
    board.write(Phase.TOKENS, want.create(str(made)), address, echo=Echo.TOKEN, gives=address, trial=trial)


def _compare(board: Board, declared: AnyToken, seen: Generation, made: Generation) -> tuple[str, str]:
    """Why a new generation is made, or why nobody can tell whether it has to be."""
    if not board.selected(declared.address):
        return "", "it was not asked for"
    if board.named(declared.address, board.options.rewrite_secrets):
        return NAMED, ""
    if seen.id6 != made.id6:
        return "its `cloudflare_token_id` or `value_version` changed", ""
    if board.options.key is None:
        return "", "there is no BUILDSCTL_FINGERPRINT_KEY"
    if made.mac8 == NO_MAC:
        return "", "no value from its source"
    if seen.mac8 == NO_MAC:
        return "", "not written under a key yet"
    if seen.mac8[:2] != made.mac8[:2]:
        return "", "written under another key"
    return "" if seen.mac8 == made.mac8 else "its secret changed", ""


def _decide_reference(board: Board, declared: AnyToken, want: TokenReference) -> None:
    lives = meant(board.observed.tokens, board.owner, want)
    called = f"`{want.build_token_name or want.build_token_uuid}`"
    if len(lives) == 1:
        _keep(board, declared, lives[0], reason="a reference: found, and never changed")
    elif lives:
        board.used |= {live.id for live in lives}
        listed = ", ".join(f"{live.id} (API token {live.resource.cloudflare_token_id})" for live in lives)
        hint = f"name one by `build_token_uuid` instead: {listed}"
        _fail(board, declared, f"{len(lives)} build tokens have the name {called}", hint)
    else:
        hint = "the name must match exactly" if want.build_token_name else "is it of another account?"
        names = [live.resource.build_token_name for live in board.observed.tokens]
        hint = nearest(want.build_token_name, names) or hint
        _fail(board, declared, f"there is no build token {called} in this account", hint)


def _check_uuids(board: Board) -> None:
    """A `build_token_uuid` on a trigger is a reference as well, and must not lead nowhere."""
    if board.observed.unread_tokens:
        return
    known = {live.id for live in board.observed.tokens}
    for trigger in board.desired.triggers:
        uuid = trigger.resource.build_token_uuid
        if isinstance(uuid, str) and uuid not in known and not trigger.ignores("build_token_uuid"):
            hint = "name a token under `tokens`, and refer to it with `build_token`"
            board.fail(trigger, f"there is no build token `{uuid}` in this account", hint=hint)


def decide_orphans(board: Board) -> None:
    """Tokens that carry our name and that no declaration stands for: old generations, doubles, leftovers. `--prune`
    deletes those that nothing uses once this run is over; and the unused ones of an owner that is taken over from."""
    owners = {board.owner} | (board.desired.take_over_from if board.options.prune else set())
    for owner in sorted(name for name in owners if name):
        for generation, live in _generations(board.observed.tokens, owner, None):
            if live.id not in board.used and not board.options.target:
                _decide_orphan(board, generation, live)


def _decide_orphan(board: Board, generation: Generation, live: Live[Token]) -> None:
    is_ours = generation.owner == board.owner
    name = generation.name if is_ours else f"{generation.owner}:{generation.name}"
    address = Address.of("token", f"{name}#{generation.number}~{live.id[:8]}")
    still, until = board.users(live.id)
    if still and not is_ours:
        return
    action, disposition, cause = Action.NO_OP, Disposition.ORPHAN, None
    if still:
        why = f"kept: still used by {', '.join(str(one) for one in still)}"
    elif not board.options.prune:
        why = "kept until `--prune`"
    elif not board.may_destroy:
        why, disposition = WITHHELD, Disposition.UNKNOWN
    else:
        why = f"no trigger of the account uses it{' after this run' if until else ''}"
        action, cause = Action.DELETE, Cause.MANIFEST
        board.write(Phase.LAST, Token.delete(live.id), address, needs=frozenset(until))
    reason = f"an old build token of owner `{generation.owner}`; {why}"
    board.row(address, action, before=live.resource.fields, reason=reason, disposition=disposition, cause=cause)


def prune(owner: str, observed: Observed, *, max_deletes: int = MAX_DELETES, account_id: str) -> Plan:
    """Delete the old generations and doubles of `owner` that no trigger of the account uses."""
    options = Options(prune=True, max_deletes=max_deletes)
    board = Board(desired=Desired(owner=owner), observed=observed, options=options)
    generations = _generations(observed.tokens, owner, None)
    newest = {generation.name: live.id for generation, live in reversed(generations)}
    board.used |= set(newest.values())
    decide_orphans(board)
    losses.check_deletes(board)
    return board.plan(account_id=account_id)
