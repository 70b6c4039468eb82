"""Options that several commands share, and how an option is read from the environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

PREFIX = "BUILDSCTL_"


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


@dataclass(frozen=True)
class Globals:
    """The options that every command takes, on either side of its name."""

    account_id: str | None = None
    api_base_url: str | None = None
    sandbox: bool = False
    sandbox_file: str | None = None
    allow_http: bool = False
    verbose: bool = False
    no_color: bool = False

    def with_later(self, given: Mapping[str, Any]) -> Globals:
        """What stands behind the command's name wins."""
        return replace(self, **{name: value for name, value in given.items() if value})


GLOBALS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--account-id",), {"metavar": "ID", "help": "Cloudflare account; also CLOUDFLARE_ACCOUNT_ID."}),
    (("--api-base-url",), {"metavar": "URL", "help": "Where the API is; also CLOUDFLARE_API_BASE_URL."}),
    (("--sandbox",), {"is_flag": True, "help": "Work on a stand-in of the API inside this process."}),
    (("--sandbox-file",), {"metavar": "FILE", "help": "The sandbox's data; default .buildsctl/sandbox.db."}),
    (
        ("--allow-http",),
        {"is_flag": True, "weakens_safety": True, "help": "Send the token over plain HTTP all the same."},
    ),
    (("-v", "--verbose"), {"is_flag": True, "help": "Trace requests: method, path, status, time, ray id."}),
    (("--no-color",), {"is_flag": True, "help": "No colour; also NO_COLOR."}),
)
_ENVIRONMENT = {
    "--account-id": ["BUILDSCTL_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID"],
    "--api-base-url": ["BUILDSCTL_API_BASE_URL", "CLOUDFLARE_API_BASE_URL"],
}


def group_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The global options before the command's name; these read the environment."""
    for names, settings in reversed(GLOBALS):
        extra = {"envvar": _ENVIRONMENT[names[0]]} if names[0] in _ENVIRONMENT else {}
        command = click.option(*names, cls=Setting, **settings, **extra)(command)
    return command


def global_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same behind the command's name; hidden, so that every help page is about its command."""

    def wrapped(**given: Any) -> Any:
        context = click.get_current_context()
        known = {names[-1].removeprefix("--").replace("-", "_") for names, _ in GLOBALS}
        earlier = context.obj if isinstance(context.obj, Globals) else Globals()
        later = earlier.with_later({name: value for name, value in given.items() if name in known})
        rest = {name: value for name, value in given.items() if name not in known}
        return command(later, **rest)

    wrapped.__doc__, wrapped.__name__ = command.__doc__, command.__name__
    params = list(getattr(command, "__click_params__", ()))
    result: Callable[..., Any] = wrapped
    result.__click_params__ = params  # type: ignore[attr-defined] # how click's decorators hand options on
    for names, settings in reversed(GLOBALS):
        plain = {name: value for name, value in settings.items() if name != "weakens_safety"}
        result = click.option(*names, hidden=True, **plain)(result)
    return result


def _pair(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"`{text}` is not NAME=VALUE")
        pairs.append((name, value))
    return tuple(pairs)


def manifest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command takes that reads manifests."""
    decorators = (
        click.argument("paths", nargs=-1, metavar="[PATH]..."),
        click.option(
            "--param", cls=Setting, multiple=True, metavar="K=V", callback=_pair, help="Set a param."
        ),
        click.option(
            "--param-file", cls=Setting, multiple=True, metavar="FILE", help="Set params from a YAML mapping."
        ),
        click.option(
            "--allow-commands",
            cls=Setting,
            is_flag=True,
            weakens_safety=True,
            help="Let manifests run commands for secrets.",
        ),
        click.option("--no-secrets", cls=Setting, is_flag=True, help="Ask no source for its secret."),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def deciding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What changes the decision: the same for `plan` and `apply`."""
    globs: tuple[tuple[str, str], ...] = (
        ("--delete-unmanaged", "Delete what nobody declares and nobody owns."),
        ("--take-over", "Take what another owner, or the newer builds surface, holds."),
        ("--accept-secret-loss", "Lose variables that cannot be written again."),
    )
    decorators = [
        click.option(name, cls=Setting, weakens_safety=True, multiple=True, metavar="GLOB", help=text)
        for name, text in globs
    ]
    decorators.append(
        click.option(
            "--max-deletes",
            cls=Setting,
            weakens_safety=True,
            type=click.IntRange(min=0),
            default=5,
            show_default=True,
            metavar="N",
            help="Refuse a plan that deletes or replaces more.",
        )
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
