"""What a set of manifests names, for completion: nothing is checked, interpolated or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.errors import Position
from reconciler.manifest import files, merge
from reconciler.manifest.desired import env_sources
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Node, Problems
from reconciler.manifest.params import params_of
from reconciler.manifest.parse import parse


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
    roots = []
    for filename in files.find(paths):
        text = files.read(filename, problems)
        root = parse(text, filename, problems) if text is not None else None
        roots += [root] if root else []
    whole = merge.merge_files(roots, Position(filename="", line=0, column=0), problems)
    problems.raise_errors()
    profiles, workers = _section(whole, "profiles"), _section(whole, "workers")
    layers = (whole, *profiles.values(), *workers.values())
    owner, others = whole.get("owner"), whole.get("take_over_from")
    return Names(
        workers=tuple(workers),
        triggers=tuple(
            one
            for name, body in workers.items()
            for one in merge.effective_triggers(whole, name, body, merge.profiles_of(whole, body, problems, ""))
        ),
        connections=tuple(_section(whole, "connections")),
        tokens=tuple(_section(whole, "tokens")),
        params=tuple(dict.fromkeys(name for layer in layers for name in params_of(layer))),
        owners=tuple(
            one.value for one in (owner, *(others.items if others else ())) if one and isinstance(one.value, str)
        ),
        sources=tuple(dict.fromkeys(env_sources(whole))),
    )


def _section(root: Node, name: str) -> dict[str, Node]:
    node = root.get(name)
    return node.mapping if node else {}
