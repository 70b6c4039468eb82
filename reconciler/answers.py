"""Take an answer of the API out of its envelope, or say which error it is (field notes, Error codes)."""

from __future__ import annotations

import json
from typing import Any

from reconciler import errors
from reconciler.model import Request

MAX_RETRY_AFTER_SECONDS = 300.0  # the longest that the API shuts a user out (field notes, Access)


def items(result: Any) -> list[Any]:
    if result is None:
        return []
    if not isinstance(result, list):
        raise errors.AnswerError("the API's answer is not a list")
    return result


def page_info(info: Any, request: Request, found: int) -> tuple[int | None, bool | None]:
    """How many items there are in all, and whether another page follows; None where nobody says."""
    facts = info if isinstance(info, dict) else {}

    def fact(name: str) -> int | None:
        value = facts.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    total, pages = fact("total_count"), fact("total_pages")
    if total is not None:
        return total, found < total
    if isinstance(facts.get("next_page"), bool):
        return None, facts["next_page"]
    return None, None if pages is None else int(dict(request.query)["page"]) < pages


def open_envelope(request: Request, status: int, ray: str, content: bytes, retry_after: str) -> tuple[Any, Any]:
    """Take the answer out of its envelope, or raise the error that it is."""
    try:
        envelope = json.loads(content) if content else None
    except (ValueError, RecursionError):
        envelope = None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("success"), bool):
        envelope = None
    if 200 <= status < 300 and envelope and envelope["success"]:
        if "result" in envelope or request.method == "DELETE":
            return envelope.get("result"), envelope.get("result_info")
        envelope = None  # half an answer proves nothing
    if 200 <= status < 300 and not content and request.method == "DELETE":
        return None, None
    told = (envelope or {}).get("errors")
    facts = [one.get("code") for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    code = next((int(one) for one in facts if isinstance(one, int)), 0)
    error = _error_for(status, code, is_envelope=envelope is not None)
    if isinstance(error, errors.RateLimitedError):
        error.retry_after = _seconds(retry_after)
    error.status, error.code, error.ray = status, code, ray
    raise error


def _seconds(retry_after: str) -> float:
    """`Retry-After` in seconds; a second where it is missing or a date, which Cloudflare does not send."""
    try:
        return min(MAX_RETRY_AFTER_SECONDS, max(0.0, float(retry_after)))
    except ValueError:
        return 1.0


NO_ROUTE = (7000, 7003)  # Cloudflare's own: whatever answered does not know the path
_NO_ROUTE = "whatever answered does not know this path", "check CLOUDFLARE_API_BASE_URL, and the account id"
_NOT_FOUND = "not found", "check what was named, and the account id; what was there before may be gone by now"
_KNOWN = dict.fromkeys(NO_ROUTE, _NO_ROUTE) | {
    12002: (
        "the API refuses the body, and does not say which field",
        "run `buildsctl validate`; if it finds nothing, compare with the README's manifest reference",
    ),
    12013: ("the API refuses a query parameter", "check the branch and the ids; `-v` shows the request"),
    12030: ("the Worker already has as many triggers as it may have", "run plan again and look for kept ones"),
    12042: ("the Worker already has a trigger of this kind", "run plan again and look for kept ones"),
    12040: ("the Worker has no build configuration", "declare a trigger for it, and apply"),
    8000008: (
        "the GitHub App is not authorised for this repository's owner",
        "install the Cloudflare Workers and Pages App there, and check `provider_account_id`",
    ),
    8000012: (
        "the GitHub App may not see this repository",
        "add the repository to the Cloudflare Workers and Pages App, and check `repo_id`",
    ),
}

_TOKEN_HINTS = {
    12005: "set CLOUDFLARE_API_TOKEN (or BUILDSCTL_API_TOKEN) to a user-scoped API token",
    12006: (
        "Workers Builds takes only *user* API tokens: make one under My Profile, API Tokens, with "
        "Workers Builds Configuration: Edit and Workers Scripts: Read; account-owned tokens are refused"
    ),
    9109: "the token is expired or not valid for this account: check the account id, or make a new token",
}


def _error_for(status: int, code: int, *, is_envelope: bool) -> errors.ApiError:
    if status == 429:
        return errors.RateLimitedError(
            "the rate limit is used up: 1,200 requests in 5 minutes for all of a user's tools",
            hint="wait five minutes, and look for other tools that use the same user's tokens",
        )
    if status >= 500:
        return errors.GatewayError("the API, or a gateway before it, failed", hint="run it again in a while")
    if status == 401 or code in (12005, 12006, 9106):
        hint = "check that the token is complete, active, a user-scoped one, and for this account"
        told = "does not take this kind of token, or it is dead" if code == 12006 else "does not accept the token"
        return errors.AuthenticationError(f"the API {told}", hint=_TOKEN_HINTS.get(code, hint))
    if status == 403 or (is_envelope and code in (9109, 10000)):
        hint = (
            "it needs Workers Builds Configuration (Read to plan, Edit to apply) and Workers Scripts: "
            "Read, for this account: is the account id right?"
        )
        return errors.ForbiddenError("the token may not do this", hint=hint)
    if not is_envelope:
        what = "a redirect" if 300 <= status < 400 else "no JSON envelope"
        hint = "check CLOUDFLARE_API_BASE_URL and any proxy between"
        return errors.AnswerError(f"what answered is not the API: {what}", hint=hint)
    if status == 404:
        summary, hint = _KNOWN.get(code, _NOT_FOUND)
        return errors.NotFoundError(summary, hint=hint)
    refused = "the API answered `success: false`" if status < 300 else "the API refuses the request"
    summary, hint = _KNOWN.get(code, (refused, "run it again; if it stays, ask Cloudflare with the ray id"))
    return errors.RejectedError(summary, hint=hint)
