"""`builds logs`, `run`, `cancel`, `wait`: what is about one build."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, Setting, argument, format_option, global_options, names_options
from reconciler.cli.output import data, read_json, say
from reconciler.errors import ApiError, Exit, GatewayError, NetworkError, RejectedError, UsageError

if TYPE_CHECKING:
    from reconciler.api import Api
    from reconciler.builds import Watch
    from reconciler.kinds.build import Build
    from reconciler.lookup import Named

TIMEOUT = 3_600.0  # seconds; a build that takes longer is stopped by Cloudflare
MAX_SEED = 4_000_000  # bytes of a seed_repo
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_uuid(given: str) -> str:
    if not _UUID.fullmatch(given):
        raise click.BadParameter("this is no build's UUID; `buildsctl builds latest` shows some")
    return given


def _uuid(_: click.Context, __: click.Parameter, given: str) -> str:
    return check_uuid(given)


def _since(context: click.Context, option: click.Parameter, given: str | None) -> datetime | None:
    from reconciler.cli.builds import since

    return since(context, option, given)


def _timeout_option() -> Setting:
    return Setting(
        ["--timeout"],
        type=click.FloatRange(0, 86_400),
        default=TIMEOUT,
        metavar="SECONDS",
        help="Give up waiting (3600).",
    )


def _open(settings: Globals, manifests: Manifests) -> Any:
    return session.open_api(settings, session.account_id(settings, session.names(manifests, strict=False).account_id))


@click.command(
    params=[
        Setting(["--follow"], is_flag=True, help="Go on until the build stops."),
        Setting(["--since"], metavar="TIME", callback=_since, help="Lines since then: 5m, or a time."),
        format_option("text", "json"),
    ]
)
@argument("uuid", callback=_uuid)
@names_options
@global_options
def logs(
    *,
    settings: Globals,
    manifests: Manifests,
    uuid: str,
    follow: bool,
    since: datetime | None,
    format: str,  # noqa: A002 - the option's name
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

    with _open(settings, manifests) as api:
        watch = Watch(api, uuid, tell=_tell)
        failure = _print_log(watch, follow=follow, since=since, as_json=format == "json", to=data)
        if failure and watch.look().has_failed:
            _tell_why(failure)
    return Exit.OK


def _print_log(watch: Watch, *, follow: bool, since: datetime | None, as_json: bool, to: Any) -> Any:
    """Page by page, so that a log of any length takes no more memory than a page; the last known cause."""
    from reconciler.builds import stamp
    from reconciler.kinds.failure import why
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
        _tell(f"the log of build {watch.id} is empty" + ("" if follow else " so far; --follow waits for more"))
    return failure


@click.command(
    params=[
        # What is built is said on the command line: a variable that was set for `affected` must not deploy a branch.
        Setting(
            ["--branch"], metavar="NAME", weakens_safety=True, help="Build this; default: the trigger's one branch."
        ),
        Setting(["--commit"], metavar="SHA", weakens_safety=True, help="Build this commit."),
        Setting(["--seed-repo"], metavar="FILE", help="JSON: what to put into a new repository first."),
        Setting(["--wait"], is_flag=True, help="Wait until it stops; the exit code says how."),
        Setting(["--logs"], is_flag=True, help="Print its log, and wait."),
        _timeout_option(),
        format_option("text", "json"),
    ]
)
@argument("trigger", metavar="WORKER/TRIGGER")
@names_options
@global_options
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
    format: str,  # noqa: A002 - the option's name
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

    seed = _seed_repo(seed_repo) if seed_repo else None
    desired = session.names(manifests, strict=False)
    with session.open_api(settings, session.account_id(settings, desired.account_id)) as api:
        found = lookup.one_trigger(api, desired, trigger)
        body = _body(found, branch, commit)
        api.allow_writes()
        started = _start(api, found, body | ({"seed_repo": seed} if seed else {}), as_json=format == "json")
        if started is None:
            return Exit.PARTIAL
        if not wait and not logs:
            data(json.dumps(started, indent=2) + "\n" if format == "json" else f"{started['build_uuid']}\n")
            return Exit.OK
        return _see_through(api, started["build_uuid"], timeout, logs=logs, as_json=format == "json")


def _body(found: Named, branch: str | None, commit: str | None) -> dict[str, Any]:
    """What to build. A trigger with one branch has an obvious answer; a preview trigger has none."""
    from reconciler.affected import takes_branch
    from reconciler.render.escape import clean

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
        say(clean(f"warning: {told} runs on it now") + "\n")
    given = {"branch": branch, "commit_hash": commit}
    return {name: value for name, value in given.items() if value}


def _start(api: Api, found: Named, body: dict[str, Any], *, as_json: bool) -> Any:
    """The API's answer; None where nobody knows what became of the request."""
    from reconciler.kinds.build import Build
    from reconciler.render.escape import clean
    from reconciler.settle import is_unsure

    hint = f"hint: `buildsctl builds list {clean(found.address.path[0])} --limit 3` shows it if it was\n"
    try:
        started = api.write(Build.run(found.live.id, body), Build.decode_run)
    except KeyboardInterrupt:
        say(f"\nnobody knows whether the build was started\n{hint}")
        raise
    except ApiError as error:
        if not (is_unsure(error) or 200 <= error.status < 300):
            raise
        say(f"error: nobody knows whether the build was started: {clean(str(error))}\n{hint}")
        if as_json:
            data(json.dumps({"status": "unknown", "error": str(error)}, indent=2) + "\n")
        return None
    what = " ".join(f"{name.partition('_')[0]} {body[name]}" for name in ("branch", "commit_hash") if name in body)
    say(clean(f"started build {started['build_uuid']} of {found.address}: {what}") + "\n" if started else "")
    return started


def _see_through(api: Api, uuid: str, timeout: float, *, logs: bool, as_json: bool) -> int:
    """Until the build stopped, with its log where it is asked for; how it ended."""
    from reconciler.builds import Watch

    watch = Watch(api, uuid, timeout=timeout, tell=_tell, answered=True)
    failure = None
    try:
        if logs:
            failure = _print_log(watch, follow=True, since=None, as_json=False, to=say if as_json else data)
        if not watch.build or not (watch.build.is_stopped or watch.timed_out):
            watch.wait()
    except (KeyboardInterrupt, ApiError):
        say(f"\nthe build goes on; `buildsctl builds cancel {uuid}` stops it, `builds wait` waits on\n")
        raise
    return _ending(api, watch, failure, as_json=as_json)


def _ending(api: Api, watch: Watch, failure: Any, *, as_json: bool) -> int:
    """Tell how a build ended, and the exit code for it."""
    from reconciler import builds as reading
    from reconciler.kinds.build import SUCCESS
    from reconciler.render.builds import build_document, build_text
    from reconciler.render.escape import clean

    build = watch.build
    if build is None:
        raise UsageError(f"build {watch.id} was not seen")
    if build.has_failed and failure is None:
        failure = _cause(api, build)
    failure = failure if build.has_failed else None
    if as_json:
        data(json.dumps(build_document(build, failure), indent=2) + "\n")
    else:
        data(build_text(reading.seen("", build, datetime.now(UTC), failure)))
    if build.build_outcome == SUCCESS:
        return Exit.OK
    if not build.is_stopped:
        hint = f"`buildsctl builds wait {watch.id}` waits on, `buildsctl builds cancel {watch.id}` stops it"
        say(clean(f"error: the build is still {build.status or 'under way'} after {watch.timeout:g} s") + "\n")
        say(f"hint: {hint}\n")
    return Exit.ERROR


def _cause(api: Api, build: Build) -> Any:
    """Why it failed; a log that cannot be had does not hide that it did."""
    from reconciler import builds as reading

    try:
        return reading.cause(api, build)
    except ApiError as error:
        _tell(f"could not read the log: {error}")
        return None


@click.command(params=[_timeout_option(), format_option("text", "json")])
@argument("uuid", callback=_uuid)
@names_options
@global_options
def wait(
    *,
    settings: Globals,
    manifests: Manifests,
    uuid: str,
    timeout: float,
    format: str,  # noqa: A002 - the option's name
) -> int:
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

    with _open(settings, manifests) as api:
        watch = Watch(api, uuid, timeout=timeout, tell=_tell)
        watch.wait()
        return _ending(api, watch, None, as_json=format == "json")


@click.command(params=[format_option("text", "json")])
@argument("uuid", callback=_uuid)
@names_options
@global_options
def cancel(
    *,
    settings: Globals,
    manifests: Manifests,
    uuid: str,
    format: str,  # noqa: A002 - the option's name
) -> int:
    """Cancel a build that waits or runs. One that is cancelled already is done.

    \b
    Examples:
      buildsctl builds cancel 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e

    \b
    Exit codes: 0 cancelled · 1 error, or it had ended before
      6 authentication or permission
    """
    from reconciler.kinds.answer import mapping
    from reconciler.kinds.build import Build

    with _open(settings, manifests) as api:
        api.allow_writes()
        try:
            answer = api.write(Build.cancel(uuid), lambda result: mapping(result, "build"))
        except (GatewayError, NetworkError, RejectedError) as error:
            build = _seen_after(api, uuid, error)
            if build.build_outcome != "cancelled":
                raise
            answer = build.answer
    data(json.dumps(answer, indent=2) + "\n" if format == "json" else f"build {uuid}: cancelled\n")
    return Exit.OK


def _seen_after(api: Api, uuid: str, error: ApiError) -> Build:
    """The build after its cancelling failed: it may have been cancelled all the same, or have ended before."""
    from reconciler.kinds.build import Build

    build = api.get(Build.read(uuid), Build.decode)
    if build.is_stopped and build.build_outcome != "cancelled":
        raise UsageError(f"there is nothing to cancel: the build ended before, with {build.build_outcome}") from error
    return build


def _seed_repo(path: str) -> dict[str, Any]:
    """The file's `seed_repo`, checked here: the API would not say what is wrong with it (12002)."""
    from reconciler.kinds.build import seed_problem

    hint = "a JSON object with branch, owner, path, provider and repository, and perhaps files"
    found = read_json(path, most=MAX_SEED, what="seed_repo", hint=hint)
    problem = seed_problem(found)
    if problem:
        raise UsageError(f"`{path}` is no seed_repo: {problem}", hint=hint)
    return dict(found)


def _tell(text: str) -> None:
    from reconciler.render.escape import clean

    say(clean(text) + "\n")


def _tell_why(failure: Any) -> None:
    from reconciler.render.builds import failure_text

    say(failure_text(failure, "the build failed: "))
