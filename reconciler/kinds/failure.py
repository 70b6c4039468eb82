"""Failure: why a build failed, where its log tells it, and what to do. The wording is that of field notes and of
Cloudflare's troubleshooting pages; a log that says none of this tells nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    name: str
    summary: str
    hint: str


# What a line says in lower case: a word that is looked for first, as most lines hold none, then patterns of which one
# comes after the other.
_KNOWN = (
    (
        "build token",
        (r"build token\b", r"\b(?:deleted|rolled|expired|invalid)"),
        Failure(
            "dead-token",
            "its build token was deleted or rolled: every build fails",
            "give the token a new `cloudflare_token_id` and secret, and apply: the triggers are pointed to it",
        ),
    ),
    (
        "name",
        (r"\bname\b", r"\b(?:must match|does not match)\b"),
        Failure(
            "name-mismatch",
            "the name in the repository's Wrangler file is not the Worker's",
            "make them equal, or give the deploy command the right `--env` or `--name`",
        ),
    ),
    (
        "script",
        (r"missing script|script (?:\S+ )?not found",),
        Failure(
            "missing-script",
            "a command runs a script that `package.json` does not have",
            "add the script, or correct `build_command` or `deploy_command`",
        ),
    ),
    (
        "minute",
        (r"build minutes?\b", r"\b(?:limit|used up|exceeded|exhausted|run out)\b"),
        Failure("minutes-used-up", "the account's build minutes are used up", "wait for the refresh, or upgrade"),
    ),
    (
        "cloning",
        (r"error occurred while cloning",),
        Failure(
            "cannot-clone",
            "Builds cannot clone the repository",
            "check the Cloudflare Workers and Pages App of the repository's owner, and `provider_account_id`",
        ),
    ),
)
MAX_TOLD = 1_000  # characters of a line that are looked at


def why(lines: Iterable[str]) -> Failure | None:
    """The first known cause in a log."""
    for line in lines:
        told = line[:MAX_TOLD].lower()
        for word, patterns, failure in _KNOWN:
            if word in told and _follow(told, patterns):
                return failure
    return None


def _follow(text: str, patterns: Iterable[str]) -> bool:
    """Does each pattern match after the one before? One `.*` between them would take quadratic time."""
    end = 0
    for pattern in patterns:
        found = re.compile(pattern).search(text, end)
        if not found:
            return False
        end = found.end()
    return True
