"""`{env: NAME}`: a variable of the environment."""

from __future__ import annotations

from reconciler.kinds.shape import text
from reconciler.manifest.sources.given import Context, Given, encodes

NAME = "env"
SCHEMA = text("A variable of the environment; not CLOUDFLARE_* or BUILDSCTL_*.", "SENTRY_AUTH_TOKEN", minLength=1)
RESERVED = ("CLOUDFLARE_", "BUILDSCTL_")


def label(spec: str) -> str:
    return spec


def refuse(spec: str) -> str:
    """Why the source cannot be used; empty where it can."""
    if spec.startswith(RESERVED):
        return f"`{spec}` is buildsctl's own: a manifest must not be able to send it anywhere"
    return ""


def ask(spec: str, context: Context) -> Given:
    value = context.environment.get(spec)
    if value is None:
        return Given(missing="is not set")
    return Given(value) if value.isascii() or encodes(value) else Given(missing="does not give UTF-8")
