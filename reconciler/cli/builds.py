"""`builds`: the group, and what reads builds: list, latest, get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.build_runs import cancel, check_uuid, logs, run, wait
from reconciler.cli.options import Globals, Manifests, Setting, argument, format_option, global_options, names_options
from reconciler.cli.output import data, say, width
from reconciler.errors import Exit, UsageError

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.kinds.build import Build

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_AGE = 1_000_000  # of a unit


@click.group()
def builds() -> None:
    """Builds: list them, read their logs, start, cancel, wait.

    \b
    Examples:
      buildsctl builds latest
      buildsctl builds list web --outcome fail
      buildsctl builds run web/production --logs
    """


def since(_: click.Context, __: click.Parameter, given: str | None) -> datetime | None:
    """`2h` ago, or a time as ISO 8601 has it."""
    from reconciler.builds import at

    if not given:
        return None
    number, unit = given[:-1], UNITS.get(given[-1])
    if unit and number.isascii() and number.isdigit() and int(number[:9]) <= MAX_AGE:
        return datetime.now(UTC) - timedelta(**{unit: int(number[:9])})
    found = at(given)
    if found is None:
        raise click.BadParameter("a time is 30m, 2h, 7d (ago), 2026-01-31 or 2026-01-31T12:00:00Z (UTC)")
    return found


def since_option(text: str) -> Setting:
    return Setting(["--since"], metavar="TIME", callback=since, help=text)


@builds.command(
    "list",
    params=[
        Setting(["--limit"], type=click.IntRange(1, 100_000), default=20, metavar="N", help="At most N builds (20)."),
        # Not from BUILDSCTL_BRANCH, which is one name, for `affected`.
        Setting(["--branch"], multiple=True, metavar="BRANCH", weakens_safety=True, help="Of this branch; repeatable."),
        Setting(["--status"], multiple=True, metavar="STATUS", help="queued, initializing, running, stopped."),
        Setting(["--outcome"], multiple=True, metavar="OUTCOME", help="success, fail, skipped, cancelled, terminated."),
        since_option("Made since then: 2h, 7d, or a time."),
        format_option("text", "json"),
    ],
)
@argument("worker")
@names_options
@global_options
def list_(
    *,
    settings: Globals,
    manifests: Manifests,
    worker: str,
    limit: int,
    branch: tuple[str, ...],
    status: tuple[str, ...],
    outcome: tuple[str, ...],
    since: datetime | None,
    format: str,  # noqa: A002 - the option's name
) -> int:
    """List the builds of a Worker, newest first.

    The API knows no filter: buildsctl reads pages of 200 until there are enough, or until one
    holds what is older than --since. JSON holds the API's own objects.

    \b
    Examples:
      buildsctl builds list web
      buildsctl builds list web --outcome fail --since 7d
      buildsctl builds list web --format json | jq '.builds[].build_uuid'

    \b
    Exit codes: 0 listed, also where none fits · 1 error
      6 authentication or permission
    """
    from reconciler import builds as reading
    from reconciler import lookup
    from reconciler.kinds.build import OUTCOMES, PER_PAGE, STATUSES
    from reconciler.render.builds import list_text

    desired = session.names(manifests, strict=False)
    filtered = branch or status or outcome
    with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
        tag = lookup.Directory(api, desired).tag(worker)
        pages = reading.of_worker(api, tag, per_page=PER_PAGE if filtered else min(limit, PER_PAGE))
        found = []
        for build in _recent(pages, since):
            if _fits(build, branch=branch, status=status, outcome=outcome):
                found.append(build)
            if len(found) == limit:
                break
    if format == "json":
        data(json.dumps({"builds": [one.answer for one in found]}, indent=2) + "\n")
    elif found:
        data(list_text([reading.seen(worker, one, datetime.now(UTC)) for one in found], width()))
    else:
        say("no build fits\n" if filtered or since else f"`{worker}` was never built\n")
        _say_known("status", status, STATUSES)
        _say_known("outcome", outcome, OUTCOMES)
    return Exit.OK


def _say_known(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Whoever asks for what the reference does not list may have misspelt it; live there may be more."""
    if set(given) - set(known):
        say(f"hint: the API's reference has the {what} {', '.join(known)}\n")


def _recent(pages: Iterator[list[Build]], since: datetime | None) -> Iterator[Build]:
    """Builds made since then. Nobody promises their order, so a page is read to its end."""
    from reconciler.builds import at

    for page in pages:
        recent = [one for one in page if since is None or (at(one.created_on) or since) >= since]
        yield from recent
        if len(recent) < len(page):
            return


def _fits(build: Build, *, branch: tuple[str, ...], status: tuple[str, ...], outcome: tuple[str, ...]) -> bool:
    from reconciler.kinds.build import FAILED

    its_branch = build.told("branch")
    outcomes = {*outcome, *(FAILED if set(outcome) & set(FAILED) else ())}
    return (
        (not branch or any(its_branch == one or fnmatchcase(its_branch, one) for one in branch))
        and (not status or build.status in status)
        and (not outcome or build.build_outcome in outcomes)
    )


@builds.command(
    short_help="Show the latest build of each Worker.",
    params=[
        Setting(["--why"], is_flag=True, help="Read the logs of those that failed, for the cause."),
        format_option("text", "json"),
    ],
)
@argument("workers", nargs=-1, metavar="[WORKER]...")
@names_options
@global_options
def latest(
    *,
    settings: Globals,
    manifests: Manifests,
    workers: tuple[str, ...],
    why: bool,
    format: str,  # noqa: A002 - the option's name
) -> int:
    """Show the latest build of Workers, of all declared ones where none is named: 20 in one request.

    A Worker may be a glob. JSON holds the API's own objects by Worker, null for one that was never built.

    \b
    Examples:
      buildsctl builds latest
      buildsctl builds latest web 'api-*' --why
      buildsctl builds latest --format json | jq -r '.builds | to_entries[]
        | select(.value.build_outcome != "success").key'

    \b
    Exit codes: 0 shown, however they ended
      1 error, or a declared Worker is not there
      6 authentication or permission
    """
    from reconciler import builds as reading
    from reconciler import lookup
    from reconciler.kinds.build import Build
    from reconciler.render.builds import build_document, latest_text

    desired = session.names(manifests, strict=not workers or any(lookup.is_glob(one) for one in workers))
    if not workers and not desired.workers:
        raise UsageError("no Worker is named, and no manifest declares one", hint="buildsctl builds latest WORKER…")
    with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
        directory = lookup.Directory(api, desired)
        names = [name for one in workers or desired.workers for name in (directory.named(one) if workers else [one])]
        tags, lost = _tags(directory, list(dict.fromkeys(names)), all_declared=not workers)
        found = reading.by_ids(api, tags.values(), Build.read_latest)
        rows = [(name, found.get(tag)) for name, tag in tags.items()]
        failures = _failures(api, [build for _, build in rows if build]) if why else {}
    now = datetime.now(UTC)
    if format == "json":
        document = {name: build and build_document(build, failures.get(build.id)) for name, build in rows}
        data(json.dumps({"builds": document}, indent=2) + "\n")
    else:
        shown = [reading.seen(name, build, now, failures.get(build.id if build else "")) for name, build in rows]
        data(latest_text(shown, width()))
    return Exit.ERROR if lost else Exit.OK


def _tags(directory: Any, names: list[str], *, all_declared: bool) -> tuple[dict[str, str], list[str]]:
    """By name. A declared Worker that is not there holds up no other; one that was named does."""
    from reconciler.render.problems import error_text

    if not all_declared:
        return {name: directory.tag(name) for name in names}, []
    found: dict[str, str] = {}
    lost: list[str] = []
    for name in names:
        try:
            found[name] = directory.tag(name)
        except UsageError as error:
            say(error_text(error))
            lost.append(name)
    return found, lost


def _failures(api: Api, found: list[Build]) -> dict[str, Any]:
    """Why builds failed, by their UUIDs, where their logs tell it."""
    from reconciler import builds as reading
    from reconciler.lookup import together

    failed = [one for one in found if one.has_failed]
    causes = together(api, lambda build: reading.cause(api, build), failed)
    return {build.id: cause for build, cause in zip(failed, causes, strict=True) if cause}


@builds.command(
    short_help="Show one build, or those that made versions.",
    params=[
        Setting(["--version-id"], multiple=True, metavar="ID", help="By what was deployed; repeatable, or a,b,c."),
        format_option("text", "json"),
    ],
)
@argument("uuid", required=False)
@names_options
@global_options
def get(
    *,
    settings: Globals,
    manifests: Manifests,
    uuid: str | None,
    version_id: tuple[str, ...],
    format: str,  # noqa: A002 - the option's name
) -> int:
    """Show one build, or the builds that made Worker versions: 20 in one request.

    What a build used is what its trigger said when it began. Where a build failed and its log tells why,
    that is told, with what to do. JSON is the API's own object, for versions by version id.

    \b
    Examples:
      buildsctl builds get 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e
      buildsctl builds get --version-id 0f6d3b62-0000-4000-8000-000000000001

    \b
    Exit codes: 0 found · 1 error, or not all were found
      6 authentication or permission
    """
    from reconciler import builds as reading
    from reconciler.kinds.build import Build
    from reconciler.render.builds import build_document, build_text
    from reconciler.render.escape import clean

    ids = list(dict.fromkeys(part.strip() for one in version_id for part in one.split(",") if part.strip()))
    if bool(uuid) == bool(ids):
        raise UsageError("say which build", hint="a build's UUID, or --version-id ID")
    if uuid:
        check_uuid(uuid)
    account = session.account_id(settings, session.names(manifests, strict=False).account_id)
    with session.open_api(settings, account) as api:
        alone = {"": api.get(Build.read(uuid), Build.decode)} if uuid else {}
        by_id = alone or reading.by_ids(api, ids, Build.read_versions)
        failures = _failures(api, list(by_id.values()))
    documents = {key: build_document(build, failures.get(build.id)) for key, build in by_id.items()}
    if format == "json":
        data(json.dumps({"builds": documents} if ids else documents[""], indent=2) + "\n")
    else:
        now = datetime.now(UTC)
        texts = [build_text(reading.seen("", build, now, failures.get(build.id))) for build in by_id.values()]
        data("\n".join(texts))
    lost = [one for one in ids if one not in by_id]
    for one in lost:
        say(clean(f"error: no build made version {one}") + "\n")
    return Exit.ERROR if lost else Exit.OK


for command in (logs, run, cancel, wait):
    builds.add_command(command)
