"""Build: one run of a trigger, with what it really used; read, started and cancelled, never configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import AnswerError, ApiError
from reconciler.kinds.answer import identifier, items, mapping, text_or_blank
from reconciler.model import Repeat, Request

AT_ONCE = 20  # Workers, or versions, in one request (field notes, Error codes)
PER_PAGE = 200  # builds in one request, at most (field notes, Builds)
SUCCESS = "success"
FAILED = ("fail", "failure")
STOPPED = "stopped"
STATUSES = ("queued", "initializing", "running", STOPPED)
OUTCOMES = (SUCCESS, "fail", "skipped", "cancelled", "terminated")
_TEXTS = ("status", "build_outcome", "created_on", "initializing_on", "running_on", "stopped_on")


@dataclass(frozen=True, kw_only=True)
class Log:
    """A page of a log: lines as (epoch in milliseconds where it has one, text); `more`: another page follows."""

    lines: tuple[tuple[float | None, str], ...]
    cursor: str
    more: bool


@dataclass(frozen=True, kw_only=True)
class Build:
    """A build (reference, *Builds*). Enumerations are strings: the live API has more than the reference lists.

    `metadata` is `build_trigger_metadata` as it came: the commands, branch, commit and token that it used.
    `answer` is the whole of what the API said; a secret in it has no value.
    """

    id: str
    status: str = ""
    build_outcome: str = ""
    created_on: str = ""
    initializing_on: str = ""
    running_on: str = ""
    stopped_on: str = ""
    trigger_uuid: str = ""
    trigger_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_stopped(self) -> bool:
        return self.status == STOPPED or bool(self.build_outcome)

    @property
    def has_failed(self) -> bool:
        return self.build_outcome in FAILED

    def told(self, name: str) -> str:
        """A text of the metadata; empty where there is none."""
        value = self.metadata.get(name)
        return value if isinstance(value, str) else ""

    @staticmethod
    def read(id: str) -> Request:  # noqa: A002 - the API's own word
        return Request(method="GET", path=("builds", "builds", id))

    @staticmethod
    def read_latest(tags: Sequence[str]) -> Request:
        """The latest build of up to 20 Workers in one request."""
        query = (("external_script_ids", ",".join(tags)),)
        return Request(method="GET", path=("builds", "builds", "latest"), query=query)

    @staticmethod
    def read_versions(ids: Sequence[str]) -> Request:
        """The builds of up to 20 versions in one request."""
        return Request(method="GET", path=("builds", "builds"), query=(("version_ids", ",".join(ids)),))

    @staticmethod
    def read_of(tag: str, page: int = 1, per_page: int = 50) -> Request:
        query = (("page", str(page)), ("per_page", str(per_page)))
        return Request(method="GET", path=("builds", "workers", tag, "builds"), query=query)

    @staticmethod
    def read_logs(id: str, cursor: str = "") -> Request:  # noqa: A002 - the API's own word
        query = (("cursor", cursor),) if cursor else ()
        return Request(method="GET", path=("builds", "builds", id, "logs"), query=query)

    @staticmethod
    def run(trigger: str, given: Mapping[str, Any]) -> Request:
        """A manual build of `branch`, `commit_hash` or both; `{}` is refused (field notes, Error codes)."""
        return Request(method="POST", path=("builds", "triggers", trigger, "builds"), json=given, repeat=Repeat.ONCE)

    @staticmethod
    def cancel(id: str) -> Request:  # noqa: A002 - the API's own word
        return Request(method="PUT", path=("builds", "builds", id, "cancel"))

    @classmethod
    def decode_map(cls, result: Any) -> dict[str, Build]:
        """By Worker's tag, or by version; one without builds is not there."""
        found, odd = cls.decode_each(result)
        for error in odd.values():
            raise error
        return found

    @classmethod
    def decode_each(cls, result: Any) -> tuple[dict[str, Build], dict[str, ApiError]]:
        """As `decode_map`, and beside it why those of the wrong shape cannot be read: one hides no other."""
        builds = mapping({} if result is None else result, "builds").get("builds")
        if builds is not None and not isinstance(builds, dict):
            raise AnswerError("the API's answer has `builds` that are not a map")
        found: dict[str, Build] = {}
        odd: dict[str, ApiError] = {}
        for key, one in (builds or {}).items():
            try:
                found |= {str(key): cls.decode(one)} if one is not None else {}
            except AnswerError as error:
                odd[str(key)] = error
        return found, odd

    @classmethod
    def decode_list(cls, result: Any) -> list[Build]:
        return [cls.decode(one) for one in items(result, "build")]

    @classmethod
    def decode(cls, result: Any) -> Build:
        item = _without_secrets(mapping(result, "build"))
        trigger, metadata = item.get("trigger"), item.get("build_trigger_metadata")
        trigger = trigger if isinstance(trigger, dict) else {}
        return cls(
            id=identifier(item, "build_uuid"),
            **{name: text_or_blank(item, name) for name in _TEXTS},
            **{name: text_or_blank(trigger, name) for name in ("trigger_uuid", "trigger_name")},
            metadata=metadata if isinstance(metadata, dict) else {},
            answer=item,
        )

    @staticmethod
    def decode_run(result: Any) -> Mapping[str, Any]:
        """What was started: `build_uuid` and `created_on`."""
        item = mapping(result, "build")
        identifier(item, "build_uuid")
        return item

    @staticmethod
    def decode_logs(result: Any) -> Log:
        """There is more only where the page held lines: the cursor is a tail, and at the end `truncated` may be
        set for ever (field notes)."""
        item = mapping(result, "log")
        lines = item.get("lines")
        if lines is not None and not isinstance(lines, list):
            raise AnswerError("the API's answer has `lines` that are not a list")
        found = tuple((_epoch(one[0]), str(one[1])) for one in lines or () if isinstance(one, list) and len(one) > 1)
        return Log(lines=found, cursor=text_or_blank(item, "cursor"), more=bool(item.get("truncated")) and bool(found))


def _epoch(value: Any) -> float | None:
    """Milliseconds; the reference's example has seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e14:
        return None
    return value * 1_000 if value < 1e11 else value


def _without_secrets(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The API tells no secret's value. Should it ever, it goes no further than this."""
    metadata = item.get("build_trigger_metadata")
    variables = metadata.get("environment_variables") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(variables, dict):
        return item
    shown = {
        name: {**one, "value": None} if isinstance(one, dict) and one.get("is_secret") else one
        for name, one in variables.items()
    }
    return {**item, "build_trigger_metadata": {**metadata, "environment_variables": shown}}


_SEED_TEXTS = ("branch", "owner", "path", "provider", "repository")


def seed_problem(body: Any) -> str:
    """What is wrong with a `seed_repo` (reference, *Create manual build*); empty where nothing is. What the
    reference does not know is the API's to judge."""
    if not isinstance(body, dict):
        return "it is not an object"
    for name in _SEED_TEXTS:
        if not isinstance(body.get(name), str) or (not body[name] and name != "path"):
            return f"it has no text `{name}`"
    files = body.get("files", [])
    if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
        return "its `files` are not a list of objects"
    for one in files:
        if not isinstance(one.get("content"), str) or not isinstance(one.get("filename"), str) or not one["filename"]:
            return "one of its `files` has no texts `filename` and `content`"
        if not isinstance(one.get("isBase64", False), bool) or not isinstance(one.get("replace", ""), str):
            return f"of its file `{one['filename']}`, `isBase64` is a flag and `replace` a text"
    return ""
