"""Every error that a user can meet, as one tree, each with a hint and an exit code.

    BuildsctlError                1   something is wrong; nothing was done
    ├── UsageError                1   an option, a variable of the environment, a path
    ├── ManifestError             1   one or more problems in the manifests, each a `Diagnostic`
    ├── UnexpectedPlanError       5   the plan is not the one that was reviewed
    ├── SourceError               1   a secret's source is missing although it has to be sent
    ├── InterruptedRunError     130   SIGINT or SIGTERM
    └── ApiError                  1   a request failed; carries method, path, status, code, ray
        ├── AuthenticationError   6   401: no token, a dead one, or one of the wrong kind
        ├── ForbiddenError        6   403: the token lacks a permission
        ├── NotFoundError         1   404
        ├── RejectedError         1   any other 4xx: the API refuses what was sent
        ├── RateLimitedError      1   429, after waiting
        ├── GatewayError          1   5xx, after repeating
        ├── AnswerError           1   not JSON, not the envelope, not the shape of the reference
        ├── IgnoredError          1   the answer shows that a field was not taken over
        └── NetworkError          1   no answer: DNS, TLS, connection, time limit

Messages name things and never quote a body or a header: those may hold a secret. The first sentence of a class's
docstring says what is wrong, the rest of its first paragraph what to do: the README's list is made of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Exit:
    """Exit codes of every command, DESIGN section 7, in the order in which they are decided."""

    INTERRUPTED = 130
    ACCESS = 6
    ERROR = 1
    UNEXPECTED_PLAN = 5
    REFUSED = 4
    PARTIAL = 3
    UNKNOWN = 7
    CHANGES = 2
    OK = 0

    ORDER = (INTERRUPTED, ACCESS, ERROR, UNEXPECTED_PLAN, REFUSED, PARTIAL, UNKNOWN, CHANGES, OK)
    MEANINGS = {  # noqa: RUF012 - nobody writes into it
        OK: "done, or no changes",
        ERROR: "error, usage errors included; nothing was done",
        CHANGES: "changes (plan --detailed-exitcode), or drift",
        PARTIAL: "applied in part; the next apply goes on from what is live",
        REFUSED: "refused by a safety rule; a plan too, where its apply would be",
        UNEXPECTED_PLAN: "the plan is not the one that was reviewed (apply --expect)",
        ACCESS: "authentication or permission",
        UNKNOWN: "could not look everywhere",
        INTERRUPTED: "interrupted",
    }


class Position(NamedTuple):  # of every value of a manifest: a dataclass takes three times as long to make
    """A place in a manifest: file as the user named it, line and column counted from 1; line 0 is no file."""

    filename: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}:{self.column}" if self.line else self.filename


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint, where one of `known` is like the name: `did you mean `x`?`; else nothing."""
    known = [*known]
    found = difflib.get_close_matches(name[:200], known, n=1, cutoff=0.65)
    found = found or [one for one in known if len(name) > 2 and one.startswith(name)]
    return f"did you mean `{found[0]}`?" if found else ""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One problem: what is wrong (`summary`), more about it (`detail`), the way out (`hint`), and where."""

    severity: Severity
    summary: str
    detail: str = ""
    hint: str = ""
    address: str = ""
    rule: str = ""
    position: Position | None = None
    source_line: str = ""


class BuildsctlError(Exception):
    """The root: a message, a hint that says what to do next, and the exit code."""

    exit_code = Exit.ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BuildsctlError):
    """An option, a variable of the environment or a path cannot be used. The message names it; `--help` of the
    command shows what there is."""


class ManifestError(BuildsctlError):
    """The manifests hold problems. `buildsctl validate` shows all of them, each with its place and the way out.

    All are in `diagnostics`, at least one an error.
    """

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        count = sum(1 for one in diagnostics if one.severity is Severity.ERROR)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the manifests")
        self.diagnostics = diagnostics


class SourceError(BuildsctlError):
    """Secrets would have to be written whose sources gave no value. Give each source that is listed its value."""


class UnexpectedPlanError(BuildsctlError):
    """The plan holds what no reviewed plan covers; nothing was written. Plan again, and review that."""

    exit_code = Exit.UNEXPECTED_PLAN


class InterruptedRunError(BuildsctlError):
    """The run was told to stop. Run it again: it goes on from what is live."""

    exit_code = Exit.INTERRUPTED


class ApiError(BuildsctlError):
    """A request failed. `status` is 0 where no answer came, `code` 0 where the answer had none.

    `never_sent`: there was no connection, so nothing can have happened.
    """

    method = path = ray = ""
    status = code = 0
    never_sent = False

    def __str__(self) -> str:
        named = {"HTTP": self.status, "code": self.code, "ray": self.ray}
        facts = (f"{self.method} {self.path}".strip(), *(f"{name} {fact}" for name, fact in named.items() if fact))
        told = ", ".join(filter(None, facts))
        return f"{self.message} ({told})" if told else self.message


class AuthenticationError(ApiError):
    """The API does not accept the token. `buildsctl doctor` says what is wrong with it."""

    exit_code = Exit.ACCESS


class ForbiddenError(ApiError):
    """The token is accepted but may not do this. `buildsctl doctor` says which permission is missing."""

    exit_code = Exit.ACCESS


class NotFoundError(ApiError):
    """The thing asked for does not exist, or the token cannot see it. Check the account id; plan again if it was
    there before."""


class RejectedError(ApiError):
    """The API refuses what was sent. Its code below says why; `buildsctl validate` finds what it does not say."""


class RateLimitedError(ApiError):
    """The rate limit is used up and waiting did not help. Wait five minutes, look for other tools that use the same
    user's tokens, or allow more with `--max-wait`.

    `retry_after` is in seconds.
    """

    retry_after = 1.0


class GatewayError(ApiError):
    """The API or a gateway before it failed, again and again: nobody knows whether it acted. Run it again in a while:
    it looks first."""


class AnswerError(ApiError):
    """An answer came that is not what the reference describes. Check CLOUDFLARE_API_BASE_URL and any proxy between;
    else report it with the ray id."""


class IgnoredError(ApiError):
    """The API answered, and did not do all that it was asked to. Plan again: that shows what is live now."""


class NetworkError(ApiError):
    """No answer came. The hint says where it ended: name, connection, TLS or time; the next run finds what was done."""
