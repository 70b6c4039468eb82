"""The nouns: plain frozen values that every other module speaks in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Generic, NamedTuple, Protocol, TypeVar

from reconciler.errors import ApiError, Diagnostic, Position


class Address(NamedTuple):  # of every resource, and what everything is looked up by: as `Position`
    """The identity of a resource, the same on both sides: `trigger/web/production` (DESIGN section 4)."""

    kind: str
    path: tuple[str, ...]

    @classmethod
    def of(cls, kind: str, *path: str) -> Address:
        return cls(kind, path)

    def __str__(self) -> str:
        return "/".join((self.kind, *self.path))

    @property
    def name(self) -> str:
        """The last part: `production` of `trigger/web/production`."""
        return self.path[-1]

    @property
    def as_glob(self) -> str:
        """A glob that selects this address alone, quoted for a shell: names come from strangers."""
        return shlex.quote(re.sub(r"([*?[])", r"[\1]", str(self)))

    def matches(self, glob: str) -> bool:
        """Does `glob` select this address? `*` crosses `/`; `worker/web` is everything of that Worker."""
        if glob == str(self):
            return True
        if glob.startswith("worker/") and self.kind in ("trigger", "env"):
            return fnmatchcase(self.path[0], glob.removeprefix("worker/"))
        return fnmatchcase(str(self), glob)


Ref = Address | str
"""Another resource: an `Address` until it is bound, then the API's id."""


@dataclass(frozen=True, repr=False)
class Secret:
    """A value to send and never to show. `value` is None where its source gave none. `source` says where it comes from
    (`env DEPLOY_TOKEN`), for messages; `missing` why there is no value."""

    value: str | None
    source: str = ""
    missing: str = ""

    @property
    def can_be_token(self) -> bool:
        """Does it look like an API token? What does not must not reach a message of the HTTP library."""
        text = self.value or " "
        return text.isascii() and text.isprintable() and " " not in text

    def __repr__(self) -> str:
        return "(secret)"


@dataclass(frozen=True, kw_only=True)
class FingerprintDraft:
    """What a marker will say of a secret that this run writes, once its trigger has a UUID."""

    name: str
    secret: Secret
    version: str


@dataclass(frozen=True, kw_only=True)
class MarkerDraft:
    """A marker that is still to be written: the refs in `fields` may not have ids yet. `fields` holds the values as
    applied, by API name; `entries` what the marker says of each variable that is ours, by the hash of its name (DESIGN
    section 5). `kid` is the key of the fingerprints kept."""

    owner: str
    key: str
    protect: bool
    fields: Mapping[str, Value]
    entries: Mapping[str, str | FingerprintDraft]
    kid: str = ""


Value = str | int | float | bool | None | Address | Secret | MarkerDraft | tuple["Value", ...] | Mapping[str, "Value"]
"""JSON, and what becomes JSON once ids are known (`Address`, `MarkerDraft`) or on the wire (`Secret`)."""


class Repeat(StrEnum):
    """What may be done when nobody knows whether a request took effect (DESIGN section 6)."""

    IDEMPOTENT = "idempotent"  # send it again
    KEYED = "keyed create"  # never blindly: read again by natural key, then decide
    ONCE = "once"  # never: it has no key to find it by, so an unknown outcome is told as that


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request as a value. `path` holds the parts below `/accounts/{account_id}`, unquoted."""

    method: str
    path: tuple[Ref, ...]
    query: tuple[tuple[str, str], ...] = ()
    json: Value = None
    repeat: Repeat = Repeat.IDEMPOTENT

    @property
    def body(self) -> Mapping[str, Value]:
        """The fields that are sent, by name; none where there is no body of fields."""
        return self.json if isinstance(self.json, Mapping) else {}


class Resource(Protocol):
    """What one kind holds: a frozen dataclass whose attributes carry the API's names."""

    @property
    def fields(self) -> Mapping[str, Value]:
        """The API's fields that are compared and shown."""


R_co = TypeVar("R_co", bound=Resource, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Live(Generic[R_co]):
    """A resource as the API has it. `scope` is where it was listed: a Worker's name, or empty."""

    id: str
    resource: R_co
    scope: str = ""
    created_on: str = ""


@dataclass(frozen=True, kw_only=True)
class Declared(Generic[R_co]):
    """A resource as the manifests want it, with what only the manifests know."""

    address: Address
    resource: R_co
    position: Position | None = None
    ignore: tuple[str, ...] = ()
    protect: bool = False
    allow: frozenset[str] = frozenset()


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    NO_OP = "no-op"


class Disposition(StrEnum):
    """Why a row is in the plan, beside what is done to it (DESIGN section 8)."""

    DECLARED = "declared"
    ADOPT = "adopt"
    KEPT = "kept"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    ORPHAN = "orphan"


class Cause(StrEnum):
    """Who moved: the manifests, somebody at the live end, both, or nothing remembers."""

    MANIFEST = "manifest"
    LIVE = "live"
    BOTH = "both"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field that differs. `added` and `removed` explain a list, which compares as a set."""

    path: str
    before: Value
    after: Value
    cause: Cause = Cause.UNKNOWN
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is done to one resource, and why. A create has no `before`, a delete no `after`, a no-op may lack either.
    `reason` is for people; code never reads it. `not_compared` says why a secret could not be compared."""

    address: Address
    action: Action
    reason: str
    before: Mapping[str, Value] | None = None
    after: Mapping[str, Value] | None = None
    disposition: Disposition = Disposition.DECLARED
    cause: Cause | None = None
    fields: tuple[FieldChange, ...] = ()
    not_compared: str = ""
    position: Position | None = None

    def __post_init__(self) -> None:
        if self.action is Action.NO_OP:
            return
        sides = self.before is not None, self.after is not None
        wanted = self.action is not Action.CREATE, self.action is not Action.DELETE
        if sides != wanted:
            raise ValueError(f"{self.address}: {self.action} with the wrong before or after")


class Echo(StrEnum):
    """How the answer of a write is compared with what was sent."""

    CONNECTION = "connection"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    TRIGGER = "trigger"
    VARIABLES = "variables"
    NOTHING = "nothing"  # a delete


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a token's secret has to prove before the token takes the place of one that works: that it is active,
    and that of `cloudflare_token_id`."""

    token: Address
    secret: Secret
    cloudflare_token_id: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One write, in order. It carries out part or all of the changes at `covers`. `needs` are addresses whose earlier
    steps must have succeeded; `gives` is the address that gets its id from the answer. `trial` comes before the
    request. Steps of one `branch` run one after the other, branches are independent; those without one run alone."""

    covers: tuple[Address, ...]
    request: Request
    echo: Echo = Echo.NOTHING
    branch: str = ""
    needs: frozenset[Address] = frozenset()
    gives: Address | None = None
    trial: Trial | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A safety rule that stops the whole apply before its first write (exit 4)."""

    summary: str
    detail: str = ""
    hint: str = ""
    address: Address | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole decision: every declared resource once, no-ops too, and the writes that carry it out. `labels` names
    live ids for people, `addresses` the live triggers of declared Workers by UUID; `reads` is how many requests the
    plan took. `unread` says what could not be looked at: then nothing is deleted or replaced."""

    account_id: str
    owner: str | None
    changes: tuple[Change, ...]
    steps: tuple[Step, ...] = ()
    ids: Mapping[Address, str] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    unread: tuple[Unread, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, Address] = field(default_factory=dict)
    reads: int = 0
    undeclared_workers: int | None = None
    prune: bool = False
    target: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def writes(self) -> int:
        """How many requests carry it out, none where it is refused; each token is tried once."""
        trials = {step.trial.token for step in self.steps if step.trial}
        return 0 if self.refusals else len(self.steps) + len(trials)

    @property
    def missing(self) -> Sequence[tuple[Address, Secret]]:
        """The secrets that an apply would have to send, and whose sources gave no value."""
        missing = []
        for step in self.steps:
            for key, value in step.request.body.items():
                secret = value.get("value") if isinstance(value, Mapping) else value
                if isinstance(secret, Secret) and secret.value is None:
                    missing.append((next((one for one in step.covers if one.name == key), step.covers[0]), secret))
        return missing

    @property
    def untried(self) -> Plan:
        """The same, where no token is tried before it replaces a working one."""
        return replace(self, steps=tuple(replace(step, trial=None) for step in self.steps))

    @property
    def changed(self) -> bool:
        """Is there anything to do? Adopts count."""
        return any(change.action is not Action.NO_OP for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A read that failed: what could not be seen, and the error. It is never taken for absence."""

    what: str
    error: ApiError

    def __str__(self) -> str:
        return f"{self.what} could not be read"


class Status(StrEnum):
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one change. `error` says why where it is not done; `denied`: the token may not;
    `began`: a request of it was sent and may have taken effect."""

    address: Address
    action: Action
    status: Status
    error: str = ""
    hint: str = ""
    denied: bool = False
    disposition: Disposition = Disposition.DECLARED
    began: bool = False
