"""`status`: what last builds really used, against what is live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, fingerprint_key, json_option, offline_options
from reconciler.cli.output import data, say, tell_unread
from reconciler.cli.plan import diagnosed, reporting
from reconciler.errors import BuildsctlError, Exit
from reconciler.model import Plan


@click.command(params=[json_option])
@offline_options
def status(settings: Globals, manifests: Manifests, as_json: bool) -> int:
    """Show what the last build of each declared trigger really used, against what is live now.

    An apply changes nothing that runs before the next build. This tells which triggers have built with
    what they say now, which have not yet, and what differs: commands, root, token, branch, variables.
    Secrets are neither shown nor compared. It reads what a plan reads, the latest builds of 20 Workers in
    one request, and the list of builds of each Worker whose latest build was another trigger's.

    \b
    Examples:
      buildsctl status
      buildsctl status builds --format json | \\
        jq -r '.triggers[] | select(.state == "not-built-since").address'

    \b
    Exit codes: 0 shown · 1 error · 6 authentication or permission
      7 could not look everywhere
    """
    from reconciler import builds as reading
    from reconciler import status as deciding
    from reconciler.observe import observe
    from reconciler.plan import Options, plan
    from reconciler.plan.summary import errored
    from reconciler.render.json import dump
    from reconciler.render.problems import problems_text
    from reconciler.render.status import status_document, status_text

    rows: Sequence[deciding.Row] = ()
    decided = Plan(account_id="", owner=None, changes=())

    def write(codes: Sequence[int], failure: BuildsctlError | None = None) -> None:
        if as_json:
            told = diagnosed(decided, failure) if failure else decided.diagnostics
            data(dump(status_document(rows, codes, told)))

    with reporting(write):
        desired = session.load(manifests)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            observed = observe(desired, api)
            decided = plan(desired, observed, Options(key=fingerprint_key()), account_id=api.account_id)
            lives = deciding.matched(desired, observed, decided).values()
            last = reading.last_of(api, [(observed.tags[live.scope], live.id) for live in lives])
        rows = deciding.status(desired, observed, decided, last)
        unread = bool(decided.unread or last.unread)
        codes = [code for code, holds in ((Exit.ERROR, errored(decided)), (Exit.UNKNOWN, unread)) if holds] or [Exit.OK]
        write(codes)
    if not as_json:
        now = datetime.now(UTC)
        data(status_text(rows, lambda build: reading.seen("", build, now)))
    say(problems_text(decided.diagnostics, whole=settings.verbose))
    tell_unread(dict.fromkeys((*decided.unread, *last.unread.values())))
    return codes[0]
