"""The build tokens of an account, for people and as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.ownership import read_token_name
from reconciler.render.escape import clean
from reconciler.states import Observed


def token_rows(observed: Observed) -> list[dict[str, Any]]:
    """Name, owner, generation, id, UUID and users of every token, by name."""
    rows = []
    for live in observed.tokens:
        token, found = live.resource, read_token_name(live.resource.build_token_name)
        users = (one for one in observed.triggers if one.resource.build_token_uuid == live.id)
        row = {
            "build_token_name": token.build_token_name,
            "owner": found.owner if found else None,
            "name": found.name if found else None,
            "generation": found.number if found else None,
            "cloudflare_token_id": token.cloudflare_token_id,
            "build_token_uuid": live.id,
            "used_by": sorted(f"{one.scope}/{one.resource.trigger_name}" for one in users),
        }
        rows.append(row)
    return sorted(rows, key=lambda row: (row["build_token_name"], row["build_token_uuid"]))


def tokens_text(rows: Sequence[dict[str, Any]], *, complete: bool = True) -> str:
    """A paragraph a token: no table is wide enough for its users."""
    unused = "  UNUSED" if complete else "  no user was seen, but not everything could be read"
    lines = []
    for row in rows:
        owned = f"owner {row['owner']}, generation {row['generation']}" if row["owner"] else "not managed"
        lines += [
            clean(row["build_token_name"]),
            f"  {clean(owned)}",
            f"  cloudflare_token_id {clean(row['cloudflare_token_id'])}",
            f"  build_token_uuid {row['build_token_uuid']}",
            f"  used by {clean(', '.join(row['used_by']))}" if row["used_by"] else unused,
        ]
    none = "There are no build tokens in this account." if complete else "No build token could be seen."
    return "\n".join(lines or [none]) + "\n"
