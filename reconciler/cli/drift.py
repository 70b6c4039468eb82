"""`drift`: what is live that the manifests do not say; for a cron job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import (
    Globals,
    Manifests,
    Report,
    Setting,
    fingerprint_key,
    global_options,
    manifest_options,
    report_options,
)
from reconciler.cli.output import data, read_json, say, write_file
from reconciler.errors import Exit, UsageError

if TYPE_CHECKING:
    from reconciler.drift import Report as DriftReport
    from reconciler.states import Desired

KINDS = ("live", "pending", "unmanaged", "health")
MAX_BASELINE = 50_000_000  # bytes


def _kinds(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    kinds = tuple(part.strip() for part in given.split(",") if part.strip() not in ("", "none"))
    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"`{kind}` is none of {', '.join(KINDS)}, none")
    return kinds


@click.command(
    params=[
        Setting(["--all"], is_flag=True, help="Look at every Worker of the account."),
        Setting(["--health"], is_flag=True, help="Find what is as declared, and broken."),
        Setting(
            ["--fail-on"], default="live,health", callback=_kinds, metavar="KINDS", help="What ends in 2; or none."
        ),
        Setting(
            ["--stale-days"],
            type=click.IntRange(0, 3650),
            default=0,
            metavar="N",
            help="No success for N days is unhealthy.",
        ),
        Setting(["--baseline"], metavar="FILE", help="An earlier --out: tell new, known and gone; only new ends in 2."),
    ]
)
@manifest_options
@report_options
@global_options
def drift(
    *,
    settings: Globals,
    manifests: Manifests,
    report: Report,
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
    before = _baseline(baseline) if baseline else None
    desired = session.load(manifests)
    with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
        found = _found(desired, api, everything=all, health=health, stale_days=stale_days, before=before)
    codes = [code for code, holds in ((Exit.UNKNOWN, found.plan.unread), (Exit.CHANGES, found.fails(fail_on))) if holds]
    _write(found, report, codes or [Exit.OK])
    return codes[0] if codes else Exit.OK


def _found(
    desired: Desired, api: Any, *, everything: bool, health: bool, stale_days: int, before: list[dict[str, Any]] | None
) -> DriftReport:
    from datetime import UTC, datetime

    from reconciler import drift as deciding
    from reconciler.health import look
    from reconciler.observe import observe
    from reconciler.plan import Options, plan

    observed = observe(desired, api, everything=everything, tokens=health or everything)
    decided = plan(desired, observed, Options(key=fingerprint_key()), account_id=api.account_id)
    findings = deciding.findings(decided)
    if everything:
        findings += deciding.undeclared(desired, observed)
        findings += deciding.unused_tokens(desired, observed, decided)
    if health or stale_days:
        seen = look(desired, observed, api, now=datetime.now(UTC), health=health, stale_days=stale_days)
        findings += seen.findings
        told = (*decided.diagnostics, *seen.notes)
        decided = replace(decided, unread=(*decided.unread, *seen.unread), diagnostics=told)
    known, gone = deciding.compare(findings, before or [])
    gone = () if decided.unread else gone  # what could not be looked at is not gone
    return deciding.Report(
        plan=decided, findings=tuple(findings), known=known, gone=gone, compared=before is not None, reads=api.reads
    )


def _write(found: DriftReport, report: Report, codes: list[int]) -> None:
    from reconciler.render.drift import drift_document, drift_markdown, drift_text
    from reconciler.render.json import dump
    from reconciler.render.text import troubles_text

    text = dump(drift_document(found, codes=codes))
    match report.format:
        case "json":
            data(text)
        case "markdown":
            data(drift_markdown(found))
        case _:
            data(drift_text(found))
    say(troubles_text(found.plan))
    if report.out:
        write_file(report.out, text)


def _baseline(path: str) -> list[dict[str, Any]]:
    """The findings of an earlier run."""
    hint = "it is what `drift --out FILE` wrote; leave --baseline out of the first run"
    found = read_json(path, most=MAX_BASELINE, what="drift report", hint=hint)
    rows = found.get("findings") if isinstance(found, dict) else None
    names = ("id", "address", "summary")
    if not isinstance(rows, list) or not all(
        isinstance(one, dict) and all(isinstance(one.get(name), str) for name in names) for one in rows
    ):
        raise UsageError(f"`{path}` is no drift report", hint=hint)
    return rows
