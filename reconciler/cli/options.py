"""Options that several commands share, each group as one value; they can come from the environment too."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reconciler.ownership import FingerprintKey
    from reconciler.plan import Options

PREFIX = "BUILDSCTL_"
ARGUMENTS = "buildsctl.arguments"
"""Where the context keeps the command line as it was given."""
Command = Callable[..., Any]


class Setting(click.Option):
    """An option that `BUILDSCTL_<OPTION>` sets too; lists as JSON arrays, empty counts as unset.

    `weakens_safety=True` keeps it to the command line: nobody shall weaken a run from afar.
    """

    def __init__(self, *args: Any, weakens_safety: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not weakens_safety and self.envvar is None and self.name:
            self.envvar = PREFIX + self.name.upper()

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return super().resolve_envvar_value(ctx) or None

    def value_from_envvar(self, ctx: click.Context) -> Any:
        text = self.resolve_envvar_value(ctx)
        if not self.multiple or text is None:
            return text
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            name = self.envvar if isinstance(self.envvar, str) else self.name
            raise click.BadParameter(f"{name} must be a JSON array of strings", ctx=ctx, param=self)
        return found


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


def _globals(*, first: bool) -> list[click.Parameter]:
    """Before the command's name they read the environment; behind it they are hidden, so that each help
    page is about its command."""

    def option(*names: str, also: str = "", weakens_safety: bool = False, **settings: Any) -> Setting:
        made = Setting([*names], hidden=not first, weakens_safety=weakens_safety or not first, **settings)
        if also and first:
            made.envvar = [str(made.envvar), also]
        return made

    return [
        option(
            "--account-id", metavar="ID", also="CLOUDFLARE_ACCOUNT_ID", help="The account; also CLOUDFLARE_ACCOUNT_ID."
        ),
        option(
            "--api-base-url",
            metavar="URL",
            also="CLOUDFLARE_API_BASE_URL",
            help="Where the API is; also CLOUDFLARE_API_BASE_URL.",
        ),
        option("--sandbox", is_flag=True, help="Work on a stand-in of the API inside this process."),
        option("--sandbox-file", metavar="FILE", help="The sandbox's data; default .buildsctl/sandbox.db."),
        option("--allow-http", is_flag=True, weakens_safety=True, help="Send the token over plain HTTP all the same."),
        option("--trace", is_flag=True, help="Tell each request: method, path, status, time, ray id."),
        option("-v", "--verbose", is_flag=True, help="Show what is unchanged, too, and values in full; and --trace."),
        option(
            "--max-wait", type=click.FloatRange(0, 86_400), metavar="SECONDS", help="Wait no longer for the rate limit."
        ),
        option("--no-color", is_flag=True, help="No colour; also NO_COLOR."),
    ]


def _merged(**given: Any) -> Globals:
    earlier = click.get_current_context().obj
    return (earlier if isinstance(earlier, Globals) else Globals()).with_later(given)


group_options = bundle("settings", lambda **given: Globals().with_later(given), _globals(first=True))
global_options = bundle("settings", _merged, _globals(first=False))


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


def _param_options() -> list[click.Parameter]:
    return [
        Setting(["--param"], multiple=True, metavar="K=V", callback=_pair, help="Set a param."),
        Setting(["--param-file"], multiple=True, metavar="FILE", help="Set params from a YAML mapping."),
    ]


def _manifests(*, manifests: tuple[str, ...] = (), **given: Any) -> Manifests:
    return Manifests(**{"paths": manifests, "allow_commands": False, "no_secrets": True, **given})


names_options = bundle(
    "manifests",
    _manifests,
    [
        Setting(["--manifests"], multiple=True, metavar="PATH", help="Where names come from; default: those here."),
        *_param_options(),
    ],
)
"""For commands that look names up in manifests, and take something else as arguments."""

offline_options = bundle(
    "manifests", _manifests, [click.Argument(["paths"], nargs=-1, metavar="[PATH]..."), *_param_options()]
)
"""For commands that never need a secret."""

manifest_options = bundle(
    "manifests",
    Manifests,
    [
        click.Argument(["paths"], nargs=-1, metavar="[PATH]..."),
        *_param_options(),
        Setting(
            ["--allow-commands"], is_flag=True, weakens_safety=True, help="Let manifests run commands for secrets."
        ),
        Setting(["--no-secrets"], is_flag=True, help="Ask no source for its secret."),
    ],
)


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

    return Options(key=fingerprint_key(), **given)


def _natural(_: click.Context, __: click.Parameter, given: int) -> int:
    if given < 0:
        raise click.BadParameter("it cannot be negative")
    return given


def _globs(name: str, text: str) -> Setting:
    return Setting([name], multiple=True, weakens_safety=True, metavar="GLOB", help=text)


deciding_options = bundle(
    "deciding",
    _options,
    [
        Setting(["--target"], multiple=True, metavar="GLOB", help="Look at and change only what this names."),
        Setting(
            ["--changed-since"], metavar="REV", default="", help="Look only at Workers that differ from a Git revision."
        ),
        _globs("--delete-unmanaged", "Delete what nobody declares and nobody owns."),
        _globs("--take-over", "Take what another owner, or the newer builds surface, holds."),
        _globs("--accept-secret-loss", "Lose variables that cannot be written again."),
        _globs("--rewrite-secrets", "Write secrets again, though nothing says that they changed."),
        Setting(
            ["--prune"],
            is_flag=True,
            weakens_safety=True,
            help="Read every Worker; delete what is ours and not declared.",
        ),
        Setting(
            ["--max-deletes"],
            weakens_safety=True,
            type=int,
            callback=_natural,
            default=5,
            metavar="N",
            help="Refuse a plan that deletes or replaces more than N (5).",
        ),
    ],
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """How to report: `format` on stdout, and JSON in the file `out` beside it."""

    format: str
    out: str | None = None


def ask_option() -> Setting:
    return Setting(["--auto-approve"], is_flag=True, weakens_safety=True, help="Do not ask; needed without a terminal.")


def owner_option() -> Setting:
    return Setting(["--owner"], metavar="NAME", help="Whose; default: the owner of the manifests here.")


def format_option(*formats: str) -> Setting:
    return Setting(["--format"], type=click.Choice(formats), default=formats[0], help="How to report.")


report_options = bundle(
    "report",
    Report,
    [
        format_option("text", "json", "markdown", "html"),
        Setting(["--out"], metavar="FILE", help="Write the JSON too, on failure as well."),
    ],
)
