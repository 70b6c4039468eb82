"""Finds what a seed refers to by name or UUID; SeedError where that is nothing, or more than one thing."""

import sqlite3
from collections.abc import Mapping, Sequence

from reconciler.sandbox.seed_shape import SeedError


def worker_of(db: sqlite3.Connection, where: str, name: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute("SELECT * FROM workers WHERE id = ?", (name,)).fetchone()
    if row is None:
        raise SeedError(f"{where}.worker: there is no Worker {name!r}")
    return row


def referred(where: str, field: str, references: Mapping[str, str], named: Sequence[tuple[str, str]]) -> str:
    """The UUID that a reference means; where it is left out, that of the only object there is."""
    uuid, name = references.get(f"{field}_uuid"), references.get(field)
    found = [each for each, its_name in named if (uuid is None or each == uuid) and (name is None or its_name == name)]
    if len(found) == 1:
        return found[0]
    wanted = uuid or name
    if wanted is None:
        raise SeedError(f"{where}: needs {field} or {field}_uuid, as there are {len(named)} to choose from")
    if not found:
        raise SeedError(f"{where}.{field}: there is no {wanted!r}")
    raise SeedError(f"{where}.{field}: {len(found)} have the name {wanted!r}, give {field}_uuid")
