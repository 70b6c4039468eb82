"""Worker: looked up, never managed; turns a Worker's name into the tag that the API wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.errors import AnswerError
from reconciler.kinds.answer import identifier, items, text
from reconciler.model import Address, Declared, Request, Value


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A Worker by name. `tag` (32 hex digits) is None until looked up or given. `take_over_from` names owners whose
    triggers on this Worker may be taken over."""

    kind: ClassVar[str] = "worker"
    section: ClassVar[str] = "workers"

    name: str
    tag: str | None = None
    take_over_from: frozenset[str] = frozenset()

    @property
    def fields(self) -> Mapping[str, Value]:
        return {"id": self.name, "tag": self.tag}

    @classmethod
    def named(cls, names: Iterable[str]) -> dict[str, Declared[Worker]]:
        """Workers that nothing is known of but their names, as manifests would declare them."""
        return {name: Declared(address=Address.of(cls.kind, name), resource=cls(name=name)) for name in names}

    @staticmethod
    def read() -> Request:
        """Every Worker of the account in one answer, unpaginated (field notes, Workers)."""
        return Request(method="GET", path=("workers", "scripts"))

    @staticmethod
    def read_surface(tag: str) -> Request:
        """Is the Worker configured on the newer surface? 200 yes, 404 no (field notes, Triggers)."""
        return Request(method="GET", path=("builds", "workers", tag))

    @classmethod
    def decode_all(cls, result: Any) -> dict[str, str]:
        """As `decode`, for whoever concludes something from a Worker that is not in it: a null proves nothing."""
        if result is None:
            raise AnswerError("the API's answer has null in place of the account's Workers")
        return cls.decode(result)

    @staticmethod
    def decode(result: Any) -> dict[str, str]:
        """The answer of `read` as name → tag; the tag is empty where a Worker shows none."""
        return {
            text(item, "id"): identifier(item, "tag") if item.get("tag") else "" for item in items(result, "Worker")
        }
