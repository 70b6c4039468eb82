"""`builds`: the group, and what reads builds: list, latest, get; `cache purge` and `limits` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.apply import check_approval
from reconciler.cli.build_runs import cancel, check_uuid, logs, run, since_option, wait
from reconciler.cli.options import (
    Globals,
    Manifests,
    argument,
    ask_option,
    command_group,
    json_option,
    names_options,
    option,
)
from reconciler.cli.output import data, indented, say, tell, tell_unread, width
from reconciler.errors import ApiError, Exit, UsageError
from reconciler.kinds.build import FAILED, OUTCOMES, PER_PAGE, STATUSES, Build
from reconciler.kinds.failure import Failure
from reconciler.kinds.limits import Limits
from reconciler.kinds.trigger import Trigger
from reconciler.render.escape import clean
from reconciler.render.problems import error_text

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.lookup import Named


@command_group
def builds() -> None:
    """Builds: list them, read their logs, start, cancel, wait.

    \b
    Examples:
      buildsctl builds latest
      buildsctl builds list web --outcome fail
      buildsctl builds run web/production --logs
    """


@builds.command(
    "list",
    params=[
        option("--limit N", "At most N builds (20).", type=click.IntRange(1, 100_000), default=20),
        # Not from BUILDSCTL_BRANCH, which is one name, for `affected`.
        option("--branch BRANCH", "Of this branch; repeatable.", multiple=True, weakens_safety=True),
        option("--status STATUS", "queued, initializing, running, stopped.", multiple=True),
        option("--outcome OUTCOME", "success, fail, skipped, cancelled, terminated.", multiple=True),
        since_option("Made since then: 2h, 7d, or a time."),
        json_option,
    ],
)
@argument("worker")
@names_options
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
    as_json: bool,
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
    from reconciler.render.builds import list_text

    filtered = branch or status or outcome
    with session.open_named(settings, manifests) as (api, desired):
        tag = lookup.Directory(api, desired).tag(worker)
        pages = reading.of_worker(api, tag, per_page=PER_PAGE if filtered else min(limit, PER_PAGE))
        fitting = (one for one in _recent(pages, since) if _fits(one, branch, status, outcome))
        found = list(islice(fitting, limit))
    if as_json:
        data(indented({"builds": [one.answer for one in found]}))
    elif found:
        data(list_text([reading.seen(worker, one, datetime.now(UTC)) for one in found], width()))
    elif not (filtered or since):
        tell(f"`{worker}` was never built")
        tell(f"hint: {reading.first_build(worker)}")
    else:
        say("no build fits\n")
        # Whoever asks for what the reference does not list may have misspelt it; live there may be more.
        for what, given, known in (("status", status, STATUSES), ("outcome", outcome, OUTCOMES)):
            if set(given) - set(known):
                say(f"hint: the API's reference has the {what} {', '.join(known)}\n")
    return Exit.OK


def _recent(pages: Iterator[list[Build]], since: datetime | None) -> Iterator[Build]:
    """Builds made since then. Nobody promises their order, so a page is read to its end."""
    from reconciler.builds import at

    for page in pages:
        recent = [one for one in page if since is None or (at(one.created_on) or since) >= since]
        yield from recent
        if len(recent) < len(page):
            return


def _fits(build: Build, branches: Sequence[str], statuses: Sequence[str], outcomes: Sequence[str]) -> bool:
    branch = build.told("branch")
    return (
        (not branches or any(branch == one or fnmatchcase(branch, one) for one in branches))
        and (not statuses or build.status in statuses)
        and (not outcomes or build.build_outcome in outcomes or (build.has_failed and bool({*outcomes} & {*FAILED})))
    )


@builds.command(
    short_help="Show the latest build of each Worker.",
    params=[option("--why", "Read the logs of those that failed, for the cause."), json_option],
)
@argument("workers", nargs=-1, metavar="[WORKER]...")
@names_options
def latest(*, settings: Globals, manifests: Manifests, workers: tuple[str, ...], why: bool, as_json: bool) -> int:
    """Show the latest build of Workers, of all declared ones where none is named: 20 in one request.

    A Worker may be a glob. JSON holds the API's own objects by Worker, null for one that was never built;
    those that could not be read are left out, and told.

    \b
    Examples:
      buildsctl builds latest
      buildsctl builds latest web 'api-*' --why
      buildsctl builds latest --format json | jq -r '.builds | to_entries[]
        | select(.value.build_outcome != "success").key'

    \b
    Exit codes: 0 shown, however they ended
      1 error, or a declared Worker is not there
      6 authentication or permission · 7 could not look everywhere
    """
    from reconciler import builds as reading
    from reconciler import lookup
    from reconciler.render.builds import build_document, latest_text

    desired = session.names(manifests, strict=not workers or any(lookup.is_glob(one) for one in workers))
    if not workers and not desired.workers:
        raise UsageError("no Worker is named, and no manifest declares one", hint="buildsctl builds latest WORKER…")
    with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
        directory = lookup.Directory(api, desired)
        wanted = [name for one in workers for name in directory.named(one)] if workers else desired.workers
        names, tags = dict.fromkeys(wanted), {}
        for name in names:
            try:
                tags[name] = directory.tag(name)
            except UsageError as error:  # a declared Worker that is not there holds up no other
                if workers:
                    raise
                say(error_text(error))
        found, unread = reading.newest(api, tags.values(), {tag: name for name, tag in tags.items()})
        if unread and unread.keys() >= {*tags.values()}:
            raise next(iter(unread.values())).error
        rows = [(name, found.get(tag)) for name, tag in tags.items() if tag not in unread]
        failures = _failures(api, [build for _, build in rows if build]) if why else {}
    if as_json:
        told = {name: build and build_document(build, failures.get(build.id)) for name, build in rows}
        data(indented({"builds": told}))
    else:
        now = datetime.now(UTC)
        shown = [reading.seen(name, build, now, failures.get(build.id if build else "")) for name, build in rows]
        data(latest_text(shown, width()))
        for name in [name for name, build in rows if not build][:1]:
            tell(f"hint: {reading.first_build(name)}")
    code = tell_unread(dict.fromkeys(unread.values()))
    if unread:
        tell(f"not shown: {', '.join(name for name, tag in tags.items() if tag in unread)}")
    return Exit.ERROR if len(tags) < len(names) else code


def _failures(api: Api, found: Iterable[Build]) -> dict[str, Failure]:
    """Why builds failed, by their UUIDs, where their logs tell it."""
    from reconciler import builds as reading
    from reconciler.lookup import together

    failed = [one for one in found if one.has_failed]
    causes = together(api, lambda build: reading.cause(api, build), failed)
    return {build.id: cause for build, cause in zip(failed, causes, strict=True) if cause}


@builds.command(
    short_help="Show one build, or those that made versions.",
    params=[option("--version-id ID", "By what was deployed; repeatable, or a,b,c.", multiple=True), json_option],
)
@argument("uuid", required=False)
@names_options
def get(
    *, settings: Globals, manifests: Manifests, uuid: str | None, version_id: tuple[str, ...], as_json: bool
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
    from reconciler.render.builds import build_document, build_text

    ids = list(dict.fromkeys(part.strip() for one in version_id for part in one.split(",") if part.strip()))
    if uuid and ids:
        raise UsageError("a build's UUID and --version-id exclude each other", hint="ask twice")
    if not uuid and not ids:
        raise UsageError("say which build", hint="a build's UUID, or --version-id ID")
    if uuid:
        check_uuid(uuid)
    with session.open_named(settings, manifests) as (api, _):
        alone = {"": api.get(Build.read(uuid), Build.decode)} if uuid else {}
        by_id = alone or reading.of_versions(api, ids)
        failures = _failures(api, by_id.values())
    if as_json:
        documents = {key: build_document(build, failures.get(build.id)) for key, build in by_id.items()}
        data(indented({"builds": documents} if ids else documents[""]))
    else:
        now = datetime.now(UTC)
        texts = [build_text(reading.seen("", build, now, failures.get(build.id))) for build in by_id.values()]
        data("\n".join(texts))
    lost = [one for one in ids if one not in by_id]
    for one in lost:
        tell(f"error: no build made version {one}")
    return Exit.ERROR if lost else Exit.OK


for command in (logs, run, cancel, wait):
    builds.add_command(command)


@click.command(params=[json_option])
@names_options
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
    from reconciler.render.builds import limits_text

    with session.open_named(settings, manifests) as (api, _):
        found = api.get(Limits.read(), Limits.decode)
    data(indented(found.answer) if as_json else limits_text(found))
    return Exit.OK


@command_group
def cache() -> None:
    """Build caches, one a trigger.

    \b
    Examples:
      buildsctl cache purge web/production
    """


@cache.command(short_help="Empty the build cache of triggers.", params=[ask_option, json_option])
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
