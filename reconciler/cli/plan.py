"""`plan`: read, decide, show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

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
from reconciler.cli.output import colored, data, say, width, write_file
from reconciler.errors import BuildsctlError, Diagnostic, Exit, InterruptedRunError, ManifestError, Severity, UsageError

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.model import Outcome, Plan
    from reconciler.plan import Options
    from reconciler.states import Desired


def decide(desired: Desired, api: Api, options: Options) -> Plan:
    """Look at the account and decide. Sends GETs only."""
    from reconciler.observe import observe
    from reconciler.plan import plan
    from reconciler.plan.target import narrow

    if options.prune and options.target:
        raise UsageError("--prune and --target exclude each other", hint="--prune looks at the whole account")
    if options.prune and desired.owner is None:
        raise UsageError("--prune needs an owner", hint="with `owner: null` nothing is known to be ours")
    desired = narrow(desired, options.target) if options.target else desired
    observed = observe(desired, api, everything=options.prune)
    return plan(desired, observed, options, account_id=api.account_id)


@dataclass
class Reporter:
    """What a run has come to so far: a report is written in every case, whatever ends the run."""

    report: Report
    plan: Plan | None = None
    outcomes: list[Outcome] | None = None

    def write(self, codes: Sequence[int], failure: BuildsctlError | None = None) -> None:
        """The report to stdout, where it is not text, and the JSON to the file that was asked for."""
        from reconciler.model import Plan
        from reconciler.render import json

        if not self.report.out and self.report.format == "text":
            return
        found = self.plan or Plan(account_id="", owner=None, changes=())
        if isinstance(failure, ManifestError):
            found = replace(found, diagnostics=failure.diagnostics)
        elif failure:
            error = Diagnostic(severity=Severity.ERROR, summary=str(failure), hint=failure.hint)
            found = replace(found, diagnostics=(*found.diagnostics, error))
        document = json.plan_document(found, self.outcomes, codes=codes)
        text = json.dump(document)
        if self.report.format == "json":
            data(text)
        elif self.report.format == "markdown":
            from reconciler.render.markdown import plan_markdown

            data(plan_markdown(found, self.outcomes))
        elif self.report.format == "html":
            from reconciler.render.html import plan_html

            data(plan_html(found, self.outcomes, digest=document["digest"]))
        if self.report.out:
            write_file(self.report.out, text)

    def nothing_differs(self, settings: Globals, desired: Desired, revision: str) -> int:
        """No declared Worker differs from the revision: nothing is asked, nothing is done."""
        from reconciler.model import Plan
        from reconciler.render.escape import clean

        account_id = settings.account_id or desired.account_id or ""
        self.plan = Plan(account_id=account_id, owner=desired.owner, changes=())
        if self.report.format == "text":
            data(f"No changes: no declared Worker differs from {clean(revision)}, so nothing was asked.\n")
        self.write([Exit.OK])
        return Exit.OK


class Reports(Protocol):
    """What knows how far a run has come."""

    def write(self, codes: Sequence[int], failure: BuildsctlError | None = None) -> None:
        """Write the report; `failure` ended the run."""


R = TypeVar("R", bound=Reports)


@contextmanager
def reporting(reporter: R) -> Iterator[R]:
    """Report what went wrong as well; the first error is the one that counts."""
    try:
        yield reporter
    except (BuildsctlError, KeyboardInterrupt, click.Abort) as error:
        failure = error if isinstance(error, BuildsctlError) else InterruptedRunError("interrupted")
        try:
            reporter.write([failure.exit_code], failure)
        except UsageError as second:
            if str(second) != str(failure):
                say(f"warning: {second}\n")
        raise failure from None


@click.command(params=[Setting(["--detailed-exitcode"], is_flag=True, help="Exit with 2 where there are changes.")])
@manifest_options
@deciding_options
@report_options
@global_options
def plan(settings: Globals, manifests: Manifests, deciding: Options, report: Report, detailed_exitcode: bool) -> int:
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
      buildsctl plan --format html > plan.html
      buildsctl plan --detailed-exitcode || test $? = 2

    \b
    Exit codes: 0 planned · 1 error · 2 changes (with --detailed-exitcode)
      4 an apply would be refused · 6 authentication or permission
      7 could not look everywhere
    """
    from reconciler.plan.summary import exit_codes
    from reconciler.render.text import plan_text, troubles_text

    with reporting(Reporter(report)) as reporter:
        desired = session.load(manifests)
        narrowed = session.narrow(deciding, manifests)
        if narrowed is None:
            return reporter.nothing_differs(settings, desired, deciding.changed_since)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            reporter.plan = decide(desired, api, narrowed)
        if report.format == "text":
            color = colored(no_color=settings.no_color)
            data(plan_text(reporter.plan, color=color, whole=settings.verbose, width=width()))
        say(troubles_text(reporter.plan))
        codes = exit_codes(reporter.plan)
        reporter.write(codes)
    return Exit.OK if codes[0] == Exit.CHANGES and not detailed_exitcode else codes[0]
