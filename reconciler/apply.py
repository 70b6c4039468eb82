"""Carry out a plan, yielding an outcome for each change as it is known.

Connections and tokens first, one after the other; then the Workers, each a branch of its own, in
parallel. A branch goes on when another fails; what depends on a failure is skipped and says so.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from threading import Event, Lock
from typing import Any

from reconciler import errors, ownership, settle
from reconciler.api import CONNECTIONS, Api
from reconciler.gate import POLL_SECONDS
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.model import (
    Action,
    Address,
    Change,
    Echo,
    Live,
    MarkerDraft,
    Outcome,
    Plan,
    Ref,
    Repeat,
    Request,
    Status,
    Step,
    Trial,
    Value,
)

STOPPED = "the run was told to stop"
_WORST = (Status.FAILED, Status.UNKNOWN, Status.SKIPPED, Status.DONE)


def check_sources(plan: Plan) -> None:
    """Refuse before the first write where a secret would have to be sent that its source did not give."""
    missing = [f"{address}: {secret.source} {secret.missing}" for address, secret in plan.missing]
    if missing:
        raise errors.SourceError(
            "\n  ".join((f"{len(missing)} secret{'s' * (len(missing) > 1)} to be written cannot be had:", *missing)),
            hint="give each source a value; nothing was written",
        )


@dataclass(frozen=True)
class _Result:
    step: Step
    status: Status
    error: errors.ApiError | None = None
    reason: str = ""

    @property
    def began(self) -> bool:
        """May the request have taken effect?"""
        return self.status in (Status.DONE, Status.UNKNOWN) or isinstance(self.error, errors.IgnoredError)


@dataclass
class _Run:
    api: Api
    ids: dict[Address, str]
    key: ownership.FingerprintKey | None = None
    fail_fast: bool = False
    at_once: Event = field(default_factory=Event)
    begun: set[int] = field(default_factory=set)  # by identity, the steps that were begun
    failed: bool = False
    # A SimpleQueue's wait has no end where a signal's handler outlasts it (CPython 3.11).
    results: queue.Queue[_Result | BaseException | None] = field(default_factory=queue.Queue)
    bad: dict[Address, str] = field(default_factory=dict)
    denied: bool = False
    trying: Lock = field(default_factory=Lock)
    tried: dict[Address, errors.ApiError | None] = field(default_factory=dict)

    def branch(self, steps: Sequence[Step]) -> None:
        """The steps of one branch, one after the other."""
        try:
            for step in steps:
                self.results.put(self.step(step))
            self.results.put(None)
        except BaseException as error:
            self.api.stop.set()
            self.results.put(error)  # a bug: raised by the thread that waits

    def carry_out(self, steps: Sequence[Step]) -> Iterator[_Result]:
        """What becomes of each step as it is known, at last of those for which the run is not to wait."""
        left = {id(step): step for step in steps}
        pool = ThreadPoolExecutor(max_workers=CONNECTIONS)
        try:
            for branches in _phases(steps):
                if self.at_once.is_set():
                    break
                for branch in branches:
                    pool.submit(self.branch, branch)
                running = len(branches)
                while running:
                    try:
                        found = self.results.get(timeout=POLL_SECONDS)
                    except queue.Empty:
                        if self.at_once.is_set():
                            break
                        continue
                    if isinstance(found, BaseException):
                        raise found
                    if found is None:
                        running -= 1
                        continue
                    del left[id(found.step)]
                    self.api.progress("writing", len(steps) - len(left), len(steps))
                    yield found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for step in left.values():
            if id(step) in self.begun:
                yield _Result(step, Status.UNKNOWN, None, "the run was stopped while a request of it was under way")
            else:
                yield _Result(step, Status.SKIPPED, None, STOPPED)

    def step(self, step: Step) -> _Result:
        needs = {*step.covers, *step.needs, *_refs(step.request.path), *_refs(step.request.json)}
        broken = sorted(address for address in needs if address in self.bad)
        reason = ""
        if broken:
            reason = f"`{broken[0]}` {self.bad[broken[0]]}"
        elif self.denied:
            reason = "the token may not write"
        elif self.failed and self.fail_fast:
            reason = "another change failed, and --fail-fast was given"
        elif self.api.stop.is_set():
            reason = STOPPED
        try:
            if not reason:
                self.begun.add(id(step))
                self._send(step)
                return _Result(step, Status.DONE)
        except errors.ApiError as error:
            if not (self.api.stop.is_set() and error.never_sent):
                self._mark(step, "failed")
                self.failed = True
                self.denied |= isinstance(error, errors.AuthenticationError | errors.ForbiddenError)
                return _Result(step, Status.UNKNOWN if settle.is_unsure(error) else Status.FAILED, error)
            reason = STOPPED
        self._mark(step, "was skipped")
        return _Result(step, Status.SKIPPED, None, reason)

    def _try_token(self, trial: Trial) -> None:
        """Once a run for each token, however many triggers move to it."""
        with self.trying:
            if trial.token not in self.tried:
                self.tried[trial.token] = self._tried(trial)
        if error := self.tried[trial.token]:
            raise error

    def _tried(self, trial: Trial) -> errors.ApiError | None:
        try:
            found = self.api.verify(trial.secret)
        except errors.ApiError as error:
            if error.status == 404:
                return None  # whatever answers at this base URL has no such path
            if self.api.stop.is_set() and error.never_sent:
                return error  # interrupted: that says nothing of the secret
            hint = "; ".join(filter(None, (error.hint, "--no-verify-token skips this")))
            return errors.RejectedError(f"the secret of `{trial.token}` could not be tried: {error.message}", hint=hint)
        active = found.get("status") == "active"
        if active and found.get("id") == trial.cloudflare_token_id:
            return None
        wrong = "is that of another token than `cloudflare_token_id`" if active else "is not active"
        check = "both" if active else "its source"
        hint = f"check {check}; --no-verify-token skips this for a token that may not look at itself"
        return errors.RejectedError(f"the secret of `{trial.token}` {wrong}: the working token stays", hint=hint)

    def _mark(self, step: Step, what: str) -> None:
        for address in step.covers:
            self.bad.setdefault(address, what)

    def _send(self, step: Step) -> None:
        request = _bind(step.request, self.ids, self.key)
        if step.trial:
            self._try_token(step.trial)

        def check(result: Any) -> None:
            given, wrong = _echo(step.echo, request.body, result)
            if step.gives and given:
                self.ids[step.gives] = given
            if wrong:
                raise errors.IgnoredError(
                    f"the API answered, but did not take over {', '.join(f'`{one}`' for one in wrong)}",
                    hint="run plan: it shows what is live now",
                )

        if request.repeat is Repeat.KEYED:
            self._create(step, request, check)
        else:
            self.api.write(request, check)

    def _create(self, step: Step, request: Request, check: Callable[[Any], None]) -> None:
        """Never repeated blindly: only once it is proved that the attempt before did not happen."""
        find = settle.find_token if step.echo is Echo.TOKEN else settle.find_trigger
        for attempt in range(1, settle.ATTEMPTS + 1):
            try:
                self.api.write(request, check)
                return
            except errors.ApiError as error:
                unsure = settle.is_unsure(error)
                if not unsure and error.code not in settle.TAKEN:
                    raise
                try:
                    found = find(self.api, request.body)
                except errors.ApiError as other:  # could not look: the outcome stays unknown
                    raise (other if isinstance(other, settle.TakenError) else error) from None
                if found is None and not (unsure and attempt < settle.ATTEMPTS and not self.api.stop.is_set()):
                    raise
                if found is not None:
                    if step.gives:
                        self.ids[step.gives] = found
                    return


def apply(
    plan: Plan,
    api: Api,
    *,
    key: ownership.FingerprintKey | None = None,
    fail_fast: bool = False,
    at_once: Event | None = None,
) -> Iterator[Outcome]:
    """Every write of `plan`. `api.stop` ends it after the requests under way, `at_once` beside it without them."""
    run = _Run(api, dict(plan.ids), key, fail_fast, at_once or Event())
    rows = {change.address: change for change in plan.changes}
    left = Counter(address for step in plan.steps for address in step.covers)
    worst: dict[Address, _Result] = {}
    began: set[Address] = set()
    api.progress("writing", 0, len(plan.steps))
    for result in run.carry_out(plan.steps):
        for address in result.step.covers:
            began |= {address} if result.began else set()
            known = worst.get(address, result)
            worst[address] = min(known, result, key=lambda one: _WORST.index(one.status))
            left[address] -= 1
            silent = rows[address].action is Action.NO_OP and worst[address].status is Status.DONE
            if not left[address] and not silent:
                yield _outcome(rows[address], worst[address], began=address in began)


def _outcome(row: Change, result: _Result, *, began: bool) -> Outcome:
    error = str(result.error) if result.error else result.reason
    if began and result.status is Status.SKIPPED:
        error = f"begun and not finished: {error}"
    return Outcome(
        address=row.address,
        action=row.action,
        disposition=row.disposition,
        status=result.status,
        error=error,
        hint=result.error.hint if result.error else "",
        denied=isinstance(result.error, errors.AuthenticationError | errors.ForbiddenError),
        began=began,
    )


def _phases(steps: Sequence[Step]) -> Iterator[list[list[Step]]]:
    """What may run side by side: steps without a branch run alone, the Workers' branches together."""
    for _, phase in groupby(steps, key=lambda step: not step.branch):
        yield [list(branch) for _, branch in groupby(phase, key=lambda step: step.branch)]


def _refs(value: Value | tuple[Ref, ...]) -> Iterator[Address]:
    """Every address that still has to become an id."""
    match value:
        case Address():
            yield value
        case MarkerDraft():
            yield from _refs(value.fields)
        case tuple():
            for one in value:
                yield from _refs(one)
        case Mapping():
            for one in value.values():
                yield from _refs(one)


def _bind(request: Request, ids: Mapping[Address, str], key: ownership.FingerprintKey | None) -> Request:
    """`request` with ids for addresses, and the marker as text."""
    path = tuple(ids[part] if isinstance(part, Address) else part for part in request.path)
    trigger = path[2] if len(path) > 2 else ""

    def bound(value: Value) -> Value:
        match value:
            case Address():
                return ids[value]
            case MarkerDraft():
                fields = {name: bound(one) for name, one in value.fields.items()}
                return ownership.write(replace(value, fields=fields), str(trigger), key)
            case tuple():
                return tuple(bound(one) for one in value)
            case Mapping():
                return {key: bound(one) for key, one in value.items()}
            case _:
                return value

    return replace(request, path=path, json=bound(request.json))


def _echo(echo: Echo, sent: Mapping[str, Value], result: Any) -> tuple[str, list[str]]:
    """The id in an answer, and the fields that it does not show as they were sent."""
    live: Live[Token] | Live[Connection]
    names: tuple[str, ...]
    match echo:
        case Echo.TRIGGER:
            trigger, _ = Trigger.decode_one("", result)
            return trigger.id, settle.differing(trigger.resource, sent)
        case Echo.VARIABLES:
            return "", [key for key, value in sent.items() if not _same_variable(value, EnvVar.decode(result).get(key))]
        case Echo.TOKEN:
            live, names = Token.decode(result), settle.TOKEN_FIELDS
        case Echo.CONNECTION:
            connection, names = Connection.decode(result), ("provider_type", "provider_account_id", "repo_id")
            if connection is None or connection.resource.deleted:
                raise errors.AnswerError(f"the API's answer is {'a deleted' if connection else 'no'} connection")
            live = connection
        case Echo.NOTHING:
            return "", []
    return live.id, [name for name in names if live.resource.fields[name] != sent[name]]


def _same_variable(sent: Value, seen: EnvVar | None) -> bool:
    if seen is None or not isinstance(sent, Mapping):
        return False
    return sent["is_secret"] == seen.is_secret and (seen.is_secret or sent["value"] == seen.value)
