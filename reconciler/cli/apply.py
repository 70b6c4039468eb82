"""`apply`: plan afresh, ask, carry out, report."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Setting, deciding_options, global_options, manifest_options
from reconciler.cli.output import colored, data, say, write_file
from reconciler.cli.plan import decide, report_failure
from reconciler.errors import BuildsctlError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.model import Outcome, Plan


@click.command()
@manifest_options
@deciding_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    cls=Setting,
    envvar="BUILDSCTL_FORMAT",
    help="How to show plan and outcomes.",
)
@click.option("--out", cls=Setting, metavar="FILE", help="Write plan and outcomes as JSON.")
@click.option(
    "--auto-approve",
    cls=Setting,
    is_flag=True,
    weakens_safety=True,
    help="Do not ask; needed without a terminal.",
)
@global_options
def apply(
    settings: Globals,
    *,
    paths: tuple[str, ...],
    param: tuple[tuple[str, str], ...],
    param_file: tuple[str, ...],
    allow_commands: bool,
    no_secrets: bool,
    max_deletes: int,
    format_: str,
    out: str | None,
    auto_approve: bool,
    **globs: tuple[str, ...],
) -> int:
    """Make the account what the manifests say. Running it again changes nothing.

    It plans afresh, shows the plan and asks. What fails is reported and what does not depend on it goes
    on; the next run finishes what was left.

    \b
    Examples:
      buildsctl apply
      buildsctl apply builds/ --auto-approve --out applied.json

    \b
    Exit codes: 0 done, or nothing to do · 1 error, nothing was done
      3 applied in part · 4 refused by a safety rule
      6 authentication or permission · 7 could not look everywhere
      130 interrupted
    """
    try:
        if not auto_approve and not sys.stdin.isatty():
            raise UsageError(
                "there is no terminal to ask on", hint="say --auto-approve where nobody can be asked"
            )
        desired = session.load(
            paths, param=param, param_file=param_file, allow_commands=allow_commands, no_secrets=no_secrets
        )
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            plan = decide(desired, api, globs=globs, max_deletes=max_deletes)
            return _carry_out(plan, api, settings, format_=format_, out=out, ask=not auto_approve)
    except BuildsctlError as error:
        report_failure(error, format_, out)
        raise


def _carry_out(plan: Plan, api: Api, settings: Globals, *, format_: str, out: str | None, ask: bool) -> int:
    from reconciler import apply as carrying  # noqa: PLC0415 - late: `--help` applies nothing
    from reconciler.plan.summary import exit_codes  # noqa: PLC0415 - as above
    from reconciler.render.text import outcome_text, outcomes_ending, plan_text  # noqa: PLC0415 - as above

    color = colored(no_color=settings.no_color)
    tell = say if format_ == "json" else data
    tell(plan_text(plan, color=color and format_ != "json"))
    outcomes: list[Outcome] = []
    stop = threading.Event()
    if plan.steps and not plan.refusals:
        carrying.check_sources(plan)
        if ask and not click.confirm("\nApply these changes?", err=True):
            raise UsageError("not applied: the answer was no", hint="nothing was written")
        api.allow_writes()
        tell("\n")
        with _stopping(stop):
            for outcome in carrying.apply(plan, api, stop=stop):
                outcomes.append(outcome)
                tell(outcome_text(outcome, color=color and format_ != "json") + "\n")
        tell("\n" + outcomes_ending(outcomes))
    codes = exit_codes(plan, outcomes, interrupted=stop.is_set())
    _report(plan, outcomes, codes, format_=format_, out=out)
    if plan.refusals:
        say("error: refused by a safety rule; nothing was written\n")
    return codes[0]


def _report(plan: Plan, outcomes: list[Outcome], codes: list[int], *, format_: str, out: str | None) -> None:
    from reconciler.render import json  # noqa: PLC0415 - late, as above

    if out or format_ == "json":
        text = json.dump(json.plan_document(plan, outcomes, codes=codes))
        if out:
            write_file(out, text)
        if format_ == "json":
            data(text)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the run after the requests under way, the second at once."""

    def ask_to_stop(_: int, __: FrameType | None) -> None:
        if stop.is_set():
            raise InterruptedRunError("stopped at once", hint="run apply again: it goes on from what is live")
        stop.set()
        say("\nstopping after the requests under way; once more stops at once\n")

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
