"""Is a plan covered by plans that were reviewed? Both as the JSON of `render.json` (DESIGN section 6, `--expect`).

Every operation must stand in a reviewed plan of the same account and owner, with equal before and after;
fewer are fine. The plan job has no secrets and the apply job has them, so writing a secret that the review
showed as unknown or not compared is covered, and so are the new token generation and the trigger changes that
follow from it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from reconciler.kinds.trigger import PENDING_PATHS
from reconciler.render.json import as_sets

_MAC = re.compile(r"-(?:[0-9a-f]{8}|-{8})\]$")
Row = Mapping[str, Any]


def what_moved(plan: Mapping[str, Any], reviewed: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each operation of `plan` that no reviewed plan covers; none where all are covered."""
    acts = [row for row in plan["resource_changes"] if row["change"]["actions"] != ["no-op"]]
    if not acts:
        return []  # whatever was reviewed: nothing will be done
    mine = plan["scope"]
    same = [one for one in reviewed if all(one["scope"].get(name) == mine[name] for name in ("account_id", "owner"))]
    if not same:
        return [f"no reviewed plan is for account `{mine['account_id']}` and owner `{mine['owner']}`"]
    known: dict[str, list[Row]] = defaultdict(list)
    for one in same:
        for row in one["resource_changes"]:
            known[row["address"]].append(row)
    renewed = {row["address"] for row in acts if row["type"] == "token" and _is_late(row, known[row["address"]])}
    moved = []
    for row in acts:
        theirs = known[row["address"]]
        if not (_stands(row, theirs, renewed) or _is_late(row, theirs) or (renewed and _follows(row, theirs))):
            now, *seen = (" and ".join(one["change"]["actions"]) for one in (row, *theirs))
            told = f"the reviewed plan says {' or '.join(seen)}" if seen else "the reviewed plan does not have it"
            told = "its values moved since the review" if now in seen else told
            moved.append(f"{row['address']}: {now}, {told}")
    return moved


def _stands(row: Row, reviewed: Sequence[Row], renewed: Collection[str]) -> bool:
    """The same operation was reviewed. That it now points to a token which is `renewed` follows from that."""
    for one in reviewed:
        mine, theirs = row["change"], one["change"]
        lifted = [[field["path"] == "protect" for field in it["fields"]].count(True) for it in (row, one)]
        if lifted[0] > lifted[1]:
            continue
        same = theirs["actions"] == mine["actions"] and _plain(theirs["before"]) == _plain(mine["before"])
        moves = renewed and mine["after_unknown"].get("build_token_uuid")
        unknown = {*theirs["after_unknown"], *(["build_token_uuid"] if moves else [])}
        after = _plain(theirs["after"], unknown=unknown) == _plain(mine["after"], unknown=unknown)
        goes_on = mine["actions"] == ["create"] or _goes_on(row)  # one that was replaced may be gone already
        if after and (same or (theirs["actions"][-1] == "create" and goes_on)):
            return True
    return False


def _goes_on(row: Row) -> bool:
    """An apply of the reviewed plan made the trigger and was stopped: it still watches nothing, or all that is
    left of it to write is its marker."""
    change = row["change"]
    if row["type"] != "trigger" or change["actions"] != ["update"]:
        return False
    before = change["before"] or {}
    return before.get("path_includes") == [*PENDING_PATHS] or _plain(before) == _plain(change["after"])


def _plain(fields: Mapping[str, Any] | None, *, unknown: Iterable[str] = ()) -> Any:
    """Secrets are null on both sides; the mac in a token's name needs the secret, which the review had not;
    an id that was `unknown` in the review may be known by now."""
    if fields is None:
        return None
    plain = as_sets({name: None if name in unknown else value for name, value in fields.items()})
    name = plain.get("build_token_name")
    if isinstance(name, str):
        plain["build_token_name"] = _MAC.sub("]", name)
    return plain


def _is_late(row: Row, reviewed: Sequence[Row]) -> bool:
    """A secret that could not be compared in the review, and is written now that it can."""
    uncompared = any(one["not_compared"] and one["change"]["actions"] == ["no-op"] for one in reviewed)
    if row["type"] == "token":
        return uncompared and row["change"]["actions"] == ["create"]
    paths = {field["path"] for field in row["fields"]}
    return uncompared and row["type"] == "env" and row["change"]["actions"] == ["update"] and paths == {"value"}


def _follows(row: Row, reviewed: Sequence[Row]) -> bool:
    """A trigger that is pointed to a token generation that is late, and nothing else."""
    change, fields = row["change"], {field["path"] for field in row["fields"]}
    if row["type"] != "trigger" or change["actions"] != ["update"] or fields != {"build_token_uuid"}:
        return False
    was = [one["change"] for one in reviewed if one["change"]["actions"] == ["no-op"]]
    return any(_plain(one["before"]) == _plain(change["before"]) for one in was)
