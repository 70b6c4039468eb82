"""`completion`: the script for a shell, and what TAB offers: commands, options, names of the manifests, offline."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, ShellComplete

from reconciler.cli.options import Globals, argument, global_options
from reconciler.cli.output import data
from reconciler.errors import Exit

if TYPE_CHECKING:
    from reconciler.manifest import ManifestSet

NAMES = ("GLOB", "K=V", "OWNER", "OWNER/REPO", "VARIABLE", "WORKER", "WORKER/TRIGGER")
"""Metavars of what the manifests name."""
PLACES = {"FILE": "file", "PATH": "file", "DIR": "dir"}
CHOICES = {
    "STATUS": ("queued", "initializing", "running", "stopped"),
    "OUTCOME": ("success", "fail", "skipped", "cancelled", "terminated"),
    "KINDS": ("live", "health", "pending", "unmanaged", "none"),
}
KINDS = {
    "target": ("trigger", "worker", "token", "connection", "env"),
    "delete_unmanaged": ("trigger", "worker", "env"),
    "take_over": ("trigger", "worker"),
    "accept_secret_loss": ("trigger", "worker", "env"),
    "rewrite_secrets": ("trigger", "worker", "env", "token"),
    "globs": ("trigger", "worker", "env"),
}
"""What a GLOB can be about, by the option's name."""


@click.command()
@argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@global_options
def completion(settings: Globals, *, shell: str) -> int:  # noqa: ARG001 - taken so that they may stand here
    """Print the script that makes TAB complete commands, options, files and names.

    Workers, triggers, addresses, params and repositories come from the manifests: those that stand on the
    line, else those here. No secret's source is asked, and nothing goes over the network. Put one of these
    lines into the file of your shell; bash has to be 4.4 or later.

    \b
    Examples:
      source <(buildsctl completion bash)    # ~/.bashrc
      source <(buildsctl completion zsh)     # ~/.zshrc, behind compinit
      buildsctl completion fish | source     # ~/.config/fish/config.fish

    \b
    Exit codes: 0 printed · 1 error
    """
    data(resources.files("reconciler.cli").joinpath(f"completion.{shell}").read_text(encoding="utf-8"))
    return Exit.OK


def offer(group: click.Group, shell: str, given: Sequence[str]) -> int:
    """Answer the script of a shell: `file` or `dir` where those are wanted, else `words` and a line for each.

    `given` is the line as far as the cursor and what bash takes for its last word; of the other shells the words
    behind the program's name, the last one unfinished. Whatever goes wrong offers nothing: nobody asked to hear
    of it while typing.
    """
    with contextlib.suppress(Exception):
        data("\n".join(_answer(group, shell, given)) + "\n")
    return Exit.OK


def _answer(group: click.Group, shell: str, given: Sequence[str]) -> list[str]:
    quote = ""
    if shell == "bash":
        (_, *words), quote = split(given[0])
    elif shell == "fish":
        words = [*given[:-1], split(given[-1])[0][-1]]
    else:
        words = list(given)
    *before, word = words
    found = ShellComplete(group, {}, "buildsctl", "").get_completions(before, word)
    places = [one.type for one in found if one.type != "plain"]
    if places:
        return places[:1]
    found = [one for one in found if one.value.isprintable()]
    option = word[: word.index("=") + 1] if word.startswith("-") and "=" in word else ""
    match shell:
        case "bash":  # replaces what stands behind the last `=`, `:` or opening quote
            kept = len(word) - len(split(quote + given[1])[0][-1])
            shown = [_quoted(f"{option}{one.value}"[kept:], quote) for one in found]
        case "fish":
            shown = [f"{option}{one.value}\t{one.help or ''}" for one in found]
        case _:
            named = ((re.sub(r"[\\:]", r"\\\g<0>", one.value), one.help) for one in found)
            shown = [f"{value}:{text}" if text else value for value, text in named]
    return ["words", *shown]


def split(line: str) -> tuple[list[str], str]:
    """The words of a line as a shell reads them, the last one unfinished, and the quote that it stands in."""
    for quote in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            *words, last = shlex.split(f"{line}x{quote}")  # the x keeps a space, or a backslash, from ending it
            return [*words, last[:-1]], quote
    raise ValueError("no shell reads this line")


def _quoted(text: str, quote: str) -> str:
    """As bash has to read it behind an opening `quote`, or behind none."""
    match quote:
        case "'":
            return text.replace("'", "'\\''")
        case '"':
            return re.sub(r'[\\$`"]', r"\\\g<0>", text).replace("!", "\"'!'\"")
        case _:
            return re.sub(r"[^\w@%+:,./=-]", r"\\\g<0>", text)


def what(param: click.Parameter) -> str:
    """What a parameter is, as the help page calls it."""
    return (param.metavar or str(param.name).upper()).strip("[].")


def values(param: click.Parameter, context: click.Context, word: str) -> list[CompletionItem]:
    """What may stand for a parameter."""
    kind = what(param)
    if kind in PLACES:
        return [CompletionItem(word, type=PLACES[kind])]
    if kind == "FIELD|RULE":
        from reconciler.manifest import lint
        from reconciler.manifest.fields import fields

        return _fitting((*(one.name for one in fields()), *lint.NAMES), word)
    if kind in CHOICES:
        return _fitting(CHOICES[kind], word)
    if kind not in NAMES:
        return []
    from reconciler import manifest

    given = context.params
    # Click leaves paths in `args` where an option's value is still to come.
    paths = (given["paths"] or context.args) if "paths" in given else (given.get("manifests") or ())
    return _fitting(_named(kind, str(param.name), manifest.named(paths)), word)


def _named(kind: str, param: str, known: ManifestSet) -> Iterable[str]:
    from reconciler.manifest.desired import env_sources
    from reconciler.manifest.merge import layers

    connections, owners = known.root.get("connections").mapping, known.root.get("take_over_from").items
    plain: dict[str, Iterable[str]] = {
        "WORKER": known.workers,
        "WORKER/TRIGGER": (f"{one.worker}/{one.key}" for one in known.triggers),
        "OWNER/REPO": connections,
        "OWNER": (one.value for one in (known.root.get("owner"), *owners) if isinstance(one.value, str)),
        "VARIABLE": env_sources(known.root),
        "K=V": (f"{name}=" for layer in layers(known.root) for name in layer.get("params").mapping),
    }
    if kind in plain:
        return plain[kind]
    addresses = (
        *(one.address for one in known.triggers),
        *(f"env/{one.worker}/{one.key}/{name}" for one in known.triggers for name in one.variables),
        *(f"worker/{name}" for name in known.workers),
        *(f"token/{name}" for name in known.root.get("tokens").mapping),
        *(f"connection/{name}" for name in connections),
    )
    return (one for one in addresses if one.partition("/")[0] in KINDS[param])


def _fitting(names: Iterable[str], word: str) -> list[CompletionItem]:
    """Those that begin with `word`, as far as their next slash: an estate is walked like folders."""
    ends = ((one, one.find("/", len(word)) + 1) for one in names if one.startswith(word))
    return [CompletionItem(one) for one in sorted({one[:end] if end else one for one, end in ends})]
