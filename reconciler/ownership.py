"""Remember without a state file: the marker on each trigger, and the names of managed tokens. Pure.

The marker is a plain variable `BUILDSCTL` on the trigger that it speaks of (DESIGN section 5): compact
JSON with `v` version, `owner`, `u` the trigger's UUID, `k` its key, `p` protected, `f` a hash for each
field as last applied, `e` what is known of each variable that is ours, by a hash of its name: `p` and a
hash of a plain value, `f` and the fingerprint of a secret under the key `kid`, or nothing; then, after a
dot, its `value_version`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from reconciler.diff import normal
from reconciler.kinds.env_var import EnvVar
from reconciler.model import Cause, FingerprintDraft, MarkerDraft, Value

MARKER = "BUILDSCTL"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Marker:
    """A marker that speaks of the trigger it was found on. `fields` and `entries` hold hashes."""

    owner: str
    key: str
    protect: bool
    fields: Mapping[str, str]
    entries: Mapping[str, str]
    kid: str = ""

    def knows(self, name: str) -> bool:
        """Is the variable `name` ours?"""
        return hash_name(name) in self.entries

    def is_secret(self, name: str) -> bool:
        """Is it ours, and was it a secret?"""
        return not self.entries.get(hash_name(name), "p").startswith("p")


@dataclass(frozen=True)
class Newer:
    """A marker of a later format, which this version must not overwrite."""

    version: int


def read(variables: Mapping[str, EnvVar], trigger: str) -> Marker | Newer | None:
    """The marker among a trigger's variables; None where there is none that speaks of this trigger. A malformed one, or
    one that was copied from another trigger, is no marker."""
    text = variables[MARKER].value if MARKER in variables else None
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    version, owner, key = found.get("v"), found.get("owner"), found.get("k")
    if isinstance(version, int) and version > VERSION:
        return Newer(version)
    if version is True or version != VERSION or found.get("u") != trigger:
        return None
    if not isinstance(owner, str) or not isinstance(key, str) or not owner or not key:
        return None
    return Marker(
        owner=owner,
        key=key,
        protect=found.get("p") is True,
        fields=_strings(found.get("f")),
        entries=_strings(found.get("e")),
        kid=kid if isinstance(kid := found.get("kid"), str) else "",
    )


def _strings(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def write(draft: MarkerDraft, trigger: str, key: FingerprintKey | None = None) -> str:
    """The marker's text; all refs in `draft.fields` are ids by now. Writing a secret under a new key drops the
    fingerprints of the old one; without a key those of secrets that are not written stay."""
    written = any(isinstance(one, FingerprintDraft) for one in draft.entries.values())
    kid = key.kid if key and written else draft.kid
    entries = {name: _entry(one, trigger, key, keep=kid == draft.kid) for name, one in sorted(draft.entries.items())}
    document: dict[str, object] = {
        "v": VERSION,
        "owner": draft.owner,
        "u": trigger,
        "k": draft.key,
        "f": {name: hash_field(name, value) for name, value in draft.fields.items()},
        "e": entries,
    }
    if draft.protect:
        document["p"] = True
    if any(fingerprint_of(one) for one in entries.values()):
        document["kid"] = kid
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def without(marker: str, names: Collection[str]) -> str:
    """The text of a marker that no longer lists the variables `names`; all else stays to the letter."""
    document = json.loads(marker)
    hashes = {hash_name(name) for name in names}
    document["e"] = {name: entry for name, entry in _strings(document.get("e")).items() if name not in hashes}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _entry(one: str | FingerprintDraft, trigger: str, key: FingerprintKey | None, *, keep: bool) -> str:
    if isinstance(one, FingerprintDraft):
        value = one.secret.value
        head = "f" + key.fingerprint(trigger, one.name, value) if key and value is not None else ""
        return _versioned(head, one.version)
    return one if keep or not fingerprint_of(one) else _versioned("", version_of(one))


def _digest(text: str, length: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode(errors="surrogatepass")).digest())[:length].decode()


@lru_cache(maxsize=10_000)  # the same names on trigger after trigger
def hash_name(name: str) -> str:
    """72 bits: nobody can name a variable so that it passes for one of ours."""
    return _digest(name, 12)


def hash_field(name: str, value: Value) -> str:
    """24 bits of a trigger field, enough to tell who moved."""
    return _digest(json.dumps(normal(name, value), ensure_ascii=False), 4)


def entry(variable: EnvVar) -> str:
    """What the marker says of a variable whose value, if it is a secret, this run does not write."""
    plain = not variable.is_secret and isinstance(variable.value, str)
    return _versioned("p" + _digest(str(variable.value), 8) if plain else "", variable.value_version)


def _versioned(head: str, version: str) -> str:
    return f"{head}.{version}" if version else head


def version_of(entry: str) -> str:
    """The `value_version` that an entry remembers."""
    return entry.partition(".")[2]


def fingerprint_of(entry: str) -> str:
    """The fingerprint in an entry, empty where there is none."""
    head = entry.partition(".")[0]
    return head[1:] if head.startswith("f") else ""


@dataclass(frozen=True, repr=False)
class FingerprintKey:
    """The user's key, for telling whether a secret changed without keeping it (DESIGN section 5)."""

    key: bytes

    def __repr__(self) -> str:
        return "(key)"

    def _mac(self, *parts: str) -> bytes:
        data = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
        return hmac.digest(self.key, data, "sha256")

    @cached_property
    def kid(self) -> str:
        """Names the key; nothing of it can be told from this."""
        return self._mac("key id").hex()[:8]

    def fingerprint(self, trigger: str, name: str, value: str) -> str:
        """96 bits that only the key's holder can make, and only for this trigger and name."""
        return base64.urlsafe_b64encode(self._mac(trigger, name, value))[:16].decode()

    def token_mac(self, cloudflare_token_id: str, secret: str) -> str:
        """`mac8` of a managed token: two digits of the key's id, six of its own."""
        return self.kid[:2] + self._mac(cloudflare_token_id, secret).hex()[:6]


MIN_KEY_BYTES = 32


def read_key(text: str) -> FingerprintKey | None:
    """A key in base64 or hexadecimal; None where it is neither, or has fewer than 32 bytes."""
    text = "".join(text.split())
    try:
        if re.fullmatch(r"[0-9a-fA-F]+", text):
            key = bytes.fromhex(text)
        else:
            raw = text.replace("-", "+").replace("_", "/").rstrip("=")
            key = base64.b64decode(raw + "=" * (-len(raw) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return FingerprintKey(key) if len(key) >= MIN_KEY_BYTES else None


def cause(*, applied: str | None, before: str | None, after: str | None) -> Cause:
    """Who moved, by the hashes of what was last applied, what is live and what is wanted. `applied` is None where
    nothing remembers, `before` where nothing is live, `after` where what is wanted has no hash yet (the id of something
    that is still to be created) or never had one."""
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
    r"(?P<owner>[A-Za-z0-9._/-]{1,64}):(?P<name>[^\[\]]+) \[(?P<number>[1-9][0-9]{0,17})-(?P<id6>[0-9a-f]{6})-"
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
    said: dict[str, Any] = found.groupdict()
    return Generation(**said | {"number": int(said["number"])})


def hash_token_id(cloudflare_token_id: str, value_version: str) -> str:
    """`id6`: it changes when another token, or another version of its secret, is declared."""
    parts = "".join(f"{len(part)}:{part}" for part in (cloudflare_token_id, value_version))
    return hashlib.sha256(parts.encode()).hexdigest()[:6]
