"""Keeps the stand-in's whole state in one SQLite database, and gives each request its transaction.

Values of secrets and of build tokens are never stored: no operation can read them back, so there is no use in
keeping them. API tokens are stored as SHA-256 only.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Says "this file is ours" in the SQLite header, so that another program's database is refused, not altered.
APPLICATION_ID = 0x62756C64
VERSION = 2
BUSY_SECONDS = 30.0

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE api_tokens (sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL)",
    """CREATE TABLE workers (
        tag TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, etag TEXT NOT NULL, newer_surface INTEGER NOT NULL,
        created_on TEXT NOT NULL, modified_on TEXT NOT NULL)""",
    # Connections and build tokens are marked deleted, not dropped: a trigger goes on showing the one it has.
    """CREATE TABLE connections (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, repo_connection_uuid TEXT NOT NULL UNIQUE,
        provider_type TEXT NOT NULL, provider_account_id TEXT NOT NULL, provider_account_name TEXT NOT NULL,
        repo_id TEXT NOT NULL, repo_name TEXT NOT NULL,
        created_on TEXT NOT NULL, modified_on TEXT NOT NULL, deleted_on TEXT)""",
    """CREATE UNIQUE INDEX connection_key ON connections (provider_type, repo_id) WHERE deleted_on IS NULL""",
    """CREATE TABLE build_tokens (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, build_token_uuid TEXT NOT NULL UNIQUE,
        build_token_name TEXT NOT NULL, cloudflare_token_id TEXT NOT NULL, deleted_on TEXT)""",
    """CREATE TABLE triggers (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, trigger_uuid TEXT NOT NULL UNIQUE,
        external_script_id TEXT NOT NULL REFERENCES workers, trigger_name TEXT NOT NULL,
        branch_includes TEXT NOT NULL, branch_excludes TEXT NOT NULL,
        path_includes TEXT NOT NULL, path_excludes TEXT NOT NULL,
        build_command TEXT, deploy_command TEXT, root_directory TEXT, build_caching_enabled INTEGER NOT NULL,
        build_token_uuid TEXT NOT NULL REFERENCES build_tokens (build_token_uuid),
        repo_connection_uuid TEXT NOT NULL REFERENCES connections (repo_connection_uuid),
        created_on TEXT NOT NULL, modified_on TEXT NOT NULL, deleted_on TEXT)""",
    "CREATE INDEX trigger_worker ON triggers (external_script_id)",
    """CREATE TABLE environment_variables (
        trigger_uuid TEXT NOT NULL REFERENCES triggers (trigger_uuid) ON DELETE CASCADE,
        key TEXT NOT NULL, is_secret INTEGER NOT NULL, value TEXT, created_on TEXT NOT NULL,
        PRIMARY KEY (trigger_uuid, key)) WITHOUT ROWID""",
)
# What version 2 added: a file of version 1 gets it when it is opened.
ADDED_IN_2 = (
    "ALTER TABLE build_tokens ADD COLUMN dead INTEGER NOT NULL DEFAULT 0",
    # Null in `branches` is any branch, null in `root_directories` any folder.
    """CREATE TABLE repositories (
        provider_type TEXT NOT NULL, provider_account_id TEXT NOT NULL, repo_id TEXT NOT NULL,
        branches TEXT, root_directories TEXT,
        PRIMARY KEY (provider_type, provider_account_id, repo_id)) WITHOUT ROWID""",
    # The whole course of a build is written when it is made: when it reaches each state (null: never), how it
    # ends, what it logs when. Reads hold that against the clock, so that no read has to write.
    # `trigger_left` is what is shown of a trigger that was deleted; null while it is there.
    """CREATE TABLE builds (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, build_uuid TEXT NOT NULL UNIQUE,
        external_script_id TEXT NOT NULL REFERENCES workers, trigger_uuid TEXT, trigger_left TEXT,
        metadata TEXT NOT NULL, version_id TEXT, created_on TEXT NOT NULL,
        initializing_on TEXT, running_on TEXT, stopped_on TEXT, outcome TEXT NOT NULL, log TEXT NOT NULL,
        seeded_from TEXT)""",
    "CREATE INDEX build_worker ON builds (external_script_id, created_on)",
    "CREATE INDEX build_version ON builds (version_id)",
    "CREATE INDEX build_trigger ON builds (trigger_uuid)",
)


class StoreError(ValueError):
    """The file cannot be used as the stand-in's data; the message says why."""


class Store:
    """One connection, used by one thread at a time. Other processes may have the same file open."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lock = threading.Lock()
        try:
            # Autocommit, so that nothing but `transaction` opens or ends a transaction.
            self._db = sqlite3.connect(
                os.fspath(path), timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StoreError(f"{os.fspath(path)}: {error}") from error
        try:
            self._prepare(os.fspath(path))
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreError(f"{os.fspath(path)}: {error}") from error
        except StoreError:
            self._db.close()
            raise

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """All or nothing: commits at the end, rolls back on any exception.

        A write takes the file's write lock at once. If it began as a read, two processes could each hold a
        read lock and wait for the other to let go.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _prepare(self, path: str) -> None:
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA foreign_keys = ON")
        # A killed process loses nothing either way; only a power cut could, and a stand-in may lose to that.
        self._db.execute("PRAGMA synchronous = OFF")
        with self.transaction(write=True) as db:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if application == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                _write(db, SCHEMA + ADDED_IN_2)
            elif application != APPLICATION_ID:
                raise StoreError(f"{path}: this database was not made by the sandbox")
            elif version == 1:
                _write(db, ADDED_IN_2)
            elif version != VERSION:
                raise StoreError(
                    f"{path}: its data has version {version}, this program reads {VERSION}: start a new file"
                )


def _write(db: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        db.execute(statement)
    # A PRAGMA takes no parameters; both values are constants of this module.
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
