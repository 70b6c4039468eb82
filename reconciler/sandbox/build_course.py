"""Decides how a build goes: when it reaches each state, how it ends, what it logs when. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.sandbox import times

STATUSES = ("queued", "initializing", "running", "stopped")
OUTCOMES = ("success", "fail", "skipped", "cancelled", "terminated")
# Seconds after created_on. The live API takes longer; nobody who tries something out wants to wait for it.
INITIALIZING, RUNNING, CLONED, BUILT, STOPPED = 2, 5, 6, 8, 10
# Field notes, Build tokens: a dead token ends a build within seconds, while it is still being set up.
TOKEN_CHECKED = 3

Log = tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True)
class Course:
    """Times are as the API writes them, null for what is never reached; a log line is (epoch ms, text)."""

    initializing_on: str | None
    running_on: str | None
    stopped_on: str | None
    outcome: str
    log: Log


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What must make a build fail: so many seconds after created_on, and with this line."""

    seconds: float
    line: str


def course(
    created_on: str,
    metadata: Mapping[str, Any],
    *,
    version_id: str | None = None,
    outcome: str | None = None,
    trouble: Trouble | None = None,
) -> Course:
    """How a build goes by itself: to `outcome`, or else to what `trouble` makes of it, or else to success."""
    outcome = outcome or ("fail" if trouble else "success")
    end, last = _end(outcome, metadata, trouble)
    steps = [(seconds, line) for seconds, line in _steps(metadata, version_id) if seconds < end or outcome == "success"]
    steps += [(end, last)] if last else []
    return Course(
        initializing_on=times.after(created_on, INITIALIZING) if end > INITIALIZING else None,
        running_on=times.after(created_on, RUNNING) if end > RUNNING else None,
        stopped_on=times.after(created_on, end),
        outcome=outcome,
        log=tuple((times.epoch_ms(times.after(created_on, seconds)), line) for seconds, line in steps),
    )


def waiting(created_on: str, line: str) -> Course:
    """A build that stays queued until it is cancelled."""
    log = ((times.epoch_ms(created_on), line),)
    return Course(initializing_on=None, running_on=None, stopped_on=None, outcome="success", log=log)


def held(plan: Course, status: str, *, created_on: str, now: str) -> Course:
    """The course of a build that stands at `status` now, and stays there."""
    planned = (plan.initializing_on, plan.running_on, plan.stopped_on)[: STATUSES.index(status)]
    marks = [None if mark is None else max(created_on, min(mark, now)) for mark in planned]
    marks += [None] * (len(STATUSES) - 1 - len(marks))
    # A line is there if the build had come to it, also where it came to its status sooner than it would have.
    until = max(mark for mark in (created_on, *planned) if mark is not None)
    last = max(mark for mark in (created_on, *marks) if mark is not None)
    log = tuple((min(when, times.epoch_ms(last)), line) for when, line in plan.log if when <= times.epoch_ms(until))
    return replace(plan, initializing_on=marks[0], running_on=marks[1], stopped_on=marks[2], log=log)


def with_log(plan: Course, lines: Sequence[str], *, created_on: str) -> Course:
    """The same course with these lines, evenly from the last state before the end to the end."""
    first = times.epoch_ms(plan.running_on or plan.initializing_on or created_on)
    last = times.epoch_ms(plan.stopped_on) if plan.stopped_on else first + (STOPPED - RUNNING) * 1000
    gaps = max(1, len(lines) - 1)
    return replace(plan, log=tuple((first + (last - first) * at // gaps, line) for at, line in enumerate(lines)))


def cancelled(plan: Course, *, now: str) -> Course:
    """What becomes of a build that is cancelled now."""
    moment = times.epoch_ms(now)
    log = (*((when, line) for when, line in plan.log if when <= moment), (moment, "Build was cancelled"))
    return Course(
        initializing_on=_if_reached(plan.initializing_on, now),
        running_on=_if_reached(plan.running_on, now),
        stopped_on=now,
        outcome="cancelled",
        log=log,
    )


def status_at(plan: Course, now: str) -> str:
    marks = (plan.stopped_on, plan.running_on, plan.initializing_on)
    return next((STATUSES[3 - at] for at, mark in enumerate(marks) if _if_reached(mark, now)), "queued")


def _if_reached(mark: str | None, now: str) -> str | None:
    return mark if mark is not None and mark <= now else None


def _steps(metadata: Mapping[str, Any], version_id: str | None) -> list[tuple[float, str]]:
    """What a build that goes well logs, by seconds after created_on. The wording is close to the live one."""
    build_command, deploy_command = metadata["build_command"], metadata["deploy_command"]
    steps: list[tuple[float, str]] = [
        (INITIALIZING, "Initializing build environment..."),
        (RUNNING, "Success: Finished initializing build environment"),
        (RUNNING, "Cloning repository..."),
    ]
    if build_command:
        steps += [
            (CLONED, f"Executing user build command: {build_command}"),
            (BUILT, "Success: Build command completed"),
        ]
    steps.append((BUILT, f"Executing user deploy command: {deploy_command}"))
    if version_id is not None:
        steps.append((STOPPED, f"Current Version ID: {version_id}"))
    return [*steps, (STOPPED, "Success: Deploy command completed")]


def _end(outcome: str, metadata: Mapping[str, Any], trouble: Trouble | None) -> tuple[float, str | None]:
    """When a build ends, and its last line, which is None where `_steps` has it."""
    match outcome:
        case "success":
            return STOPPED, None
        case "skipped":
            return INITIALIZING, "Build was skipped"
        case "cancelled":
            return CLONED, "Build was cancelled"
        case "terminated":
            return STOPPED, "Failed: build was terminated as it took too long"
    if trouble is not None:
        return trouble.seconds, trouble.line
    step = "build" if metadata["build_command"] else "deploy"
    return (BUILT if step == "build" else STOPPED), f"Failed: error occurred while running {step} command"
