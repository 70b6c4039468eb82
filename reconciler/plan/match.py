"""Find for each declared trigger of a Worker the live one that it means (DESIGN section 4, *Matching*)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.kinds.trigger import Trigger
from reconciler.model import Live
from reconciler.ownership import Marker
from reconciler.states import DeclaredTrigger

Pair = tuple[DeclaredTrigger, Live[Trigger] | None]
Test = Callable[[DeclaredTrigger, Live[Trigger]], bool]


def match(
    declared: Sequence[DeclaredTrigger],
    lives: Sequence[Live[Trigger]],
    markers: Mapping[str, Marker],
    owner: str | None,
) -> tuple[list[Pair], list[Live[Trigger]]]:
    """Pairs in the order of `declared`, and the live triggers that nobody declared.

    By kind first, since the API allows one of each a Worker: so a rename is an update, and a trigger that
    the dashboard made anew is found again. Where several share a kind, by the marker's key (our own marker's
    first), then by name, then the older, then the lower UUID. What is left over pairs across kinds only
    where our own marker says so. `markers` is by trigger UUID.
    """
    left = sorted(lives, key=lambda live: (live.created_on, live.id))
    found: dict[str, Live[Trigger]] = {}

    keys = {uuid: marker.key for uuid, marker in markers.items()}
    ours = {uuid: keys[uuid] for uuid, marker in markers.items() if marker.owner == owner}

    def same_kind(want: DeclaredTrigger, live: Live[Trigger]) -> bool:
        return want.resource.is_preview == live.resource.is_preview

    tests: tuple[Test, ...] = (
        lambda want, live: same_kind(want, live) and ours.get(live.id) == want.address.name,
        lambda want, live: same_kind(want, live) and keys.get(live.id) == want.address.name,
        lambda want, live: same_kind(want, live) and want.resource.trigger_name == live.resource.trigger_name,
        same_kind,
        lambda want, live: ours.get(live.id) == want.address.name,
    )
    for test in tests:
        for want in (one for one in declared if one.address.name not in found):
            live = next((live for live in left if test(want, live)), None)
            if live:
                found[want.address.name] = live
                left.remove(live)
    return [(want, found.get(want.address.name)) for want in declared], left
