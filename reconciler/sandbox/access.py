"""Decides who may call what: from the Authorization header to the API's 401 and 403 answers."""

import hashlib
import sqlite3
from collections.abc import Mapping

from reconciler.sandbox.call import Call, Caller
from reconciler.sandbox.envelope import RefusalError, Reply

KINDS = ("user", "read-only", "account", "expired", "invalid")


def digest(token: str) -> str:
    """Under this a bearer token is stored; the token itself never is."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def authenticate(db: sqlite3.Connection, headers: Mapping[str, str]) -> Caller:
    """Who sent the request. Says nothing yet about what they may do, which depends on the path."""
    value = next((value for name, value in headers.items() if name.lower() == "authorization"), "").strip()
    if not value:
        raise RefusalError(401, 12005, "Authentication required")
    scheme, _, token = value.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token:
        raise RefusalError(401, 9106, "Authentication failed")
    sha256 = digest(token)
    return Caller(kind=_kind(db, sha256), token_id=sha256[:32])


def authorise(db: sqlite3.Connection, caller: Caller, *, template: str, account_id: str, write: bool) -> None:
    """Refuse what this caller may not do on this path. `verify` judges by itself."""
    if template.startswith("/user/"):
        return
    if caller.kind == "expired":
        raise RefusalError(401, 9109, "Invalid access token")
    # Field notes, Access: an account-owned token fails on every /builds/* path, while Workers paths take it.
    builds = template.startswith("/accounts/{account_id}/builds/")
    if builds and caller.kind in ("account", "invalid"):
        raise RefusalError(401, 12006, "Invalid token")
    if caller.kind == "invalid":
        raise RefusalError(401, 9109, "Invalid access token")
    row = db.execute("SELECT value FROM meta WHERE key = 'account_id'").fetchone()
    if row is not None and row["value"] != account_id:
        raise RefusalError(403, 10000, "Authentication error")
    if write and caller.kind == "read-only":
        raise RefusalError(403, 10000, "Authentication error")


def verify(call: Call) -> Reply:
    """`GET /user/tokens/verify`: 200 for a user token, 401 / 1000 for any other (field notes, *Access*)."""
    if call.caller.kind not in ("user", "read-only"):
        raise RefusalError(401, 1000, "Invalid API Token")
    # An object, where the reference has strings in `messages` (field notes, Access: it may hold either).
    message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    return Reply(result={"id": call.caller.token_id, "status": "active"}, messages=(message,))


def remember(db: sqlite3.Connection, tokens: Mapping[str, str]) -> None:
    """Know these bearer tokens by kind. From then on any token that is not known is invalid."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('api_tokens', 'listed')")
    for token, kind in tokens.items():
        db.execute("INSERT OR REPLACE INTO api_tokens (sha256, kind) VALUES (?, ?)", (digest(token), kind))


def _kind(db: sqlite3.Connection, sha256: str) -> str:
    row = db.execute("SELECT kind FROM api_tokens WHERE sha256 = ?", (sha256,)).fetchone()
    if row is not None:
        return str(row["kind"])
    listed = db.execute("SELECT 1 FROM meta WHERE key = 'api_tokens'").fetchone()
    return "user" if listed is None else "invalid"
