"""What a set of manifests names, for completion: nothing is checked, interpolated or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.errors import Position
from reconciler.manifest import files, merge
from reconciler.manifest.desired import env_sources
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Problems


@dataclass(frozen=True, kw_only=True)
class Names:
    """Keys as they stand in the files; `sources` are variables of the environment, `owners` those of the triggers."""

    workers: tuple[str, ...]
    triggers: tuple[Effective, ...]
    connections: tuple[str, ...]
    tokens: tuple[str, ...]
    params: tuple[str, ...]
    owners: tuple[str, ...]
    sources: tuple[str, ...]


def read(paths: Sequence[str]) -> Names:
    """The names of the set at `paths`. Raises `UsageError` or `ManifestError` where a file cannot be read."""
    problems = Problems()
    roots = [files.load(name, problems) for name in files.find(paths)]
    whole = merge.merge_files([one for one in roots if one], Position(filename="", line=0, column=0), problems)
    problems.raise_errors()
    workers = whole.get("workers").mapping
    owners = (whole.get("owner"), *whole.get("take_over_from").items)
    return Names(
        workers=tuple(workers),
        triggers=tuple(
            one
            for name in workers
            for one in merge.effective_triggers(whole, name, merge.profiles_of(whole, name, problems))
        ),
        connections=tuple(whole.get("connections").mapping),
        tokens=tuple(whole.get("tokens").mapping),
        params=tuple(dict.fromkeys(name for layer in merge.layers(whole) for name in layer.get("params").mapping)),
        owners=tuple(one.value for one in owners if isinstance(one.value, str)),
        sources=tuple(dict.fromkeys(env_sources(whole))),
    )
