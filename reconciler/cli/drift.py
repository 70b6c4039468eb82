"""`drift`: what is live that the manifests do not say; for a cron job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from reconciler import drift as deciding
from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, fingerprint_key, manifest_options, option, report_options, texts
from reconciler.cli.output import check_writable, data, read_json, say, width, write_file
from reconciler.cli.plan import reporting
from reconciler.drift import Baseline, Reach
from reconciler.errors import BuildsctlError, Exit, ManifestError, UsageError
from reconciler.model import Plan

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.states import Desired

KINDS = ("live", "pending", "unmanaged", "health")
FAIL_ON = "live,health"
MAX_BASELINE = 50_000_000  # bytes


def _kinds(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    """Separated by commas; or an array, as a variable of the environment gives a list."""
    listed = texts(given)
    parts = given.split(",") if listed is None else listed
    parts = FAIL_ON.split(",") if listed == [] else parts  # as any list in a variable: not set
    said = [part.strip() for part in parts if part.strip()]
    if not said:
        raise click.BadParameter(f"it names nothing: {', '.join(KINDS)}, or none")
    kinds = tuple(one for one in said if one != "none")
    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"`{kind}` is none of {', '.join(KINDS)}, none")
    return kinds


@dataclass
class Reporter:
    """What a run has come to so far: a report is written in every case, whatever ends the run."""

    format: str
    out: str | None = None
    reach: Reach = Reach()  # noqa: RUF009 - frozen
    baseline: Baseline | None = None
    plan: Plan = Plan(account_id="", owner=None, changes=())  # noqa: RUF009 - frozen
    found: deciding.Report | None = None

    def write(self, codes: Sequence[int], failure: BuildsctlError | None = None) -> None:
        """The findings, to the file and the stream that were asked for."""
        from reconciler.render.drift import drift_document, drift_markdown, drift_text
        from reconciler.render.json import dump

        found = self.found
        if found is None or failure:
            told = failure.diagnostics if isinstance(failure, ManifestError) else self.plan.diagnostics
            plan = replace(self.plan, diagnostics=told)
            found = deciding.report(plan, (), self.reach, self.baseline, failure=failure)
        text = dump(drift_document(found, codes=codes))
        match self.format:
            case "json":
                data(text)
            case "markdown":
                data(drift_markdown(found))
            case "html":
                from reconciler.render.html import drift_html

                data(drift_html(found))
            case _ if not failure:
                data(drift_text(found, width=width()))
        if self.out:
            write_file(self.out, text)


@click.command(
    params=[
        option("--all", "Look at every Worker of the account."),
        option("--health", "Find what is as declared, and broken."),
        option("--fail-on KINDS", "What ends in 2 (live,health); or none.", default=FAIL_ON, callback=_kinds),
        option("--stale-days N", "No success for N days is unhealthy.", type=click.IntRange(0, 3650), default=0),
        option("--baseline FILE", "An earlier --out: tell new, known and gone; only new ends in 2."),
    ]
)
@manifest_options
@report_options(Reporter)
def drift(
    *,
    settings: Globals,
    manifests: Manifests,
    reporter: Reporter,
    all: bool,  # noqa: A002 - the option's name
    health: bool,
    fail_on: tuple[str, ...],
    stale_days: int,
    baseline: str | None,
) -> int:
    """Show what is live that the manifests do not say, and why. Sends only GETs.

    Kinds: live (somebody changed it outside buildsctl, or nobody can tell), pending (in the manifests and
    not applied), unmanaged (declared by nobody), health (as declared and broken: dead tokens, unreachable
    repositories, names that differ, minutes used up). Each finding has a stable id.

    \b
    Examples:
      buildsctl drift --no-secrets
      buildsctl drift --health --fail-on live,health --out drift.json
      buildsctl drift --baseline drift.json --format markdown

    \b
    Exit codes: 0 none of the kinds of --fail-on · 1 error · 2 drift
      6 authentication or permission · 7 could not look everywhere
    """
    from reconciler.render.drift import troubles

    if fail_on == ("health",) and not health and not stale_days:
        say("warning: without --health or --stale-days nothing is found of the one kind that --fail-on names\n")
    reporter.reach = Reach(paths=manifests.paths, everything=all, health=health, stale_days=stale_days)
    with reporting(reporter.write):
        if reporter.out:
            check_writable(reporter.out)
        if baseline:
            reporter.baseline, *scope = _baseline(baseline)
        desired = session.load(manifests)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            reporter.plan = Plan(account_id=api.account_id, owner=desired.owner, changes=())
            if baseline:
                _check_scope(baseline, scope, [api.account_id, desired.owner])
            found = reporter.found = _found(desired, api, reporter)
        kinds = ((Exit.UNKNOWN, found.plan.unread), (Exit.CHANGES, found.fails(fail_on)))
        codes = [code for code, holds in kinds if holds] or [Exit.OK]
        say(troubles(found, whole=settings.verbose))
        reporter.write(codes)
    return codes[0]


def _found(desired: Desired, api: Api, reporter: Reporter) -> deciding.Report:
    from reconciler.health import look
    from reconciler.observe import observe
    from reconciler.plan import Options, plan

    reach = reporter.reach
    observed = observe(desired, api, everything=reach.everything, tokens=reach.health or reach.everything)
    decided = plan(desired, observed, Options(key=fingerprint_key()), account_id=api.account_id)
    findings = deciding.findings(decided, observed)
    if reach.everything:
        findings += deciding.undeclared(desired, observed)
        findings += deciding.unused_tokens(desired, observed, decided)
    if reach.health or reach.stale_days:
        now = datetime.now(UTC)
        seen = look(desired, observed, decided, api, now=now, health=reach.health, stale_days=reach.stale_days)
        findings += seen.findings
        told = (*decided.diagnostics, *seen.notes)
        unread = (*decided.unread, *seen.unread)
        decided = replace(decided, unread=unread, diagnostics=told, reads=api.reads)
    return deciding.report(decided, findings, reach, reporter.baseline)


def _check_scope(path: str, scope: list[str | None], wanted: list[str | None]) -> None:
    """Another estate's findings are not known here. One that failed at once tells no account."""
    if scope[0] and scope != wanted:
        raise UsageError(
            f"`{path}` tells of owner `{scope[1]}` in account `{scope[0]}`, "
            f"this run is about owner `{wanted[1]}` in account `{wanted[0]}`",
            hint="keep a baseline for each account and owner",
        )


def _baseline(path: str) -> tuple[Baseline, str, str | None]:
    """With the account and the owner that it is about."""
    from reconciler.render.json import FORMAT_VERSION

    hint = "it is what `drift --out FILE` wrote; leave --baseline out of the first run"
    found = read_json(path, most=MAX_BASELINE, what="drift report", hint=hint)
    names = ("id", "kind", "address", "summary")
    try:
        if not found["format_version"].startswith(f"{FORMAT_VERSION.partition('.')[0]}."):
            raise ValueError
        rows = [{name: one[name] for name in names} for one in (*found["findings"], *found["unseen"])]
        scope, told = found["scope"], found["looked_at"]
        reach = Reach(
            paths=tuple(told["paths"]),
            everything=told["all"] is True,
            health=told["health"] is True,
            stale_days=int(told["stale_days"]),
        )
        texts = (text for row in rows for text in row.values())
        if not all(isinstance(text, str) for text in (*texts, *reach.paths, scope["account_id"])):
            raise TypeError
        return Baseline(rows={row["id"]: row for row in rows}, reach=reach), scope["account_id"], scope["owner"]
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise UsageError(f"`{path}` is no drift report of this version", hint=hint) from None
