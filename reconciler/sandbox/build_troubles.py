"""Finds what must make a build fail although its configuration looks fine."""

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox import repositories, tokens
from reconciler.sandbox.build_course import CLONED, STOPPED, TOKEN_CHECKED, Trouble

_ENVIRONMENT = re.compile(r"(?:^|\s)(?:--env|-e)[=\s]\s*([^\s;&|]+)")


def find(
    db: sqlite3.Connection, *, tag: str, metadata: Mapping[str, Any], connection: Mapping[str, Any] | None
) -> Trouble | None:
    """The first trouble that a build meets, judged by what is known when it is made; None for none.

    Whether the live API looks again later, when a token dies under a build that is queued, is unknown.
    """
    token_uuid = metadata["build_token_uuid"]
    if token_uuid is not None and not tokens.works(db, token_uuid):
        return Trouble(
            seconds=TOKEN_CHECKED,
            line="Failed: The build token selected for this build has been deleted or rolled and cannot be used"
            " for this build. Please update your build token in the Worker Builds settings and retry the build.",
        )
    if connection is None:
        return None
    found = repositories.look(db, connection, branch=metadata["branch"], root_directory=metadata["root_directory"])
    # Whether the live API refuses a manual build of a branch that is not there, or has it fail, is unknown.
    if found is None or connection["deleted_on"] is not None:
        return Trouble(seconds=CLONED, line="Failed: error occurred while cloning repository")
    name = db.execute("SELECT id FROM workers WHERE tag = ?", (tag,)).fetchone()["id"]
    configured = _configured_name(found, metadata["deploy_command"] or "")
    if configured is None or configured == name:
        return None
    # Field notes, Workers: the most common failure in Cloudflare's own troubleshooting page.
    return Trouble(
        seconds=STOPPED,
        line=f"✘ [ERROR] The name in your Wrangler configuration file ({configured}) must match the name of your"
        " Worker. Please update the name field in your Wrangler configuration file.",
    )


def _configured_name(found: Mapping[str, Any], deploy_command: str) -> str | None:
    """The name that Wrangler reads in the repository: that of the environment, where the command names one."""
    environment = _ENVIRONMENT.search(deploy_command)
    default: str | None = found["default_worker_name"]
    return found["env_worker_names"].get(environment[1], default) if environment else default
