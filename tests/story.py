"""Golden stories: manifests and a live state, then runs with what they print, send and end with.

A case is a YAML file in `tests/cases`:

    about: one sentence
    live: a seed of the sandbox; a trigger may have `marker: {owner, key, variables, protect, trigger, raw}`
    manifest: text of ./buildsctl.yaml, or `files: {name: text}`
    environment: {NAME: value}
    runs:
      - args: [plan]
        edit: [[PATCH, "/builds/triggers/{web/production}", {build_command: make}]]   # before the run
        manifest: another text, from here on
        faults: ["cut-after:POST:/builds/triggers"]   # of the sandbox, for this run, as `sandbox serve --fault`
        exit: 0
        requests: [...]      # reads sorted, writes in order
        stdout: |
        stderr: |
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reconciler import api, cli, ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.trigger import Trigger
from reconciler.model import MarkerDraft
from reconciler.sandbox import Sandbox
from reconciler.sandbox.fault_spec import parse
from reconciler.sandbox.server import serve

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built
CASES = Path(__file__).parent / "cases"
ACCOUNT = "0123456789abcdef0123456789abcdef"
WRITES = (["tokens", "prune"], ["connections", "delete"])
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TRACE = re.compile(r"^(GET|PUT|POST|PATCH|DELETE) (\S+) (\d+|no answer) \d+ ms(?: ray \S+)?$")


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe one


def paths() -> list[Path]:
    return sorted(CASES.glob("*.yaml"))


def stages(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each run of a case that decides writes as a case of its own; `before` holds what happened until then."""
    done: list[dict[str, Any]] = []
    manifest = case.get("manifest")
    for run in case["runs"]:
        manifest = run.get("manifest", manifest)
        environment = {**case.get("environment", {}), **run.get("environment", {})}
        stage = {**case, "environment": environment, "runs": [run], "before": list(done), "command": run["args"][0]}
        stage |= {"manifest": manifest} if manifest is not None else {}
        if run.get("faults"):
            return  # what a broken run leaves behind is not told here
        writes = run["args"][0] == "release" or run["args"][:2] in WRITES
        if run["args"][0] not in ("plan", "apply") and not (writes and run["exit"] == 0):
            continue
        yield stage
        done.append(stage)


def seed_of(case: dict[str, Any]) -> dict[str, Any]:
    """The sandbox's seed, with markers written out."""
    live = json.loads(json.dumps(case.get("live", {})))
    for number, trigger in enumerate(live.get("triggers", [])):
        trigger.setdefault("trigger_uuid", f"00000000-0000-4000-8000-{number + 1:012d}")
        marker = trigger.pop("marker", None)
        if marker is not None:
            variables = trigger.setdefault("environment_variables", {})
            variables[ownership.MARKER] = marker.get("raw") or marker_text(trigger, marker)
    return live


def marker_text(trigger: dict[str, Any], marker: dict[str, Any]) -> str:
    known = marker.get("variables", {})
    entries = {
        ownership.hash_name(name): ownership.entry(EnvVar(is_secret=value is None, value=value))
        for name, value in known.items()
    }
    fields = {name: _tuple(value) for name, value in trigger.items() if name in Trigger.schema}
    fields |= {name: _tuple(value) for name, value in marker.get("fields", {}).items()}
    draft = MarkerDraft(
        owner=marker["owner"], key=marker["key"], protect=marker.get("protect", False), fields=fields, entries=entries
    )
    document = json.loads(ownership.write(draft, marker.get("trigger", trigger["trigger_uuid"])))
    return json.dumps(document | marker.get("extra", {}), separators=(",", ":"))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def files_of(case: dict[str, Any]) -> dict[str, str]:
    return case.get("files") or {"buildsctl.yaml": case["manifest"]}


@contextlib.contextmanager
def folder(path: Path, files: dict[str, str]) -> Iterator[None]:
    """Inside `path`, with the case's manifests written."""
    before = Path.cwd()
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass
class Ran:
    """What one run did."""

    code: int
    stdout: str
    stderr: str
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def failing(faults: Sequence[str]) -> Iterator[list[str]]:
    """The options that lead to the sandbox at ./sandbox.db, over HTTP and without back-off where it is to fail."""
    if not faults:
        yield ["--sandbox", "--sandbox-file", "sandbox.db"]
        return
    sandbox = Sandbox("sandbox.db")
    for spec in faults:
        sandbox.faults.add(parse(spec))
    server, back_off = serve(sandbox), api.BACK_OFF_SECONDS
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    api.BACK_OFF_SECONDS = 0.0
    os.environ["CLOUDFLARE_API_TOKEN"] = "canary-token-55aa"
    try:
        yield ["--api-base-url", f"http://127.0.0.1:{server.server_address[1]}/client/v4"]
    finally:
        api.BACK_OFF_SECONDS = back_off
        server.shutdown()
        server.server_close()
        sandbox.close()


def run(arguments: list[str], environment: dict[str, str], faults: Sequence[str] = ()) -> Ran:
    """One command line on the sandbox at ./sandbox.db, traced."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with failing(faults) as where, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(["--trace", *where, "--account-id", ACCOUNT, *arguments])
    finally:
        os.environ.clear()
        os.environ.update(before)
    traces, rest = [], []
    for line in err.getvalue().splitlines():
        found = TRACE.match(line)
        if found:
            traces.append(f"{found[1]} {found[2]} {found[3]}")
        else:
            rest.append(line)
    reads = sorted(one for one in traces if one.startswith("GET"))
    writes = [one for one in traces if not one.startswith("GET")]
    return Ran(code, out.getvalue(), "\n".join(rest), reads + writes)


def edit(edits: list[list[Any]]) -> None:
    """Requests of somebody else, against ./sandbox.db."""
    sandbox = Sandbox("sandbox.db")
    try:
        edit_in(sandbox, edits)
    finally:
        sandbox.close()


def edit_in(sandbox: Sandbox, edits: list[list[Any]]) -> None:
    for method, path, *body in edits:
        status, _ = call(sandbox, method, bound(sandbox, path), body[0] if body else None)
        assert 200 <= status < 300, (method, path, status)


def bound(sandbox: Sandbox, path: str) -> str:
    """`{web}` becomes a Worker's tag, `{web/production}` a trigger's UUID (by name)."""

    def value(found: re.Match[str]) -> str:
        worker, _, name = found[1].partition("/")
        tag = next(one["tag"] for one in call(sandbox, "GET", "/workers/scripts")[1] if one["id"] == worker)
        if not name:
            return str(tag)
        triggers = call(sandbox, "GET", f"/builds/workers/{tag}/triggers")[1]
        return str(next(one["trigger_uuid"] for one in triggers if one["trigger_name"] == name))

    return re.sub(r"\{([^}]+)\}", value, path)


def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request past the client."""
    response = sandbox.handle(
        method,
        f"/client/v4/accounts/{ACCOUNT}{path}",
        {},
        {"authorization": "Bearer outside", "content-type": "application/json"},
        b"" if body is None else json.dumps(body).encode(),
    )
    return response.status, json.loads(response.body)["result"]


def masked(ran: Ran) -> Ran:
    """UUIDs by the order in which they appear, tags by a short form, so that cases read well."""
    seen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return seen.setdefault(found[0], f"uuid-{len(seen) + 1}")

    def mask(text: str) -> str:
        text = UUID.sub(name, text)
        for uuid, short in list(seen.items()):
            text = text.replace(f"~{uuid[:8]}", f"~{short}")
        text = re.sub(r"~(?!(.)\1{7})[0-9a-f]{8}\b", "~uuid", text)  # but not those that a case chose
        text = re.sub(r"ray [0-9a-f]{16}-SBX", "ray …", text)  # counts requests, whose order is not fixed
        text = re.sub(r"http://127.0.0.1:\d+/", "http://127.0.0.1:…/", text)
        return re.sub(r"sha256:[0-9a-f]{64}", "sha256:…", text)

    out = mask(ran.stdout)
    return Ran(ran.code, out, mask(ran.stderr), [mask(one) for one in ran.requests])


def tag(worker: str) -> str:
    return hashlib.sha256(worker.encode()).hexdigest()[:32]


class _Dumper(yaml.SafeDumper):
    """Texts as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(case: dict[str, Any]) -> str:
    return yaml.dump(case, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
