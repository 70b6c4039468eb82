"""Options that several commands share, each group as one value; they can come from the environment too."""

from __future__ import annotations

import copy
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from reconciler import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from reconciler.ownership import FingerprintKey
    from reconciler.plan import Options

PREFIX = "BUILDSCTL_"
ARGUMENTS = "buildsctl.arguments"
"""Where the context keeps the command line as it was given."""
Command = Callable[..., Any]


def texts(text: str) -> list[str] | None:
    """Those of a JSON array of strings; None where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


class Completed(click.Parameter):
    """Something on the command line whose metavar says what it is, so that TAB can tell what may stand there."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from reconciler.cli.completion import values

        return super().shell_complete(ctx, incomplete) or values(self, ctx, incomplete)


class Argument(Completed, click.Argument):
    """An argument of a command."""


argument = functools.partial(click.argument, cls=Argument)


class Setting(Completed, click.Option):
    """An option that `BUILDSCTL_<OPTION>` sets too; lists as JSON arrays, empty counts as unset.

    `weakens_safety=True` keeps it to the command line: nobody shall weaken a run from afar.
    """

    told = True
    """Does the help page tell of it?"""

    def __init__(self, *args: Any, weakens_safety: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not weakens_safety and self.envvar is None and self.name:
            self.envvar = PREFIX + self.name.upper()

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return super().get_help_record(ctx) if self.told else None

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Without the range of a number, which `[0<=x<=86400]` tells nobody who does not try to leave it."""
        return {name: text for name, text in super().get_help_extra(ctx).items() if name != "range"}

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The name of the variable, where the value came from one."""
        if ctx and ctx.get_parameter_source(str(self.name)) is ParameterSource.ENVIRONMENT:
            names = [self.envvar] if isinstance(self.envvar, str) else self.envvar or ()
            return next(name for name in names if os.environ.get(name))
        return super().get_error_hint(ctx)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return super().resolve_envvar_value(ctx) or None

    def value_from_envvar(self, ctx: click.Context) -> Any:
        text = self.resolve_envvar_value(ctx)
        if not self.multiple or text is None:
            return text
        found = texts(text)
        if found is None:
            if ctx.resilient_parsing:
                return None
            raise click.BadParameter(f"{self.envvar} must be a JSON array of strings", ctx=ctx, param=self)
        return found


def option(shape: str, text: str, **more: Any) -> Setting:
    """An option as its help page shows it, `-o, --output FILE`; one without a metavar is a flag."""
    words = shape.replace(",", "").split()
    names = [word for word in words if word.startswith("-")]
    metavar = "".join(words[len(names) :])
    return Setting(names, metavar=metavar or None, is_flag=None if metavar else True, help=text, **more)


def bundle(name: str, make: Callable[..., Any], params: Sequence[click.Parameter]) -> Callable[[Command], Command]:
    """Give a command `params`, and hand them to it as the one value `name`, made by `make`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(**given: Any) -> Any:
            mine = {str(param.name): given.pop(str(param.name)) for param in params}
            return command(**{name: make(**mine)}, **given)

        # click collects parameters here, the last one first.
        earlier = getattr(command, "__click_params__", [])
        wrapped.__click_params__ = [*earlier, *reversed(params)]  # type: ignore[attr-defined]
        return wrapped

    return decorate


@dataclass(frozen=True, kw_only=True)
class Globals:
    """The options that every command takes, on either side of its name."""

    account_id: str | None = None
    api_base_url: str | None = None
    sandbox: bool = False
    sandbox_file: str | None = None
    allow_http: bool = False
    trace: bool = False
    verbose: bool = False
    no_color: bool = False
    max_wait: float | None = None

    def with_later(self, given: Mapping[str, Any]) -> Globals:
        """What stands behind the command's name wins."""
        return replace(
            self,
            **{name: value for name, value in given.items() if not (value is None or value is False or value == "")},
        )


def _either(name: str) -> list[str]:
    return [PREFIX + name, f"CLOUDFLARE_{name}"]


GLOBALS = [
    option("--account-id ID", "The account; also CLOUDFLARE_ACCOUNT_ID.", envvar=_either("ACCOUNT_ID")),
    option("--api-base-url URL", "Where the API is; also CLOUDFLARE_API_BASE_URL.", envvar=_either("API_BASE_URL")),
    option("--sandbox", "Work on a stand-in of the API inside this process."),
    option("--sandbox-file FILE", "The sandbox's data; default .buildsctl/sandbox.db."),
    option("--allow-http", "Send the token over plain HTTP all the same.", weakens_safety=True),
    option("--trace", "Tell each request: method, path, status, time, ray id."),
    option("-v, --verbose", "Show what is unchanged, too, and values in full; and --trace."),
    option("--max-wait SECONDS", "Wait no longer for the rate limit.", type=click.FloatRange(0, 86_400)),
    option("--no-color", "No colour; also NO_COLOR."),
]


def _quiet(one: Setting) -> Setting:
    """What may stand there, and is not what the command is about: no help page tells of it, and no variable sets it."""
    later = copy.copy(one)
    later.told, later.envvar = False, None
    return later


def _merged(**given: Any) -> Globals:
    earlier = click.get_current_context().obj
    return (earlier if isinstance(earlier, Globals) else Globals()).with_later(given)


version_option = functools.partial(
    click.version_option, __version__, prog_name="buildsctl", message="%(prog)s %(version)s"
)
group_options = bundle("settings", _merged, GLOBALS)


def global_options(command: Command) -> Command:
    """For every command."""
    return bundle("settings", _merged, [_quiet(one) for one in GLOBALS])(version_option(hidden=True)(command))


def command_group(about: Callable[[], None]) -> click.Group:
    """A group of commands, whose name has what every command takes on either side as well."""

    def keep(settings: Globals) -> None:
        click.get_current_context().obj = settings

    return click.group(about.__name__, help=about.__doc__)(global_options(keep))


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """Which manifests to read, and how."""

    paths: tuple[str, ...]
    param: tuple[tuple[str, str], ...]
    param_file: tuple[str, ...]
    allow_commands: bool
    no_secrets: bool


def _pair(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"`{text}` is not NAME=VALUE")
        pairs.append((name, value))
    return tuple(pairs)


PATHS = Argument(["paths"], nargs=-1, metavar="[PATH]...")
PARAMS = (
    option("--param K=V", "Set a param.", multiple=True, callback=_pair),
    option("--param-file FILE", "Set params from a YAML mapping.", multiple=True),
)


SOURCES = (
    option("--allow-commands", "Let manifests run commands for secrets.", weakens_safety=True),
    option("--no-secrets", "Ask no source for its secret."),
)


def _silent(*, manifests: tuple[str, ...] = (), paths: tuple[str, ...] = (), **given: Any) -> Manifests:
    """Whatever is said about sources: none is asked."""
    return Manifests(**given | {"paths": paths or manifests, "allow_commands": False, "no_secrets": True})


manifest_options = bundle("manifests", Manifests, [PATHS, *PARAMS, *SOURCES])


def offline_options(command: Command) -> Command:
    """For commands that never need a secret; with the global options."""
    return bundle("manifests", _silent, [PATHS, *PARAMS, *map(_quiet, SOURCES)])(global_options(command))


# For commands that look names up in manifests, and take something else as arguments.
named_manifests = bundle(
    "manifests",
    _silent,
    [
        option("--manifests PATH", "Where names come from; default: those here.", multiple=True),
        *PARAMS,
        *map(_quiet, SOURCES),
    ],
)


def names_options(command: Command) -> Command:
    """The same with the global options."""
    return named_manifests(global_options(command))


def fingerprint_key() -> FingerprintKey | None:
    """From `BUILDSCTL_FINGERPRINT_KEY`; None where it is not set."""
    from reconciler.errors import UsageError
    from reconciler.ownership import read_key

    text = os.environ.get("BUILDSCTL_FINGERPRINT_KEY", "")
    key = read_key(text) if text else None
    if text and key is None:
        raise UsageError(
            "BUILDSCTL_FINGERPRINT_KEY is no key of 32 bytes or more, in base64 or hexadecimal",
            hint="`openssl rand -base64 32` makes one; every pipeline of this owner needs the same",
        )
    return key


def _options(**given: Any) -> Options:
    from reconciler.plan import Options

    return Options(**given)


def _natural(_: click.Context, __: click.Parameter, given: int) -> int:
    if given < 0:
        raise click.BadParameter("it cannot be negative")
    return given


def _given(context: click.Context, param: click.Parameter, value: str) -> str:
    """A variable of a script that is not set must not mean all."""
    if not value and context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE:
        raise click.BadParameter("it is empty: a variable that is not set?")
    return value


def _globs(name: str, text: str) -> Setting:
    return option(f"{name} GLOB", text, multiple=True, weakens_safety=True)


max_deletes_option = option(
    "--max-deletes N",
    "Refuse a plan that deletes or replaces more than N (5).",
    weakens_safety=True,
    type=int,
    callback=_natural,
    default=5,
)


deciding_options = bundle(
    "deciding",
    _options,
    [
        option("--target GLOB", "Look at and change only what this names.", multiple=True),
        option(
            "--changed-since REV", "Look only at Workers that differ from a Git revision.", default="", callback=_given
        ),
        _globs("--delete-unmanaged", "Delete what nobody declares and nobody owns."),
        _globs("--take-over", "Take what another owner, or the newer builds surface, holds."),
        _globs("--accept-secret-loss", "Lose variables that cannot be written again."),
        _globs("--rewrite-secrets", "Write secrets again, though nothing says that they changed."),
        option("--prune", "Read every Worker; delete what is ours and not declared.", weakens_safety=True),
        max_deletes_option,
    ],
)


ask_option = option("--auto-approve", "Do not ask; needed without a terminal.", weakens_safety=True)
owner_option = option("--owner OWNER", "Whose; default: the owner of the manifests here.", weakens_safety=True)


def format_option(*formats: str, **more: Any) -> Setting:
    told = f"How to report: {', '.join(formats[:-1])} or {formats[-1]}."
    return option("--format FORMAT", told, type=click.Choice(formats), default=formats[0], **more)


# Whether it is JSON, as `as_json`.
json_option = format_option("text", "json", callback=lambda _, __, given: given == "json")
json_option.name = "as_json"


def report_options(make: Callable[..., Any]) -> Callable[[Command], Command]:
    """How to report, as the `reporter` that `make` makes of `format` and `out`; with the global options. What a run
    reads, no report is written over."""
    formats = format_option("text", "json", "markdown", "html")
    out = option("--out FILE", "Write the JSON too, on failure as well.")

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def checked(*, reporter: Any, **given: Any) -> Any:
            from reconciler.errors import UsageError
            from reconciler.manifest import files

            read: Manifests | None = given.get("manifests")
            if reporter.out and files.is_manifest(reporter.out, *((read.paths, read.param_file) if read else ((),))):
                told = f"`{reporter.out}` is one of the manifests: the report would take its place"
                raise UsageError(told, hint="name another file with --out")
            return command(reporter=reporter, **given)

        return bundle("reporter", make, [formats, out])(global_options(checked))

    return decorate
