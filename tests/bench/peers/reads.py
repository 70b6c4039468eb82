"""What both peers read, and how: triggers and variables of a Worker, on a connection for each thread."""

from __future__ import annotations

import http.client
import json
import os
import threading
from typing import Any

_HERE = threading.local()
FIELDS = (
    "trigger_name",
    "build_token_uuid",
    "branch_includes",
    "branch_excludes",
    "path_includes",
    "path_excludes",
    "build_command",
    "deploy_command",
    "root_directory",
    "build_caching_enabled",
)


def get(path: str) -> Any:
    """The `result` of a GET; `BENCH_PORT` and `BENCH_PREFIX` say where."""
    if not hasattr(_HERE, "connection"):
        _HERE.connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["BENCH_PORT"]))
    _HERE.connection.request("GET", os.environ["BENCH_PREFIX"] + path, headers={"Authorization": "Bearer bench"})
    return json.loads(_HERE.connection.getresponse().read())["result"]


def triggers(tag: str) -> list[Any]:
    return get(f"/builds/workers/{tag}/triggers")


def variables(uuid: str) -> dict[str, Any]:
    return get(f"/builds/triggers/{uuid}/environment_variables")


def settings(trigger: Any) -> str:
    return json.dumps({name: trigger[name] for name in FIELDS}, sort_keys=True)


def values(found: dict[str, Any]) -> dict[str, str]:
    return {name: one["value"] or "(secret)" for name, one in found.items()}
