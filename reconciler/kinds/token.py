"""Token: the Cloudflare API token that builds run under, made by us or only looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.errors import Position
from reconciler.kinds.answer import identifier, mapping, text_or_blank
from reconciler.kinds.shape import UUID, field, text
from reconciler.model import Address, Declared, Live, Ref, Repeat, Request, Secret, Value

PER_PAGE = 200  # the largest page the API gives (field notes, Build tokens)
NO_TOKEN_ID = "0" * 32  # stands in a first manifest until somebody puts the real one there


@dataclass(frozen=True, kw_only=True)
class Token:
    """A managed build token (reference, *Create build token*). There is no update. Declared, `build_token_name` is the
    manifest's name; live, the whole name with its generation."""

    kind: ClassVar[str] = "token"
    section: ClassVar[str] = "tokens"
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "cloudflare_token_id": text(
                "The id of an existing Cloudflare API token (managed tokens).",
                "ed17574386854bf78a67040be0a770b0",
                minLength=1,
            ),
            "build_token_secret": field(
                "Where that token's value comes from (managed tokens).",
                {"value_from": {"env": "DEPLOY_TOKEN"}},
                **{"$ref": "#/$defs/secret"},
            ),
            "build_token_name": text(
                "The exact name of a token made elsewhere (references).",
                "Workers Builds - 2026-01-02 10:00",
                minLength=1,
            ),
            "build_token_uuid": text("The UUID of a token made elsewhere (references).", UUID, minLength=1),
        },
        "minProperties": 1,
        "dependentRequired": {
            "cloudflare_token_id": ["build_token_secret"],
            "build_token_secret": ["cloudflare_token_id"],
        },
        "if": {"required": ["cloudflare_token_id"]},
        "then": {"maxProperties": 2},
        "else": {"maxProperties": 1},
    }

    build_token_name: str
    cloudflare_token_id: str
    build_token_secret: Secret | None = None
    value_version: str = ""

    @property
    def fields(self) -> Mapping[str, Value]:
        return {
            "build_token_name": self.build_token_name,
            "cloudflare_token_id": self.cloudflare_token_id,
            "build_token_secret": self.build_token_secret or Secret(None),
        }

    @staticmethod
    def read(page: int) -> Request:
        query = (("page", str(page)), ("per_page", str(PER_PAGE)))
        return Request(method="GET", path=("builds", "tokens"), query=query)

    @classmethod
    def decode(cls, item: Any) -> Live[Token]:
        """One item of the list, or the answer of a create."""
        item = mapping(item, "token")
        name, api_token = text_or_blank(item, "build_token_name"), text_or_blank(item, "cloudflare_token_id")
        resource = cls(build_token_name=name, cloudflare_token_id=api_token)
        return Live(id=identifier(item, "build_token_uuid"), resource=resource)

    def create(self, live_name: str) -> Request:
        body = {**self.fields, "build_token_name": live_name}
        return Request(method="POST", path=("builds", "tokens"), json=body, repeat=Repeat.KEYED)

    @staticmethod
    def delete(id: Ref) -> Request:  # noqa: A002 - the API's own word
        return Request(method="DELETE", path=("builds", "tokens", id))


@dataclass(frozen=True, kw_only=True)
class TokenReference:
    """A token made elsewhere, looked up by exact name or by UUID, never changed."""

    build_token_name: str = ""
    build_token_uuid: str = ""

    @property
    def fields(self) -> Mapping[str, Value]:
        if self.build_token_uuid:
            return {"build_token_uuid": self.build_token_uuid}
        return {"build_token_name": self.build_token_name}


def parse(name: str, body: Mapping[str, Any], position: Position | None) -> Declared[Token] | Declared[TokenReference]:
    """`tokens.NAME` of a manifest; `build_token_secret` is a `(Secret, value_version)` pair by now."""
    address = Address.of(Token.kind, name)
    if "cloudflare_token_id" not in body:
        return Declared(address=address, position=position, resource=TokenReference(**body))
    secret, version = body["build_token_secret"]
    made = {"cloudflare_token_id": body["cloudflare_token_id"], "build_token_secret": secret, "value_version": version}
    return Declared(address=address, position=position, resource=Token(build_token_name=name, **made))
