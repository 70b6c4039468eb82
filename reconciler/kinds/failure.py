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


_KNOWN = (
    (
        re.compile(r"build token\b.*\b(?:deleted|rolled|expired|invalid)", re.IGNORECASE),
        Failure(
            "dead-token",
            "its build token was deleted or rolled: every build fails",
            "give the token a new `cloudflare_token_id` and secret, and apply: the triggers are pointed to it",
        ),
    ),
    (
        re.compile(r"\bname\b.*\b(?:must match|does not match)\b", re.IGNORECASE),
        Failure(
            "name-mismatch",
            "the name in the repository's Wrangler file is not the Worker's",
            "make them equal, or give the deploy command the right `--env` or `--name`",
        ),
    ),
    (
        re.compile(r"missing script|script .* not found", re.IGNORECASE),
        Failure("missing-script", "a command runs a script that `package.json` does not have", "correct the command"),
    ),
    (
        re.compile(r"build minutes|minutes? limit", re.IGNORECASE),
        Failure("minutes-used-up", "the account's build minutes are used up", "wait for the refresh, or upgrade"),
    ),
    (
        re.compile(r"error occurred while cloning", re.IGNORECASE),
        Failure(
            "cannot-clone",
            "Builds cannot clone the repository",
            "check the Cloudflare Workers and Pages App of the repository's owner, and `provider_account_id`",
        ),
    ),
)


def why(lines: Iterable[str]) -> Failure | None:
    """The first known cause in a log."""
    for line in lines:
        for pattern, failure in _KNOWN:
            if pattern.search(line[:2_000]):
                return failure
    return None
