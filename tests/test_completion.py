"""TAB: what it offers, what it never does, and that real shells take it, names with odd characters included."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from command_line import commands

from reconciler import cli
from reconciler.cli import completion
from reconciler.cli.options import Argument, Setting

ROOT = Path(__file__).parents[1]
ODD = """deploy $(touch owned) it's "quoted" `touch owned` ! * ; é"""
MANIFEST = f"""
version: 1
owner: acme/x
take_over_from: [acme/old]
params: {{branch: main}}
connections: {{acme/site: {{provider_account_id: "1", repo_id: "2"}}}}
tokens:
  deploy: {{cloudflare_token_id: x, build_token_secret: {{value_from: {{env: DEPLOY_TOKEN}}}}}}
profiles:
  node:
    params: {{dir: x}}
    triggers: {{production: {{branch_includes: ["${{{{ params.branch }}}}"], deploy_command: x}}}}
workers:
  shop: {{profile: node}}
  web:
    profile: node
    environment_variables:
      KEY: {{value_from: {{command: [touch, ran]}}}}
    triggers:
      "{ODD.replace('"', chr(92) + '"')}": {{branch_includes: ["*"], deploy_command: x}}
"""


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with manifests, in which the shells run; `buildsctl` stands on their PATH."""
    folder = tmp_path / "estate"
    (folder / "builds").mkdir(parents=True)
    (folder / "builds" / "all.yaml").write_text(MANIFEST)
    program = tmp_path / "bin" / "buildsctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reconciler "$@"\n')
    program.chmod(0o755)
    for name, value in {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(folder)
    return folder


def offered(capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """What the script of zsh is told for a line of plain words."""
    os.environ["_BUILDSCTL_COMPLETE"] = "zsh"
    try:
        assert cli.run(line.split(" ")[1:]) == 0
    finally:
        del os.environ["_BUILDSCTL_COMPLETE"]
    ran = capsys.readouterr()
    assert ran.err == ""
    return [one.partition(":")[0] for one in ran.out.splitlines()]  # behind it stands what a command does


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("buildsctl rel", ["release"]),
        ("buildsctl --sandbox pl", ["plan"]),
        ("buildsctl tokens ", ["id", "list", "prune"]),
        ("buildsctl builds l", ["latest", "list", "logs"]),
        ("buildsctl plan --delete-u", ["--delete-unmanaged"]),
        ("buildsctl plan --sandbox-", ["--sandbox-file"]),
        ("buildsctl plan --format ", ["text", "json", "markdown", "html"]),
        ("buildsctl plan --format=j", ["json"]),
        ("buildsctl schema ", ["manifest", "plan", "api"]),
        ("buildsctl builds list web --outcome f", ["fail"]),
        ("buildsctl render --worker ", ["shop", "web"]),
        ("buildsctl export --worker s", ["shop"]),
        ("buildsctl builds list w", ["web"]),
        ("buildsctl builds latest web s", ["shop"]),
        ("buildsctl builds run web/p", ["web/production"]),
        ("buildsctl cache purge shop/production web/p", ["web/production"]),
        ("buildsctl plan --target ", ["connection/", "env/", "token/", "trigger/", "worker/"]),
        ("buildsctl plan --target t", ["token/", "trigger/"]),
        ("buildsctl plan --target connection/", ["connection/acme/"]),
        ("buildsctl plan --target connection/acme/", ["connection/acme/site"]),
        ("buildsctl apply --take-over trigger/", ["trigger/shop/", "trigger/web/"]),
        ("buildsctl apply --take-over ", ["trigger/", "worker/"]),
        ("buildsctl apply --delete-unmanaged trigger/shop/", ["trigger/shop/production"]),
        ("buildsctl apply --accept-secret-loss env/web/production/", ["env/web/production/KEY"]),
        ("buildsctl apply --rewrite-secrets tok", ["token/"]),
        ("buildsctl release env/web/pro", ["env/web/production/"]),
        ("buildsctl release --owner acme/", ["acme/old", "acme/x"]),
        ("buildsctl tokens id --env ", ["DEPLOY_TOKEN"]),
        ("buildsctl connections delete acme/", ["acme/site"]),
        ("buildsctl affected --repo a", ["acme/"]),
        ("buildsctl plan --param ", ["branch=", "dir="]),
        ("buildsctl explain preview-", ["preview-deploys"]),
        ("buildsctl explain branch_", ["branch_excludes", "branch_includes"]),
        ("buildsctl completion ", ["bash", "zsh", "fish"]),
        ("buildsctl builds get ", []),
        ("buildsctl builds run --branch ", []),
        ("buildsctl nothing --at", []),
    ],
)
def test_what_is_offered(line: str, found: list[str], estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, line) == ["words", *found]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("buildsctl plan ", "file"),
        ("buildsctl show pl", "file"),
        ("buildsctl plan --param-file ", "file"),
        ("buildsctl plan --out=", "file"),
        ("buildsctl builds run web/production --manifests ", "file"),
        ("buildsctl sandbox seed ", "file"),
        ("buildsctl export -o ", "dir"),
    ],
)
def test_where_files_are_wanted(line: str, kind: str, estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, line) == [kind]


def test_manifests_on_the_line_count(estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = MANIFEST.replace("shop", "other")
    Path("elsewhere").mkdir()
    Path("elsewhere/all.yaml").write_text(other)
    assert offered(capsys, "buildsctl render elsewhere --worker ") == ["words", "other", "web"]
    assert offered(capsys, "buildsctl render --worker x elsewhere --worker o") == ["words", "other"]
    assert offered(capsys, "buildsctl builds list --manifests elsewhere o") == ["words", "other"]


@pytest.mark.parametrize("text", [None, "", "workers: [", "workers: {web: {}, web: {}}", "- 7", "workers: {web: 7}"])
def test_broken_manifests_complete_nothing(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("buildsctl.yaml").write_text(text)
    for line in ("buildsctl builds run web", "buildsctl plan --target trigger/", "buildsctl plan --param "):
        assert offered(capsys, line) in ([], ["words"])


def test_what_a_terminal_must_not_see_is_not_offered(estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = '"web\\e[2J": {}\n  "wo\\nrm": {}\n  "w\\u202Eeb": {}\n  wide: {}'
    Path("builds/all.yaml").write_text(f"workers:\n  {keys}\n")
    assert offered(capsys, "buildsctl render --worker w") == ["words", "wide"]


def test_no_source_is_asked_and_no_network(estate: Path) -> None:
    """In a process of its own: what was imported is what could have been done."""
    found = _modules("buildsctl apply --rewrite-secrets env/web/production/", "KEY")
    assert not Path("ran").exists()
    assert found & {"reconciler.api", "reconciler.sandbox", "httpx"} == set()


def test_the_names_of_commands_import_none(estate: Path) -> None:
    found = _modules("buildsctl pl", "plan")
    rooms = {name.removeprefix("reconciler.cli.") for name in found if name.startswith("reconciler.cli.")}
    assert rooms == {"options", "output", "completion"}
    assert not found & {"yaml", "reconciler.manifest"}


def _modules(line: str, expected: str) -> set[str]:
    """What answering a line imports."""
    code = (
        "import sys; from reconciler.cli import run; run(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr, flush=True)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, line, line.rpartition(" ")[2]],
        env={**os.environ, "_BUILDSCTL_COMPLETE": "bash"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert expected in ran.stdout
    return set(ran.stderr.split())


NOTHING = {"BRANCH", "ID", "N", "NAME", "PORT", "REV", "SECONDS", "SHA", "SPEC", "TIME", "URL", "UUID"}
"""What only Git, the API or the user knows."""


def test_each_parameter_says_what_it_is() -> None:
    known = {*completion.PLACES, *completion.CHOICES, *completion.NAMES, "FIELD|RULE", *NOTHING}
    for names, command in commands():
        for param in command.params:
            if isinstance(param, click.Option) and (param.is_flag or param.name == "version"):
                continue
            assert isinstance(param, Setting | Argument), (names, param)
            if not isinstance(param.type, click.Choice):
                assert completion.what(param) in known, (names, param)
            if completion.what(param) == "GLOB":
                assert param.name in completion.KINDS


def test_the_choices_are_those_that_there_are() -> None:
    from reconciler.cli.drift import KINDS
    from reconciler.kinds.build import FAILED, SUCCESS

    assert set(completion.CHOICES["KINDS"]) == {*KINDS, "none"}
    assert {SUCCESS, *FAILED} & set(completion.CHOICES["OUTCOME"])
    told = import_module("reconciler.cli.builds").builds.commands["list"].params
    for name in ("STATUS", "OUTCOME"):
        (option,) = (one for one in told if one.metavar == name)
        assert option.help == f"{', '.join(completion.CHOICES[name])}."


# Real shells. A key prints the line as it stands, between brackets that no line here holds.
SETUPS = {
    "bash": """
PS1=
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
bind -x '"\\C-o": printf "[[[%s]]]" "$READLINE_LINE"'
source <(buildsctl completion bash)
""",
    "zsh": """
PS1= RPS1=
unsetopt prompt_sp zle_bracketed_paste beep
bindkey -e
show() { print -rn -- "[[[$BUFFER]]]" }
zle -N show
bindkey '^O' show
autoload -Uz compinit && compinit -D -u
source <(buildsctl completion zsh)
""",
}
LAST = """last() { printf '[[[%s]]]' "${@: -1}"; }\necho READY$((1+1))\n"""
FLAGS = {"bash": ("--norc", "--noprofile", "-i"), "zsh": ("-f", "-i")}


class Typing:
    """A shell on a terminal, somebody at its keys."""

    def __init__(self, shell: str) -> None:
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [shell, *FLAGS[shell]],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb", "COLUMNS": "300"},
        )
        os.close(theirs)
        self._press(f"{SETUPS[shell]}{LAST}", "READY2")

    def tab(self, line: str) -> str:
        """The line once TAB was pressed behind it."""
        return self._press(f"\x15{line}\t\x0f", r"\[\[\[(.*?)\]\]\]")

    def argument(self, line: str) -> str:
        """The last argument of the line once TAB was pressed behind it, and Enter."""
        return self._press(f"\x15{line}\t\x01last \n", r"\[\[\[(.*?)\]\]\]")

    def _press(self, keys: str, answer: str) -> str:
        os.write(self.terminal, keys.encode())
        seen, end = b"", time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.1)[0]:
                seen += os.read(self.terminal, 65_536)
                found = re.search(answer, seen.decode(errors="replace"), re.DOTALL)
                if found:
                    return found[found.re.groups]
        raise AssertionError(f"the shell never said {answer}: {seen!r}")

    def close(self) -> None:
        os.close(self.terminal)
        self.process.wait(60)


@pytest.fixture(params=SETUPS)
def typing(request: pytest.FixtureRequest, estate: Path) -> Iterator[Typing]:
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param} here")
    shell = Typing(request.param)
    yield shell
    shell.close()


def test_a_shell_completes(typing: Typing) -> None:
    for line, completed in {
        "buildsctl rel": "buildsctl release ",
        "X=1 buildsctl --sandbox plan --no-s": "X=1 buildsctl --sandbox plan --no-secrets ",
        "true && buildsctl render --worker w": "true && buildsctl render --worker web ",
        "buildsctl plan --format=j": "buildsctl plan --format=json ",
        "buildsctl plan --target tr": "buildsctl plan --target trigger/",
        "buildsctl plan --target=trigger/s": "buildsctl plan --target=trigger/shop/",
        "buildsctl plan --target trigger/shop/": "buildsctl plan --target trigger/shop/production ",
        "buildsctl plan --param br": "buildsctl plan --param branch=",
        "buildsctl plan bui": "buildsctl plan builds/",
        "buildsctl plan builds/": "buildsctl plan builds/all.yaml ",
        "buildsctl plan --out=builds/a": "buildsctl plan --out=builds/all.yaml ",
        "buildsctl builds get ": "buildsctl builds get ",
        "buildsctl builds get bui": "buildsctl builds get bui",
    }.items():
        assert typing.tab(line) == completed


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_odd_names_are_quoted_as_the_line_is(typing: Typing, quote: str) -> None:
    assert typing.argument(f"buildsctl builds run {quote}web/d") == f"web/{ODD}"
    assert typing.argument(f"buildsctl render --worker={quote}s") == "--worker=shop"
    assert not Path("owned").exists()


@pytest.mark.parametrize("typing", ["bash"], indirect=True)
def test_bash_closes_a_quote_and_opens_it_again(typing: Typing) -> None:
    """It closes what stands behind `'trigger/`, which has to be walked on from."""
    assert typing.tab("buildsctl plan --target 'tr") == "buildsctl plan --target 'trigger/'"
    assert typing.argument("buildsctl plan --target 'trigger/shop/'") == "trigger/shop/production"


def fish(line: str) -> list[str]:
    """What fish would insert for a line."""
    if not shutil.which("fish"):
        pytest.skip("there is no fish here")
    code = 'buildsctl completion fish | source; complete -C --escape -- "$argv[1]"'
    command = ["fish", "--no-config", "-c", code, line]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_fish_completes(estate: Path) -> None:
    assert fish("buildsctl rel") == ["release\tGive up ownership, change nothing else."]
    assert fish("buildsctl plan --format=j") == ["--format=json"]
    assert fish("buildsctl plan --target trigger/") == ["trigger/shop/", "trigger/web/"]
    assert fish("buildsctl plan --target 'trigger/shop/p") == ["'trigger/shop/production'"]
    assert fish("buildsctl plan bui") == ["builds/"]
    assert fish("buildsctl plan --out=builds/a") == ["--out=builds/all.yaml"]
    assert fish("buildsctl builds get ") == []


def test_fish_quotes_odd_names(estate: Path) -> None:
    (found,) = fish("buildsctl builds run web/d")
    command = ["fish", "--no-config", "-c", f"printf '%s' {found}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == f"web/{ODD}"
    assert not Path("owned").exists()


def test_a_name_is_quoted_for_bash_wherever_its_line_stands(estate: Path) -> None:
    assert completion.split('a "b c') == (["a", "b c"], '"')
    assert completion.split("a 'b") == (["a", "b"], "'")
    assert completion.split("a b\\ ") == (["a", "b "], "")
    assert completion.split("a b ") == (["a", "b", ""], "")
    assert completion.split("a b\\") == (["a", "b"], "")
    assert completion.split("") == ([""], "")


def test_zsh_takes_the_script_as_a_file_of_its_own(estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not shutil.which("zsh"):
        pytest.skip("there is no zsh here")
    assert cli.run(["completion", "zsh"]) == 0
    Path("_buildsctl").write_text(capsys.readouterr().out)
    code = "fpath=($PWD $fpath); autoload -Uz compinit && compinit -D -u; print -r -- $_comps[buildsctl]"
    ran = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "_buildsctl\n"
