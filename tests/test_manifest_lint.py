"""What the API would refuse, found offline: each rule at its boundary, and turned off in every place."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_manifest_text import HEAD, Told, check, load, same, told

from reconciler.errors import ManifestError, Severity
from reconciler.manifest import lint

NULL_OWNER = HEAD.replace("owner: acme/builds", "owner: null")


def variables(count: int) -> str:
    return "{" + ", ".join(f"V{number}: x" for number in range(count)) + "}"


def one(fields: str, key: str = "p") -> str:
    """A Worker with one trigger; `fields` start at column 33 of line 5."""
    return f"workers: {{web: {{triggers: {{ {key}: {{{fields}}}}}}}}}\n"


PRODUCTION = "branch_includes: [main], deploy_command: d"
PREVIEW = 'branch_includes: ["*"], branch_excludes: [main], deploy_command: d'

ACCEPTED = {
    "a production trigger": PRODUCTION,
    "an empty list of excludes": PRODUCTION + ", branch_excludes: []",
    "a branch with every other sign": "branch_includes: ['release/1.0-x_y#z'], deploy_command: d",
    "a preview trigger": PREVIEW,
    "a command of 512": f"branch_includes: [main], deploy_command: {'x' * 512}, build_command: {'x' * 512}",
    "512 characters of more bytes": f"branch_includes: [main], deploy_command: {'é' * 512}",
    "no build step": PRODUCTION + ', build_command: ""',
    "a root of 256": f"{PRODUCTION}, root_directory: {'x' * 256}",
    "63 variables and the marker": f"{PRODUCTION}, environment_variables: {variables(63)}",
    "keys": PRODUCTION + ", environment_variables: {_: x, a: x, Z9_: x, __A1: x}",
    "5,000 characters": f"{PRODUCTION}, environment_variables: {{A: {'x' * 5000}}}",
    "5,000 characters of more bytes": f"{PRODUCTION}, environment_variables: {{A: {{value: {'é' * 5000}}}}}",
    "an empty value": PRODUCTION + ', environment_variables: {A: "", B: {value: ""}}',
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, HEAD + one(ACCEPTED[name])) == []


def test_64_variables_where_there_is_no_marker(tmp_path: Path) -> None:
    text = one(f"{PRODUCTION}, environment_variables: {variables(64)}")
    assert told(tmp_path, NULL_OWNER + text) == []
    text = one(f"{PRODUCTION}, environment_variables: {variables(65)}")
    check(tmp_path, NULL_OWNER + text, [("5:29", "65 variables, 64 are free", "take some out")])


BRANCHES = "the API refuses these `branch_includes` (400 / 12002)"
EXCLUDES = "the API refuses these `branch_excludes` (400 / 12002)"

REFUSED: dict[str, tuple[str, str, list[Told]]] = {
    "no branch": ("branch-filter", "branch_includes: [], deploy_command: d", [("5:50", BRANCHES, "name one")]),
    "an empty branch": (
        "branch-filter",
        'branch_includes: [""], deploy_command: d',
        [("5:50", BRANCHES, "name one branch")],
    ),
    "two branches": (
        "branch-filter",
        "branch_includes: [main, dev], deploy_command: d",
        [("5:50", BRANCHES, 'name one branch, or `["*"]` for a preview trigger; patterns are not taken')],
    ),
    "a pattern": (
        "branch-filter",
        'branch_includes: ["preview/*"], deploy_command: d',
        [("5:50", BRANCHES, "patterns are not taken")],
    ),
    "two stars": (
        "branch-filter",
        'branch_includes: ["**"], deploy_command: d',
        [("5:50", BRANCHES, "patterns are not taken")],
    ),
    "all and one more": (
        "branch-filter",
        'branch_includes: ["*", dev], branch_excludes: [main], deploy_command: d',
        [("5:50", BRANCHES, '`["*"]` already is every branch: leave the others out')],
    ),
    "production with an exclude": (
        "branch-filter",
        PRODUCTION + ", branch_excludes: [dev]",
        [("5:94", EXCLUDES, "excludes none")],
    ),
    "preview without an exclude": (
        "branch-filter",
        'branch_includes: ["*"], deploy_command: d',
        [("5:29", EXCLUDES, "a preview trigger excludes exactly one branch, the production branch")],
    ),
    "preview with an empty list": (
        "branch-filter",
        'branch_includes: ["*"], branch_excludes: [], deploy_command: d',
        [("5:74", EXCLUDES, "exactly one branch")],
    ),
    "preview with two excludes": (
        "branch-filter",
        'branch_includes: ["*"], branch_excludes: [main, dev], deploy_command: d',
        [("5:74", EXCLUDES, "exactly one branch")],
    ),
    "preview that excludes all": (
        "branch-filter",
        'branch_includes: ["*"], branch_excludes: ["*"], deploy_command: d',
        [("5:74", EXCLUDES, "exactly one branch")],
    ),
    "preview that excludes a pattern": (
        "branch-filter",
        'branch_includes: ["*"], branch_excludes: ["release/*"], deploy_command: d',
        [("5:74", EXCLUDES, "exactly one branch")],
    ),
    "preview that excludes an empty name": (
        "branch-filter",
        'branch_includes: ["*"], branch_excludes: [""], deploy_command: d',
        [("5:74", EXCLUDES, "exactly one branch")],
    ),
    "an empty deploy command": (
        "empty-deploy-command",
        'branch_includes: [main], deploy_command: ""',
        [("5:74", "`deploy_command` is empty, which the API refuses (400 / 12002)", "`npx wrangler deploy`")],
    ),
    "a deploy command of 513": (
        "command-length",
        f"branch_includes: [main], deploy_command: {'x' * 513}",
        [("5:74", "`deploy_command` has 513 characters, the API takes 512", "a script of the repository")],
    ),
    "a build command of 513": (
        "command-length",
        f"{PRODUCTION}, build_command: {'x' * 513}",
        [("5:92", "`build_command` has 513 characters, the API takes 512", "a script of the repository")],
    ),
    "a root of 257": (
        "root-directory-length",
        f"{PRODUCTION}, root_directory: {'x' * 257}",
        [("5:93", "`root_directory` has 257 characters, the API takes 256", "use a shorter path")],
    ),
    "64 variables and the marker": (
        "too-many-variables",
        f"{PRODUCTION}, environment_variables: {variables(64)}",
        [("5:29", "64 variables, 63 are free for a manifest (400 / 12002)", "buildsctl keeps one for itself")],
    ),
    "keys": (
        "variable-key",
        PRODUCTION + ", environment_variables: {1A: x, a-b: x, '': x, ä: x, \"A\\n\": x, a b: x}",
        [
            ("5:101", "`1A` is not a name that the API takes", "letters, digits and `_`"),
            ("5:108", "`a-b` is not a name that the API takes", "letters, digits and `_`"),
            ("5:116", "`` is not a name that the API takes", "letters, digits and `_`"),
            ("5:123", "`ä` is not a name that the API takes", "letters, digits and `_`"),
            ("5:129", "`A\n` is not a name that the API takes", "letters, digits and `_`"),
            ("5:139", "`a b` is not a name that the API takes", "letters, digits and `_`"),
        ],
    ),
    "5,001 characters": (
        "variable-length",
        f"{PRODUCTION}, environment_variables: {{A: {'x' * 5001}}}",
        [("5:104", "`A` has 5,001 characters, the API takes 5,000", "keep the text in the repository")],
    ),
    "5,001 characters the long way": (
        "variable-length",
        f"{PRODUCTION}, environment_variables: {{A: {{value: {'x' * 5001}}}}}",
        [("5:112", "`A` has 5,001 characters, the API takes 5,000", "keep the text in the repository")],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    rule, fields, expected = REFUSED[name]
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, HEAD + one(fields))
    found = sorted(
        (str(problem.position).removeprefix("m.yaml:"), problem.summary, problem.hint)
        for problem in caught.value.diagnostics
    )
    assert same(found, expected), "\n".join(map(str, found))
    for problem in caught.value.diagnostics:
        assert problem.rule == rule
        assert problem.hint.endswith(f"; to insist, `lint: {{allow: [{rule}]}}`")
        assert problem.address.startswith(("trigger/web/p", "env/web/p/"))


TWO = f"workers:\n  web:\n    triggers:\n      a: {{{PRODUCTION}}}\n      b: {{{PRODUCTION}}}\n"


def test_two_of_a_kind(tmp_path: Path) -> None:
    two = "workers:\n  web:\n    triggers:\n      a: {%s}\n      b: {%s}\n"
    summary, hint = "a second %s trigger beside `a` (409 / 12042)", "keep one of each kind"
    text = HEAD + two % (PRODUCTION, PRODUCTION.replace("main", "dev"))
    check(tmp_path, text, [("9:7", summary % "production", hint)])
    check(tmp_path, HEAD + two % (PREVIEW, PREVIEW), [("9:7", summary % "preview", hint)])
    assert told(tmp_path, HEAD + two % (PREVIEW, PRODUCTION)) == []


def test_three_triggers(tmp_path: Path) -> None:
    text = f"{HEAD}{TWO}      c: {{{PREVIEW}}}\n      d: {{{PRODUCTION}}}\n"
    found = told(tmp_path, text)
    assert [place for place, _, _ in found] == ["11:7", "9:7"]


def test_each_worker_for_itself(tmp_path: Path) -> None:
    text = f"workers: {{a: {{triggers: {{p: {{{PRODUCTION}}}}}}}, b: {{triggers: {{p: {{{PRODUCTION}}}}}}}}}\n"
    assert told(tmp_path, HEAD + text) == []


def test_the_rules_see_what_the_layers_make_of_it(tmp_path: Path) -> None:
    """Positions are those of the layer that brought the value."""
    text = f"""\
params: {{long: {"x" * 300}}}
defaults: {{environment_variables: {variables(40)}, root_directory: "${{{{ params.long }}}}"}}
profiles:
  p:
    triggers:
      production: {{branch_includes: [main, dev], deploy_command: d}}
workers:
  web:
    profile: p
    environment_variables: {variables(64)}
"""
    check(
        tmp_path,
        HEAD + text,
        [
            ("10:37", BRANCHES, ""),
            ("10:7", "64 variables, 63 are free", ""),
            (f"6:{text.splitlines()[1].index('root_directory') + 17}", "`root_directory` has 300 char", ""),
        ],
    )


# --- lint.allow

PLACES = {
    "at the top": "lint: {allow: [branch-filter]}\nworkers: {web: {triggers: {p: {%s}}}}\n",
    "in defaults": "defaults: {lint: {allow: [branch-filter]}}\nworkers: {web: {triggers: {p: {%s}}}}\n",
    "on the Worker": "workers: {web: {lint: {allow: [branch-filter]}, triggers: {p: {%s}}}}\n",
    "on the trigger": "workers: {web: {triggers: {p: {lint: {allow: [branch-filter]}, %s}}}}\n",
    "in a profile": (
        "profiles: {n: {lint: {allow: [branch-filter]}}}\nworkers: {web: {profile: n, triggers: {p: {%s}}}}\n"
    ),
    "on a profile's trigger": (
        "profiles: {n: {triggers: {p: {lint: {allow: [branch-filter]}}}}}\n"
        "workers: {web: {profile: n, triggers: {p: {%s}}}}\n"
    ),
    "beside others": "lint: {allow: [variable-key, branch-filter]}\nworkers: {web: {triggers: {p: {%s}}}}\n",
}
PATTERN = "branch_includes: ['preview/*'], deploy_command: d"


@pytest.mark.parametrize("name", PLACES)
def test_a_rule_is_turned_off(tmp_path: Path, name: str) -> None:
    text = PLACES[name] % PATTERN
    assert told(tmp_path, HEAD + text) == []
    (trigger,) = load(tmp_path, HEAD + text).triggers
    assert "branch-filter" in trigger.allow
    other = text.replace("branch-filter", "command-length")
    assert [summary for _, summary, _ in told(tmp_path, HEAD + other)] == [BRANCHES]


@pytest.mark.parametrize("name", PLACES)
def test_a_rule_that_is_none(tmp_path: Path, name: str) -> None:
    text = PLACES[name] % PRODUCTION
    found = told(tmp_path, HEAD + text.replace("branch-filter", "branch-fitler"))
    assert [(summary, hint) for _, summary, hint in found] == [
        ("there is no lint rule `branch-fitler`", "did you mean `branch-filter`?")
    ]
    place = found[0][0]
    line, column = map(int, place.split(":"))
    assert (HEAD + text).splitlines()[line - 1][column - 1 :].startswith("branch-filter")


def test_a_rule_that_is_near_nothing_lists_them_all(tmp_path: Path) -> None:
    ((_, _, hint),) = told(tmp_path, HEAD + "lint: {allow: [zzz]}\n")
    assert hint == f"rules: {', '.join(sorted(lint.NAMES))}"


def test_turned_off_for_one_is_not_turned_off_for_the_other(tmp_path: Path) -> None:
    text = f"""\
workers:
  a: {{lint: {{allow: [branch-filter]}}, triggers: {{p: {{{PATTERN}}}}}}}
  b: {{triggers: {{p: {{{PATTERN}}}}}}}
  c:
    triggers:
      p: {{{PATTERN}, lint: {{allow: [branch-filter]}}}}
      q: {{branch_includes: ["*"], deploy_command: d}}
"""
    check(tmp_path, HEAD + text, [("7:39", BRANCHES, ""), ("11:7", EXCLUDES, "")])


@pytest.mark.parametrize("rule", sorted(lint.NAMES))
def test_every_rule_can_be_turned_off(tmp_path: Path, rule: str) -> None:
    cases = [HEAD + one(fields) for name, fields, _ in REFUSED.values() if name == rule]
    cases += [HEAD + TWO] if rule == "one-trigger-per-kind" else []
    cases += [HEAD + text for name, text, _ in WARNED.values() if name == rule]
    assert cases
    for text in cases:
        assert told(tmp_path, f"{text}lint: {{allow: [{rule}]}}\n") == []


SECRET = "{value_from: {env: S}}"
BOTH = f"workers: {{web: {{triggers: {{p: {{{PRODUCTION}}}, q: {{{PREVIEW}%s}}}}}}}}\n"
PROFILE = """profiles:
  p:
    triggers:
      production: {branch_includes: [main], deploy_command: d}
      preview: {branch_includes: ["*"], branch_excludes: [main], deploy_command: u}
"""
WARNED: dict[str, tuple[str, str, str]] = {
    **{
        f"a preview that runs {command}": (
            "preview-deploys",
            one(PREVIEW.replace(": d", f": {command}")),
            "every branch goes",
        )
        for command in (
            "npx wrangler deploy",
            "pnpm exec wrangler deploy --env x",
            "npx wrangler@4 --cwd a deploy",
            "wrangler publish",
        )
    },
    "a preview that takes the production branch too": (
        "overlapping-triggers",
        BOTH.replace("branch_excludes: [main]", "branch_excludes: [dev]") % "",
        "a push to `main` builds by this trigger and by `p`",
    ),
    "secrets on a preview": (
        "secret-on-preview",
        one(
            f"{PREVIEW}, environment_variables: {{B: {SECRET}, C: {{is_secret: true}}, D: x, E: {{is_secret: false}}}}"
        ),
        "a preview trigger has secrets, which the code of any branch can read: B, C",
    ),
    "the token that Builds injects": (
        "injected-variable",
        one(f"{PRODUCTION}, environment_variables: {{CLOUDFLARE_API_TOKEN: {SECRET}}}"),
        "overrides the token that Builds injects",
    ),
    "a variable that Builds sets": (
        "injected-variable",
        one(f"{PRODUCTION}, environment_variables: {{WORKERS_CI_BRANCH: x}}"),
        "`WORKERS_CI_BRANCH` is set by Builds itself",
    ),
    "a token in plain sight": (
        "plain-credential",
        one(f"{PRODUCTION}, environment_variables: {{X: ghp_{'a' * 36}}}"),
        "the plain value of `X` looks like a credential",
    ),
    "a password in plain sight": (
        "plain-credential",
        one(f"{PRODUCTION}, environment_variables: {{DB_PASSWORD: {{value: hunter2hunter2}}}}"),
        "the plain value of `DB_PASSWORD` looks like a credential",
    ),
    **{
        f"the watch path {path}": (
            "watch-path",
            one(f'{PRODUCTION}, path_includes: ["{path}"]'),
            f"the watch path `{path}` {why}",
        )
        for path, why in (
            ("apps/**", "holds `**`"),
            ("apps/*/src", "holds a `*` inside"),
            ("/apps/*", "does not begin"),
            ("./apps/*", "does not begin"),
        )
    },
    "an excluded watch path": (
        "watch-path",
        one(f'{PRODUCTION}, path_excludes: ["a*b"]'),
        "the watch path `a*b` holds a `*` inside",
    ),
    "a field that flattens the profile": (
        "profile-override",
        f"{PROFILE}workers: {{web: {{profile: p, deploy_command: x}}}}\n",
        "`deploy_command` of the Worker overrides values in which the triggers of its profile differ",
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_warned(tmp_path: Path, name: str) -> None:
    rule, text, summary = WARNED[name]
    found = load(tmp_path, HEAD + text).diagnostics
    assert [one.rule for one in found] == [rule]
    assert summary in found[0].summary
    assert found[0].severity is Severity.WARNING
    assert f"lint: {{allow: [{rule}]}}" in found[0].hint


@pytest.mark.parametrize(
    "fields",
    [
        PREVIEW.replace(": d", ": npx wrangler versions upload"),
        PRODUCTION.replace(": d", ": npx wrangler deploy"),
        f"{PRODUCTION}, environment_variables: {{B: {SECRET}}}",
        f"{PRODUCTION}, path_includes: ['apps/web/*', '*.md', '*'], path_excludes: [docs/*]",
        f"{PRODUCTION}, environment_variables: {{AUTH_URL: https://x.example.com/token, TOKEN_TTL: '3600'}}",
        f"{PRODUCTION}, environment_variables: {{AUTHOR: somebody-else}}",
        f"{PRODUCTION}, environment_variables: {{SECRET_NAME: short, USE_AUTH: 'true', API_KEY: ''}}",
    ],
)
def test_not_warned(tmp_path: Path, fields: str) -> None:
    assert told(tmp_path, HEAD + one(fields)) == []


def test_a_worker_that_overrides_alike_triggers_is_fine(tmp_path: Path) -> None:
    text = PROFILE.replace(": u", ": d") + "workers: {web: {profile: p, deploy_command: x}}\n"
    assert told(tmp_path, HEAD + text) == []


@pytest.mark.parametrize("place", ["top", "worker", "trigger"])
def test_warnings_are_turned_off_in_every_place(tmp_path: Path, place: str) -> None:
    allow = "lint: {allow: [watch-path]}"
    trigger = f"{{{PRODUCTION}, path_includes: ['a**']{f', {allow}' if place == 'trigger' else ''}}}"
    text = f"workers: {{web: {{triggers: {{p: {trigger}}}{f', {allow}' if place == 'worker' else ''}}}}}\n"
    text += f"{allow}\n" if place == "top" else ""
    assert told(tmp_path, HEAD + text) == []
