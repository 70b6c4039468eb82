"""`tokens`: which build tokens there are and who uses them, the id of a token, old generations."""

from __future__ import annotations

import os

from reconciler.cli import session
from reconciler.cli.apply import carry_out, of_owner
from reconciler.cli.options import (
    Globals,
    Manifests,
    ask_option,
    command_group,
    global_options,
    json_option,
    max_deletes_option,
    named_manifests,
    names_options,
    option,
    owner_option,
    report_options,
)
from reconciler.cli.output import data, indented, tell_unread
from reconciler.cli.plan import Reporter
from reconciler.errors import Exit, UsageError
from reconciler.model import Secret
from reconciler.states import Desired


@command_group
def tokens() -> None:
    """Build tokens: generations and who uses them.

    \b
    Examples:
      buildsctl tokens list
      buildsctl tokens id --env DEPLOY_TOKEN
      buildsctl tokens prune
    """


@tokens.command("list", short_help="List build tokens, and who uses them.", params=[json_option])
@names_options
def list_(settings: Globals, manifests: Manifests, as_json: bool) -> int:
    """List the build tokens of the account, and the triggers that use them. Reads every Worker.

    \b
    Examples:
      buildsctl tokens list
      buildsctl tokens list --format json

    \b
    Exit codes: 0 listed · 1 error · 6 authentication or permission
      7 could not look everywhere
    """
    from reconciler.observe import observe
    from reconciler.render.tokens import token_rows, tokens_text

    with session.open_named(settings, manifests) as (api, _):
        observed = observe(Desired(owner=None), api, everything=True)
    rows = token_rows(observed)
    data(indented(rows) if as_json else tokens_text(rows, complete=not observed.unread))
    return tell_unread(observed.unread)


@tokens.command(
    "id",
    short_help="Print the `cloudflare_token_id` of an API token.",
    params=[
        option(
            "--env VARIABLE",
            "The variable of the environment that holds the token.",
            required=True,
            weakens_safety=True,
        )
    ],
)
@global_options
def id_(settings: Globals, env: str) -> int:
    """Print the `cloudflare_token_id` of the API token in a variable of the environment.

    The token is asked about under itself; it is not shown, and needs no permission for that.

    \b
    Examples:
      buildsctl tokens id --env DEPLOY_TOKEN

    \b
    Exit codes: 0 printed · 1 error, or the token is not active
      6 authentication or permission
    """
    value = session.first_token(os.environ, env)
    if not value:
        raise UsageError(f"the variable `{env}` is not set", hint="put the token's value there")
    with session.open_api(settings, settings.account_id or "-", token=value) as api:
        found = api.verify(Secret(value, f"env {env}"))
    if not isinstance(found.get("id"), str) or found.get("status") != "active":
        hint = "was it deleted or rolled, or is it owned by an account instead of a user?"
        raise UsageError(f"the token in `{env}` is not an active user API token", hint=hint)
    data(f"{found['id']}\n")
    return Exit.OK


@tokens.command(
    short_help="Delete old generations that nothing uses.", params=[ask_option, owner_option, max_deletes_option]
)
@named_manifests
@report_options(Reporter)
def prune(
    *,
    settings: Globals,
    manifests: Manifests,
    reporter: Reporter,
    auto_approve: bool,
    owner: str | None,
    max_deletes: int,
) -> int:
    """Delete the old generations of an owner's tokens that no trigger of the account uses.

    \b
    Examples:
      buildsctl tokens prune
      buildsctl tokens prune --owner acme/builds --auto-approve

    \b
    Exit codes: 0 done, or nothing to do · 1 error, nothing was done
      3 done in part · 4 refused by a safety rule
      6 authentication or permission · 7 could not look everywhere
    """
    from reconciler.observe import observe
    from reconciler.plan.tokens import prune as decide

    with of_owner(owner, manifests, settings, reporter, auto_approve=auto_approve) as (whose, api):
        observed = observe(Desired(owner=whose), api, everything=True, variables=False)
        plan = decide(whose, observed, max_deletes=max_deletes, account_id=api.account_id)
        return carry_out(plan, api, reporter, settings, ask=not auto_approve)
