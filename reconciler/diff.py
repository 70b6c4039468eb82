"""Say what differs between two resources of a kind, field by field.

Typed equality decides: lists compare as sets, in trigger fields `null`, the empty string and a missing
field are one, `root_directory` compares without outer slashes (DESIGN section 4). DeepDiff then explains
what is inside a list that changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.kinds.trigger import Trigger
from reconciler.model import FieldChange, Value


def normal(name: str, value: Value) -> Value:
    """`value` of the trigger field `name` in the form in which it is compared and hashed."""
    if name in Trigger.sets and isinstance(value, tuple):
        return tuple(sorted({str(one) for one in value}))
    if name == "root_directory" and isinstance(value, str):
        return value.strip("/")
    return "" if value is None else value


def trigger_fields(
    before: Mapping[str, Value], after: Mapping[str, Value], *, ignore: Collection[str] = ()
) -> tuple[FieldChange, ...]:
    """The fields of `after` that differ from `before`, in the order of `after`; causes are still unknown. A ref that is
    still an address differs from every id, by itself."""
    changed = []
    for name, wanted in after.items():
        seen = before.get(name)
        if name in ignore or seen == wanted or normal(name, seen) == normal(name, wanted):
            continue
        added, removed = explained(seen, wanted) if name in Trigger.sets else ((), ())
        changed.append(FieldChange(path=name, before=seen, after=wanted, added=added, removed=removed))
    return tuple(changed)


def explained(before: Value, after: Value) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was added to a list and what was removed from it."""
    from deepdiff import DeepDiff  # noqa: PLC0415 - imported late: most runs find nothing to explain

    tree = DeepDiff(before or (), after or (), ignore_order=True, view="tree", threshold_to_diff_deeper=0)
    added = [item.t2 for item in tree.get("iterable_item_added", ())]
    removed = [item.t1 for item in tree.get("iterable_item_removed", ())]
    for item in tree.get("values_changed", ()):
        added.append(item.t2)
        removed.append(item.t1)
    return tuple(sorted(added)), tuple(sorted(removed))
