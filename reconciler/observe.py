"""Read the live state that the manifests are about, in waves, in parallel; nothing twice.

Names to tags and build tokens, then each declared Worker's triggers, then each trigger's variables; a
Worker that lists no trigger is asked whether it is configured on the newer surface. A read that fails
makes exactly what it was about unread, and is never taken for absence.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from threading import Condition
from typing import Any

from reconciler.api import Api
from reconciler.errors import AnswerError, ApiError, AuthenticationError, ForbiddenError, NotFoundError
from reconciler.gate import POLL_SECONDS
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.kinds.worker import Worker
from reconciler.model import Live, Unread
from reconciler.states import Desired, Observed

NO_SUCH_TAG = 10007


class Lists:
    """The account's Workers, by name, and its build tokens: each read once, for whoever asks first. Where `everything`
    is looked at, a null in place of the Workers is no empty account: what they use would be deleted."""

    def __init__(self, api: Api, *, everything: bool = False) -> None:
        self.api, self.everything = api, everything

    @cached_property
    def workers(self) -> dict[str, str]:
        return self.api.get(Worker.read(), Worker.decode_all if self.everything else Worker.decode)

    @cached_property
    def tokens(self) -> list[Live[Token]]:
        return self.api.pages(Token.read, Token.decode, key=lambda live: live.id)


def observe(
    desired: Desired,
    api: Api,
    *,
    everything: bool = False,
    tokens: bool = False,
    variables: bool = True,
    lists: Lists | None = None,
) -> Observed:
    """What the API has; `everything` reads every Worker of the account, one request each and one a trigger. The list of
    `tokens` is read where any is declared or named by its UUID, and where it is asked for. Without `variables` no
    marker is read: for what asks only who uses something. `lists` may have been read before. Raises the access error
    where nothing of Workers Builds could be read for it."""
    uuids = any(isinstance(one.resource.build_token_uuid, str) for one in desired.triggers)
    with api.pool() as pool:
        lists = lists or Lists(api, everything=everything)
        tokens = bool(tokens or everything or desired.tokens or uuids)
        look = _Look(desired, api, pool, lists, everything, tokens, variables)
        look.start()
        look.wait()
        look.ask_witnesses()
    if look.denied and not look.builds_read:
        raise look.denied
    return look.result()


@dataclass
class _Look:
    """One run of reading. The thread that sent a request takes its answer, one at a time: whoever has the `turn`."""

    desired: Desired
    api: Api
    pool: ThreadPoolExecutor
    lists: Lists
    everything: bool
    lists_tokens: bool
    reads_variables: bool
    turn: Condition = field(default_factory=Condition)
    waiting: int = 0
    broken: BaseException | None = None
    tags: dict[str, str] = field(default_factory=dict)
    workers: dict[str, str] | None = None
    triggers: list[Live[Trigger]] = field(default_factory=list)
    connections: dict[str, Live[Connection]] = field(default_factory=dict)
    tokens: list[Live[Token]] = field(default_factory=list)
    variables: dict[str, dict[str, EnvVar]] = field(default_factory=dict)
    witnesses: set[str] = field(default_factory=set)
    newer: set[str] = field(default_factory=set)
    unread_lists: dict[str, Unread] = field(default_factory=dict)
    unread_workers: dict[str, Unread] = field(default_factory=dict)
    unread_variables: dict[str, Unread] = field(default_factory=dict)
    answered: int = 0
    expected: int = 0
    denied: ApiError | None = None
    builds_read: bool = False

    def ask(self, read: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[ApiError], None]) -> None:
        self.waiting += 1
        self.pool.submit(self.take, read, done, failed)

    def take(self, read: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[ApiError], None]) -> None:
        """Send, and take the answer. A token that the API does not take ends the run early, and so does a bug."""
        answer, error = None, None
        try:
            answer = read()
        except BaseException as found:
            error = found
        with self.turn:
            if self.broken:
                return
            self.waiting -= 1
            self.answered += 1
            try:
                self.api.progress("reading", self.answered, max(self.answered + self.waiting, self.expected))
                if isinstance(error, ApiError):
                    if isinstance(error, AuthenticationError | ForbiddenError):
                        self.denied = self.denied or error
                    failed(error)
                elif error:
                    raise error
                else:
                    done(answer)
            except BaseException as found:
                self.broken = found
            if isinstance(self.denied, AuthenticationError) and not self.builds_read:
                self.broken = self.denied
            if self.broken or not self.waiting:
                self.turn.notify()

    def wait(self) -> None:
        """Until nothing is under way."""
        with self.turn:
            while not self.turn.wait_for(lambda: self.broken or not self.waiting, timeout=POLL_SECONDS):
                pass
        if self.broken:
            raise self.broken

    def start(self) -> None:
        """The first wave: names, tokens, and the Workers whose tag the manifests give."""
        declared = self.desired.workers.values()
        witnesses = [one for some in self.desired.witnesses.values() for one in some]
        with self.turn:
            if self.everything or any(one.resource.tag is None for one in (*declared, *witnesses)):
                missed = _missing(self.unread_lists, "workers", "the account's list of Workers")
                self.ask(lambda: self.lists.workers, self.scripts, missed)
            else:
                self.foretell(len(declared) + len(self.desired.triggers))
            if self.lists_tokens:
                missed = _missing(self.unread_lists, "tokens", "the list of build tokens")
                self.ask(lambda: self.lists.tokens, self.all_tokens, missed)
            for worker in declared:
                if worker.resource.tag is not None:
                    self.worker(worker.resource.name, worker.resource.tag, given=True)

    def ask_witnesses(self) -> None:
        """One Worker after the other, until one shows the connection. Only connections are taken from them."""
        for connection in self.desired.connections:
            for worker in self.desired.witnesses.get(connection.address, ()):
                shown = (one.resource for one in self.connections.values() if not one.resource.deleted)
                if any(one.natural_key == connection.resource.natural_key for one in shown):
                    break
                name = worker.resource.name
                tag = worker.resource.tag or (self.workers or {}).get(name)
                if tag == "":
                    self.no_tag(name)
                elif tag and tag not in self.witnesses | {*self.tags.values()}:
                    self.witnesses.add(tag)
                    with self.turn:
                        self.worker(name, tag, given=worker.resource.tag is not None)
                    self.wait()

    def foretell(self, requests: int) -> None:
        """Say before a long wait how long it will be."""
        self.expected = self.answered + requests
        wait = self.api.gate.outlook(requests)
        if wait:
            self.api.tell(f"about {requests} requests are to be sent, which takes {wait:.0f} s of the rate limit")

    def scripts(self, workers: dict[str, str]) -> None:
        self.workers = workers
        given = {name for name, one in self.desired.workers.items() if one.resource.tag is not None}
        names = workers if self.everything else self.desired.workers
        triggers = 2 * len(names) if self.everything else len(self.desired.triggers)  # a Worker has two at most
        self.foretell(len(names) + (triggers if self.reads_variables else 0))
        if self.everything:
            self.elsewhere(given, workers)
        asked = {self.tags[name] for name in given if name in self.tags}
        for name in sorted(set(names) & set(workers) - given):
            if workers[name] in asked:
                self.tags.setdefault(name, workers[name])  # the same Worker under another name
            elif workers[name]:
                self.worker(name, workers[name], given=False)
            else:
                self.no_tag(name)

    def elsewhere(self, given: Set[str], workers: dict[str, str]) -> None:
        """A Worker of the account that the manifests mean by another tag is not read: nobody knows what it holds."""
        known = {one.resource.tag for one in self.desired.workers.values()}
        for name in sorted(given & workers.keys()):
            if workers[name] not in known:
                error = AnswerError("the API does not show its tag")
                if workers[name]:
                    hint = "a Worker that was deleted and made again has a new tag: mend `tag`, or take it out"
                    error = AnswerError(f"its tag is {workers[name]}, in the manifests it is another", hint=hint)
                self.unread_workers[f"{name}~{workers[name]}"] = Unread(what=f"the Worker `{name}`", error=error)

    def no_tag(self, name: str) -> None:
        error = AnswerError("the API's answer has no usable `tag`")
        self.unread_workers[name] = Unread(what=f"the tag of Worker `{name}`", error=error)

    def all_tokens(self, tokens: list[Live[Token]]) -> None:
        self.builds_read = True
        self.tokens = tokens

    def worker(self, name: str, tag: str, *, given: bool) -> None:
        """`given`: the tag comes from the manifest, so that it may lead nowhere."""
        is_witness = tag in self.witnesses
        if not is_witness:
            self.tags[name] = tag

        def done(found: list[tuple[Live[Trigger], Live[Connection] | None]]) -> None:
            self.builds_read = True
            for live, connection in found:
                if connection:
                    self.connections.setdefault(connection.id, connection)
                if not is_witness:
                    self.triggers.append(live)
                    if self.reads_variables:
                        self.read_variables(name, live)
            if not found and not is_witness and name in self.desired.by_worker:
                self.read_surface(name, tag)

        def failed(error: ApiError) -> None:
            if given and isinstance(error, NotFoundError) and error.code == NO_SUCH_TAG:
                self.tags.pop(name, None)  # the manifest's tag leads nowhere: that is not a failed read
            else:
                self.unread_workers[name] = Unread(what=f"the triggers of Worker `{name}`", error=error)

        self.ask(lambda: self.api.get(Trigger.read(tag), lambda result: Trigger.decode(name, result)), done, failed)

    def read_variables(self, name: str, live: Live[Trigger]) -> None:
        what = f"the variables of trigger `{live.resource.trigger_name}` of Worker `{name}`"
        self.ask(
            lambda: self.api.get(EnvVar.read(live.id), EnvVar.decode),
            lambda found: self.variables.update({live.id: found}),
            _missing(self.unread_variables, live.id, what),
        )

    def read_surface(self, name: str, tag: str) -> None:
        """No trigger is no proof of "not connected" (field notes, Triggers): 200 yes, 404 no."""

        missed = _missing(self.unread_workers, name, f"whether Worker `{name}` is configured on the newer surface")
        self.ask(
            lambda: self.api.get(Worker.read_surface(tag), lambda result: result),
            lambda _: self.newer.add(name),
            lambda error: None if error.status == 404 else missed(error),
        )

    def result(self) -> Observed:
        return Observed(
            tags=self.tags,
            workers=self.workers,
            connections=tuple(sorted(self.connections.values(), key=lambda live: live.id)),
            tokens=tuple(self.tokens),
            triggers=tuple(sorted(self.triggers, key=lambda live: (live.scope, live.created_on, live.id))),
            variables=self.variables,
            newer_surface=frozenset(self.newer),
            unread_scripts=self.unread_lists.get("workers"),
            unread_tokens=self.unread_lists.get("tokens"),
            unread_workers=self.unread_workers,
            unread_variables=self.unread_variables,
            reads=self.api.reads,
        )


def _missing(unread: dict[str, Unread], key: str, what: str) -> Callable[[ApiError], None]:
    """Takes the error of a read that failed."""
    return lambda error: unread.update({key: Unread(what=what, error=error)})
