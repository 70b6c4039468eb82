"""One file a kind: each translates between manifest, value and `Request`, and never talks. In `KINDS` what comes later
refers to what comes before, so writes go forwards and deletes backwards."""

from __future__ import annotations

from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.kinds.worker import Worker

KINDS: tuple[type[Worker | Connection | Token | Trigger | EnvVar], ...] = (Worker, Connection, Token, Trigger, EnvVar)

#   Worker ◀───────┐
#   Connection ◀── Trigger ◀── EnvVar
#   Token ◀────────┘
