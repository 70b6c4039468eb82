"""What a resource function is given: one request, already routed and authorised, inside one transaction."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks: `kind` is one of access.KINDS, `token_id` stands for the token without revealing it."""

    kind: str
    token_id: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """`path` holds the template's parameters, decoded; `now` is the time as the API writes it."""

    db: sqlite3.Connection
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    now: str
    new_uuid: Callable[[], str]
