"""One case without the command line: a sandbox in memory, runs that can be killed, states to compare."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import story
from fake_server import join

from reconciler import manifest, ownership
from reconciler.api import Api
from reconciler.apply import apply, check_sources
from reconciler.errors import BuildsctlError, ManifestError
from reconciler.kinds.connection import Connection
from reconciler.manifest.sources import Resolver
from reconciler.model import Outcome, Plan
from reconciler.observe import observe
from reconciler.plan import Options, connections, plan, tokens
from reconciler.plan.release import release
from reconciler.plan.target import narrow
from reconciler.sandbox import Response, Sandbox
from reconciler.states import Desired

Before = Callable[[int, str, str], Response | None]
After = Callable[[int, str, str, Response], Response]
Around = Callable[[int, str, str, Callable[[], Response]], Response]
GLOBS = {"--delete-unmanaged", "--take-over", "--accept-secret-loss", "--rewrite-secrets", "--target"}


class Killed(BaseException):
    """The process is gone."""


class Watched(Sandbox):
    """Keeps what it was given and shows nobody: secrets by trigger UUID and variable, and by token UUID."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.secrets: dict[str, Any] = {}

    def _answer(self, method: str, path: str, *, body: bytes, **more: Any) -> Any:
        reply = super()._answer(method, path, body=body, **more)
        parts = path.split("/")
        if method == "POST" and parts[-1] == "tokens":
            self.secrets[reply.result["build_token_uuid"]] = json.loads(body)["build_token_secret"]
        elif method == "PATCH" and parts[-1] == "environment_variables":
            self.secrets |= {f"{parts[-2]} {key}": one["value"] for key, one in json.loads(body).items()}
        return reply

    def connections(self) -> list[tuple[str, ...]]:
        """Those that there are: no operation lists them."""
        with self._store.transaction(write=False) as db:
            found = db.execute("SELECT repo_id, provider_account_id FROM connections WHERE deleted_on IS NULL")
            return sorted(tuple(row) for row in found)


@dataclass
class World:
    """`sent` is every request as (method, path below the account); `flags` come after those of the case.
    `count` is all requests since the world began, `made` names the triggers that were there when the run began.
    """

    case: dict[str, Any]
    folder: Path
    sandbox: Watched = field(default_factory=Watched)
    sent: list[tuple[str, str]] = field(default_factory=list)
    flags: tuple[str, ...] = ()
    count: int = 0
    made: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, case: dict[str, Any], folder: Path, *flags: str) -> World:
        """The live state in which the case's run begins: its seed, and what its `before` did in peace."""
        world = cls(case, folder)
        world.sandbox.seed(story.seed_of(case))
        for earlier in case.get("before", []):
            world.case = earlier
            story.edit_in(world.sandbox, earlier["runs"][0].get("edit", []))
            if earlier["runs"][0]["args"][0] != "plan":
                tried(world)
        world.case, world.flags = case, flags
        story.edit_in(world.sandbox, case["runs"][0].get("edit", []))
        for worker in story.call(world.sandbox, "GET", "/workers/scripts")[1]:
            for one in story.call(world.sandbox, "GET", f"/builds/workers/{worker['tag']}/triggers")[1]:
                kind = "preview" if "*" in one["branch_includes"] else "production"
                world.made[one["trigger_uuid"]] = f"{worker['id']}.{kind}"
        return world

    @property
    def arguments(self) -> list[str]:
        """Those of the case's first run, and the world's own flags."""
        return [*self.case["runs"][0]["args"], *self.flags]

    @property
    def options(self) -> Options:
        given: dict[str, Any] = {}
        for name, value in pairwise([*self.arguments, ""]):
            if name in GLOBS:
                key = name.removeprefix("--").replace("-", "_")
                given[key] = (*given.get(key, ()), value)
            elif name == "--prune":
                given["prune"] = True
            elif name == "--max-deletes":
                given["max_deletes"] = int(value)
        return Options(key=self.key, **given)

    @property
    def key(self) -> ownership.FingerprintKey | None:
        return ownership.read_key(self.case.get("environment", {}).get("BUILDSCTL_FINGERPRINT_KEY", ""))

    def handler(self, before: Before | None = None, after: After | None = None, around: Around | None = None) -> Any:
        def handle(
            method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
        ) -> Response:
            short = path.partition(f"/accounts/{story.ACCOUNT}")[2]
            self.sent.append((method, short))
            self.count += 1
            number = len(self.sent)

            def act() -> Response:
                return self.sandbox.handle(method, path, query, headers, body)

            if around:
                return around(number, method, short, act)
            answer = before(number, method, short) if before else None
            if answer is None:
                answer = act()
            return after(number, method, short, answer) if after else answer

        return handle

    def api(self, **faults: Any) -> Api:
        return Api(
            base_url="http://sandbox/client/v4",
            account_id=story.ACCOUNT,
            token="canary-token-55aa",
            handler=self.handler(**faults),
            sleep=lambda _: None,
        )

    def desired(self) -> Desired:
        """Loaded once a case: it is a frozen value."""
        key = json.dumps([story.files_of(self.case), self.case.get("environment", {})])
        if key not in _LOADED:
            with story.folder(self.folder, story.files_of(self.case)):
                _LOADED[key] = manifest.load([], Resolver(self.case.get("environment", {})))
        found = _LOADED[key]
        return narrow(found, self.options.target) if self.options.target else found

    def plan(self, **faults: Any) -> Plan:
        self.sent.clear()
        with self.api(**faults) as api:
            return self._decided(api)

    def _decided(self, api: Api) -> Plan:
        """What the command of the case decides, where it is one stage of a story; else what an apply does."""
        command = self.case.get("command", "apply")
        if command in ("plan", "apply"):
            observed = observe(self.desired(), api, everything=self.options.prune)
            return plan(self.desired(), observed, self.options, account_id=story.ACCOUNT)
        given = dict(pairwise([*self.arguments, ""]))
        names = [one for one in self.arguments if one[0] != "-" and one != given.get("--owner")]
        owner = given.get("--owner") or self.desired().owner or ""
        if command == "connections":
            observed = observe(Desired(owner=None), api, everything=True, variables=False)
            body = {"provider_account_id": given["--provider-account-id"], "repo_id": given["--repo-id"]}
            return connections.delete(Connection.parse(names[2], body, None), observed, account_id=story.ACCOUNT)
        observed = observe(Desired(owner=owner), api, everything=True, variables=command != "tokens")
        if command == "tokens":
            return tokens.prune(owner, observed, account_id=story.ACCOUNT)
        return release(owner, observed, names[1:], account_id=story.ACCOUNT)

    def apply(self, **faults: Any) -> tuple[Plan, list[Outcome]]:
        """Plan and carry out, as the command does; nothing is written where the plan is refused."""
        self.sent.clear()
        with self.api(**faults) as api:
            decided = self._decided(api)
            decided = decided.untried if "--no-verify-token" in self.arguments else decided
            if decided.refusals:
                return decided, []
            check_sources(decided)
            api.allow_writes()
            return decided, list(apply(decided, api, key=self.key))

    def named(self, path: str) -> str:
        """`path` with names for UUIDs that differ from world to world: those of triggers that earlier runs made."""
        seeded = {one["trigger_uuid"] for one in story.seed_of(self.case).get("triggers", [])}
        found = path.split("/")[3] if path.startswith("/builds/triggers/") else ""
        if not found or found in seeded:
            return path
        return path.replace(found, self.made.get(found, found))

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [one for one in self.sent if one[0] != "GET"]

    def state(self) -> dict[str, Any]:
        """Everything that can be seen, with names for UUIDs: two worlds in the same state are equal."""
        tokens = story.call(self.sandbox, "GET", "/builds/tokens")[1]
        names = {one["build_token_uuid"]: one["build_token_name"] for one in tokens}
        known = sorted([name, self.sandbox.secrets.get(uuid)] for uuid, name in names.items())
        state: dict[str, Any] = {"tokens": known, "connections": self.sandbox.connections(), "triggers": []}
        for worker in story.call(self.sandbox, "GET", "/workers/scripts")[1]:
            for one in story.call(self.sandbox, "GET", f"/builds/workers/{worker['tag']}/triggers")[1]:
                if one.get("deleted_on"):
                    continue
                state["triggers"].append(self._trigger(worker["id"], one, names))
        state["triggers"].sort(key=lambda one: json.dumps(one, sort_keys=True))
        return state

    def end(self) -> dict[str, Any]:
        """The state that the run after an interruption reaches as well. A connection whose last trigger went in the
        run that ended there is shown by nobody any more: `connections delete` is for it (DESIGN section 4)."""
        state = self.state()
        return {**state, "connections": None} if self.options.prune else state

    def _trigger(self, worker: str, one: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
        path = f"/builds/triggers/{one['trigger_uuid']}/environment_variables"
        variables = story.call(self.sandbox, "GET", path)[1]
        shown = {
            key: (
                item["is_secret"],
                self.sandbox.secrets.get(f"{one['trigger_uuid']} {key}") if item["is_secret"] else item["value"],
            )
            for key, item in variables.items()
        }
        if ownership.MARKER in shown:
            shown[ownership.MARKER] = self._marker(shown[ownership.MARKER][1], one["trigger_uuid"])
        connection = one["repo_connection"] or {}
        return {
            "worker": worker,
            **{k: v for k, v in one.items() if k not in _VOLATILE},
            "token": names.get(one["build_token_uuid"], one["build_token_name"]),
            "connection": [connection.get("repo_id"), connection.get("provider_account_id")],
            "variables": shown,
        }

    @staticmethod
    def _marker(text: str, uuid: str) -> Any:
        """`u` must be the trigger's own. `f` and the values of `e` may be stale after a killed run: they only
        tell causes, and are refreshed when something else is written (DESIGN section 5)."""
        with contextlib.suppress(ValueError):
            found = json.loads(text)
            if isinstance(found, dict) and found.get("u") == uuid:
                return {**found, "u": "its own", "f": None, "e": sorted(found.get("e", ()))}
        return text


_LOADED: dict[str, Desired] = {}
_VOLATILE = frozenset(
    {
        "trigger_uuid",
        "build_token_uuid",
        "build_token_name",
        "repo_connection",
        "created_on",
        "modified_on",
        "external_script_id",
    }
)


def loads(case: dict[str, Any], folder: Path) -> bool:
    """Laws hold over cases whose manifests are good."""
    try:
        World(case, folder).desired()
    except ManifestError:
        return False
    return True


def tried(world: World, **faults: Any) -> tuple[Plan | None, list[Outcome], BaseException | None]:
    """An apply that may end in any way but a bug."""
    try:
        decided, outcomes = world.apply(**faults)
    except (BuildsctlError, Killed) as error:
        join()
        return None, [], error
    return decided, outcomes, None
