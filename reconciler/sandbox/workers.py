"""Workers as the stand-in knows them: the account's list, one service, and the newer build surface."""

import hashlib
import sqlite3
from typing import Any

from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, no_build_configuration, unknown_worker


def list_scripts(call: Call) -> Reply:
    """`GET /workers/scripts`: every Worker in one answer, unpaginated (field notes, *Workers*)."""
    rows = call.db.execute("SELECT * FROM workers ORDER BY id").fetchall()
    return Reply(result=[_script(row) for row in rows])


def get_service(call: Call) -> Reply:
    """`GET /workers/services/{name}`: here a name is what belongs, and the tag is found in the answer."""
    row = call.db.execute("SELECT * FROM workers WHERE id = ?", (call.path["service_name"],)).fetchone()
    if row is None:
        raise unknown_worker()
    times = {"created_on": row["created_on"], "modified_on": row["modified_on"]}
    environment = {"environment": "production", **times, "script": _script(row)}
    return Reply(result={"id": row["id"], **times, "default_environment": environment})


def get_build_configuration(call: Call) -> Reply:
    """`GET /builds/workers/{tag}`: the newer surface, on which a Worker builds without any trigger.

    Field notes, *Triggers*: such a Worker lists no trigger while builds run. Any other one is 12040.
    """
    row = require(call.db, call.path["external_script_id"])
    if not row["newer_surface"]:
        raise no_build_configuration()
    times = {"created_on": row["created_on"], "modified_on": row["modified_on"]}
    return Reply(result={"external_script_id": row["tag"], **times})


def require(db: sqlite3.Connection, tag: str) -> sqlite3.Row:
    """The Worker with this tag. A name is no tag, not even that of a Worker that exists: 10007."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM workers WHERE tag = ?", (tag,)).fetchone()
    if row is None:
        raise unknown_worker()
    return row


def derived_tag(name: str) -> str:
    """A tag for a Worker that was seeded without one: 32 lower-case hex digits, the same on every run."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def insert(db: sqlite3.Connection, *, name: str, tag: str, newer_surface: bool, now: str) -> None:
    db.execute(
        "INSERT INTO workers (tag, id, etag, newer_surface, created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?)",
        (tag, name, hashlib.sha256(f"etag {name}".encode()).hexdigest(), newer_surface, now, now),
    )


def _script(row: sqlite3.Row) -> dict[str, Any]:
    # `etag` and `tags` are there to be mistaken for `tag`, as they are in the live API.
    return {
        "id": row["id"],
        "tag": row["tag"],
        "etag": row["etag"],
        "tags": [],
        "created_on": row["created_on"],
        "modified_on": row["modified_on"],
        "handlers": ["fetch"],
        "usage_model": "standard",
    }
