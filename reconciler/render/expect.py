"""Is a plan covered by plans that were reviewed? Both as the JSON of `render.json` (DESIGN section 6, `--expect`).

Every operation must stand in a reviewed plan of the same account and owner, with equal before and after;
fewer are fine. The plan job has no secrets and the apply job has them, so writing a secret that the review
showed as unknown or not compared is covered, and so are the new token generation and the trigger changes that
follow from it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from reconciler.kinds.trigger import PENDING_PATHS, Trigger
from reconciler.ownership import read_token_name
from reconciler.render.json import MEMORY, acts, as_sets

_MAC = re.compile(r"-(?:[0-9a-f]{8}|-{8})\]$")
Row = Mapping[str, Any]


def what_moved(plan: Mapping[str, Any], reviewed: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each operation of `plan` that no reviewed plan covers; none where all are covered."""
    mine = [_named(row, plan["labels"]) for row in plan["resource_changes"] if acts(row)]
    if not mine:
        return []  # whatever was reviewed: nothing will be done
    scope = plan["scope"]
    same = [one for one in reviewed if all(one["scope"].get(name) == scope[name] for name in ("account_id", "owner"))]
    if not same:
        return [f"no reviewed plan is for account `{scope['account_id']}` and owner `{scope['owner']}`"]
    known: dict[str, list[Row]] = defaultdict(list)
    for one in same:
        for row in one["resource_changes"]:
            known[row["address"]].append(_named(row, one["labels"]))
    renewed = {row["address"] for row in mine if row["type"] == "token" and _is_late(row, known[row["address"]])}
    moved = []
    for row in mine:
        theirs = known[row["address"]]
        if not (_stands(row, theirs, renewed) or _is_late(row, theirs) or _follows(row, theirs, renewed)):
            now, *seen = (_does(one) for one in (row, *theirs))
            told = f"the reviewed plan says {' or '.join(seen)}" if seen else "the reviewed plan does not have it"
            told = "its values moved since the review" if now in seen else told
            moved.append(f"{row['address']}: {now}, {told}")
    return moved


def _does(row: Row) -> str:
    """In words; `marker` is written where only what it tells differs, beside variables."""
    found = " and ".join(row["change"]["actions"])
    return "marker" if found == "no-op" and acts(row) else found


def _named(row: Row, labels: Mapping[str, str]) -> Row:
    """`row` with, as `refers`, what its references mean by name: an id may be known by now that the review had not."""
    after, sources = row["change"]["after"] or {}, row["change"]["after_from"]
    ids = {name: sources.get(name) or after[name] for name in Trigger.references.values() if name in after}
    return {**row, "refers": {name: labels.get(one, one) for name, one in ids.items()}}


def _stands(row: Row, reviewed: Sequence[Row], renewed: Collection[str]) -> bool:
    """The same operation was reviewed. That it now points to a token which is `renewed` follows from that."""
    for one in reviewed:
        mine, theirs = row["change"], one["change"]
        told = [field for field in one["fields"] if field["path"] in MEMORY]
        if any(field not in told for field in row["fields"] if field["path"] in MEMORY):
            continue
        same = theirs["actions"] == mine["actions"] and _plain(theirs["before"]) == _plain(mine["before"])
        moves = {name for name in mine["after_unknown"] if row["refers"].get(name) in renewed}
        unknown = {*theirs["after_unknown"], *moves}
        refers = all(row["refers"].get(name) == one["refers"].get(name) for name in unknown)
        refers &= _sources(mine) == _sources(theirs)
        after = refers and _plain(theirs["after"], unknown=unknown) == _plain(mine["after"], unknown=unknown)
        goes_on = mine["actions"] == ["create"] or _goes_on(row)  # one that was replaced may be gone already
        if after and (same or (theirs["actions"][-1] == "create" and goes_on)):
            return True
    return False


def _sources(change: Mapping[str, Any]) -> dict[str, Any]:
    """Where secrets come from."""
    return {name: change["after_from"].get(name) for name in change["after_sensitive"]}


def _goes_on(row: Row) -> bool:
    """An apply of the reviewed plan made the trigger and was stopped: it still watches nothing, or all that is
    left of it to write is its marker."""
    change = row["change"]
    if row["type"] != "trigger" or change["actions"] != ["update"]:
        return False
    before = change["before"] or {}
    return before.get("path_includes") == [*PENDING_PATHS] or _plain(before) == _plain(change["after"])


def _plain(fields: Mapping[str, Any] | None, *, unknown: Collection[str] = ()) -> Any:
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
    """A secret that could not be compared in the review, and is written now that it can; nothing else of it moved."""
    change, paths = row["change"], {field["path"] for field in row["fields"]}
    for one in (one["change"] for one in reviewed if one["not_compared"] and not acts(one)):
        same = row["type"] == "env" and change["actions"] == ["update"] and paths == {"value"}
        same = same and change["after_from"] == one["after_from"]
        if row["type"] == "token" and change["actions"] == ["create"]:
            made, live = (read_token_name(it["build_token_name"]) for it in (change["after"], one["before"]))
            same = bool(made and live and made.id6 == live.id6)
        if same:
            return True
    return False


def _follows(row: Row, reviewed: Sequence[Row], renewed: Collection[str]) -> bool:
    """A trigger that is pointed to the late generation of the token that it was reviewed with, and nothing else."""
    change, fields = row["change"], {field["path"] for field in row["fields"]}
    to = row["refers"].get("build_token_uuid")
    if to not in renewed or change["actions"] != ["update"] or fields != {"build_token_uuid"}:
        return False
    was = [one["change"] for one in reviewed if not acts(one) and one["refers"].get("build_token_uuid") == to]
    return any(_plain(one["before"]) == _plain(change["before"]) for one in was)
