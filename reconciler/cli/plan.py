"""`plan`: read, decide, show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from reconciler.cli import session
from reconciler.cli.options import (
    Globals,
    Manifests,
    Report,
    Setting,
    deciding_options,
    global_options,
    manifest_options,
    report_options,
)
from reconciler.cli.output import colored, data, say, write_file
from reconciler.errors import (
    BuildsctlError,
    Diagnostic,
    Exit,
    InterruptedRunError,
    ManifestError,
    Severity,
    UsageError,
)

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.model import Plan
    from reconciler.plan import Options
    from reconciler.states import Desired


def decide(desired: Desired, api: Api, options: Options) -> Plan:
    """Look at the account and decide. Sends GETs only."""
    from reconciler.observe import observe
    from reconciler.plan import plan

    if options.prune and desired.owner is None:
        raise UsageError("--prune needs an owner", hint="with `owner: null` nothing is known to be ours")
    observed = observe(desired, api, everything=options.prune)
    return plan(desired, observed, options, account_id=api.account_id)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """A report is written in every case: what went wrong is a plan without changes."""
    try:
        yield
    except (BuildsctlError, KeyboardInterrupt) as error:
        failure = error if isinstance(error, BuildsctlError) else InterruptedRunError("interrupted")
        _report_failure(failure, report)
        if failure is error:
            raise
        raise failure from None


def _report_failure(error: BuildsctlError, report: Report) -> None:
    from reconciler.model import Plan
    from reconciler.render import json

    found: tuple[Diagnostic, ...]
    found = (Diagnostic(severity=Severity.ERROR, summary=str(error), hint=error.hint),)
    if isinstance(error, ManifestError):
        found = error.diagnostics
    plan = Plan(account_id="", owner=None, changes=(), diagnostics=found)
    try:
        write_report(json.dump(json.plan_document(plan, codes=[error.exit_code])), report)
    except UsageError as second:
        if str(second) != str(error):
            say(f"warning: {second}\n")  # the first error is the one that counts


def write_report(text: str, report: Report) -> None:
    """The JSON, to the file and the stream that were asked for."""
    if report.out:
        write_file(report.out, text)
    if report.format == "json":
        data(text)


@click.command(
    params=[Setting(["--detailed-exitcode"], is_flag=True, help="Exit with 2 where there are changes.")]
)
@manifest_options
@deciding_options
@report_options
@global_options
def plan(
    settings: Globals, manifests: Manifests, deciding: Options, report: Report, detailed_exitcode: bool
) -> int:
    """Show what an apply would do. Sends only GETs, and never writes.

    PATH is a file or a folder; without one, ./buildsctl.yaml, else ./builds/. Globs match addresses such
    as trigger/web/production or env/web/preview/TOKEN; `*` crosses `/`, and worker/web is everything of
    that Worker.

    \b
    Symbols: + create  ~ update  -/+ replace  - delete  ^ adopt  . kept
             ? could not be read  ! refused

    \b
    Examples:
      buildsctl plan
      buildsctl plan builds/ --format json --out plan.json
      buildsctl plan --detailed-exitcode || test $? = 2

    \b
    Exit codes: 0 planned · 1 error · 2 changes (with --detailed-exitcode)
      4 an apply would be refused · 6 authentication or permission
      7 could not look everywhere
    """
    from reconciler.plan.summary import exit_codes
    from reconciler.render import json
    from reconciler.render.text import plan_text

    with reporting(report):
        desired = session.load(manifests)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            result = decide(desired, api, deciding)
    if report.format == "text":
        data(plan_text(result, color=colored(no_color=settings.no_color)))
    if report.out or report.format == "json":
        write_report(json.dump(json.plan_document(result)), report)
    code = exit_codes(result)[0]
    return Exit.OK if code == Exit.CHANGES and not detailed_exitcode else code
