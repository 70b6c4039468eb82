"""Failure: why a build failed, where its log tells it, and what to do. The wording is that of field notes and of
Cloudflare's troubleshooting pages; a log that says none of this tells nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DEAD_TOKEN = "dead-token"  # noqa: S105 - the name of a cause
_COLOR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Failure:
    name: str
    summary: str
    hint: str


_KNOWN = (
    (
        re.compile(r"The build token selected for this build has been (?:deleted|rolled)"),
        Failure(
            DEAD_TOKEN,
            "its build token was deleted or rolled: every build fails",
            "give the token a new `cloudflare_token_id` and secret, and apply: the triggers are pointed to it",
        ),
    ),
    (
        re.compile(r"must match the name of your Worker"),
        Failure(
            "name-mismatch",
            "the name in the repository's Wrangler file is not the Worker's",
            "make them equal, or give the deploy command the right `--env` or `--name`",
        ),
    ),
    (
        re.compile(r'Missing script: "|ERR_PNPM_NO_SCRIPT'),
        Failure("missing-script", "a command runs a script that `package.json` does not have", "correct the command"),
    ),
    (
        re.compile(r"Failed: error occurred while cloning repository"),
        Failure(
            "cannot-clone",
            "Builds cannot clone the repository",
            "check the Cloudflare Workers and Pages App of the repository's owner, and `provider_account_id`",
        ),
    ),
)


def why(lines: Iterable[str]) -> Failure | None:
    """The last known cause in a log: what a build died of stands at its end."""
    found = None
    for line in lines:
        text = _COLOR.sub("", line[:2_000])
        found = next((failure for pattern, failure in _KNOWN if pattern.search(text)), found)
    return found
