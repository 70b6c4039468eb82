"""The envelope that every answer arrives in, and the refusals with their HTTP status and code.

Codes and meanings follow the field notes, *Error codes* and *Access*. A refusal is an exception, so it also
rolls back whatever its request had begun to write.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Response:
    """One HTTP answer: `body` is JSON in UTF-8, `headers` do not contain Content-Length."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a resource function answers on success; `result_info` only for a paginated list."""

    result: Any
    result_info: Mapping[str, Any] | None = None
    messages: tuple[Any, ...] = ()


class RefusalError(Exception):
    """The API says no: `status` is the HTTP status, `code` and `message` stand in `errors[0]`."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status} / {code} {message}")
        self.status = status
        self.code = code
        self.message = message


def invalid_body() -> RefusalError:
    """12002 never names the field (field notes, *Error codes*), so there is nothing to pass in."""
    return RefusalError(400, 12002, "Invalid request body")


def invalid_query() -> RefusalError:
    return RefusalError(400, 12013, "Invalid query parameter")


def not_found() -> RefusalError:
    return RefusalError(404, 12000, "Not found")


def unknown_worker() -> RefusalError:
    """Also the answer to a Worker *name* where its tag belongs (field notes, *Workers*)."""
    return RefusalError(404, 10007, "This Worker does not exist on your account.")


def no_build_configuration() -> RefusalError:
    return RefusalError(404, 12040, "Worker has no build configuration")


def too_many_triggers() -> RefusalError:
    return RefusalError(400, 12030, "Too many triggers for this Worker")


def kind_taken() -> RefusalError:
    return RefusalError(409, 12042, "A trigger of this kind already exists for this Worker")


def unroutable(path: str) -> RefusalError:
    return RefusalError(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")


def success(reply: Reply) -> bytes:
    """The body of a 200. `errors` and `messages` are always there, `result_info` only on paginated lists."""
    document: dict[str, Any] = {"result": reply.result, "success": True, "errors": [], "messages": list(reply.messages)}
    if reply.result_info is not None:
        document["result_info"] = dict(reply.result_info)
    return _encoded(document)


def failure(code: int, message: str) -> bytes:
    """The body of a refusal."""
    errors = [{"code": code, "message": message}]
    return _encoded({"result": None, "success": False, "errors": errors, "messages": []})


def _encoded(document: Mapping[str, Any]) -> bytes:
    # ASCII escapes, so that a path with stray surrogates can be echoed in an error and still be valid UTF-8.
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
