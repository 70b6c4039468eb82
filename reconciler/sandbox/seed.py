"""Writes a checked seed document into the store, so that seeding the same document again changes nothing."""

import sqlite3
from collections.abc import Callable, Sequence

from reconciler.sandbox import access, connections, environment_variables, limits, tokens, triggers, workers
from reconciler.sandbox.seed_builds import plant_builds, plant_repositories
from reconciler.sandbox.seed_document import ConnectionSeed, SeedDocument, TokenSeed, TriggerSeed, WorkerSeed
from reconciler.sandbox.seed_references import referred, worker_of
from reconciler.sandbox.seed_shape import SeedError

NewUuid = Callable[[], str]


def plant(db: sqlite3.Connection, document: SeedDocument, *, now: str, new_uuid: NewUuid) -> None:
    """Add or update, never delete, in the caller's transaction; SeedError if a reference leads nowhere."""
    if document.account_id is not None:
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('account_id', ?)", (document.account_id,))
    if document.api_tokens is not None:
        access.remember(db, document.api_tokens)
    for worker in document.workers:
        _plant_worker(db, worker, now=now)
    for connection in document.connections:
        _plant_connection(db, connection, now=now, new_uuid=new_uuid)
    _plant_tokens(db, document.build_tokens, new_uuid=new_uuid)
    _plant_triggers(db, document.triggers, now=now, new_uuid=new_uuid)
    if document.limits is not None:
        limits.put(db, document.limits)
    if document.repositories is not None:
        plant_repositories(db, document.repositories)
    # The last, as a build embeds what there is by then.
    plant_builds(db, document.builds, now=now)


def _plant_worker(db: sqlite3.Connection, seed: WorkerSeed, *, now: str) -> None:
    row = db.execute("SELECT * FROM workers WHERE id = ?", (seed.id,)).fetchone()
    if row is None:
        if db.execute("SELECT 1 FROM workers WHERE tag = ?", (seed.tag,)).fetchone() is not None:
            raise SeedError(f"worker {seed.id}: another Worker has the tag {seed.tag}")
        workers.insert(db, name=seed.id, tag=seed.tag, newer_surface=bool(seed.newer_surface), now=now)
        return
    if seed.tag_given and seed.tag != row["tag"]:
        raise SeedError(f"worker {seed.id}: exists already, with the tag {row['tag']}")
    if seed.newer_surface is not None:
        db.execute("UPDATE workers SET newer_surface = ? WHERE id = ?", (seed.newer_surface, seed.id))


def _plant_connection(db: sqlite3.Connection, seed: ConnectionSeed, *, now: str, new_uuid: NewUuid) -> None:
    _revive_connection(db, seed)
    key = {name: seed.fields[name] for name in ("provider_type", "repo_id")}
    live = connections.find(db, **key)
    if live is not None and seed.uuid is not None and live["repo_connection_uuid"] != seed.uuid:
        raise SeedError(
            f"connection {seed.fields['provider_account_name']}/{seed.fields['repo_name']}:"
            f" exists already, with the UUID {live['repo_connection_uuid']}"
        )
    if live is None or any(live[name] != value for name, value in seed.fields.items()):
        connections.upsert(db, seed.fields, now=now, new_uuid=lambda: seed.uuid or new_uuid())


def _revive_connection(db: sqlite3.Connection, seed: ConnectionSeed) -> None:
    """A connection that was seeded with its UUID and deleted since comes back under that UUID."""
    row = db.execute("SELECT * FROM connections WHERE repo_connection_uuid = ?", (seed.uuid,)).fetchone()
    if row is None:
        return
    if (row["provider_type"], row["repo_id"]) != (seed.fields["provider_type"], seed.fields["repo_id"]):
        raise SeedError(f"the connection {seed.uuid} exists already, for another repository")
    if connections.find(db, provider_type=row["provider_type"], repo_id=row["repo_id"]) is None:
        db.execute("UPDATE connections SET deleted_on = NULL WHERE seq = ?", (row["seq"],))


def _plant_tokens(db: sqlite3.Connection, seeds: Sequence[TokenSeed], *, new_uuid: NewUuid) -> None:
    # Names are not unique, so each live token answers for one seed only.
    claimed = {seed.uuid for seed in seeds if seed.uuid is not None}
    for seed in seeds:
        uuid = seed.uuid or _same_token(db, seed, claimed) or new_uuid()
        claimed.add(uuid)
        tokens.put(db, uuid=uuid, name=seed.name, token_id=seed.cloudflare_token_id)
        if seed.dead is not None:
            tokens.mark_dead(db, uuid, seed.dead)


def _same_token(db: sqlite3.Connection, seed: TokenSeed, claimed: set[str]) -> str | None:
    """The token that an earlier seeding made of this one: the oldest like it that no other seed claims."""
    rows = db.execute(
        "SELECT build_token_uuid FROM build_tokens WHERE build_token_name = ? AND cloudflare_token_id = ?"
        " AND deleted_on IS NULL ORDER BY seq",
        (seed.name, seed.cloudflare_token_id),
    ).fetchall()
    return next((row["build_token_uuid"] for row in rows if row["build_token_uuid"] not in claimed), None)


def _plant_triggers(db: sqlite3.Connection, seeds: Sequence[TriggerSeed], *, now: str, new_uuid: NewUuid) -> None:
    claimed = {seed.uuid for seed in seeds if seed.uuid is not None}
    for seed in seeds:
        tag = str(worker_of(db, seed.where, seed.worker)["tag"])
        uuid = seed.uuid or _same_trigger(db, tag, seed, claimed) or new_uuid()
        claimed.add(uuid)
        _plant_trigger(db, seed, tag=tag, uuid=uuid, now=now)


def _same_trigger(db: sqlite3.Connection, tag: str, seed: TriggerSeed, claimed: set[str]) -> str | None:
    """The trigger that an earlier seeding made of this one: by name, the oldest that no other seed claims."""
    rows = db.execute(
        "SELECT trigger_uuid FROM triggers WHERE external_script_id = ? AND trigger_name = ? ORDER BY seq",
        (tag, seed.settings["trigger_name"]),
    ).fetchall()
    return next((row["trigger_uuid"] for row in rows if row["trigger_uuid"] not in claimed), None)


def _plant_trigger(db: sqlite3.Connection, seed: TriggerSeed, *, tag: str, uuid: str, now: str) -> None:
    connection_uuid = _connection_of(db, seed)
    settings = {**seed.settings, "build_token_uuid": _token_of(db, seed)}
    row = triggers.find(db, uuid)
    if row is None:
        fields = {**settings, "external_script_id": tag, "repo_connection_uuid": connection_uuid}
        created_on = seed.created_on or now
        triggers.insert(db, uuid, fields, created_on=created_on, deleted_on=seed.deleted_on)
    elif row["external_script_id"] != tag:
        raise SeedError(f"{seed.where}: the trigger {uuid} exists already, on another Worker")
    elif (triggers.settings_of(row), row["repo_connection_uuid"], row["deleted_on"]) != (
        settings,
        connection_uuid,
        seed.deleted_on,
    ):
        triggers.write(db, uuid, settings, modified_on=now)
        # No operation can do this, but the dashboard can, and a connection may have been made anew meanwhile.
        db.execute(
            "UPDATE triggers SET repo_connection_uuid = ?, deleted_on = ? WHERE trigger_uuid = ?",
            (connection_uuid, seed.deleted_on, uuid),
        )
    for variable in seed.variables:
        live = environment_variables.find(db, uuid, variable.key)
        value = None if variable.is_secret else variable.value
        if live is None or (bool(live["is_secret"]), live["value"]) != (variable.is_secret, value):
            environment_variables.write(
                db, uuid, variable.key, is_secret=variable.is_secret, value=variable.value, now=now
            )


def _token_of(db: sqlite3.Connection, seed: TriggerSeed) -> str:
    rows = db.execute("SELECT * FROM build_tokens WHERE deleted_on IS NULL").fetchall()
    named = [(row["build_token_uuid"], row["build_token_name"]) for row in rows]
    return referred(seed.where, "build_token", seed.references, named)


def _connection_of(db: sqlite3.Connection, seed: TriggerSeed) -> str:
    rows = db.execute("SELECT * FROM connections WHERE deleted_on IS NULL").fetchall()
    named = [(row["repo_connection_uuid"], f"{row['provider_account_name']}/{row['repo_name']}") for row in rows]
    return referred(seed.where, "repo_connection", seed.references, named)
