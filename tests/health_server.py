"""The stand-in over HTTP with what health looks at: builds, logs, limits, repositories; and an estate on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fake_server
from fake_server import Answer, Call, FakeServer, Ran, envelope, environment, failure, write

MANIFEST = """
version: 1
owner: acme/builds
connections: {acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}}
tokens: {dash: {build_token_name: by hand}}
workers:
  web:
    triggers:
      production: {branch_includes: [main], deploy_command: npx wrangler deploy}
      preview: {branch_includes: ["*"], branch_excludes: [main], deploy_command: npx wrangler versions upload}
  api:
    root_directory: apps/api
    triggers:
      production: {branch_includes: [main], deploy_command: npx wrangler deploy}
"""
AUTOFILL = r"/builds/repos/[^/]+/[^/]+/[^/]+/config_autofill"
LATEST, LIMITS, TOKENS, SCRIPTS = (
    "/builds/builds/latest",
    "/builds/account/limits",
    "/builds/tokens",
    "/workers/scripts",
)
PROBE = "/builds/triggers/00000000-0000-4000-8000-000000000000"
DEAD = "Failed: The build token selected for this build has been deleted or rolled and cannot be used for this build."


def ago(**age: float) -> str:
    return (datetime.now(UTC) - timedelta(**age)).isoformat()


def build(number: int, outcome: str, created_on: str = "", **more: Any) -> dict[str, Any]:
    uuid = f"{number:08}-0000-4000-8000-000000000000"
    made = created_on or ago(hours=1)
    return {"build_uuid": uuid, "status": "stopped", "build_outcome": outcome, "created_on": made, **more}


class HealthServer(FakeServer):
    """`builds` are each Worker's, newest first; `found` what a branch and a folder of the repository hold, None where
    they cannot be reached; `logs` are lines by build."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.builds: dict[str, list[dict[str, Any]]] = {}
        self.logs: dict[str, list[str]] = {}
        self.limits: Any = {"build_minutes_refresh_on": None, "has_reached_build_minutes_limit": None}
        self.found: dict[tuple[str, str], Any] = {("main", ""): {"default_worker_name": "web"}}
        self.found["main", "apps/api"] = {"default_worker_name": "api"}
        self.date: Callable[[], str] | None = None
        self._http.RequestHandlerClass = self._dated(self._http.RequestHandlerClass)

    def _dated(self, handler: Any) -> Any:
        server = self

        class Dated(handler):  # type: ignore[misc]
            def date_time_string(self, timestamp: float | None = None) -> str:
                return server.date() if server.date else str(super().date_time_string(timestamp))

        return Dated

    def respond(self, call: Call) -> Answer:
        found = re.fullmatch(r"/builds/(workers|builds)/([^/]+)/(builds|logs)", call.path)
        if call.method != "GET" or call.headers.get("authorization") != f"Bearer {self.token}":
            return super().respond(call)
        if call.path == LATEST:
            tags = call.query["external_script_ids"].split(",")
            assert len(tags) <= 20
            return envelope({"builds": {tag: self.of(tag)[0] for tag in tags if self.of(tag)}})
        if call.path == LIMITS:
            return envelope(self.limits)
        if found and found[1] == "workers":
            page, size = int(call.query["page"]), int(call.query["per_page"])
            rows = self.of(found[2])
            return envelope(rows[(page - 1) * size : page * size], result_info={"total_count": len(rows)})
        if found:
            return envelope({"cursor": "c", "lines": [[1, line] for line in self.logs.get(found[2], [])]})
        if re.fullmatch(AUTOFILL, call.path):
            held = self.found.get((call.query["branch"], call.query.get("root_directory", "")))
            return failure(404, 12000) if held is None else envelope(held)
        return super().respond(call)

    def of(self, tag: str) -> list[dict[str, Any]]:
        return next((self.builds.get(name, []) for name, one in self.workers.items() if one == tag), [])


@dataclass
class Estate:
    """`MANIFEST` as applied; commands run inside its folder."""

    server: HealthServer
    folder: Path

    def run(self, *arguments: str, **environment_: str | None) -> Ran:
        self.server.log.clear()
        return fake_server.run(list(arguments), environment(self.server, **environment_), self.folder)

    def doctor(self, *, code: int = 0, **environment_: str | None) -> list[tuple[str, str, str]]:
        """(level, about, summary) of each line."""
        ran = self.run("doctor", "--format", "json", **environment_)
        assert ran.code == code, ran.text
        assert [str(one) for one in self.server.writes() if str(one) != f"PATCH {PROBE}"] == []
        return [(one["level"], one["about"], one["summary"]) for one in json.loads(ran.out)["lines"]]

    def health(self, *options: str, code: int = 0) -> list[tuple[str, str]]:
        """(address, summary) of what drift finds."""
        ran = self.run("drift", "--format", "json", *(options or ["--health"]))
        assert ran.code == code, ran.text
        assert self.server.writes() == []
        return [(one["address"], one["summary"]) for one in json.loads(ran.out)["findings"]]

    def manifest(self, *changes: tuple[str, str]) -> None:
        """Another manifest, not applied."""
        text = MANIFEST
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        write(self.folder, text)

    def probes(self) -> list[tuple[str, str]]:
        """(branch, folder) that were asked about."""
        return sorted(
            (one.query["branch"], one.query.get("root_directory", "")) for one in self.server.sent("", AUTOFILL)
        )


@contextmanager
def applied(folder: Path) -> Iterator[Estate]:
    server = HealthServer()
    try:
        for name in ("api", "web", "other"):
            server.worker(name)
        server.add_token("by hand")
        estate = Estate(server, write(folder, MANIFEST))
        ran = estate.run("apply", "--auto-approve")
        assert ran.code == 0, ran.text
        server.clear()
        yield estate
    finally:
        server.close()
