"""Builds: the latest of Workers, those of versions, the list of a Worker, one, and its cancelling.

What a build shows of its state is read off its course by the clock: no read writes anything.
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox import build_course, connections, environment_variables, tokens, triggers
from reconciler.sandbox.build_course import Course
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, invalid_body, invalid_query, not_found
from reconciler.sandbox.pages import page_of

MOST_IDS = 20
# Field notes, Builds, logs, limits: these in reality, where the reference has push, pull_request, manual and api.
SOURCES = ("push_event", "manual", "retry", "deploy_hook")


def latest(call: Call) -> Reply:
    """`GET /builds/builds/latest`: by tag, the newest build of each Worker that has one.

    A Worker without any, and an id that is no Worker's, is left out: what the live API does is unknown.
    """
    builds = {}
    for tag in _ids(call.query, "external_script_ids"):
        row = call.db.execute(
            "SELECT * FROM builds WHERE external_script_id = ? ORDER BY created_on DESC, seq DESC LIMIT 1", (tag,)
        ).fetchone()
        if row is not None:
            builds[tag] = _shown(call.db, row, now=call.now)
    return Reply(result={"builds": builds})


def by_versions(call: Call) -> Reply:
    """`GET /builds/builds`: by version UUID, the build that made it. Unknown ones are left out."""
    builds = {}
    for version_id in _ids(call.query, "version_ids"):
        # There is no version before there was a deploy.
        row = call.db.execute(
            "SELECT * FROM builds WHERE version_id = ? AND stopped_on <= ? ORDER BY created_on DESC, seq DESC LIMIT 1",
            (version_id, call.now),
        ).fetchone()
        if row is not None:
            builds[version_id] = _shown(call.db, row, now=call.now)
    return Reply(result={"builds": builds})


def list_by_script(call: Call) -> Reply:
    """`GET /builds/workers/{tag}/builds`: newest first, in pages.

    A Worker's name, and any other tag that is none, has an empty list (field notes, *Workers*).
    """
    tag = call.path["external_script_id"]
    total = call.db.execute("SELECT count(*) FROM builds WHERE external_script_id = ?", (tag,)).fetchone()[0]
    page = page_of(call.query, total=total)
    rows = call.db.execute(
        "SELECT * FROM builds WHERE external_script_id = ? ORDER BY created_on DESC, seq DESC LIMIT ? OFFSET ?",
        (tag, page.per_page, page.offset),
    ).fetchall()
    return Reply(result=[_shown(call.db, row, now=call.now) for row in rows], result_info=page.info(count=len(rows)))


def get(call: Call) -> Reply:
    """`GET /builds/builds/{uuid}`."""
    return Reply(result=_shown(call.db, require(call), now=call.now))


def cancel(call: Call) -> Reply:
    """`PUT /builds/builds/{uuid}/cancel`, while it is not stopped."""
    row = require(call)
    course = course_of(row)
    if build_course.status_at(course, call.now) == "stopped":
        # That this is refused is sure, with which code is unknown: 12002 is what the API says to what cannot be.
        raise invalid_body()
    _write_course(call.db, row["build_uuid"], build_course.cancelled(course, now=call.now))
    return Reply(result={"build_outcome": "cancelled", "build_uuid": row["build_uuid"], "stopped_on": call.now})


def require(call: Call) -> sqlite3.Row:
    """The build that the path names, or 12000."""
    row: sqlite3.Row | None = find(call.db, call.path["build_uuid"])
    if row is None:
        raise not_found()
    return row


def find(db: sqlite3.Connection, uuid: str) -> Any:
    """The row of this build, or None."""
    return db.execute("SELECT * FROM builds WHERE build_uuid = ?", (uuid,)).fetchone()


def embedded(db: sqlite3.Connection, trigger: sqlite3.Row) -> dict[str, Any]:
    """The part of a build's metadata that comes from its trigger, as that is now; secrets have no value."""
    connection = connections.show(db, trigger["repo_connection_uuid"])
    return {
        **{name: trigger[name] for name in ("build_command", "deploy_command", "root_directory", "build_token_uuid")},
        "build_token_name": tokens.name_of(db, trigger["build_token_uuid"]),
        "environment_variables": environment_variables.shown(db, trigger["trigger_uuid"]),
        **{name: connection[name] for name in ("provider_account_name", "provider_type", "repo_name")},
    }


def insert(
    db: sqlite3.Connection,
    *,
    uuid: str,
    tag: str,
    trigger_uuid: str | None,
    metadata: Mapping[str, Any],
    version_id: str | None,
    created_on: str,
    course: Course,
    seeded_from: str | None = None,
) -> None:
    """Add a build, or replace the one with this UUID, which only seeding asks for."""
    db.execute(
        "INSERT OR REPLACE INTO builds (build_uuid, external_script_id, trigger_uuid, metadata, version_id,"
        " created_on, outcome, log, seeded_from) VALUES (?, ?, ?, ?, ?, ?, '', '', ?)",
        (uuid, tag, trigger_uuid, json.dumps(metadata), version_id, created_on, seeded_from),
    )
    _write_course(db, uuid, course)


def course_of(row: sqlite3.Row) -> Course:
    return Course(
        initializing_on=row["initializing_on"],
        running_on=row["running_on"],
        stopped_on=row["stopped_on"],
        outcome=row["outcome"],
        log=tuple((when, line) for when, line in json.loads(row["log"])),
    )


def _write_course(db: sqlite3.Connection, uuid: str, course: Course) -> None:
    db.execute(
        "UPDATE builds SET initializing_on = ?, running_on = ?, stopped_on = ?, outcome = ?, log = ?"
        " WHERE build_uuid = ?",
        (course.initializing_on, course.running_on, course.stopped_on, course.outcome, json.dumps(course.log), uuid),
    )


def _ids(query: Mapping[str, str], name: str) -> list[str]:
    """The ids in a comma-separated list: at least one, at most 20, or 12013."""
    # A stray surrogate names nothing, and SQLite could not even look for it.
    value = query.get(name, "").encode("utf-8", "replace").decode()
    ids = [each.strip() for each in value.split(",") if each.strip()]
    if not 1 <= len(ids) <= MOST_IDS:
        raise invalid_query()
    return ids


def _shown(db: sqlite3.Connection, row: sqlite3.Row, *, now: str) -> dict[str, Any]:
    """A build as the API shows it at this time."""
    course = course_of(row)
    status = build_course.status_at(course, now)
    marks = {name: getattr(course, name) for name in ("initializing_on", "running_on", "stopped_on")}
    reached = {name: mark if mark is not None and mark <= now else None for name, mark in marks.items()}
    return {
        "build_outcome": course.outcome if status == "stopped" else None,
        "build_trigger_metadata": json.loads(row["metadata"]),
        "build_uuid": row["build_uuid"],
        "created_on": row["created_on"],
        **reached,
        "modified_on": max(mark for mark in (row["created_on"], *reached.values()) if mark),
        "pull_request": None,
        "status": status,
        "trigger": _trigger(db, row),
    }


def _trigger(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any] | None:
    """The trigger as it is now, or as it was when it was deleted; the reference has it without its token."""
    live = triggers.find(db, row["trigger_uuid"]) if row["trigger_uuid"] is not None else None
    if live is None and row["trigger_left"] is None:
        return None
    shown = json.loads(row["trigger_left"]) if live is None else triggers.shown(db, live)
    return {name: value for name, value in shown.items() if name not in ("build_token_name", "build_token_uuid")}
