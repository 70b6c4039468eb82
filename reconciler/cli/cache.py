"""`cache purge`: empty the build cache of triggers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.apply import check_approval
from reconciler.cli.options import (
    Globals,
    Manifests,
    argument,
    ask_option,
    format_option,
    global_options,
    names_options,
)
from reconciler.cli.output import data, say
from reconciler.errors import ApiError, AuthenticationError, Exit, ForbiddenError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.api import Api
    from reconciler.lookup import Named


@click.group()
def cache() -> None:
    """Build caches, one a trigger.

    \b
    Examples:
      buildsctl cache purge web/production
    """


@cache.command(short_help="Empty the build cache of triggers.", params=[ask_option(), format_option("text", "json")])
@argument("triggers", nargs=-1, required=True, metavar="WORKER/TRIGGER...")
@names_options
@global_options
def purge(
    *,
    settings: Globals,
    manifests: Manifests,
    triggers: tuple[str, ...],
    auto_approve: bool,
    format: str,  # noqa: A002 - the option's name
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
    from reconciler.render.escape import clean

    check_approval(auto_approve=auto_approve)
    desired = session.names(manifests, strict=any(lookup.is_glob(one) for one in triggers))
    with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
        found = lookup.triggers(api, desired, triggers)
        if not auto_approve:
            say("".join(f"  {clean(str(one.address))}\n" for one in found))
            count = f"{len(found)} trigger{'s' * (len(found) != 1)}"
            if not click.confirm(f"\nEmpty the build cache of {count}?", err=True):
                raise UsageError("the answer was no: nothing was purged")
        api.allow_writes()
        rows, errors = _purge(api, found, tell=data if format == "text" else say)
    if format == "json":
        data(json.dumps({"purged": rows}, indent=2) + "\n")
    if len(errors) < len(found):
        return Exit.PARTIAL if errors else Exit.OK
    denied = any(isinstance(error, AuthenticationError | ForbiddenError) for error in errors)
    return Exit.ACCESS if denied else Exit.ERROR


def _purge(api: Api, found: Sequence[Named], *, tell: Any) -> tuple[list[dict[str, Any]], list[ApiError]]:
    """One after the other, each told when it is done; one that fails holds up no other."""
    from reconciler.kinds.trigger import Trigger
    from reconciler.render.escape import clean
    from reconciler.render.problems import error_text

    rows: list[dict[str, Any]] = []
    errors: list[ApiError] = []
    for one in found:
        row = {"address": str(one.address), "trigger_uuid": one.live.id, "status": "done", "error": ""}
        try:
            api.write(Trigger.purge_cache(one.live.id), lambda _: None)
            off = "" if one.live.resource.build_caching_enabled else " (caching is off)"
            tell(f"{clean(str(one.address))}: purged{off}\n")
        except ApiError as error:
            errors.append(error)
            row |= {"status": "failed", "error": str(error)}
            say(f"{clean(str(one.address))}: failed\n{error_text(error)}")
        rows.append(row)
    return rows, errors
