"""Read builds and their logs, and watch one until it stops. Sends GETs only."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from reconciler.api import Api
from reconciler.errors import AnswerError, ApiError, GatewayError, NetworkError
from reconciler.kinds.build import AT_ONCE, PER_PAGE, Build
from reconciler.kinds.failure import Failure, why
from reconciler.lookup import each, together
from reconciler.model import Request, Unread
from reconciler.status import Last

T = TypeVar("T")
Lines = tuple[tuple[float | None, str], ...]
"""Of a log: epoch in milliseconds, where a line has one, and text."""
FIRST_PAUSE, MAX_PAUSE, GROWTH = 1.0, 10.0, 1.5  # seconds between two looks at a build that runs
LOOKED_AT = 50  # builds of a Worker that are searched for the last of one trigger
MAX_LOST = 10  # reads in a row that fail, each after five attempts, before watching is given up
MAX_LOG_PAGES = 100_000
MAX_CAUSE_PAGES = 20  # of a log that are searched for the cause of a failure


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A Worker's build, or none, at one moment: seconds since it was made, and how many it took or takes."""

    worker: str
    build: Build | None
    age: float | None = None
    duration: float | None = None
    failure: Failure | None = None


def seen(worker: str, build: Build | None, now: datetime, failure: Failure | None = None) -> Seen:
    if build is None:
        return Seen(worker=worker, build=None)
    made = at(build.created_on)
    began = at(build.running_on) or at(build.initializing_on)
    ended = at(build.stopped_on) or (None if build.is_stopped else now)
    return Seen(
        worker=worker,
        build=build,
        age=(now - made).total_seconds() if made else None,
        duration=max(0.0, (ended - began).total_seconds()) if began and ended else None,
        failure=failure,
    )


def first_build(worker: str, trigger: str = "TRIGGER") -> str:
    """How to start it, for a trigger, or a Worker, that was never built."""
    return f"`buildsctl builds run {shlex.quote(f'{worker}/{trigger}')} --branch BRANCH` starts the first one"


def at(text: str) -> datetime | None:
    """A time as the API, or a person, writes it; without an offset it is UTC. None where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(epoch: float | None) -> str:
    """Epoch milliseconds as the API writes times; empty where there is none."""
    if epoch is None:
        return ""
    found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def of_versions(api: Api, ids: Iterable[str]) -> dict[str, Build]:
    """The builds that made Worker versions, by version."""
    found = together(api, lambda chunk: api.get(Build.read_versions(chunk), Build.decode_map), _chunks(ids))
    return {key: build for one in found for key, build in one.items()}


def _chunks(ids: Iterable[str]) -> list[list[str]]:
    """Each id once, as many together as one request takes."""
    once = list(dict.fromkeys(ids))
    return [once[start : start + AT_ONCE] for start in range(0, len(once), AT_ONCE)]


def of_worker(api: Api, tag: str, *, per_page: int = PER_PAGE) -> Iterator[list[Build]]:
    """The builds of a Worker, newest first, page by page, as far as somebody reads."""
    return api.scroll(lambda number: Build.read_of(tag, number, per_page), Build.decode, key=lambda build: build.id)


def newest(
    api: Api, tags: Iterable[str], names: Mapping[str, str] | None = None
) -> tuple[dict[str, Build], dict[str, Unread]]:
    """The latest build of each Worker that has one, and what could not be read, by tag. `names` are by tag too."""
    found: dict[str, Build] = {}
    unread: dict[str, Unread] = {}
    chunks = _chunks(tags)
    answers = each(api, lambda some: api.get(Build.read_latest(some), Build.decode_each), chunks)
    for some, answer in zip(chunks, answers, strict=True):
        if isinstance(answer, ApiError):
            unread |= dict.fromkeys(some, Unread(what="the latest builds", error=answer))
            continue
        found |= answer[0]
        for tag, reason in answer[1].items():
            unread[tag] = Unread(what=f"the latest build of Worker `{(names or {}).get(tag, tag)}`", error=reason)
    return found, unread


def last_of(api: Api, triggers: Sequence[tuple[str, str]]) -> Last:
    """The last builds of triggers, each given as its Worker's tag and its UUID. What a Worker built last was one
    of its triggers; for the others its list is read, one page."""
    latest, unread = newest(api, (tag for tag, _ in triggers))
    found = {build.trigger_uuid: build for build in latest.values()}
    more = list(dict.fromkeys(tag for tag, uuid in triggers if tag in latest and uuid not in found))
    searched = set()
    lists = each(api, lambda tag: api.get(Build.read_of(tag, 1, LOOKED_AT), Build.decode_list), more)
    for tag, some in zip(more, lists, strict=True):
        if isinstance(some, ApiError):
            unread[tag] = Unread(what="a list of builds", error=some)
            continue
        searched |= {tag} if len(some) >= LOOKED_AT else set()
        for build in sorted(some, key=lambda one: one.created_on, reverse=True):
            found.setdefault(build.trigger_uuid, build)
    return Last(builds=found, searched=frozenset(searched), unread=unread)


def cause(api: Api, build: Build) -> Failure | None:
    """Why a build failed, where its log tells it."""
    found = None
    for page in Watch(api, build.id, max_pages=MAX_CAUSE_PAGES).log() if build.has_failed else ():
        found = why(text for _, text in page) or found
    return found


@dataclass
class Watch:
    """Looks at one build until it stops. `build` is what was last seen of it; `tell` is given a sentence about
    what the log does not say; after `timeout` seconds it gives up. `answered`: what is there is the API."""

    api: Api
    id: str
    timeout: float | None = None
    tell: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    max_pages: int = MAX_LOG_PAGES
    build: Build | None = None
    timed_out: bool = False
    answered: bool = False
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def wait(self) -> Build:
        """Until it stopped, or the time is up."""
        pause = FIRST_PAUSE
        while True:
            build = self.look()
            if build.is_stopped or not self._pause(pause):
                return build
            pause = min(MAX_PAUSE, pause * GROWTH)

    def log(self, *, follow: bool = False) -> Iterator[Lines]:
        """The lines, page by page, each once; `follow` goes on until the build stopped. The cursor moves only with an
        answer, so a connection that is cut repeats no line. It is a tail: a page without lines is the end so far,
        whatever `truncated` says (field notes, Builds)."""
        cursor, stopped, pause = "", False, FIRST_PAUSE
        for _ in range(self.max_pages):
            request = Build.read_logs(self.id, cursor)
            page = self._patiently(request, Build.decode_logs) if follow else self.api.get(request, Build.decode_logs)
            if page.lines:
                yield page.lines
                pause = FIRST_PAUSE
                if page.cursor in ("", cursor) and (page.more or (follow and not stopped)):
                    raise AnswerError("the log's cursor does not move: the same lines would come again")
            cursor = page.cursor or cursor
            if page.more:
                continue
            if not follow or stopped:
                return
            # What was logged between the last page and the end comes with one more look.
            stopped = self.look().is_stopped
            if not stopped and not self._pause(pause):
                return
            pause = min(MAX_PAUSE, pause * GROWTH)
        self.tell(f"the log has more than {self.max_pages:,} pages: the rest is left out")

    def look(self) -> Build:
        """The build as it is now."""
        before = self.build.status if self.build else ""
        self.build = self._patiently(Build.read(self.id), Build.decode)
        if self.build.status != before and not self.build.is_stopped:
            self.tell(f"build {self.id}: {self.build.status or 'no status'}")
        return self.build

    def _pause(self, seconds: float) -> bool:
        """Wait; false where the time is up, or the run was told to stop."""
        left = None if self.timeout is None else self.timeout - (self.clock() - self._started)
        if left is not None and left <= 0:
            self.timed_out = True
            return False
        sleep = self.sleep or self.api.stop.wait
        return not sleep(seconds if left is None else min(seconds, left))

    def _patiently(self, request: Request, decode: Callable[[Any], T]) -> T:
        """A read that outlasts a network that is away for some minutes, and half an answer of an API that had
        answered before: a build goes on without us."""
        lost = 0
        while True:
            try:
                found = self.api.get(request, decode)
                self.answered = True
                return found
            except (AnswerError, GatewayError, NetworkError) as error:
                lost += 1
                no_api = not self.answered and not isinstance(error, GatewayError)
                if lost == MAX_LOST or no_api or self.api.stop.is_set():
                    raise
                if lost == 1:
                    self.tell(f"{error.message}; trying again, the build goes on")
                if not self._pause(MAX_PAUSE):
                    raise
