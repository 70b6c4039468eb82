"""`connections`: the explicit way to delete a connection that no trigger shows any more."""

from __future__ import annotations

import click

from reconciler.cli import session
from reconciler.cli.apply import carry_out, check_approval
from reconciler.cli.options import Globals, Report, Setting, ask_option, global_options, report_options
from reconciler.cli.plan import Reporter, reporting
from reconciler.errors import UsageError
from reconciler.kinds.connection import PROVIDERS, Connection


@click.group()
def connections() -> None:
    """Repository connections, of which the API has no list."""


@connections.command(
    params=[
        ask_option(),
        Setting(["--repo-id"], metavar="ID", help="The repository's numeric id; default: the manifests'."),
        Setting(["--provider-account-id"], metavar="ID", help="Its owner's; default: the manifests'."),
        Setting(["--provider-type"], type=click.Choice(PROVIDERS), help="Default: the manifests', or github."),
    ]
)
@click.argument("name", metavar="OWNER/REPO")
@report_options
@global_options
def delete(
    *,
    settings: Globals,
    report: Report,
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
    """
    from reconciler.observe import observe
    from reconciler.plan.connections import delete as decide
    from reconciler.states import Desired

    with reporting(Reporter(report)) as reporter:
        check_approval(auto_approve=auto_approve)
        given = {"provider_type": provider_type, "repo_id": repo_id, "provider_account_id": provider_account_id}
        body = _declared(name, given) | {field: value for field, value in given.items() if value}
        with session.open_api(settings, session.account_id(settings, None)) as api:
            observed = observe(Desired(owner=None), api, everything=True)
            declared = Connection.parse(name, body, None)
            plan = decide(declared, observed, account_id=api.account_id)
            return carry_out(plan, api, reporter, settings, ask=not auto_approve)


def _declared(name: str, given: dict[str, str | None]) -> dict[str, str]:
    """What the manifests here say of the connection, where the options do not say it."""
    from reconciler import manifest

    if "/" not in name:
        raise UsageError(f"`{name}` is no OWNER/REPO", hint="name it as the manifests do: `acme/site`")
    if given["repo_id"] and given["provider_account_id"]:
        return {}
    body = manifest.read([]).section("connections").get(name)
    if body is None:
        hint = "give --repo-id and --provider-account-id"
        raise UsageError(f"the manifests here have no connection `{name}`", hint=hint)
    found: dict[str, str] = body.bare()
    return found
