"""EnvVar: an environment variable of one trigger; a secret's value cannot be read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.errors import AnswerError
from reconciler.kinds.answer import flag, mapping
from reconciler.kinds.shape import field, text
from reconciler.model import Address, Ref, Request, Secret, Value

KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""Names that the API takes (field notes, Environment variables)."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class EnvVar:
    """A variable (reference, *Upsert environment variables*). `value` is a string, a `Secret`, or None: declared, it
    should exist with a value from elsewhere; live, it is a secret whose value the API does not tell."""

    kind: ClassVar[str] = "env"
    section: ClassVar[str] = "environment_variables"
    schema: ClassVar[Mapping[str, Any]] = {
        "if": {"type": "object"},
        "then": {
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "value": text("The plain value; the same as a bare string.", "24"),
                "is_secret": field(
                    "Whether it is a secret; without a value, it should exist with one from elsewhere.",
                    True,
                    type="boolean",
                ),
                "value_from": {"$ref": "#/$defs/value_from"},
                "value_version": {"$ref": "#/$defs/value_version"},
                "allow_empty": field("An empty secret is meant.", True, type="boolean", default=False),
            },
        },
        "else": {"type": "string"},
    }

    is_secret: bool
    value: str | Secret | None
    value_version: str = ""
    created_on: str = ""
    laid_open: bool = False  # written as a secret and readable by now: not shown all the same

    @property
    def fields(self) -> Mapping[str, Value]:
        shown = Secret(None) if self.laid_open or (self.is_secret and self.value is None) else self.value
        return {"is_secret": self.is_secret, "value": shown}

    @classmethod
    def address(cls, trigger: Address, key: str) -> Address:
        """`env/web/production/KEY` of `trigger/web/production`."""
        return Address.of(cls.kind, *trigger.path, key)

    @staticmethod
    def read(trigger: str) -> Request:
        return Request(method="GET", path=("builds", "triggers", trigger, "environment_variables"))

    @classmethod
    def decode(cls, result: Any) -> dict[str, EnvVar]:
        """The map of a trigger's variables. `null` is an empty map."""
        found = {}
        for key, item in mapping({} if result is None else result, "variables").items():
            if not key.strip(".") or _SURROGATE.search(key):
                raise AnswerError("the API's answer has a variable whose name cannot stand in a path")
            fields = mapping(item, "variable")
            value = fields.get("value")
            if value is not None and not isinstance(value, str):
                raise AnswerError("the API's answer has a variable whose value is not a string")
            secret = flag(fields, "is_secret")
            created_on = fields.get("created_on")
            found[key] = cls(
                is_secret=secret,
                # A plain variable without a value is an empty one; a secret's value is never kept.
                value=None if secret else value or "",
                created_on=created_on if isinstance(created_on, str) else "",
            )
        return found

    @staticmethod
    def upsert(trigger: Ref, variables: Mapping[str, Value]) -> Request:
        """All of `variables` (`{KEY: {is_secret, value}}`) in one request; others stay."""
        return Request(method="PATCH", path=("builds", "triggers", trigger, "environment_variables"), json=variables)

    @staticmethod
    def delete(trigger: Ref, key: str) -> Request:
        return Request(method="DELETE", path=("builds", "triggers", trigger, "environment_variables", key))
