"""Triggers: list by script, create, update, delete, purge the build cache, with all of the API's rules."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox import connections, tokens, workers
from reconciler.sandbox.body import Check, checked, is_flag, is_text, is_texts, json_object, text
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, invalid_body, kind_taken, not_found, too_many_triggers

LISTS = ("branch_excludes", "branch_includes", "path_excludes", "path_includes")

# Field notes, Triggers: an empty build command means no build step, an empty deploy command is refused.
PATCHABLE: Mapping[str, Check] = {
    "branch_excludes": is_texts,
    "branch_includes": is_texts,
    "build_caching_enabled": is_flag,
    "build_command": text(at_most=512),
    "build_token_uuid": is_text,
    "deploy_command": text(at_least=1, at_most=512),
    "path_excludes": is_texts,
    "path_includes": is_texts,
    "root_directory": text(at_most=256),
    "trigger_name": is_text,
}
CREATABLE: Mapping[str, Check] = {**PATCHABLE, "external_script_id": is_text, "repo_connection_uuid": is_text}
REQUIRED = CREATABLE.keys() - {"build_caching_enabled"}
MOST_TRIGGERS = 2


def list_by_script(call: Call) -> Reply:
    """`GET /builds/workers/{tag}/triggers`: unpaginated, oldest first, an empty list where there is none."""
    tag = call.path["external_script_id"]
    workers.require(call.db, tag)
    rows = call.db.execute("SELECT * FROM triggers WHERE external_script_id = ? ORDER BY seq", (tag,)).fetchall()
    return Reply(result=[shown(call.db, row) for row in rows])


def create(call: Call) -> Reply:
    """`POST /builds/triggers`: checks the fields, what they refer to, then the Worker's other triggers."""
    fields = checked(json_object(call.body), CREATABLE, required=REQUIRED)
    _check_branches(fields)
    workers.require(call.db, fields["external_script_id"])
    if not connections.is_live(call.db, fields["repo_connection_uuid"]):
        raise invalid_body()
    if not tokens.is_live(call.db, fields["build_token_uuid"]):
        raise invalid_body()
    others = _live(call.db, fields["external_script_id"])
    if len(others) >= MOST_TRIGGERS:
        raise too_many_triggers()
    if kind(fields) in [kind(settings_of(row)) for row in others]:
        raise kind_taken()
    uuid = call.new_uuid()
    # The default of build_caching_enabled differs between surfaces (field notes, Triggers); here it is off.
    insert(call.db, uuid, {"build_caching_enabled": False, **fields}, created_on=call.now)
    return Reply(result=shown(call.db, find(call.db, uuid)))


def update(call: Call) -> Reply:
    """`PATCH /builds/triggers/{uuid}`: a true partial update that answers the whole trigger.

    Fields that cannot be patched, and unknown ones, are dropped in silence; only the echo shows it (field
    notes, *Triggers*). `environment_variables` is the exception that is refused (*Error codes*).
    """
    row = require(call)
    body = json_object(call.body)
    if "environment_variables" in body:
        raise invalid_body()
    sent = checked({name: value for name, value in body.items() if name in PATCHABLE}, PATCHABLE, required=())
    before = settings_of(row)
    after = {**before, **sent}
    # Only filters that are sent: a live one in a shape that is refused today does not block other fields.
    if sent.keys() & {"branch_includes", "branch_excludes"}:
        _check_branches(after)
    if "build_token_uuid" in sent and not tokens.is_live(call.db, sent["build_token_uuid"]):
        raise invalid_body()
    others = [other for other in _live(call.db, row["external_script_id"]) if other["seq"] != row["seq"]]
    if kind(after) != kind(before) and kind(after) in [kind(settings_of(other)) for other in others]:
        raise kind_taken()
    write(call.db, row["trigger_uuid"], after, modified_on=call.now)
    return Reply(result=shown(call.db, find(call.db, row["trigger_uuid"])))


def delete(call: Call) -> Reply:
    """`DELETE /builds/triggers/{uuid}`: its variables go with it, secrets included."""
    row = require(call)
    # Its builds stay, and go on showing it. What becomes of one that is under way is unknown; here it goes on.
    left = json.dumps({**shown(call.db, row), "deleted_on": call.now})
    call.db.execute("UPDATE builds SET trigger_left = ? WHERE trigger_uuid = ?", (left, row["trigger_uuid"]))
    call.db.execute("DELETE FROM triggers WHERE seq = ?", (row["seq"],))
    return Reply(result=None)


def purge_cache(call: Call) -> Reply:
    """`POST /builds/triggers/{uuid}/purge_build_cache`: without a cache, only the trigger is checked."""
    require(call)
    return Reply(result=None)


def require(call: Call) -> sqlite3.Row:
    """The live trigger that the path names, or 12000."""
    row: sqlite3.Row | None = find(call.db, call.path["trigger_uuid"])
    if row is None or row["deleted_on"] is not None:
        raise not_found()
    return row


def kind(settings: Mapping[str, Any]) -> str:
    """A trigger is of the preview kind where `*` is among its branch_includes (field notes, *Triggers*)."""
    return "preview" if "*" in settings["branch_includes"] else "production"


def insert(
    db: sqlite3.Connection, uuid: str, fields: Mapping[str, Any], *, created_on: str, deleted_on: str | None = None
) -> None:
    """Add a trigger with all of the fields in CREATABLE, checked by the caller."""
    db.execute(
        "INSERT INTO triggers (trigger_uuid, external_script_id, trigger_name, branch_includes,"
        " branch_excludes, path_includes, path_excludes, build_command, deploy_command, root_directory,"
        " build_caching_enabled, build_token_uuid, repo_connection_uuid, created_on, modified_on, deleted_on)"
        " VALUES (:trigger_uuid, :external_script_id, :trigger_name, :branch_includes, :branch_excludes,"
        " :path_includes, :path_excludes, :build_command, :deploy_command, :root_directory,"
        " :build_caching_enabled, :build_token_uuid, :repo_connection_uuid, :created_on, :created_on,"
        " :deleted_on)",
        {**_columns(fields), "trigger_uuid": uuid, "created_on": created_on, "deleted_on": deleted_on},
    )


def write(db: sqlite3.Connection, uuid: str, settings: Mapping[str, Any], *, modified_on: str) -> None:
    """Replace a trigger's settings: all of the fields in PATCHABLE, checked by the caller."""
    db.execute(
        "UPDATE triggers SET trigger_name = :trigger_name, branch_includes = :branch_includes,"
        " branch_excludes = :branch_excludes, path_includes = :path_includes, path_excludes = :path_excludes,"
        " build_command = :build_command, deploy_command = :deploy_command, root_directory = :root_directory,"
        " build_caching_enabled = :build_caching_enabled, build_token_uuid = :build_token_uuid,"
        " modified_on = :modified_on WHERE trigger_uuid = :trigger_uuid",
        {**_columns(settings), "trigger_uuid": uuid, "modified_on": modified_on},
    )


def find(db: sqlite3.Connection, uuid: str) -> Any:
    """The row of this trigger, soft-deleted ones included, or None."""
    return db.execute("SELECT * FROM triggers WHERE trigger_uuid = ?", (uuid,)).fetchone()


def _check_branches(fields: Mapping[str, Any]) -> None:
    """The two shapes accepted today (field notes, *Triggers*): one concrete branch, or `["*"]` minus one."""
    includes, excludes = fields["branch_includes"], fields["branch_excludes"]
    concrete = excludes if includes == ["*"] else includes
    nothing_else = includes == ["*"] or excludes == []
    if not nothing_else or len(concrete) != 1 or not concrete[0] or "*" in concrete[0]:
        raise invalid_body()


def _live(db: sqlite3.Connection, tag: str) -> list[sqlite3.Row]:
    return db.execute("SELECT * FROM triggers WHERE external_script_id = ? AND deleted_on IS NULL", (tag,)).fetchall()


def settings_of(row: sqlite3.Row) -> dict[str, Any]:
    """The fields in PATCHABLE, with columns turned back into JSON's types."""
    settings = {name: json.loads(row[name]) if name in LISTS else row[name] for name in PATCHABLE}
    settings["build_caching_enabled"] = bool(row["build_caching_enabled"])
    return settings


def _columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if name in LISTS else value for name, value in fields.items()}


def shown(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A trigger as the API shows it: with its connection as that is now, and its token's name."""
    return {
        **settings_of(row),
        "build_token_name": tokens.name_of(db, row["build_token_uuid"]),
        "created_on": row["created_on"],
        "deleted_on": row["deleted_on"],
        "external_script_id": row["external_script_id"],
        "modified_on": row["modified_on"],
        "repo_connection": connections.show(db, row["repo_connection_uuid"]),
        "trigger_uuid": row["trigger_uuid"],
    }
