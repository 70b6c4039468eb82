"""From files to triggers: one set of many files, layers, params and expressions, references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_manifest_text import HEAD, WORKER, Told, check, load, told

from reconciler.errors import Position
from reconciler.manifest import params
from reconciler.manifest.nodes import Node, Problems
from reconciler.model import Address
from reconciler.states import DeclaredTrigger

TRIGGER = "branch_includes: [main], deploy_command: d"


def triggers(folder: Path, text: str, **options: Any) -> dict[str, DeclaredTrigger]:
    """The triggers of a set, by `worker/key`."""
    wanted = load(folder, HEAD + text, **options)
    return {"/".join(one.address.path): one for one in wanted.triggers}


def commands(folder: Path, text: str, **options: Any) -> dict[str, str]:
    return {name: one.resource.build_command for name, one in triggers(folder, text, **options).items()}


# --- many files, one set


def test_mappings_merge_across_files(tmp_path: Path) -> None:
    files = {
        "0.yaml": HEAD,
        "1.yaml": "version: 1\ndefaults: {build_command: all}\nparams: {a: x}\n",
        "2.yaml": f"workers: {{web: {{triggers: {{p: {{{TRIGGER}}}}}}}}}\n",
        "3.yaml": "workers: {web: {root_directory: '${{ params.a }}', environment_variables: {A: '1'}}}\n",
        "4.yaml": "version: 1\nworkers: {web: {environment_variables: {B: '2'}}, api: {}}\n",
    }
    wanted = load(tmp_path, files)
    (trigger,) = wanted.triggers
    assert list(wanted.workers) == ["web", "api"]
    assert trigger.resource.build_command == "all"
    assert trigger.resource.root_directory == "x"
    assert list(trigger.variables) == ["A", "B"]
    assert str(trigger.position) == "2.yaml:1:28"


@pytest.mark.parametrize("one_file", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "key", "places"),
    [
        ("owner: a\n", "owner: a\n", "owner", ("1:1", "1:1")),
        ("account_id: a\n", "account_id: b\n", "account_id", ("1:1", "1:1")),
        ("defaults:\n  build_command: a\n", "defaults:\n  build_command: a\n", "build_command", ("2:3", "2:3")),
        ("lint:\n  allow: [a]\n", "lint:\n  allow: [b]\n", "allow", ("2:3", "2:3")),
        ("workers:\n  web: null\n", "workers:\n  web: {}\n", "web", ("2:3", "2:3")),
        ("workers:\n  web: {tag: x}\n", "workers:\n  web: [x]\n", "web", ("2:3", "2:3")),
        ("params: {a: x}\n", "\n\nparams: {b: y, a: x}\n", "a", ("1:10", "3:16")),
        ("take_over_from: [a]\n", "take_over_from: [b]\n", "take_over_from", ("1:1", "1:1")),
    ],
)
def test_the_same_leaf_twice_names_both_places(
    tmp_path: Path, first: str, second: str, key: str, places: tuple[str, str], *, one_file: bool
) -> None:
    if one_file:
        # In one file the mapping itself is the duplicate, or the leaf is.
        found = told(tmp_path, first + second)
        twice = [one for one in found if "is given twice, first at m.yaml:" in one[1]]
        assert len(twice) == 1
        return
    found = told(tmp_path, {"a.yaml": first, "b.yaml": second})
    assert (
        f"b.yaml:{places[1]}",
        f"`{key}` is given twice, first at a.yaml:{places[0]}",
        "all files are one set: keep one of them",
    ) in found


def test_version_in_several_files_is_no_duplicate_unless_it_differs(tmp_path: Path) -> None:
    assert load(tmp_path, {"a.yaml": HEAD, "b.yaml": "version: 1\n", "c.yaml": "version: 1\n"}).owner
    for other in ("2", "true", '"1"', "null"):
        found = told(tmp_path, {"a.yaml": HEAD, "b.yaml": f"version: {other}\n"})
        assert len(found) == 1, (other, found)
        assert found[0][0].startswith("b.yaml:1:"), (other, found)


def test_version_and_owner_may_stand_in_any_file(tmp_path: Path) -> None:
    files = {"a.yaml": WORKER, "z.yaml": HEAD}
    assert len(load(tmp_path, files).triggers) == 1


# --- layers

LAYERS = """\
defaults: {build_command: defaults}
profiles:
  one: {build_command: profile one, triggers: {p: {build_command: profile one p}}}
  two: {build_command: profile two, triggers: {p: {build_command: profile two p}}}
workers:
  web:
    profile: [one, two]
    build_command: worker
    triggers: {p: {branch_includes: [main], deploy_command: d, build_command: worker p}}
"""


@pytest.mark.parametrize(
    "winner", ["worker p", "worker", "profile two p", "profile one p", "profile two", "profile one", "defaults", ""]
)
def test_what_stands_nearer_to_the_worker_wins(tmp_path: Path, winner: str) -> None:
    """Each layer wins over all that are taken away one by one after it."""
    order = ["worker p", "worker", "profile two p", "profile one p", "profile two", "profile one", "defaults"]
    text = LAYERS
    for layer in order[: order.index(winner)] if winner else order:
        text = text.replace(f", build_command: {layer}}}", "}").replace(f"    build_command: {layer}\n", "")
        text = text.replace(f"{{build_command: {layer}}}", "{}").replace(f"{{build_command: {layer}, ", "{")
    assert commands(tmp_path, text) == {"web/p": winner}


@pytest.mark.parametrize("layer", ["worker p", "worker", "profile two p", "profile one p"])
def test_null_in_a_layer_gives_the_default_back(tmp_path: Path, layer: str) -> None:
    text = LAYERS
    for nearer in ["worker p", "worker", "profile two p", "profile one p"]:
        if nearer == layer:
            text = text.replace(f"build_command: {layer}\n", "build_command: null\n")
            text = text.replace(f"build_command: {layer}}}", "build_command: null}")
            break
        text = text.replace(f", build_command: {nearer}}}", "}").replace(f"    build_command: {nearer}\n", "")
        text = text.replace(f"{{build_command: {nearer}}}", "{}")
    assert commands(tmp_path, text) == {"web/p": ""}


def test_profiles(tmp_path: Path) -> None:
    text = f"""\
defaults: {{profile: base, branch_includes: [main], deploy_command: d}}
profiles:
  base: {{build_command: base, triggers: {{p: {{}}}}}}
  more: {{root_directory: more, triggers: {{q: {{branch_includes: ["*"], branch_excludes: [main]}}}}}}
workers:
  by-default: {{}}
  by-name: {{profile: more}}
  both: {{profile: [base, more]}}
  none: {{profile: null, triggers: {{p: {{{TRIGGER}}}}}}}
  empty: {{profile: [], triggers: {{p: {{{TRIGGER}}}}}}}
  twice: {{profile: [base, base]}}
"""
    found = triggers(tmp_path, text)
    assert {name: (one.resource.build_command, one.resource.root_directory) for name, one in found.items()} == {
        "by-default/p": ("base", "/"),
        "by-name/q": ("", "more"),
        "both/p": ("base", "more"),
        "both/q": ("base", "more"),
        "none/p": ("", "/"),
        "empty/p": ("", "/"),
        "twice/p": ("base", "/"),
    }


def test_lists_replace_and_variables_are_replaced_as_a_whole(tmp_path: Path) -> None:
    text = f"""\
defaults:
  path_includes: [a, b]
  environment_variables:
    A: {{value_from: {{env: A}}, value_version: "1", allow_empty: true}}
    B: {{is_secret: true}}
    C: stays
    D: goes
profiles:
  p: {{environment_variables: {{E: profile, F: profile}}}}
workers:
  web:
    profile: p
    environment_variables: {{B: plain, F: worker}}
    path_includes: [c]
    triggers:
      production:
        {TRIGGER.replace(", deploy", chr(10) + "        deploy")}
        environment_variables: {{A: {{value_from: {{env: B}}}}, D: null, Z: null}}
"""
    one = triggers(tmp_path, text, environment={"A": "", "B": ""})["web/production"]
    assert one.resource.path_includes == ("c",)
    assert list(one.variables) == ["C", "E", "B", "F", "A"] or sorted(one.variables) == list("ABCEF")
    values = {key: variable.resource for key, variable in one.variables.items()}
    assert (values["B"].is_secret, values["B"].value) == (False, "plain")
    assert (values["C"].value, values["E"].value, values["F"].value) == ("stays", "profile", "worker")
    # Nothing of the older entry is left: neither its version nor that it may be empty.
    assert values["A"].value_version == ""
    assert values["A"].value.source == "env B"
    assert "is empty" in values["A"].value.missing


def test_null_removes_all_variables(tmp_path: Path) -> None:
    text = f"""\
defaults: {{environment_variables: {{A: a}}}}
workers:
  web: {{environment_variables: null, triggers: {{p: {{{TRIGGER}, environment_variables: {{B: b}}}}}}}}
"""
    assert list(triggers(tmp_path, text)["web/p"].variables) == ["B"]


def test_null_removes_a_trigger(tmp_path: Path) -> None:
    text = f"""\
profiles:
  p: {{triggers: {{production: {{{TRIGGER}}}, preview: {{{TRIGGER}}}}}}}
workers:
  web: {{profile: p, triggers: {{preview: null, unheard-of: null}}}}
"""
    assert list(triggers(tmp_path, text)) == ["web/production"]


def test_what_null_removed_does_not_come_back(tmp_path: Path) -> None:
    """A later profile takes a trigger away, the Worker writes one of that key anew."""
    text = """\
profiles:
  a: {triggers: {p: {branch_includes: [main], deploy_command: old, build_command: old, protect: true}}}
  b: {triggers: {p: null}}
workers:
  web: {profile: [a, b], triggers: {p: {branch_includes: [main], deploy_command: new}}}
"""
    one = triggers(tmp_path, text)["web/p"]
    assert (one.resource.deploy_command, one.resource.build_command, one.protect) == ("new", "", False)


def test_ignore_and_lint_allow_unite_over_all_layers(tmp_path: Path) -> None:
    text = f"""\
lint: {{allow: [branch-filter]}}
defaults: {{ignore: [build_command], lint: {{allow: [variable-key]}}}}
profiles:
  p:
    ignore: [root_directory]
    lint: {{allow: [variable-length]}}
    triggers: {{p: {{ignore: [path_includes], lint: {{allow: [command-length]}}}}}}
workers:
  web:
    profile: p
    ignore: [deploy_command]
    lint: {{allow: [root-directory-length]}}
    triggers:
      p: {{{TRIGGER}, ignore: ["environment_variables.CI_*"], lint: {{allow: [too-many-variables]}}}}
"""
    one = triggers(tmp_path, text)["web/p"]
    assert set(one.ignore) == {
        "build_command",
        "root_directory",
        "path_includes",
        "deploy_command",
        "environment_variables.CI_*",
    }
    assert one.allow == {
        "branch-filter",
        "variable-key",
        "variable-length",
        "command-length",
        "root-directory-length",
        "too-many-variables",
    }


def test_a_reference_by_uuid_takes_the_place_of_one_by_name(tmp_path: Path) -> None:
    text = f"""\
defaults: {{repo_connection: acme/site, build_token_uuid: u1}}
workers:
  web: {{repo_connection_uuid: u2, build_token: deploy, triggers: {{p: {{{TRIGGER}}}}}}}
"""
    one = triggers(tmp_path, text)["web/p"].resource
    assert one.repo_connection_uuid == "u2"
    assert one.build_token_uuid == Address.of("token", "deploy")


def test_fields_left_out_mean_their_defaults(tmp_path: Path) -> None:
    one = triggers(tmp_path, WORKER)["web/production"]
    assert one.resource.fields == {
        "trigger_name": "production",
        "repo_connection_uuid": Address.of("connection", "acme/site"),
        "build_token_uuid": Address.of("token", "deploy"),
        "branch_includes": ("main",),
        "branch_excludes": (),
        "path_includes": ("*",),
        "path_excludes": (),
        "build_command": "",
        "deploy_command": "d",
        "root_directory": "/",
        "build_caching_enabled": False,
    }
    assert (one.protect, one.ignore, one.variables) == (False, (), {})


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), ("null", False)])
def test_protect(tmp_path: Path, value: str, *, expected: bool) -> None:
    text = f"defaults: {{protect: true}}\nworkers: {{w: {{triggers: {{p: {{{TRIGGER}, protect: {value}}}}}}}}}\n"
    assert triggers(tmp_path, text)["w/p"].protect is expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("build_comand", "did you mean `build_command`?"),
        ("environment_variables.", ""),
        ("NODE_VERSION", "a trigger field, or `environment_variables.GLOB`"),
        ("*", "a trigger field, or `environment_variables.GLOB`"),
        ("", "a trigger field, or `environment_variables.GLOB`"),
        ("protect", ""),
        ("ignore", ""),
        ("external_script_id", ""),
        ("Build_Command", "did you mean `build_command`?"),
    ],
)
def test_what_cannot_be_ignored(tmp_path: Path, name: str, hint: str) -> None:
    text = f"defaults: {{ignore: [build_command, '{name}']}}\n"
    check(tmp_path, HEAD + text + WORKER, [("5:36", f"`{name}` cannot be ignored", hint)])


def test_what_can_be_ignored(tmp_path: Path) -> None:
    names = ["trigger_name", "repo_connection", "build_token_uuid", "environment_variables", "path_excludes"]
    names += ["environment_variables.*", "environment_variables.CI_?"]
    text = f"defaults: {{ignore: {names}}}\n"
    assert len(triggers(tmp_path, text + WORKER)["web/production"].ignore) == len(names)


# --- what a trigger needs


def test_a_trigger_needs_branches_and_a_command_and_says_so_once(tmp_path: Path) -> None:
    text = "workers:\n  web:\n    triggers:\n      p: {}\n"
    check(
        tmp_path,
        HEAD + text,
        [
            ("8:7", "the trigger needs `branch_includes`", "set it on the trigger, the Worker, its profile"),
            ("8:7", "the trigger needs `deploy_command`", "set it on the trigger, the Worker, its profile"),
        ],
    )


def test_a_forgotten_filter_makes_no_second_trigger_of_a_kind(tmp_path: Path) -> None:
    text = f"workers:\n  web:\n    triggers:\n      a: {{{TRIGGER}}}\n      b: {{deploy_command: d}}\n"
    check(tmp_path, HEAD + text, [("9:7", "the trigger needs `branch_includes`", "")])


CONNECTION = '{provider_account_id: "1", repo_id: "%s"}'


@pytest.mark.parametrize(
    ("connections", "tokens", "field", "expected"),
    [
        ("{}", "{}", "", [("needs `repo_connection`", "`connections`"), ("needs `build_token`", "`tokens`")]),
        (
            f"{{a/b: {CONNECTION % 1}, a/c: {CONNECTION % 2}}}",
            "{t: {build_token_name: x}, u: {build_token_name: y}}",
            "",
            [("needs `repo_connection`", "2 under `connections`"), ("needs `build_token`", "2 under `tokens`")],
        ),
        (
            f"{{acme/site: {CONNECTION % 1}}}",
            "{deploy: {build_token_name: x}}",
            ", repo_connection: acme/sit, build_token: deplyo",
            [
                ("there is no connection `acme/sit`", "did you mean `acme/site`?"),
                ("there is no token `deplyo`", "did you mean `deploy`?"),
            ],
        ),
        (
            "{}",
            "{}",
            ", repo_connection: x, build_token: y",
            [
                ("there is no connection `x`", "define it under `connections`"),
                ("there is no token `y`", "define it under `tokens`"),
            ],
        ),
    ],
)
def test_references(tmp_path: Path, connections: str, tokens: str, field: str, expected: list[tuple[str, str]]) -> None:
    text = f"version: 1\nowner: a\nconnections: {connections}\ntokens: {tokens}\n"
    text += f"workers: {{web: {{triggers: {{p: {{{TRIGGER}{field}}}}}}}}}\n"
    found = told(tmp_path, text)
    assert len(found) == len(expected), found
    for summary, hint in expected:
        assert any(place.startswith("5:") and summary in one and hint in two for place, one, two in found), found


def test_where_the_set_has_several_the_reference_decides(tmp_path: Path) -> None:
    text = f"""\
version: 1
owner: a
connections: {{a/b: {CONNECTION % 1}, a/c: {CONNECTION % 2}}}
tokens: {{t: {{build_token_name: x}}, u: {{build_token_name: y}}}}
defaults: {{repo_connection: a/c, build_token: t}}
workers: {{web: {{triggers: {{p: {{{TRIGGER}}}, q: {{branch_includes: ["*"], branch_excludes: [m],
  deploy_command: d, build_token: u}}}}}}}}
"""
    found = {one.address.name: one.resource for one in load(tmp_path, text).triggers}
    assert found["p"].repo_connection_uuid == Address.of("connection", "a/c")
    assert (found["p"].build_token_uuid, found["q"].build_token_uuid) == (
        Address.of("token", "t"),
        Address.of("token", "u"),
    )


@pytest.mark.parametrize("field", ["repo_connection_uuid", "build_token_uuid"])
@pytest.mark.parametrize("value", ['""', '"${{ params.none }}"'])
def test_an_empty_uuid_is_no_reference(tmp_path: Path, field: str, value: str) -> None:
    params_ = 'params: {none: ""}\n' if "params" in value else ""
    found = told(tmp_path, HEAD + f"{params_}defaults: {{{field}: {value}}}\n" + WORKER)
    assert [one for one in found if field in one[1]], found


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    text = "profiles: {node: {}}\nworkers:\n  a: {profile: nod}\n  b: {profile: [node, zzz]}\n"
    check(
        tmp_path,
        HEAD + text,
        [
            ("7:16", "there is no profile `nod`", "did you mean `node`?"),
            ("8:23", "there is no profile `zzz`", "define it under `profiles`"),
        ],
    )


def test_a_mistake_in_a_profile_is_told_once_however_many_use_it(tmp_path: Path) -> None:
    workers = "".join(f"  w{number}: {{profile: p}}\n" for number in range(50))
    text = "profiles: {p: {triggers: {p: {branch_includes: [a, b], deploy_command: d}}}}\nworkers:\n"
    ((place, _, _),) = told(tmp_path, HEAD + text + workers)
    assert place == "5:48"


# --- params and expressions


def expanded(folder: Path, command: str, more: str = "", **options: Any) -> str:
    """What `command` becomes as the build command of `web/production`."""
    text = f"{more}workers: {{web: {{build_command: {command!r}, triggers: {{production: {{{TRIGGER}}}}}}}}}\n"
    return commands(folder, text, **options)["web/production"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("${{ params.a }}", "A"),
        ("${{params.a}}", "A"),
        ("${{   params.a  }}", "A"),
        ("x${{ params.a }}y${{ params.a }}z", "xAyAz"),
        ("${{ worker.name }}/${{ trigger.name }} ${{ params.a }}", "web/production A"),
        ("$${{ params.a }} ${{ params.a }}", "${{ params.a }} A"),
        ("$$${{ params.a }}${{ params.a }}", "$${{ params.a }}A"),
        ("$A ${A} $(A) $$ ${A:-b} {{ a }} }} ${ { ${{ params.a }}", "$A ${A} $(A) $$ ${A:-b} {{ a }} }} ${ { A"),
        ("${{ params.b-c_D }}${{ params.a }}", "BCA"),
        ("${{ params.empty }}${{ params.a }}", "A"),
    ],
)
def test_expressions(tmp_path: Path, command: str, expected: str) -> None:
    more = 'params: {a: A, b-c_D: BC, empty: ""}\ndefaults: {root_directory: "${{ params.a }}${{ params.b-c_D }}'
    more += '${{ params.empty }}"}\n'
    assert expanded(tmp_path, command, more) == expected


@pytest.mark.parametrize(
    ("command", "summary", "hint"),
    [
        ("${{ params.nod }}", "`${{ params.nod }}` is not known", "did you mean `params.node`?"),
        ("${{ node }}", "`${{ node }}` is not known", ""),
        ("${{ worker.nme }}", "`${{ worker.nme }}` is not known", "did you mean `worker.name`?"),
        ("${{ }}", "`${{  }}` is not known", "known here: params.node, worker.name, trigger.name"),
        ("${{ params.node || 'x' }}", "is not known", ""),
        ("${{ params.node.x }}", "is not known", ""),
        ("${{ PARAMS.node }}", "is not known", ""),
        ("${{ env.HOME }}", "`${{ env.HOME }}` is not known", ""),
        ("a ${{ params.node", "`${{` is never closed", "write `$${{` for the characters themselves"),
        ("${{ params.node }", "`${{` is never closed", "close it with `}}`"),
    ],
)
def test_wrong_expressions(tmp_path: Path, command: str, summary: str, hint: str) -> None:
    more = 'params: {node: "1"}\ndefaults: {root_directory: "${{ params.node }}"}\n'
    text = f"{more}workers: {{web: {{build_command: {command!r}, {TRIGGER}, triggers: {{production: {{}}}}}}}}\n"
    check(tmp_path, HEAD + text, [("7:32", summary, hint)])


def test_one_mistake_in_an_expression_is_one_problem(tmp_path: Path) -> None:
    """What the expression would have given is not known: no rule may judge the empty text instead."""
    text = 'workers: {w: {triggers: {p: {branch_includes: ["${{ params.b }}"], deploy_command: "${{ x }}"}}}}\n'
    check(tmp_path, HEAD + text, [("5:48", "is not known", ""), ("5:84", "is not known", "")])


def test_structure_never_changes(tmp_path: Path) -> None:
    evil = 'x]\n- "y": {}, *a, &b !t # "'
    text = f"""\
params: {{evil: {json.dumps(evil)}}}
workers:
  web:
    triggers:
      p:
        branch_includes: ["${{{{ params.evil }}}}"]
        deploy_command: "${{{{ params.evil }}}}"
        lint: {{allow: [branch-filter]}}
        environment_variables: {{A: "${{{{ params.evil }}}}"}}
"""
    one = triggers(tmp_path, text)["web/p"]
    assert one.resource.branch_includes == (evil,)
    assert one.variables["A"].resource.value == evil


def test_an_expression_is_not_expanded_in_what_a_param_brings_literally(tmp_path: Path) -> None:
    more = "params: {a: '$${{ params.b }}'}\n"
    assert expanded(tmp_path, "${{ params.a }}", more) == "${{ params.b }}"


def test_keys_are_structure(tmp_path: Path) -> None:
    text = 'params: {a: X}\ndefaults: {environment_variables: {"${{ params.a }}": "${{ params.a }}"}}\n'
    found = told(tmp_path, HEAD + text + WORKER)
    assert [place for place, _, _ in found] == ["6:36"]


@pytest.mark.parametrize("command", ["$NODE_VERSION", "${NODE_VERSION}", "$ {{ x }}", "${ {x}}", "$", "$$$"])
def test_the_shell_keeps_what_is_the_shells(tmp_path: Path, command: str) -> None:
    assert expanded(tmp_path, command) == command


PRECEDENCE = """\
params: {v: top}
profiles: {a: {params: {v: profile a}}, b: {params: {v: profile b}}}
workers:
  web:
    profile: [a, b]
    params: {v: worker}
    build_command: "${{ params.v }}"
    triggers: {p: {branch_includes: [main], deploy_command: d}}
"""


@pytest.mark.parametrize("layers", range(7))
def test_params_precedence(tmp_path: Path, layers: int) -> None:
    """Top level < profile < later profile < Worker < --param-file < later --param-file < --param."""
    text = PRECEDENCE
    for position, (old, new) in enumerate(
        [("{v: profile a}", "{}"), ("{v: profile b}", "{}"), ("{v: worker}", "{}")], start=1
    ):
        text = text if layers >= position else text.replace(old, new)
    (tmp_path / "one.yaml").write_text("v: file one\n", encoding="utf-8")
    (tmp_path / "two.yaml").write_text("v: file two\n", encoding="utf-8")
    options: dict[str, Any] = {"param_files": [f"{name}.yaml" for name in ("one", "two")][: max(layers - 3, 0)]}
    options["given"] = [("v", "first"), ("v", "option")] if layers == 6 else []
    expected = ["top", "profile a", "profile b", "worker", "file one", "file two", "option"][layers]
    assert commands(tmp_path, text, **options) == {"web/p": expected}


def test_params_may_refer_to_params_of_any_layer(tmp_path: Path) -> None:
    text = f"""\
params: {{greeting: "${{{{ params.word }}}} ${{{{ worker.name }}}}/${{{{ trigger.name }}}}", word: top}}
profiles: {{p: {{params: {{word: profile}}}}}}
defaults: {{build_command: "${{{{ params.greeting }}}}"}}
workers:
  a: {{triggers: {{p: {{{TRIGGER}}}}}}}
  b: {{profile: p, triggers: {{p: {{{TRIGGER}}}}}}}
"""
    assert commands(tmp_path, text) == {"a/p": "top a/p", "b/p": "profile b/p"}


@pytest.mark.parametrize(
    "given",
    [
        '{a: "${{ params.a }}"}',
        '{a: "${{ params.b }}", b: "${{ params.a }}"}',
        '{a: "${{ params.b }}", b: "${{ params.c }}${{ params.c }}", c: "x${{ params.b }}"}',
    ],
)
def test_params_in_a_circle(tmp_path: Path, given: str) -> None:
    found = told(tmp_path, f'{HEAD}params: {given}\ndefaults: {{build_command: "${{{{ params.a }}}}"}}\n{WORKER}')
    assert found
    for place, summary, _ in found:
        assert place.startswith("5:")
        assert "refers to itself" in summary


def test_a_circle_is_an_error_even_where_nothing_else_uses_it(tmp_path: Path) -> None:
    found = told(tmp_path, HEAD + 'params: {a: "${{ params.a }}"}\n' + WORKER)
    assert [place for place, _, _ in found] in (["5:10"], ["5:13"]), found


def test_a_long_chain_is_no_circle(tmp_path: Path) -> None:
    chain = "".join(f'  p{n}: "${{{{ params.p{n + 1} }}}}"\n' for n in range(12))
    text = f'params:\n{chain}  p12: x\ndefaults: {{build_command: "${{{{ params.p0 }}}}"}}\n{WORKER}'
    found = told(tmp_path, HEAD + text)
    assert not any("refers to itself" in summary for _, summary, _ in found), found


class Counted(dict[str, Node]):
    """Params that count how often they are asked for."""

    asked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.asked += 1
        assert self.asked < 100_000, "expanding has no end"
        return super().get(key, default)


@pytest.mark.parametrize("last", ["", "x", "x" * 5_000])
def test_params_that_multiply_have_an_end(last: str) -> None:
    """Ten params, each forty times the next: the length stays small, or is refused once and for all."""
    at = Position(filename="m.yaml", line=1, column=1)
    known = Counted({f"p{n}": Node(f"${{{{ params.p{n + 1} }}}}" * 40, at) for n in range(9)})
    known["p9"] = Node(last, at)
    problems = Problems()
    found = params.interpolate(Node("${{ params.p0 }}", at), params.Scope(known, problems))
    assert len(found.value) <= params.MAX_LENGTH


def test_text_that_grows_too_long_is_refused(tmp_path: Path) -> None:
    text = f'params: {{a: {"x" * 9_000}}}\ndefaults: {{build_command: "{"${{ params.a }}" * 3}"}}\n{WORKER}'
    check(tmp_path, HEAD + text, [("6:27", "longer than 20,000 characters once interpolated", "")])


UNUSED: list[tuple[str, list[Told]]] = [
    ("params: {a: x}\n", [("5:10", "the param `a` is never used", "refer to it as `${{ params.a }}`")]),
    ("profiles: {p: {params: {a: x}}}\n", [("5:25", "the param `a` is never used", "")]),
    ("workers: {web: {params: {a: x}}}\n", [("5:26", "the param `a` is never used", "")]),
    (
        "params: {nodes: x}\ndefaults: {build_command: '${{ params.node }}'}\n" + WORKER,
        [("5:10", "`nodes` is never used", "did you mean `node`?"), ("6:27", "not known", "`params.nodes`?")],
    ),
    ("params: {a: x}\ndefaults: {build_command: '$${{ params.a }}'}\n", [("5:10", "never used", "")]),
    ("params: {a: '${{ params.b }}', b: x}\n", [("5:10", "the param `a` is never used", "")]),
]


@pytest.mark.parametrize(("text", "expected"), UNUSED, ids=[one[0] for one in UNUSED])
def test_a_param_that_nothing_uses(tmp_path: Path, text: str, expected: list[Told]) -> None:
    check(tmp_path, HEAD + text, expected)


def test_a_param_of_a_profile_that_another_profile_of_the_worker_refers_to_is_used(tmp_path: Path) -> None:
    text = f"""\
profiles:
  base: {{root_directory: "apps/${{{{ params.dir }}}}", triggers: {{p: {{{TRIGGER}}}}}}}
  billing: {{params: {{dir: billing}}}}
workers: {{web: {{profile: [base, billing]}}}}
"""
    check(tmp_path, HEAD + text, [])


BOTH = ("build_token: deploy", "build_token_uuid: 22222222-0000-4000-8000-000000000001")


@pytest.mark.parametrize("order", [BOTH, BOTH[::-1]], ids=["name first", "UUID first"])
def test_a_reference_by_name_and_one_by_uuid_in_one_place_are_one_too_many(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    summary = "`build_token` and `build_token_uuid` say the same, first at "
    files = {"a.yaml": HEAD + f"defaults: {{{order[0]}}}\n", "b.yaml": f"defaults: {{{order[1]}}}\n"}
    check(tmp_path, files, [("b.yaml:1:12", f"{summary}a.yaml:5:12", "keep one")])
    trigger = f"workers: {{web: {{triggers: {{p: {{{TRIGGER}, {', '.join(order)}}}}}}}}}\n"
    ((_, found, _),) = told(tmp_path, HEAD + trigger)
    assert found.startswith(summary)
    null = f"workers: {{web: {{build_token: null, {BOTH[1]}, triggers: {{p: {{{TRIGGER}}}}}}}}}\n"
    for text in (null, null.replace(f"build_token: null, {BOTH[1]}", f"{BOTH[1]}, build_token: null")):
        assert triggers(tmp_path, text)["web/p"].resource.build_token_uuid == BOTH[1].partition(": ")[2]
    nearer = f"defaults: {{{order[0]}}}\nworkers: {{web: {{{order[1]}, triggers: {{p: {{{TRIGGER}}}}}}}}}\n"
    check(tmp_path, HEAD + nearer, [])


def test_a_param_of_a_worker_that_only_another_worker_refers_to_is_unused(tmp_path: Path) -> None:
    text = f"""\
workers:
  web: {{params: {{dir: x}}, build_command: "${{{{ params.dir }}}}", triggers: {{p: {{{TRIGGER}}}}}}}
  api:
    params: {{dir: y}}
    triggers: {{p: {{{TRIGGER}}}}}
"""
    check(tmp_path, HEAD + text, [("8:14", "the param `dir` is never used", "")])


def test_a_param_from_the_command_line_that_nothing_uses(tmp_path: Path) -> None:
    text = HEAD + 'params: {branch: a}\ndefaults: {build_command: "${{ params.branch }}"}\n' + WORKER
    (tmp_path / "p.yaml").write_text("brnch: x\n", encoding="utf-8")
    found = told(tmp_path, text, given=[("banch", "b")], param_files=["p.yaml"])
    assert found == [
        ("--param", "the param `banch` is never used", "did you mean `branch`?"),
        ("p.yaml:1:1", "the param `brnch` is never used", "did you mean `branch`?"),
    ]


PARAM_FILES = [
    ("a: 5\n", [("p.yaml:1:4", "the param `a` must be a string", 'quote it: "5"')]),
    ("a: [x]\n", [("p.yaml:1:4", "the param `a` must be a string", "")]),
    ("a: null\n", [("p.yaml:1:4", "the param `a` must be a string", "")]),
    ("a: x\na: y\n", [("p.yaml:2:1", "the key `a` is given twice, first at p.yaml:1:1", "keep one")]),
    ("a: [\n", [("p.yaml:2:1", "this is not YAML", "")]),
    ("[a]\n", [("p.yaml:1:1", "mapping", "")]),
    ("a=b\n", [("p.yaml:1:1", "mapping", "")]),
    (b"a: \xff\n", [("p.yaml:1:4", "the file is not UTF-8", "save it as UTF-8")]),
]


@pytest.mark.parametrize(("content", "expected"), PARAM_FILES, ids=[str(one[0]) for one in PARAM_FILES])
def test_a_param_file_that_is_none(tmp_path: Path, content: str | bytes, expected: list[Told]) -> None:
    text = HEAD + 'params: {a: top}\ndefaults: {build_command: "${{ params.a }}"}\n' + WORKER
    (tmp_path / "p.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    check(tmp_path, text, expected, param_files=["p.yaml"])


def test_a_param_that_only_what_is_called_params_uses_is_used(tmp_path: Path) -> None:
    text = """\
params: {a: x, b: y, c: z}
workers:
  params:
    build_command: "${{ params.a }}"
    triggers:
      params:
        branch_includes: [main]
        deploy_command: "${{ params.b }}"
        environment_variables: {params: "${{ params.c }}"}
"""
    assert told(tmp_path, HEAD + text) == []


def test_a_param_file_that_is_not_there_is_the_only_problem(tmp_path: Path) -> None:
    text = HEAD + 'defaults: {build_command: "${{ params.a }}"}\n' + WORKER
    found = told(tmp_path, text, param_files=["gone.yaml"])
    hint = "name files that can be read; of a folder every `*.yaml` and `*.yml` is read"
    assert found == [("gone.yaml:1:1", "the file cannot be read: No such file or directory", hint)]


def test_expressions_are_expanded_wherever_a_string_stands(tmp_path: Path) -> None:
    """Everywhere, or refused: an expression never stays behind as if it were a name."""
    x = "${{ params.x }}"
    text = f"""\
version: 1
owner: "{x}"
account_id: "{x}"
params: {{x: v}}
connections: {{acme/site: {{provider_account_id: "{x}1", repo_id: "{x}2", repo_name: "{x}3"}}}}
tokens: {{deploy: {{build_token_name: "{x}4"}}}}
workers:
  web:
    triggers:
      p:
        trigger_name: "{x}5"
        branch_includes: ["{x}6"]
        deploy_command: "{x}7"
        repo_connection: acme/site
        environment_variables:
          A: "{x}8"
          B: {{value: "{x}9"}}
          C: {{value_from: {{env: "{x}10"}}, value_version: "{x}"}}
          D: {{value_from: {{file: "{x}12"}}}}
          E: {{value_from: {{command: ["{x}13", "{x}14"]}}}}
"""
    wanted = load(tmp_path, text)
    assert (wanted.owner, wanted.account_id) == ("v", "v")
    assert wanted.connections[0].resource.repo_id == "v2"
    assert wanted.connections[0].resource.repo_name == "v3"
    assert wanted.tokens[0].resource.build_token_name == "v4"
    (one,) = wanted.triggers
    assert (one.resource.trigger_name, one.resource.branch_includes) == ("v5", ("v6",))
    values = {key: variable.resource for key, variable in one.variables.items()}
    assert (values["A"].value, values["B"].value) == ("v8", "v9")
    assert values["C"].value_version == "v"
    assert [values[key].value.source for key in "CDE"] == ["env v10", "file v12", "command v13"]


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ('defaults: {ignore: ["environment_variables.${{ params.x }}_*"]}\n', "6:21"),
        ('take_over_from: ["${{ params.x }}"]\n', "6:18"),
        ('workers: {api: {take_over_from: ["team-${{ params.x }}"]}}\n', "6:34"),
    ],
)
def test_an_expression_never_stays_behind_as_a_name(tmp_path: Path, field: str, place: str) -> None:
    text = f"params: {{x: v}}\n{field}"
    text += WORKER.replace("workers: {", "profiles: {").replace("web:", "w:") if "workers" in field else WORKER
    found = told(tmp_path, HEAD + text)
    if found:
        assert [where for where, _, _ in found] == [place]
        return
    wanted = load(tmp_path, HEAD + text)
    names = [*wanted.take_over_from, *(name for one in wanted.triggers for name in one.ignore)]
    names += [name for one in wanted.workers.values() for name in one.resource.take_over_from]
    assert names
    assert not any("${{" in name for name in names), names


@pytest.mark.parametrize(
    "field",
    [
        'trigger_name: "${{ params.none }}"',
        'branch_includes: ["${{ params.none }}"]',
        'deploy_command: "${{ params.none }}"',
    ],
)
def test_what_may_not_be_empty_may_not_become_empty(tmp_path: Path, field: str) -> None:
    fields = {"branch_includes": "[main]", "deploy_command": "d"}
    name, _, value = field.partition(": ")
    fields[name] = value
    lines = "".join(f"        {one}: {two}\n" for one, two in fields.items())
    text = f'params: {{none: ""}}\nworkers:\n  web:\n    triggers:\n      p:\n{lines}'
    found = told(tmp_path, HEAD + text)
    assert [name in summary for _, summary, _ in found] == [True], found


@pytest.mark.parametrize("field", ["provider_account_id", "repo_id", "build_token_name", "build_token_uuid"])
def test_what_may_not_be_empty_may_not_become_empty_in_connections_and_tokens(tmp_path: Path, field: str) -> None:
    text = 'version: 1\nowner: a\nparams: {none: ""}\n'
    if field.startswith("build"):
        text += f'tokens: {{t: {{{field}: "${{{{ params.none }}}}"}}}}\n'
    else:
        other = "repo_id" if field == "provider_account_id" else "provider_account_id"
        text += f'connections: {{a/b: {{{other}: "1", {field}: "${{{{ params.none }}}}"}}}}\n'
    found = told(tmp_path, text)
    assert [(place[:2], field in summary) for place, summary, _ in found] == [("4:", True)], found


def test_a_length_is_judged_after_interpolation(tmp_path: Path) -> None:
    """`value_version` holds 16 characters; the expression that brings it may be longer."""
    secret = "{value_from: {env: A}, value_version: '${{ params.rotation }}'}"
    text = f"params: {{rotation: '%s'}}\ndefaults: {{environment_variables: {{A: {secret}}}}}\n{WORKER}"
    one = triggers(tmp_path, text % "2026-11")["web/production"]
    assert one.variables["A"].resource.value_version == "2026-11"
    found = told(tmp_path, HEAD + text % ("2" * 17))
    assert ["`value_version` is not of the form" in summary for _, summary, _ in found] == [True]
