"""Find live Workers and triggers by what people call them. Sends GETs only, and no more than the names need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from reconciler.api import Api
from reconciler.errors import ApiError, UsageError, nearest
from reconciler.gate import POLL_SECONDS
from reconciler.kinds.trigger import Trigger
from reconciler.model import Address, Live
from reconciler.observe import Lists
from reconciler.plan.match import match
from reconciler.states import Desired

T = TypeVar("T")
R = TypeVar("R")
HINT = "name a trigger as WORKER/TRIGGER, such as `web/production` or `web/*`"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A live trigger and its address: by the manifest's key, else by its name."""

    address: Address
    live: Live[Trigger]

    @property
    def kind(self) -> str:
        return "preview" if self.live.resource.is_preview else "production"


def together(api: Api, read: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`read` of each, in parallel, in order. The first error ends it."""
    with api.pool() as pool:
        return [_result(one) for one in [pool.submit(read, one) for one in items]]


def _result(future: Future[R]) -> R:
    while wait([future], timeout=POLL_SECONDS).not_done:
        pass
    return future.result()


def each(api: Api, read: Callable[[T], R], items: Iterable[T]) -> list[R | ApiError]:
    """As `together`, with the error in place of what could not be read."""

    def tried(item: T) -> R | ApiError:
        try:
            return read(item)
        except ApiError as error:
            return error

    return together(api, tried, items)


class Directory(Lists):
    """Workers' names and tags. The list of the account's Workers is read at most once, and only where the
    manifests do not say enough."""

    def __init__(self, api: Api, desired: Desired) -> None:
        super().__init__(api)
        self.desired = desired

    def tag(self, name: str) -> str:
        """By name; a Worker's tag is taken for its name too."""
        declared = self.desired.workers.get(name)
        if declared and declared.resource.tag:
            return declared.resource.tag
        found = self.workers.get(name) or next((tag for tag in self.workers.values() if tag == name), "")
        if not found:
            hint = nearest(name, self.workers) or "deploy it first: `npx wrangler deploy`"
            hint = "no glob is taken here: name one" if is_glob(name) else hint
            raise UsageError(f"there is no Worker `{name}` in this account", hint=hint)
        return found

    def named(self, glob: str) -> list[str]:
        """The Workers that a name or a glob means: declared ones, where it fits any, else those of the account."""
        if not is_glob(glob):
            return [glob]
        declared = [name for name in self.desired.workers if fnmatchcase(name, glob)]
        found = declared or sorted(name for name in self.workers if fnmatchcase(name, glob))
        if not found:
            raise UsageError(f"no Worker fits `{glob}`", hint="`*` is any run of characters of a Worker's name")
        return found


def split(text: str) -> tuple[str, str]:
    """Worker and trigger, each perhaps a glob, of `web/production`, `trigger/web/production` or `worker/web`."""
    kind, _, rest = text.partition("/")
    if kind == "worker" and rest:
        return rest, "*"
    if text == "trigger/*":
        return "*", "*"
    worker, _, trigger = rest.partition("/") if kind == "trigger" and "/" in rest else text.partition("/")
    if not worker or not trigger:
        raise UsageError(f"`{text}` names no trigger", hint=HINT)
    return worker, trigger


def is_glob(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def triggers(api: Api, desired: Desired, texts: Sequence[str]) -> list[Named]:
    """The live triggers that `texts` name, each once. One that names nothing is an error. A glob over Workers is about
    the declared ones, where it fits any, else about those of the account."""
    directory = Directory(api, desired)
    wanted = [split(text) for text in texts]
    names = [directory.named(worker) for worker, _ in wanted]
    found = {name: directory.tag(name) for some in names for name in some}
    read = together(api, lambda name: of_worker(api, desired, name, found[name]), found)
    lives = dict(zip(found, read, strict=True))
    chosen: dict[str, Named] = {}
    for text, some, (_, trigger) in zip(texts, names, wanted, strict=True):
        named = [one for name in some for one in choose(lives[name], trigger)]
        if not named and any(text in ("/".join(one.address.path), str(one.address)) for one in desired.triggers):
            raise UsageError(f"`{text}` is declared and not live yet", hint="`buildsctl apply` makes it")
        if not named:
            there = [f"`{one.address}`" for name in some for one in lives[name]][:5]
            hint = f"there is {', '.join(there)}" if there else HINT
            raise UsageError(f"no live trigger is called `{text}`", hint=hint)
        chosen |= {one.live.id: one for one in named}
    return list(chosen.values())


def one_trigger(api: Api, desired: Desired, text: str) -> Named:
    """The one live trigger that `text` names."""
    found = triggers(api, desired, [text])
    if len(found) > 1:
        hint = f"name one of {', '.join(f'`{one.address}`' for one in found[:5])}"
        raise UsageError(f"`{text}` names {len(found)} triggers", hint=hint)
    return found[0]


def of_worker(api: Api, desired: Desired, name: str, tag: str) -> list[Named]:
    """A Worker's live triggers with their addresses."""
    lives = [live for live, _ in api.get(Trigger.read(tag), lambda result: Trigger.decode(name, result))]
    pairs, left = match(desired.by_worker.get(name, ()), lives, {}, None)
    found = [(want.address, live) for want, live in pairs if live]
    found += [(Address.of(Trigger.kind, name, live.resource.trigger_name or live.id), live) for live in left]
    return [Named(address=address, live=live) for address, live in found]


def choose(lives: Sequence[Named], trigger: str) -> list[Named]:
    """Of one Worker's triggers those that are meant: by key, else by name, else by kind."""
    for names in zip(*((one.address.name, one.live.resource.trigger_name, one.kind) for one in lives), strict=True):
        found = [one for one, name in zip(lives, names, strict=True) if name == trigger or fnmatchcase(name, trigger)]
        if found:
            return found
    return []
