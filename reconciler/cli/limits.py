"""`limits`: whether the account's build minutes are used up."""

from __future__ import annotations

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, global_options, json_option, names_options
from reconciler.cli.output import data, indented
from reconciler.errors import Exit


@click.command(params=[json_option()])
@names_options
@global_options
def limits(settings: Globals, manifests: Manifests, as_json: bool) -> int:
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

    with session.open_named(settings, manifests) as (api, _):
        found = api.get(Limits.read(), Limits.decode)
    data(indented(found.answer) if as_json else limits_text(found))
    return Exit.OK
