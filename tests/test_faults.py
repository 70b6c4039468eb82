"""Every golden case, every request, every fault: the next run ends where a run without a fault does.

`make test` tries a fixed part of the matrix, `pytest --thorough` (`make soak`) all of it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import story
from world import Around, World, loads, tried

from reconciler import ownership
from reconciler.errors import BuildsctlError, SourceError
from reconciler.model import Action, Address, Disposition, Outcome, Plan, Status
from reconciler.sandbox import Response
from reconciler.sandbox.fault_spec import Fault
from reconciler.sandbox.faults import inflict

KINDS = ["cut-before", "500", "502-html", "429", "slow", "truncated", "success-false", "wrong-shape"]
ANSWERS = {"403": (403, 10000), "404": (404, 12000), "409": (409, 12345), "no-route": (404, 7003)}
FAULTS = [
    *KINDS,
    "403",
    "409",
    "no-route",
    "cut-after",
    "500-after",
    "502-html-after",
    "slow-after",
    "success-false-after",
]
READ_FAULTS = [*KINDS, "403", "404", "no-route"]
CASES = [
    pytest.param(
        number + 7 * later,
        stage,
        id=f"{path.stem}-{later + 1}" if later else path.stem,
        marks=[pytest.mark.thorough] if later else [],
    )
    for number, path in enumerate(story.paths())
    for later, stage in enumerate(story.stages(story.load(path)))
]
PART = 16  # `make test` tries every sixteenth fault of each request, another one for each
# Only the live trigger held the value of an ignored field, and no journal is kept: a run that ends between
# the delete and the create of a replace leaves the manifest's value (ARCHITECTURE, Decisions).
LOST_BETWEEN = {story.load(story.CASES / "ignore_replace.yaml")["about"]}
# One twin released, the other one has the address: the same command names that one then.
NOT_TWICE = {story.load(story.CASES / "release_twins.yaml")["about"]}
Count = Callable[[str, object], None]
UUID = re.compile(r"/builds/(?:triggers|tokens|repos/connections)/([^/]+)")


def _hang(_: float) -> None:
    raise httpx.ReadTimeout("no answer in time")


def _meet(kind: str, act: Callable[[], Response]) -> Response:
    """What a request meets that this fault is due for."""
    if kind in ANSWERS:
        status, code = ANSWERS[kind]
        text = b'{"success": false, "errors": [{"code": %d}], "messages": [], "result": null}' % code
        return Response(status=status, headers={}, body=text)
    if kind == "wrong-shape":
        acted = act()
        if acted.status != 200:
            return Response(status=200, headers={}, body=b"[]")  # an error has no shape to be wrong
        return inflict(Fault(kind=kind, method="*", path="*"), lambda: acted, {}, sleep=_hang)
    fault = Fault(kind=kind, method="*", path="*", retry_after=0 if kind == "429" else 1)
    return inflict(fault, act, {}, sleep=_hang)


def _once(k: int, kind: str) -> Around:
    return lambda number, _, __, act: _meet(kind, act) if number == k else act()


def _always(world: World, broken: str, kind: str) -> Around:
    return lambda _, method, path, act: _meet(kind, act) if (method, world.named(path)) == ("GET", broken) else act()


def _chosen(faults: list[str], start: int, *, thorough: bool) -> Iterator[str]:
    for number, fault in enumerate(faults):
        if thorough or (number + start) % PART == 0:
            yield fault


def _done(outcomes: list[Outcome]) -> bool:
    return {one.status for one in outcomes} <= {Status.DONE}


def end_state(world: World, *, entries: bool) -> Any:
    """The end state, with or without what the markers say of variables."""
    state = world.end()
    for one in state["triggers"] if not entries else ():
        marker = one["variables"].get(ownership.MARKER)
        one["variables"][ownership.MARKER] = {**marker, "e": None} if isinstance(marker, dict) else marker
    return state


def _seeded(world: World, *, method: str = "") -> set[str]:
    """The paths below resources that stood there before the run, as far as it wrote to them."""
    there = {one["trigger_uuid"] for one in story.seed_of(world.case).get("triggers", [])}
    written = {(m, path) for m, path in world.writes if method in ("", m)}
    return {path for _, path in written if (found := UUID.match(path)) and found[1] in there}


@pytest.mark.parametrize(("number", "case"), CASES)
def test_any_request_may_meet_any_fault(
    number: int, case: Any, tmp_path: Path, thorough: bool, record_property: Count
) -> None:
    """Once, at request k. A run that says that all is done has done it; the next one finishes in any case."""
    if not loads(case, tmp_path):
        pytest.skip("the case is about manifests that are refused")
    whole = World.of(case, tmp_path)
    decided, outcomes, error = tried(whole)
    if error is not None or decided is None or decided.refusals or not _done(outcomes):
        pytest.skip("a story about a refusal or a failure; its reads are in the test below")
    tried_here = sent = 0
    end, touched, deleted = whole.state(), _seeded(whole), _seeded(whole, method="DELETE")
    for k in range(1, len(whole.sent) + 1):
        for kind in _chosen(FAULTS, number + k, thorough=thorough):
            if case["about"] in LOST_BETWEEN and any(method == "DELETE" for method, _ in whole.sent[:k]):
                continue
            world = World.of(case, tmp_path)
            where = f"{kind} at request {k}"

            first, outcomes, error = tried(world, around=_once(k, kind))
            assert _seeded(world, method="DELETE") <= deleted, where
            if error is None and first is not None and not first.unread and not first.refusals and _done(outcomes):
                assert world.state() == end, f"{where}: not what the run said"
            assert _seeded(world) <= touched, where
            if world.state() == end and case["about"] in NOT_TWICE:
                continue
            _, outcomes, error = tried(world)
            # The first run deleted what --target names: then only its entry in the marker is left, for a run without.
            gone = "--target" in str(error) and "matches nothing" in str(error)
            assert error is None or isinstance(error, SourceError) or gone, where
            assert _done(outcomes), (where, outcomes)
            assert end_state(world, entries=not gone) == end_state(whole, entries=not gone), where
            assert _seeded(world, method="DELETE") <= deleted, where
            tried_here += 1
            sent += world.count
    record_property("tried: faults, each at one request of a golden case", tried_here)
    record_property("tried: requests sent for them", sent)


@pytest.mark.parametrize("flags", [(), ("--prune",), ("--delete-unmanaged", "*")], ids=lambda flags: flags[:1])
@pytest.mark.parametrize(("number", "case"), CASES)
def test_a_failed_read_is_never_absence(
    number: int, case: Any, flags: tuple[str, ...], *, tmp_path: Path, thorough: bool, record_property: Count
) -> None:
    """Broken for the whole run, each read in turn costs what it was about: no delete, no create unproved."""
    if not loads(case, tmp_path):
        pytest.skip("the case is about manifests that are refused")
    world, creates, tried_here = World.of(case, tmp_path, *flags), set[Address](), 0
    with contextlib.suppress(BuildsctlError):
        creates = {change.address for change in world.plan().changes if change.action is Action.CREATE}
    reads = dict.fromkeys(
        world.named(path) for method, path in world.sent if method == "GET" and path
    )  # but the verification
    for k, broken in enumerate(reads):
        for kind in _chosen(READ_FAULTS, number + k, thorough=thorough):
            if _proves(kind, broken):
                continue
            world = World.of(case, tmp_path, *flags)
            tried_here += 1
            _check_unread(world, tried(world, around=_always(world, broken, kind))[0], creates, f"{kind} at {broken}")
    record_property("tried: reads that failed for a whole run of a golden case", tried_here)


def _proves(kind: str, path: str) -> bool:
    """What the newer surface says with a 200 is unknown, so that any will do, and any 404 says no."""
    surface = path.count("/") == 3 and path.startswith("/builds/workers/")
    return surface and kind in ("wrong-shape", "truncated", "404", "no-route")


def _check_unread(world: World, decided: Plan | None, creates: set[Address], where: str) -> None:
    released = f"/{ownership.MARKER}" if world.arguments[0] == "release" else "/nothing"
    assert [one for one in world.writes if one[0] == "DELETE" and not one[1].endswith(released)] == [], where
    if decided is None:
        return  # nothing could be read, or a secret is missing
    assert decided.unread, where
    going = [change for change in decided.changes if change.disposition is not Disposition.REFUSED]
    assert not {change.action for change in going} & {Action.DELETE, Action.REPLACE}, where
    assert {change.address for change in decided.changes if change.action is Action.CREATE} <= creates, where
