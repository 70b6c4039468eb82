"""Trigger: which pushes build a Worker, and with which commands; a Worker has at most two."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from reconciler.kinds.answer import fields, identifier, items, mapping, text_or_blank
from reconciler.kinds.connection import Connection
from reconciler.kinds.shape import UUID, field, text, texts
from reconciler.model import Live, Ref, Repeat, Request, Value

PENDING_PATHS = (".buildsctl-pending/*",)
"""What a trigger watches from its creation until its variables are there: nothing (DESIGN section 6)."""


def _instead_of(name: str) -> dict[str, Any]:
    return text(f"Instead of `{name}`: one that this set does not define.", UUID, minLength=1)


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A trigger (reference, *Create trigger*). Attributes carry the API's names; `external_script_id` is the Worker's
    tag. The three refs are addresses until they are bound."""

    kind: ClassVar[str] = "trigger"
    section: ClassVar[str] = "triggers"
    immutable: ClassVar[frozenset[str]] = frozenset({"repo_connection_uuid"})
    sets: ClassVar[frozenset[str]] = frozenset({"branch_includes", "branch_excludes", "path_includes", "path_excludes"})
    references: ClassVar[Mapping[str, str]] = {
        "repo_connection": "repo_connection_uuid",
        "build_token": "build_token_uuid",
    }
    schema: ClassVar[Mapping[str, Any]] = {
        "trigger_name": text(
            "What the dashboard calls it. Default: the trigger's key.", "Deploy default branch", minLength=1
        ),
        "repo_connection": text("The key of a connection of this set. Default: its only one.", "acme/site"),
        "repo_connection_uuid": _instead_of("repo_connection"),
        "build_token": text("The key of a token of this set. Default: its only one.", "deploy"),
        "build_token_uuid": _instead_of("build_token"),
        "branch_includes": texts("Branches that build; `*` alone makes a preview trigger. Required.", ["main"], ["*"]),
        "branch_excludes": texts(
            "Branches that do not build: for a preview trigger the production branch.", ["main"], default=[]
        ),
        "path_includes": texts(
            "Watch paths, from the top of the repository: a push that changes one of them builds.",
            ["apps/web/*", "packages/*"],
            default=["*"],
        ),
        "path_excludes": texts(
            "Watch paths whose changes do not count; they go before `path_includes`.", ["*.md"], default=[]
        ),
        "build_command": text("What builds the Worker; no build step where it is empty.", "npm run build", default=""),
        "deploy_command": text(
            "What deploys the Worker once it is built. Required.", "npx wrangler deploy", "npx wrangler versions upload"
        ),
        "root_directory": text("The folder of the repository in which the commands run.", "apps/web", default="/"),
        "build_caching_enabled": field(
            "Keep dependencies and build output between builds.", True, type="boolean", default=False
        ),
    }

    external_script_id: Ref
    trigger_name: str
    repo_connection_uuid: Ref
    build_token_uuid: Ref
    branch_includes: tuple[str, ...]
    branch_excludes: tuple[str, ...] = ()
    path_includes: tuple[str, ...] = ("*",)
    path_excludes: tuple[str, ...] = ()
    build_command: str = ""
    deploy_command: str
    root_directory: str = "/"
    build_caching_enabled: bool = False

    @cached_property
    def fields(self) -> Mapping[str, Value]:
        return {name: getattr(self, name) for name in _FIELDS}

    @property
    def is_preview(self) -> bool:
        """A trigger is of the preview kind where `*` is among its branches (field notes, Triggers)."""
        return "*" in self.branch_includes

    def uses(self, id: Ref) -> bool:  # noqa: A002 - the API's own word
        return id in (self.build_token_uuid, self.repo_connection_uuid)

    @classmethod
    def parse(cls, worker: Ref, key: str, body: Mapping[str, Any]) -> Trigger:
        """The merged, interpolated fields of one trigger; `repo_connection_uuid` and `build_token_uuid`
        are refs by now. A field left out means its default (DESIGN section 3)."""
        given = {name: body[name] for name in cls.schema if name in body and name not in cls.references}
        given.setdefault("trigger_name", key)
        return cls(external_script_id=worker, **given)

    @staticmethod
    def read(tag: str) -> Request:
        return Request(method="GET", path=("builds", "workers", tag, "triggers"))

    @classmethod
    def decode(cls, worker: str, result: Any) -> list[tuple[Live[Trigger], Live[Connection] | None]]:
        """The list of a Worker's triggers, each with the connection that it shows. One with `deleted_on` set is absent;
        whether the API ever shows one is unknown (field notes)."""
        return [cls.decode_one(worker, item) for item in items(result, "trigger") if not item.get("deleted_on")]

    @classmethod
    def decode_one(cls, worker: str, result: Any) -> tuple[Live[Trigger], Live[Connection] | None]:
        """One trigger as the list shows it, or as a write echoes it."""
        item = mapping(result, "trigger")
        connection = Connection.decode(item.get("repo_connection"))
        shown = {**item, "repo_connection_uuid": connection.id} if connection else item
        trigger = cls(
            external_script_id=text_or_blank(item, "external_script_id"),
            **fields(shown, {name: cls.schema[name] for name in _FIELDS}),
        )
        # Without the Z texts sort as the times do: one with a fraction of a second comes after one without.
        created_on = text_or_blank(item, "created_on").removesuffix("Z")
        live = Live(id=identifier(item, "trigger_uuid"), resource=trigger, scope=worker, created_on=created_on)
        return live, connection

    def create(self) -> Request:
        """All eleven required fields, and caching always: its default differs (field notes, Triggers)."""
        body = {"external_script_id": self.external_script_id, **self.fields}
        return Request(method="POST", path=("builds", "triggers"), json=body, repeat=Repeat.KEYED)

    def update(self, id: Ref, names: Collection[str]) -> Request:  # noqa: A002 - the API's own word
        """A true partial update of the fields `names`."""
        body = {name: value for name, value in self.fields.items() if name in names}
        return Request(method="PATCH", path=("builds", "triggers", id), json=body)

    @staticmethod
    def delete(id: Ref) -> Request:  # noqa: A002 - the API's own word
        return Request(method="DELETE", path=("builds", "triggers", id))

    @staticmethod
    def purge_cache(id: Ref) -> Request:  # noqa: A002 - the API's own word
        """An empty cache stays empty: sending it again does no harm."""
        return Request(method="POST", path=("builds", "triggers", id, "purge_build_cache"))


_FIELDS = tuple(name for name in Trigger.schema if name not in Trigger.references)
