"""What the API would refuse, found offline: each rule at its boundary, and turned off in every place."""

from __future__ import annotations

import json
import time
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
    "a branch twice": (
        "branch-filter",
        "branch_includes: [main, main], deploy_command: d",
        [("5:50", BRANCHES, "name one branch")],
    ),
    "preview with an exclude twice": (
        "branch-filter",
        'branch_includes: ["*"], branch_excludes: [main, main], deploy_command: d',
        [("5:74", EXCLUDES, "exactly one branch")],
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
    "on a trigger, a profile and a Worker of odd names": (
        "profiles: {params: {triggers: {connections: {lint: {allow: [branch-filter]}}}}}\n"
        "workers: {tokens: {profile: params, triggers: {connections: {%s}}}}\n"
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
      q: {{branch_includes: ["*"], deploy_command: d, lint: {{allow: [overlapping-triggers]}}}}
"""
    check(tmp_path, HEAD + text, [("7:39", BRANCHES, ""), ("11:7", EXCLUDES, "")])


@pytest.mark.parametrize("rule", sorted(lint.NAMES))
def test_every_rule_can_be_turned_off(tmp_path: Path, rule: str) -> None:
    cases = [HEAD + one(fields) for name, fields, _ in REFUSED.values() if name == rule]
    cases += [HEAD + TWO.replace("main", "dev", 1)] if rule == "one-trigger-per-kind" else []
    cases += [HEAD + text for name, text, _ in WARNED.values() if name == rule]
    assert cases
    for text in cases:
        assert told(tmp_path, f"{text}lint: {{allow: [{rule}]}}\n") == []


# --- warnings: legal, and harmful

SECRET = "{value_from: {env: S}}"
PROFILE = """profiles:
  p:
    triggers:
      production: {branch_includes: [main], deploy_command: d}
      preview: {branch_includes: ["*"], branch_excludes: [main], deploy_command: u}
"""
TWIN = f"{{{PRODUCTION}}}"
UPLOAD = "use `wrangler versions upload`"
SAY_IT = "say it under the Worker's `triggers`, for the one that is meant"
ENDS = "a `*` stands at the start or the end of a rule, and matches slashes as well"


def both(preview: str = "main", more: str = "") -> str:
    """A production trigger `p` of main, and a preview trigger `q` on line 9 that leaves out `preview`."""
    q = PREVIEW.replace("[main]", f"[{preview}]")
    return f"workers:\n  web:\n    triggers:\n      p: {{{PRODUCTION}{more}}}\n      q: {{{q}{more}}}\n"


def variable(text: str) -> str:
    """A production trigger whose variables start at column 101 of line 5."""
    return one(f"{PRODUCTION}, environment_variables: {{{text}}}")


def overridden(fields: str) -> str:
    """A Worker of the profile, whose own fields start at column 29 of line 10."""
    return f"{PROFILE}workers: {{web: {{profile: p, {fields}}}}}\n"


WARNED: dict[str, tuple[str, str, Told]] = {
    **{
        f"a preview that runs {command!r}": (
            "preview-deploys",
            one(PREVIEW.replace(": d", f": {json.dumps(command)}")),
            ("5:98", f"a preview trigger runs `wrangler {verb}`: every branch goes into production", UPLOAD),
        )
        for command, verb in {
            "npx wrangler deploy": "deploy",
            "pnpm exec wrangler deploy --env x": "deploy",
            "npx wrangler@4 --cwd a deploy": "deploy",
            "bunx wrangler -c=a.toml --env-file b --no-bundle \\\n  deploy": "deploy",
            "./node_modules/.bin/wrangler publish": "publish",
            "npm test && (npx wrangler versions upload; npx wrangler versions deploy -y)": "versions deploy",
            "sh -c 'npx wrangler deploy'": "deploy",
            "npx wrangler deploy --dry-run && npx wrangler deploy": "deploy",
        }.items()
    },
    "a preview whose build deploys": (
        "preview-deploys",
        one(f"{PREVIEW}, build_command: npm run build && npx wrangler deploy"),
        ("5:116", "a preview trigger runs `wrangler deploy`", UPLOAD),
    ),
    "a preview that takes the production branch too": (
        "overlapping-triggers",
        both("dev"),
        ("9:52", "a push to `main` builds by this trigger and by `p`", "exclude it here: `branch_excludes: [main]`;"),
    ),
    "two of a kind, one branch": (
        "overlapping-triggers",
        f"workers: {{web: {{lint: {{allow: [one-trigger-per-kind]}}, triggers: {{a: {TWIN}, b: {TWIN}}}}}}}\n",
        ("5:137", "a push to `main` builds by this trigger and by `a`", "let each trigger name a branch of its own"),
    ),
    "branches by patterns": (
        "overlapping-triggers",
        both(more=", lint: {allow: [branch-filter]}").replace("[main], deploy", "['release/*'], deploy", 1),
        ("9:52", "a push to `release/*` builds by this trigger and by `p`", "`branch_excludes: [release/*]`"),
    ),
    "secrets on a preview": (
        "secret-on-preview",
        one(
            f"{PREVIEW}, environment_variables: {{B: {SECRET}, C: {{is_secret: true}}, D: x, E: {{is_secret: false}}}}"
        ),
        ("5:125", "a preview trigger has secrets, which the code of any branch can read: B, C", "of their own"),
    ),
    "the token that Builds injects": (
        "injected-variable",
        variable(f"CLOUDFLARE_API_TOKEN: {SECRET}"),
        ("5:101", "overrides the token that Builds injects", "choose the token with `build_token`"),
    ),
    **{
        f"{name}, which Builds sets": (
            "injected-variable",
            variable(f"{name}: x"),
            ("5:101", f"`{name}` is set by Builds itself", f"set it there: `{name}=… npm run build`"),
        )
        for name in ("CI", "WORKERS_CI", "WORKERS_CI_BUILD_UUID", "WORKERS_CI_COMMIT_SHA", "WORKERS_CI_BRANCH")
    },
    **{
        f"{name}: {value}": (
            "plain-credential",
            variable(f"{name}: '{value}'"),
            (f"5:{103 + len(name)}", f"the plain value of `{name}` looks like a credential", "make it a secret"),
        )
        for name, value in {
            "X": f"ghp_{'a' * 36}",
            "NEXT_PUBLIC_X": f"ghp_{'a' * 36}",
            "NPM_CONFIG": f"//registry.npmjs.org/:_authToken=npm_{'a' * 36}",
            "KEY": "-----BEGIN RSA PRIVATE KEY-----",
            "DATABASE": "postgres://app:hunter2@db.example.com/app",
            "CACHE": "redis://:hunter2@cache.example.com",
            "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
            "AWS": "AKIAIOSFODNN7EXAMPLE",
            "SENTRY": f"sntrys_{'a' * 40}",
            "STRIPE": f"sk_live_{'a' * 24}",
            "SECRET_KEY_BASE": "1f0a9c2b7d",
            "CLIENT_SECRET_PROD": "1f0a9c2b7d",
            "apiKey2": "1f0a9c2b7d",
            "NPM_AUTH": "1f0a9c2b7d",
        }.items()
    },
    "a password the long way": (
        "plain-credential",
        variable("DB_PASSWORD: {value: hunter2hunter2}"),
        ("5:114", "the plain value of `DB_PASSWORD` looks like a credential", "make it a secret"),
    ),
    **{
        f"the watch path {path}": (
            "watch-path",
            one(f'{PRODUCTION}, path_includes: ["{path}"]'),
            ("5:93", f"the watch path `{path}` {why}", hint),
        )
        for path, why, hint in (
            ("**", "holds `**`, which is not documented", "write `*`;"),
            ("apps/**", "holds `**`", "write `apps/*`;"),
            ("**/*.md", "holds `**`", ENDS),
            ("apps/*/src", "holds a `*` inside, where it is no wildcard", ENDS),
            ("/apps/*", "does not begin at the root of the repository", "write `apps/*`;"),
            ("./apps/**", "holds `**`", "write `apps/*`;"),
            ("../apps/*", "does not begin", "write `apps/*`;"),
            ("/", "does not begin", ENDS),
        )
    },
    "an excluded watch path": (
        "watch-path",
        one(f'{PRODUCTION}, path_excludes: ["docs/*", "a*b"]'),
        ("5:103", "the watch path `a*b` holds a `*` inside", ENDS),
    ),
    "a field that flattens the profile": (
        "profile-override",
        overridden("deploy_command: x"),
        (
            "10:29",
            "`deploy_command` of the Worker overrides values in which the triggers of its profile differ",
            SAY_IT,
        ),
    ),
    "a null that flattens the profile": (
        "profile-override",
        overridden("branch_excludes: null, lint: {allow: [branch-filter, overlapping-triggers]}"),
        ("10:29", "`branch_excludes` of the Worker overrides", SAY_IT),
    ),
    "a variable that flattens the profile": (
        "profile-override",
        overridden("environment_variables: {STAGE: x}").replace(": d}", ": d, environment_variables: {STAGE: live}}"),
        ("10:53", "`environment_variables.STAGE` of the Worker overrides", SAY_IT),
    ),
    "a default that one trigger of the profile overrides": (
        "profile-override",
        overridden("build_command: x").replace(": d}", ": d, build_command: y}"),
        ("10:29", "`build_command` of the Worker overrides", SAY_IT),
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_warned(tmp_path: Path, name: str) -> None:
    rule, text, expected = WARNED[name]
    check(tmp_path, HEAD + text, [expected])
    (found,) = load(tmp_path, HEAD + text).diagnostics
    assert (found.rule, found.severity) == (rule, Severity.WARNING)
    assert found.hint.endswith(f"; to insist, `lint: {{allow: [{rule}]}}`")
    assert found.address.startswith(("trigger/web/", "env/web/p/"))


NOT_WARNED = {
    **{
        f"a preview that runs {command!r}": one(PREVIEW.replace(": d", f": {json.dumps(command)}"))
        for command in (
            "npx wrangler versions upload",
            "npx wrangler versions list deploy",
            "npx wrangler deploy --dry-run",
            "npx wrangler --name deploy versions upload",
            "npx wrangler pages deploy dist",
            "npm run wrangler-deploy && node wrangler.js deploy",
            "npx wrangler --version && ./deploy",
            "wrangler",
        )
    },
    "production that deploys": one(PRODUCTION.replace(": d", ": npx wrangler deploy")),
    "a preview beside production": both(),
    "a secret on production": variable(f"B: {SECRET}"),
    "plain variables on a preview": one(f"{PREVIEW}, environment_variables: {{A: x, B: {{is_secret: false}}}}"),
    "names near those that Builds sets": variable("CI_X: x, WORKERS_CI_X: x, CLOUDFLARE_ACCOUNT_ID: x"),
    "watch paths": one(
        f"{PRODUCTION}, path_includes: ['apps/web/*', '*.md', '*', '*/x/*', a], path_excludes: [docs/*]"
    ),
    **{
        f"{name}: {value}": variable(f"{name}: '{value}'")
        for name, value in {
            "AUTH_URL": "https://x.example.com/token",
            "TOKEN_TTL": "3600",
            "AUTHOR": "somebody-else",
            "SECRET_NAME": "the-secret-of-web",
            "AUTH_DOMAIN": "acme.auth0.example.com",
            "NEXT_PUBLIC_AUTH0_CLIENT": "1f0a9c2b7d",
            "TOKEN_ADDRESS": "0x1f0a9c2b7d1f0a9c2b7d",
            "PASSWORD": "short",
            "USE_AUTH": "true",
            "API_KEY": "",
            "SESSION_SECRET": "placeholder-for-the-build",
            "DB_PASSWORD": "xxxxxxxxxxxx",
            "PRIVATE_KEY": "/etc/keys/private.pem",
            "DATABASE": "postgres://postgres:postgres@localhost:5432/test",
            "VITE_API_KEY": f"AIza{'a' * 35}",
            "MODE": "task-a-long-name-with-many-words-in-it",
            "GIT": "ssh://git@github.com/acme/site",
        }.items()
    },
    "a Worker that overrides alike triggers": overridden("deploy_command: x").replace(": u", ": d"),
    "a Worker that says it again for one": overridden("deploy_command: x, triggers: {preview: {deploy_command: u}}"),
    "a Worker with one of the profile's triggers": overridden("deploy_command: x, triggers: {preview: null}"),
    "what the profile has and its triggers do not": overridden("build_command: x").replace(
        "  p:", "  p:\n    build_command: y"
    ),
    "a trigger of the Worker's own": (
        PROFILE.partition("      preview")[0]
        + f"workers: {{web: {{profile: p, deploy_command: x, triggers: {{preview: {{{PREVIEW}}}}}}}}}\n"
    ),
}


@pytest.mark.parametrize("name", NOT_WARNED)
def test_not_warned(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, HEAD + NOT_WARNED[name]) == []


@pytest.mark.parametrize("place", PLACES)
def test_a_warning_is_turned_off_in_every_place(tmp_path: Path, place: str) -> None:
    text = PLACES[place] % f"{PRODUCTION}, path_includes: ['a**']"
    assert [summary for _, summary, _ in told(tmp_path, HEAD + text)] == [
        "the watch path `a**` holds `**`, which is not documented"
    ]
    assert told(tmp_path, HEAD + text.replace("branch-filter", "watch-path")) == []


@pytest.mark.parametrize("key", ["p", "q"])
def test_an_overlap_is_allowed_by_either_trigger(tmp_path: Path, key: str) -> None:
    text = both("dev").replace(f"      {key}: {{", f"      {key}: {{lint: {{allow: [overlapping-triggers]}}, ")
    assert told(tmp_path, HEAD + text) == []


def test_secrets_from_the_defaults_are_told_once(tmp_path: Path) -> None:
    text = f"defaults: {{environment_variables: {{A: {SECRET}, B: {SECRET}}}}}\nworkers:\n"
    text += "".join(f"  {name}: {{triggers: {{q: {{{PREVIEW}}}}}}}\n" for name in ("a", "b", "c"))
    check(tmp_path, HEAD + text, [("5:36", "can read: A, B", "")])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deploy_command", "wrangler" + " --a=b=c=d" * 1_900),
        ("deploy_command", "wrangler -c " * 1_600),
        ("environment_variables", "eyJaaaaaaaaaa-" * 1_400),
        ("environment_variables", "-----BEGIN " * 1_700),
        ("path_includes", "*a" * 9_000),
    ],
)
def test_no_value_takes_a_rule_long(tmp_path: Path, field: str, value: str) -> None:
    given = {"environment_variables": f"{{A: '{value}'}}", "path_includes": f"['{value}']"}.get(field, f"'{value}'")
    fields = PREVIEW.replace(", deploy_command: d", "") if field == "deploy_command" else PREVIEW
    begin = time.process_time()
    told(tmp_path, HEAD + one(f"{fields}, {field}: {given}"))
    assert time.process_time() - begin < 5
