"""`release`: give up ownership."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.apply import of_owner
from reconciler.cli.options import Globals, argument, ask_option, owner_option, report_options
from reconciler.cli.plan import Reporter
from reconciler.errors import UsageError
from reconciler.kinds.worker import Worker
from reconciler.model import Plan
from reconciler.plan.release import release as decide
from reconciler.states import Desired, Observed

if TYPE_CHECKING:
    from reconciler.api import Api


@click.command(params=[ask_option(), owner_option()])
@argument("globs", nargs=-1, required=True, metavar="GLOB...")
@report_options(Reporter)
def release(
    *, settings: Globals, reporter: Reporter, globs: tuple[str, ...], auto_approve: bool, owner: str | None
) -> int:
    """Give up ownership, and change nothing else.

    GLOB matches addresses: of a trigger the marker is removed, of a variable (env/...) its entry in the
    marker. What is given up is kept by later runs; a trigger that is still declared is adopted again.

    \b
    Examples:
      buildsctl release trigger/web/preview
      buildsctl release 'env/web/*/SENTRY_AUTH_TOKEN'
      buildsctl release 'worker/old-*' --owner acme/builds

    \b
    Exit codes: 0 done · 1 error, nothing was done · 3 done in part
      6 authentication or permission · 7 could not look everywhere
    """

    def made(whose: str, api: Api) -> Plan:
        plan = decide(whose, _observed(api, globs), globs, account_id=api.account_id)
        for glob in globs if not plan.unread else ():
            if not any(change.address.matches(glob) for change in plan.changes):
                hint = "`trigger/WORKER/KEY`, `env/WORKER/KEY/NAME` or `worker/WORKER`"
                raise UsageError(f"nothing of owner `{whose}` matches {glob}", hint=hint)
        return plan

    return of_owner(owner, made, settings, reporter, auto_approve=auto_approve)


def _observed(api: Api, globs: tuple[str, ...]) -> Observed:
    """The Workers that the globs name; all of them where one names none."""
    from reconciler.observe import observe

    names = {glob.split("/")[1] if glob.count("/") else "*" for glob in globs}
    if any(sign in name for name in names for sign in "*?["):
        return observe(Desired(owner=None), api, everything=True)
    return observe(Desired(owner=None, workers=Worker.named(names)), api)
