"""The OpenAPI document is valid and has the reference's operations, and those beside it that the client needs, marked;
what it says of them holds on the sandbox.

schemathesis makes the requests, valid ones and broken ones, and judges the answers. Its examples are the same on every
run, and each request finds the sandbox as seeded: what fails once fails again.
"""

import copy
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from reconciler.sandbox import Sandbox
from reconciler.sandbox.routes import ROUTES
from reconciler.sandbox.server import serve

DOCUMENT: Mapping[str, Any] = yaml.safe_load(
    (Path(__file__).parent.parent / "schemas" / "workers-builds.openapi.yaml").read_text(encoding="utf-8")
)

# The heading lines of the reference, in its order.
REFERENCE = """
get /accounts/{account_id}/builds/builds/latest
get /accounts/{account_id}/builds/builds
get /accounts/{account_id}/builds/account/limits
get /accounts/{account_id}/builds/workers/{external_script_id}/triggers
post /accounts/{account_id}/builds/triggers
patch /accounts/{account_id}/builds/triggers/{trigger_uuid}
delete /accounts/{account_id}/builds/triggers/{trigger_uuid}
post /accounts/{account_id}/builds/triggers/{trigger_uuid}/purge_build_cache
post /accounts/{account_id}/builds/triggers/{trigger_uuid}/builds
get /accounts/{account_id}/builds/triggers/{trigger_uuid}/environment_variables
patch /accounts/{account_id}/builds/triggers/{trigger_uuid}/environment_variables
delete /accounts/{account_id}/builds/triggers/{trigger_uuid}/environment_variables/{environment_variable_key}
post /accounts/{account_id}/builds/tokens
get /accounts/{account_id}/builds/tokens
delete /accounts/{account_id}/builds/tokens/{build_token_uuid}
put /accounts/{account_id}/builds/repos/connections
delete /accounts/{account_id}/builds/repos/connections/{repo_connection_uuid}
get /accounts/{account_id}/builds/repos/{provider_type}/{provider_account_id}/{repo_id}/config_autofill
get /accounts/{account_id}/builds/workers/{external_script_id}/builds
get /accounts/{account_id}/builds/builds/{build_uuid}
put /accounts/{account_id}/builds/builds/{build_uuid}/cancel
get /accounts/{account_id}/builds/builds/{build_uuid}/logs
"""

# What the client sends beside them (field notes, Access, Workers and Triggers).
BESIDE = """
get /accounts/{account_id}/workers/scripts
get /accounts/{account_id}/builds/workers/{external_script_id}
get /user/tokens/verify
"""

# The sandbox answers this too, which no client of ours sends.
BEYOND = {("get", "/accounts/{account_id}/workers/services/{service_name}")}

# Checks of schemathesis that do not hold for an operation, and why. Its other checks do, but for unsupported_method: a
# path without the method is 404 / 7003 in the sandbox, what it is live is unknown, and schemathesis wants a 405.
EXCLUDED = {
    # What is refused here although it fits the document.
    "positive_data_acceptance": {
        "updateTrigger": "branch filters count together with those that the trigger has",
        "listBuildTokens": "a page past the last one is 12013",
        "listBuildsByScript": "a page past the last one is 12013",
        # The sandbox is stricter than the reference here. How the live API takes these is unknown.
        "upsertEnvironmentVariables": "the sandbox wants `value`, which the reference calls optional",
        "createBuildToken": "the sandbox refuses empty texts, of which the reference says nothing",
        "upsertRepoConnection": "the sandbox refuses empty texts, of which the reference says nothing",
        "createManualBuild": "the sandbox refuses empty texts, of which the reference says nothing",
        "getBuildsByVersions": "the sandbox wants at least one id",
        "getLatestBuildsByScripts": "the sandbox wants at least one id",
        "getConfigAutofill": "the sandbox wants a branch that is not empty",
        "getBuildLogs": "the sandbox takes only cursors that it gave",
    },
    # What is accepted here although it does not fit the document.
    "negative_data_rejection": {
        "updateTrigger": "fields that are not listed are dropped in silence (field notes)",
        "listBuildsByScript": "what is no tag, such as a name, has no builds: 200 and an empty list (field notes)",
        "getConfigAutofill": "anything in a path is text: a repository that the sandbox was not told about",
    },
}

MOST_EXAMPLES = 15


def operations() -> dict[str, tuple[str, str, Mapping[str, Any]]]:
    """Method, path and description of each operation, by operationId."""
    return {
        operation["operationId"]: (method, path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def resolved(node: Any) -> Any:
    """The node, or what its $ref leads to."""
    while isinstance(node, dict) and "$ref" in node:
        node = found(node["$ref"])
    return node


def found(ref: str) -> Any:
    node: Any = DOCUMENT
    for part in ref.removeprefix("#/").split("/"):
        node = node[part]
    return node


def nodes(node: Any, seen: set[str]) -> Iterator[Mapping[str, Any]]:
    """Every mapping below the node, through every $ref once."""
    if isinstance(node, list):
        for item in node:
            yield from nodes(item, seen)
    elif isinstance(node, dict):
        yield node
        if node.get("$ref") not in seen:
            if "$ref" in node:
                seen.add(node["$ref"])
                yield from nodes(found(node["$ref"]), seen)
            for value in node.values():
                yield from nodes(value, seen)


def test_it_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    validate(DOCUMENT)


def test_it_has_the_operations_of_the_reference_in_their_order() -> None:
    described = {f"{method} {path}": operation for method, path, operation in operations().values()}
    beside = [name for name, operation in described.items() if "x-source" in operation]
    assert beside == BESIDE.split("\n")[1:-1]
    assert [*described][:22] == REFERENCE.split("\n")[1:-1]
    assert len(described) == 25


def test_it_agrees_with_the_routes_of_the_sandbox() -> None:
    routed = {(route.method.lower(), route.template) for route in ROUTES}
    described = {name: (method, path) for name, (method, path, _) in operations().items()}
    assert set(described.values()) <= routed
    assert routed - set(described.values()) == BEYOND


def test_answers_may_hold_more_than_is_listed_and_requests_may_not() -> None:
    for name, (_, _, operation) in operations().items():
        answers = nodes(operation["responses"], set())
        assert not [node for node in answers if node.get("additionalProperties") is False], name
        sent = nodes(operation.get("requestBody", {}), set())
        assert all("additionalProperties" in node for node in sent if node.get("type") == "object"), name


def test_what_the_reference_does_not_say_is_marked_and_described() -> None:
    marked = [node for node in nodes(DOCUMENT, set()) if "x-source" in node]
    assert marked
    assert all(node["x-source"] == "field-notes" and node.get("description") for node in marked)
    for name, response in DOCUMENT["components"]["responses"].items():
        assert ("x-error-codes" in response) <= (response.get("x-source") == "field-notes"), name


def example(parameter: Mapping[str, Any]) -> Any:
    """The document's example of a parameter, None where it has none."""
    return resolved(parameter["schema"]).get("examples", [None])[0]


KNOWN = {name: example(parameter) for name, parameter in DOCUMENT["components"]["parameters"].items()}
HEADERS = {"Authorization": "Bearer user"}

# There is an object for every identifier that the document has as an example.
SEED = {
    "account_id": KNOWN["account_id"],
    "api_tokens": {"user": "user"},
    "workers": [{"id": "my-worker", "tag": KNOWN["external_script_id"], "newer_surface": True}],
    "connections": [
        {
            "provider_account_id": KNOWN["provider_account_id"],
            "provider_account_name": "Cloudflare",
            "repo_id": KNOWN["repo_id"],
            "repo_name": "workers-sdk",
            "repo_connection_uuid": KNOWN["repo_connection_uuid"],
        }
    ],
    "build_tokens": [
        {
            "build_token_name": "My Build Token",
            "cloudflare_token_id": "cf-token-123",
            "build_token_uuid": KNOWN["build_token_uuid"],
        }
    ],
    "triggers": [
        {
            "worker": "my-worker",
            "trigger_uuid": KNOWN["trigger_uuid"],
            "trigger_name": "Preview",
            "branch_includes": ["*"],
            "branch_excludes": ["main"],
            "path_includes": ["*"],
            "path_excludes": [],
            "build_command": "",
            "deploy_command": "npx wrangler versions upload",
            "root_directory": "/",
            "build_caching_enabled": False,
            "environment_variables": {KNOWN["environment_variable_key"]: {"is_secret": False, "value": "production"}},
        }
    ],
    "builds": [{"worker": "my-worker", "trigger": "Preview", "build_uuid": KNOWN["build_uuid"], "status": "running"}],
}


def document_of_the_sandbox() -> dict[str, Any]:
    """The document, with the identifiers that exist there as the only valid ones.

    schemathesis would draw none of these by itself. In broken requests it draws others.
    """
    document = copy.deepcopy(dict(DOCUMENT))
    components = document["components"]
    bodies = [components["schemas"][name]["properties"] for name in ("TriggerCreate", "TriggerUpdate")]
    for name, value in KNOWN.items():
        if name.endswith(("_uuid", "_id", "_key")):
            components["parameters"][name]["schema"] = {"enum": [value]}
            for fields in bodies:
                fields.update({name: {"enum": [value]}} if name in fields else {})
    return document


API = schemathesis.openapi.from_dict(
    document_of_the_sandbox(),
    config=SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "headers": HEADERS,
            "generation": {"max-examples": MOST_EXAMPLES, "deterministic": True, "database": "none"},
            "phases": {
                # No other methods than those of the path: see EXCLUDED.
                "coverage": {"unexpected-methods": []},
                # UUIDs from answers differ from run to run.
                "fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}},
            },
            "checks": {"unsupported_method": {"enabled": False}},
            "operations": [
                {"include-operation-id": operation, "checks": {check: {"enabled": False}}}
                for check, reasons in EXCLUDED.items()
                for operation in reasons
            ],
        }
    ),
)


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    idle = Sandbox()
    serving = serve(idle)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving
    serving.shutdown()
    thread.join()
    serving.server_close()
    idle.close()


@API.parametrize()
def test_the_sandbox_keeps_to_it(case: Case, server: ThreadingHTTPServer) -> None:
    judge(case, server)


@pytest.mark.parametrize("name", sorted(operations()))
def test_its_examples_succeed(name: str, server: ThreadingHTTPServer) -> None:
    operation = API.find_operation_by_id(name)
    _, _, described = operations()[name]
    parts: dict[str, Any] = {"path_parameters": {each.name: KNOWN[each.name] for each in operation.path_parameters}}
    parts["query"] = {each["name"]: example(each) for each in described.get("parameters", ()) if each.get("required")}
    for media_type, content in described.get("requestBody", {"content": {}})["content"].items():
        parts |= {"media_type": media_type, "body": content["example"]}
    assert judge(operation.Case(headers=HEADERS, **parts), server) == 200


def test_builds_of_every_kind_keep_to_it(server: ThreadingHTTPServer) -> None:
    """Each outcome and status; one of a commit, without a branch; one without a trigger, on the newer surface."""
    made: list[dict[str, Any]] = [
        {"outcome": name} for name in ("success", "fail", "skipped", "cancelled", "terminated")
    ]
    made += [{"status": name} for name in ("queued", "initializing", "running")]
    made += [{"branch": None, "commit_hash": "abc"}]
    seed = {**SEED, "builds": [{"worker": "my-worker", "trigger": "Preview", **one} for one in made]}
    case = API.find_operation_by_id("listBuildsByScript").Case(
        headers=HEADERS, path_parameters={name: KNOWN[name] for name in ("account_id", "external_script_id")}, query={}
    )
    assert judge(case, server, seed) == 200
    assert judge(case, server, {**SEED, "triggers": [], "builds": [{"worker": "my-worker"}]}) == 200


def judge(case: Case, server: ThreadingHTTPServer, seed: Mapping[str, Any] = SEED) -> int:
    """Send it to a sandbox in its first state, have schemathesis check the answer; returns the status."""
    sandbox = Sandbox()
    sandbox.seed(seed)
    server.sandbox = sandbox  # type: ignore[attr-defined]
    try:
        base_url = f"http://127.0.0.1:{server.server_port}/client/v4"
        response = case.call(base_url=base_url)
        case.validate_response(response)
    finally:
        sandbox.close()
    _, _, operation = operations()[case.operation.definition.raw["operationId"]]
    answers = operation["responses"]
    # `default` stands for what is not known: the sandbox answers only what is.
    assert str(response.status_code) in answers
    if response.status_code != 200:
        codes = {str(error["code"]) for error in response.json()["errors"]}
        assert codes <= resolved(answers[str(response.status_code)])["x-error-codes"].keys()
    return response.status_code
