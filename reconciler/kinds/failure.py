"""Failure: why a build failed, where its log tells it, and what to do. The wording is that of field notes, of
Cloudflare's troubleshooting pages and of package managers; a log that says none of this tells nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DEAD_TOKEN = "dead-token"  # noqa: S105 - the name of a cause
MAX_TOLD = 1_000  # characters of a line that are looked at
_COLOR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_TOKEN = "The build token selected for this build has been"  # noqa: S105 - what a log says of one


@dataclass(frozen=True)
class Failure:
    name: str
    summary: str
    hint: str


# Whole phrases: a word less, and a warning or what a program prints would pass for the cause.
_PHRASES = {
    Failure(
        DEAD_TOKEN,
        "its build token was deleted or rolled: every build fails",
        "give the token a new `cloudflare_token_id` and secret, and apply: the triggers are pointed to it",
    ): (f"{_TOKEN} deleted", f"{_TOKEN} rolled"),
    Failure(
        "name-mismatch",
        "the name in the repository's Wrangler file is not the Worker's",
        "make them equal, or give the deploy command the right `--env` or `--name`",
    ): ("must match the name of your Worker",),
    Failure(
        "missing-script",
        "a command runs a script that `package.json` does not have",
        "add the script, or correct `build_command` or `deploy_command`",
    ): ('Missing script: "', "ERR_PNPM_NO_SCRIPT", 'error: Script not found "'),
    # What the live API says is unknown.
    Failure("minutes-used-up", "the account's build minutes are used up", "wait for the refresh, or upgrade"): (
        "Build minutes limit reached",
    ),
    Failure(
        "cannot-clone",
        "Builds cannot clone the repository",
        "check the Cloudflare Workers and Pages App of the repository's owner, and `provider_account_id`",
    ): ("Failed: error occurred while cloning repository",),
}


def why(lines: Iterable[str]) -> Failure | None:
    """The last known cause in a log: what a build died of stands at its end."""
    found = None
    for line in lines:
        told = line[:MAX_TOLD]
        told = _COLOR.sub("", told) if "\x1b" in told else told
        for failure, phrases in _PHRASES.items():
            for phrase in phrases:
                found = failure if phrase in told else found
    return found
