"""Every golden case in a process of its own, killed with SIGKILL at every request: the next process finishes.

`make test` tries one kill of every ninth case, `pytest --thorough` (`make soak`) all of them. It runs the same cases
as the matrix of faults, and leaves out the same.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import child
import pytest
import story
from test_faults import CASES, LOST_BETWEEN, NOT_TWICE, end_state
from world import Watched, World, loads, tried

from reconciler.errors import Exit
from reconciler.model import Status
from reconciler.sandbox import Response
from reconciler.sandbox.faults import CutError
from reconciler.sandbox.server import serve

SOME = [
    pytest.param(*one.values, id=one.id, marks=pytest.mark.thorough if place % 9 or one.marks else ())
    for place, one in enumerate(CASES)
]


class Deadly(Watched):
    """Kills `victim` at request number `last`, before or after it `acts` upon it, and acts upon none after that."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.last, self.acts, self.victim = 0, 0, False, 0
        self._counting = threading.Lock()

    def handle(self, *request: Any) -> Response:
        with self._counting:
            self.count += 1
            if self.last and self.count >= self.last:
                if self.count == self.last:
                    if self.acts:
                        super().handle(*request)
                    os.kill(self.victim, signal.SIGKILL)
                raise CutError
        return super().handle(*request)


@dataclass
class Doomed(World):
    sandbox: Deadly = field(default_factory=Deadly)

    @contextmanager
    def served(self) -> Iterator[list[str]]:
        """The options that lead to it over HTTP."""
        server = serve(self.sandbox)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/client/v4"
            yield ["--api-base-url", url, "--account-id", story.ACCOUNT]
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def run(self, where: list[str], folder: Path, *, last: int = 0, acts: bool = False) -> int:
        """The exit code of the case's command, or of the apply where it is a plan; negative for a signal."""
        given = [one for one in self.arguments if one not in ("--detailed-exitcode", "--auto-approve")]
        command = ["apply", *given[1:]] if given[0] == "plan" else given
        environment = {**self.case.get("environment", {}), "CLOUDFLARE_API_TOKEN": "canary-token-55aa"}
        # What cannot happen before the victim is known: its first request waits for the lock.
        with self.sandbox._counting:
            process = child.start([*where, *command, "--auto-approve"], environment, folder)
            self.sandbox.count, self.sandbox.last, self.sandbox.acts = 0, last, acts
            self.sandbox.victim = process.pid or 0
        process.join(60)
        code, self.sandbox.last = process.exitcode, 0
        assert code is not None
        process.close()
        return code


@pytest.mark.parametrize(("number", "case"), SOME)
def test_a_killed_process_is_finished_by_the_next(
    number: int, case: Any, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None]
) -> None:
    if not loads(case, tmp_path):
        pytest.skip("the case is about manifests that are refused")
    whole = Doomed.of(case, tmp_path)
    decided, outcomes, error = tried(whole)
    if error is not None or decided is None or decided.refusals or {one.status for one in outcomes} - {Status.DONE}:
        pytest.skip("a story about a refusal or a failure")
    with story.folder(tmp_path, story.files_of(case)):
        alone, killed, printed = Doomed.of(case, tmp_path), 0, tmp_path / "printed"
        begin = alone.end()
        with alone.served() as where:
            code = alone.run(where, tmp_path)
        requests = alone.sandbox.count
        if case["runs"][0]["exit"] == code == Exit.ERROR and alone.end() == begin:
            pytest.skip("the command line refuses it")
        assert alone.end() == whole.end(), "not what the same does within a process"
        every = [(k, acts) for k in range(1, requests + 1) for acts in (False, True)]
        for k, acts in every if thorough else every[number % len(every) :][:1]:
            if case["about"] in LOST_BETWEEN and any(method == "DELETE" for method, _ in whole.sent[:k]):
                continue
            at = f"request {k} of {requests}, {'after' if acts else 'before'} it acted"
            world = Doomed.of(case, tmp_path)
            with world.served() as where:
                assert world.run(where, tmp_path, last=k, acts=acts) == -signal.SIGKILL, at
                killed += 1
                done = world.end() == whole.end()
                if done and case["about"] in NOT_TWICE:
                    continue
                again = world.run(where, tmp_path)
            # Where all was done, nothing is left for a glob to match, or for an error to be beside.
            text = printed.read_text()
            nothing_left = done and again == Exit.ERROR and (code == Exit.PARTIAL or "matches" in text)
            gone = "--target" in text and "matches nothing" in text  # as in the matrix of faults
            assert again == code or nothing_left or gone, (at, text)
            assert end_state(world, entries=not gone) == end_state(whole, entries=not gone), at
    record_property("tried: processes killed with SIGKILL", killed)
