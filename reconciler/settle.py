"""Find out what became of a create whose outcome nobody knows: read again by natural key, then decide.

The API has no idempotency key (field notes, Access), so a create is never repeated blindly (DESIGN section 6).
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler import diff
from reconciler.api import Api
from reconciler.errors import AnswerError, ApiError, GatewayError, NetworkError, RejectedError
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.model import Value

ATTEMPTS = 3  # of one create, each after the one before was proved not to have happened
TOKEN_FIELDS = ("build_token_name", "cloudflare_token_id")
TAKEN = (12030, 12042)  # the Worker has as many triggers as it may have, or one of this kind


def is_unsure(error: ApiError) -> bool:
    """May the request have taken effect all the same?"""
    if isinstance(error, AnswerError):
        return error.status < 300
    return isinstance(error, GatewayError | NetworkError) and not error.never_sent


def find_token(api: Api, sent: Mapping[str, Value]) -> str | None:
    """The UUID of the token that was to be made: its name tells owner, generation and content. Of equal
    doubles the lower UUID counts (DESIGN section 5)."""
    lives = api.pages(Token.read, Token.decode, key=lambda live: live.id)
    same = (live.id for live in lives if all(live.resource.fields[name] == sent[name] for name in TOKEN_FIELDS))
    return min(same, default=None)


def differing(live: Trigger, sent: Mapping[str, Value]) -> list[str]:
    """The fields that are not as they were sent; a connection is optional in answers, and not shown is not another."""
    hidden = () if live.repo_connection_uuid else ("repo_connection_uuid",)
    fields = diff.trigger_fields(live.fields, sent, ignore=("external_script_id", *hidden))
    return [one.path for one in fields]


class TakenError(RejectedError):
    """Somebody else made what was to be made."""


def find_trigger(api: Api, sent: Mapping[str, Value]) -> str | None:
    """The UUID of the trigger that was to be made: a Worker has one of each kind. Ours is equal in every field and has
    no variables yet; any other of the kind is somebody else's, made meanwhile, and raises `TakenError`."""
    branches = sent["branch_includes"]
    preview = isinstance(branches, tuple) and "*" in branches
    found = api.get(Trigger.read(str(sent["external_script_id"])), lambda result: Trigger.decode("", result))
    same = [live for live, _ in found if live.resource.is_preview == preview]
    for live in same:
        if not differing(live.resource, sent) and not api.get(EnvVar.read(live.id), EnvVar.decode):
            return live.id
    if same:
        kind, name = "preview" if preview else "production", same[0].resource.trigger_name
        hint = "run plan again: somebody made it meanwhile"
        raise TakenError(f"the Worker has another {kind} trigger, `{name}`", hint=hint)
    return None
