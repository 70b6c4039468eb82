"""Build: one run of a trigger, with what it really used; read, started and cancelled, never configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from reconciler.errors import AnswerError
from reconciler.kinds.answer import identifier, items, mapping, text_or_blank
from reconciler.model import Request

AT_ONCE = 20  # Workers, or versions, in one request (field notes, Error codes)


@dataclass(frozen=True, kw_only=True)
class Build:
    """A build (reference, *Builds*). Enumerations are strings: the live API has more than the reference lists.

    `metadata` is `build_trigger_metadata` as it came: the commands, branch, commit and token that it used.
    """

    kind: ClassVar[str] = "build"

    id: str
    status: str = ""
    build_outcome: str = ""
    created_on: str = ""
    stopped_on: str = ""
    trigger_uuid: str = ""
    trigger_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def read_latest(tags: Sequence[str]) -> Request:
        """The latest build of up to 20 Workers in one request."""
        query = (("external_script_ids", ",".join(tags)),)
        return Request(method="GET", path=("builds", "builds", "latest"), query=query)

    @staticmethod
    def read_of(tag: str, page: int = 1, per_page: int = 50) -> Request:
        query = (("page", str(page)), ("per_page", str(per_page)))
        return Request(method="GET", path=("builds", "workers", tag, "builds"), query=query)

    @staticmethod
    def read_logs(id: str, cursor: str = "") -> Request:  # noqa: A002 - the API's own word
        query = (("cursor", cursor),) if cursor else ()
        return Request(method="GET", path=("builds", "builds", id, "logs"), query=query)

    @classmethod
    def decode_latest(cls, result: Any) -> dict[str, Build]:
        """By Worker's tag; a Worker without builds is not there."""
        builds = mapping(result, "builds").get("builds")
        if builds is None:
            return {}
        if not isinstance(builds, dict):
            raise AnswerError("the API's answer has `builds` that are not a map")
        return {str(tag): cls.decode(one) for tag, one in builds.items() if one is not None}

    @classmethod
    def decode_list(cls, result: Any) -> list[Build]:
        return [cls.decode(one) for one in items(result, "build")]

    @classmethod
    def decode(cls, result: Any) -> Build:
        item = mapping(result, "build")
        trigger, metadata = item.get("trigger"), item.get("build_trigger_metadata")
        trigger = trigger if isinstance(trigger, dict) else {}
        return cls(
            id=identifier(item, "build_uuid"),
            **{name: text_or_blank(item, name) for name in ("status", "build_outcome", "created_on", "stopped_on")},
            **{name: text_or_blank(trigger, name) for name in ("trigger_uuid", "trigger_name")},
            metadata=metadata if isinstance(metadata, dict) else {},
        )

    @staticmethod
    def decode_logs(result: Any) -> tuple[list[str], str, bool]:
        """The lines, the cursor, and whether there is more: only where the page held lines (field notes)."""
        item = mapping(result, "log")
        lines = item.get("lines")
        if lines is not None and not isinstance(lines, list):
            raise AnswerError("the API's answer has `lines` that are not a list")
        texts = [str(one[1]) for one in lines or () if isinstance(one, list) and len(one) > 1]
        return texts, text_or_blank(item, "cursor"), bool(item.get("truncated")) and bool(texts)
