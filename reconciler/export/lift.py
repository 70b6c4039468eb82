"""Say once what many Workers share: profiles and defaults, where that makes the manifests shorter. Pure.

Workers whose triggers are alike, but for their own name or folder, become one profile and a line each; a
Worker that is almost alike takes the profile and says what differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from reconciler.export.collect import DEFAULTS, VARIABLES, Field, Flat, rewritten

Triggers = Mapping[str, Flat]
Item = tuple[str, Field]
"""A trigger's key, and one of its fields."""
NAME, DIR = "${{ worker.name }}", "${{ params.dir }}"
ABSTRACT = ("trigger_name", "path_includes", "path_excludes", "build_command", "deploy_command", "root_directory")
"""Fields in which the Worker's name and folder may stand for themselves."""
NEVER = ("ignore", "lint", "protect")
"""What unites over the layers, and what guards a trigger, stays on it."""
Sections = dict[str, dict[str, Any]]
"""`defaults`, `profiles` and `workers` of a manifest."""


def plain(workers: Mapping[str, Triggers]) -> Sections:
    """Nothing lifted: each Worker says everything."""
    return {"workers": {name: {"triggers": _bodies(triggers)} for name, triggers in workers.items()}}


def lift(workers: Mapping[str, Triggers], alone: Mapping[str, str]) -> Sections:
    """`alone` are the references that go without saying, since the set has only one connection or token."""
    slim = {name: _without(triggers, alone) for name, triggers in workers.items()}
    defaults = _majority(slim)
    slim = {name: _without(triggers, defaults) for name, triggers in slim.items()}
    folders = {name: _folder(name, triggers) for name, triggers in slim.items()}
    alike = {name: _abstract(name, folders[name], triggers) for name, triggers in slim.items()}
    profiles, chosen = _profiles(alike)
    elsewhere = {name for name in slim if folders[name] != name}
    dirs = {one for name, one in chosen.items() if name in elsewhere and DIR in "".join(_items(profiles[one]).values())}
    bodies: dict[str, Any] = {}
    for name, triggers in slim.items():
        bodies[name] = _worker(triggers)
        if name in chosen:
            profile = chosen[name]
            folder = {"params": {"dir": folders[name]}} if profile in dirs and name in elsewhere else {}
            overrides = _overrides(profiles[profile], alike[name], defaults)
            bodies[name] = {"profile": profile, **folder, **_spelled(overrides, name, folders[name])}
    shown = {
        name: {"params": {"dir": NAME}, **_worker(profile)} if name in dirs else _spelled(_worker(profile), NAME, NAME)
        for name, profile in profiles.items()
    }
    if len(shown) == 1 and len(chosen) == len(slim):
        defaults["profile"] = next(iter(shown))
        for body in bodies.values():
            del body["profile"]
    return {"defaults": defaults, "profiles": shown, "workers": bodies}


def _items(triggers: Triggers) -> dict[Item, str]:
    """Every field as something that can be compared; what is never lifted left out."""
    return {
        (key, name): json.dumps(value, sort_keys=True)
        for key, flat in triggers.items()
        for name, value in flat.items()
        if name not in NEVER
    }


def _majority(workers: Mapping[str, Triggers]) -> dict[str, Any]:
    """References that more than half of all triggers share."""
    flats = [flat for triggers in workers.values() for flat in triggers.values()]
    found: dict[str, Any] = {}
    for name in ("repo_connection", "build_token"):
        values = [flat[name] for flat in flats if name in flat]
        best = max(sorted(set(values)), key=values.count, default=None)
        if len(values) == len(flats) and best is not None and values.count(best) * 2 > len(flats) > 1:
            found[name] = best
    return found


def _without(triggers: Triggers, defaults: Mapping[str, Any]) -> Triggers:
    return {
        key: {name: value for name, value in flat.items() if name not in defaults or defaults[str(name)] != value}
        for key, flat in triggers.items()
    }


def _folder(name: str, triggers: Triggers) -> str:
    """The last part of the root directory, where all triggers have one; else the Worker's name."""
    roots = {str(flat.get("root_directory", "")).strip("/") for flat in triggers.values()}
    last = roots.pop().rpartition("/")[2] if len(roots) == 1 else ""
    return last if re.fullmatch(r"[A-Za-z0-9._-]+", last) else name


def _abstract(name: str, folder: str, triggers: Triggers) -> Triggers:
    """Folder and name of the Worker as expressions, so that alike Workers are equal."""
    words = {name: NAME, folder: DIR}
    word = re.compile(rf"(?<![\w.$-])(?:{'|'.join(map(re.escape, words))})(?![\w-])")
    swap = partial(word.sub, lambda found: words[found[0]])
    return {
        key: {name: rewritten(value, swap) if name in ABSTRACT else value for name, value in flat.items()}
        for key, flat in triggers.items()
    }


def _profiles(alike: Mapping[str, Triggers]) -> tuple[dict[str, Triggers], dict[str, str]]:
    """The profiles worth having by name, and which Worker takes which."""
    groups: dict[str, list[str]] = {}
    for name, triggers in alike.items():
        core = {str(item): value for item, value in _items(triggers).items() if isinstance(item[1], str)}
        groups.setdefault(json.dumps([sorted(triggers), core], sort_keys=True), []).append(name)
    profiles: dict[str, Triggers] = {}
    chosen: dict[str, str] = {}
    for names in sorted(groups.values(), key=lambda names: (-len(names), names)):
        if len(names) < 2 or not _items(alike[names[0]]):
            continue
        near = _nearest(profiles, alike[names[0]])
        if near is not None and len(names) < 3:
            continue
        shared = set.intersection(*(set(_items(alike[name]).items()) for name in names))
        keep = {item for item, _ in shared}
        profile = f"shared-{len(profiles) + 1}" if profiles else "shared"
        profiles[profile] = {
            key: {f: v for f, v in flat.items() if (key, f) in keep} for key, flat in alike[names[0]].items()
        }
        chosen |= dict.fromkeys(names, profile)
    for name, triggers in alike.items():
        near = _nearest(profiles, triggers) if name not in chosen else None
        if near is not None:
            chosen[name] = near
    return profiles, chosen


def _nearest(profiles: Mapping[str, Triggers], triggers: Triggers) -> str | None:
    """The profile with the least to override, where that saves more than half of what there is to say."""
    mine = set(_items(triggers).items())
    costs = {
        name: len({item for item, _ in mine ^ set(_items(profile).items())})
        for name, profile in profiles.items()
        if set(profile) == set(triggers)
    }
    nearest = min(costs, key=costs.__getitem__, default=None)
    return nearest if nearest and costs[nearest] * 2 < len(mine) else None


def _overrides(profile: Triggers, triggers: Triggers, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What a Worker says beside its profile."""
    wanted, given = _items(triggers), _items(profile)
    differs: dict[str, Flat] = {}
    for key, flat in triggers.items():
        for name, value in flat.items():
            if name in NEVER or wanted[key, name] != given.get((key, name)):
                differs.setdefault(key, {})[name] = value
    for key, name in (
        one for one in given if one not in wanted
    ):  # null takes a variable out; a field comes to its default
        unsaid = {**defaults, **DEFAULTS, "trigger_name": key}
        differs.setdefault(key, {})[name] = unsaid.get(name) if isinstance(name, str) else None
    whole = set(differs) == set(triggers)  # then what differs in all of them alike stands beside them
    body = _worker(differs) if whole else {"triggers": _bodies(differs)}
    body["triggers"] = {key: one for key, one in body["triggers"].items() if one}
    return {name: value for name, value in body.items() if value or name != "triggers"}


def _worker(triggers: Triggers) -> dict[str, Any]:
    """A Worker's body: what all of its triggers share stands beside them."""
    if len(triggers) < 2:
        return {"triggers": _bodies(triggers)}
    said = [{(name, value) for (_, name), value in _items({key: flat}).items()} for key, flat in triggers.items()]
    names = {name for name, _ in set.intersection(*said)}
    first = next(iter(triggers.values()))
    rest = {key: {name: value for name, value in flat.items() if name not in names} for key, flat in triggers.items()}
    return {**_body({name: value for name, value in first.items() if name in names}), "triggers": _bodies(rest)}


def _bodies(triggers: Triggers) -> dict[str, Any]:
    return {key: _body(flat) for key, flat in triggers.items()}


def _body(flat: Flat) -> dict[str, Any]:
    """A trigger's fields, its variables under one key."""
    body = {name: value for name, value in flat.items() if isinstance(name, str)}
    variables = {name[1]: value for name, value in flat.items() if not isinstance(name, str)}
    return body | ({VARIABLES: variables} if variables else {})


def _spelled(body: dict[str, Any], name: str, folder: str) -> dict[str, Any]:
    """`body` with what stands for a Worker's name and folder written out."""
    return dict(rewritten(body, lambda text: text.replace(DIR, folder).replace(NAME, name)))
