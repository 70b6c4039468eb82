"""Who cannot get in is told why and what to do: tokens, accounts, base URLs, networks, gateways."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from fake_server import (
    AFTER,
    TOKEN,
    Answer,
    Call,
    FakeServer,
    Ran,
    build_estate,
    check_clean,
    environment,
    failure,
    html,
    run,
    serving,
    write,
)

from reconciler import api, gate

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas" / "plan.schema.json").read_text())
ONE = """
version: 1
owner: acme/builds
connections: {acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}}
workers:
  web:
    build_token_uuid: 182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e
    triggers: {production: {branch_includes: [main], deploy_command: npx wrangler deploy}}
"""
"""One Worker whose tag is looked up, and a token by its UUID."""
NAMES_ONLY = "version: 1\nowner: acme/builds\nworkers: {web: {}}\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    with serving() as found:
        found.worker("web")
        found.add_token("x")["build_token_uuid"] = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, ONE)


def plan(folder: Path, env: dict[str, str], *more: str, command: str = "plan") -> Ran:
    """A plan or apply; what it writes into a file on failure fits the schema and holds no secret."""
    extra = ["--auto-approve"] if command == "apply" else []
    ran = run(["-v", command, "--out", "report.json", *extra, *more], env, folder)
    text = (folder / "report.json").read_text()
    check_clean(text)
    document = json.loads(text)
    jsonschema.validate(document, SCHEMA)
    assert document["exit_codes"][0] == (ran.code or document["exit_codes"][0] & 2)
    return ran


def test_no_token(server: FakeServer, folder: Path) -> None:
    ran = plan(folder, environment(server, CLOUDFLARE_API_TOKEN=None))
    assert ran.code == 6
    assert "no API token is set" in ran.err
    assert "hint: set BUILDSCTL_API_TOKEN or CLOUDFLARE_API_TOKEN" in ran.err
    assert not server.log


def test_an_empty_token_is_none(server: FakeServer, folder: Path) -> None:
    assert plan(folder, environment(server, CLOUDFLARE_API_TOKEN=" \n")).code == 6
    assert not server.log


def test_our_own_variable_wins_and_a_trailing_newline_does_no_harm(server: FakeServer, folder: Path) -> None:
    env = environment(server, BUILDSCTL_API_TOKEN=f"{TOKEN}\n", CLOUDFLARE_API_TOKEN="wranglers")
    assert plan(folder, env).code == 0
    assert {call.headers["authorization"] for call in server.log} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("middle", ["\n", "\r\n", " ", "\t", "é", "\x7f", "\u2028", "\udcff", "“"])
def test_a_token_that_cannot_be_one(server: FakeServer, folder: Path, middle: str) -> None:
    bad = f"canary-half{middle}canary-other"
    ran = plan(folder, environment(server, CLOUDFLARE_API_TOKEN=bad))
    assert ran.code in (1, 6)
    assert "CLOUDFLARE_API_TOKEN" in ran.err
    assert "hint: " in ran.err
    check_clean(ran.text, "canary-half", "canary-other")
    assert not server.log


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_the_wrong_kind_of_token(server: FakeServer, folder: Path, command: str) -> None:
    """12006 on every Builds path while the Workers are listed: the first thing every newcomer meets."""
    server.on("", "/builds/.*", failure(401, 12006, "Invalid token"))
    for manifest in (ONE, AFTER):
        ran = plan(write(folder, manifest), environment(server), command=command)
        assert ran.code == 6
        assert "code 12006" in ran.err
        assert "user" in ran.err
        assert "My Profile" in ran.err
        assert "account-owned" in ran.err
    assert not server.writes()
    assert server.sent("GET", "/workers/scripts")


@pytest.mark.parametrize(
    ("status", "code"), [(401, 12005), (401, 9109), (403, 9109), (401, 9106), (400, 9106), (401, 1000)]
)
def test_tokens_that_the_api_does_not_take(server: FakeServer, folder: Path, status: int, code: int) -> None:
    server.on("", ".*", failure(status, code))
    ran = plan(folder, environment(server), command="apply")
    assert ran.code == 6
    assert f"HTTP {status}, code {code}" in ran.err
    assert "hint: " in ran.err
    assert len(server.log) == len({str(call) for call in server.log})  # such an answer is final


@pytest.mark.parametrize("manifest", [ONE, AFTER])
def test_a_permission_that_is_missing_everywhere(server: FakeServer, folder: Path, manifest: str) -> None:
    server.on("", ".*", failure(403, 10000, "Authentication error"))
    ran = plan(write(folder, manifest), environment(server), command="apply")
    assert ran.code == 6
    assert "Workers Builds Configuration" in ran.err
    assert "code 10000" in ran.err


def test_a_permission_that_is_missing_for_builds_only(server: FakeServer, folder: Path) -> None:
    server.on("", "/builds/.*", failure(403, 10000, "Authentication error"))
    ran = plan(folder, environment(server))
    assert ran.code == 6
    assert "Workers Builds Configuration" in ran.err


def test_a_permission_that_is_missing_for_the_names_only(server: FakeServer, folder: Path) -> None:
    """Builds can be read: then it could not look everywhere, and the way out is named."""
    server.on("GET", "/workers/scripts", failure(403, 10000, "Authentication error"))
    server.add_token("Workers Builds - 2026-01-02")
    ran = plan(write(folder, AFTER), environment(server))
    assert ran.code == 7
    assert "Workers Scripts: Read" in ran.text
    ran = plan(write(folder, NAMES_ONLY), environment(server))
    assert ran.code == 6  # here nothing at all was read
    assert "Workers Scripts: Read" in ran.text


def test_a_given_tag_needs_no_names(server: FakeServer, folder: Path) -> None:
    server.on("GET", "/workers/scripts", failure(403, 10000))
    tag = server.workers["web"]
    write(folder, ONE.replace("  web:\n", f'  web:\n    tag: "{tag}"\n'))
    assert plan(folder, environment(server)).code == 0
    assert not server.sent("GET", "/workers/scripts")


def test_a_token_that_may_only_read(server: FakeServer, folder: Path) -> None:
    """The first write is forbidden: 6, nothing else is tried."""
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        server.on(method, ".*", failure(403, 10000, "Authentication error"))
    server.add_token("Workers Builds - 2026-01-02")
    server.worker("api")
    ran = plan(write(folder, AFTER), environment(server), command="apply")
    assert ran.code == 6
    assert len(server.writes()) == 1
    assert "code 10000" in ran.text
    assert "Edit" in ran.text
    report = json.loads((folder / "report.json").read_text())
    assert {one["status"] for one in report["outcomes"]} == {"failed", "skipped"}


def test_a_later_write_that_is_forbidden(server: FakeServer, folder: Path) -> None:
    server.add_token("Workers Builds - 2026-01-02")
    server.worker("api")
    server.on("POST", "/builds/tokens", failure(403, 10000, "Authentication error"))
    ran = plan(write(folder, AFTER), environment(server), command="apply")
    assert ran.code == 3
    assert [str(call) for call in server.writes()] == ["PUT /builds/repos/connections", "POST /builds/tokens"]


def test_an_unknown_account(server: FakeServer, folder: Path) -> None:
    server.on("", ".*", failure(404, 7003, "Could not route to /accounts/…, perhaps your id is invalid?"))
    for manifest in (ONE, AFTER):
        ran = plan(write(folder, manifest), environment(server), command="apply")
        assert ran.code in (1, 6, 7)
        assert "code 7003" in ran.text
        assert "account id" in ran.text
    assert not server.writes()


@pytest.mark.parametrize(
    ("status", "code"), [(400, 7003), (404, 7003), (403, 10000), (401, 9109), (403, 9109), (401, 9106)]
)
@pytest.mark.parametrize("arguments", [["plan"], ["doctor"], ["tokens", "list"], ["builds", "list", "api"]])
def test_a_wrong_account_is_named_as_what_may_be_wrong(
    server: FakeServer, folder: Path, status: int, code: int, arguments: list[str]
) -> None:
    server.on("", ".*", failure(status, code))
    ran = run(arguments, environment(server), folder)
    assert ran.code
    assert re.search(r"hint: .*\baccount\b", ran.text)
    assert "There are no build tokens" not in ran.text


def test_accounts_that_disagree(server: FakeServer, folder: Path) -> None:
    write(folder, ONE + f"account_id: {'f' * 32}\n")
    ran = plan(folder, environment(server))
    assert ran.code == 1
    assert "f" * 32 in ran.err
    assert "CLOUDFLARE_ACCOUNT_ID" in ran.err
    assert not server.log


def test_the_data_of_a_sandbox_means_no_live_account(server: FakeServer, folder: Path) -> None:
    ran = run(["apply", "--auto-approve", "--sandbox-file", "x.db"], environment(server), folder)
    assert ran.code == 1
    assert "say --sandbox as well" in ran.err
    assert server.log == []


def test_no_account(server: FakeServer, folder: Path) -> None:
    ran = plan(folder, environment(server, CLOUDFLARE_ACCOUNT_ID=None))
    assert ran.code == 1
    assert "CLOUDFLARE_ACCOUNT_ID" in ran.err
    assert "--account-id" in ran.err
    assert not server.log


@pytest.mark.parametrize("account", ["../user", "a b", "é", "a/b", "?x=1", "%2e%2e"])
def test_an_account_that_is_none(server: FakeServer, folder: Path, account: str) -> None:
    ran = plan(folder, environment(server, CLOUDFLARE_ACCOUNT_ID=account))
    assert ran.code == 1
    assert "account" in ran.err
    assert not server.log


BAD_URLS = [
    "http://api.example.invalid/client/v4",
    "http://127.0.0.1.example.invalid/client/v4",
    "http://0.0.0.0:1/client/v4",
    "https://canary-user:canary-pass@127.0.0.1:1/client/v4",
    "https://:canary-pass@127.0.0.1:1/client/v4",
    "https://canary-user@127.0.0.1:1/client/v4",
    "canary-user:canary-pass@127.0.0.1:1",
    "https:///client/v4",
    "https://",
    "ftp://127.0.0.1/client/v4",
    "file:///etc/hosts",
    "api.cloudflare.com/client/v4",
    "https://127.0.0.1:1/client/v4?x=1",
    "https://127.0.0.1:1/client/v4#x",
    "https://[::1",
    "https://127.0.0.1:99999/client/v4",
    "https://127.0.0.1:port/client/v4",
    "https://exa mple.invalid/",
    "https://xn--/client/v4",
    "https://a..b.invalid/client/v4",
    "https://127.0.0.1:1/client\x00/v4",
    "https://127.0.0.1:1/cli\nent/v4",
    "nonsense",
]


@pytest.mark.parametrize("url", BAD_URLS, ids=ascii)
def test_a_base_url_that_cannot_be_used(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is sent, without a credential in the message."""
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    if "\x00" in url:  # no environment can hold it
        ran = plan(folder, environment(), "--api-base-url", url)
    else:
        ran = plan(folder, environment(CLOUDFLARE_API_BASE_URL=url))
    assert ran.code == 1
    assert "URL" in ran.err
    assert "hint: " in ran.err
    assert "GET" not in ran.err
    check_clean(ran.text, "canary-pass")


def test_credentials_in_the_base_url_never_replace_the_token(server: FakeServer, folder: Path) -> None:
    url = server.url.replace("//", "//:canary-pass@")
    assert plan(folder, environment(CLOUDFLARE_API_BASE_URL=url)).code == 1
    assert not server.log


def test_plain_http_to_a_stranger_can_be_insisted_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    url = "http://builds.invalid/client/v4"
    ran = run(["--allow-http", "plan"], environment(CLOUDFLARE_API_BASE_URL=url), folder)
    assert "cannot be resolved" in ran.text
    env = environment(CLOUDFLARE_API_BASE_URL=url, BUILDSCTL_ALLOW_HTTP="1")
    assert "unencrypted" in run(["plan"], env, folder).err


def unreachable(ran: Ran, cause: str, hint: str) -> None:
    assert ran.code in (1, 7)
    assert cause in ran.text
    assert hint in ran.text
    assert "hint: " in ran.text


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_nobody_listens(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can have it
        url = f"http://127.0.0.1:{held.getsockname()[1]}/client/v4"
        ran = plan(folder, environment(CLOUDFLARE_API_BASE_URL=url), command=command)
    unreachable(ran, "no connection", "CLOUDFLARE_API_BASE_URL")
    assert "No changes:" not in ran.out


def test_a_host_that_cannot_be_resolved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    ran = plan(folder, environment(CLOUDFLARE_API_BASE_URL="https://builds.invalid/client/v4"))
    unreachable(ran, "cannot be resolved", "CLOUDFLARE_API_BASE_URL")


def test_tls_to_a_plain_port(server: FakeServer, folder: Path) -> None:
    ran = plan(folder, environment(CLOUDFLARE_API_BASE_URL=server.url.replace("http", "https")))
    unreachable(ran, "TLS", "SSL_CERT_FILE")
    assert not server.log


def test_a_certificate_that_nobody_vouches_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BACK_OFF_SECONDS", 0.0)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    with serving(tls=True) as server:
        env = environment(CLOUDFLARE_API_BASE_URL=server.url.replace("http", "https"))
        ran = plan(folder, env)
        unreachable(ran, "TLS", "SSL_CERT_FILE")
        assert not server.log


@pytest.mark.parametrize("status", [200, 404, 502, 524])
@pytest.mark.parametrize("manifest", [ONE, AFTER])
def test_html_from_a_gateway(server: FakeServer, folder: Path, status: int, manifest: str) -> None:
    server.on("", ".*", html(status))
    ran = plan(write(folder, manifest), environment(server), command="apply")
    assert ran.code in (1, 7)
    assert f"HTTP {status}" in ran.text
    assert "gateway" in ran.text or "CLOUDFLARE_API_BASE_URL" in ran.text
    assert "<html" not in ran.text
    assert not server.writes()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: FakeServer, folder: Path, status: int) -> None:
    with serving() as other:
        there = other.url + "/accounts/x/workers/scripts"
        server.on("", ".*", Answer(status, b"", {"Location": there}))
        ran = plan(folder, environment(server), command="apply")
        assert ran.code in (1, 7)
        assert "redirect" in ran.text
        assert not other.log


def test_a_redirect_of_a_write_is_not_followed(server: FakeServer, folder: Path) -> None:
    with serving() as other:
        server.on("PUT", ".*", Answer(307, b"", {"Location": other.url + "/accounts/x/builds/tokens"}))
        ran = plan(folder, environment(server), command="apply")
        assert ran.code == 1, ran.text
        assert not other.log


def test_the_trace_shows_method_path_status_time_and_ray_only(server: FakeServer, folder: Path) -> None:
    server.add_token("Workers Builds - 2026-01-02")
    server.worker("api")
    server.on("PATCH", "/builds/triggers/[^/]+", failure(400, 12002), times=1)
    ran = plan(write(folder, AFTER), environment(server), command="apply")
    assert ran.code == 3, ran.text
    lines = [line for line in ran.err.splitlines() if " ms" in line]
    assert len(lines) == len(server.log)
    for line in lines:
        method, path, status, took, unit, word, ray = line.split(" ")
        assert method in ("GET", "PUT", "POST", "PATCH", "DELETE")
        assert path.startswith(("/workers/scripts", "/builds/"))
        assert status in ("200", "400", "404")
        assert took.isdigit()
        assert (unit, word) == ("ms", "ray")
        assert ray.endswith("-FRA")


def test_a_secret_that_the_server_reflects_is_not_shown(server: FakeServer, folder: Path) -> None:
    """Error messages and headers of the server may quote what was sent; ours never do."""

    def reflect(call: Call) -> Answer:
        told = json.dumps([call.body, call.headers["authorization"]])
        return failure(400, 12002, told, messages=[told])

    server.on("POST", ".*", reflect)
    server.add_token("Workers Builds - 2026-01-02")
    server.worker("api")
    ran = plan(write(folder, AFTER), environment(server), command="apply")
    assert ran.code == 3
    assert "code 12002" in ran.text


def test_no_secret_in_anything_that_a_whole_run_writes(server: FakeServer, folder: Path) -> None:
    build_estate(server, folder)
    for arguments in (["plan"], ["apply", "--auto-approve"], ["plan"]):
        for shape in ("text", "json"):
            more = ["-v", "--out", "report.json", "--format", shape]
            assert run([*arguments, *more], environment(server), write(folder, AFTER)).code == 0
            check_clean((folder / "report.json").read_text())
            jsonschema.validate(json.loads((folder / "report.json").read_text()), SCHEMA)
