"""The stand-in refuses what the live API refuses, with its status and code, and keeps the same state."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.sandbox import Response, Sandbox

ACCOUNT = "0123456789abcdef0123456789abcdef"
BUILDS = f"/client/v4/accounts/{ACCOUNT}/builds"
WORKERS = f"/client/v4/accounts/{ACCOUNT}/workers"
TAG = "a" * 32
OTHER_TAG = "b" * 32
NEWER_TAG = "c" * 32
TOKEN = "11111111-1111-4111-8111-111111111111"
CONNECTION = "22222222-2222-4222-8222-222222222222"
SEED: dict[str, Any] = {
    "workers": [
        {"id": "web", "tag": TAG},
        {"id": "api", "tag": OTHER_TAG},
        {"id": "new", "tag": NEWER_TAG, "newer_surface": True},
    ],
    "connections": [
        {
            "provider_account_id": "41612145",
            "provider_account_name": "acme",
            "repo_id": "1332648945",
            "repo_name": "site",
            "repo_connection_uuid": CONNECTION,
        }
    ],
    "build_tokens": [{"build_token_name": "deploy", "cloudflare_token_id": "t1", "build_token_uuid": TOKEN}],
}
PRODUCTION: dict[str, Any] = {
    "branch_excludes": [],
    "branch_includes": ["main"],
    "build_command": "npm run build",
    "build_token_uuid": TOKEN,
    "deploy_command": "npx wrangler deploy",
    "external_script_id": TAG,
    "path_excludes": [],
    "path_includes": ["*"],
    "repo_connection_uuid": CONNECTION,
    "root_directory": "/",
    "trigger_name": "Deploy default branch",
}
PREVIEW = {**PRODUCTION, "branch_includes": ["*"], "branch_excludes": ["main"], "trigger_name": "Preview"}
PUT = {
    "provider_type": "github",
    "provider_account_id": "41612145",
    "provider_account_name": "acme",
    "repo_id": "1332648945",
    "repo_name": "site",
}
NEW_TOKEN = {"build_token_name": "deploy", "build_token_secret": "canary", "cloudflare_token_id": "t2"}
DROP = object()


class Clock:
    """Each look is a second later than the one before."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Client:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def raw(self, method: str, path: str, body: bytes = b"", *, bearer: str = "any", **query: str) -> Response:
        return self.sandbox.handle(method, path, query, {"authorization": f"Bearer {bearer}"}, body)

    def ok(self, method: str, path: str, body: object = None, **query: str) -> Any:
        document = self.document(method, path, body, **query)
        return document["result"]

    def document(self, method: str, path: str, body: object = None, **query: str) -> Any:
        response = self.raw(method, path, b"" if body is None else json.dumps(body).encode(), **query)
        document = json.loads(response.body)
        assert (response.status, document["success"], document["errors"]) == (200, True, [])
        return document

    def refused(
        self, method: str, path: str, body: object = None, *, bearer: str = "any", **query: str
    ) -> tuple[int, int]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return outcome(self.raw(method, path, content, bearer=bearer, **query))

    def trigger(self, body: object = None) -> str:
        return str(self.ok("POST", f"{BUILDS}/triggers", PRODUCTION if body is None else body)["trigger_uuid"])


def outcome(response: Response) -> tuple[int, int]:
    """(status, code) of a refusal, once its envelope was found right."""
    document = json.loads(response.body)
    assert document["success"] is False
    assert document["result"] is None
    assert document["messages"] == []
    (error,) = document["errors"]
    if error["code"] == 12002:
        assert error == {"code": 12002, "message": "Invalid request body"}
    return response.status, error["code"]


@pytest.fixture
def client() -> Iterator[Client]:
    sandbox = Sandbox(clock=Clock())
    sandbox.seed(SEED)
    yield Client(sandbox)
    sandbox.close()


# --- the envelope, the headers, the routes


def test_every_answer_has_the_envelope_and_the_headers(client: Client) -> None:
    for path in (f"{WORKERS}/scripts", f"{WORKERS}/nothing"):
        response = client.raw("GET", path)
        assert set(json.loads(response.body)) == {"success", "errors", "messages", "result"}
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["cf-ray"]
        assert response.headers["Ratelimit"].startswith('"default";r=')
        assert response.headers["Ratelimit-Policy"] == '"default";q=1200;w=300'


def test_the_rate_is_counted_in_windows_and_not_enforced() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    sandbox = Sandbox(clock=lambda: now)

    def told() -> str:
        return sandbox.handle("GET", "/client/v4/x", {}, {}, b"").headers["Ratelimit"]

    assert told() == '"default";r=1199;t=300'
    now += timedelta(seconds=100)
    assert told() == '"default";r=1198;t=200'
    assert [told() for _ in range(1300)][-1] == '"default";r=0;t=200'
    now += timedelta(seconds=200)
    assert told() == '"default";r=1199;t=300'
    now -= timedelta(days=1)
    assert told() == '"default";r=1199;t=300'
    sandbox.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/accounts"),
        ("GET", "/client/v4"),
        ("GET", "/client/v4/accounts"),
        ("GET", f"/accounts/{ACCOUNT}/workers/scripts"),
        ("GET", f"{WORKERS}/scripts/"),
        ("GET", f"{BUILDS}/workers//triggers"),
        ("GET", f"{BUILDS}/repos/connections"),
        ("GET", f"{BUILDS}/repos/connections/{CONNECTION}"),
        ("GET", f"{BUILDS}/triggers/{TOKEN}"),
        ("PUT", f"{BUILDS}/tokens/{TOKEN}"),
        ("get", f"{WORKERS}/scripts"),
        ("HEAD", f"{WORKERS}/scripts"),
        ("GET", f"{BUILDS}/\ud800"),
    ],
)
def test_what_is_not_listed_is_unroutable(client: Client, method: str, path: str) -> None:
    assert client.refused(method, path) == (404, 7003)


def test_requests_are_remembered_below_the_account(client: Client) -> None:
    client.raw("GET", f"{WORKERS}/scripts")
    client.raw("GET", "/client/v4/user/tokens/verify")
    client.raw("PATCH", f"{BUILDS}/triggers/x%2Fy")
    client.raw("GET", "/elsewhere")
    assert client.sandbox.requests() == [
        ("GET", "/workers/scripts"),
        ("GET", "/user/tokens/verify"),
        ("PATCH", "/builds/triggers/x%2Fy"),
        ("GET", "/elsewhere"),
    ]


# --- access

VERIFY = ("GET", "/client/v4/user/tokens/verify")
SCRIPTS = ("GET", f"{WORKERS}/scripts")
LIST = ("GET", f"{BUILDS}/tokens")
WRITE = ("PUT", f"{BUILDS}/repos/connections")
KINDS = ("user", "read-only", "account", "expired", "invalid")


@pytest.mark.parametrize("request_", [VERIFY, SCRIPTS, LIST, WRITE])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 12005),
        ({"Authorization": ""}, 12005),
        ({"X-Auth-Key": "k"}, 12005),
        ({"Authorization": "Bearer"}, 9106),
        ({"Authorization": "Bearer "}, 9106),
        ({"Authorization": "Basic eDp5"}, 9106),
        ({"Authorization": "token"}, 9106),
        ({"Authorization": "Bearer a b"}, 9106),
    ],
)
def test_without_a_bearer_token_nothing_answers(
    client: Client, request_: tuple[str, str], headers: dict[str, str], code: int
) -> None:
    assert outcome(client.sandbox.handle(*request_, {}, headers, b"{}")) == (401, code)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("user", [200, 200, 200, 200]),
        ("read-only", [200, 200, 200, (403, 10000)]),
        ("account", [(401, 1000), 200, (401, 12006), (401, 12006)]),
        ("expired", [(401, 1000), (401, 9109), (401, 9109), (401, 9109)]),
        ("invalid", [(401, 1000), (401, 9109), (401, 12006), (401, 12006)]),
        ("not-listed", [(401, 1000), (401, 9109), (401, 12006), (401, 12006)]),
    ],
)
def test_each_kind_of_token(client: Client, token: str, expected: list[Any]) -> None:
    client.sandbox.seed({"api_tokens": {kind: kind for kind in KINDS}})
    body = json.dumps(PUT).encode()
    answers = [client.raw(*request, body, bearer=token) for request in (VERIFY, SCRIPTS, LIST, WRITE)]
    assert [200 if answer.status == 200 else outcome(answer) for answer in answers] == expected


def test_verify_says_active(client: Client) -> None:
    result = client.ok(*VERIFY)
    assert result["status"] == "active"
    assert len(result["id"]) == 32


def test_another_account_is_forbidden_once_one_is_named(client: Client) -> None:
    other = f"/client/v4/accounts/{'f' * 32}"
    assert client.raw("GET", f"{other}/workers/scripts").status == 200
    client.sandbox.seed({"account_id": ACCOUNT})
    assert client.refused("GET", f"{other}/workers/scripts") == (403, 10000)
    assert client.refused("GET", f"{other}/builds/tokens") == (403, 10000)
    assert client.raw("GET", f"{WORKERS}/scripts").status == 200


# --- Workers


def test_scripts_are_one_unpaginated_list(client: Client) -> None:
    document = client.document("GET", f"{WORKERS}/scripts", page="2", per_page="1")
    assert [(item["id"], item["tag"]) for item in document["result"]] == [
        ("api", OTHER_TAG),
        ("new", NEWER_TAG),
        ("web", TAG),
    ]
    assert {"id", "tag", "etag", "tags", "created_on", "modified_on"} <= set(document["result"][0])
    assert document["result"][0]["etag"] != document["result"][0]["tag"]


def test_a_service_is_found_by_name_and_shows_its_tag(client: Client) -> None:
    result = client.ok("GET", f"{WORKERS}/services/web")
    assert result["id"] == "web"
    assert result["default_environment"]["environment"] == "production"
    assert result["default_environment"]["script"]["tag"] == TAG
    assert client.refused("GET", f"{WORKERS}/services/{TAG}") == (404, 10007)


def test_the_newer_surface_answers_only_where_it_was_set_up(client: Client) -> None:
    assert client.ok("GET", f"{BUILDS}/workers/{NEWER_TAG}")["external_script_id"] == NEWER_TAG
    assert client.ok("GET", f"{BUILDS}/workers/{NEWER_TAG}/triggers") == []
    assert client.refused("GET", f"{BUILDS}/workers/{TAG}") == (404, 12040)
    assert client.refused("GET", f"{BUILDS}/workers/new") == (404, 10007)


@pytest.mark.parametrize("script_id", ["web", "d" * 32, TAG.upper(), "%2e", "%ff", "\ud800"])
def test_a_name_or_an_unknown_tag_is_10007(client: Client, script_id: str) -> None:
    assert client.refused("GET", f"{BUILDS}/workers/{script_id}/triggers") == (404, 10007)


# --- triggers


def test_a_created_trigger_is_shown_whole(client: Client) -> None:
    shown = client.ok("POST", f"{BUILDS}/triggers", PRODUCTION)
    assert {name: shown[name] for name in PRODUCTION if name != "repo_connection_uuid"} == {
        name: value for name, value in PRODUCTION.items() if name != "repo_connection_uuid"
    }
    assert shown["build_caching_enabled"] is False
    assert shown["build_token_name"] == "deploy"
    assert shown["deleted_on"] is None
    assert shown["created_on"] == shown["modified_on"]
    assert datetime.fromisoformat(shown["created_on"]).tzinfo is not None
    connection = shown["repo_connection"]
    assert {name: connection[name] for name in PUT} == PUT
    assert connection["repo_connection_uuid"] == CONNECTION
    assert set(connection) == {*PUT, "repo_connection_uuid", "created_on", "modified_on", "deleted_on"}
    assert set(shown) == {
        *(PRODUCTION.keys() - {"repo_connection_uuid"}),
        *("build_caching_enabled", "build_token_name", "created_on", "deleted_on", "modified_on"),
        *("repo_connection", "trigger_uuid"),
    }
    assert client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers") == [shown]
    assert client.ok("GET", f"{BUILDS}/workers/{OTHER_TAG}/triggers") == []


def test_lists_keep_the_order_of_creation(client: Client) -> None:
    uuids = [client.trigger(PREVIEW), client.trigger(PRODUCTION)]
    listed = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    assert [trigger["trigger_uuid"] for trigger in listed] == uuids


@pytest.mark.parametrize(
    "change",
    [
        {"build_command": ""},
        {"build_command": "x" * 512},
        {"deploy_command": "x" * 512},
        {"root_directory": "x" * 256},
        {"root_directory": ""},
        {"build_caching_enabled": True},
        {"path_includes": []},
        {"branch_includes": ["feature/one"]},
        {"branch_includes": ["*"], "branch_excludes": ["main"]},
    ],
)
def test_accepted_on_create_and_patch(client: Client, change: dict[str, Any]) -> None:
    shown = client.ok("POST", f"{BUILDS}/triggers", {**PRODUCTION, **change})
    assert {name: shown[name] for name in change} == change
    other = client.trigger({**PRODUCTION, "external_script_id": OTHER_TAG})
    shown = client.ok("PATCH", f"{BUILDS}/triggers/{other}", change)
    assert {name: shown[name] for name in change} == change


BAD_VALUES: list[dict[str, Any]] = [
    {"branch_includes": []},
    {"branch_includes": [""]},
    {"branch_includes": ["preview/*"]},
    {"branch_includes": ["main", "next"]},
    {"branch_excludes": ["next"]},
    {"branch_includes": ["*"]},
    {"branch_includes": ["*"], "branch_excludes": ["*"]},
    {"branch_includes": ["*"], "branch_excludes": ["preview/*"]},
    {"branch_includes": ["*"], "branch_excludes": ["main", "next"]},
    {"branch_includes": ["*", "main"], "branch_excludes": ["main"]},
    {"branch_includes": None},
    {"branch_excludes": None},
    {"path_includes": None},
    {"path_excludes": "*.md"},
    {"path_excludes": [1]},
    {"path_includes": [None]},
    {"path_includes": {"0": "*"}},
    {"build_command": None},
    {"build_command": 1},
    {"build_command": "x" * 513},
    {"deploy_command": ""},
    {"deploy_command": "x" * 513},
    {"root_directory": "x" * 257},
    {"root_directory": None},
    {"trigger_name": None},
    {"trigger_name": ["x"]},
    {"trigger_name": "\ud800"},
    {"build_caching_enabled": None},
    {"build_caching_enabled": 1},
    {"build_caching_enabled": "true"},
    {"build_token_uuid": None},
    {"build_token_uuid": "33333333-3333-4333-8333-333333333333"},
    {"environment_variables": {}},
    {"environment_variables": {"A": {"is_secret": False, "value": "x"}}},
]


@pytest.mark.parametrize("change", BAD_VALUES)
def test_refused_on_create_and_patch(client: Client, change: dict[str, Any]) -> None:
    assert client.refused("POST", f"{BUILDS}/triggers", {**PRODUCTION, **change}) == (400, 12002)
    assert client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers") == []
    uuid = client.trigger()
    before = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    assert client.refused("PATCH", f"{BUILDS}/triggers/{uuid}", change) == (400, 12002)
    assert client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers") == before


@pytest.mark.parametrize("name", sorted(PRODUCTION))
def test_each_of_the_eleven_fields_is_required(client: Client, name: str) -> None:
    assert len(PRODUCTION) == 11
    body = {key: value for key, value in PRODUCTION.items() if key != name}
    assert client.refused("POST", f"{BUILDS}/triggers", body) == (400, 12002)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"unheard_of": 1}, (400, 12002)),
        ({"external_script_id": "web"}, (404, 10007)),
        ({"external_script_id": "e" * 32}, (404, 10007)),
        ({"external_script_id": None}, (400, 12002)),
        ({"repo_connection_uuid": TOKEN}, (400, 12002)),
        ({"repo_connection_uuid": 7}, (400, 12002)),
    ],
)
def test_refused_on_create_alone(client: Client, change: dict[str, Any], expected: tuple[int, int]) -> None:
    assert client.refused("POST", f"{BUILDS}/triggers", {**PRODUCTION, **change}) == expected


@pytest.mark.parametrize("first", [PRODUCTION, PREVIEW])
def test_a_second_trigger_of_a_kind_is_12042(client: Client, first: dict[str, Any]) -> None:
    client.trigger(first)
    again = {**first, "trigger_name": "another", "build_command": ""}
    assert client.refused("POST", f"{BUILDS}/triggers", again) == (409, 12042)
    assert client.trigger({**again, "external_script_id": OTHER_TAG})


def test_a_third_trigger_is_12030(client: Client) -> None:
    client.trigger(PRODUCTION)
    client.trigger(PREVIEW)
    for body in (PRODUCTION, PREVIEW):
        assert client.refused("POST", f"{BUILDS}/triggers", body) == (400, 12030)


def test_patch_changes_what_is_sent_and_nothing_else(client: Client) -> None:
    uuid = client.trigger()
    (before,) = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    after = client.ok("PATCH", f"{BUILDS}/triggers/{uuid}", {"build_command": "make"})
    assert after["modified_on"] > before["modified_on"]
    assert after == {**before, "build_command": "make", "modified_on": after["modified_on"]}
    assert client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers") == [after]


@pytest.mark.parametrize(
    "change",
    [
        {"external_script_id": OTHER_TAG},
        {"external_script_id": None},
        {"repo_connection_uuid": "44444444-4444-4444-8444-444444444444"},
        {"trigger_uuid": "x", "created_on": "x", "unheard_of": {}},
        {},
    ],
)
def test_patch_drops_in_silence_what_cannot_be_patched(client: Client, change: dict[str, Any]) -> None:
    uuid = client.trigger()
    (before,) = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    after = client.ok("PATCH", f"{BUILDS}/triggers/{uuid}", {**change, "trigger_name": "new"})
    assert after == {**before, "trigger_name": "new", "modified_on": after["modified_on"]}


def test_patch_into_a_kind_that_is_taken_is_12042(client: Client) -> None:
    production, preview = client.trigger(PRODUCTION), client.trigger(PREVIEW)
    to_preview = {"branch_includes": ["*"], "branch_excludes": ["main"]}
    to_production = {"branch_includes": ["next"], "branch_excludes": []}
    assert client.refused("PATCH", f"{BUILDS}/triggers/{production}", to_preview) == (409, 12042)
    assert client.refused("PATCH", f"{BUILDS}/triggers/{preview}", to_production) == (409, 12042)
    client.ok("PATCH", f"{BUILDS}/triggers/{production}", to_production)
    client.ok("DELETE", f"{BUILDS}/triggers/{preview}")
    client.ok("PATCH", f"{BUILDS}/triggers/{production}", to_preview)


def test_delete_takes_the_variables_and_cannot_be_repeated(client: Client) -> None:
    uuid = client.trigger()
    variables = f"{BUILDS}/triggers/{uuid}/environment_variables"
    client.ok("PATCH", variables, {"A": {"is_secret": False, "value": "x"}})
    assert client.ok("DELETE", f"{BUILDS}/triggers/{uuid}") is None
    assert client.refused("DELETE", f"{BUILDS}/triggers/{uuid}") == (404, 12000)
    assert client.refused("GET", variables) == (404, 12000)
    again = client.trigger()
    assert again != uuid
    assert client.ok("GET", f"{BUILDS}/triggers/{again}/environment_variables") == {}


def test_purge_answers_null(client: Client) -> None:
    assert client.ok("POST", f"{BUILDS}/triggers/{client.trigger()}/purge_build_cache") is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/purge_build_cache"),
        ("GET", "/environment_variables"),
        ("PATCH", "/environment_variables"),
        ("DELETE", "/environment_variables/A"),
    ],
)
@pytest.mark.parametrize("uuid", ["web", TOKEN, "%00", "%27%3B--"])
def test_an_unknown_trigger_is_12000(client: Client, method: str, path: str, uuid: str) -> None:
    assert client.refused(method, f"{BUILDS}/triggers/{uuid}{path}", {}) == (404, 12000)


# --- bodies

DEEP = b'{"trigger_name":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b"{'a': 1}",
        b'{"trigger_name": NaN}',
        b'{"trigger_name": Infinity}',
        b'{"unheard_of": -Infinity}',
        b'{"trigger_name": "\xff"}',
        b'{"unheard_of": ' + b"9" * 5000 + b"}",
        DEEP,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json_object_is_12002(client: Client, body: bytes) -> None:
    uuid = client.trigger()
    for method, path in (
        ("POST", "/triggers"),
        ("PATCH", f"/triggers/{uuid}"),
        ("PATCH", f"/triggers/{uuid}/environment_variables"),
        ("POST", "/tokens"),
        ("PUT", "/repos/connections"),
    ):
        assert client.refused(method, BUILDS + path, body) == (400, 12002)


# --- environment variables


@pytest.fixture
def variables(client: Client) -> str:
    return f"{BUILDS}/triggers/{client.trigger()}/environment_variables"


def test_variables_merge_and_secrets_stay_hidden(client: Client, variables: str) -> None:
    assert client.ok("GET", variables) == {}
    client.ok("PATCH", variables, {"A": {"is_secret": False, "value": ""}})
    after = client.ok("PATCH", variables, {"S": {"is_secret": True, "value": "canary"}})
    assert {key: (entry["is_secret"], entry["value"]) for key, entry in after.items()} == {
        "A": (False, ""),
        "S": (True, None),
    }
    assert client.ok("GET", variables) == after
    assert client.ok("PATCH", variables, {}) == after
    assert client.ok("DELETE", f"{variables}/A") is None
    assert set(client.ok("GET", variables)) == {"S"}
    assert client.refused("DELETE", f"{variables}/A") == (404, 12000)


def test_created_on_is_renewed_by_each_write_to_that_variable(client: Client, variables: str) -> None:
    both = {key: {"is_secret": True, "value": "x"} for key in ("A", "B")}
    before = client.ok("PATCH", variables, both)
    after = client.ok("PATCH", variables, {"A": both["A"]})
    assert after["A"]["created_on"] > before["A"]["created_on"]
    assert after["B"] == before["B"]


def test_a_secret_turns_plain_and_back(client: Client, variables: str) -> None:
    for is_secret, shown in ((True, None), (False, "x"), (True, None)):
        after = client.ok("PATCH", variables, {"A": {"is_secret": is_secret, "value": "x"}})
        assert (after["A"]["is_secret"], after["A"]["value"]) == (is_secret, shown)


def test_variables_belong_to_one_trigger(client: Client, variables: str) -> None:
    client.ok("PATCH", variables, {"A": {"is_secret": False, "value": "x"}})
    other = client.trigger(PREVIEW)
    assert client.ok("GET", f"{BUILDS}/triggers/{other}/environment_variables") == {}


@pytest.mark.parametrize(
    "body",
    [
        {"1A": {"is_secret": False, "value": "x"}},
        {"": {"is_secret": False, "value": "x"}},
        {"A-B": {"is_secret": False, "value": "x"}},
        {"A\n": {"is_secret": False, "value": "x"}},
        {"É": {"is_secret": False, "value": "x"}},
        {"A": {"is_secret": False, "value": None}},
        {"A": {"is_secret": True, "value": None}},
        {"A": {"is_secret": True}},
        {"A": {"value": "x"}},
        {"A": {"is_secret": 0, "value": "x"}},
        {"A": {"is_secret": None, "value": "x"}},
        {"A": {"is_secret": False, "value": 24}},
        {"A": {"is_secret": False, "value": "x", "created_on": "2023-01-01T00:00:00Z"}},
        {"A": {"is_secret": False, "value": "x" * 5001}},
        {"A": {"is_secret": False, "value": "\udfff"}},
        {"A": "x"},
        {"A": None},
        {f"K{index}": {"is_secret": False, "value": "x"} for index in range(63)},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_a_bad_variable_refuses_the_whole_map(client: Client, variables: str, body: dict[str, Any]) -> None:
    before = client.ok("PATCH", variables, {"LIVE": {"is_secret": False, "value": "x"}})
    good = {"GOOD": {"is_secret": False, "value": "x"}}
    assert client.refused("PATCH", variables, {**good, **body}) == (400, 12002)
    assert client.ok("GET", variables) == before


def test_the_largest_that_is_accepted(client: Client, variables: str) -> None:
    full = {f"_{index}": {"is_secret": False, "value": "é" * 5000} for index in range(64)}
    assert len(client.ok("PATCH", variables, full)) == 64
    assert len(client.ok("PATCH", variables, full)) == 64


# --- build tokens


def test_token_names_are_not_unique_and_secrets_not_shown(client: Client) -> None:
    first = client.document("POST", f"{BUILDS}/tokens", NEW_TOKEN)
    second = client.ok("POST", f"{BUILDS}/tokens", NEW_TOKEN)
    assert first["result"]["build_token_uuid"] != second["build_token_uuid"]
    assert set(second) == {"build_token_name", "build_token_uuid", "cloudflare_token_id", "owner_type"}
    assert "canary" not in json.dumps(first)
    listed = client.ok("GET", f"{BUILDS}/tokens")
    assert [token["build_token_name"] for token in listed] == ["deploy"] * 3
    assert listed[1:] == [first["result"], second]


@pytest.mark.parametrize("name", sorted(NEW_TOKEN))
@pytest.mark.parametrize("value", ["", None, 1, [], DROP])
def test_a_token_needs_three_strings(client: Client, name: str, value: object) -> None:
    body = {key: item for key, item in {**NEW_TOKEN, name: value}.items() if item is not DROP}
    assert client.refused("POST", f"{BUILDS}/tokens", body) == (400, 12002)
    assert client.refused("POST", f"{BUILDS}/tokens", {**NEW_TOKEN, "expires_on": "x"}) == (400, 12002)


def test_tokens_are_paginated(client: Client) -> None:
    for _ in range(204):
        client.ok("POST", f"{BUILDS}/tokens", NEW_TOKEN)
    seen: list[str] = []
    for page, count in ((1, 100), (2, 100), (3, 5)):
        document = client.document("GET", f"{BUILDS}/tokens", page=str(page), per_page="100")
        seen += [token["build_token_uuid"] for token in document["result"]]
        assert document["result_info"] == {
            "count": count,
            "page": page,
            "per_page": 100,
            "total_count": 205,
            "total_pages": 3,
            "next_page": page < 3,
        }
    assert len(set(seen)) == 205
    assert len(client.ok("GET", f"{BUILDS}/tokens")) == 50
    assert len(client.ok("GET", f"{BUILDS}/tokens", per_page="200")) == 200
    assert client.refused("GET", f"{BUILDS}/tokens", per_page="200", page="3") == (400, 12013)


@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("value", ["0", "-1", "201", "1.5", "", "x", " 1", "1_0", "٣", "9" * 5000])
def test_a_page_out_of_range_is_12013(client: Client, name: str, value: str) -> None:
    assert client.refused("GET", f"{BUILDS}/tokens", **{name: value}) == (400, 12013)


def test_the_first_page_of_nothing(client: Client) -> None:
    assert client.ok("DELETE", f"{BUILDS}/tokens/{TOKEN}") == "ok"
    document = client.document("GET", f"{BUILDS}/tokens")
    assert document["result"] == []
    assert document["result_info"]["total_pages"] == 0
    assert document["result_info"]["next_page"] is False


def test_a_deleted_token_is_still_named_by_its_trigger(client: Client) -> None:
    uuid = client.trigger()
    assert client.ok("DELETE", f"{BUILDS}/tokens/{TOKEN}") == "ok"
    assert client.refused("DELETE", f"{BUILDS}/tokens/{TOKEN}") == (404, 12000)
    (shown,) = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    assert (shown["build_token_uuid"], shown["build_token_name"]) == (TOKEN, "deploy")
    assert client.ok("PATCH", f"{BUILDS}/triggers/{uuid}", {"build_command": ""})["build_command"] == ""
    assert client.refused("PATCH", f"{BUILDS}/triggers/{uuid}", {"build_token_uuid": TOKEN}) == (400, 12002)
    new = client.ok("POST", f"{BUILDS}/tokens", NEW_TOKEN)["build_token_uuid"]
    assert client.ok("PATCH", f"{BUILDS}/triggers/{uuid}", {"build_token_uuid": new})["build_token_uuid"] == new


# --- connections


def test_a_put_keeps_the_uuid_and_every_trigger_follows(client: Client) -> None:
    client.trigger()
    moved = {**PUT, "provider_account_id": "99", "provider_account_name": "globex", "repo_name": "www"}
    shown = client.ok("PUT", f"{BUILDS}/repos/connections", moved)
    assert shown["repo_connection_uuid"] == CONNECTION
    assert {name: shown[name] for name in moved} == moved
    assert shown["modified_on"] > shown["created_on"]
    (trigger,) = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    assert trigger["repo_connection"] == shown


@pytest.mark.parametrize("change", [{"repo_id": "2"}, {"provider_type": "gitlab"}])
def test_another_key_is_another_connection(client: Client, change: dict[str, str]) -> None:
    shown = client.ok("PUT", f"{BUILDS}/repos/connections", {**PUT, **change})
    assert shown["repo_connection_uuid"] != CONNECTION
    assert client.trigger({**PRODUCTION, "repo_connection_uuid": shown["repo_connection_uuid"]})


@pytest.mark.parametrize("provider_type", ["github", "gitlab", "gitlab_internal", "origin"])
def test_provider_types(client: Client, provider_type: str) -> None:
    body = {**PUT, "provider_type": provider_type}
    assert client.ok("PUT", f"{BUILDS}/repos/connections", body)["provider_type"] == provider_type


@pytest.mark.parametrize("name", sorted(PUT))
@pytest.mark.parametrize("value", ["", None, 41612145, DROP])
def test_a_connection_needs_five_strings(client: Client, name: str, value: object) -> None:
    body = {key: item for key, item in {**PUT, name: value}.items() if item is not DROP}
    assert client.refused("PUT", f"{BUILDS}/repos/connections", body) == (400, 12002)


@pytest.mark.parametrize("change", [{"provider_type": "bitbucket"}, {"repo_connection_uuid": CONNECTION}])
def test_a_connection_refuses_what_it_does_not_know(client: Client, change: dict[str, str]) -> None:
    assert client.refused("PUT", f"{BUILDS}/repos/connections", {**PUT, **change}) == (400, 12002)


def test_a_deleted_connection_is_still_shown_by_its_trigger_and_comes_back_anew(client: Client) -> None:
    client.trigger()
    path = f"{BUILDS}/repos/connections/{CONNECTION}"
    assert client.ok("DELETE", path) is None
    assert client.refused("DELETE", path) == (404, 12000)
    (trigger,) = client.ok("GET", f"{BUILDS}/workers/{TAG}/triggers")
    assert trigger["repo_connection"]["deleted_on"] is not None
    other = {**PRODUCTION, "external_script_id": OTHER_TAG}
    assert client.refused("POST", f"{BUILDS}/triggers", other) == (400, 12002)
    again = client.ok("PUT", f"{BUILDS}/repos/connections", PUT)
    assert again["repo_connection_uuid"] != CONNECTION
    assert again["deleted_on"] is None
