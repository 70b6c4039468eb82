"""`cache purge`: empty the build cache of triggers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.apply import check_approval
from reconciler.cli.options import Globals, Manifests, argument, ask_option, json_option, names_options
from reconciler.cli.output import data, indented, say, tell
from reconciler.errors import ApiError, Exit, UsageError

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.lookup import Named


@click.group()
def cache() -> None:
    """Build caches, one a trigger.

    \b
    Examples:
      buildsctl cache purge web/production
    """


@cache.command(short_help="Empty the build cache of triggers.", params=[ask_option(), json_option()])
@argument("triggers", nargs=-1, required=True, metavar="WORKER/TRIGGER...")
@names_options
def purge(
    *, settings: Globals, manifests: Manifests, triggers: tuple[str, ...], auto_approve: bool, as_json: bool
) -> int:
    """Empty the build cache of triggers; their next builds start without it.

    TRIGGER is the manifest's key, else its name, else production or preview. Globs are about the declared
    Workers, or about all of the account where none is declared that fits; addresses such as
    trigger/web/production do as well.

    \b
    Examples:
      buildsctl cache purge web/production
      buildsctl cache purge 'api-*/*' --auto-approve

    \b
    Exit codes: 0 purged · 1 error, nothing was done · 3 purged in part
      6 authentication or permission
    """
    from reconciler import lookup

    check_approval(auto_approve=auto_approve)
    strict = any(map(lookup.is_glob, triggers))
    with session.open_named(settings, manifests, strict=strict) as (api, desired):
        found = lookup.triggers(api, desired, triggers)
        if not auto_approve:
            for one in found:
                tell(f"  {one.address}")
            count = f"{len(found)} trigger{'s' * (len(found) != 1)}"
            if not click.confirm(f"\nEmpty the build cache of {count}?", err=True):
                raise UsageError("the answer was no: nothing was purged")
        api.allow_writes()
        rows, codes = _purge(api, found, to=say if as_json else data)
    if as_json:
        data(indented({"purged": rows}))
    if len(codes) < len(found):
        return Exit.PARTIAL if codes else Exit.OK
    return Exit.ACCESS if Exit.ACCESS in codes else Exit.ERROR


def _purge(api: Api, found: Sequence[Named], *, to: Callable[[str], object]) -> tuple[list[dict[str, Any]], list[int]]:
    """One after the other, each told when it is done; one that fails holds up no other. The codes are of those."""
    from reconciler.kinds.trigger import Trigger
    from reconciler.render.escape import clean
    from reconciler.render.problems import error_text

    rows: list[dict[str, Any]] = []
    codes: list[int] = []
    for one in found:
        row = {"address": str(one.address), "trigger_uuid": one.live.id, "status": "done", "error": ""}
        try:
            api.write(Trigger.purge_cache(one.live.id), lambda _: None)
            off = "" if one.live.resource.build_caching_enabled else " (caching is off)"
            to(f"{clean(str(one.address))}: purged{off}\n")
        except ApiError as error:
            codes.append(error.exit_code)
            row |= {"status": "failed", "error": str(error)}
            say(f"{clean(str(one.address))}: failed\n{error_text(error)}")
        rows.append(row)
    return rows, codes
