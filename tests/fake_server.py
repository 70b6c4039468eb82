"""A stand-in of the API over HTTP for tests, written from the reference and the field notes alone.

It keeps state (Workers, triggers, variables, tokens, connections), logs every request, and can be told for
each route what to answer instead: `server.on("GET", r"/builds/tokens", Answer(status=502, body=b"<html>"))`.
Every object carries a field that no reference lists. Runners for the real command line stand at the end.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import gc
import io
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from reconciler import cli

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "canary-api-token-5fQ_z~7"
SECRET = "canary/secret+value=%71 é"
DEPLOY = "canary-deploy-token-91"
CLOUDFLARE_TOKEN_ID = "ed17574386854bf78a67040be0a770b0"  # what `BEFORE` and `AFTER` name, and `DEPLOY` belongs to
WHEN = "2026-01-02T03:04:05.678Z"
HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
REQUIRED = {
    "branch_excludes": list,
    "branch_includes": list,
    "build_command": str,
    "build_token_uuid": str,
    "deploy_command": str,
    "external_script_id": str,
    "path_excludes": list,
    "path_includes": list,
    "repo_connection_uuid": str,
    "root_directory": str,
    "trigger_name": str,
}
PATCHABLE = {*REQUIRED, "build_caching_enabled"} - {"external_script_id", "repo_connection_uuid"}
PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjFFT8oNJ65tQVY2O
vwoxNeVDAaa7w7dpt03uwUi3XG6hRANCAAQa1kTOBmQ1dTvwc+CH7njs/2LJKC4R
h9Evi/jas8ZPSaG44crxsk232WZtxKWSg8x6HlyXh2cDioZtA55SkIG7
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUa1kZsRtIZfwnOjdxkTci6xB0vTwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA3MTcxMloYDzIxMjYxMDMx
MDcxNzEyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQa1kTOBmQ1dTvwc+CH7njs/2LJKC4Rh9Evi/jas8ZPSaG44crxsk23
2WZtxKWSg8x6HlyXh2cDioZtA55SkIG7o28wbTAdBgNVHQ4EFgQU/LHuKD4UesJ0
/mN5heksYiASlWgwHwYDVR0jBBgwFoAU/LHuKD4UesJ0/mN5heksYiASlWgwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZI
zj0EAwIDSAAwRQIhAIsNVst432J7ky2XTkJf11ZmWsSZ83d50tDdxIr5vgJLAiAh
g8RKZyayt0esAMrCeI42aGIPMEnyXt2Iy3aJa2b2iw==
-----END CERTIFICATE-----
"""
"""A self-signed certificate for 127.0.0.1 and its key, for tests only."""
KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


@dataclass(frozen=True)
class Call:
    """One request as it came in; `path` is what stands below `/accounts/{account_id}`."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What goes back. `cut`: `before` closes without an answer, `middle` within the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: str = ""
    length: bool = True


def envelope(result: Any = None, *, status: int = 200, **more: Any) -> Answer:
    document = {"success": True, "errors": [], "messages": [], "result": result, "x_new": {"a": [1]}, **more}
    return Answer(status, json.dumps(document).encode(), {"content-type": "application/json"})


def failure(status: int, code: Any, message: str = "refused", **more: Any) -> Answer:
    errors = [{"code": code, "message": message, "documentation_url": "https://developers.cloudflare.com/"}]
    document = {"success": False, "errors": errors, "messages": [], "result": None, **more}
    return Answer(status, json.dumps(document).encode(), {"content-type": "application/json"})


def raw(body: bytes, status: int = 200, **headers: str) -> Answer:
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def html(status: int) -> Answer:
    return Answer(status, HTML, {"content-type": "text/html"})


Rule = Callable[[Call], Answer | None]


class FakeServer:
    """State, log and rules. `respond` is what the API does; `answer` lets a rule say otherwise."""

    def __init__(self, *, tls: bool = False) -> None:
        self.workers: dict[str, str] = {}
        self.triggers: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, dict[str, dict[str, Any]]] = {}
        self.tokens: list[dict[str, Any]] = []
        self.connections: dict[str, dict[str, Any]] = {}
        self.account, self.token = ACCOUNT, TOKEN
        self.normalise = False  # what the field notes leave unknown: order of lists, null for empty texts
        self.page_size = 200
        self.log: list[Call] = []
        self.open = self.most_open = 0
        self._rules: list[list[Any]] = []
        self._count = 0
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self), bind_and_activate=False)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._http.request_queue_size = 128
        self._http.server_bind()
        self._http.server_activate()
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "both.pem"
                file.write_text(PEM, encoding="ascii")
                context.load_cert_chain(file)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/client/v4"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def on(self, method: str, path: str, answer: Answer | Rule, *, times: int = -1) -> None:
        """Answer so where method and path (a regular expression for all of it) fit; later rules win."""
        self._rules.insert(0, [method, re.compile(path + r"\Z"), answer, times])

    def clear(self) -> None:
        self._rules.clear()
        self.log.clear()

    def state(self) -> Any:
        names = ("workers", "triggers", "variables", "tokens", "connections", "_count")
        return copy.deepcopy({name: getattr(self, name) for name in names})

    def restore(self, state: Any) -> None:
        for name, value in copy.deepcopy(state).items():
            setattr(self, name, value)

    def sent(self, method: str = "", path: str = "") -> list[Call]:
        found = re.compile(path + r"\Z") if path else None
        return [c for c in self.log if method in ("", c.method) and (not found or found.match(c.path))]

    def writes(self) -> list[Call]:
        return [call for call in self.log if call.method != "GET"]

    def worker(self, name: str) -> str:
        self.workers[name] = f"{len(self.workers) + 1:032x}"
        return self.workers[name]

    def trigger(self, worker: str, name: str) -> dict[str, Any]:
        tag = self.workers[worker]
        return next(
            one for one in self.triggers.values() if one["external_script_id"] == tag and one["trigger_name"] == name
        )

    def answer(self, call: Call) -> Answer:
        with self._lock:
            self.log.append(call)
            rule = self._rule(call)
        found = rule(call) if callable(rule) else rule
        return found if found is not None else self.respond(call)

    def _rule(self, call: Call) -> Answer | Rule | None:
        for rule in self._rules:
            if rule[0] in ("", call.method) and rule[1].match(call.path) and rule[3] != 0:
                rule[3] -= 1
                return rule[2]  # type: ignore[no-any-return]
        return None

    def respond(self, call: Call) -> Answer:
        if not call.headers.get("authorization"):
            return failure(401, 12005, "Missing token")
        if call.path.endswith("/user/tokens/verify"):
            return envelope({"id": CLOUDFLARE_TOKEN_ID, "status": "active"})
        if call.headers["authorization"] != f"Bearer {self.token}":
            return failure(401, 12006, "Invalid token")
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("GET", r"/workers/scripts", self._scripts),
            ("GET", r"/builds/workers/([^/]+)", lambda _, __: failure(404, 12040)),
            ("GET", r"/builds/workers/([^/]+)/triggers", self._list),
            ("POST", r"/builds/triggers", self._create),
            ("PATCH", r"/builds/triggers/([^/]+)", self._update),
            ("DELETE", r"/builds/triggers/([^/]+)", self._delete),
            ("GET", r"/builds/triggers/([^/]+)/environment_variables", self._variables),
            ("PATCH", r"/builds/triggers/([^/]+)/environment_variables", self._upsert),
            ("DELETE", r"/builds/triggers/([^/]+)/environment_variables/([^/]+)", self._delete_variable),
            ("GET", r"/builds/tokens", self._list_tokens),
            ("POST", r"/builds/tokens", self._create_token),
            ("PUT", r"/builds/repos/connections", self._put_connection),
        )
        with self._lock:
            for method, path, act in routes:
                found = re.fullmatch(path, call.path)
                if found and method == call.method:
                    return act(call, *found.groups())
        return failure(404, 7003, "Could not route to the path")

    def _uuid(self) -> str:
        self._count += 1
        return f"{self._count:08x}-0000-4000-8000-{self._count:012x}"

    def _shown(self, trigger: dict[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in trigger.items() if name != "repo_connection_uuid"}
        shown["repo_connection"] = self.connections[trigger["repo_connection_uuid"]]
        if self.normalise:
            for name, value in shown.items():
                if isinstance(value, list):
                    shown[name] = value[::-1]
                elif value == "":
                    shown[name] = None
            shown["root_directory"] = shown["root_directory"].strip("/")
        return shown | {"deleted_on": None, "x_new": None}

    def _scripts(self, _: Call) -> Answer:
        rows = [
            {"id": name, "tag": tag, "etag": "e" * 64, "tags": ["t"], "modified_on": WHEN}
            for name, tag in self.workers.items()
        ]
        return envelope(rows)

    def _list(self, _: Call, tag: str) -> Answer:
        if tag not in self.workers.values():
            return failure(404, 10007, "This Worker does not exist on your account.")
        rows = [self._shown(one) for one in self.triggers.values() if one["external_script_id"] == tag]
        return envelope(rows)

    def _create(self, call: Call) -> Answer:
        body = call.body
        if not isinstance(body, dict) or set(body) - {*REQUIRED, "build_caching_enabled"}:
            return failure(400, 12002, "Invalid request body")
        if any(not isinstance(body.get(name), kind) for name, kind in REQUIRED.items()):
            return failure(400, 12002, "Invalid request body")
        if not body["branch_includes"] or not body["deploy_command"]:
            return failure(400, 12002, "Invalid request body")
        if body["external_script_id"] not in self.workers.values():
            return failure(404, 10007)
        known = {token["build_token_uuid"] for token in self.tokens}
        if body["repo_connection_uuid"] not in self.connections or body["build_token_uuid"] not in known:
            return failure(404, 12000, "Not found")
        for other in self.triggers.values():
            same = ("*" in other["branch_includes"]) == ("*" in body["branch_includes"])
            if other["external_script_id"] == body["external_script_id"] and same:
                return failure(409, 12042)
        uuid = self._uuid()
        self.triggers[uuid] = {
            "build_caching_enabled": True,
            **body,
            "trigger_uuid": uuid,
            "created_on": WHEN,
            "modified_on": WHEN,
            "build_token_name": "name",
        }
        self.variables[uuid] = {}
        return envelope(self._shown(self.triggers[uuid]))

    def _update(self, call: Call, uuid: str) -> Answer:
        if uuid not in self.triggers:
            return failure(404, 12000, "Not found")
        if not isinstance(call.body, dict) or set(call.body) - PATCHABLE or None in call.body.values():
            return failure(400, 12002, "Invalid request body")
        self.triggers[uuid] |= call.body
        return envelope(self._shown(self.triggers[uuid]))

    def _delete(self, _: Call, uuid: str) -> Answer:
        if self.triggers.pop(uuid, None) is None:
            return failure(404, 12000, "Not found")
        del self.variables[uuid]
        return envelope(None)

    def _variables(self, _: Call, uuid: str) -> Answer:
        return envelope(self.variables[uuid]) if uuid in self.variables else failure(404, 12000)

    def _upsert(self, call: Call, uuid: str) -> Answer:
        if uuid not in self.variables:
            return failure(404, 12000)
        if not isinstance(call.body, dict):
            return failure(400, 12002)
        for key, one in call.body.items():
            if not KEY.match(key) or not isinstance(one.get("value"), str) or len(one["value"]) > 5000:
                return failure(400, 12002)
        for key, one in call.body.items():
            shown = None if one["is_secret"] else one["value"]
            self.variables[uuid][key] = {"created_on": WHEN, "is_secret": one["is_secret"], "value": shown, "x_new": 1}
        return envelope(self.variables[uuid])

    def _delete_variable(self, _: Call, uuid: str, key: str) -> Answer:
        if self.variables.get(uuid, {}).pop(urllib.parse.unquote(key), None) is None:
            return failure(404, 12000)
        return envelope("ok")

    def _list_tokens(self, call: Call) -> Answer:
        page, size = int(call.query.get("page", 1)), min(int(call.query.get("per_page", 50)), self.page_size)
        rows = self.tokens[(page - 1) * size : page * size]
        pages = -(-len(self.tokens) // size)
        info = {"count": len(rows), "page": page, "per_page": size, "total_count": len(self.tokens)}
        return envelope(rows, result_info=info | {"total_pages": pages, "next_page": page < pages})

    def _create_token(self, call: Call) -> Answer:
        names = {"build_token_name", "build_token_secret", "cloudflare_token_id"}
        if not isinstance(call.body, dict) or set(call.body) != names:
            return failure(400, 12002)
        return envelope(self.add_token(call.body["build_token_name"], call.body["cloudflare_token_id"]))

    def add_token(self, name: str, cloudflare_token_id: str = "c" * 32) -> dict[str, Any]:
        self.tokens.append(
            {
                "build_token_name": name,
                "build_token_uuid": self._uuid(),
                "cloudflare_token_id": cloudflare_token_id,
                "owner_type": "user",
                "x_new": [],
            }
        )
        return self.tokens[-1]

    def _put_connection(self, call: Call) -> Answer:
        for uuid, one in self.connections.items():
            if (one["provider_type"], one["repo_id"]) == (call.body["provider_type"], call.body["repo_id"]):
                self.connections[uuid] = one | call.body
                return envelope(self.connections[uuid])
        uuid = self._uuid()
        self.connections[uuid] = {**call.body, "repo_connection_uuid": uuid, "created_on": WHEN}
        self.connections[uuid] |= {"deleted_on": None, "modified_on": WHEN, "x_new": True}
        return envelope(self.connections[uuid])


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 20  # an answer leaves in one piece

        def setup(self) -> None:
            super().setup()
            with server._lock:
                server.open += 1
                server.most_open = max(server.most_open, server.open)

        def finish(self) -> None:
            with server._lock:
                server.open -= 1
            super().finish()

        def answer(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("content-length") or 0))
            prefix = f"/client/v4/accounts/{server.account}"
            call = Call(
                method=self.command,
                path=parts.path.removeprefix(prefix),
                query=dict(urllib.parse.parse_qsl(parts.query)),
                body=json.loads(text) if text else None,
                headers={name.lower(): value for name, value in self.headers.items()},
            )
            found = server.answer(call)
            if found.cut == "before":
                self.close_connection = True
                return
            self.send_response(found.status)
            for name, value in {"CF-RAY": f"{len(server.log):016x}-FRA", **found.headers}.items():
                self.send_header(name, value)
            if found.length and found.status not in (204, 304):
                self.send_header("Content-Length", str(len(found.body)))
            else:
                self.close_connection = found.status not in (204, 304)
            self.end_headers()
            if found.cut == "middle":
                self.wfile.write(found.body[: len(found.body) // 2])
                self.close_connection = True
            elif found.status not in (204, 304):
                self.wfile.write(found.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[FakeServer]:
    server = FakeServer(**options)
    try:
        yield server
    finally:
        server.close()


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def environment(server: FakeServer | None = None, **more: str | None) -> dict[str, str]:
    """What a command gets to see: nothing of the machine but the path."""
    given: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "CLOUDFLARE_API_TOKEN": TOKEN,
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "DEPLOY_TOKEN": DEPLOY,
        "SENTRY_AUTH_TOKEN": SECRET,
        "NO_COLOR": "1",
        "NO_PROXY": "*",
    }
    if server:
        given["CLOUDFLARE_API_BASE_URL"] = server.url
    given |= more
    return {name: value for name, value in given.items() if value is not None}


def run(arguments: list[str], env: dict[str, str], folder: Path, *, wait: bool = True) -> Ran:
    """One command line in this process, with no other environment than `env`, inside `folder`. To `wait` for
    what it may have left open takes longer than most commands."""
    out, err = io.StringIO(), io.StringIO()
    before, here = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(arguments)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    if wait:
        settle()
    ran = Ran(code, out.getvalue(), err.getvalue())
    check_clean(ran.text)
    return ran


def join() -> None:
    """Let threads end whose requests nobody waited for, so that they disturb nothing that comes later."""
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(timeout=30)


def settle() -> None:
    """The same, and let go of what they held open."""
    join()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


QUICK = (
    "import sys, reconciler.api as api; api.BACK_OFF_SECONDS = api.MAX_BACK_OFF_SECONDS = 0.0;"
    "from reconciler.cli import main; main()"
)


def start(
    arguments: list[str], env: dict[str, str], folder: Path, *, before: tuple[str, ...] = (), **more: Any
) -> subprocess.Popen[str]:
    """One command line as a process of its own, behind the words `before`; it does not back off."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*before, sys.executable, "-c", QUICK, *arguments], env=env, cwd=folder, encoding="utf-8", **(pipes | more)
    )


def finish(process: subprocess.Popen[str]) -> Ran:
    """Wait for its end; the limit only keeps a broken run from hanging the tests."""
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    ran = Ran(process.returncode, out or "", err or "")
    check_clean(ran.text)
    return ran


def disguises(secret: str) -> set[str]:
    """The ways in which a value could show itself."""
    data = secret.encode()
    found = {secret, data.hex(), urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret)}
    found |= {urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1]}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"x" * shift + data).decode()[4:-4])
    return found


def check_clean(text: str, *more: str) -> None:
    """No secret, no traceback and no confession of a bug in `text`."""
    for secret in (TOKEN, SECRET, DEPLOY, *more):
        for shown in disguises(secret):
            assert shown not in text, "a secret shows"
    for words in ("Traceback", "this is a bug in buildsctl", "AssertionError"):
        assert words not in text, text


BEFORE = """
version: 1
owner: acme/builds
connections:
  acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}
  acme/old: {provider_account_id: "41612145", repo_id: "77"}
tokens:
  deploy:
    cloudflare_token_id: ed17574386854bf78a67040be0a770b0
    build_token_secret: {value_from: {env: DEPLOY_TOKEN}}
  dash: {build_token_name: Workers Builds - 2026-01-02}
defaults: {build_token: deploy, repo_connection: acme/site, deploy_command: npx wrangler deploy}
workers:
  api:
    triggers:
      production: {branch_includes: [main], environment_variables: {A: "1", OLD: x}}
      preview:
        branch_includes: ["*"]
        branch_excludes: [main]
        repo_connection: acme/old
        deploy_command: npx wrangler versions upload
        environment_variables: {P: "1"}
  web:
    triggers:
      preview:
        branch_includes: ["*"]
        branch_excludes: [main]
        deploy_command: npx wrangler versions upload
        environment_variables: {Q: "1"}
"""
AFTER = """
version: 1
owner: acme/builds
connections:
  acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}
tokens:
  deploy:
    cloudflare_token_id: ed17574386854bf78a67040be0a770b0
    build_token_secret: {value_from: {env: DEPLOY_TOKEN}}
  dash: {build_token_name: Workers Builds - 2026-01-02}
defaults: {build_token: deploy, repo_connection: acme/site, deploy_command: npx wrangler deploy}
workers:
  api:
    triggers:
      production: {branch_includes: [main], build_command: make, environment_variables: {A: "2", NEW: n}}
      preview:
        branch_includes: ["*"]
        branch_excludes: [main]
        deploy_command: npx wrangler versions upload
        environment_variables: {P: "1"}
  web:
    triggers:
      production:
        branch_includes: [main]
        path_includes: ["apps/web/*"]
        environment_variables: {SENTRY_AUTH_TOKEN: {value_from: {env: SENTRY_AUTH_TOKEN}}, N: ""}
"""
"""From `BEFORE` to `AFTER` triggers and variables are created, updated, replaced and deleted."""


def write(folder: Path, text: str) -> Path:
    """`text` as the manifest in `folder`."""
    (folder / "buildsctl.yaml").write_text(text, encoding="utf-8")
    return folder


def build_estate(server: FakeServer, folder: Path) -> None:
    """Two Workers as `BEFORE` has them, made by the command under test, and one that nobody declares."""
    for name in ("api", "web", "undeclared"):
        server.worker(name)
    server.add_token("Workers Builds - 2026-01-02")
    ran = run(["apply", "--auto-approve"], environment(server), write(folder, BEFORE))
    assert ran.code == 0, ran.text
    server.clear()
