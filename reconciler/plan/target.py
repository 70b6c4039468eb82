"""Narrow what is wanted to what `--target` names, before anything is read: asking for less costs less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from reconciler.kinds.worker import Worker
from reconciler.model import Address, Declared
from reconciler.states import DeclaredTrigger, Desired


def selects(globs: Sequence[str], trigger: DeclaredTrigger) -> bool:
    """Is the trigger named? An `env/` address names its trigger, also where the variable left the manifests. Without
    globs every trigger is."""
    addresses = (trigger.address, *(one.address for one in trigger.variables.values()))
    parents = [parent for glob in globs if (parent := _parent(glob))]
    return not globs or any(address.matches(glob) for glob in (*globs, *parents) for address in addresses)


def _parent(glob: str) -> str:
    """The trigger of an `env/` address, where it says which, or means every variable; else declared ones tell."""
    kind, *path = glob.split("/")
    says = len(path) == 3 and not any(sign in part for part in path[:2] for sign in "*?[")
    if kind != "env" or not (says or path[-1] == "*"):
        return ""
    return "/".join(("trigger", *path[:2]))


def narrow(desired: Desired, globs: Sequence[str]) -> Desired:
    """Workers that may hold something named, with all their triggers (matching sees them all); tokens and
    connections that are named, or that a named trigger refers to."""
    named = [trigger for trigger in desired.triggers if selects(globs, trigger)]
    workers = {
        name: worker
        for name, worker in desired.workers.items()
        if any(trigger.address.path[0] == name for trigger in named) or any(_may_hold(glob, name) for glob in globs)
    }
    needed = {ref for one in named for ref in (one.resource.repo_connection_uuid, one.resource.build_token_uuid)}

    def kept(address: Address) -> bool:
        return address in needed or any(address.matches(glob) for glob in globs)

    return replace(
        desired,
        workers=workers,
        triggers=tuple(one for one in desired.triggers if one.address.path[0] in workers),
        tokens=tuple(one for one in desired.tokens if kept(one.address)),
        connections=tuple(one for one in desired.connections if kept(one.address)),
        left_out=len(desired.workers) - len(workers),
        witnesses={
            one.address: _users(desired, one.address, workers) for one in desired.connections if kept(one.address)
        },
    )


def _users(
    desired: Desired, connection: Address, workers: Mapping[str, Declared[Worker]]
) -> tuple[Declared[Worker], ...]:
    """The Workers that are not among `workers` and refer to it; then those with a UUID that could be its own."""
    refs = [(one.address.path[0], one.resource.repo_connection_uuid) for one in desired.triggers]
    names = [name for name, ref in refs if ref == connection] + [name for name, ref in refs if isinstance(ref, str)]
    return tuple(desired.workers[name] for name in dict.fromkeys(names) if name not in workers)


def _may_hold(glob: str, worker: str) -> bool:
    """May something live but undeclared of this Worker be named? So it may where a part of the glob fits so far."""
    starts = (f"trigger/{worker}/", f"env/{worker}/")
    parts = [glob[:length] for length in range(len(glob) + 1)]
    return fnmatchcase(f"worker/{worker}", glob) or any(fnmatchcase(one, part) for one in starts for part in parts)
