"""Fill the README's blocks between `<!-- generated: NAME -->` and `<!-- end -->` from the code: `make readme`."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click
import story
from command_line import commands

from reconciler import answers, cli, errors
from reconciler.errors import ApiError, BuildsctlError, Exit, Severity
from reconciler.manifest import lint
from reconciler.manifest.fields import FieldText
from reconciler.manifest.fields import fields as all_fields
from reconciler.manifest.lint.finding import rule_texts
from reconciler.model import Request
from reconciler.render.explain import flow
from reconciler.sandbox import Sandbox

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: )([^>]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
STATUSES = {
    **dict.fromkeys((12005, 12006, 9106, 9109), 401),
    10000: 403,
    **dict.fromkeys((12002, 12013, 12030), 400),
    12042: 409,
    **dict.fromkeys((12000, 12040, 8000008, 8000012, 7000, 7003), 404),
    **dict.fromkeys((429, 500), 0),
}
"""Codes of the API with the status that they come with; the last two are statuses without a code."""
TRIGGER_FIELD = ("`defaults`", "a profile", "a Worker", "a trigger")


def filled(text: str) -> str:
    """A README with every block as the code has it now."""
    return BLOCK.sub(lambda found: found[1] + found[2] + BLOCKS[found[1]](text), text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def screen(text: str) -> str:
    """The first manifest of the README: applied, edited by another hand, planned, and applied again."""
    manifest = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert manifest
    with tempfile.TemporaryDirectory() as folder, story.folder(Path(folder), {"buildsctl.yaml": manifest[1]}):
        sandbox = Sandbox("sandbox.db")
        sandbox.seed({"workers": [{"id": "web"}]})
        sandbox.close()
        environment = {"DEPLOY_TOKEN": "not-shown"}
        assert story.run(["apply", "--auto-approve"], environment).code == 0
        story.edit([["PATCH", "/builds/triggers/{web/production}", {"build_command": "make"}]])
        runs = {line: story.run(line.split(), environment).stdout for line in ("plan", "apply --auto-approve")}
    planned, applied = runs.values()
    runs["apply --auto-approve"] = applied.replace(planned.rstrip("\n"), "…")  # it begins with the plan
    shown = "".join(f"$ buildsctl {line}\n{text}" for line, text in runs.items())
    return f"```console\n{shown}```\n"


def command_table(_: str) -> str:
    rows = []
    for names, command in commands():
        if not isinstance(command, click.Group):
            context = click.Context(command, info_name=" ".join(("buildsctl", *names)))
            needed = [
                f"{one.opts[0]} {one.metavar}" for one in command.params if one.required and one.opts[0][0] == "-"
            ]
            usage = [*needed, *(one for one in command.collect_usage_pieces(context) if one != "[OPTIONS]")]
            short = cli.COMMANDS[names[0]][1] if len(names) == 1 else command.get_short_help_str(200)
            rows.append((f"`{' '.join(('buildsctl', *names, *usage))}`", short))
    return table(("command", "does"), rows)


def help_of(*names: str) -> str:
    out, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(out):
            assert cli.run([*names, "--help"]) == 0
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return f"```console\n$ buildsctl {' '.join(names)} --help\n{out.getvalue()}```\n"


def fields(_: str) -> str:
    rows = []
    for one in all_fields():
        places = "a trigger field" if one.places == TRIGGER_FIELD else ", ".join(one.places)
        default = "required" if one.required else "" if one.default is None else f"`{flow(one.default)}`"
        rows.append((f"`{one.name}`", places, default, _told(one)))
    return table(("field", "stands in", "default", "what it is"), rows)


def _told(one: FieldText) -> str:
    limits = [limit[0].upper() + limit[1:] for limit in one.limits if limit != "not empty"]
    text = " ".join((one.description.removesuffix(" Required."), *(f"{limit}." for limit in limits)))
    return re.sub(r"(\$\{\{.*?\}\}|--[a-z-]+|\b[A-Z]+_[A-Z_*]+)", r"`\1`", text)


def rules(severity: Severity, head: str) -> Callable[[str], str]:
    def block(_: str) -> str:
        told = [one for one in rule_texts(lint.RULES) if one.severity is severity]
        return table(("rule", head), ((f"`{one.name}`", f"{one.about} {one.why}") for one in told))

    return block


def exits(_: str) -> str:
    return table(("code", "means"), ((str(code), text) for code, text in Exit.MEANINGS.items()))


def families(_: str) -> str:
    """Each class of the tree by the first paragraph of its docstring: what is wrong, and what to do."""
    rows = []
    for one in tree(BuildsctlError):
        paragraph = (inspect.getdoc(one) or "").partition("\n\n")[0]
        what, _, do = " ".join(paragraph.split()).partition(". ")
        rows.append((what, str(one.exit_code), do))
    return table(("what is wrong", "exit", "what to do"), rows)


def tree(one: type[BuildsctlError]) -> Iterator[type[BuildsctlError]]:
    """The classes that are met."""
    if one not in (BuildsctlError, ApiError):
        yield one
    for child in one.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def codes(_: str) -> str:
    rows = []
    for code, status in STATUSES.items():
        content = b'{"success": false, "errors": [{"code": %d}]}' % (code if status else 0)
        try:
            answers.open_envelope(Request(method="GET", path=()), status or code, "", content, "")
        except ApiError as error:
            told = f"{status} / {code}" if status else "5xx" if code == 500 else str(code)
            rows.append((told, error.message, str(error.exit_code), error.hint))
    return table(("HTTP / code", "what is said", "exit", "hint"), rows)


BLOCKS: dict[str, Callable[[str], str]] = {
    "screen": screen,
    "commands": command_table,
    "plan --help": lambda _: help_of("plan"),
    "fields": fields,
    "lint errors": rules(Severity.ERROR, "the API takes"),
    "lint warnings": rules(Severity.WARNING, "finds"),
    "exit codes": exits,
    "errors": families,
    "API codes": codes,
}

if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
