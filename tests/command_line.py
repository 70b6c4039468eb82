"""Every command there is, and command lines as help pages and the README show them."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress

import click

from reconciler import cli

UUID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
ENDS = {"|", "||", "&&", ";", ")", "(", "<(", ">", ">>", "&"}


def commands(group: click.Group | None = None, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command by its name, groups too, the program itself first."""
    group = group or cli.group
    yield names, group
    for name in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), name)
        assert one is not None
        if isinstance(one, click.Group):
            yield from commands(one, *names, name)
        else:
            yield (*names, name), one


def calls(shell: str) -> list[list[str]]:
    """The arguments of every `buildsctl` that a line for a shell starts; `$uuid` and `UUID` are one."""
    lexer = shlex.shlex(shell.replace("\\\n", " ").replace("$(", "("), posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    found: list[list[str]] = []
    inside = False
    for word in lexer:
        if word == "buildsctl" or word.endswith("/buildsctl"):
            found.append([])
            inside = True
        elif word in ENDS:
            inside = False
        elif inside:
            found[-1].append(UUID if word in ("$uuid", "UUID") else word)
    return found


def parse(arguments: list[str]) -> None:
    """Raises `click.UsageError` where a command or an option is not there, or a value cannot be one."""
    with suppress(click.exceptions.Exit), redirect_stdout(io.StringIO()):  # --help and --version end here
        context = cli.group.make_context("buildsctl", list(arguments))
        while isinstance(context.command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, command, rest = context.command.resolve_command(context, rest)
            assert command is not None
            context = command.make_context(name, rest, parent=context)


def examples(page: str) -> list[str]:
    """What stands under `Examples:`, each as one line for a shell; what is indented deeper goes on with it."""
    block = re.search(r"^  Examples:\n((?:    .*\n)+)", page, re.MULTILINE)
    return re.findall(r"^    (\S.*\n(?:     .*\n)*)", block[1], re.MULTILINE) if block else []
