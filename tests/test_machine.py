"""Any sequence of edits, hands, faults and kills, against a naive model of section 4 of the design.

A failing run prints a story that can be put into `tests/cases` as it is. `make test` runs a fixed, fast
profile, `make soak` as many as there is time for.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import story
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from world import World, tried

from reconciler import ownership
from reconciler.errors import SourceError
from reconciler.model import Action, Status
from reconciler.sandbox.fault_spec import parse

WORKERS = ("web", "api")
KINDS = ("production", "preview")
PAIRS = st.tuples(st.sampled_from(WORKERS), st.sampled_from(KINDS))
FIELDS: dict[str, list[Any]] = {
    "build_command": ["", "make", "npm run build"],
    "root_directory": ["/", "app"],
    "path_includes": [["*"], ["app/*", "lib/*"]],
    "build_caching_enabled": [False, True],
    "trigger_name": ["one", "two"],
}
ONE_FIELD = st.sampled_from([(name, value) for name, values in FIELDS.items() for value in values])
NAMES = ("A", "B", "S1", "S2")
FAULTS = ["500", "500-after", "502-html", "502-html-after", "truncated", "success-false", "success-false-after"]
FAULTS += ["wrong-shape", "cut-before", "cut-after"]
FLAGS = ("--max-deletes", "99", "--no-verify-token")
LIVE = {
    "workers": [{"id": name} for name in WORKERS],
    "build_tokens": [{"build_token_name": "by hand", "cloudflare_token_id": "h" * 32}],
}
VARIABLE = re.compile(r"^/builds/triggers/([^/]+)/environment_variables/([^/]+)$")
TRIGGER = re.compile(r"^/builds/triggers/([^/]+)$")
Trigger = dict[str, Any]
"""`uuid`, `fields`, `repo`, `variables`, `mine` (`e` of our marker, None where there is none) and `protect`."""


class Machine(RuleBasedStateMachine):
    """One account, one set of manifests, and a story of what happened."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.wish: dict[str, Any] = {"triggers": {}, "repo": 1, "token": 1, "secret": 1}
        self.case: dict[str, Any] = {"about": "found by the state machine", "live": LIVE, "runs": [{"args": ["apply"]}]}
        self.edits: list[list[Any]] = []
        self.sync()
        self.world = World.of(self.case, self.folder, *FLAGS)
        self.story: list[dict[str, Any]] = []

    # What the manifests say

    def sync(self) -> None:
        """Write the wish down as the manifest and the environment of the next run."""
        workers: dict[str, Any] = {name: {} for name in WORKERS}
        for (worker, kind), want in sorted(self.wish["triggers"].items()):
            body = dict(want["fields"])
            body["branch_includes"] = ["*"] if kind == "preview" else ["main"]
            body["branch_excludes"] = ["main"] if kind == "preview" else []
            body["deploy_command"] = "npx wrangler deploy"
            body["environment_variables"] = {
                name: {"value_from": {"env": name}} if name.startswith("S") else value
                for name, value in sorted(want["variables"].items())
            }
            body |= {"ignore": want["ignore"]} if want["ignore"] else {}
            body |= {"protect": True} if want["protect"] else {}
            workers[worker].setdefault("triggers", {})[kind] = body
        document = {
            "version": 1,
            "owner": "acme",
            "connections": {"acme/site": {"provider_account_id": "1", "repo_id": str(self.wish["repo"])}},
            "tokens": {
                "deploy": {
                    "cloudflare_token_id": str(self.wish["token"]) * 32,
                    "build_token_secret": {"value_from": {"env": "TOKEN"}},
                }
            },
            "workers": workers,
        }
        self.case["manifest"] = json.dumps(document)
        secret = self.wish["secret"]
        values = {"TOKEN": f"canary-t{secret}", "S1": f"canary-s1-{secret}", "S2": f"canary-s2-{secret}"}
        self.case["environment"] = {
            "BUILDSCTL_FINGERPRINT_KEY": "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=",
            **values,
        }

    @initialize(pair=PAIRS)
    def begin(self, pair: tuple[str, str]) -> None:
        self.declare(pair)
        self.set_variable(pair, "S1", "1")

    @rule(pair=PAIRS)
    def declare(self, pair: tuple[str, str]) -> None:
        self.wish["triggers"].setdefault(pair, {"fields": {}, "variables": {}, "ignore": [], "protect": False})

    @rule(pair=PAIRS)
    def undeclare(self, pair: tuple[str, str]) -> None:
        self.wish["triggers"].pop(pair, None)

    def wanted(self, pair: tuple[str, str]) -> dict[str, Any] | None:
        """The wish for `pair`, or for any other one that there is."""
        found = self.wish["triggers"]
        return found.get(pair) or next(iter(found.values()), None)

    @rule(pair=PAIRS, field=ONE_FIELD)
    def set_field(self, pair: tuple[str, str], field: tuple[str, Any]) -> None:
        want = self.wanted(pair)
        if want:
            want["fields"][field[0]] = field[1]

    @rule(pair=PAIRS, name=st.sampled_from(NAMES), value=st.sampled_from("123"))
    def set_variable(self, pair: tuple[str, str], name: str, value: str) -> None:
        want = self.wanted(pair)
        if want:
            want["variables"][name] = value

    @rule(pair=PAIRS, name=st.sampled_from(NAMES))
    def drop_variable(self, pair: tuple[str, str], name: str) -> None:
        want = self.wanted(pair)
        if want:
            want["variables"].pop(name, None)

    @rule(pair=PAIRS, what=st.sampled_from(["ignore field", "ignore variable", "protect", "nothing"]))
    def set_care(self, pair: tuple[str, str], what: str) -> None:
        want = self.wanted(pair)
        if want:
            want["protect"] = what == "protect"
            want["ignore"] = {"ignore field": ["build_command"], "ignore variable": ["environment_variables.B"]}.get(
                what, []
            )

    @rule(what=st.sampled_from(["repo", "token", "secret"]), value=st.integers(1, 2))
    def set_shared(self, what: str, value: int) -> None:
        self.wish[what] = value

    # What hands do

    def hand(self, method: str, path: str, body: Any = None) -> None:
        """A request of somebody else, past the client; it is told with names for UUIDs."""
        bound = path
        for pair, one in self.live().items():
            bound = bound.replace(f"{{{pair[0]}/{pair[1]}}}", one["uuid"])
        if "{" in bound:
            return
        status, _ = story.call(self.world.sandbox, method, bound, body)
        if 200 <= status < 300:
            named = path
            for pair, one in self.live().items():
                named = named.replace(f"{{{pair[0]}/{pair[1]}}}", f"{{{pair[0]}/{one['fields']['trigger_name']}}}")
            self.edits.append([method, named, *([] if body is None else [body])])

    @rule(pair=PAIRS, field=ONE_FIELD)
    def hand_edits_a_field(self, pair: tuple[str, str], field: tuple[str, Any]) -> None:
        self.hand("PATCH", f"/builds/triggers/{{{'/'.join(pair)}}}", dict([field]))

    @rule(pair=PAIRS, name=st.sampled_from((*NAMES, "HAND")), secret=st.booleans())
    def hand_sets_a_variable(self, pair: tuple[str, str], name: str, secret: bool) -> None:
        path = f"/builds/triggers/{{{'/'.join(pair)}}}/environment_variables"
        self.hand("PATCH", path, {name: {"is_secret": secret, "value": "by hand"}})

    @rule(pair=PAIRS, name=st.sampled_from((*NAMES, ownership.MARKER)))
    def hand_deletes_a_variable(self, pair: tuple[str, str], name: str) -> None:
        self.hand("DELETE", f"/builds/triggers/{{{'/'.join(pair)}}}/environment_variables/{name}")

    @rule(pair=PAIRS)
    def hand_deletes_a_trigger(self, pair: tuple[str, str]) -> None:
        one = self.live().get(pair)
        if one:
            path = f"/builds/triggers/{{{pair[0]}/{one['fields']['trigger_name']}}}"
            story.call(self.world.sandbox, "DELETE", f"/builds/triggers/{one['uuid']}")
            self.edits.append(["DELETE", path])

    # Runs

    def live(self) -> dict[tuple[str, str], Trigger]:
        found = {}
        for worker in WORKERS:
            tag = story.tag(worker)
            for one in story.call(self.world.sandbox, "GET", f"/builds/workers/{tag}/triggers")[1]:
                uuid, kind = one["trigger_uuid"], "preview" if "*" in one["branch_includes"] else "production"
                variables = story.call(self.world.sandbox, "GET", f"/builds/triggers/{uuid}/environment_variables")[1]
                found[worker, kind] = _trigger(one, variables, self.world.sandbox.secrets)
        return found

    @rule(kind=st.sampled_from(FAULTS), at=st.integers(0, 22))
    def apply_with_a_fault(self, kind: str, at: int) -> None:
        self.run([f"{kind}:*:*:after={at}"])

    @rule(acted=st.booleans(), at=st.integers(0, 22))
    def apply_that_is_killed(self, acted: bool, at: int) -> None:
        """From some request on nothing gets through: to the account that is the same as a process that is gone."""
        first = [f"cut-after:*:*:after={at}"] if acted else []
        self.run([*first, f"cut-before:*:*:after={at + acted},times=forever"])

    def run(self, faults: list[str]) -> None:
        self.sync()
        expected, refused = predict(self.live(), self.wish)
        before = self.live()
        for spec in faults:
            self.world.sandbox.faults.add(parse(spec))
        decided, outcomes, error = tried(self.world)
        self.world.sandbox.faults.clear()
        step = {"args": ["apply", "--auto-approve", *FLAGS], "manifest": self.case["manifest"]}
        step |= {"environment": self.case["environment"]}
        step |= {"edit": self.edits} if self.edits else {}
        self.story.append(step | ({"faults": faults} if faults else {}))
        self.edits = []
        told = {**self.case, "manifest": self.story[0]["manifest"], "runs": self.story}
        note("# tests/cases/NAME.yaml, then pytest tests/test_cases.py -k NAME --update-golden\n" + story.dump(told))
        self.judge(before, expected)
        if refused:
            assert decided is None or decided.refusals or decided.unread, f"not refused: {refused}"
            assert not self.world.writes or (decided and decided.unread), refused
        if faults:
            return
        assert error is None or isinstance(error, SourceError), repr(error)
        assert decided is not None
        assert bool(decided.refusals) == bool(refused), (decided.refusals, refused)
        if refused:
            return
        assert {one.status for one in outcomes} <= {Status.DONE}, outcomes
        self.check(expected)

    @rule()
    def apply_in_peace(self) -> None:
        self.run([])

    def teardown(self) -> None:
        self.run([])
        self.world.sandbox.close()

    # What must hold

    def judge(self, before: dict[tuple[str, str], Trigger], expected: dict[tuple[str, str], Trigger]) -> None:
        """Even in a broken run nothing goes that was not to go, and nobody's trigger is touched."""
        pairs = {one["uuid"]: pair for pair, one in before.items()}
        for method, path in self.world.writes:
            variable, trigger = VARIABLE.match(path), TRIGGER.match(path)
            if method == "DELETE" and variable and variable[1] in pairs:
                after = expected.get(pairs[variable[1]])
                assert after, f"{path}: its trigger is to go"
                assert variable[2] not in after["variables"], f"{path} is not to go"
            if method == "DELETE" and trigger and trigger[1] in pairs:
                after = expected.get(pairs[trigger[1]])
                assert after is None or after["uuid"] is None, f"{path} is not to go"
            if (found := re.match(r"^/builds/triggers/([^/]+)", path)) and found[1] in pairs:
                pair = pairs[found[1]]
                assert pair in self.wish["triggers"] or before[pair]["mine"] is not None, f"{path} is nobody's"

    def check(self, expected: dict[tuple[str, str], Trigger]) -> None:
        live = self.live()
        assert set(live) == set(expected)
        for pair, want in expected.items():
            have = live[pair]
            assert have["fields"] == want["fields"], pair
            assert have["repo"] == want["repo"], pair
            assert have["variables"] == want["variables"], pair
            assert (have["mine"] is None) == (want["mine"] is None), pair
        again = self.world.plan()
        assert [str(one.address) for one in again.changes if one.action is not Action.NO_OP] == []
        self.world.apply()
        assert self.world.writes == []
        used = {one["token"] for pair, one in live.items() if pair in self.wish["triggers"]}
        assert len(used) <= 1, "two generations in use"


def _trigger(one: dict[str, Any], variables: dict[str, Any], secrets: dict[str, Any]) -> Trigger:
    names = (*FIELDS, "branch_includes", "branch_excludes", "deploy_command")
    marker: dict[str, Any] = {}
    if ownership.MARKER in variables and not variables[ownership.MARKER]["is_secret"]:
        found = json.loads(variables[ownership.MARKER]["value"])
        marker = found if found["u"] == one["trigger_uuid"] else {}
    values = {
        name: (item["is_secret"], secrets.get(f"{one['trigger_uuid']} {name}") if item["is_secret"] else item["value"])
        for name, item in variables.items()
        if name != ownership.MARKER
    }
    return {
        "uuid": one["trigger_uuid"],
        "fields": {name: one[name] for name in names},
        "repo": one["repo_connection"]["repo_id"],
        "token": one["build_token_name"],
        "variables": values,
        "mine": marker["e"] if marker else None,
        "protect": bool(marker.get("p")),
    }


def predict(live: dict[tuple[str, str], Trigger], wish: dict[str, Any]) -> tuple[dict[tuple[str, str], Trigger], str]:
    """What an apply in peace makes of `live`, and why it would refuse to; written from the design alone."""
    after = copy.deepcopy(live)
    for pair, have in live.items():
        if pair in wish["triggers"] or have["mine"] is None:
            continue
        del after[pair]
        if have["protect"]:
            return live, f"{pair} is protected"
        if any(ownership.hash_name(name) not in have["mine"] for name in have["variables"]):
            return live, f"{pair} holds what is not ours"
    for pair, want in wish["triggers"].items():
        have = live.get(pair)
        repo, seen = str(wish["repo"]), have["variables"] if have else {}
        ignored = {one.rpartition(".")[2] for one in want["ignore"]}
        mine = (have["mine"] or {}) if have else {}
        declared = {name: _value(name, value, wish) for name, value in want["variables"].items()}
        replaced = have is not None and have["repo"] != repo
        if replaced:
            lost = [
                name
                for name in seen
                if name in ignored or (name not in declared and ownership.hash_name(name) not in mine)
            ]
            if lost:
                return live, f"{pair} would lose {lost}"
            if have and (have["protect"] or want["protect"]):
                return live, f"{pair} is protected"
        kept = {
            name: value
            for name, value in seen.items()
            if not replaced and (name in ignored or ownership.hash_name(name) not in mine)
        }
        fresh = have is None or replaced or have["fields"]["path_includes"] == [".buildsctl-pending/*"]
        written = {
            name: seen[name] if have and not fresh and _is_kept_secret(name, value, have) else value
            for name, value in declared.items()
            if name not in ignored or (fresh and name not in seen)
        }
        after[pair] = {
            "uuid": None if replaced or have is None else have["uuid"],
            "fields": _fields(pair, want, have, ignored),
            "repo": repo,
            "variables": kept | written,
            "mine": {},
            "protect": want["protect"],
        }
    return after, ""


def _value(name: str, value: str, wish: dict[str, Any]) -> tuple[bool, str]:
    return (True, f"canary-{name.lower()}-{wish['secret']}") if name.startswith("S") else (False, value)


def _is_kept_secret(name: str, value: tuple[bool, str], have: Trigger) -> bool:
    """A live secret is written again only where the marker proves that it is another one."""
    if not value[0] or not have["variables"].get(name, (False,))[0]:
        return False
    entry = (have["mine"] or {}).get(ownership.hash_name(name), "")
    return not entry.startswith("f") or entry == "f" + ownership.FingerprintKey(b"1" * 32).fingerprint(
        have["uuid"], name, value[1]
    )


def _fields(pair: tuple[str, str], want: dict[str, Any], have: Trigger | None, ignored: set[str]) -> dict[str, Any]:
    defaults = {"build_command": "", "root_directory": "/", "path_includes": ["*"], "build_caching_enabled": False}
    preview = pair[1] == "preview"
    fields = {"trigger_name": pair[1], **defaults, **want["fields"], "deploy_command": "npx wrangler deploy"}
    fields |= {"branch_includes": ["*"] if preview else ["main"], "branch_excludes": ["main"] if preview else []}
    return fields | {name: have["fields"][name] for name in ignored & set(fields) if have}


def test_any_story_ends_as_the_design_says(
    rounds: Iterator[bool], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    class Here(Machine):
        folder = tmp_path

    told = 0
    for fixed in rounds:
        profile = settings(
            max_examples=60,
            stateful_step_count=14,
            deadline=None,
            derandomize=fixed,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Here, settings=profile)
        told += profile.max_examples
    record_property("tried: stories of the state machine", told)
