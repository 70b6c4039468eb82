"""The text of a manifest: scalars, places, limits, and what a careless or hostile author may write.

Also holds `told`, with which the other manifest tests read what is wrong: place, summary, hint.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler import cli, manifest
from reconciler.errors import ManifestError, UsageError
from reconciler.manifest import Resolver
from reconciler.manifest.nodes import Problems
from reconciler.manifest.parse import MAX_DEPTH, MAX_NODES, parse, plain
from reconciler.states import Desired

HEAD = """\
version: 1
owner: acme/builds
connections: {acme/site: {provider_account_id: "41", repo_id: "42"}}
tokens: {deploy: {build_token_name: Made elsewhere}}
"""
"""Four lines without which every set is wrong: what a case adds starts on line 5."""

WORKER = "workers: {web: {triggers: {production: {branch_includes: [main], deploy_command: d}}}}\n"

Files = str | bytes | Mapping[str, str | bytes]
Told = tuple[str, str, str]


def write(folder: Path, files: Files) -> list[str]:
    """The files, by their names in `folder`; one text is `m.yaml`. Their paths, in the order given."""
    given = {"m.yaml": files} if isinstance(files, str | bytes) else files
    for name, content in given.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(given)


def load(folder: Path, files: Files, environment: Mapping[str, str] | None = None, **options: Any) -> Desired:
    """What the files want, read as they are named inside `folder`."""
    names = write(folder, files)
    resolver = Resolver(
        environment or {}, allow_commands=options.pop("allow_commands", False), skip=options.pop("skip", "")
    )
    before = Path.cwd()
    os.chdir(folder)
    try:
        return manifest.load(options.pop("paths", names), resolver, **options)
    finally:
        os.chdir(before)


def told(folder: Path, files: Files, **options: Any) -> list[Told]:
    """Every problem as (`file:line:column`, summary, hint), in the order of their places; `m.yaml:` is
    left out. A set without errors has none."""
    try:
        found = load(folder, files, **options).diagnostics
    except ManifestError as error:
        found = error.diagnostics
        assert found
    return sorted((str(one.position or "-").removeprefix("m.yaml:"), one.summary, one.hint) for one in found)


def same(found: Sequence[Told], expected: Sequence[Told]) -> bool:
    """As many, at the same places, with the texts expected somewhere in theirs."""
    return len(found) == len(expected) and all(
        place == wanted and summary in one and hint in other
        for (place, one, other), (wanted, summary, hint) in zip(found, sorted(expected), strict=True)
    )


def check(folder: Path, files: Files, expected: Sequence[Told], **options: Any) -> None:
    found = told(folder, files, **options)
    assert same(found, expected), "\n".join(map(str, found))


# --- scalars


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("on", "off", "yes", "no", "y", "n", "On", "YES", "No", "tRUE", "nULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("+12", 12),
        ("-0", 0),
        ("1e3", 1000.0),
        ("1234e56", 1234e56),
        ("1e999", float("inf")),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", float("-inf")),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("190:20", "190:20"),
        ("2026-01-02", "2026-01-02"),
        ("0o8", "0o8"),
        ("0xg", "0xg"),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        (".", "."),
        ("-", "-"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_a_plain_scalar_follows_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_not_a_number_is_a_number() -> None:
    assert isinstance(plain(".nan"), float)


def test_strings_that_only_yaml_1_1_takes_for_something_else_pass_as_they_are(tmp_path: Path) -> None:
    values = ["on", "yes", "no", "off", "y", "1_000", "12:30:45", "2026-01-02", "0b1", "tRUE"]
    variables = ", ".join(f"V{number}: {value}" for number, value in enumerate(values))
    wanted = load(tmp_path, HEAD + WORKER + f"defaults: {{environment_variables: {{{variables}}}}}\n")
    (trigger,) = wanted.triggers
    assert [one.resource.value for one in trigger.variables.values()] == values


@pytest.mark.parametrize(
    "literal",
    [
        "0o17",
        "0x1F",
        "1e3",
        "1234e56",
        "1e999",
        "24",
        "1.10",
        "-1",
        "+1",
        ".5",
        ".inf",
        ".nan",
        "true",
        "True",
        "FALSE",
        "00012",
        "123456789012345678901234",
    ],
)
def test_a_number_or_a_boolean_as_a_value_says_quote_it_with_the_text_as_written(tmp_path: Path, literal: str) -> None:
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    NODE_VERSION: {literal}\n"
    check(tmp_path, text, [("8:19", "`NODE_VERSION` must be ", f'quote it: "{literal}"')])


def test_a_number_of_any_length_has_to_be_quoted(tmp_path: Path) -> None:
    number = "1" * 60
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    BUILD: {number}\n"
    check(tmp_path, text, [("8:12", "`BUILD` must be ", f'quote it: "{number}"')])


@pytest.mark.parametrize("literal", ["null", "~", "Null", ""])
def test_null_removes_a_variable(tmp_path: Path, literal: str) -> None:
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    A: {literal}\n    B: x\n"
    (trigger,) = load(tmp_path, text).triggers
    assert list(trigger.variables) == ["B"]


@pytest.mark.parametrize("value", ['"24"', "'24'", "!!str 24", "|-\n      24", ">-\n      24"])
def test_every_way_to_quote_a_number(tmp_path: Path, value: str) -> None:
    text = f"{HEAD}{WORKER}defaults:\n  environment_variables:\n    A: {value}\n"
    (trigger,) = load(tmp_path, text).triggers
    assert trigger.variables["A"].resource.value == "24"


# --- places

PLACES = {
    "after a block scalar": (
        "workers:\n  web:\n    build_command: |\n      npm ci\n      npm run build\n    triggr: 1\n",
        [("10:5", "unknown field `triggr`", "did you mean `triggers`?")],
    ),
    "a folded scalar with an indentation mark": (
        "workers:\n  web:\n    build_command: >2-\n        npm ci\n    triggr: 1\n",
        [("9:5", "unknown field `triggr`", "did you mean `triggers`?")],
    ),
    "inside a flow mapping over lines": (
        "workers: {\n  web: {\n    build_command: npm, triggr: 1}}\n",
        [("7:25", "unknown field `triggr`", "did you mean `triggers`?")],
    ),
    "columns count characters, not bytes": (
        "workers: {web: {build_command: 'ünïcödé 😀 日本', triggr: 1}}\n",
        [("5:48", "unknown field `triggr`", "did you mean `triggers`?")],
    ),
    "at the alias's own anchor": (
        "workers:\n  web: &web {build_command: 1}\n  other: *web\n",
        [("6:29", "`build_command` must be a string", 'quote it: "1"')],
    ),
    "a tab where indentation belongs": (
        "workers:\n\tweb: {}\n",
        [("6:1", "this is not YAML: found character that cannot start any token", "")],
    ),
    "a colon within a plain scalar": (
        "workers: {web: {triggers: {}}}\ndefaults:\n  build_command: echo a: b\n",
        [("7:24", "this is not YAML: mapping values are not allowed in this context", "holds `: `")],
    ),
    "an unclosed quote": (
        "workers:\n  web: {build_command: 'npm ci}\n",
        [("7:1", "this is not YAML: found unexpected end of stream", "")],
    ),
    "a key without its colon": (
        "workers: {}\ndefaults:\n  build_command: x\n  deploy_command npx\n",
        [("8:3", "this is not YAML: could not find expected ':'", "`key: value`")],
    ),
    "a star that is no alias": (
        "defaults: {branch_includes: [*]}\n",
        [("5:31", "this is not YAML: did not find expected alphabetic", 'begins with `*`: "*"')],
    ),
    "a sign that begins nothing": (
        "defaults:\n  build_command: @x\n",
        [("6:18", "this is not YAML: found character that cannot start any token", "begins with `@`")],
    ),
    "a backslash that is no escape": (
        'defaults: {build_command: "C:\\Users"}\n',
        [("5:32", "this is not YAML: did not find expected hexdecimal number", "use single quotes")],
    ),
    "an unclosed list": ("defaults: {branch_includes: [main\nworkers: {}\n", [("6:8", "this is not YAML", "")]),
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("name", PLACES)
def test_places_are_right_whatever_the_line_ending(tmp_path: Path, name: str, mark: str, ending: str) -> None:
    text, expected = PLACES[name]
    check(tmp_path, mark + (HEAD + text).replace("\n", ending), expected)


@pytest.mark.parametrize("break_", ["\x85", "\u2028", "\u2029"])
def test_the_source_line_shown_is_the_one_that_the_place_names(tmp_path: Path, break_: str) -> None:
    """Line breaks of YAML 1.1 in a quoted text: whoever counts them must also split by them."""
    text = f'{HEAD}defaults: {{build_command: "a{break_}b"}}\nworkers: {{web: {{triggr: 1}}}}\n'
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, text)
    (problem,) = caught.value.diagnostics
    assert "triggr" in problem.source_line


def test_the_address_stands_beside_the_place(tmp_path: Path) -> None:
    text = (
        'connections: {acme/x: {repo_id: 1, provider_account_id: "1"}}\ntokens: {t: {nme: x}}\n'
        "workers:\n  a: {triggers: {p: {environment_variables: {K: 1}}}}\n"
        "  b: {triggers: {p: {protect: 1}}}\n  c: {tag: 1}\nparams: {p: 1}\n"
    )
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, f"version: 1\nowner: a\n{text}")
    found = {one.address for one in caught.value.diagnostics}
    assert found == {"connection/acme/x", "token/t", "env/a/p/K", "trigger/b/p", "worker/c", "params.p"}


# --- what YAML allows and a manifest does not

REFUSED = {
    "a duplicate key": (
        "workers:\n  web: {}\n  api: {}\n  web: {}\n",
        [("8:3", "the key `web` is given twice, first at m.yaml:6:3", "keep one")],
    ),
    "a duplicate key, quoted differently": (
        "defaults:\n  build_command: a\n  'build_command': b\n  \"build\\x5fcommand\": c\n",
        [
            ("7:3", "the key `build_command` is given twice, first at m.yaml:6:3", "keep one"),
            ("8:3", "the key `build_command` is given twice, first at m.yaml:6:3", "keep one"),
        ],
    ),
    "a duplicate key at the top": (
        "owner: other\n",
        [("5:1", "the key `owner` is given twice, first at m.yaml:2:1", "keep one")],
    ),
    "a duplicate key by way of an alias": (
        "workers:\n  &w web: {}\n  *w : {}\n",
        [("6:3", "the key `web` is given twice, first at m.yaml:6:3", "keep one")],
    ),
    "a number for a key": ("workers:\n  8080: {}\n", [("6:3", "a key must be a string", 'quote it: "8080"')]),
    "a boolean for a key": ("workers: {true: {}}\n", [("5:11", "a key must be a string", 'quote it: "true"')]),
    "a number for a key, and what else is wrong": (
        "workers: {1: {trigers: {}}}\n",
        [
            ("5:11", "a key must be a string", 'quote it: "1"'),
            ("5:15", "unknown field `trigers`", "did you mean `triggers`?"),
        ],
    ),
    "null for a key": ("~: {}\n", [("5:1", "a key must be a string", 'quote it: "~"')]),
    "nothing for a key": (": {}\n", [("5:1", "", "")]),
    "a list for a key": ("? [a, b]\n: c\n", [("5:3", "a key must be a string", "")]),
    "a mapping for a key": ("{a: b}: c\n", [("5:1", "a key must be a string", "")]),
    "a tag of Python's": (
        "defaults: {build_command: !!python/object/apply:os.system [touch owned]}\n",
        [("5:27", "the tag `tag:yaml.org,2002:python/object/apply:os.system` is not supported", "take it out")],
    ),
    "a tag of one's own": (
        "defaults: {build_command: !secret x}\n",
        [("5:27", "the tag `!secret` is not supported", "take it out")],
    ),
    "a tag that would make a number": (
        'defaults: {build_command: !!int "5"}\n',
        [("5:27", "the tag `tag:yaml.org,2002:int` is not supported", "take it out")],
    ),
    "a binary tag": (
        "defaults: {build_command: !!binary aGk=}\n",
        [("5:27", "the tag `tag:yaml.org,2002:binary` is not supported", "take it out")],
    ),
    "a set": ("workers: !!set {web}\n", [("5:10", "the tag `tag:yaml.org,2002:set` is not supported", "take it out")]),
    "an undeclared tag handle": ("defaults: {build_command: !x!y z}\n", [("5:27", "this is not YAML", "")]),
    "an alias without an anchor": (
        "workers: *none\n",
        [("5:10", "the alias `*none` has no anchor", "an anchor (&name) comes before its alias")],
    ),
    "an alias inside its anchor": (
        "workers: &w {web: *w}\n",
        [("5:19", "the alias `*w` has no anchor", "never inside itself")],
    ),
    "a list that holds itself": (
        "defaults: {branch_includes: &l [main, *l]}\n",
        [("5:39", "the alias `*l` has no anchor", "never inside itself")],
    ),
    "a second document": (
        "---\nversion: 1\n",
        [("5:1", "a second document in one file", "put it into a file of its own")],
    ),
    "a document after an end": ("...\nversion: 1\n", [("6:1", "", "")]),
    "a control character": (
        "defaults: {build_command: 'a\x07b'}\n",
        [("5:29", "a character that YAML does not allow", "\\u…")],
    ),
    "a NUL": ("defaults: {build_command: a\0b}\n", [("5:28", "a character that YAML does not allow", "\\u…")]),
    "an escape character after two-byte text": (
        "defaults: {build_command: 'äöü\x1b[2J'}\n",
        [("5:31", "a character that YAML does not allow", "\\u…")],
    ),
    "half a surrogate pair": (
        'defaults: {build_command: "\\ud800"}\n',
        [("5:30", "this is not YAML: found invalid Unicode character escape code", "")],
    ),
    "beyond Unicode": (
        'defaults: {build_command: "\\U00110000"}\n',
        [("5:30", "this is not YAML: found invalid Unicode character escape code", "")],
    ),
    "not UTF-8": (
        b"# \xc3\xa4\ndefaults: {build_command: 'a\xffb'}\n",
        [("6:29", "the file is not UTF-8", "save it as UTF-8")],
    ),
    "UTF-8 of a surrogate": (
        b"defaults: {build_command: '\xed\xa0\x80'}\n",
        [("5:28", "the file is not UTF-8", "save it as UTF-8")],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    text, expected = REFUSED[name]
    check(tmp_path, HEAD.encode() + (text if isinstance(text, bytes) else text.encode()), expected)


def test_a_mark_at_the_start_moves_no_place(tmp_path: Path) -> None:
    check(tmp_path, b"\xef\xbb\xbf" + HEAD.encode() + b"# \xff", [("5:3", "the file is not UTF-8", "")])


def test_an_utf_16_file_is_not_utf_8(tmp_path: Path) -> None:
    check(tmp_path, (HEAD + WORKER).encode("utf-16"), [("1:1", "the file is not UTF-8", "save it as UTF-8")])


def test_a_merge_key_says_that_there_is_none(tmp_path: Path) -> None:
    """YAML 1.2 has no `<<`. Whoever comes from a tool that has it must learn what to do instead."""
    text = "defaults: &d {build_command: npm ci}\nworkers: {web: {<<: *d}}\n"
    ((place, summary, hint),) = told(tmp_path, HEAD + text)
    assert place == "6:17"
    assert "`<<`" in summary
    assert "profile" in hint
    assert "merge" in summary + hint


def test_a_merge_key_among_variables_is_refused(tmp_path: Path) -> None:
    text = "defaults: {environment_variables: &e {A: x}}\nworkers: {web: {environment_variables: {<<: *e}}}\n"
    found = told(tmp_path, HEAD + text)
    assert found
    assert all(place.startswith(("5:", "6:")) for place, _, _ in found)


# --- anchors


def test_anchors_and_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = """\
workers:
  web:
    triggers:
      production: &t {branch_includes: &main [&branch main], deploy_command: &d npx wrangler deploy}
  api: {triggers: {production: *t}}
  cron: {triggers: {production: {branch_includes: *main, deploy_command: *d, trigger_name: *branch}}}
"""
    wanted = load(tmp_path, HEAD + text)
    assert {one.resource.branch_includes for one in wanted.triggers} == {("main",)}
    assert {one.resource.deploy_command for one in wanted.triggers} == {"npx wrangler deploy"}
    assert wanted.triggers[2].resource.trigger_name == "main"


def test_an_anchor_may_be_given_anew(tmp_path: Path) -> None:
    text = "defaults: {build_command: &a x, root_directory: &a two, deploy_command: *a, branch_includes: [b]}\n"
    wanted = load(tmp_path, HEAD + text + "workers: {web: {triggers: {p: {}}}}\n")
    assert wanted.triggers[0].resource.deploy_command == "two"


def test_a_mapping_shared_by_alias_is_not_changed_by_merging_files(tmp_path: Path) -> None:
    trigger = "{branch_includes: [main], deploy_command: d}"
    files = {
        "a.yaml": f"{HEAD}workers:\n  web: &w {{triggers: {{production: {trigger}}}}}\n  api: *w\n",
        "b.yaml": "workers: {web: {build_command: only web}}\n",
    }
    wanted = load(tmp_path, files)
    assert {str(one.address): one.resource.build_command for one in wanted.triggers} == {
        "trigger/web/production": "only web",
        "trigger/api/production": "",
    }


# --- limits


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def test_a_bomb_of_aliases_is_refused_where_it_grows_too_large(tmp_path: Path) -> None:
    ((place, summary, hint),) = told(tmp_path, HEAD + bomb(30, 10))
    assert place.startswith("11:")
    assert f"more than {MAX_NODES:,} values, aliases expanded" in summary
    assert hint


def test_a_bomb_of_aliases_in_mappings_and_keys(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: y}"]
    lines += [f"a{n}: &a{n} {{k1: *a{n - 1}, k2: *a{n - 1}, k3: *a{n - 1}}}" for n in range(1, 40)]
    ((_, summary, _),) = told(tmp_path, HEAD + "\n".join(lines) + "\n")
    assert "aliases expanded" in summary


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ("{a: ", "}")])
def test_depth_is_limited(tmp_path: Path, opened: str, closed: str) -> None:
    def nested(depth: int) -> str:
        return f"x: {opened * depth}y{closed * depth}\n"

    problems = Problems()
    assert parse(nested(MAX_DEPTH - 1), "m.yaml", problems) is not None
    assert not problems.found
    assert parse(nested(MAX_DEPTH), "m.yaml", problems) is None
    (problem,) = problems.found
    assert problem.summary == f"nested more than {MAX_DEPTH} deep"
    assert problem.position is not None
    assert problem.position.column == 4 + (MAX_DEPTH - 1) * len(opened)


@pytest.mark.parametrize("opened", ["[", "{a: ", "- ", "? "])
def test_depth_beyond_every_stack_ends_in_a_problem(tmp_path: Path, opened: str) -> None:
    ((_, summary, _),) = told(tmp_path, opened * 100_000)
    assert "deep" in summary or "not YAML" in summary


def test_depth_is_limited_through_aliases_too(tmp_path: Path) -> None:
    """Each anchor is shallow and the whole is small, but the last alias is thousands of levels deep."""
    lines = [f"a0: &a0 {'[' * 30}x{']' * 30}"]
    lines += [f"a{n}: &a{n} {'[' * 30}*a{n - 1}{']' * 30}" for n in range(1, 100)]
    found = told(tmp_path, HEAD + "\n".join(lines) + "\n")
    assert any("deep" in summary for _, summary, _ in found)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    text = HEAD + WORKER + "#" * 5_000_000 + "\n"
    check(tmp_path, text, [("1:1", "the file has more than 5,000,000 bytes", "split it")])


def test_a_value_of_a_million_characters(tmp_path: Path) -> None:
    text = WORKER.replace("deploy_command: d", f"deploy_command: {'x' * 1_000_000}")
    ((place, summary, _),) = told(tmp_path, HEAD + text)
    assert place == "5:82"
    assert "1000000 characters" in summary


def in_a_process(folder: Path, text: str, *, seconds: int = 10) -> subprocess.CompletedProcess[str]:
    """`validate` with so much of the processor at most: what hangs is killed, however busy the machine."""
    write(folder, text)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    return subprocess.run(
        [sys.executable, "-m", "reconciler", "validate", "m.yaml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(manifest.__file__).parents[2])},
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )


def test_fifty_thousand_keys_with_a_mistake_in_each_come_to_an_end(tmp_path: Path) -> None:
    entries = "".join(f"  k{number}: 1\n" for number in range(50_000))
    ran = in_a_process(tmp_path, f"version: 1\nowner: a\nworkers:\n{entries}")
    assert ran.returncode == 1
    assert "m.yaml:4:7: error: `k0` must be " in ran.stdout


def test_a_hundred_thousand_duplicate_keys_come_to_an_end(tmp_path: Path) -> None:
    entries = "".join(f"  k{number}: {{}}\n" for number in range(100_000)) * 2
    ran = in_a_process(tmp_path, f"version: 1\nowner: a\nworkers:\n{entries}")
    assert ran.returncode == 1
    assert "m.yaml:100004:3: error: the key `k0` is given twice, first at m.yaml:4:3" in ran.stdout


# --- files


def test_an_empty_file_says_what_a_manifest_needs_and_which_file_it_is(tmp_path: Path) -> None:
    for text in ("", "\n\n", "# nothing\n", "---\n", "---\n...\n", "~\n"):
        found = told(tmp_path, text)
        assert [summary for _, summary, _ in found] == [
            "no manifest of the set says `owner`",
            "no manifest of the set says `version`",
        ], text
        assert all(place == "1:1" and hint for place, _, hint in found), (text, found)


@pytest.mark.parametrize("text", ["hello\n", "- version: 1\n", "12\n", '""\n', "true\n", "[]\n"])
def test_a_manifest_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    found = told(tmp_path, {"a.yaml": HEAD + WORKER, "m.yaml": text})
    assert same(found, [("1:1", "a manifest is a mapping", "version: 1")]), found


def test_files_without_a_word_are_no_obstacle(tmp_path: Path) -> None:
    files = {"a.yaml": HEAD, "b.yaml": "", "c.yaml": "# nothing\n", "d.yaml": "---\n", "e.yaml": WORKER}
    assert len(load(tmp_path, files).triggers) == 1


def test_an_empty_file_beside_a_mistake_hides_nothing(tmp_path: Path) -> None:
    """A duplicate key in one file and an empty one after it: the other problems are told all the same."""
    files = {
        "a.yaml": HEAD + "defaults:\n  build_command: a\n  build_command: b\n",
        "b.yaml": "",
        "c.yaml": "workers: {web: {triggers: {p: {branch_includes: [main], deploy_command: ''}}}}\n",
    }
    found = told(tmp_path, files)
    assert [place for place, _, _ in found] == ["a.yaml:7:3", "c.yaml:1:73"]


def test_folders_are_searched_for_manifests_and_sorted(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "builds/b/deep/er/x.yml": "owner: a\n",
            "builds/a.yaml": "version: 1\n",
            "builds/z.yaml/inner.yaml": "workers: {web: {}}\n",
            "builds/.hidden.yaml": "not: a manifest\n",
            "builds/.git/x.yaml": "not: a manifest\n",
            "builds/b/.cache/x.yaml": "not: a manifest\n",
            "builds/readme.md": "not: a manifest\n",
            "builds/x.yaml.bak": "not: a manifest\n",
            "builds/seed.json": "{}",
        },
    )
    wanted = load(tmp_path, {}, paths=["builds"])
    assert (wanted.owner, list(wanted.workers)) == ("a", ["web"])


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"builds/m.yaml": HEAD + WORKER})
    paths = ["builds", "builds/m.yaml", "./builds//m.yaml", "builds/../builds/"]
    assert len(load(tmp_path, {}, paths=paths).triggers) == 1


def test_problems_are_told_in_the_order_of_the_files(tmp_path: Path) -> None:
    write(tmp_path, {"b/2.yaml": "x: 1\n", "b/1.yaml": "y: 1\n", "b/a/3.yaml": "z: 1\n", "0.yaml": HEAD})
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, {}, paths=["0.yaml", "b"])
    places = [str(one.position) for one in caught.value.diagnostics]
    assert places == ["b/1.yaml:1:1", "b/2.yaml:1:1", "b/a/3.yaml:1:1"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "there is no manifest here: neither `buildsctl.yaml` nor a folder `builds`"),
        (["nowhere"], "there is no `nowhere`"),
        (["empty"], "the folder `empty` holds no manifest"),
        (["hidden"], "the folder `hidden` holds no manifest"),
        (["good.yaml", "empty"], "the folder `empty` holds no manifest"),
        (["loop.yaml"], "there is no `loop.yaml`"),
        (["dangling.yaml"], "there is no `dangling.yaml`"),
        ([""], "there is no ``"),
        (["a\0b"], "there is no `a\0b`"),
        (["x" * 5000], "there is no `xxx"),
    ],
)
def test_a_path_without_manifests(tmp_path: Path, paths: list[str], message: str) -> None:
    write(tmp_path, {"hidden/.x.yaml": HEAD, "hidden/.d/x.yaml": HEAD, "good.yaml": HEAD, "empty/x.txt": ""})
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "dangling.yaml").symlink_to("gone.yaml")
    with pytest.raises(UsageError) as caught:
        load(tmp_path, {}, paths=paths)
    assert message in caught.value.message
    assert caught.value.hint


def test_without_a_path_the_file_comes_before_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"builds/x.yaml": HEAD.replace("acme/builds", "folder")})
    assert load(tmp_path, {}, paths=[]).owner == "folder"
    write(tmp_path, {"buildsctl.yaml": HEAD.replace("acme/builds", "file")})
    assert load(tmp_path, {}, paths=[]).owner == "file"


def test_what_is_no_regular_file_is_named_and_does_not_hold_the_run_up(tmp_path: Path) -> None:
    write(tmp_path, {"b/m.yaml": HEAD + WORKER})
    os.mkfifo(tmp_path / "b/fifo.yaml")
    (tmp_path / "b/loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "b/dangling.yaml").symlink_to("gone.yaml")
    (tmp_path / "b/null.yaml").symlink_to("/dev/null")
    hint = "name files that can be read; of a folder every `*.yaml` and `*.yml` is read"
    assert told(tmp_path, {}, paths=["b"]) == [
        ("b/dangling.yaml:1:1", "the file cannot be read: No such file or directory", hint),
        ("b/fifo.yaml:1:1", "this is not a regular file", hint),
        ("b/loop.yaml:1:1", "the file cannot be read: Too many levels of symbolic links", hint),
        ("b/null.yaml:1:1", "this is not a regular file", hint),
    ]


def test_a_loop_of_folders_has_an_end(tmp_path: Path) -> None:
    write(tmp_path, {"b/m.yaml": HEAD + WORKER})
    (tmp_path / "b/again").symlink_to(".")
    (tmp_path / "b/up.yaml").symlink_to("../b")
    assert len(load(tmp_path, {}, paths=["b"]).triggers) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"b/m.yaml": HEAD, "b/n.yaml": WORKER})
    (tmp_path / "b/n.yaml").chmod(0)
    found = told(tmp_path, {}, paths=["b"])
    assert found == [("b/n.yaml:1:1", "the file cannot be read: Permission denied", "")]


def test_a_folder_that_cannot_be_searched_is_not_an_empty_one(tmp_path: Path) -> None:
    """A failed read is never absence: what is not seen here would be deleted from the account.

    A path too long for the system stands for every reason, since root may read all others.
    """
    write(tmp_path, {"b/m.yaml": HEAD})
    before = Path.cwd()
    try:
        os.chdir(tmp_path / "b")
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        Path("workers.yaml").write_text(WORKER, encoding="utf-8")
    finally:
        os.chdir(before)
    with pytest.raises((UsageError, ManifestError)) as caught:
        load(tmp_path, {}, paths=["b"])
    told_ = [one.summary for one in getattr(caught.value, "diagnostics", ())] or [caught.value.message]
    assert any("cannot be" in one for one in told_)


def test_a_name_with_control_characters_is_just_a_name(tmp_path: Path) -> None:
    ((place, _, _),) = told(tmp_path, {"a\x1b[2J\n.yaml": HEAD + "x: 1\n"})
    assert place == "a\x1b[2J\n.yaml:5:1"


@pytest.mark.parametrize(
    ("text", "told", "count"),
    [
        ("version: 1\nworkers:\n\tweb: 1\n", "hint: YAML is indented with spaces, not with tabs", "1 error"),
        ("- a\n- b\n", "a manifest is a mapping", "1 error"),
        ("version: 1\nowner: a\nworkers:\n  web: {tag: 'x\n  api: {}\n", "hint: look from line 4 on", "1 error"),
        (
            "version: 1\nowner: a\nworkers: {web: {triggers: {p: {branch_includes: main, deploy_command: d}}}}\n",
            "hint: a list stands in brackets: `[main]`",
            "1 error",
        ),
        (
            """
version: 1
owner: a
repo_connection: {}
defaults: {repo_connection_uuid: c-1, build_token_uuid: t-1}
workers: {web: {triggers: {p: {branch_includes: [main], deploy_command: d}}}}
""",
            "error: unknown field `repo_connection`",
            "1 error",
        ),
    ],
)
def test_a_slip_is_told_once_with_the_way_out(
    text: str, told: str, count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "buildsctl.yaml"
    path.write_text(text, encoding="utf-8")
    assert cli.run(["validate", str(path)]) == 1
    out = capsys.readouterr().out
    assert told in out
    assert out.endswith(f"\n\n{count}\n")
