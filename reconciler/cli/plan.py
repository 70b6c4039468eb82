"""`plan`: read, decide, show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Setting, deciding_options, global_options, manifest_options
from reconciler.cli.output import colored, data, write_file
from reconciler.errors import BuildsctlError, Exit

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.model import Plan
    from reconciler.states import Desired


def decide(desired: Desired, api: Api, *, globs: dict[str, tuple[str, ...]], max_deletes: int) -> Plan:
    """Look at the account and decide. Sends GETs only."""
    from reconciler.observe import observe  # noqa: PLC0415 - late: `--help` reads nothing
    from reconciler.plan import Options, plan  # noqa: PLC0415 - as above

    observed = observe(desired, api)
    options = Options(max_deletes=max_deletes, **globs)
    return plan(desired, observed, options, account_id=api.account_id)


def report_failure(error: BuildsctlError, format_: str, out: str | None) -> None:
    """A report is written in every case: what went wrong, as a plan without changes."""
    from reconciler.errors import Diagnostic, ManifestError, Severity  # noqa: PLC0415 - only on an error
    from reconciler.model import Plan  # noqa: PLC0415 - as above
    from reconciler.render import json  # noqa: PLC0415 - as above

    found: Sequence[Diagnostic]
    if isinstance(error, ManifestError):
        found = error.diagnostics
    else:
        found = (Diagnostic(severity=Severity.ERROR, summary=str(error), hint=error.hint),)
    plan_ = Plan(account_id="", owner=None, changes=(), diagnostics=tuple(found))
    text = json.dump(json.plan_document(plan_, codes=[error.exit_code]))
    if out:
        write_file(out, text)
    if format_ == "json":
        data(text)


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
    help="How to show the plan.",
)
@click.option("--out", cls=Setting, metavar="FILE", help="Write the plan as JSON, whatever is printed.")
@click.option("--detailed-exitcode", cls=Setting, is_flag=True, help="Exit with 2 where there are changes.")
@global_options
def plan(
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
    detailed_exitcode: bool,
    **globs: tuple[str, ...],
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
    from reconciler.plan.summary import exit_codes  # noqa: PLC0415 - late: `--help` decides nothing

    try:
        desired = session.load(
            paths, param=param, param_file=param_file, allow_commands=allow_commands, no_secrets=no_secrets
        )
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            result = decide(desired, api, globs=globs, max_deletes=max_deletes)
    except BuildsctlError as error:
        report_failure(error, format_, out)
        raise
    show(result, format_, out, color=colored(no_color=settings.no_color))
    code = exit_codes(result)[0]
    return Exit.OK if code == Exit.CHANGES and not detailed_exitcode else code


def show(plan_: Plan, format_: str, out: str | None, *, color: bool, outcomes: Any = None) -> None:
    """Print a plan, and write its JSON beside whatever is printed."""
    from reconciler.render import json  # noqa: PLC0415 - late, as above
    from reconciler.render.text import plan_text  # noqa: PLC0415 - late, as above

    text = json.dump(json.plan_document(plan_, outcomes)) if out or format_ == "json" else ""
    if out:
        write_file(out, text)
    data(text if format_ == "json" else plan_text(plan_, color=color))
