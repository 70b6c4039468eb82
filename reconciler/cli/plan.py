"""`plan`: read, decide, show. `show`: a saved plan in any format, offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import (
    Globals,
    Manifests,
    argument,
    deciding_options,
    format_option,
    global_options,
    manifest_options,
    option,
    report_options,
)
from reconciler.cli.output import colored, data, read_json, say, width, write_file
from reconciler.errors import BuildsctlError, Diagnostic, Exit, InterruptedRunError, ManifestError, Severity, UsageError
from reconciler.model import Outcome, Plan

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.plan import Options
    from reconciler.states import Desired

PLAN_HINT = "`plan --out FILE` writes one; a digest is written sha256:…"
MAX_PLAN = 200_000_000  # bytes


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
    """What a run has come to so far: a report is written in every case, whatever ends the run. `format` is that of
    stdout, JSON goes into the file `out`."""

    format: str
    out: str | None = None
    plan: Plan | None = None
    outcomes: list[Outcome] | None = None

    def write(self, codes: Sequence[int], failure: BuildsctlError | None = None) -> None:
        """The report to stdout, where it is not text, and the JSON to the file that was asked for."""
        if not self.out and self.format == "text":
            return
        from reconciler.plan.summary import exit_codes
        from reconciler.render.json import dump, plan_document

        if self.plan and failure:
            also = [*exit_codes(self.plan, self.outcomes or ()), type(failure).exit_code]
            later = Exit.ORDER[Exit.ORDER.index(failure.exit_code) + 1 :]
            codes = [*codes, *(code for code in later if code in also and code != Exit.OK)]
        found = self.plan or Plan(account_id="", owner=None, changes=())
        if failure:
            found = replace(found, diagnostics=diagnosed(found, failure))
        document = plan_document(found, self.outcomes, codes=codes)
        if self.format != "text":
            data(_page(self.format, document, found, self.outcomes))
        if self.out:
            write_file(self.out, dump(document))

    def nothing_differs(self, settings: Globals, desired: Desired, revision: str) -> int:
        """No declared Worker differs from the revision: nothing is asked, nothing is done."""
        from reconciler.render.escape import clean

        account_id = settings.account_id or desired.account_id or ""
        self.plan = Plan(account_id=account_id, owner=desired.owner, changes=())
        if self.format == "text":
            data(f"No changes: no declared Worker differs from {clean(revision)}, so nothing was asked.\n")
        self.write([Exit.OK])
        return Exit.OK


def diagnosed(plan: Plan, failure: BuildsctlError) -> tuple[Diagnostic, ...]:
    """What a run that failed tells: the problems of the manifests, or those of the plan so far and what went wrong."""
    if isinstance(failure, ManifestError):
        return failure.diagnostics
    return (*plan.diagnostics, Diagnostic(severity=Severity.ERROR, summary=str(failure), hint=failure.hint))


@contextmanager
def reporting(write: Callable[[Sequence[int], BuildsctlError], None]) -> Iterator[None]:
    """Report what went wrong as well; the first error is the one that counts."""
    try:
        yield
    except (BuildsctlError, KeyboardInterrupt, click.Abort) as error:
        failure = error if isinstance(error, BuildsctlError) else InterruptedRunError("interrupted")
        try:
            write([failure.exit_code], failure)
        except UsageError as second:
            if str(second) != str(failure):
                say(f"warning: {second}\n")
        raise failure from None


@click.command(params=[option("--detailed-exitcode", "Exit with 2 where there are changes.")])
@manifest_options
@deciding_options
@report_options(Reporter)
def plan(
    settings: Globals, manifests: Manifests, deciding: Options, reporter: Reporter, detailed_exitcode: bool
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
      buildsctl plan --format html > plan.html
      buildsctl plan --detailed-exitcode || test $? = 2

    \b
    Exit codes: 0 planned · 1 error · 2 changes (with --detailed-exitcode)
      4 an apply would be refused · 6 authentication or permission
      7 could not look everywhere
    """
    from reconciler.plan.summary import exit_codes
    from reconciler.render.text import plan_text, troubles_text

    with reporting(reporter.write):
        desired = session.load(manifests)
        narrowed = session.narrow(deciding, manifests)
        if narrowed is None:
            return reporter.nothing_differs(settings, desired, deciding.changed_since)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            reporter.plan = decide(desired, api, narrowed)
        if reporter.format == "text":
            color = colored(no_color=settings.no_color)
            data(plan_text(reporter.plan, color=color, whole=settings.verbose, width=width()))
        say(troubles_text(reporter.plan, whole=settings.verbose))
        codes = exit_codes(reporter.plan)
        reporter.write(codes)
    return Exit.OK if codes[0] == Exit.CHANGES and not detailed_exitcode else codes[0]


@click.command(params=[format_option("text", "json", "markdown", "html")])
@argument("file", metavar="FILE")
@global_options
def show(settings: Globals, *, file: str, format: str) -> int:  # noqa: A002 - the option's name
    """Show a plan that `plan --out FILE` or `apply --out FILE` saved. Asks nothing.

    One read of the account serves several outputs: save the plan once, then show it as text in the log, as
    Markdown in the pull request and as an HTML page to keep.

    \b
    Examples:
      buildsctl plan --out plan.json
      buildsctl show plan.json --format markdown > comment.md
      buildsctl show plan.json --format html > plan.html

    \b
    Exit codes: 0 shown, whatever the plan holds · 1 error
    """
    from reconciler.render import saved
    from reconciler.render.text import outcome_text, plan_text, troubles_text

    document = read_plan(file)
    try:
        plan, outcomes = saved.read(document)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise UsageError(f"`{file}` is no plan of this version", hint="`plan --out FILE` writes one") from None
    if format != "text":
        data(_page(format, document, plan, outcomes))
        return Exit.OK
    color = colored(no_color=settings.no_color)
    data(plan_text(plan, color=color, whole=settings.verbose, width=width()))
    data("".join(f"{outcome_text(one, color=color)}\n" for one in outcomes or ()))
    say(troubles_text(plan, whole=settings.verbose))
    return Exit.OK


def _page(format: str, document: Mapping[str, Any], plan: Plan, outcomes: Sequence[Outcome] | None) -> str:  # noqa: A002
    """The document of a plan, or the plan in another format than text."""
    match format:
        case "json":
            from reconciler.render.json import dump

            return dump(document)
        case "markdown":
            from reconciler.render.markdown import plan_markdown

            return plan_markdown(plan, outcomes)
        case _:
            from reconciler.render.html import plan_html

            return plan_html(plan, outcomes, digest=str(document.get("digest", "")))


def read_plan(path: str) -> dict[str, Any]:
    """The document of a saved plan."""
    found = read_json(path, most=MAX_PLAN, what="plan of this version", hint=PLAN_HINT)
    try:
        rows = found["resource_changes"]
        usable = found["format_version"] == "1.0" and isinstance(found["scope"], dict)
        usable = usable and all(isinstance(row["change"]["actions"], list) and row["address"] for row in rows)
    except (KeyError, TypeError):
        usable = False
    if not usable:
        raise UsageError(f"`{path}` is no plan of this version", hint=PLAN_HINT)
    return dict(found)
