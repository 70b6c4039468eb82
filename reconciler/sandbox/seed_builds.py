"""Writes a seed's repositories, limits and builds into the store; the same build again changes nothing."""

import sqlite3
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox import build_course, build_troubles, builds, connections, repositories, times, triggers
from reconciler.sandbox.build_course import Course
from reconciler.sandbox.manual_builds import head_of
from reconciler.sandbox.seed_build_document import BuildSeed, RepositorySeed
from reconciler.sandbox.seed_references import referred, worker_of

# A build that was seeded without a UUID has the same one on every run.
_NAMESPACE = uuid.UUID("5d9c1b5e-6a0e-4b0c-9a51-7d1f0c6f2a11")
# How old a build is that was seeded without an age: it has just come to where it stands.
_AGES = {"queued": 0, "initializing": build_course.INITIALIZING, "running": build_course.RUNNING}
_DEFAULT_COMMIT = {"author": "developer@example.com", "commit_message": "Change something"}
# What a build embeds on a Worker of the newer surface, which has no trigger.
_WITHOUT_TRIGGER: Mapping[str, Any] = {
    "build_command": "",
    "deploy_command": "npx wrangler deploy",
    "root_directory": "/",
    "build_token_uuid": None,
    "build_token_name": None,
    "environment_variables": {},
    "provider_account_name": None,
    "provider_type": None,
    "repo_name": None,
}


def plant_repositories(db: sqlite3.Connection, seeds: Sequence[RepositorySeed]) -> None:
    repositories.know(db)
    for seed in seeds:
        repositories.put(db, seed.key, branches=seed.branches, root_directories=seed.root_directories)


def plant_builds(db: sqlite3.Connection, seeds: Sequence[BuildSeed], *, now: str) -> None:
    """Add builds, the oldest first as they stand; one whose description changed is made anew under its UUID."""
    alike: Counter[str] = Counter()
    for seed in seeds:
        alike[seed.digest] += 1
        its_uuid = seed.uuid or str(uuid.uuid5(_NAMESPACE, f"{seed.digest} {alike[seed.digest]}"))
        row = builds.find(db, its_uuid)
        if row is None or row["seeded_from"] != seed.digest:
            _plant_build(db, seed, its_uuid=its_uuid, now=now)


def _plant_build(db: sqlite3.Connection, seed: BuildSeed, *, its_uuid: str, now: str) -> None:
    worker = worker_of(db, seed.where, seed.worker)
    trigger = _trigger_of(db, seed, worker)
    connection = connections.show(db, trigger["repo_connection_uuid"]) if trigger else None
    age = _AGES.get(seed.status or "", build_course.STOPPED) if seed.age is None else seed.age
    created_on = seed.created_on or times.after(now, -age)
    metadata = _metadata(db, seed, trigger=trigger, connection=connection, created_on=created_on)
    trouble = build_troubles.find(db, tag=worker["tag"], metadata=metadata, connection=connection)
    version_id = seed.version_id or str(uuid.uuid5(_NAMESPACE, f"version {its_uuid}"))
    if seed.status in _AGES:
        plan = build_course.course(created_on, metadata, outcome="success")
    else:
        plan = build_course.course(created_on, metadata, version_id=version_id, outcome=seed.outcome, trouble=trouble)
    if seed.status is not None:
        plan = build_course.held(plan, seed.status, created_on=created_on, now=now)
    if seed.log is not None:
        plan = build_course.with_log(plan, seed.log, created_on=created_on)
    builds.insert(
        db,
        uuid=its_uuid,
        tag=worker["tag"],
        trigger_uuid=trigger["trigger_uuid"] if trigger else None,
        metadata=metadata,
        version_id=version_id if seed.version_id or _makes_a_version(plan) else None,
        created_on=created_on,
        course=plan,
        seeded_from=seed.digest,
    )


def _makes_a_version(plan: Course) -> bool:
    return plan.outcome == "success" and plan.stopped_on is not None


def _metadata(
    db: sqlite3.Connection,
    seed: BuildSeed,
    *,
    trigger: sqlite3.Row | None,
    connection: Mapping[str, Any] | None,
    created_on: str,
) -> dict[str, Any]:
    """What the build embedded: its trigger's settings as they are now, but for what the seed says otherwise."""
    metadata = {**(builds.embedded(db, trigger) if trigger else _WITHOUT_TRIGGER), **seed.overrides}
    if seed.overrides.get("build_token_uuid") and "build_token_name" not in seed.overrides:
        metadata["build_token_name"] = _name_of(db, seed.overrides["build_token_uuid"])
    if seed.variables is not None:
        metadata["environment_variables"] = {
            each.key: {
                "created_on": created_on,
                "is_secret": each.is_secret,
                "value": None if each.is_secret else each.value,
            }
            for each in seed.variables
        }
    metadata |= {**_DEFAULT_COMMIT, "branch": _branch_of(trigger), **seed.commit, "build_trigger_source": seed.source}
    repo_id = connection["repo_id"] if connection else ""
    return {"commit_hash": head_of(repo_id, metadata["branch"] or ""), **metadata}


def _name_of(db: sqlite3.Connection, token_uuid: str | None) -> str | None:
    row = db.execute("SELECT build_token_name FROM build_tokens WHERE build_token_uuid = ?", (token_uuid,)).fetchone()
    return None if row is None else str(row["build_token_name"])


def _branch_of(trigger: sqlite3.Row | None) -> str:
    """A branch that the trigger builds."""
    if trigger is None:
        return "main"
    settings = triggers.settings_of(trigger)
    if triggers.kind(settings) == "preview":
        return "feature"
    return str(next(iter(settings["branch_includes"]), "main"))


def _trigger_of(db: sqlite3.Connection, seed: BuildSeed, worker: sqlite3.Row) -> sqlite3.Row | None:
    """The trigger that the seed means; None where the newer surface has its Worker build without any."""
    rows = db.execute("SELECT * FROM triggers WHERE external_script_id = ? ORDER BY seq", (worker["tag"],)).fetchall()
    # A soft-deleted one is meant only where it is named.
    named = [(row["trigger_uuid"], row["trigger_name"]) for row in rows if seed.references or row["deleted_on"] is None]
    if not named and not seed.references and worker["newer_surface"]:
        return None
    its_uuid = referred(seed.where, "trigger", seed.references, named)
    found: sqlite3.Row = next(row for row in rows if row["trigger_uuid"] == its_uuid)
    return found
