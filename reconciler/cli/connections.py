"""`connections`: the explicit way to delete a connection that no trigger shows any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from reconciler.cli import session
from reconciler.cli.apply import carry_out, check_approval
from reconciler.cli.options import (
    Globals,
    Manifests,
    argument,
    ask_option,
    command_group,
    named_manifests,
    option,
    report_options,
)
from reconciler.cli.output import say
from reconciler.cli.plan import Reporter, reporting
from reconciler.errors import ManifestError, UsageError
from reconciler.kinds.connection import PROVIDERS, Connection
from reconciler.model import Address, Declared
from reconciler.states import Desired


@command_group
def connections() -> None:
    """Repository connections, of which the API has no list.

    \b
    Examples:
      buildsctl connections delete acme/site
    """


@connections.command(
    short_help="Delete a connection that no trigger uses.",
    params=[
        ask_option,
        option("--repo-id ID", "The repository's numeric id; default: the manifests'."),
        option("--provider-account-id ID", "Its owner's; default: the manifests'."),
        option(
            "--provider-type TYPE",
            f"{', '.join(PROVIDERS)}; default: the manifests', or github.",
            type=click.Choice(PROVIDERS),
        ),
    ],
)
@argument("name", metavar="OWNER/REPO")
@named_manifests
@report_options(Reporter)
def delete(
    *,
    settings: Globals,
    manifests: Manifests,
    reporter: Reporter,
    name: str,
    auto_approve: bool,
    repo_id: str | None,
    provider_account_id: str | None,
    provider_type: str | None,
) -> int:
    """Delete a connection that no trigger of the account uses any more.

    It reads every Worker, and refuses while a trigger shows the connection. The API tells a connection's
    UUID only in answer to a put, so it is put once and then deleted.

    \b
    Examples:
      buildsctl connections delete acme/site
      buildsctl connections delete acme/site --repo-id 1332648945 \\
        --provider-account-id 41612145

    \b
    Exit codes: 0 deleted · 1 error, nothing was done · 3 done in part
      4 a trigger uses it, or one may · 6 authentication or permission
    """
    from reconciler.cli.repository import check_ids
    from reconciler.observe import observe
    from reconciler.plan.connections import delete as decide

    with reporting(reporter.write):
        check_approval(auto_approve=auto_approve)
        if "/" not in name:
            raise UsageError(f"`{name}` is no OWNER/REPO", hint="name it as the manifests do: `acme/site`")
        given = {"repo_id": repo_id, "provider_account_id": provider_account_id, "provider_type": provider_type}
        said = {field: value for field, value in given.items() if value}
        ids = {field: value for field, value in said.items() if field != "provider_type"}
        try:
            desired = session.names(manifests, strict=len(said) < len(given))
        except ManifestError:
            if len(ids) == len(given) - 1:
                say("hint: with --provider-type as well, no connection of the manifests is needed\n")
            raise
        session.check_account(desired)
        declared = _declared(name, said, desired)
        check_ids(declared.resource.provider_type, name, ids)
        with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
            observed = observe(Desired(owner=None), api, everything=True, variables=False)
            plan = decide(declared, observed, account_id=api.account_id)
            return carry_out(plan, api, reporter, settings, ask=not auto_approve)


def _declared(name: str, given: Mapping[str, Any], desired: Desired) -> Declared[Connection]:
    """What the options say of the connection, and the manifests where they do not."""
    for one in desired.connections:
        if one.address == Address.of("connection", name):
            return replace(one, resource=replace(one.resource, **given))
    if {"repo_id", "provider_account_id"} <= given.keys():
        return Connection.parse(name, given, None)
    hint = "give --repo-id and --provider-account-id"
    raise UsageError(f"the manifests here have no connection `{name}`", hint=hint)
