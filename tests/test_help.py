"""Help pages: 80 columns, examples that can be typed, the exit codes that there are, and nothing cut."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import click
import pytest
import story
from command_line import calls, commands, examples, parse

from reconciler import __version__, cli
from reconciler.errors import Exit

COMMANDS = [pytest.param(names, command, id=" ".join(names) or "buildsctl") for names, command in commands()]


def page(names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run([*names, "--help"]) == 0
    return capsys.readouterr().out


def codes(text: str) -> set[int]:
    """Those that a page tells of."""
    block = re.search(r"^  Exit codes[:,](.*?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return {int(code) for code in re.findall(r"(?:^|·)\s*(\d+) ", block[1], re.MULTILINE)} if block else set()


@pytest.mark.parametrize(("names", "command"), COMMANDS)
def test_what_every_command_takes_stands_on_either_side_of_each_name(
    names: tuple[str, ...], command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(len(names) + 1):
        assert cli.run([*names[:number], "--sandbox", *names[number:], "--version"]) == 0, command
        assert capsys.readouterr().out == f"buildsctl {__version__}\n"


@pytest.mark.parametrize(("names", "command"), COMMANDS)
@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_page(
    names: tuple[str, ...],
    command: click.Command,
    columns: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = page(names, capsys)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "..." not in re.sub(r"(\]|[A-Z])\.\.\.|\(env/\.\.\.\)", "", text), "something is cut"
    assert "<=" not in text
    shown = examples(text)
    assert shown
    for example in shown:
        assert calls(example), example
        for arguments in calls(example):
            parse(arguments)
    if not isinstance(command, click.Group):
        assert any(arguments[: len(names)] == list(names) for one in shown for arguments in calls(one))
        assert {Exit.OK, Exit.ERROR} <= codes(text)
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help
                assert option.metavar or not isinstance(option.type, click.Choice), "too wide for its column"


def test_what_a_wrong_example_would_be() -> None:
    for wrong in ("buildsctl plans", "buildsctl plan --targt x", "buildsctl drift --stale-days x", "buildsctl show"):
        with pytest.raises(click.UsageError):
            parse(*calls(wrong))
    assert calls("X=1 buildsctl a 'b c' | jq x && buildsctl d > e; source <(buildsctl f)") == [
        ["a", "b c"],
        ["d"],
        ["f"],
    ]


def test_the_program_tells_of_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(page((), capsys)) == set(Exit.ORDER) == set(Exit.MEANINGS)
    assert codes(page(("apply",), capsys)) == set(Exit.ORDER) - {Exit.CHANGES}


def test_each_code_that_a_case_ends_with_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = {names: codes(page(names, capsys)) for names, command in commands() if not isinstance(command, click.Group)}
    for path in story.paths():
        for run in story.load(path)["runs"]:
            names = next(names for names in told if run["args"][: len(names)] == list(names))
            assert run["exit"] in {*told[names], Exit.INTERRUPTED}, (path.name, run["args"])


def test_no_page_waits_for_what_only_a_run_needs() -> None:
    """A command's module is imported for its help and for TAB, too."""
    modules = sorted({where.partition(":")[0] for where, _ in cli.COMMANDS.values()})
    slow = {"httpx", "jinja2", "jsonschema", "yaml", "reconciler.api", "reconciler.plan", "reconciler.sandbox"}
    code = f"import sys, {', '.join(modules)}; print({slow} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_a_page_on_a_terminal_is_the_same() -> None:
    """A terminal of 80 columns, and one of 200."""
    plain = subprocess.run(
        [sys.executable, "-m", "reconciler", "plan", "--help"], capture_output=True, check=True, timeout=60
    ).stdout
    for columns in (80, 200):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        subprocess.run([sys.executable, "-m", "reconciler", "plan", "--help"], stdout=theirs, check=True, timeout=60)
        os.close(theirs)
        assert os.read(ours, 65_536).replace(b"\r\n", b"\n") == plain
        os.close(ours)


def test_each_command_that_reads_manifests_takes_the_same_options_about_them() -> None:
    for names, command in commands():
        found = {param.name for param in command.params}
        assert not found & {"paths", "manifests"} or found >= {"param", "param_file", "allow_commands", "no_secrets"}, (
            names
        )


def test_the_states_and_outcomes_of_builds_are_those_that_there_are() -> None:
    """Written out, so that `--help` need not import what knows them."""
    from reconciler.cli.builds import list_
    from reconciler.kinds.build import OUTCOMES, STATUSES

    told = {option.name: option.help for option in list_.params if isinstance(option, click.Option)}
    assert told["status"] == f"{', '.join(STATUSES)}."
    assert told["outcome"] == f"{', '.join(OUTCOMES)}."
