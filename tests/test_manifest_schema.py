"""The shape of a manifest: fields, types, names, and that no shape whatever ends in a traceback."""

from __future__ import annotations

import copy
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_manifest_text import HEAD, WORKER, check, load, told

from reconciler.errors import ManifestError
from reconciler.manifest.schema import manifest_schema

ROOT = Path(__file__).parents[1]

TRIGGER = "{branch_includes: [main], deploy_command: d}"

# --- unknown fields and the nearest known one

UNKNOWN = {
    "ignore_changes": ("defaults: {ignore_changes: [build_command]}\n", "5:12", "did you mean `ignore`?"),
    "prevent_destroy": (
        "workers: {web: {triggers: {p: {prevent_destroy: true}}}}\n",
        "5:32",
        "did you mean `protect`?",
    ),
    "prevent_destroy on a Worker": ("workers: {web: {prevent_destroy: true}}\n", "5:17", "did you mean `protect`?"),
    "branch_include": ("defaults: {branch_include: [main]}\n", "5:12", "did you mean `branch_includes`?"),
    "enviroment_variables": (
        "profiles: {p: {enviroment_variables: {}}}\n",
        "5:16",
        "did you mean `environment_variables`?",
    ),
    "trigers": ("workers: {web: {trigers: {}}}\n", "5:17", "did you mean `triggers`?"),
    "a field of the API that is no field of a manifest": (
        "workers: {web: {triggers: {p: {external_script_id: x}}}}\n",
        "5:32",
        "known here: ",
    ),
    "at the top": ("worker: {}\n", "5:1", "did you mean `workers`?"),
    "nothing near": ("zzz: {}\n", "5:1", "known here: account_id, connections, defaults"),
    "value_form": (
        "defaults: {environment_variables: {A: {value_form: {env: A}}}}\n",
        "5:40",
        "did you mean `value_from`?",
    ),
    "a source": ("defaults: {environment_variables: {A: {value_from: {envv: A}}}}\n", "5:53", "did you mean `env`?"),
    "profile in a profile": ("profiles: {a: {}, b: {profile: a}}\n", "5:23", "they do not nest"),
    "params in defaults": ("defaults: {params: {a: b}}\n", "5:12", "known here: "),
    "triggers in defaults": (f"defaults: {{triggers: {{p: {TRIGGER}}}}}\n", "5:12", ""),
    "a tag in a profile": (f"profiles: {{a: {{tag: {'0' * 32}}}}}\n", "5:16", ""),
    "a tag on a trigger": (f"workers: {{w: {{triggers: {{p: {{tag: {'0' * 32}}}}}}}}}\n", "5:30", ""),
    "lint.alow": ("lint: {alow: []}\n", "5:8", "did you mean `allow`?"),
    "a field of a connection": (
        "connections: {a/b: {provider_account_id: '1', repo_id: '2', reponame: x}}\n",
        "1:61",
        "did you mean `repo_name`?",
    ),
    "control and bidi characters": ('"\\e[2J\\u202e": {}\n', "5:1", "known here: "),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_field_is_named_with_the_nearest_known_one(tmp_path: Path, name: str) -> None:
    text, place, hint = UNKNOWN[name]
    head = "version: 1\nowner: a\n" if place.startswith("1:") else HEAD
    place = place.replace("1:", "3:") if place.startswith("1:") else place
    check(tmp_path, head + text, [(place, "unknown field `", hint)])


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    files = {
        "a.yaml": "version: 2\nowner: 5\nx: 1\n",
        "b.yaml": "connections: {a/b: {repo_id: 7}}\n",
        "c/d.yaml": "workers:\n  web:\n    triggers: {p: {build_caching_enabled: 'y', branch_includes: x}}\n",
    }
    check(
        tmp_path,
        files,
        [
            ("a.yaml:1:10", "`version` must be `1`", ""),
            ("a.yaml:2:8", "`owner` must be a string", 'quote it: "5"'),
            ("a.yaml:3:1", "unknown field `x`", ""),
            ("b.yaml:1:15", "`a/b` needs `provider_account_id`", ""),
            ("b.yaml:1:30", "`repo_id` must be a string", 'quote it: "7"'),
            ("c/d.yaml:3:43", "`build_caching_enabled` must be true or false", ""),
            ("c/d.yaml:3:65", "`branch_includes` must be a list", ""),
        ],
    )


WEB = f"workers: {{web: {{triggers: {{p: {TRIGGER}}}}}}}\n"
HIDDEN = {
    "beside defaults that are wrong": (
        "defaults: {build_comand: x}\nparams: {a: b}\nlint: {allow: [x]}\nworkers: {web: {triggers: {p: {}}}}\n",
        [
            ("5:12", "unknown field `build_comand`", ""),
            ("6:10", "the param `a` is never used", ""),
            ("7:16", "there is no lint rule `x`", ""),
        ],
    ),
    "beside lint that is wrong": (
        "lint: {alow: []}\nworkers: {web: {triggers: {p: {lint: {allow: [x]}}}}}\n",
        [("5:8", "unknown field `alow`", ""), ("6:47", "there is no lint rule `x`", "")],
    ),
    "beside a param that is wrong": (
        "params: {a: 1, b c: d, e: f}\ndefaults: {build_token: '${{ params.a }}', ignore: [x]}\n" + WEB,
        [
            ("5:13", "`a` must be a string", 'quote it: "1"'),
            ("5:16", "`b c` cannot be a key of `params`", "1 to 64 letters"),
            ("5:24", "the param `e` is never used", ""),
            ("6:53", "`x` cannot be ignored", ""),
        ],
    ),
    "a Worker's own, and not what it lacks because of them": (
        (
            "workers: {web: {triggers: {p: {branch_includes: [a, b], zzz: d, environment_variables: {9A: x, B: 5}, "
            "root_directory: 5}, q: {branch_includes: ['*'], branch_exclude: [a], deploy_command: ''}}}}\n"
        ),
        [
            ("5:119", "`root_directory` must be a string", 'quote it: "5"'),
            ("5:151", "unknown field `branch_exclude`", "did you mean `branch_excludes`?"),
            ("5:49", "the API refuses these `branch_includes` (400 / 12002)", "name one branch"),
            ("5:57", "unknown field `zzz`", "known here"),
            ("5:89", "`9A` is not a name that the API takes (400 / 12002)", "use letters"),
            ("5:99", "`B` must be a string", 'quote it: "5"'),
        ],
    ),
    "what counts, and no expression that may refer to what is broken": (
        (
            "workers: {web: {ignore_changes: [x], root_directory: '${{ params.no }}', triggers: {p: "
            "{branch_includes: [a], deploy_command: d}}, environment_variables: {"
            + ", ".join(f"V{number}: x" for number in range(70))
            + "}}}\n"
        ),
        [
            ("5:17", "unknown field `ignore_changes`", "did you mean `ignore`?"),
            ("5:85", "70 variables, 63 are free for a manifest (400 / 12002)", ""),
        ],
    ),
    "no kind that a misspelt field would have made another": (
        (
            "defaults: {branch_includes: [main], deploy_command: d}\n"
            "workers: {web: {triggers: {p: {}, q: {branch_include: ['*'], branch_excludes: [main]}}}}\n"
        ),
        [("6:39", "unknown field `branch_include`", "did you mean `branch_includes`?")],
    ),
    "nothing that broken defaults may allow": (
        f"defaults: {{lint: {{allow: [watch-path, 5]}}, path_includes: [a/**]}}\n{WEB}",
        [("5:39", "`allow[1]` must be a string", 'quote it: "5"')],
    ),
    "a variable that is called lint silences nothing": (
        f"workers: {{web: {{environment_variables: {{lint: 5, 9A: x}}, triggers: {{p: {TRIGGER}}}}}}}\n",
        [
            ("5:47", "`lint` must be a string", 'quote it: "5"'),
            ("5:50", "`9A` is not a name that the API takes (400 / 12002)", "use letters"),
        ],
    ),
    "nothing that a lower layer says in place of what is broken": (
        (
            "profiles: {n: {triggers: {p: {branch_includes: ['*'], branch_excludes: [a], deploy_command: d}}}}\n"
            "workers: {web: {profile: n, triggers: {p: {branch_includes: a, branch_excludes: []}}}}\n"
        ),
        [("6:61", "`branch_includes` must be a list", "")],
    ),
    "nothing that a list of rules may allow": (
        (
            "defaults: {environment_variables: {A: {value_from: {env: A}}}}\n"
            "workers: {web: {lint: {allow: secret-on-preview}, "
            "triggers: {p: {branch_includes: ['*'], branch_excludes: [a], deploy_command: d}}}}\n"
        ),
        [("6:31", "`allow` must be a list", "")],
    ),
    "no profile that is there, and broken": (
        "profiles: {n: [3]}\nworkers: {web: {profile: n}, api: {profile: n}}\n",
        [("5:15", "`n` must be a mapping", "")],
    ),
    "no param that a broken profile hides": (
        (
            "profiles: {n: {params: {a: x}}, m: {build_command: 3}}\n"
            "workers: {web: {profile: [n, m], root_directory: '${{ params.a }}'}}\n"
        ),
        [("5:52", "`build_command` must be a string", "")],
    ),
    "a profile's, in the Workers that use it": (
        (
            "profiles: {n: {foo: x, environment_variables: {9A: x}}}\n"
            "workers: {web: {profile: n, triggers: {p: {branch_includes: [a, b]}}}}\n"
        ),
        [
            ("5:16", "unknown field `foo`", "known here"),
            ("5:48", "`9A` is not a name that the API takes (400 / 12002)", "use letters"),
            ("6:61", "the API refuses these `branch_includes` (400 / 12002)", "name one branch"),
        ],
    ),
    "an expression that nobody knows, where a name belongs": (
        "defaults: {build_token: '${{ params.a }}', ignore: ['${{ params.b }}']}\n" + WEB,
        [("5:25", "`${{ params.a }}` is not known", ""), ("5:53", "`${{ params.b }}` is not known", "")],
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_mistake_hides_no_other_and_is_told_once(tmp_path: Path, name: str) -> None:
    text, expected = HIDDEN[name]
    check(tmp_path, HEAD + text, expected)


# --- what every set needs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner: a\nworkers: {}\n", [("1:1", "no manifest of the set says `version`", "version: 1")]),
        ("version: 1\nworkers: {}\n", [("1:1", "no manifest of the set says `owner`", "owner: null")]),
        ("version: null\nowner: a\n", [("1:10", "`version` must be `1`", "")]),
        ("version: '1'\nowner: a\n", [("1:10", "`version` must be `1`", "")]),
        ("version: true\nowner: a\n", [("1:10", "`version` must be `1`", "")]),
        ("version: 2\nowner: a\n", [("1:10", "`version` must be `1`", "")]),
        ("version: [1]\nowner: a\n", [("1:10", "`version` must be `1`", "")]),
    ],
)
def test_version_and_owner(tmp_path: Path, text: str, expected: list[tuple[str, str, str]]) -> None:
    check(tmp_path, text, expected)


@pytest.mark.parametrize("owner", ["a", "acme/builds", "A.b_c/d-e", "9", "x" * 64, "-", "/"])
def test_owners(tmp_path: Path, owner: str) -> None:
    assert load(tmp_path, f'version: 1\nowner: "{owner}"\n').owner == owner


def test_owner_null_is_nobody(tmp_path: Path) -> None:
    assert load(tmp_path, "version: 1\nowner: null\n").owner is None


BAD_OWNERS = ["", " ", "a b", "x" * 65, "ä", "a:b", "a*", "acme\\n", "a\\u0000", "\\u202ea", "a\\nb", "a${b}"]


@pytest.mark.parametrize("owner", BAD_OWNERS)
def test_what_is_no_owner(tmp_path: Path, owner: str) -> None:
    check(tmp_path, f'version: 1\nowner: "{owner}"\n', [("2:8", "`owner` is not of the form", "")])


@pytest.mark.parametrize("owner", BAD_OWNERS)
def test_what_is_no_owner_is_none_after_interpolation_either(tmp_path: Path, owner: str) -> None:
    text = f'version: 1\nparams: {{team: "{owner}"}}\nowner: "${{{{ params.team }}}}"\n'
    found = told(tmp_path, text)
    assert [place for place, _, _ in found] in (["3:8"], ["2:16"]), found
    assert "owner" in found[0][1]


def test_an_owner_may_be_interpolated(tmp_path: Path) -> None:
    text = 'version: 1\nparams: {team: web}\nowner: "acme/${{ params.team }}"\n'
    assert load(tmp_path, text).owner == "acme/web"


# --- names


@pytest.mark.parametrize(
    ("text", "place", "summary"),
    [
        ("connections: {site: {provider_account_id: '1', repo_id: '2'}}", "3:15", "`site` cannot be a key"),
        ("connections: {'a b/c': {provider_account_id: '1', repo_id: '2'}}", "3:15", "cannot be a key"),
        ("connections: {/c: {provider_account_id: '1', repo_id: '2'}}", "3:15", "`/c` cannot be a key"),
        ("connections: {a//c: {provider_account_id: '1', repo_id: '2'}}", "3:15", "`a//c` cannot be a key"),
        ("workers: {-web: {}}", "3:11", "`-web` cannot be a key of `workers`"),
        ("workers: {a b: {}}", "3:11", "`a b` cannot be a key of `workers`"),
        ("workers: {a/b: {}}", "3:11", "`a/b` cannot be a key of `workers`"),
        ("workers: {'': {}}", "3:11", "`` cannot be a key of `workers`"),
        ('workers: {"web\\n": {}}', "3:11", "cannot be a key of `workers`"),
        ('workers: {"we\\u202eb": {}}', "3:11", "cannot be a key of `workers`"),
        ("workers: {web: {triggers: {a/b: null}}}", "3:28", "`a/b` cannot be a key of `triggers`"),
        ('workers: {web: {triggers: {"production\\n": null}}}', "3:28", "cannot be a key of `triggers`"),
        ("tokens: {a/b: {build_token_name: x}}", "3:10", "`a/b` cannot be a key of `tokens`"),
        ('tokens: {"t\\n": {build_token_name: x}}', "3:10", "cannot be a key of `tokens`"),
        ("params: {a b: x}", "3:10", "`a b` cannot be a key of `params`"),
        ("params: {1a: x}", "3:10", "`1a` cannot be a key of `params`"),
        ('params: {"a\\n": x}', "3:10", "cannot be a key of `params`"),
    ],
)
def test_names_that_are_none(tmp_path: Path, text: str, place: str, summary: str) -> None:
    found = [one for one in told(tmp_path, f"version: 1\nowner: a\n{text}\n") if "never used" not in one[1]]
    assert [(where, hint != "") for where, _, hint in found] == [(place, True)], found
    assert summary in found[0][1]


def test_a_connection_without_a_slash_learns_what_its_key_is(tmp_path: Path) -> None:
    text = "version: 1\nowner: a\nconnections: {site: {provider_account_id: '1', repo_id: '2'}}\n"
    ((_, _, hint),) = told(tmp_path, text)
    assert "owner/repo" in hint


@pytest.mark.parametrize("tag", ["web", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "\\n", "../../" + "0" * 26, ""])
def test_a_tag_is_32_hex_digits_also_after_interpolation(tmp_path: Path, tag: str) -> None:
    for text in (
        f'workers: {{web: {{tag: "{tag}"}}}}\n',
        f'params: {{t: "{tag}"}}\nworkers: {{web: {{tag: "${{{{ params.t }}}}"}}}}\n',
    ):
        found = told(tmp_path, HEAD + text)
        assert len(found) == 1, (text, found)
        assert "`tag`" in found[0][1]


@pytest.mark.parametrize("account", ["", "a/b", "..", "a b", "abc\\n"])
def test_an_account_id_cannot_lead_elsewhere(tmp_path: Path, account: str) -> None:
    check(tmp_path, f'{HEAD}account_id: "{account}"\n', [("5:13", "`account_id` is not of the form", "")])


# --- wrong types

TYPES = [
    ("account_id: 5", "5:13", "`account_id` must be a string", 'quote it: "5"'),
    ("account_id: null", "5:13", "`account_id` must be a string", ""),
    ("workers: []", "5:10", "`workers` must be a mapping", 'such as {"web": {"profile": "node"}}'),
    ("workers: x", "5:10", "`workers` must be a mapping", ""),
    ("workers: {web: []}", "5:16", "`web` must be a mapping", ""),
    ("workers: {web: x}", "5:16", "`web` must be a mapping", ""),
    ("workers: {web: {triggers: []}}", "5:27", "`triggers` must be a mapping", ""),
    ("workers: {web: {triggers: {p: []}}}", "5:31", "`p` must be a mapping", ""),
    ("workers: {web: {triggers: {p: true}}}", "5:31", "`p` must be a mapping", ""),
    ("workers: {web: {profile: 5}}", "5:26", "`profile` must be a string", 'quote it: "5"'),
    ("workers: {web: {profile: {a: b}}}", "5:26", "`profile` must be a string", ""),
    ("workers: {web: {profile: [[a]]}}", "5:27", "must be a string", ""),
    ("workers: {web: {profile: [1]}}", "5:27", "must be a string", 'quote it: "1"'),
    ("workers: {web: {profile: [null]}}", "5:27", "must be a string", ""),
    ("workers: {web: {tag: 5}}", "5:22", "`tag` must be a string", 'quote it: "5"'),
    ("workers: {web: {take_over_from: x}}", "5:33", "`take_over_from` must be a list", ""),
    ("workers: {web: {take_over_from: [[]]}}", "5:34", "must be a string", ""),
    ("take_over_from: x", "5:17", "`take_over_from` must be a list", ""),
    ("take_over_from: [[a]]", "5:18", "must be a string", ""),
    ("take_over_from: [{a: b}]", "5:18", "must be a string", ""),
    ("take_over_from: [5]", "5:18", "must be a string", 'quote it: "5"'),
    ("take_over_from: null", "5:17", "`take_over_from` must be a list", ""),
    ("lint: null", "5:7", "`lint` must be a mapping", ""),
    ("lint: [branch-filter]", "5:7", "`lint` must be a mapping", 'such as {"allow": ["secret-on-preview"]}'),
    ("lint: {allow: branch-filter}", "5:15", "`allow` must be a list", ""),
    ("lint: {allow: [[x]]}", "5:16", "must be a string", ""),
    ("lint: {allow: [5]}", "5:16", "must be a string", 'quote it: "5"'),
    ("params: [a]", "5:9", "`params` must be a mapping", ""),
    ("params: {a: 5}", "5:13", "`a` must be a string", 'quote it: "5"'),
    ("params: {a: null}", "5:13", "`a` must be a string", ""),
    ("params: {a: [b]}", "5:13", "`a` must be a string", ""),
    ("defaults: []", "5:11", "`defaults` must be a mapping", ""),
    ("defaults: {build_command: [a]}", "5:27", "`build_command` must be a string", 'such as "npm run build"'),
    ("defaults: {build_command: {a: b}}", "5:27", "`build_command` must be a string", ""),
    ("defaults: {build_command: true}", "5:27", "`build_command` must be a string", 'quote it: "true"'),
    ("defaults: {branch_includes: main}", "5:29", "`branch_includes` must be a list", ""),
    ("defaults: {branch_includes: {main: main}}", "5:29", "`branch_includes` must be a list", ""),
    ("defaults: {branch_includes: [1.0]}", "5:30", "must be a string", 'quote it: "1.0"'),
    ("defaults: {branch_includes: [~]}", "5:30", "must be a string", ""),
    ("defaults: {branch_includes: [[main]]}", "5:30", "must be a string", ""),
    ("defaults: {build_caching_enabled: yes}", "5:35", "`build_caching_enabled` must be true or false", ""),
    ("defaults: {build_caching_enabled: 1}", "5:35", "`build_caching_enabled` must be true or false", ""),
    ("defaults: {protect: 'true'}", "5:21", "`protect` must be true or false", ""),
    ("defaults: {ignore: build_command}", "5:20", "`ignore` must be a list", ""),
    ("defaults: {ignore: [1]}", "5:21", "must be a string", 'quote it: "1"'),
    ("defaults: {environment_variables: [A=b]}", "5:35", "`environment_variables` must be a mapping", ""),
    ("defaults: {environment_variables: {A: [b]}}", "5:39", "`A` must be ", ""),
    ("defaults: {environment_variables: {A: {}}}", "5:36", "`A` holds nothing", "give one of `value`"),
    ("defaults: {environment_variables: {A: {value: 5}}}", "5:47", "`value` must be a string", 'quote it: "5"'),
    ("defaults: {environment_variables: {A: {value: ~}}}", "5:47", "`value` must be a string", ""),
    ("defaults: {environment_variables: {A: {is_secret: yes}}}", "5:51", "`is_secret` must be true or f", ""),
    ("defaults: {environment_variables: {A: {value_from: X}}}", "5:52", "`value_from` must be a mapping", ""),
    ("defaults: {environment_variables: {A: {value_from: {}}}}", "5:40", "`value_from` holds nothing", "`env`"),
    (
        "defaults: {environment_variables: {A: {value_from: {env: A, file: b}}}}",
        "5:40",
        "`value_from` holds too much",
        "give one of `env`, `file`, `command`",
    ),
    ("defaults: {environment_variables: {A: {value_from: {env: 5}}}}", "5:58", "`env` must be a string", '"5"'),
    ("defaults: {environment_variables: {A: {value_from: {env: ''}}}}", "5:58", "`env` must not be empty", ""),
    ("defaults: {environment_variables: {A: {value_from: {command: ls}}}}", "5:62", "`command` must be a list", ""),
    ("profiles: []", "5:11", "`profiles` must be a mapping", ""),
    ("profiles: {a: null}", "5:15", "`a` must be a mapping", "indent what belongs to it further"),
    ("profiles: {a: {triggers: {p: x}}}", "5:30", "`p` must be a mapping", ""),
    ("profiles: {a: {params: [x]}}", "5:24", "`params` must be a mapping", ""),
]


@pytest.mark.parametrize(("text", "place", "summary", "hint"), TYPES, ids=[one[0] for one in TYPES])
def test_a_wrong_type_is_told_at_its_place(tmp_path: Path, text: str, place: str, summary: str, hint: str) -> None:
    check(tmp_path, f"{HEAD}{text}\n", [(place, summary, hint)])


SECTIONS = [
    ("connections: []", "3:14", "`connections` must be a mapping", ""),
    ("connections: {a/b: null}", "3:20", "`a/b` must be a mapping", ""),
    ("connections: {a/b: {}}", "3:15", "`a/b` needs `provider_account_id` and `repo_id`", ""),
    ("connections: {a/b: {provider_account_id: 41, repo_id: '2'}}", "3:42", "must be a string", '"41"'),
    ("connections: {a/b: {provider_account_id: '', repo_id: '2'}}", "3:42", "must not be empty", ""),
    (
        "connections: {a/b: {provider_account_id: '1', repo_id: '2', provider_type: GitHub}}",
        "3:76",
        "`provider_type` must be one of `github`, `gitlab`, `gitlab_internal`, `origin`",
        "",
    ),
    ("tokens: []", "3:9", "`tokens` must be a mapping", ""),
    ("tokens: {t: null}", "3:13", "`t` must be a mapping", "indent what belongs to it further"),
    ("tokens: {t: {build_token_secret: x}}", "3:34", "`build_token_secret` must be a mapping", ""),
    ("tokens: {t: {build_token_name: ''}}", "3:32", "`build_token_name` must not be empty", ""),
    ("tokens: {t: {cloudflare_token_id: a}}", "3:10", "`t` needs both `cloudflare_token_id` and", "build_token_name"),
    (
        "tokens: {t: {cloudflare_token_id: a, build_token_secret: {}}}",
        "3:38",
        "`build_token_secret` needs `value_from`",
        "",
    ),
]


@pytest.mark.parametrize(("text", "place", "summary", "hint"), SECTIONS, ids=[one[0] for one in SECTIONS])
def test_a_wrong_connection_or_token(tmp_path: Path, text: str, place: str, summary: str, hint: str) -> None:
    found = told(tmp_path, f"version: 1\nowner: a\n{text}\n")
    assert (place, True, True) in [(at, summary in one, hint in other) for at, one, other in found], found


MANAGED = "cloudflare_token_id: a, build_token_secret: {value_from: {env: X}}"


@pytest.mark.parametrize(
    "text",
    [
        f"tokens: {{t: {{{MANAGED}, build_token_name: x}}}}",
        "tokens: {t: {build_token_uuid: u, build_token_name: x}}",
        "tokens: {t: {cloudflare_token_id: a, build_token_secret: {value_from: {command: []}}}}",
        "tokens: {t: {}}",
        "connections: {a/b: {provider_type: x, provider_account_id: '1', repo_id: '2'}}",
        "connections: {a/b: {}}",
        "workers: {web: {triggers: {p: []}}}",
        "workers: {web: {profile: {}}}",
        "workers: {web: {tag: x}}",
        "account_id: 'a b'",
        "account_id: null",
    ],
)
def test_a_problem_is_told_without_the_words_of_the_schema(tmp_path: Path, text: str) -> None:
    """Nobody knows what `minItems` is, nor which of three fields is "too much"."""
    found = told(tmp_path, f"version: 1\nowner: a\n{text}\n")
    assert found
    for _, summary, hint in found:
        assert not re.search(r"\((min|max|if|else|then|\w+Properties)\w*\)|schema", summary), summary
        assert "too much" not in summary or hint, (summary, hint)


def test_the_same_repository_twice(tmp_path: Path) -> None:
    text = """\
version: 1
owner: a
connections:
  acme/site: {provider_account_id: "1", repo_id: "2"}
  acme/other: {provider_account_id: "9", repo_id: "2", provider_type: github}
  acme/lab: {provider_account_id: "1", repo_id: "2", provider_type: gitlab}
"""
    check(tmp_path, text, [("5:3", "the same repository as `acme/site` (m.yaml:4:3)", "keep one of the two")])


def test_what_may_be_null(tmp_path: Path) -> None:
    text = """\
version: 1
owner: null
connections:
tokens:
params:
defaults:
profiles:
workers:
"""
    assert load(tmp_path, text).empty
    nulls = "".join(
        f"  {name}: null\n"
        for name in (*manifest_schema()["$defs"]["trigger"]["properties"], "profile")
        if name != "lint"
    )
    assert len(load(tmp_path, f"{HEAD}{WORKER}defaults:\n{nulls}").triggers) == 1


def test_a_worker_alone_needs_nothing(tmp_path: Path) -> None:
    wanted = load(tmp_path, f"{HEAD}workers:\n  web:\n  api: {{}}\n  x: {{triggers: {{}}, params: {{}}}}\n")
    assert (list(wanted.workers), wanted.triggers) == (["web", "api", "x"], ())


# --- any tree whatever: an answer, never a traceback

VALID: dict[str, Any] = {
    "version": 1,
    "owner": "acme/builds",
    "account_id": "0123456789abcdef0123456789abcdef",
    "params": {"branch": "main", "unusual": "${{ params.branch }}"},
    "take_over_from": ["old"],
    "lint": {"allow": ["branch-filter"]},
    "connections": {
        "acme/site": {
            "provider_type": "github",
            "provider_account_id": "41612145",
            "provider_account_name": "acme",
            "repo_id": "1332648945",
            "repo_name": "site",
        }
    },
    "tokens": {
        "deploy": {
            "cloudflare_token_id": "ed17574386854bf78a67040be0a770b0",
            "build_token_secret": {"value_from": {"env": "DEPLOY"}, "value_version": "2", "allow_empty": False},
        },
        "known": {"build_token_name": "Workers Builds"},
        "by-id": {"build_token_uuid": "11111111-1111-4111-8111-111111111111"},
    },
    "defaults": {
        "profile": "node",
        "repo_connection": "acme/site",
        "build_token": "deploy",
        "build_caching_enabled": True,
        "ignore": ["build_command"],
        "lint": {"allow": []},
    },
    "profiles": {
        "node": {
            "params": {"dir": "${{ worker.name }}"},
            "root_directory": "apps/${{ params.dir }}",
            "path_includes": ["apps/${{ params.dir }}/*"],
            "triggers": {
                "production": {"branch_includes": ["${{ params.unusual }}"], "deploy_command": "x"},
                "preview": {"branch_includes": ["*"], "branch_excludes": ["main"], "deploy_command": "y"},
            },
        },
        "more": {"environment_variables": {"N": "24"}, "protect": True, "lint": {"allow": ["variable-key"]}},
    },
    "workers": {
        "api": None,
        "web": {
            "profile": ["node", "more"],
            "params": {"dir": "site"},
            "tag": "0123456789abcdef0123456789abcdef",
            "take_over_from": ["other"],
            "environment_variables": {"A": "b", "B": {"value": "c"}, "C": {"is_secret": True}},
            "triggers": {
                "production": {
                    "trigger_name": "${{ trigger.name }}",
                    "build_command": "npm",
                    "path_excludes": [],
                    "environment_variables": {
                        "S": {"value_from": {"env": "S"}, "value_version": "1"},
                        "F": {"value_from": {"file": "secret.txt"}},
                        "G": {"value_from": {"command": ["echo", "x"]}, "allow_empty": True},
                    },
                    "ignore": ["environment_variables.CI_*", "build_token"],
                    "protect": True,
                    "lint": {"allow": ["variable-length"]},
                },
                "preview": None,
            },
        },
    },
}

WORDS = sorted(
    {str(name) for name in manifest_schema()["properties"]}
    | set(manifest_schema()["$defs"]["trigger"]["properties"])
    | {"node", "more", "web", "env", "file", "command", "value", "is_secret", "allow", "tag", "<<", "", "\n"}
    | {"BUILDSCTL", "CLOUDFLARE_API_TOKEN", "${{ params.branch }}", "${{ params.a }}", "${{", "*", "\0", "\u202e"}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**30),
    st.floats(allow_nan=True),
    st.sampled_from(WORDS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


def _places(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for part, child in entries:
        found += _places(child, (*path, part))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The valid manifest with one to four of its nodes replaced, deleted or added."""
    tree: Any = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(_places(tree)))
        action = draw(st.sampled_from(["replace", "replace", "delete", "add", "move"]))
        above, node = None, tree
        for part in path:
            above, node = node, node[part]
        if action == "add" and isinstance(node, dict):
            node[draw(st.sampled_from(WORDS))] = draw(TREES)
        elif action == "add" and isinstance(node, list):
            node.append(draw(TREES))
        elif above is None:
            continue
        elif action == "delete":
            del above[path[-1]]
        elif action == "move":
            other: Any = tree
            for part in draw(st.sampled_from(_places(tree))):
                other = other[part]
            above[path[-1]] = copy.deepcopy(other)
        else:
            above[path[-1]] = draw(TREES)
    return tree


def _dumped(tree: Any) -> str:
    # JSON, as far as it goes, is YAML, with every place on a line of its own.
    return json.dumps(tree, indent=1, ensure_ascii=True).replace("Infinity", ".inf").replace("NaN", ".nan")


def test_the_manifest_that_is_mutated_is_valid(tmp_path: Path) -> None:
    assert told(tmp_path, _dumped(VALID)) == []
    assert len(load(tmp_path, _dumped(VALID)).triggers) == 3


@settings(max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_whatever_the_tree_it_loads_or_its_problems_have_places(tree: Any) -> None:
    text = _dumped(tree)
    lines = text.split("\n")
    with tempfile.TemporaryDirectory() as folder:
        try:
            load(Path(folder), text, {"DEPLOY": "d", "S": "s"})
        except ManifestError as error:
            for one in error.diagnostics:
                assert one.summary
                assert one.position is not None, one
                assert one.position.filename == "m.yaml"
                assert one.position.line <= len(lines)
                assert one.position.column <= len(lines[one.position.line - 1]) + 1


@settings(max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(mutated(), st.booleans())
def test_the_quick_validator_finds_valid_what_the_exact_one_does(tree: Any, final: bool) -> None:
    schema = manifest_schema(final=final)
    assert jsonschema_rs.is_valid(schema, tree) == Draft202012Validator(schema).is_valid(tree)


SITES = [
    ("profile", ["workers", "web", "profile"]),
    ("profiles of the set", ["defaults", "profile"]),
    ("take_over_from", ["take_over_from", 0]),
    ("take_over_from of a Worker", ["workers", "web", "take_over_from", 0]),
    ("allow", ["workers", "web", "triggers", "production", "lint", "allow", 0]),
    ("ignore", ["defaults", "ignore", 0]),
    ("repo_connection", ["defaults", "repo_connection"]),
    ("build_token", ["defaults", "build_token"]),
    ("a branch", ["profiles", "node", "triggers", "production", "branch_includes", 0]),
    ("a variable", ["workers", "web", "environment_variables", "A"]),
    ("a source", ["tokens", "deploy", "build_token_secret", "value_from", "env"]),
    ("an argument", ["workers", "web", "triggers", "production", "environment_variables", "G", "value_from"]),
    ("a trigger", ["workers", "web", "triggers", "production"]),
    ("a profile's trigger", ["profiles", "node", "triggers", "preview"]),
    ("a param", ["profiles", "node", "params", "dir"]),
    ("a Worker", ["workers", "web"]),
    ("a section", ["workers"]),
]


@pytest.mark.parametrize("value", [None, 5, 1.5, True, "", "x", [], {}, [[]], [{}], {"a": "b"}, [5], [None], "${{"])
@pytest.mark.parametrize(("name", "path"), SITES, ids=[one[0] for one in SITES])
def test_every_value_in_every_place_that_is_looked_up_by(
    tmp_path: Path, name: str, path: list[str | int], value: Any
) -> None:
    """What is read as a name, a key of a set or a mapping must not trip over what cannot be one."""
    tree: Any = copy.deepcopy(VALID)
    node = tree
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    for place, summary, _ in told(tmp_path, _dumped(tree)):
        assert re.fullmatch(r"[0-9]+:[0-9]+", place), (place, summary)


# --- the schema itself


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(manifest_schema())


def _examples() -> list[Path]:
    found = [path for path in (ROOT / "examples").rglob("*.y*ml") if "version: 1" in path.read_text("utf-8")]
    return sorted(found)


@pytest.mark.parametrize("path", _examples(), ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_are_valid_by_the_published_schema_alone(path: Path) -> None:
    schema = json.loads((ROOT / "schemas/manifest.schema.json").read_text("utf-8"))
    document = yaml.safe_load(path.read_text("utf-8"))
    problems = [one.message for one in Draft202012Validator(schema).iter_errors(document)]
    assert problems == []


def test_every_field_of_the_schema_is_described_for_editors() -> None:
    fields = manifest_schema()["$defs"]["trigger"]["properties"]
    bare = [name for name, one in fields.items() if "description" not in one and "$ref" not in one]
    assert bare in ([], ["environment_variables"])
