"""Connection: a Git repository that triggers build from; one serves every Worker of the repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.errors import Position
from reconciler.kinds.answer import fields, identifier, mapping, text_or_blank
from reconciler.kinds.shape import field, text
from reconciler.model import Address, Declared, Live, Ref, Request, Value

PROVIDERS = ("github", "gitlab", "gitlab_internal", "origin")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A repository connection (reference, *Create or update repository connection*). Its natural key is
    (`provider_type`, `repo_id`). There is no GET and no list: connections are seen only inside triggers. `deleted` is a
    connection that the API shows with `deleted_on` set."""

    kind: ClassVar[str] = "connection"
    section: ClassVar[str] = "connections"
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["provider_account_id", "repo_id"],
        "properties": {
            "provider_type": field("Who hosts the repository.", "gitlab", enum=list(PROVIDERS), default="github"),
            "provider_account_id": text(
                "The provider's numeric id of the account that owns the repository, quoted.", "41612145", minLength=1
            ),
            "provider_account_name": text(
                "The owner's name. Default: what stands before the last slash of the key.", "acme", minLength=1
            ),
            "repo_id": text("The provider's numeric id of the repository, quoted.", "1332648945", minLength=1),
            "repo_name": text(
                "The repository's name. Default: what stands after the last slash of the key.", "site", minLength=1
            ),
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
    def full_name(self) -> str:
        """How people call it: `acme/site`."""
        return f"{self.provider_account_name}/{self.repo_name}"

    @property
    def natural_key(self) -> tuple[str, str]:
        return (self.provider_type, self.repo_id)

    @classmethod
    def parse(cls, name: str, body: Mapping[str, Any], position: Position | None) -> Declared[Connection]:
        """`connections.NAME` of a manifest."""
        owner, _, repo = name.rpartition("/")
        given = {"provider_type": "github", "provider_account_name": owner, "repo_name": repo, **body}
        return Declared(address=Address.of(cls.kind, name), position=position, resource=cls(**given))

    @classmethod
    def decode(cls, result: Any) -> Live[Connection] | None:
        """A trigger's `repo_connection`, or the answer of a PUT. None where a trigger shows none."""
        if result is None:
            return None
        item = mapping(result, "connection")
        uuid, created_on = identifier(item, "repo_connection_uuid"), text_or_blank(item, "created_on")
        shown = fields(item, cls.schema["properties"])
        shown["provider_type"] = shown["provider_type"] or "github"
        return Live(id=uuid, created_on=created_on, resource=cls(**shown, deleted=bool(item.get("deleted_on"))))

    def put(self) -> Request:
        """Create it, or re-point it in place: an upsert that gives the same UUID back."""
        return Request(method="PUT", path=("builds", "repos", "connections"), json=self.fields)

    @staticmethod
    def delete(id: Ref) -> Request:  # noqa: A002 - the API's own word
        return Request(method="DELETE", path=("builds", "repos", "connections", id))
