"""Two owners, hands and kills: no sequence of them deletes what is another's, or loses a declared secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import story
from fake_server import join
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Killed

from reconciler import manifest, ownership
from reconciler.api import Api
from reconciler.apply import apply
from reconciler.errors import BuildsctlError
from reconciler.kinds.env_var import EnvVar
from reconciler.manifest.sources import Resolver
from reconciler.model import Outcome, Status
from reconciler.observe import observe
from reconciler.plan import Options, plan
from reconciler.sandbox import Sandbox

KEYS = [None, ownership.FingerprintKey(b"1" * 32), ownership.FingerprintKey(b"2" * 32)]
WORKERS = {"ours": ("web", "shared"), "them": ("api", "shared")}
TRIGGER = re.compile(r"^/builds/triggers/([^/]+)")
VARIABLE = re.compile(r"^/builds/triggers/([^/]+)/environment_variables/(.+)$")


@dataclass
class Wish:
    """What one owner's manifests say at the moment."""

    triggers: dict[str, set[str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    repo: int = 1
    token: int = 1
    secret: int = 1

    def text(self, owner: str) -> str:
        workers: dict[str, Any] = {}
        for worker in WORKERS[owner]:
            body = {}
            for key in sorted(self.triggers.get(worker, ())):
                preview = key == "preview"
                body[key] = {
                    "branch_includes": ["*"] if preview else ["main"],
                    "branch_excludes": ["main"] if preview else [],
                    "deploy_command": "npx wrangler deploy",
                    "environment_variables": {
                        name: {"value_from": {"env": name}} if name.startswith("S") else value
                        for name, value in self.variables.items()
                    },
                }
            if body:
                workers[worker] = {"triggers": body}
        document = {
            "version": 1,
            "owner": owner,
            "connections": {"acme/site": {"provider_account_id": "1", "repo_id": str(self.repo)}},
            "tokens": {
                "deploy": {
                    "cloudflare_token_id": f"t{self.token}",
                    "build_token_secret": {"value_from": {"env": "TOKEN"}},
                }
            },
            "workers": workers,
        }
        return json.dumps(document)

    @property
    def environment(self) -> dict[str, str]:
        return {"TOKEN": f"secret-{self.secret}", "S1": f"s1-{self.secret}", "S2": f"s2-{self.secret}"}


@dataclass
class Estate:
    """The account, both owners' wishes, and a witness of who made what that trusts no marker."""

    folder: Path
    sandbox: Sandbox = field(default_factory=Sandbox)
    wishes: dict[str, Wish] = field(default_factory=lambda: {"ours": Wish(), "them": Wish()})
    made: dict[str, set[str]] = field(default_factory=lambda: {"ours": set(), "them": set()})
    declared: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: {"ours": set(), "them": set()})
    number: int = 0

    def __post_init__(self) -> None:
        self.sandbox.seed({"workers": [{"id": name} for name in ("web", "shared", "api")]})

    def triggers(self) -> dict[str, tuple[str, dict[str, Any]]]:
        found = {}
        for worker in story.call(self.sandbox, "GET", "/workers/scripts")[1]:
            for one in story.call(self.sandbox, "GET", f"/builds/workers/{worker['tag']}/triggers")[1]:
                path = f"/builds/triggers/{one['trigger_uuid']}/environment_variables"
                found[one["trigger_uuid"]] = (worker["id"], story.call(self.sandbox, "GET", path)[1])
        return found

    def owner_of(self, uuid: str, variables: dict[str, Any]) -> str | None:
        marker = variables.get(ownership.MARKER)
        if marker is None:
            return None
        value = None if marker["is_secret"] else marker["value"]
        text = EnvVar(is_secret=marker["is_secret"], value=value)
        found = ownership.read({ownership.MARKER: text}, uuid)
        return found.owner if isinstance(found, ownership.Marker) else None

    def apply(self, owner: str, *, key: int, kill: int, prune: bool) -> list[Outcome] | None:
        """One run; None where it was refused, failed or killed. Every request is judged."""
        before = self.triggers()
        owners = {uuid: self.owner_of(uuid, variables) for uuid, (_, variables) in before.items()}
        other = {"ours": "them", "them": "ours"}[owner]
        wish = self.wishes[owner]
        sent = 0

        def handle(method: str, path: str, query: Any, headers: Any, body: bytes) -> Any:
            nonlocal sent
            sent += 1
            if kill and sent >= kill:
                raise Killed
            short = path.partition(f"/accounts/{story.ACCOUNT}")[2]
            if method != "GET":
                self.judge(owner, other, method, short, owners)
            answer = self.sandbox.handle(method, path, query, headers, body)
            if method == "POST":
                result = json.loads(answer.body)["result"] or {}
                self.made[owner].add(result.get("trigger_uuid") or result.get("build_token_uuid") or "")
            return answer

        (self.folder / "m.yaml").write_text(wish.text(owner), encoding="utf-8")
        api = Api(
            base_url="http://sandbox/client/v4",
            account_id=story.ACCOUNT,
            token="t",
            handler=handle,
            sleep=lambda _: None,
        )
        options = Options(key=KEYS[key], prune=prune, max_deletes=50)
        try:
            with api:
                desired = manifest.load([str(self.folder / "m.yaml")], Resolver(wish.environment))
                for trigger in desired.triggers:
                    for name in trigger.variables:
                        self.declared[owner].add((trigger.address.path[0], name))
                observed = observe(desired, api, everything=prune)
                decided = plan(desired, observed, options)
                if decided.refusals:
                    return None
                api.allow_writes()
                return list(apply(decided.untried, api, key=KEYS[key]))
        except (BuildsctlError, Killed):
            join()
            return None

    def judge(self, owner: str, other: str, method: str, path: str, owners: dict[str, str | None]) -> None:
        """Nothing of the other's is touched; what is deleted was made or declared by this owner."""
        found = TRIGGER.match(path)
        if found:
            assert owners.get(found[1]) != other, f"{owner} touches {other}'s trigger"
        if method != "DELETE":
            return
        variable = VARIABLE.match(path)
        if variable:
            worker = self.triggers()[variable[1]][0]
            assert (worker, variable[2]) in self.declared[owner], f"{owner} deletes {variable[2]}"
        elif found:
            mine = found[1] in self.made[owner] or owners.get(found[1]) == owner
            # A declared trigger on another repository is replaced, also where it is nobody's yet.
            declared = self.wishes[owner].triggers.get(self.triggers()[found[1]][0])
            assert mine or declared, f"{owner} deletes a trigger that it did not make, adopt or declare"
        elif path.startswith("/builds/tokens/"):
            assert path.rpartition("/")[2] in self.made[owner], f"{owner} deletes a token that it did not make"

    def by_hand(self, what: str, pick: int) -> None:
        """Somebody clicks in the dashboard."""
        found = sorted(self.triggers().items())
        if not found:
            return
        uuid, (_, variables) = found[pick % len(found)]
        path = f"/builds/triggers/{uuid}"
        match what:
            case "edit":
                self.number += 1
                story.call(self.sandbox, "PATCH", path, {"build_command": f"make {self.number}"})
            case "add":
                body = {f"HAND{pick % 2}": {"is_secret": bool(pick % 2), "value": "by hand"}}
                story.call(self.sandbox, "PATCH", f"{path}/environment_variables", body)
            case "drop":
                name = sorted(variables)[pick % len(variables)] if variables else "NONE"
                story.call(self.sandbox, "DELETE", f"{path}/environment_variables/{name}")
            case "copy marker":
                other = found[(pick + 1) % len(found)][1][1].get(ownership.MARKER)
                if other:
                    body = {ownership.MARKER: {"is_secret": False, "value": other["value"]}}
                    story.call(self.sandbox, "PATCH", f"{path}/environment_variables", body)
            case "lose marker":
                story.call(self.sandbox, "DELETE", f"{path}/environment_variables/{ownership.MARKER}")
            case "remake":
                self.remake(uuid)

    def remake(self, uuid: str) -> None:
        """Saving build settings re-creates a trigger under a new UUID, with no variables (field notes)."""
        for worker in story.call(self.sandbox, "GET", "/workers/scripts")[1]:
            for one in story.call(self.sandbox, "GET", f"/builds/workers/{worker['tag']}/triggers")[1]:
                if one["trigger_uuid"] == uuid:
                    names = "trigger_name branch_includes branch_excludes path_includes path_excludes"
                    names += " build_command deploy_command root_directory build_caching_enabled"
                    names += " build_token_uuid"
                    body = {name: one[name] for name in names.split()}
                    body["repo_connection_uuid"] = one["repo_connection"]["repo_connection_uuid"]
                    body["external_script_id"] = worker["tag"]
                    story.call(self.sandbox, "DELETE", f"/builds/triggers/{uuid}")
                    story.call(self.sandbox, "POST", "/builds/triggers", body)


OWNER = st.sampled_from(["ours", "ours", "them"])
STEPS = st.one_of(
    st.tuples(
        st.just("wish"), OWNER, st.sampled_from(["trigger", "variable", "repo", "token", "secret"]), st.integers(0, 7)
    ),
    st.tuples(st.just("apply"), OWNER, st.integers(0, 2), st.integers(0, 14), st.booleans()),
    st.tuples(st.just("apply"), OWNER, st.integers(0, 2), st.just(0), st.booleans()),
    st.tuples(
        st.just("hand"),
        st.sampled_from(["edit", "add", "drop", "copy marker", "lose marker", "remake"]),
        st.integers(0, 7),
    ),
)


def _wish(wish: Wish, owner: str, what: str, pick: int) -> None:
    match what:
        case "trigger":
            worker = WORKERS[owner][pick % 2]
            key = ("production", "preview")[pick // 2 % 2]
            wish.triggers.setdefault(worker, set()).symmetric_difference_update({key})
        case "variable":
            name = ("A", "B", "S1", "S2")[pick % 4]
            if name in wish.variables and pick < 4:
                del wish.variables[name]
            else:
                wish.variables[name] = f"value {pick}"
        case "repo":
            wish.repo = 1 + pick % 2
        case "token":
            wish.token = 1 + pick % 3
        case _:
            wish.secret = 1 + pick % 3


def _check_end(estate: Estate, owner: str) -> None:
    outcomes = estate.apply(owner, key=1, kill=0, prune=True)
    if outcomes is None:
        return  # refused, which is said and writes nothing
    assert {one.status for one in outcomes} <= {Status.DONE}
    wish = estate.wishes[owner]
    live = estate.triggers()
    for worker, keys in wish.triggers.items():
        mine = [
            variables
            for uuid, (where, variables) in live.items()
            if where == worker and estate.owner_of(uuid, variables) == owner
        ]
        assert len(mine) == len(keys)
        for variables in mine:
            assert set(wish.variables) <= set(variables), "a declared variable is lost"
    names = [one["build_token_name"] for one in story.call(estate.sandbox, "GET", "/builds/tokens")[1]]
    generations = [ownership.read_token_name(name) for name in names]
    numbers = [(one.name, one.number) for one in generations if one and one.owner == owner]
    assert len(numbers) == len(set(numbers)), "two live tokens of one generation"


def _run(steps: list[tuple[Any, ...]], folder: Path) -> None:
    estate = Estate(folder)
    for owner in ("ours", "them"):
        _wish(estate.wishes[owner], owner, "trigger", 0)
        _wish(estate.wishes[owner], owner, "trigger", 3)
        _wish(estate.wishes[owner], owner, "variable", 6)
    for step in steps:
        match step:
            case ("wish", owner, what, pick):
                _wish(estate.wishes[owner], owner, what, pick)
            case ("apply", owner, key, kill, prune):
                estate.apply(owner, key=key, kill=kill, prune=prune)
            case ("hand", what, pick):
                estate.by_hand(what, pick)
    for owner in ("ours", "them"):
        _check_end(estate, owner)


def test_any_sequence_of_edits_hands_kills_and_owners(
    rounds: Iterator[bool], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tried = 0
    for fixed in rounds:

        @given(st.lists(STEPS, min_size=4, max_size=16))
        @settings(max_examples=80, deadline=None, derandomize=fixed)
        def check(steps: list[tuple[Any, ...]]) -> None:
            nonlocal tried
            tried += 1
            _run(steps, tmp_path)

        check()
    record_property("tried: sequences of two owners", tried)
