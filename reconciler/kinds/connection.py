"""Connection: a Git repository that triggers build from; one serves every Worker of the repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.errors import Position
from reconciler.kinds.answer import identifier, mapping, text_or_blank
from reconciler.model import Address, Declared, Live, Ref, Request, Value

PROVIDERS = ("github", "gitlab", "gitlab_internal", "origin")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A repository connection (reference, *Create or update repository connection*).

    Its natural key is (`provider_type`, `repo_id`). There is no GET and no list: connections are seen
    only inside triggers. `deleted` is a connection that the API shows with `deleted_on` set.
    """

    kind: ClassVar[str] = "connection"
    section: ClassVar[str] = "connections"
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["provider_account_id", "repo_id"],
        "properties": {
            "provider_type": {
                "enum": list(PROVIDERS),
                "default": "github",
                "description": "Who hosts the repository.",
                "examples": ["gitlab"],
            },
            "provider_account_id": {
                "type": "string",
                "minLength": 1,
                "description": "The provider's numeric id of the account that owns the repository, quoted.",
                "examples": ["41612145"],
            },
            "provider_account_name": {
                "type": "string",
                "minLength": 1,
                "description": "The owner's name. Default: what stands before the last slash of the key.",
                "examples": ["acme"],
            },
            "repo_id": {
                "type": "string",
                "minLength": 1,
                "description": "The provider's numeric id of the repository, quoted.",
                "examples": ["1332648945"],
            },
            "repo_name": {
                "type": "string",
                "minLength": 1,
                "description": "The repository's name. Default: what stands after the last slash of the key.",
                "examples": ["site"],
            },
        },
    }

    provider_type: str
    provider_account_id: str
    provider_account_name: str
    repo_id: str
    repo_name: str
    deleted: bool = False

    @property
    def fields(self) -> Mapping[str, Value]:
        return {name: getattr(self, name) for name in self.schema["properties"]}

    @property
    def natural_key(self) -> tuple[str, str]:
        return (self.provider_type, self.repo_id)

    @classmethod
    def parse(cls, name: str, body: Mapping[str, Any], position: Position | None) -> Declared[Connection]:
        """`connections.NAME` of a manifest."""
        owner, _, repo = name.rpartition("/")
        return Declared(
            address=Address.of(cls.kind, name),
            position=position,
            resource=cls(
                provider_type=body.get("provider_type") or "github",
                provider_account_id=body["provider_account_id"],
                provider_account_name=body.get("provider_account_name") or owner,
                repo_id=body["repo_id"],
                repo_name=body.get("repo_name") or repo,
            ),
        )

    @classmethod
    def decode(cls, result: Any) -> Live[Connection] | None:
        """A trigger's `repo_connection`, or the answer of a PUT. None where a trigger shows none."""
        if result is None:
            return None
        item = mapping(result, "connection")
        return Live(
            id=identifier(item, "repo_connection_uuid"),
            created_on=text_or_blank(item, "created_on"),
            resource=cls(
                provider_type=text_or_blank(item, "provider_type") or "github",
                provider_account_id=text_or_blank(item, "provider_account_id"),
                provider_account_name=text_or_blank(item, "provider_account_name"),
                repo_id=text_or_blank(item, "repo_id"),
                repo_name=text_or_blank(item, "repo_name"),
                deleted=bool(item.get("deleted_on")),
            ),
        )

    def put(self) -> Request:
        """Create it, or re-point it in place: an upsert that gives the same UUID back."""
        return Request(method="PUT", path=("builds", "repos", "connections"), json=self.fields)

    @staticmethod
    def delete(id: Ref) -> Request:  # noqa: A002 - the API's own word
        return Request(method="DELETE", path=("builds", "repos", "connections", id))
