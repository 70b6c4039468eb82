"""Repositories as Builds sees them: what it can reach, and what it finds there for `config_autofill`.

One that the stand-in was not told about is reached and holds nothing; once it was told about any, only those
that it was told about are reached.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, invalid_query, not_found

PACKAGE_MANAGERS = ("npm", "yarn", "pnpm", "bun", "uv")
# What is found where there is nothing. Whether the live API answers null or leaves the fields out is unknown.
NOTHING: Mapping[str, Any] = {
    "config_file": None,
    "default_worker_name": None,
    "env_worker_names": {},
    "package_manager": None,
    "scripts": {},
}
KEY = ("provider_type", "provider_account_id", "repo_id")


def config_autofill(call: Call) -> Reply:
    """`GET /builds/repos/{provider_type}/{provider_account_id}/{repo_id}/config_autofill`.

    No branch is 12013; an unreachable repository, branch or root directory 12000 (field notes, *Error codes*).
    So is here an unknown provider type: what the live API says to that is unknown.
    """
    branch = call.query.get("branch", "")
    if not branch:
        raise invalid_query()
    found = look(call.db, call.path, branch=branch, root_directory=call.query.get("root_directory"))
    if found is None:
        raise not_found()
    return Reply(result=found)


def look(
    db: sqlite3.Connection, key: Mapping[str, str], *, branch: str | None, root_directory: str | None
) -> dict[str, Any] | None:
    """What is found there, in the fields of NOTHING; None where it cannot be reached.

    `key` holds the fields in KEY, and may hold others. Without a branch, any will do.
    """
    values = tuple(key[name] for name in KEY)
    row = db.execute(
        "SELECT * FROM repositories WHERE provider_type = ? AND provider_account_id = ? AND repo_id = ?", values
    ).fetchone()
    if row is None:
        listed = db.execute("SELECT 1 FROM meta WHERE key = 'repositories'").fetchone()
        return dict(NOTHING) if listed is None else None
    branches = None if row["branches"] is None else json.loads(row["branches"])
    if branch is not None and branches is not None and branch not in branches:
        return None
    folder = folder_of(root_directory)
    if row["root_directories"] is None:
        return dict(NOTHING)
    folders = json.loads(row["root_directories"])
    # The root is there in every repository, also where nothing was said of it.
    return {**NOTHING, **folders.get(folder, {})} if folder in folders or not folder else None


def folder_of(root_directory: str | None) -> str:
    """One name for a folder: outer slashes do not count, and the root is empty."""
    return (root_directory or "").strip("/")


def know(db: sqlite3.Connection) -> None:
    """From now on a repository that is not put is not reached."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('repositories', 'listed')")


def put(
    db: sqlite3.Connection,
    key: Mapping[str, str],
    *,
    branches: Collection[str] | None,
    root_directories: Mapping[str, Mapping[str, Any]] | None,
) -> None:
    """Have a repository; None is any branch, or any folder. Folders are named as `folder_of` does."""
    db.execute(
        "INSERT OR REPLACE INTO repositories (provider_type, provider_account_id, repo_id, branches, root_directories)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            *(key[name] for name in KEY),
            None if branches is None else json.dumps(list(branches)),
            None if root_directories is None else json.dumps(dict(root_directories)),
        ),
    )
