"""`{env: NAME}`: a variable of the environment."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.kinds.shape import text
from reconciler.model import Secret

NAME = "env"
SCHEMA = text("A variable of the environment; not CLOUDFLARE_* or BUILDSCTL_*.", "SENTRY_AUTH_TOKEN", minLength=1)
RESERVED = ("CLOUDFLARE_", "BUILDSCTL_")


def ask(spec: str, folder: str, environment: Mapping[str, str]) -> Secret:  # noqa: ARG001 - as every source
    value = environment.get(spec)
    if value is None:
        return Secret(None, missing="is not set")
    # Python passes bytes of the environment that are no UTF-8 on as lone surrogates.
    no_text = any("\ud800" <= one <= "\udfff" for one in value)
    return Secret(None, missing="does not give UTF-8") if no_text else Secret(value)
