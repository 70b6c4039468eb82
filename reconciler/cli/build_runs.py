"""`builds logs`, `run`, `cancel`, `wait`: what is about one build."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from reconciler.affected import takes_branch
from reconciler.cli import session
from reconciler.cli.options import Argument, Globals, Manifests, Setting, argument, json_option, names_options, option
from reconciler.cli.output import data, indented, read_json, say, tell
from reconciler.errors import ApiError, Exit, GatewayError, NetworkError, RejectedError, UsageError
from reconciler.kinds.answer import mapping
from reconciler.kinds.build import SUCCESS, Build, seed_problem
from reconciler.kinds.failure import Failure, why

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.builds import Watch
    from reconciler.lookup import Named

MAX_SEED = 4_000_000  # bytes of a seed_repo
REFUSED_BODY = 12002
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_AGE = 1_000_000  # of a unit
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_uuid(given: str) -> str:
    if not _UUID.fullmatch(given):
        raise click.BadParameter("this is no build's UUID; `buildsctl builds latest` shows some")
    return given


uuid_argument = Argument(["uuid"], callback=lambda _, __, given: check_uuid(given))
# A build that takes an hour is stopped by Cloudflare.
timeout_option = option(
    "--timeout SECONDS", "Give up waiting (3600).", type=click.FloatRange(0, 86_400), default=3_600.0
)


def since_option(text: str) -> Setting:
    return option("--since TIME", text, callback=_since)


def _since(_: click.Context, __: click.Parameter, given: str | None) -> datetime | None:
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


@click.command(
    params=[
        uuid_argument,
        option("--follow", "Go on until the build stops."),
        since_option("Lines since then: 5m, or a time."),
        json_option,
    ]
)
@names_options
def logs(
    *, settings: Globals, manifests: Manifests, uuid: str, follow: bool, since: datetime | None, as_json: bool
) -> int:
    """Print the log of a build, each line with its time in UTC.

    Whatever the build printed reaches the terminal with control characters written out, long lines
    shortened. JSON is one object a line, {"time", "line"}, as the build printed it. Where the build failed
    and its log tells why, that is said in the end, on stderr. The exit code is that of the reading: `builds
    wait` tells how a build ended.

    \b
    Examples:
      buildsctl builds logs 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e
      buildsctl builds logs 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e --follow

    \b
    Exit codes: 0 read · 1 error · 6 authentication or permission
    """
    from reconciler.builds import Watch
    from reconciler.render.builds import failure_text

    with session.open_named(settings, manifests) as (api, _):
        watch = Watch(api, uuid, tell=tell)
        failure = _print_log(watch, follow=follow, since=since, as_json=as_json, to=data)
        if failure and watch.look().has_failed:
            say(failure_text(failure, "the build failed: "))
    return Exit.OK


def _print_log(
    watch: Watch, *, follow: bool, since: datetime | None, as_json: bool, to: Callable[[str], object]
) -> Failure | None:
    """Page by page, so that a log of any length takes no more memory than a page; the last known cause."""
    from reconciler.builds import stamp
    from reconciler.render.builds import log_text

    first = since.timestamp() * 1_000 if since else None
    failure, empty = None, True
    for page in watch.log(follow=follow):
        empty = False
        failure = why(text for _, text in page) or failure
        shown = [(epoch, text) for epoch, text in page if first is None or epoch is None or epoch >= first]
        if as_json:
            text = "".join(json.dumps({"time": stamp(epoch) or None, "line": text}) + "\n" for epoch, text in shown)
        else:
            text = log_text(shown)
        if text and to(text) is False:
            break  # nobody reads on
    if empty:
        tell(f"the log of build {watch.id} is empty" + ("" if follow else " so far; --follow waits for more"))
    return failure


@click.command(
    params=[
        # What is built is said on the command line: a variable that was set for `affected` must not deploy a branch.
        option("--branch NAME", "Build this; default: the trigger's one branch.", weakens_safety=True),
        option("--commit SHA", "Build this commit.", weakens_safety=True),
        option("--seed-repo FILE", "JSON: what to put into a new repository first."),
        option("--wait", "Wait until it stops; the exit code says how."),
        option("--logs", "Print its log, and wait."),
        timeout_option,
        json_option,
    ]
)
@argument("trigger", metavar="WORKER/TRIGGER")
@names_options
def run(
    *,
    settings: Globals,
    manifests: Manifests,
    trigger: str,
    branch: str | None,
    commit: str | None,
    seed_repo: str | None,
    wait: bool,
    logs: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Start a build, and print its UUID.

    TRIGGER is the manifest's key, else its name, else production or preview. Without --branch or --commit
    a trigger that builds one branch builds that one. The request is sent once and never again: where its
    outcome is unknown, that is what is said.

    \b
    Examples:
      buildsctl builds run web/production --logs
      buildsctl builds run web/preview --branch feature
      uuid=$(buildsctl builds run web/production)

    \b
    Exit codes: 0 started; with --wait or --logs: success · 1 error, nothing
      was started; with --wait or --logs also: failed, cancelled, skipped,
      timed out · 3 nobody knows whether it was started
      6 authentication or permission
    """
    from reconciler import lookup

    seed = {"seed_repo": _seed_repo(seed_repo)} if seed_repo else {}
    with session.open_named(settings, manifests) as (api, desired):
        found = lookup.one_trigger(api, desired, trigger)
        body = _body(found, branch, commit) | seed
        api.allow_writes()
        started = _start(api, found, body, as_json=as_json)
        if started is None:
            return Exit.PARTIAL
        if not wait and not logs:
            data(indented(started) if as_json else f"{started['build_uuid']}\n")
            return Exit.OK
        return _see_through(api, started["build_uuid"], timeout, logs=logs, as_json=as_json)


def _body(found: Named, branch: str | None, commit: str | None) -> dict[str, Any]:
    """What to build. A trigger with one branch has an obvious answer; a preview trigger has none."""
    if "" in (branch, commit):
        hint = "a variable that is not set? Without the option it builds the trigger's one branch"
        raise UsageError("--branch or --commit is given and empty", hint=hint)
    trigger = found.live.resource
    concrete = [one for one in trigger.branch_includes if "*" not in one]
    if not branch and not commit:
        if len(concrete) != 1 or trigger.is_preview:
            hint = "--branch NAME, --commit SHA or both"
            raise UsageError(f"`{found.address}` builds more than one branch: say what to build", hint=hint)
        branch = concrete[0]
    if branch and not takes_branch(trigger, branch):
        told = f"a push to `{branch}` would not build {found.address}; its deploy command `{trigger.deploy_command}`"
        tell(f"warning: {told} runs on it now")
    return {name: value for name, value in (("branch", branch), ("commit_hash", commit)) if value}


def _start(api: Api, found: Named, body: dict[str, Any], *, as_json: bool) -> Mapping[str, Any] | None:
    """The API's answer; None where nobody knows what became of the request."""
    from reconciler.settle import is_unsure

    hint = f"hint: `buildsctl builds list {found.address.path[0]} --limit 3` shows it if it was"
    try:
        started = api.write(Build.run(found.live.id, body), Build.decode_run) or {}
    except KeyboardInterrupt:
        say("\nnobody knows whether the build was started\n")
        tell(hint)
        raise
    except ApiError as error:
        if not (is_unsure(error) or 200 <= error.status < 300):
            error.hint = "check --branch and --commit" if error.code == REFUSED_BODY else error.hint
            raise
        tell(f"error: nobody knows whether the build was started: {error}")
        tell(hint)
        if as_json:
            data(indented({"status": "unknown", "error": str(error)}))
        return None
    what = " ".join(f"{name.partition('_')[0]} {body[name]}" for name in ("branch", "commit_hash") if name in body)
    tell(f"started build {started['build_uuid']} of {found.address}: {what}")
    return started


def _see_through(api: Api, uuid: str, timeout: float, *, logs: bool, as_json: bool) -> int:
    """Until the build stopped, with its log where it is asked for; how it ended."""
    from reconciler.builds import Watch

    watch = Watch(api, uuid, timeout=timeout, tell=tell, answered=True)
    failure = None
    try:
        if logs:
            failure = _print_log(watch, follow=True, since=None, as_json=False, to=say if as_json else data)
        build = watch.build
        if not build or not (build.is_stopped or watch.timed_out):
            build = watch.wait()
    except (KeyboardInterrupt, ApiError):
        say(f"\nthe build goes on; `buildsctl builds cancel {uuid}` stops it, `builds wait` waits on\n")
        raise
    return _ending(api, build, failure, timeout, as_json=as_json)


def _ending(api: Api, build: Build, failure: Failure | None, timeout: float, *, as_json: bool) -> int:
    """Tell how a build ended, and the exit code for it."""
    from reconciler import builds as reading
    from reconciler.render.builds import build_document, build_text

    if not build.has_failed:
        failure = None
    elif failure is None:
        try:
            failure = reading.cause(api, build)
        except ApiError as error:  # that it failed is told all the same
            tell(f"could not read the log: {error}")
    if as_json:
        data(indented(build_document(build, failure)))
    else:
        data(build_text(reading.seen("", build, datetime.now(UTC), failure)))
    if build.build_outcome == SUCCESS:
        return Exit.OK
    if not build.is_stopped:
        tell(f"error: the build is still {build.status or 'under way'} after {timeout:g} s")
        say(f"hint: `buildsctl builds wait {build.id}` waits on,\n")
        say(f"      `buildsctl builds cancel {build.id}` stops it\n")
    return Exit.ERROR


@click.command(params=[uuid_argument, timeout_option, json_option])
@names_options
def wait(*, settings: Globals, manifests: Manifests, uuid: str, timeout: float, as_json: bool) -> int:
    """Wait until a build stops; the exit code says how. It looks every second at first, later every ten.

    \b
    Examples:
      buildsctl builds wait 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e
      buildsctl builds wait "$uuid" --timeout 600

    \b
    Exit codes: 0 success · 1 failed, cancelled, skipped, timed out, or error
      6 authentication or permission
    """
    from reconciler.builds import Watch

    with session.open_named(settings, manifests) as (api, _):
        build = Watch(api, uuid, timeout=timeout, tell=tell).wait()
        return _ending(api, build, None, timeout, as_json=as_json)


@click.command(params=[uuid_argument, json_option])
@names_options
def cancel(*, settings: Globals, manifests: Manifests, uuid: str, as_json: bool) -> int:
    """Cancel a build that waits or runs. One that is cancelled already is done.

    \b
    Examples:
      buildsctl builds cancel 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e

    \b
    Exit codes: 0 cancelled · 1 error, or it had ended before
      6 authentication or permission
    """
    with session.open_named(settings, manifests) as (api, _):
        api.allow_writes()
        try:
            answer = api.write(Build.cancel(uuid), lambda result: mapping(result, "build"))
        except (GatewayError, NetworkError, RejectedError) as error:
            # It may have been cancelled all the same, or have ended before.
            build = api.get(Build.read(uuid), Build.decode)
            if build.build_outcome != "cancelled":
                if not build.is_stopped:
                    raise
                told = f"there is nothing to cancel: the build ended before, with {build.build_outcome}"
                raise UsageError(told) from error
            answer = build.answer
    data(indented(answer) if as_json else f"build {uuid}: cancelled\n")
    return Exit.OK


def _seed_repo(path: str) -> dict[str, Any]:
    """The file's `seed_repo`, checked here: the API would not say what is wrong with it (12002)."""
    hint = "a JSON object with branch, owner, path, provider and repository, and perhaps files"
    found = read_json(path, most=MAX_SEED, what="seed_repo", hint=hint)
    problem = seed_problem(found)
    if problem:
        raise UsageError(f"`{path}` is no seed_repo: {problem}", hint=hint)
    return dict(found)
