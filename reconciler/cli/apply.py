"""`apply`: plan afresh, ask, carry out, report; `release`, which gives up ownership in the same way."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import (
    ARGUMENTS,
    Globals,
    Manifests,
    argument,
    ask_option,
    deciding_options,
    manifest_options,
    named_manifests,
    option,
    owner_option,
    report_options,
)
from reconciler.cli.output import check_writable, colored, data, lost, say, width
from reconciler.cli.plan import PLAN_HINT, Reporter, decide, read_plan, reporting
from reconciler.errors import Exit, InterruptedRunError, UnexpectedPlanError, UsageError

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.model import Plan
    from reconciler.plan import Options

PATIENCE_SECONDS = 2.0  # in which a run that is told to stop at once ends by itself


@click.command(
    params=[
        ask_option,
        option(
            "--expect FILE",
            "Do only what these reviewed plans hold; or a digest, sha256:…, to be exact.",
            multiple=True,
        ),
        option("--fail-fast", "Start nothing more once a change failed."),
        option(
            "--no-verify-token",
            "Do not try a build token's new secret before it replaces a working one.",
            weakens_safety=True,
        ),
    ]
)
@manifest_options
@deciding_options
@report_options(Reporter)
def apply(
    *,
    settings: Globals,
    manifests: Manifests,
    deciding: Options,
    reporter: Reporter,
    auto_approve: bool,
    expect: tuple[str, ...],
    fail_fast: bool,
    no_verify_token: bool,
) -> int:
    """Make the account what the manifests say. Running it again changes nothing.

    It plans afresh, shows the plan and asks. What fails is reported and what does not depend on it goes
    on; the next run finishes what was left.

    \b
    Examples:
      buildsctl apply
      buildsctl apply builds/ --auto-approve --out applied.json
      buildsctl apply --expect plan.json --auto-approve

    \b
    Exit codes: 0 done, or nothing to do · 1 error, nothing was done
      3 applied in part · 4 refused by a safety rule
      5 not the plan that was reviewed (--expect)
      6 authentication or permission · 7 could not look everywhere
      130 interrupted
    """
    with reporting(reporter.write):
        check_approval(auto_approve=auto_approve)
        desired = session.load(manifests)
        narrowed = session.narrow(deciding, manifests)
        if narrowed is None:
            return reporter.nothing_differs(settings, desired, deciding.changed_since)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            plan = decide(desired, api, narrowed)
            plan = plan.untried if no_verify_token else plan
            if expect:
                reporter.plan = plan
                check_expected(plan, expect)
            return carry_out(plan, api, reporter, settings, ask=not auto_approve, key=narrowed.key, fail_fast=fail_fast)


def check_expected(plan: Plan, expect: tuple[str, ...]) -> None:
    """Hold the plan to what was reviewed."""
    from reconciler.plan.summary import errored
    from reconciler.render.expect import what_moved
    from reconciler.render.json import plan_document

    document = plan_document(plan)
    digests = [one for one in expect if one.startswith("sha256:")]
    reviewed = [read_plan(one) for one in expect if one not in digests]
    if digests and document["digest"] not in digests:
        moved = [f"the digest is {document['digest']}"]
    else:
        try:
            moved = what_moved(document, reviewed) if reviewed else []
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UsageError("a reviewed plan is not whole", hint=PLAN_HINT) from None
    if moved:
        hint = "plan again, and review that; between plan and write the API has no lock, so look at the outcome too"
        error = UnexpectedPlanError("\n  ".join(("the plan is not the one that was reviewed:", *moved)), hint=hint)
        error.exit_code = Exit.ERROR if errored(plan) else error.exit_code
        raise error


def check_approval(*, auto_approve: bool) -> None:
    """Somebody must be there to be asked, before anything is read."""
    if not auto_approve and not (sys.stdin and sys.stdin.isatty()):
        hint = "say --auto-approve where nobody can be asked"
        raise UsageError("there is no terminal to ask on", hint=hint)


def carry_out(plan: Plan, api: Api, reporter: Reporter, settings: Globals, *, ask: bool, **how: Any) -> int:
    """Show the plan, ask, send its writes (`how` is for `apply.apply`), report."""
    from reconciler import apply as carrying
    from reconciler.plan.summary import exit_codes
    from reconciler.render.text import outcome_text, outcomes_ending, plan_text, troubles_text

    reporter.plan = plan
    color = colored(no_color=settings.no_color) and reporter.format == "text"
    tell = data if reporter.format == "text" else say
    tell(plan_text(plan, color=color, whole=settings.verbose, width=width()))
    say(troubles_text(plan, whole=settings.verbose))
    if plan.steps and not plan.refusals:
        carrying.check_sources(plan)
        if reporter.out:
            check_writable(reporter.out)
        if ask and not click.confirm("\nApply these changes?", err=True):
            raise UsageError("the answer was no: nothing was written")
        api.allow_writes()
        tell("\n")
        reporter.outcomes = []
        at_once = threading.Event()
        with _stopping(api.stop, at_once):
            for outcome in carrying.apply(plan, api, at_once=at_once, **how):
                reporter.outcomes.append(outcome)
                tell(outcome_text(outcome, color=color) + "\n")
        again = shlex.join(("buildsctl", *click.get_current_context().meta[ARGUMENTS]))
        tell("\n" + outcomes_ending(reporter.outcomes, again))
    reporter.outcomes = reporter.outcomes or []
    codes = exit_codes(plan, reporter.outcomes, interrupted=api.stop.is_set())
    began = any(outcome.began for outcome in reporter.outcomes)
    try:
        reporter.write(codes)
    except UsageError as error:
        if not began:
            raise
        say(f"error: {error}\n")
        return Exit.PARTIAL  # 1 would say that nothing was done
    if plan.refusals:
        say("error: refused by a safety rule; nothing was written\n")
    return Exit.PARTIAL if lost and began and codes[0] == Exit.OK else codes[0]


@contextmanager
def of_owner(
    given: str | None, manifests: Manifests, settings: Globals, reporter: Reporter, *, auto_approve: bool
) -> Iterator[tuple[str, Api]]:
    """The owner that is given, else that of the manifests here, and the API; what goes wrong is reported."""
    with reporting(reporter.write):
        check_approval(auto_approve=auto_approve)
        declared = session.names(manifests, strict=not given)
        session.check_account(declared)
        owner = given or declared.owner
        if not owner:
            raise UsageError("the manifests have no owner", hint="name one with --owner")
        with session.open_api(settings, session.account_id(settings, declared.account_id)) as api:
            yield owner, api


@click.command(params=[ask_option, owner_option])
@argument("globs", nargs=-1, required=True, metavar="GLOB...")
@named_manifests
@report_options(Reporter)
def release(
    *,
    settings: Globals,
    manifests: Manifests,
    reporter: Reporter,
    globs: tuple[str, ...],
    auto_approve: bool,
    owner: str | None,
) -> int:
    """Give up ownership, and change nothing else.

    GLOB matches addresses: of a trigger the marker is removed, of a variable (env/...) its entry in the
    marker. What is given up is kept by later runs; a trigger that is still declared is adopted again.
    What nobody owns any more has nothing to give up: that is no error, a GLOB that matches nothing is one.

    \b
    Examples:
      buildsctl release trigger/web/preview
      buildsctl release 'env/web/*/SENTRY_AUTH_TOKEN'
      buildsctl release 'worker/old-*' --owner acme/builds

    \b
    Exit codes: 0 done · 1 error, nothing was done · 3 done in part
      6 authentication or permission · 7 could not look everywhere
    """
    from reconciler.kinds.worker import Worker
    from reconciler.observe import observe
    from reconciler.plan.release import release as plan_release
    from reconciler.states import Desired

    names = {glob.split("/")[1] if glob.count("/") else "*" for glob in globs}
    everything = any(sign in name for name in names for sign in "*?[")
    workers = {} if everything else Worker.named(names)
    with of_owner(owner, manifests, settings, reporter, auto_approve=auto_approve) as (whose, api):
        observed = observe(Desired(owner=None, workers=workers), api, everything=everything)
        plan = plan_release(whose, observed, globs, account_id=api.account_id)
        return carry_out(plan, api, reporter, settings, ask=not auto_approve)


@contextmanager
def _stopping(stop: threading.Event, at_once: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the run after the requests under way, the second without them.
    One that comes later ends it where it stands: something other than the API is waited for."""
    told_twice = 0.0

    def ask_to_stop(_: int, __: FrameType | None) -> None:
        nonlocal told_twice
        if at_once.is_set():
            if time.monotonic() - told_twice < PATIENCE_SECONDS:
                return  # a key that is held down
            raise InterruptedRunError("stopped at once", hint="run apply again: it goes on from what is live")
        told = "stopping at once" if stop.is_set() else "stopping after the requests under way; once more stops at once"
        told_twice = time.monotonic()
        (at_once if stop.is_set() else stop).set()
        with suppress(RuntimeError):  # it came while something was being written: a stream takes one at a time
            say(f"\n{told}\n")

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
