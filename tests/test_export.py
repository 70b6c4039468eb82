"""Whatever is live, exported and planned, is nothing but adopts; a second export changes no byte."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import fake_server as server
import pytest
import story
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import ownership
from reconciler.sandbox import Sandbox

TEXT = st.one_of(
    st.sampled_from(
        [
            "main",
            "on",
            "1.10",
            "0x1f",
            "0o14",
            "~",
            "null",
            "a: b",
            "# x",
            "-",
            "*",
            "&a",
            "!t",
            "${{ params.x }}",
            "$${{",
            "web",
            "apps/web/*",
            "x y",
            " x",
            "x ",
            "'",
            '"',
            "\\",
            "\t",
            "é",
            "\u202e",
            "😀",
            "{a}",
            "[b]",
            "a, b",
            "12:30",
        ]
    ),
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), min_size=1, max_size=12),
)
LIST = st.lists(TEXT, max_size=3, unique=True)
VARIABLES = st.dictionaries(
    st.sampled_from(["A", "B", "API_TOKEN", "DATABASE_URL", "_x"]),
    st.one_of(st.just(""), TEXT, st.just({"is_secret": True, "value": "canary-1"}), st.just("ghp_" + "a" * 36)),
    max_size=4,
)
PROTECTED = {"owner": "acme/builds", "key": "prod", "protect": True}
TRIGGER = st.fixed_dictionaries(
    {
        "worker": st.sampled_from(["web", "api", "a-b", "a_b"]),
        "trigger_name": st.one_of(st.sampled_from(["production", "preview", "web"]), TEXT),
        "branch_includes": st.one_of(st.just(["main"]), st.just(["*"]), LIST),
        "branch_excludes": st.one_of(st.just([]), st.just(["main"]), LIST),
        "path_includes": st.one_of(st.just(["*"]), st.just(["apps/web/*"]), LIST),
        "path_excludes": st.one_of(st.just([]), LIST),
        "build_command": st.one_of(st.just(""), st.none(), TEXT),
        "deploy_command": st.one_of(st.just("npx wrangler deploy"), TEXT, st.just("")),
        "root_directory": st.sampled_from(["/", "", "apps/web", "/apps/api/", None]),
        "build_caching_enabled": st.booleans(),
        "build_token_uuid": st.sampled_from([f"22222222-0000-4000-8000-00000000000{n}" for n in range(1, 6)]),
        "repo_connection_uuid": st.sampled_from([f"11111111-0000-4000-8000-00000000000{n}" for n in range(1, 4)]),
        "environment_variables": VARIABLES,
        "marker": st.sampled_from(
            [None, None, {"owner": "acme/builds", "key": "prod"}, {"owner": "them", "key": "x"}, PROTECTED]
        ),
    }
)


def _estate(triggers: list[dict[str, Any]]) -> dict[str, Any]:
    names = [
        "one",
        "doubled",
        "doubled",
        "acme/builds:deploy [2-abcdef---------]",
        "acme/builds:deploy [1-abcdef---------]",
    ]
    repos = [("41", "5", "acme", "site"), ("41", "6", "acme", "site"), ("9", "7", "${{ x", 'odd"name')]
    return {
        "workers": [{"id": name} for name in ("web", "api", "a-b", "a_b", "bare")],
        "build_tokens": [
            {
                "build_token_name": name,
                "cloudflare_token_id": f"t{n}",
                "build_token_uuid": f"22222222-0000-4000-8000-00000000000{n}",
            }
            for n, name in enumerate(names, 1)
        ],
        "connections": [
            {
                "provider_account_id": account,
                "provider_account_name": owner,
                "repo_id": repo,
                "repo_name": name,
                "repo_connection_uuid": f"11111111-0000-4000-8000-00000000000{n}",
            }
            for n, (account, repo, owner, name) in enumerate(repos, 1)
        ],
        "triggers": [{k: v for k, v in one.items() if v is not None or k != "marker"} for one in triggers],
    }


def _seeded(folder: Path, live: dict[str, Any]) -> None:
    (folder / "sandbox.db").unlink(missing_ok=True)
    sandbox = Sandbox(folder / "sandbox.db")
    sandbox.seed(story.seed_of({"live": json.loads(json.dumps(live))}))
    sandbox.close()


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in sorted(folder.rglob("*.yaml"))}


def _check_adopts(folder: str, *flags: str) -> None:
    """Nothing but adopts and kept ones of others; applying it writes markers and no secret."""
    ran = story.run(["plan", folder, "--format", "json", *flags], {})
    assert ran.code == 0, ran.stderr
    rows = json.loads(ran.stdout)["resource_changes"]
    changed = [row for row in rows if row["change"]["actions"] != ["no-op"]]
    assert [row["address"] for row in changed if row["disposition"] != "adopt"] == []
    ran = story.run(["apply", folder, "--auto-approve"], {})
    assert ran.code == 0, ran.stderr
    writes = [one for one in ran.requests if not one.startswith("GET")]
    assert all(one.startswith("PATCH") and one.endswith("/environment_variables 200") for one in writes), writes
    assert len(writes) == len(changed)


def _law(folder: Path, triggers: list[dict[str, Any]], *flags: str) -> None:
    for old in folder.rglob("*.yaml"):
        old.unlink()
    with story.folder(folder, {}):
        _seeded(folder, _estate(triggers))
        ran = story.run(["export", "--all", "-o", "builds", "--owner", "acme/builds", *flags], {})
        assert ran.code == 0, ran.stderr
        assert all(one.startswith("GET ") for one in ran.requests)
        assert "canary-1" not in ran.stderr + str(_files(folder))
        files = _files(folder)
        if not files:
            return
        _check_adopts("builds")
        again = story.run(["export", "--all", "-o", "builds", *flags], {})
        assert again.code == 0, again.stderr
        assert _files(folder) == files
        single = story.run(["export", "--all", "--owner", "acme/builds", *flags], {})
        (folder / "all.yaml").write_text(single.stdout)
        ran = story.run(["plan", "all.yaml", "--format", "json"], {})
        assert ran.code == 0, ran.stderr
        assert all(row["change"]["actions"] == ["no-op"] for row in json.loads(ran.stdout)["resource_changes"])


@pytest.mark.parametrize("flags", [(), ("--secret-sources", "--include-suspicious")], ids=["plain", "sources"])
def test_any_live_state_exports_to_nothing_but_adopts(flags: tuple[str, ...], tmp_path: Path) -> None:
    @given(st.lists(TRIGGER, max_size=6))
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(triggers: list[dict[str, Any]]) -> None:
        _law(tmp_path, triggers, *flags)

    check()


def _alike(names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "worker": name,
            "trigger_name": kind,
            "branch_includes": ["*"] if kind == "preview" else ["main"],
            "branch_excludes": ["main"] if kind == "preview" else [],
            "path_includes": [f"apps/{name}/*", "packages/*"],
            "root_directory": f"apps/{name}",
            "build_command": "npm run build",
            "deploy_command": "npx wrangler versions upload" if kind == "preview" else "npx wrangler deploy",
        }
        for name in names
        for kind in ("production", "preview")
    ]


def test_twelve_alike_workers_are_one_profile_and_a_line_each(tmp_path: Path) -> None:
    names = [f"service-{number}" for number in range(12)]
    live = {
        "workers": [{"id": name} for name in names],
        "connections": [{"provider_account_id": "1", "provider_account_name": "a", "repo_id": "2", "repo_name": "b"}],
        "build_tokens": [{"build_token_name": "by hand", "cloudflare_token_id": "t"}],
        "triggers": _alike(names),
    }
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, live)
        text = story.run(["export", "--all"], {}).stdout
    profile = text.partition("profiles:\n")[2].partition("workers:\n")[0]
    assert len(profile.splitlines()) <= 15
    assert text.partition("workers:\n")[2] == "".join(f"  {name}: {{}}\n" for name in sorted(names))


EXISTING = """\
# kept to the byte
version: 1
owner: acme
connections:
  acme/site: {provider_account_id: "1", repo_id: "2"}
tokens: {mine: {build_token_name: by hand}}
workers:
  web:
    triggers:
      production:
        branch_includes: [main]
        deploy_command: npx wrangler deploy
        environment_variables:
          A: "1"   # a comment

        # about what follows

  api: {triggers: {production: {branch_includes: [main], deploy_command: npx wrangler deploy}}}
"""


ESTATE: dict[str, Any] = {
    "workers": [{"id": name} for name in ("web", "api", "new", "bare")],
    "connections": [
        {"provider_account_id": "1", "provider_account_name": "acme", "repo_id": "2", "repo_name": "site"},
        {"provider_account_id": "1", "provider_account_name": "acme", "repo_id": "3", "repo_name": "more"},
    ],
    "build_tokens": [{"build_token_name": "by hand", "cloudflare_token_id": "t"}],
    "triggers": [
        {"repo_connection": "acme/site", "deploy_command": "npx wrangler deploy", **one}
        for one in (
            {
                "worker": "web",
                "trigger_name": "production",
                "branch_includes": ["main"],
                "environment_variables": {"A": "1", "B": "2"},
            },
            {"worker": "web", "trigger_name": "x", "branch_includes": ["*"], "branch_excludes": ["main"]},
            {
                "worker": "api",
                "trigger_name": "production",
                "branch_includes": ["main"],
                "environment_variables": {"C": "3"},
            },
            {
                "worker": "new",
                "trigger_name": "production",
                "branch_includes": ["main"],
                "repo_connection": "acme/more",
            },
        )
    ],
}


def test_into_a_folder_only_what_is_missing_is_added_and_no_other_byte_moves(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"builds/set.yaml": EXISTING}):
        _seeded(tmp_path, ESTATE)
        ran = story.run(["export", "--all", "-o", "builds"], {})
        assert ran.code == 0, ran.stderr
        files = _files(tmp_path)
        assert set(files) == {"builds/set.yaml", "builds/_shared.yaml", "builds/api.yaml", "builds/new.yaml"}
        before, after = (text.splitlines(keepends=True) for text in (EXISTING, files["builds/set.yaml"]))
        moves = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        assert [line for line in moves if line[0] == "-"] == []
        assert moves[0].split() == ["+", "B:", '"2"']
        assert "acme/more" in files["builds/_shared.yaml"]
        _check_adopts("builds")
        assert story.run(["export", "--all", "-o", "builds"], {}).code == 0
        assert _files(tmp_path) == files


def test_beside_a_manifest_only_what_it_lacks_is_added(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": EXISTING}):
        _seeded(tmp_path, ESTATE)
        ran = story.run(["export", "--all", "-o", "builds"], {})
        assert "`buildsctl plan buildsctl.yaml builds` shows what would be adopted" in ran.stderr
        files = _files(tmp_path)
        assert set(files) == {
            "buildsctl.yaml",
            "builds/_shared.yaml",
            "builds/api.yaml",
            "builds/new.yaml",
            "builds/web.yaml",
        }
        assert files["buildsctl.yaml"] == EXISTING
        both = story.run(["plan", "buildsctl.yaml", "builds"], {})
        Path("buildsctl.yaml").rename("builds/buildsctl.yaml")  # as its hint says
        plain = story.run(["plan"], {})
        assert (plain.code, plain.stdout) == (both.code, both.stdout)
        assert "4 to adopt" in plain.stdout
        assert "to delete" not in plain.stdout


@pytest.mark.parametrize(
    ("files", "folder", "hint"),
    [
        ({}, "builds", ""),
        ({}, "out", "looks for `buildsctl.yaml` and `builds` alone: name `out`"),
        ({"buildsctl.yaml": EXISTING}, "out", "reads `buildsctl.yaml` alone: name `out`"),
        ({"buildsctl.yaml": EXISTING}, "builds/", "`mv buildsctl.yaml builds` makes it one folder"),
    ],
)
def test_what_a_plain_plan_would_not_read_is_said(
    files: dict[str, str], folder: str, hint: str, tmp_path: Path
) -> None:
    with story.folder(tmp_path, files):
        _seeded(tmp_path, ESTATE)
        ran = story.run(["export", "--all", "-o", folder], {})
        assert ran.code == 0, ran.stderr
        assert hint in ran.stderr
        assert ("hint" in ran.stderr) == bool(hint)


def test_of_others_nothing_is_exported(tmp_path: Path) -> None:
    one = {**_alike(["web"])[0], "marker": {"owner": "them", "key": "production"}}
    live = {
        "workers": [{"id": "web"}],
        "connections": [{"provider_account_id": "1", "provider_account_name": "a", "repo_id": "2", "repo_name": "b"}],
        "build_tokens": [{"build_token_name": "by hand", "cloudflare_token_id": "t"}],
        "triggers": [one],
    }
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, live)
        ran = story.run(["export", "--worker", "web", "--owner", "acme"], {})
        assert "belongs to owner `them`" in ran.stderr
        assert "production" not in ran.stdout


def test_what_cannot_be_read_is_said_and_ends_in_7(tmp_path: Path) -> None:
    live = _estate(_alike(["web", "api"]))
    for one in live["triggers"]:
        one |= {"build_token_uuid": "22222222-0000-4000-8000-000000000001"}
        one |= {"repo_connection_uuid": "11111111-0000-4000-8000-000000000001"}
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, live)
        fault = f"500:GET:/builds/workers/{story.tag('api')}/triggers:times=forever"
        ran = story.run(["export", "--all"], {}, [fault])
        assert ran.code == 7
        assert "could not read the triggers of Worker `api`" in ran.stderr
        assert "web:" in ran.stdout
        assert ownership.MARKER not in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "say which Workers"),
        (["--all", "--worker", "web"], "--worker and --all exclude each other"),
        (["--worker", "wbe"], "there is no Worker `wbe`"),
        (["--all", "-o", "sandbox.db"], "is not a folder"),
        (["--all", "--owner", "!!"], "`!!` is no owner\nhint: 1 to 64 letters"),
        (["--all", "-o", "set", "--owner", "x" * 65], "is no owner"),
        (["--all", "-o", "set", "--owner", "them"], "the manifests of `set` have the owner `acme`"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], text: str, tmp_path: Path) -> None:
    with story.folder(tmp_path, {"set/set.yaml": EXISTING}):
        _seeded(tmp_path, {"workers": [{"id": "web"}]})
        ran = story.run(["export", *arguments], {})
        assert ran.code == 1
        assert text in ran.stderr
        assert bool(ran.requests) == ("wbe" in arguments)


LIVE: dict[str, Any] = {
    "workers": [{"id": name} for name in ("web", "api")],
    "connections": [{"provider_account_id": "1", "provider_account_name": "acme", "repo_id": "2", "repo_name": "site"}],
    "build_tokens": [{"build_token_name": "by hand", "cloudflare_token_id": "t"}],
}
DECLARED = """\
version: 1
owner: acme
connections:
  acme/site: {provider_account_id: "1", repo_id: "2"}
tokens: {mine: {build_token_name: by hand}}
workers:
"""
PRODUCTION = {"worker": "web", "trigger_name": "production", "branch_includes": ["main"], "deploy_command": "d"}
PREVIEW = {
    "worker": "web",
    "trigger_name": "p",
    "branch_includes": ["*"],
    "branch_excludes": ["main"],
    "deploy_command": "u",
}
WEB = """\
  web:
    triggers:
      production:
        branch_includes: [main]
        deploy_command: d
"""


def _added(folder: Path, workers: str, triggers: list[dict[str, Any]]) -> tuple[str, story.Ran]:
    """What the manifest says after an export into its folder, which changed nothing of it but by adding lines."""
    before = DECLARED + workers
    (folder / "builds").mkdir()
    (folder / "builds" / "set.yaml").write_bytes(before.encode())
    _seeded(folder, {**LIVE, "triggers": triggers})
    ran = story.run(["export", "--all", "-o", "builds"], {})
    assert ran.code == 0, ran.stderr
    after = (folder / "builds" / "set.yaml").read_bytes().decode()
    lines = iter(after.splitlines(keepends=True))
    assert all(line in lines for line in before.splitlines(keepends=True))
    _check_adopts("builds")
    return after, ran


@pytest.mark.parametrize("text", ["|\n          npm ci\n          # done\n", "|+\n          a\n\n\n"])
def test_a_block_scalar_stays_whole(text: str, tmp_path: Path) -> None:
    command = "npm ci\n# done\n" if "npm" in text else "a\n\n\n"
    with story.folder(tmp_path, {}):
        web = f"{WEB}        build_command: {text}"
        after, _ = _added(tmp_path, web, [{**PRODUCTION, "build_command": command}, PREVIEW])
        assert after == DECLARED + web
        assert (tmp_path / "builds" / "web.yaml").exists()


def test_line_breaks_stay_what_they_are(tmp_path: Path) -> None:
    web = WEB + '        environment_variables:\n          A: "1\u2028"\n'
    with story.folder(tmp_path, {}):
        variables = {"A": "1\u2028", "B": "2"}
        after, _ = _added(tmp_path, web.replace("\n", "\r\n"), [{**PRODUCTION, "environment_variables": variables}])
        assert after.endswith('          B: "2"\r\n')


def test_a_worker_that_is_declared_by_its_tag_is_that_worker(tmp_path: Path) -> None:
    website = WEB.replace("  web:\n", f"  website:\n    tag: {story.tag('web')}\n")
    with story.folder(tmp_path, {}):
        after, _ = _added(tmp_path, website, [PRODUCTION, PREVIEW])
        assert "      preview:\n" in after
        assert sorted(path.name for path in (tmp_path / "builds").glob("*.yaml")) == ["set.yaml"]


def test_what_a_null_removes_stays_out(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        after, ran = _added(
            tmp_path, f"{WEB}      preview: null\n", [PRODUCTION, PREVIEW, {**PRODUCTION, "worker": "api"}]
        )
        assert after == f"{DECLARED}{WEB}      preview: null\n"
        assert "Worker `web`: trigger `p` is not exported: `preview: null` removes it" in ran.stderr
        assert (tmp_path / "builds" / "api.yaml").exists()


def test_a_protected_trigger_stays_protected(tmp_path: Path) -> None:
    one = {**PRODUCTION, "marker": {"owner": "acme", "key": "production", "protect": True}}
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, {**LIVE, "triggers": [one]})
        text = story.run(["export", "--worker", "web", "--owner", "acme"], {}).stdout
        assert "protect: true" in text
        (tmp_path / "all.yaml").write_text(text)
        assert "No changes" in story.run(["plan", "all.yaml"], {}).stdout


def test_names_of_strangers_reach_no_terminal(tmp_path: Path) -> None:
    one = {**PRODUCTION, "trigger_name": "x\x1b]0;pwn\x07\n", "marker": {"owner": "them", "key": "k"}}
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, {**LIVE, "triggers": [one]})
        ran = story.run(["export", "--all", "--owner", "acme"], {})
        assert "\\x1b]0;pwn\\x07\\n" in ran.stderr
        assert not {"\x1b", "\x07"} & set(ran.stderr + ran.stdout)


TOKENS = [f"22222222-0000-4000-8000-00000000000{number}" for number in range(1, 4)]


def _with_tokens(*names: str) -> dict[str, Any]:
    tokens = [
        {"build_token_name": name, "cloudflare_token_id": f"t{uuid[-1]}", "build_token_uuid": uuid}
        for name, uuid in zip(names, TOKENS, strict=False)
    ]
    return {**LIVE, "build_tokens": tokens}


def test_an_export_into_manifests_keeps_each_trigger_on_its_build_token(tmp_path: Path) -> None:
    web, api = {**PRODUCTION, "build_token_uuid": TOKENS[0]}, {**PREVIEW, "build_token_uuid": TOKENS[1]}
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, {**_with_tokens("doubled", "doubled"), "triggers": [web]})
        assert story.run(["export", "--all", "-o", "builds", "--owner", "acme"], {}).code == 0
        _seeded(tmp_path, {**_with_tokens("doubled", "doubled"), "triggers": [web, api]})
        assert story.run(["export", "--all", "-o", "builds"], {}).code == 0
        assert TOKENS[1] in str(_files(tmp_path))
        _check_adopts("builds")


@pytest.mark.parametrize(
    ("token", "newest", "oldest"),
    [
        (
            "{cloudflare_token_id: t2, build_token_secret: {value_from: {env: T}}}",
            f"acme:deploy [2-{ownership.hash_token_id('t2', '')}---------]",
            f"acme:deploy [1-{ownership.hash_token_id('t1', '')}---------]",
        ),
        ("{build_token_name: them:deploy}", "them:deploy [2-abcdef---------]", "them:deploy [1-abcdef---------]"),
    ],
    ids=["managed", "another owner's"],
)
def test_a_trigger_on_an_older_generation_is_not_moved_to_the_newest(
    token: str, newest: str, oldest: str, tmp_path: Path
) -> None:
    builds = f"{DECLARED.replace('mine: {build_token_name: by hand}', f'deploy: {token}')}{WEB}"
    old, new = {**PREVIEW, "build_token_uuid": TOKENS[0]}, {**PRODUCTION, "build_token_uuid": TOKENS[1]}
    with story.folder(tmp_path, {"builds/set.yaml": builds}):
        live = [new, old, {**new, "worker": "api"}]
        _seeded(tmp_path, {**_with_tokens(oldest, newest), "triggers": live})
        ran = story.run(["export", "--all", "-o", "builds"], {})
        assert ran.code == 0, ran.stderr
        files = _files(tmp_path)
        assert TOKENS[0] in files["builds/_shared.yaml"]
        assert TOKENS[1] not in str(files)
        _check_adopts("builds")


def test_what_is_another_owners_is_named_with_the_way_to_it(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        marker = {"owner": "them/builds", "key": "production"}
        _seeded(tmp_path, {**LIVE, "triggers": [{**PRODUCTION, "marker": marker}]})
        ran = story.run(["export", "--all"], {})
        assert "`--owner them/builds` exports what is theirs" in ran.stderr
        assert "deploy_command" in story.run(["export", "--all", "--owner", "them/builds"], {}).stdout


def test_what_is_guarded_by_default_is_no_obstacle(tmp_path: Path) -> None:
    web = WEB.replace("    triggers:\n", "    protect: true\n    triggers:\n")
    with story.folder(tmp_path, {}):
        after, _ = _added(tmp_path, f"{web}defaults: {{protect: true}}\n", [PRODUCTION, PREVIEW])
        assert "      preview:\n" in after


def test_where_the_workers_could_not_be_listed_nothing_is_written(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, {**LIVE, "triggers": [PRODUCTION]})
        for arguments in (["-o", "builds"], []):
            ran = story.run(["export", "--all", *arguments], {}, ["500:GET:/workers/scripts:times=forever"])
            assert (ran.code, ran.stdout) == (7, "")
            assert "could not read" in ran.stderr
            assert not (tmp_path / "builds").exists()


def test_what_cannot_be_written_down_is_left_out_and_named(tmp_path: Path) -> None:
    many = {f"V{number}": "x" for number in range(64)}
    live = {
        **LIVE,
        "workers": [{"id": name} for name in ("web", "api", "full", "odd", "a b")],
        "triggers": [
            {**PRODUCTION, "worker": "web"},
            {**PRODUCTION, "worker": "api", "trigger_name": ""},
            {**PREVIEW, "worker": "api", "marker": {"owner": "acme", "key": "preview"}},
            {**PRODUCTION, "worker": "full", "environment_variables": many},
            {**PRODUCTION, "worker": "a b"},
            {**PRODUCTION, "worker": "odd", "branch_includes": ["a", "b"]},
        ],
    }
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, live)
        ran = story.run(["export", "--all", "-o", "builds", "--owner", "acme"], {})
        assert ran.code == 0, ran.stderr
        assert "note: Worker `api`: it is not exported: `trigger/api/production`: " in ran.stderr
        assert (
            "note: Worker `full`: it is not exported: `trigger/full/production`: 64 variables, 63 are free"
            in ran.stderr
        )
        assert "note: Worker `a b`: trigger `production` is not exported: no manifest" in ran.stderr
        assert "note: Worker `odd`: trigger `production` breaks branch-filter as it is live: allowed" in ran.stderr
        files = _files(tmp_path)
        assert set(files) == {"builds/_shared.yaml", "builds/odd.yaml", "builds/web.yaml"}
        assert "too-many-variables" not in str(files)
        _check_adopts("builds")
        assert story.run(["export", "--all", "-o", "builds"], {}).code == 0
        assert _files(tmp_path) == files


def test_every_secret_has_a_variable_of_its_own_that_a_shell_can_set(tmp_path: Path) -> None:
    def live(*workers: str) -> dict[str, Any]:
        secrets = {"DB": {"is_secret": True, "value": "canary-1"}}
        triggers = [{**PRODUCTION, "worker": name, "environment_variables": secrets} for name in workers]
        return {**LIVE, "workers": [{"id": name} for name in workers], "triggers": triggers}

    with story.folder(tmp_path, {}):
        arguments = ["export", "--all", "-o", "builds", "--secret-sources"]
        for workers, number in ((("api-v1", "api_v1"), 2), (("api-v1", "api_v1", "api.v1"), 3)):
            _seeded(tmp_path, live(*workers))
            ran = story.run(arguments, {})
            assert f"  API_V1_PRODUCTION_DB_{number} for env/" in ran.stderr
        sources = re.findall(r"env: (\w+)}", str(_files(tmp_path)))
        assert sorted(sources) == ["API_V1_PRODUCTION_DB", "API_V1_PRODUCTION_DB_2", "API_V1_PRODUCTION_DB_3"]


WITH_PARAMS = """\
version: 1
owner: acme/${{ params.stage }}
account_id: ${{ params.account }}
connections:
  acme/site: {provider_account_id: "1", repo_id: "2"}
tokens: {mine: {build_token_name: by hand}}
workers:
  web:
    triggers:
      production:
        branch_includes: [main]
        deploy_command: ${{ params.command }}
"""
PARAMS = ["--param-file", "stage.yaml", "--param", "command=d"]


def test_manifests_that_need_params_get_them(tmp_path: Path) -> None:
    files = {"builds/set.yaml": WITH_PARAMS, "stage.yaml": f"{{stage: staging, account: {story.ACCOUNT}}}\n"}
    with story.folder(tmp_path, files):
        _seeded(tmp_path, {**LIVE, "triggers": [PRODUCTION, PREVIEW, {**PRODUCTION, "worker": "api"}]})
        ran = story.run(["export", "--all", "-o", "builds"], {})
        assert ran.code == 1
        assert "give it with --param or --param-file" in ran.stderr
        ran = story.run(["export", "--all", "-o", "builds", *PARAMS], {})
        assert ran.code == 0, ran.stderr
        assert "`buildsctl plan builds --param-file=stage.yaml --param=command=d` shows" in ran.stderr
        assert _files(tmp_path)["builds/set.yaml"].startswith(f"{WITH_PARAMS}      preview:\n")
        assert "${{" not in (tmp_path / "builds" / "api.yaml").read_text()
        planned = story.run(["plan", *PARAMS], {})
        assert "Plan: 3 to adopt; " in planned.stdout
        (tmp_path / "builds" / "api.yaml").unlink()
        alone = story.run(["export", "--all", "-o", "out", "--owner", "acme", *PARAMS], {})
        assert alone.code == 0, alone.stderr
        assert "`buildsctl plan out` shows" in alone.stderr


@pytest.mark.parametrize("name", ["buildsctl.yaml", "builds/set.yaml", "elsewhere/set.yaml"])
@pytest.mark.parametrize("output", [[], ["-o", "out"], ["-o", "builds"]], ids=["", "out", "builds"])
def test_the_account_is_that_of_the_manifests(name: str, output: list[str], tmp_path: Path) -> None:
    arguments = ["export", "--all", *output, *(["--manifests", name] if "elsewhere" in name else [])]
    with server.serving() as account, story.folder(tmp_path, {name: f"{DECLARED[:-9]}account_id: {account.account}\n"}):
        account.worker("web")
        ran = server.run(arguments, server.environment(account, CLOUDFLARE_ACCOUNT_ID=None), tmp_path)
        assert ran.code == 0, ran.err
        account.log.clear()
        ran = server.run(arguments, server.environment(account, CLOUDFLARE_ACCOUNT_ID="f" * 32), tmp_path)
        assert (ran.code, account.log) == (1, [])
        assert f"the manifests are for account `{account.account}`, the command line or environment says" in ran.err


@pytest.mark.parametrize("output", [[], ["-o", "out"], ["-o", "builds"]], ids=["", "out", "builds"])
def test_where_no_manifest_says_anything_yet_there_is_none(output: list[str], tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, {**LIVE, "triggers": [PRODUCTION]})
        (tmp_path / "builds").mkdir()
        quiet = story.run(["export", "--all", *output], {})
        assert (quiet.code, "warning" in quiet.stderr) == (0, False), quiet.stderr


def test_the_file_that_a_shell_has_just_made_is_no_manifest(tmp_path: Path) -> None:
    with story.folder(tmp_path, {"buildsctl.yaml": ""}):  # as `buildsctl export --all > buildsctl.yaml` does
        _seeded(tmp_path, {**LIVE, "triggers": [PRODUCTION]})
        ran = story.run(["export", "--all"], {})
        assert (ran.code, ran.stderr) == (0, "")
        Path("buildsctl.yaml").write_text("version: [")
        ran = story.run(["export", "--all"], {})
        assert (ran.code, "warning: the manifests hold errors" in ran.stderr) == (0, True)


def _alike_estate(*names: str, **more: Any) -> dict[str, Any]:
    return {**LIVE, "workers": [{"id": name} for name in names], "triggers": _alike([*names]), **more}


def test_a_worker_like_those_before_it_is_a_line_as_they_are(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        _seeded(tmp_path, _alike_estate("w00", "w01", "w02"))
        assert story.run(["export", "--all", "-o", "builds", "--owner", "acme"], {}).code == 0
        assert _files(tmp_path)["builds/w02.yaml"].endswith("workers:\n  w02: {}\n")
        live = _alike_estate("w00", "w01", "w02", "w03", "w04", "w05")
        live["triggers"] = live["triggers"][:-1]  # w05 has no preview
        live["triggers"][8]["build_command"] = "make"  # of w04
        _seeded(tmp_path, live)
        assert story.run(["export", "--all", "-o", "builds"], {}).code == 0
        files = _files(tmp_path)
        assert files["builds/w03.yaml"].endswith("workers:\n  w03: {}\n")
        assert all("profile: null" in files[f"builds/{name}.yaml"] for name in ("w04", "w05"))
        _check_adopts("builds")


def test_a_worker_like_one_of_the_profiles_names_it(tmp_path: Path) -> None:
    profiles = """\
profiles:
  one: {triggers: {production: {branch_includes: [main], deploy_command: d, build_command: make}}}
  two: {triggers: {production: {branch_includes: ["a", "b"], deploy_command: d, lint: {allow: [branch-filter]}}}}
  odd: {triggers: {production: {branch_includes: [main], deploy_command: d, repo_connection_uuid: "9"}}}
"""
    lives = [{**PRODUCTION, "worker": "web"}, {**PRODUCTION, "worker": "a", "build_command": "make"}]
    lives += [{**PRODUCTION, "worker": "b", "branch_includes": ["a", "b"]}, {**PRODUCTION, "worker": "c"}]
    live = {**LIVE, "workers": [{"id": one["worker"]} for one in lives], "triggers": lives}
    with story.folder(tmp_path, {"builds/set.yaml": f"{DECLARED}{WEB}{profiles}"}):
        _seeded(tmp_path, live)
        ran = story.run(["export", "--all", "-o", "builds"], {})
        assert ran.code == 0, ran.stderr
        files = _files(tmp_path)
        assert "  a: {profile: one}\n" in files["builds/a.yaml"]
        assert "  b: {profile: two}\n" in files["builds/b.yaml"]
        assert "triggers:" in files["builds/c.yaml"]
        _check_adopts("builds")


def test_what_is_left_as_it_is_is_not_left_to_a_profile(tmp_path: Path) -> None:
    with story.folder(tmp_path, {}):
        for names in (["w00", "w01", "w02"], ["w00", "w01", "w02", "w03"]):
            tokens = _with_tokens("gone", "by hand")["build_tokens"]
            live = _alike_estate(*names, build_tokens=tokens)
            _seeded(
                tmp_path, {**live, "triggers": [{**one, "build_token_uuid": TOKENS[0]} for one in live["triggers"]]}
            )
            story.edit([["DELETE", f"/builds/tokens/{TOKENS[0]}"]])
            ran = story.run(["export", "--all", "-o", "builds", *(["--owner", "acme"] if len(names) == 3 else [])], {})
            assert ran.code == 0, ran.stderr
        assert _files(tmp_path)["builds/w03.yaml"].count("ignore: [build_token]") == 2
        _check_adopts("builds")
