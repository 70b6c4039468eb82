"""The one table of operations, and how a request finds its row in it.

A further operation is a function in its resource's file and a row here. Paths are below `/client/v4`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from reconciler.sandbox import (
    access,
    build_logs,
    builds,
    connections,
    environment_variables,
    limits,
    manual_builds,
    repositories,
    tokens,
    triggers,
    workers,
)
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply

PREFIX = "/client/v4"


class Route(NamedTuple):
    method: str
    template: str
    function: Callable[[Call], Reply]


_ACCOUNT = "/accounts/{account_id}"
_TRIGGER = f"{_ACCOUNT}/builds/triggers/{{trigger_uuid}}"
_VARIABLES = f"{_TRIGGER}/environment_variables"
_BUILDS = f"{_ACCOUNT}/builds/builds"
_CONNECTIONS = f"{_ACCOUNT}/builds/repos/connections"
_REPOSITORY = f"{_ACCOUNT}/builds/repos/{{provider_type}}/{{provider_account_id}}/{{repo_id}}"

ROUTES = (
    Route("GET", "/user/tokens/verify", access.verify),
    Route("GET", f"{_ACCOUNT}/workers/scripts", workers.list_scripts),
    Route("GET", f"{_ACCOUNT}/workers/services/{{service_name}}", workers.get_service),
    Route("GET", f"{_ACCOUNT}/builds/workers/{{external_script_id}}", workers.get_build_configuration),
    Route("GET", f"{_ACCOUNT}/builds/workers/{{external_script_id}}/triggers", triggers.list_by_script),
    Route("GET", f"{_ACCOUNT}/builds/workers/{{external_script_id}}/builds", builds.list_by_script),
    Route("POST", f"{_ACCOUNT}/builds/triggers", triggers.create),
    Route("PATCH", _TRIGGER, triggers.update),
    Route("DELETE", _TRIGGER, triggers.delete),
    Route("POST", f"{_TRIGGER}/purge_build_cache", triggers.purge_cache),
    Route("POST", f"{_TRIGGER}/builds", manual_builds.create),
    Route("GET", _VARIABLES, environment_variables.list_all),
    Route("PATCH", _VARIABLES, environment_variables.upsert),
    Route("DELETE", f"{_VARIABLES}/{{environment_variable_key}}", environment_variables.delete),
    Route("POST", f"{_ACCOUNT}/builds/tokens", tokens.create),
    Route("GET", f"{_ACCOUNT}/builds/tokens", tokens.list_all),
    Route("DELETE", f"{_ACCOUNT}/builds/tokens/{{build_token_uuid}}", tokens.delete),
    Route("PUT", _CONNECTIONS, connections.put),
    Route("DELETE", f"{_CONNECTIONS}/{{repo_connection_uuid}}", connections.delete),
    Route("GET", f"{_REPOSITORY}/config_autofill", repositories.config_autofill),
    Route("GET", _BUILDS, builds.by_versions),
    # Before the build by UUID, which would take `latest` for one.
    Route("GET", f"{_BUILDS}/latest", builds.latest),
    Route("GET", f"{_BUILDS}/{{build_uuid}}", builds.get),
    Route("PUT", f"{_BUILDS}/{{build_uuid}}/cancel", builds.cancel),
    Route("GET", f"{_BUILDS}/{{build_uuid}}/logs", build_logs.get),
    Route("GET", f"{_ACCOUNT}/builds/account/limits", limits.get),
)

_SPLIT = tuple((route, route.template.split("/")) for route in ROUTES)


def match(method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """The route for a request and the parameters in its path (percent-decoded), or None.

    Decoding comes after splitting, so that an escaped slash stays inside its parameter.
    """
    if not path.startswith(PREFIX + "/"):
        return None
    segments = path.removeprefix(PREFIX).split("/")
    for route, parts in _SPLIT:
        if route.method == method and len(parts) == len(segments):
            parameters = _parameters(parts, segments)
            if parameters is not None:
                return route, parameters
    return None


def _parameters(parts: list[str], segments: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for part, segment in zip(parts, segments, strict=True):
        if not part.startswith("{"):
            if part != segment:
                return None
        elif segment:
            # A stray surrogate names nothing, and SQLite could not even look for it.
            parameters[part[1:-1]] = unquote(segment).encode("utf-8", "replace").decode()
        else:
            return None
    return parameters
