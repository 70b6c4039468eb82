"""Remember without a state file: the marker on each trigger, and the names of managed tokens. Pure.

The marker is a plain variable `BUILDSCTL` on the trigger that it speaks of (DESIGN section 5): compact
JSON with `v` version, `owner`, `u` the trigger's UUID, `k` its key, `p` protected, `f` a hash for each
field as last applied, `e` what is known of each variable that is ours, by a hash of its name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconciler.diff import normal
from reconciler.kinds.env_var import EnvVar
from reconciler.model import Cause, MarkerDraft, Value

MARKER = "BUILDSCTL"
VERSION = 1
MAX_LENGTH = 5_000  # of a variable's value (field notes, Environment variables)


@dataclass(frozen=True, kw_only=True)
class Marker:
    """A marker that speaks of the trigger it was found on. `fields` and `entries` hold hashes."""

    owner: str
    key: str
    protect: bool
    fields: Mapping[str, str]
    entries: Mapping[str, str]

    def knows(self, name: str) -> bool:
        """Is the variable `name` ours?"""
        return hash_name(name) in self.entries


@dataclass(frozen=True)
class Newer:
    """A marker of a later format, which this version must not overwrite."""

    version: int


def read(variables: Mapping[str, EnvVar], trigger: str) -> Marker | Newer | None:
    """The marker among a trigger's variables; None where there is none that speaks of this trigger.

    A malformed one, or one that was copied from another trigger, is no marker.
    """
    variable = variables.get(MARKER)
    if variable is None or not isinstance(variable.value, str):
        return None
    try:
        found = json.loads(variable.value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    version = found.get("v")
    if isinstance(version, int) and version > VERSION:
        return Newer(version)
    if version is True or version != VERSION or found.get("u") != trigger:
        return None
    owner, key = found.get("owner"), found.get("k")
    if not isinstance(owner, str) or not isinstance(key, str) or not owner or not key:
        return None
    return Marker(
        owner=owner,
        key=key,
        protect=found.get("p") is True,
        fields=_strings(found.get("f")),
        entries=_strings(found.get("e")),
    )


def _strings(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def write(draft: MarkerDraft, trigger: str) -> str:
    """The marker's text; all refs in `draft.fields` are ids by now."""
    document: dict[str, object] = {
        "v": VERSION,
        "owner": draft.owner,
        "u": trigger,
        "k": draft.key,
        "f": {name: hash_field(name, value) for name, value in draft.fields.items()},
        "e": dict(sorted(draft.entries.items())),
    }
    if draft.protect:
        document["p"] = True
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _digest(text: str, length: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode(errors="surrogatepass")).digest())[
        :length
    ].decode()


def hash_name(name: str) -> str:
    """72 bits: nobody can name a variable so that it passes for one of ours."""
    return _digest(name, 12)


def hash_field(name: str, value: Value) -> str:
    """24 bits of a trigger field, enough to tell who moved."""
    return _digest(json.dumps(normal(name, value), ensure_ascii=False), 4)


def entry(variable: EnvVar) -> str:
    """What the marker says of a variable: `p` and a hash for a plain value, nothing for a secret."""
    if variable.is_secret or not isinstance(variable.value, str):
        return ""
    return "p" + _digest(variable.value, 8)


def cause(*, applied: str | None, before: str | None, after: str | None) -> Cause:
    """Who moved, by the hashes of what was last applied, what is live and what is wanted.

    `applied` is None where nothing remembers, `before` where nothing is live, `after` where what is
    wanted has no hash yet (the id of something that is still to be created) or never had one.
    """
    if applied is None:
        return Cause.UNKNOWN
    if applied == before:
        return Cause.MANIFEST
    return Cause.LIVE if applied == after else Cause.BOTH


def joined(causes: Collection[Cause]) -> Cause:
    """The cause of a change with several differences. Nobody is accused where nothing remembers."""
    known = set(causes) - {Cause.UNKNOWN}
    if len(known) > 1:
        return Cause.BOTH
    cause = known.pop() if known else Cause.UNKNOWN
    return Cause.UNKNOWN if cause is Cause.MANIFEST and Cause.UNKNOWN in causes else cause


_TOKEN_NAME = re.compile(
    r"(?P<owner>[A-Za-z0-9._/-]{1,64}):(?P<name>[^\[\]]+) \[(?P<n>[1-9][0-9]{0,8})-(?P<id6>[0-9a-f]{6})-"
    r"(?P<mac8>[0-9a-f]{8}|-{8})\]"
)
NO_MAC = "-" * 8


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a managed token's live name says: `<owner>:<name> [<n>-<id6>-<mac8>]` (DESIGN section 5)."""

    owner: str
    name: str
    number: int
    id6: str
    mac8: str = NO_MAC

    def __str__(self) -> str:
        return f"{self.owner}:{self.name} [{self.number}-{self.id6}-{self.mac8}]"


def read_token_name(live_name: str) -> Generation | None:
    """The generation that a live name tells; None for a token that nobody manages."""
    found = _TOKEN_NAME.fullmatch(live_name)
    if not found:
        return None
    return Generation(
        owner=found["owner"], name=found["name"], number=int(found["n"]), id6=found["id6"], mac8=found["mac8"]
    )


def hash_token_id(cloudflare_token_id: str, value_version: str) -> str:
    """`id6`: it changes when another token, or another version of its secret, is declared."""
    parts = "".join(f"{len(part)}:{part}" for part in (cloudflare_token_id, value_version))
    return hashlib.sha256(parts.encode()).hexdigest()[:6]
