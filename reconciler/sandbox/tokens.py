"""Build tokens: create, paginated list, delete. There is no update, and no operation shows a secret."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.body import Check, checked, json_object, text
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, not_found
from reconciler.sandbox.pages import page_of

FIELDS: Mapping[str, Check] = {
    "build_token_name": text(at_least=1),
    "build_token_secret": text(at_least=1),
    "cloudflare_token_id": text(at_least=1),
}


def create(call: Call) -> Reply:
    """`POST /builds/tokens`. Names are not unique (field notes, *Build tokens*). The secret is not kept."""
    fields = checked(json_object(call.body), FIELDS, required=FIELDS)
    uuid = call.new_uuid()
    put(call.db, uuid=uuid, name=fields["build_token_name"], token_id=fields["cloudflare_token_id"])
    row = call.db.execute("SELECT * FROM build_tokens WHERE build_token_uuid = ?", (uuid,)).fetchone()
    return Reply(result=_shown(row))


def list_all(call: Call) -> Reply:
    """`GET /builds/tokens`: oldest first, in pages."""
    total = call.db.execute("SELECT count(*) FROM build_tokens WHERE deleted_on IS NULL").fetchone()[0]
    page = page_of(call.query, total=total)
    rows = call.db.execute(
        "SELECT * FROM build_tokens WHERE deleted_on IS NULL ORDER BY seq LIMIT ? OFFSET ?",
        (page.per_page, page.offset),
    ).fetchall()
    return Reply(result=[_shown(row) for row in rows], result_info=page.info(count=len(rows)))


def delete(call: Call) -> Reply:
    """`DELETE /builds/tokens/{uuid}`. One in use goes too, and its triggers go on naming it.

    Field notes, *Build tokens*: the answer may be "ok" where the reference says null, and with a dead token
    the configuration looks fine while builds fail.
    """
    changed = call.db.execute(
        "UPDATE build_tokens SET deleted_on = ? WHERE build_token_uuid = ? AND deleted_on IS NULL",
        (call.now, call.path["build_token_uuid"]),
    )
    if changed.rowcount == 0:
        raise not_found()
    return Reply(result="ok")


def put(db: sqlite3.Connection, *, uuid: str, name: str, token_id: str) -> None:
    """Have a live token with this UUID. An existing one is overwritten, which only seeding asks for."""
    db.execute(
        "INSERT INTO build_tokens (build_token_uuid, build_token_name, cloudflare_token_id) VALUES (?, ?, ?)"
        " ON CONFLICT (build_token_uuid) DO UPDATE SET build_token_name = excluded.build_token_name,"
        " cloudflare_token_id = excluded.cloudflare_token_id, deleted_on = NULL",
        (uuid, name, token_id),
    )


def mark_dead(db: sqlite3.Connection, uuid: str, dead: bool) -> None:
    """The Cloudflare token behind it was rolled or has expired: listed as before, while builds with it fail."""
    db.execute("UPDATE build_tokens SET dead = ? WHERE build_token_uuid = ?", (dead, uuid))


def works(db: sqlite3.Connection, uuid: str) -> bool:
    """Whether a build can run on it: not deleted, and not dead."""
    found = db.execute(
        "SELECT 1 FROM build_tokens WHERE build_token_uuid = ? AND deleted_on IS NULL AND NOT dead", (uuid,)
    )
    return found.fetchone() is not None


def is_live(db: sqlite3.Connection, uuid: str) -> bool:
    found = db.execute("SELECT 1 FROM build_tokens WHERE build_token_uuid = ? AND deleted_on IS NULL", (uuid,))
    return found.fetchone() is not None


def name_of(db: sqlite3.Connection, uuid: str) -> str:
    """The name that a trigger shows beside the UUID, also after the token was deleted."""
    found = db.execute("SELECT build_token_name FROM build_tokens WHERE build_token_uuid = ?", (uuid,))
    return str(found.fetchone()["build_token_name"])


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "build_token_name": row["build_token_name"],
        "build_token_uuid": row["build_token_uuid"],
        "cloudflare_token_id": row["cloudflare_token_id"],
        "owner_type": "user",
    }
