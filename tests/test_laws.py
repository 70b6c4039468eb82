"""What must hold over every golden case (DESIGN section 12)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import story
from world import Killed, World, loads, tried

from reconciler import ownership
from reconciler.errors import SourceError
from reconciler.model import Action, Outcome, Status
from reconciler.render.html import plan_html
from reconciler.render.json import dump, plan_document
from reconciler.render.text import plan_text
from reconciler.sandbox import Response

CASES = [(path.stem, story.load(path)) for path in story.paths()]
GOOD = [pytest.param(case, id=name) for name, case in CASES if case["runs"][0].get("exit") not in (1, None)]


def _skip_unless_good(case: dict[str, Any], folder: Path) -> None:
    if not loads(case, folder):
        pytest.skip("the case is about manifests that are refused")


@pytest.mark.parametrize("case", GOOD)
def test_plan_sends_only_reads_and_nothing_twice(case: dict[str, Any], tmp_path: Path) -> None:
    _skip_unless_good(case, tmp_path)
    world = World.of(case, tmp_path)
    before = world.state()
    world.plan()
    assert world.writes == []
    assert len(world.sent) == len(set(world.sent))
    assert world.state() == before


@pytest.mark.parametrize("case", GOOD)
def test_apply_then_plan_is_empty_and_a_second_apply_writes_nothing(case: Any, tmp_path: Path) -> None:
    _skip_unless_good(case, tmp_path)
    world = World.of(case, tmp_path)
    decided, outcomes, error = tried(world)
    if error is not None or decided is None or decided.refusals:
        assert error is None or isinstance(error, SourceError)
        assert world.writes == []
        return
    if not _finishes(outcomes):
        return  # a story about a failure
    assert len(world.writes) == len(decided.steps)
    assert len(world.sent) == decided.reads + decided.writes  # as the plan said before
    again = world.plan()
    assert [str(change.address) for change in again.changes if change.action is not Action.NO_OP] == []
    world.apply()
    assert world.writes == []


def _finishes(outcomes: list[Outcome]) -> bool:
    return {one.status for one in outcomes} <= {Status.DONE}


# Only the live trigger held the value of an ignored field, and no journal is kept: a run that is killed
# between the delete and the create of a replace leaves the manifest's value (ARCHITECTURE, Decisions).
LOST_WHEN_KILLED = {"ignore_replace"}


def _worth_trying(whole: World) -> list[int]:
    """Every write, and the last read: whatever ends a run before its first write leaves the same state."""
    writes = [number for number, (method, _) in enumerate(whole.sent, 1) if method != "GET"]
    reads = [number for number, (method, _) in enumerate(whole.sent, 1) if method == "GET"]
    return [*reads[-1:], *writes]


@pytest.mark.parametrize("after_acting", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", [case for case in GOOD if case.id not in LOST_WHEN_KILLED])
def test_killed_after_every_request_the_next_run_finishes(
    case: Any, after_acting: bool, tmp_path: Path, thorough: bool
) -> None:
    """`make test` tries every sixth request of a case, another sixth for each, `--thorough` all of them."""
    _skip_unless_good(case, tmp_path)
    whole = World.of(case, tmp_path)
    if not _finishes(tried(whole)[1]):
        return  # a story about a failure
    tried_here = _worth_trying(whole)
    for kill_at in tried_here if thorough else tried_here[len(case["about"]) % 6 :: 6]:
        world = World.of(case, tmp_path)

        def before(number: int, method: str, path: str, kill_at: int = kill_at) -> None:
            if number >= kill_at and not after_acting:
                raise Killed

        def after(number: int, method: str, path: str, answer: Response, kill_at: int = kill_at) -> Response:
            if number >= kill_at and after_acting:
                raise Killed
            return answer

        assert isinstance(tried(world, before=before, after=after)[2], Killed)
        _, outcomes, error = tried(world)
        assert error is None or isinstance(error, SourceError)
        assert {one.status for one in outcomes} <= {Status.DONE}, (kill_at, outcomes)
        assert world.end() == whole.end(), kill_at


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES])
def test_no_secret_in_any_byte_of_any_output(case: Any, tmp_path: Path) -> None:
    """Also not base64, hex or URL-encoded; not in markers, plans, outcomes, reprs or traces."""
    if not loads(case, tmp_path):
        pytest.skip("the case is about manifests that are refused")
    world = World.of(case, tmp_path)
    decided, outcomes, error = tried(world)
    texts = [repr(decided), repr(outcomes), repr(error), str(error), repr(world.desired())]
    if decided is not None:
        texts += [plan_text(decided), dump(plan_document(decided, outcomes)), plan_html(decided, outcomes, digest="")]
    texts += [repr(one["variables"].get(ownership.MARKER)) for one in world.state()["triggers"]]
    with story.folder(tmp_path / "cli", story.files_of(case)):
        ran = story.run([*case["runs"][0]["args"], "--out", "out.json"], case.get("environment", {}))
        texts += [ran.stdout, ran.stderr, *ran.requests]
        texts += [path.read_text(errors="replace") for path in Path().rglob("out.json")]
    everything = "\n".join(texts)
    environment = case.get("environment", {})
    values = ["canary-token-55aa", *(value for value in environment.values() if "canary" in value)]
    if world.key:
        values += [environment["BUILDSCTL_FINGERPRINT_KEY"], world.key.key.decode()]
    for value in values:
        raw = value.encode()
        forms = (value, raw.hex(), base64.b64encode(raw).decode().rstrip("="), quote(value, safe=""))
        assert not [form for form in forms if form in everything]
