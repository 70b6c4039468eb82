"""Environment variables of a trigger: list, merging upsert, delete. Secrets are written, never read."""

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.body import Check, checked, is_flag, json_object, text
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, invalid_body, not_found
from reconciler.sandbox.triggers import require

# Field notes, Environment variables: key pattern, length of a value, number of variables of a trigger.
KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MOST_VARIABLES = 64
# Null fails the check, as the notes warn. The reference calls `value` optional without saying what leaving it
# out would mean, and the notes advise to send both fields: so both are required here.
FIELDS: Mapping[str, Check] = {"is_secret": is_flag, "value": text(at_most=5000)}


def list_all(call: Call) -> Reply:
    """`GET /builds/triggers/{uuid}/environment_variables`."""
    require(call)
    return Reply(result=shown(call.db, call.path["trigger_uuid"]))


def upsert(call: Call) -> Reply:
    """`PATCH /builds/triggers/{uuid}/environment_variables`: merges all of the body or nothing.

    Answers the whole map, as the list would.
    """
    require(call)
    trigger_uuid = call.path["trigger_uuid"]
    written = {key: _checked(key, value) for key, value in json_object(call.body).items()}
    if len(shown(call.db, trigger_uuid).keys() | written.keys()) > MOST_VARIABLES:
        raise invalid_body()
    for key, fields in written.items():
        write(call.db, trigger_uuid, key, is_secret=fields["is_secret"], value=fields["value"], now=call.now)
    return Reply(result=shown(call.db, trigger_uuid))


def delete(call: Call) -> Reply:
    """`DELETE /builds/triggers/{uuid}/environment_variables/{key}`."""
    require(call)
    changed = call.db.execute(
        "DELETE FROM environment_variables WHERE trigger_uuid = ? AND key = ?",
        (call.path["trigger_uuid"], call.path["environment_variable_key"]),
    )
    if changed.rowcount == 0:
        raise not_found()
    return Reply(result=None)


def write(db: sqlite3.Connection, trigger_uuid: str, key: str, *, is_secret: bool, value: str, now: str) -> None:
    """Set one variable. `created_on` is renewed by each write (field notes: one capture suggests it)."""
    db.execute(
        "INSERT OR REPLACE INTO environment_variables (trigger_uuid, key, is_secret, value, created_on)"
        " VALUES (?, ?, ?, ?, ?)",
        (trigger_uuid, key, is_secret, None if is_secret else value, now),
    )


def find(db: sqlite3.Connection, trigger_uuid: str, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM environment_variables WHERE trigger_uuid = ? AND key = ?", (trigger_uuid, key)
    ).fetchone()
    return row


def _checked(key: str, value: object) -> dict[str, Any]:
    if not KEY.fullmatch(key) or not isinstance(value, dict):
        raise invalid_body()
    return checked(value, FIELDS, required=FIELDS)


def shown(db: sqlite3.Connection, trigger_uuid: str) -> dict[str, Any]:
    """The map as the API shows it; a secret's value is null for ever."""
    rows = db.execute(
        "SELECT * FROM environment_variables WHERE trigger_uuid = ? ORDER BY key", (trigger_uuid,)
    ).fetchall()
    return {
        row["key"]: {"created_on": row["created_on"], "is_secret": bool(row["is_secret"]), "value": row["value"]}
        for row in rows
    }
