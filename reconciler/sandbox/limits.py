"""The account's limits: what is left of its build minutes."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply

# Field notes, Builds, logs, limits: both are null on a paid plan, which this account has unless it was told.
PAID: Mapping[str, Any] = {"build_minutes_refresh_on": None, "has_reached_build_minutes_limit": None}


def get(call: Call) -> Reply:
    """`GET /builds/account/limits`."""
    return Reply(result=of_account(call.db))


def of_account(db: sqlite3.Connection) -> dict[str, Any]:
    row = db.execute("SELECT value FROM meta WHERE key = 'limits'").fetchone()
    return {**PAID, **(json.loads(row["value"]) if row else {})}


def put(db: sqlite3.Connection, limits: Mapping[str, Any]) -> None:
    """Replace what is known of the limits; what `limits` leaves out is null."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('limits', ?)", (json.dumps(dict(limits)),))
