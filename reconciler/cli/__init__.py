"""The command line: argv to calls to exit code. Nothing else prints, prompts or exits."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from reconciler import __version__
from reconciler.cli.options import ARGUMENTS, Globals, group_options, version_option
from reconciler.errors import BuildsctlError, Exit, ManifestError, UsageError, nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETE = "_BUILDSCTL_COMPLETE"
"""Set by the scripts of `completion`, to the name of the shell."""

COMMANDS = {
    "init": ("reconciler.cli.init:init", "Write a first manifest for a repository."),
    "validate": ("reconciler.cli.validate:validate", "Check the manifests, offline."),
    "render": ("reconciler.cli.validate:render", "Show the effective manifest, offline."),
    "plan": ("reconciler.cli.plan:plan", "Show what an apply would do."),
    "apply": ("reconciler.cli.apply:apply", "Make the account what the manifests say."),
    "drift": ("reconciler.cli.drift:drift", "Show what is live that the manifests do not say."),
    "doctor": ("reconciler.cli.doctor:doctor", "Find what a first run trips over."),
    "affected": ("reconciler.cli.affected:affected", "Show which triggers a change would build, offline."),
    "status": ("reconciler.cli.status:status", "Show what last builds used, against what is live."),
    "show": ("reconciler.cli.plan:show", "Show a saved plan in any format."),
    "export": ("reconciler.cli.export:export", "Write what is live as manifests."),
    "release": ("reconciler.cli.apply:release", "Give up ownership, change nothing else."),
    "tokens": ("reconciler.cli.tokens:tokens", "List build tokens, find a token's id, prune."),
    "builds": ("reconciler.cli.builds:builds", "List builds, read logs, run, cancel, wait."),
    "cache": ("reconciler.cli.builds:cache", "Purge build caches."),
    "limits": ("reconciler.cli.builds:limits", "Show the limits of the account's builds."),
    "connections": ("reconciler.cli.connections:connections", "Delete a repository connection."),
    "explain": ("reconciler.cli.validate:explain", "Explain a field or a lint rule."),
    "schema": ("reconciler.cli.validate:schema", "Print a JSON Schema."),
    "completion": ("reconciler.cli.completion:completion", "Print the script that makes TAB complete."),
    "sandbox": ("reconciler.cli.sandbox:sandbox", "Run a stand-in of the API."),
}

EPILOG = f"""\b
The options above may stand behind a command as well.

\b
Environment:
  BUILDSCTL_API_TOKEN      the API token, else CLOUDFLARE_API_TOKEN;
                           never an argument
  CLOUDFLARE_ACCOUNT_ID    the account, as wrangler reads it
  CLOUDFLARE_API_BASE_URL  where the API is
  BUILDSCTL_FINGERPRINT_KEY
                           with it, secrets that changed are found
  BUILDSCTL_<OPTION>       any other option that does not weaken safety

\b
Exit codes, of several the first of 130, 6, 1, 5, 4, 3, 7, 2:
{"".join(f"  {code:<5}{text}{chr(10)}" for code, text in Exit.MEANINGS.items())}"""


class LazyGroup(click.Group):
    """Commands are imported when they are called: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)  # a group's would import every command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@version_option()
@group_options
@click.pass_context
def group(context: click.Context, /, settings: Globals) -> None:
    """Keep the configuration of Cloudflare Workers Builds in Git.

    YAML manifests say which repository connections, build tokens, triggers and environment variables
    there should be; `plan` compares them with the live API, `apply` carries the difference out.

    \b
    Examples:
      buildsctl validate
      buildsctl plan
      buildsctl apply
      buildsctl --sandbox plan examples/quickstart
    """
    context.meta[ARGUMENTS] = context.obj
    context.obj = settings


def main() -> None:
    """Parse, run, exit."""
    gc.set_threshold(500_000)  # what is read and decided stays until the end: looking for garbage finds none
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs behind it with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    code = run(sys.argv[1:])
    if code == Exit.INTERRUPTED:
        os._exit(code)  # an ordinary exit would wait for the requests under way
    gc.freeze()  # or the exit looks for garbage once more: 0.4 s after a plan of 500 Workers
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """One command line; its exit code. Usage errors are 1: 2 means that there are changes."""
    from reconciler.cli.output import data, lost, say
    from reconciler.render.problems import error_text, problems_text

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if COMPLETE in os.environ:
        from reconciler.cli.completion import offer

        return offer(group, os.environ[COMPLETE], arguments)
    try:
        result = group.main(arguments, prog_name="buildsctl", standalone_mode=False, obj=tuple(arguments))
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("\ninterrupted\n")
        return Exit.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message() + "\n")
        return Exit.ERROR
    except click.ClickException as error:
        context = _context(error, arguments)
        failure = _usage_error(error, context)
        _report(failure, context if hasattr(error, "command_name") else _named(arguments), arguments)
        say(error_text(failure))
        return failure.exit_code
    except BuildsctlError as error:
        problems = f"{problems_text(error.diagnostics)}\n" if isinstance(error, ManifestError) else ""
        say(problems + error_text(error))
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and not data(""):
            say(f"error: {(lost or ['nobody reads the output'])[0]}\n")
            return Exit.ERROR
        if os.environ.get("BUILDSCTL_DEBUG"):
            raise
        say(f"error: this is a bug in buildsctl {__version__}: {type(error).__name__}\n")
        say("hint: please report it with the command; BUILDSCTL_DEBUG=1 shows where it was\n")
        return Exit.ERROR
    code = result if isinstance(result, int) else Exit.OK
    if lost:
        say(f"error: {lost[0]}\n")
        lost.clear()
        return code if code in (Exit.INTERRUPTED, Exit.ACCESS, Exit.PARTIAL) else Exit.ERROR
    return code


def _context(error: click.ClickException, arguments: list[str]) -> click.Context:
    """That of the command, or of the group, which was called wrongly. Click does not always tell it."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    return context or _named(arguments)


def _named(arguments: list[str]) -> click.Context:
    """That of the command which the words name."""
    context = click.Context(group, info_name="buildsctl")
    for word in arguments:
        command = context.command.get_command(context, word) if isinstance(context.command, click.Group) else None
        context = click.Context(command, info_name=word, parent=context) if command else context
    return context


def _usage_error(error: click.ClickException, context: click.Context) -> UsageError:
    """With a guess at what is near, else where or what there is."""
    command, told = context.command, error.format_message()
    hint = f"`{context.command_path} --help` shows what there is"
    if isinstance(error, click.NoSuchOption):
        told, known = error.message, [name for one in command.get_params(context) for name in one.opts]
        guess = nearest(error.option_name.lstrip("-"), [name.lstrip("-") for name in known])
        hint = next((f"did you mean `{name}`?" for name in known if f"`{name.lstrip('-')}`" in guess), hint)
    elif isinstance(command, click.Group) and hasattr(error, "command_name"):
        told, known = error.message, command.list_commands(context)
        hint = nearest(error.command_name, known) or f"there are {', '.join(known)}"
    return UsageError(told.expandtabs(2), hint=hint)


def _report(failure: UsageError, context: click.Context, arguments: list[str]) -> None:
    """A report file is written on failure too: the options are read once more, past what is wrong, for --out alone."""
    past: dict[str, Any] = {"resilient_parsing": True, "ignore_unknown_options": True, "allow_extra_args": True}
    given = context.command.make_context(context.info_name, [*arguments], **past).params
    out = given.get("out")
    if out:
        from reconciler.cli import drift, plan
        from reconciler.manifest import files

        if files.is_manifest(out, given.get("paths") or (), given.get("param_file") or ()):
            return
        reporter = (drift if context.info_name == "drift" else plan).Reporter(format="text", out=out)
        with suppress(UsageError), plan.reporting(reporter.write):
            raise failure
