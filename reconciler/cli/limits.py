"""`limits`: whether the account's build minutes are used up."""

from __future__ import annotations

import json

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, format_option, global_options, names_options
from reconciler.cli.output import data
from reconciler.errors import Exit


@click.command(params=[format_option("text", "json")])
@names_options
@global_options
def limits(settings: Globals, manifests: Manifests, format: str) -> int:  # noqa: A002 - the option's name
    """Show the limits of the account's builds: one request.

    A paid plan has none to show; JSON is what the API answered.

    \b
    Examples:
      buildsctl limits
      buildsctl limits --format json | \\
        jq -e '.has_reached_build_minutes_limit | not'

    \b
    Exit codes: 0 shown · 1 error · 6 authentication or permission
    """
    from reconciler.kinds.limits import Limits
    from reconciler.render.builds import limits_text

    account = session.account_id(settings, session.names(manifests, strict=False).account_id)
    with session.open_api(settings, account) as api:
        found = api.get(Limits.read(), Limits.decode)
    data(json.dumps(found.answer, indent=2) + "\n" if format == "json" else limits_text(found))
    return Exit.OK
