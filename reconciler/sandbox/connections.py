"""Repository connections: the upsert, the delete, and how a trigger shows one. There is no read operation."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.sandbox.body import Check, checked, json_object, one_of, text
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, not_found

# Field notes, Repository connections: the reference has github alone, Cloudflare's own tool also the others.
PROVIDER_TYPES = ("github", "gitlab", "gitlab_internal", "origin")

FIELDS: Mapping[str, Check] = {
    "provider_account_id": text(at_least=1),
    "provider_account_name": text(at_least=1),
    "provider_type": one_of(*PROVIDER_TYPES),
    "repo_id": text(at_least=1),
    "repo_name": text(at_least=1),
}


def put(call: Call) -> Reply:
    """`PUT /builds/repos/connections`: the same key, the same UUID; a new owner re-points it in place."""
    fields = checked(json_object(call.body), FIELDS, required=FIELDS)
    uuid = upsert(call.db, fields, now=call.now, new_uuid=call.new_uuid)
    return Reply(result=show(call.db, uuid))


def delete(call: Call) -> Reply:
    """`DELETE /builds/repos/connections/{uuid}`. One in use goes too: what really happens then is unknown."""
    changed = call.db.execute(
        "UPDATE connections SET deleted_on = ? WHERE repo_connection_uuid = ? AND deleted_on IS NULL",
        (call.now, call.path["repo_connection_uuid"]),
    )
    if changed.rowcount == 0:
        raise not_found()
    return Reply(result=None)


def upsert(db: sqlite3.Connection, fields: Mapping[str, Any], *, now: str, new_uuid: Callable[[], str]) -> str:
    """Write a connection under its natural key, (provider type, repository id); returns its UUID."""
    live = find(db, provider_type=fields["provider_type"], repo_id=fields["repo_id"])
    values = {**fields, "now": now}
    if live is not None:
        uuid = str(live["repo_connection_uuid"])
        db.execute(
            "UPDATE connections SET provider_account_id = :provider_account_id,"
            " provider_account_name = :provider_account_name, repo_name = :repo_name, modified_on = :now"
            " WHERE repo_connection_uuid = :uuid",
            {**values, "uuid": uuid},
        )
        return uuid
    uuid = new_uuid()
    db.execute(
        "INSERT INTO connections (repo_connection_uuid, provider_type, provider_account_id,"
        " provider_account_name, repo_id, repo_name, created_on, modified_on)"
        " VALUES (:uuid, :provider_type, :provider_account_id, :provider_account_name, :repo_id, :repo_name,"
        " :now, :now)",
        {**values, "uuid": uuid},
    )
    return uuid


def find(db: sqlite3.Connection, *, provider_type: str, repo_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM connections WHERE provider_type = ? AND repo_id = ? AND deleted_on IS NULL",
        (provider_type, repo_id),
    ).fetchone()
    return row


def is_live(db: sqlite3.Connection, uuid: str) -> bool:
    found = db.execute("SELECT 1 FROM connections WHERE repo_connection_uuid = ? AND deleted_on IS NULL", (uuid,))
    return found.fetchone() is not None


def show(db: sqlite3.Connection, uuid: str) -> dict[str, Any]:
    """A connection as the API shows it, a deleted one too: `deleted_on` tells."""
    row = db.execute("SELECT * FROM connections WHERE repo_connection_uuid = ?", (uuid,)).fetchone()
    return {name: row[name] for name in row.keys() if name != "seq"}  # noqa: SIM118 - a Row iterates over values
