"""Secrets: where they come from, what is refused, and that no value is ever shown."""

from __future__ import annotations

import dataclasses
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from test_manifest_text import HEAD, WORKER, load, told, write

from reconciler import cli
from reconciler.errors import ManifestError
from reconciler.manifest import Resolver
from reconciler.manifest.sources import MAX_LENGTH
from reconciler.manifest.sources.command import MAX_BYTES as MAX_PRINTED
from reconciler.manifest.sources.file import MAX_BYTES as MAX_FILE
from reconciler.model import Secret

CANARY = "canary-7b1f0c9d-do-not-show"


def secret(
    folder: Path, source: str, environment: Mapping[str, str] | None = None, *, more: str = "", **options: Any
) -> Secret:
    """What one `value_from` gives, as the variable `S` of `web/production`."""
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    S: {{value_from: {source}{more}}}\n"
    wanted = load(folder, {"m.yaml": text}, environment, **options)
    found = wanted.triggers[0].variables["S"].resource
    assert found.is_secret
    assert isinstance(found.value, Secret)
    return found.value


def python(code: str) -> str:
    """A command that runs `code`."""
    return "{command: [" + f"{sys.executable}, -c, '{code}'" + "]}"


# --- env


def test_env(tmp_path: Path) -> None:
    found = secret(tmp_path, "{env: TOKEN}", {"TOKEN": CANARY})
    assert found == Secret(CANARY, "env TOKEN", "")


@pytest.mark.parametrize(
    ("environment", "more", "value", "missing"),
    [
        ({}, "", None, "is not set"),
        ({"TOKEN": ""}, "", None, "is empty (say `allow_empty: true` if that is meant)"),
        ({"TOKEN": ""}, ", allow_empty: true", "", ""),
        ({"TOKEN": ""}, ", allow_empty: false", None, "is empty"),
        ({}, ", allow_empty: true", None, "is not set"),
        ({"TOKEN": "x\n"}, "", "x\n", ""),
        ({"TOKEN": " "}, "", " ", ""),
        ({"token": "x"}, "", None, "is not set"),
        ({"TOKEN": "x" * MAX_LENGTH}, "", "x" * MAX_LENGTH, ""),
        ({"TOKEN": "x" * (MAX_LENGTH + 1)}, "", None, "gives more than 5,000 characters"),
        ({"TOKEN": "ä" * MAX_LENGTH}, "", "ä" * MAX_LENGTH, ""),
    ],
)
def test_env_values(tmp_path: Path, environment: dict[str, str], more: str, value: str | None, missing: str) -> None:
    found = secret(tmp_path, "{env: TOKEN}", environment, more=more)
    assert found.value == value
    assert missing in found.missing
    assert bool(found.missing) == (value is None)


def test_env_bytes_that_are_no_text_are_missing_not_a_crash_later(tmp_path: Path) -> None:
    """Python carries such bytes as half characters, which no JSON body can hold."""
    found = secret(tmp_path, "{env: TOKEN}", {"TOKEN": b"abc\xff".decode("utf-8", "surrogateescape")})
    assert found.value is None
    assert "UTF-8" in found.missing


RESERVED = ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_", "BUILDSCTL_API_TOKEN", "BUILDSCTL_FINGERPRINT_KEY"]


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("skip", ["", "is not asked offline"])
def test_reserved_names_are_refused(tmp_path: Path, name: str, skip: str) -> None:
    text = f"{HEAD}{WORKER}defaults: {{environment_variables: {{S: {{value_from: {{env: {name}}}}}}}}}\n"
    found = told(tmp_path, text, environment={name: CANARY}, skip=skip)
    assert found == [
        (
            "6:58",
            f"`{name}` is buildsctl's own: a manifest must not be able to send it anywhere",
            "give the secret a variable of its own",
        )
    ]


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_refused_after_interpolation_and_in_tokens(tmp_path: Path, name: str) -> None:
    text = f"""\
version: 1
owner: a
params: {{n: {name}}}
tokens: {{t: {{cloudflare_token_id: x, build_token_secret: {{value_from: {{env: "${{{{ params.n }}}}"}}}}}}}}
"""
    ((place, summary, _),) = told(tmp_path, text, environment={name: CANARY})
    assert place == "4:77"
    assert f"`{name}` is buildsctl's own" in summary


def test_names_near_the_reserved_ones_are_free(tmp_path: Path) -> None:
    for name in ("MY_CLOUDFLARE_API_TOKEN", "CLOUDFLARE", "BUILDSCTL"):
        assert secret(tmp_path, f"{{env: {name}}}", {name: "x"}).value == "x"


# --- file


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" secret \n", " secret "),
        (b"a\nb\n", "a\nb"),
        ("sécrét\n".encode(), "sécrét"),
        (b"\xef\xbb\xbfx", "\ufeffx"),
        (b"x" * MAX_LENGTH + b"\n", "x" * MAX_LENGTH),
    ],
)
def test_file(tmp_path: Path, content: bytes, value: str) -> None:
    write(tmp_path, {"s.txt": content})
    assert secret(tmp_path, "{file: s.txt}") == Secret(value, "file s.txt", "")


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\r\n", "is empty"),
        (b"\xff\xfe", "does not give UTF-8"),
        (b"a\0b", "gives a NUL character"),
        (b"x" * (MAX_LENGTH + 1), "gives more than 5,000 characters"),
        (b"x" * MAX_FILE, "gives more than 5,000 characters"),
        (b"x" * (MAX_FILE + 1), "has more than 64,000 bytes"),
    ],
)
def test_file_that_gives_nothing(tmp_path: Path, content: bytes, missing: str) -> None:
    write(tmp_path, {"s.txt": content})
    found = secret(tmp_path, "{file: s.txt}")
    assert found.value is None
    assert missing in found.missing


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_may_be_meant(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, {"s.txt": content})
    assert secret(tmp_path, "{file: s.txt}", more=", allow_empty: true").value == ""


VARIABLE = "{environment_variables: {%s: {value_from: {file: %s}}}}"


def test_file_is_relative_to_the_manifest_that_says_so(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "builds/a/one.yaml": f"{HEAD}{WORKER}defaults: {VARIABLE % ('A', 's')}",
            "builds/b/two.yaml": f"profiles: {{p: {VARIABLE % ('B', '../s')}}}",
            "builds/c.yaml": f"defaults: {{profile: p}}\nworkers: {{web: {VARIABLE % ('C', 's')}}}",
            "builds/a/s": "in a",
            "builds/s": "in builds",
            "s": "in the working folder",
        },
    )
    (one,) = load(tmp_path, {}, paths=["builds"]).triggers
    values = {key: variable.resource.value.value for key, variable in one.variables.items()}
    assert values == {"A": "in a", "B": "in builds", "C": "in builds"}
    assert secret(tmp_path, f"{{file: {tmp_path / 'builds/a/s'}}}").value == "in a"


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    expected = {
        "gone": "cannot be read: No such file or directory",
        "fifo": "is not a regular file",
        "folder": "is not a regular file",
        "loop": "cannot be read: Too many levels of symbolic links",
        "/dev/zero": "is not a regular file",
        '"a\\0b"': "cannot be read: not a path",
        "x" * 300: "cannot be read: File name too long",
        ".": "is not a regular file",
    }
    for name, missing in expected.items():
        assert secret(tmp_path, f"{{file: {name}}}").missing == missing


def test_the_process_itself_is_no_source(tmp_path: Path) -> None:
    """Whose environment holds the API token."""
    assert secret(tmp_path, "{file: /proc/self/environ}").value is None


# --- command


def test_a_command_needs_to_be_allowed(tmp_path: Path) -> None:
    found = secret(tmp_path, f"{{command: [touch, {tmp_path / 'ran'}]}}")
    assert (found.value, found.missing) == (None, "needs --allow-commands")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ('print("secret")', "secret"),
        ('print("a"); print("b")', "a\nb"),
        ('print("x", end="")', "x"),
        ('print("x\\n")', "x\n"),
        (f'print("x" * {MAX_LENGTH})', "x" * MAX_LENGTH),
    ],
)
def test_command(tmp_path: Path, code: str, value: str) -> None:
    found = secret(tmp_path, python(code), dict(os.environ), allow_commands=True)
    assert (found.value, found.missing) == (value, "")


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        (python("pass"), "is empty"),
        (python('print("")'), "is empty"),
        (python('print("x"); raise SystemExit(3)'), "ends with exit code 3; run it by hand to see why"),
        (python("import os; os.kill(os.getpid(), 9)"), "ends with exit code -9"),
        (python('print("x" * 6000)'), "gives more than 5,000 characters"),
        (python(f'print("x" * {MAX_PRINTED + 1})'), "prints more than 64,000 bytes"),
        (python('import sys; print("x" * 100000000); sys.exit(1)'), "prints more than 64,000 bytes"),
        (python('import sys; sys.stdout.buffer.write(b"\\xff")'), "does not give UTF-8"),
        (python('import sys; sys.stdout.buffer.write(b"a\\0b")'), "gives a NUL character"),
        ("{command: [no-such-command-anywhere]}", "cannot be started: No such file or directory"),
        ("{command: ['']}", "cannot be started: "),
        ("{command: [/]}", "cannot be started: Permission denied"),
        ('{command: ["a\\0b"]}', "cannot be started: not a command"),
        ('{command: [echo, "a\\0b"]}', "cannot be started: not a command"),
    ],
)
def test_command_that_gives_nothing(tmp_path: Path, source: str, missing: str) -> None:
    found = secret(tmp_path, source, dict(os.environ), allow_commands=True)
    assert found.value is None
    assert missing in found.missing


def test_no_shell(tmp_path: Path) -> None:
    source = "{command: [echo, '$HOME; touch x', '*', '$(id)', '| cat', '`id`']}"
    found = secret(tmp_path, source, dict(os.environ), allow_commands=True)
    assert found.value == "$HOME; touch x * $(id) | cat `id`"
    assert not (tmp_path / "x").exists()


def test_a_command_inherits_nothing_of_ours_and_no_input(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CLOUDFLARE_API_TOKEN": CANARY,
        "CLOUDFLARE_ACCOUNT_ID": CANARY,
        "BUILDSCTL_API_TOKEN": CANARY,
        "OTHER": "seen",
    }
    code = 'import os, sys; ours = ("CLOUDFLARE_", "BUILDSCTL_", "OTHER"); '
    code += "print(sorted(k for k in os.environ if k.startswith(ours))); "
    code += 'print(repr(sys.stdin.read()), os.environ["OTHER"])'
    found = secret(tmp_path, python(code), environment, allow_commands=True)
    assert found.value == "['OTHER']\n'' seen"


def test_a_command_inherits_no_other_secret_of_the_set(tmp_path: Path) -> None:
    code = "import os; print(sorted(n for n in os.environ if n.startswith(chr(77))))"
    text = f"""{HEAD}{WORKER}defaults:
  environment_variables:
    S: {{value_from: {python(code)}}}
    T: {{value_from: {{env: MINE_T}}}}
  build_token: deploy
"""
    token = "tokens: {mine: {cloudflare_token_id: x, build_token_secret: {value_from: {env: MINE_D}}}}"
    environment = {"MINE_T": CANARY, "MINE_D": CANARY, "MINE_LOGIN": "needed", "PATH": os.environ["PATH"]}
    wanted = load(tmp_path, {"m.yaml": text, "n.yaml": token}, environment, allow_commands=True)
    found = wanted.triggers[0].variables["S"].resource.value
    assert isinstance(found, Secret)
    assert found.value == "['MINE_LOGIN']"


def test_what_a_command_leaves_behind_does_not_hold_the_run_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.manifest.sources.command.MAX_SECONDS", 0.5)
    source = '{command: [sh, -c, "echo x; setsid sleep 20 &"]}'
    found = secret(tmp_path, source, {"PATH": os.environ["PATH"]}, allow_commands=True)
    assert (found.value, "did not end" in found.missing) == (None, True)


def test_a_command_runs_in_the_folder_of_its_manifest(tmp_path: Path) -> None:
    text = f"{HEAD}{WORKER}defaults: {{environment_variables: {{S: {{value_from: {{command: [./run]}}}}}}}}\n"
    write(tmp_path, {"b/m.yaml": text, "b/run": "#!/bin/sh\npwd\n"})
    (tmp_path / "b/run").chmod(0o755)
    (one,) = load(tmp_path, {}, dict(os.environ), paths=["b"], allow_commands=True).triggers
    value = one.variables["S"].resource.value
    assert isinstance(value, Secret)
    assert value.value is not None
    assert Path(value.value).samefile(tmp_path / "b")


def test_what_a_command_says_on_stderr_is_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = f'import sys; print("{CANARY}", file=sys.stderr); sys.exit(1)'
    secret(tmp_path, python(code), dict(os.environ), allow_commands=True)
    assert capfd.readouterr() == ("", "")


def test_each_source_is_asked_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f'open("{log}", "a").write("x"); print("v")'
    text = f"""\
{HEAD}
defaults: {{environment_variables: {{A: {{value_from: &s {python(code)}}}, B: {{value_from: *s}}}}}}
workers:
  a: {{triggers: {{p: &t {{branch_includes: [main], deploy_command: d}}}}}}
  b: {{triggers: {{p: *t}}}}
"""
    wanted = load(tmp_path, text, dict(os.environ), allow_commands=True)
    values = [variable.resource.value for one in wanted.triggers for variable in one.variables.values()]
    assert values == [Secret("v", f"command {sys.executable}")] * 4
    assert log.read_text() == "x"


@pytest.mark.parametrize("source", ["{env: TOKEN}", "{file: fifo}", "{command: [touch, ran]}"])
def test_skip_asks_no_source(tmp_path: Path, source: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    found = secret(tmp_path, source, {"TOKEN": CANARY}, skip="is not asked", allow_commands=True)
    assert (found.value, found.missing) == (None, "is not asked")
    assert not (tmp_path / "ran").exists()


# --- what stands beside a value

BESIDE = [
    ("{value: hunter2, is_secret: true}", "a secret's value would stand in the manifest", "value_from: {env: NAME}"),
    ("{value: '', is_secret: true}", "a secret's value would stand in the manifest", "value_from"),
    ("{value: hunter2, value_from: {env: A}}", "`value` and `value_from` exclude each other", "keep one"),
    ("{value_from: {env: A}, is_secret: false}", "`value_from` makes a secret", "take `is_secret: false` out"),
    ("{value: x, value_version: '2'}", "`value_version` and `allow_empty` belong beside `value_from`", "take"),
    ("{value: x, allow_empty: true}", "`value_version` and `allow_empty` belong beside `value_from`", "take"),
    ("{is_secret: true, value_version: '2'}", "belong beside `value_from`", "take them out"),
    ("{allow_empty: true}", "belong beside `value_from`", "take them out"),
]


@pytest.mark.parametrize(("variable", "summary", "hint"), BESIDE, ids=[one[0] for one in BESIDE])
def test_contradictions(tmp_path: Path, variable: str, summary: str, hint: str) -> None:
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    S: {variable}\n"
    ((place, one, other),) = told(tmp_path, text)
    assert place == "8:8"
    assert summary in one
    assert hint in other


@pytest.mark.parametrize(
    ("variable", "is_secret", "value"),
    [
        ("x", False, "x"),
        ("''", False, ""),
        ("{value: x}", False, "x"),
        ("{value: x, is_secret: false}", False, "x"),
        ("{is_secret: true}", True, None),
        ("{is_secret: false}", False, None),
        ("{value_from: {env: A}}", True, Secret("a", "env A")),
        ("{value_from: {env: A}, is_secret: true}", True, Secret("a", "env A")),
    ],
)
def test_variables(tmp_path: Path, variable: str, *, is_secret: bool, value: object) -> None:
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    S: {variable}\n"
    found = load(tmp_path, text, {"A": "a"}).triggers[0].variables["S"].resource
    assert (found.is_secret, found.value) == (is_secret, value)


def test_our_own_variable_is_ours(tmp_path: Path) -> None:
    text = f"{HEAD}{WORKER}defaults: {{environment_variables: {{BUILDSCTL: x}}}}\n"
    ((place, summary, hint),) = told(tmp_path, text)
    assert (place, summary, hint) == ("6:47", "`BUILDSCTL` is buildsctl's own variable", "choose another name")


def test_without_an_owner_no_token_is_managed(tmp_path: Path) -> None:
    managed = "{cloudflare_token_id: a, build_token_secret: {value_from: {env: A}}}"
    text = f"version: 1\nowner: null\ntokens:\n  t: {managed}\n"
    ((place, summary, hint),) = told(tmp_path, text)
    assert (place, summary) == ("4:3", "with `owner: null` no token can be managed")
    assert "build_token_name" in hint


# --- no value is ever shown


def test_a_secret_has_no_other_face(tmp_path: Path) -> None:
    write(tmp_path, {"s.txt": CANARY})
    found = secret(tmp_path, "{file: s.txt}")
    assert found.value == CANARY
    shown = [repr(found), str(found), f"{found}", f"{found!r:>40}", repr({"a": (found,)})]
    shown += [repr(Secret(CANARY)), str(Secret(CANARY)), repr(dataclasses.replace(found))]
    assert not any(CANARY in one for one in shown)


def test_what_the_manifests_want_does_not_show_its_secrets(tmp_path: Path) -> None:
    text = f"""\
version: 1
owner: a
connections: {{a/b: {{provider_account_id: "1", repo_id: "2"}}}}
tokens: {{deploy: {{cloudflare_token_id: x, build_token_secret: {{value_from: {{env: T}}}}}}}}
defaults: {{environment_variables: {{S: {{value_from: {{env: T}}}}}}}}
{WORKER}"""
    wanted = load(tmp_path, text, {"T": CANARY})
    assert CANARY not in repr(wanted)


def test_the_resolver_does_not_show_what_it_holds() -> None:
    """It holds the environment and every answer; a traceback with local values would print it."""
    resolver = Resolver({"T": CANARY, "CLOUDFLARE_API_TOKEN": CANARY})
    resolver.resolve({"env": "T"}, "", allow_empty=False)
    assert CANARY not in repr(resolver)


def test_no_error_shows_a_secret(tmp_path: Path) -> None:
    """A set that is wrong after its sources were asked."""
    text = "defaults: {environment_variables: {A: {value_from: {env: T}}, B: {value: x, is_secret: true}}}\n"
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, HEAD + WORKER + text, {"T": CANARY})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.diagnostics)
    assert CANARY not in shown


@pytest.mark.parametrize(
    "line",
    [
        "defaults: {environment_variables: {A: {is_secret: true, value: %s}}}",
        "defaults:\n  environment_variables:\n    A:\n      value: %s\n      is_secret: true",
        "tokens: {t: {cloudflare_token_id: a, build_token_secret: %s}}",
        "tokens: {t: {cloudflare_token_id: a, build_token_secret: {value: %s}}}",
        "tokens: {t: {cloudflare_token_id: a, build_token_secret: %s, build_token_nam: x}}",
        "defaults: {environment_variables: {A: {value_from: %s}}}",
        "defaults: {environment_variables: {A: {value: %s, value_from: {env: A}}}}",
        "defaults: {environment_variables: {A: {is_secret: true, valeu: %s}}}",
    ],
)
def test_a_secret_written_into_the_manifest_is_not_repeated_in_the_log(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error that says so must not carry it on into a pipeline's log."""
    head = "version: 1\nowner: a\n" if line.startswith("tokens") else HEAD + WORKER
    write(tmp_path, f"{head}{line % CANARY}\n")
    monkeypatch.chdir(tmp_path)
    for arguments in (["validate", "m.yaml"], ["validate", "--format", "json", "m.yaml"], ["render", "m.yaml"]):
        assert cli.run(arguments) == 1
        shown = capsys.readouterr()
        assert CANARY not in shown.out + shown.err, arguments
