"""Live configuration as manifests that plan to nothing but adopts. Texts are returned, not written.

What many Workers share is lifted into profiles and defaults; whatever was lifted is read back and compared,
and said plainly for each Worker where it would not mean the same.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import manifest
from reconciler.errors import Diagnostic, Severity, UsageError
from reconciler.export import lift
from reconciler.export.collect import DEFAULTS, VARIABLES, Choices, Flat, Found, collect, rewritten
from reconciler.export.first import First, add_first
from reconciler.export.splice import splice
from reconciler.export.yaml_text import text
from reconciler.manifest.lint import too_many_variables
from reconciler.manifest.merge import Effective
from reconciler.model import Ref
from reconciler.plan.tokens import meant
from reconciler.render.escape import clean
from reconciler.states import Desired, Observed

__all__ = ["Choices", "Exported", "First", "export"]

SCHEMA = "manifest.schema.json"
HEAD = f"# yaml-language-server: $schema={SCHEMA}\n"
SHARED = "_shared.yaml"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """`files` by name, each new or with lines spliced in; `notes` for people."""

    files: Mapping[str, str]
    found: Found
    notes: tuple[str, ...] = ()


def export(
    observed: Observed,
    known: Desired,
    choices: Choices,
    *,
    there: Mapping[str, str],
    account_id: str,
    single: bool,
    first: First | None = None,
    **params: Any,
) -> Exported:
    """One file a Worker and one that they share, or all of it in one (`single`).

    `there` are the files of the folder as they are: only what is missing is added, in them where that can be
    done by inserting lines, else in files of its own. Those above the folder (`../buildsctl.yaml`) stay as they are.
    `first` are Workers without a trigger, to have some; `params` those that the files need, as for `manifest.check`.
    """
    before = _read_back(there, **params)
    existing = before.root
    bodies = {name: body for name, body in (existing.get("workers") or {}).items() if isinstance(body, dict)}
    triggers = ((name, *one) for name, body in bodies.items() for one in (body.get("triggers") or {}).items())
    found = collect(observed, known, choices, {(name, key) for name, key, one in triggers if one is None})
    if first:
        add_first(found, first)
    if existing:
        _complete(found, existing.get("defaults") or {}, bodies)
    allowed: dict[tuple[str, str], list[str]] = {}
    inside = {name: content for name, content in there.items() if not name.startswith("..")}
    while True:
        plain = _plain(found, existing)
        shortest = (
            _by_profile(plain, found, before, there, params) if there else lift.lift(found.workers, _alone(found))
        )
        for lifted, into in ((shortest, inside), (plain, {})):  # the second way is the one that cannot change anything
            head = _head(found, lifted, existing, account_id)
            for _ in range(2):  # rules that the live state breaks are found by looking, then allowed
                workers = _bodies(lifted["workers"], allowed)
                if single:
                    files = {"": _document({**head, "workers": workers}, found)}
                else:
                    files = _spread(head, workers, found, there=there, into=into)
                read = _read_back({**there, **files}, **params)
                if not _allow(read, allowed):
                    break
            wrong = _wrong(read, found, before)
            if not wrong:
                return Exported(files=files, found=found, notes=tuple(_notes(found, allowed)))
        for worker, why in wrong.items():
            if worker not in found.workers:
                summary = f"what is live cannot be added to these manifests without changing what they say: {why}"
                raise UsageError(summary, hint="export into an empty folder, and take over from there what you need")
            found.leave_out(worker, why)


def _complete(found: Found, defaults: Mapping[str, Any], bodies: Mapping[str, Any]) -> None:
    """Beside Workers that are there new triggers say everything, so that no default and no profile changes them."""
    for worker, triggers in found.workers.items():
        known = {one.address.name for one in found.known.triggers if one.address.path[0] == worker}
        inherited = {*(defaults.get(VARIABLES) or {}), *(bodies.get(worker, {}).get(VARIABLES) or {})}
        for key in triggers.keys() - known:
            plain: dict[Any, Any] = {
                "trigger_name": key,
                **DEFAULTS,
                **{(VARIABLES, name): None for name in sorted(inherited)},
            }
            triggers[key] |= {name: value for name, value in plain.items() if name not in triggers[key]}


def _references(found: Found) -> dict[str, tuple[list[str], list[str]]]:
    """The keys that each reference may name: new ones, and those that are declared."""
    return {
        name: (list(new), [one.address.name for one in known])
        for name, new, known in (
            ("repo_connection", found.connections, found.known.connections),
            ("build_token", found.tokens, found.known.tokens),
        )
    }


def _alone(found: Found) -> dict[str, str]:
    """References that need not be said, since there is only one."""
    both = {name: new + known for name, (new, known) in _references(found).items()}
    return {name: keys[0] for name, keys in both.items() if len(keys) == 1}


def _head(found: Found, lifted: lift.Sections, existing: Mapping[str, Any], account_id: str) -> dict[str, Any]:
    """What is written down beside the Workers: of manifests that are there what they lack. Their triggers may rely on
    the set's only connection or token: it stays their default."""
    head: dict[str, Any] = {"connections": found.connections, "tokens": found.tokens}
    if existing:
        given = existing.get("defaults") or {}
        head["defaults"] = {
            name: known[0]
            for name, (new, known) in _references(found).items()
            if new and len(known) == 1 and not {name, f"{name}_uuid"} & given.keys()
        }
    else:
        found.comments["owner",] = "who manages what stands here; change it before the first apply if need be"
        head = {"version": "1", "owner": found.choices.owner, "account_id": account_id, **head, **lifted, "workers": {}}
    return {name: body for name, body in head.items() if body or name == "owner"}


def _plain(found: Found, existing: Mapping[str, Any]) -> lift.Sections:
    """Nothing lifted, and new Workers kept out of a profile that is the default of those which are there."""
    profile = {"profile": None} if (existing.get("defaults") or {}).get("profile") else {}
    there = existing.get("workers") or {}
    workers = lift.plain(found.workers)["workers"]
    return {"workers": {name: body if name in there else {**profile, **body} for name, body in workers.items()}}


def _by_profile(
    plain: lift.Sections, found: Found, before: _Read, there: Mapping[str, str], params: Mapping[str, Any]
) -> lift.Sections:
    """`plain`, but for the new Workers of which a profile that is there says all: the default one, or by its name."""
    head = _head(found, plain, before.root, "")
    profiles = {name: body for name, body in (before.root.get("profiles") or {}).items() if _is_plain(body)}
    default = (before.root.get("defaults") or {}).get("profile")
    by_default = {*(default if isinstance(default, list) else [default])} <= profiles.keys()
    bodies: dict[str, Any] = {}
    for body in [*[{}] * by_default, *({"profile": name} for name in profiles)]:
        rest = found.workers.keys() - (before.root.get("workers") or {}).keys() - bodies.keys()
        files = _spread(head, dict.fromkeys(rest, body), found, there=there, into={})
        read = _read_back({**there, **files}, **params) if rest else before
        counts = Counter(worker for worker, _ in read.triggers)
        unlike = {worker for worker, _ in _unsaid(read, found, before)}
        bodies |= {name: body for name in rest - unlike if counts[name] == len(found.workers[name])}
    return {"workers": {**plain["workers"], **bodies}}


def _is_plain(profile: Any) -> bool:
    """Does it say nothing that is not live: what is ignored or protected?"""
    body = profile if isinstance(profile, dict) else {}
    blocks = [body, *(one for one in (body.get("triggers") or {}).values() if isinstance(one, dict))]
    return not any({"ignore", "protect"} & block.keys() for block in blocks)


def _bodies(workers: Mapping[str, Any], allowed: Mapping[tuple[str, str], Sequence[str]]) -> dict[str, Any]:
    """The Workers by name, with the rules allowed that their triggers break as they are live."""
    bodies = dict(sorted(workers.items()))
    for (name, key), rules in allowed.items():
        if name in bodies:
            triggers = bodies[name].get("triggers", {})
            trigger = {**triggers.get(key, {}), "lint": {"allow": list(dict.fromkeys(rules))}}
            bodies[name] = {**bodies[name], "triggers": {**triggers, key: trigger}}
    return bodies


def _spread(
    head: Mapping[str, Any],
    workers: Mapping[str, Any],
    found: Found,
    *,
    there: Mapping[str, str],
    into: Mapping[str, str],
) -> dict[str, str]:
    """A file a Worker, and one for what they share; `into` are those of the files that are `there` in which lines may
    be inserted."""
    files = {_free(SHARED, there): _document(head, found)} if head else {}
    for name, body in workers.items():
        changed = splice(into, name, body)
        if not changed:
            free = _free(f"{re.sub(r'[^A-Za-z0-9_-]', '-', name)}.yaml", {**there, **files})
            changed = {free: _document({"workers": {name: body}}, found)}
        files |= changed
    return files


def _document(body: Mapping[str, Any], found: Found) -> str:
    comments: dict[tuple[str, ...], str] = {("tokens", key): "looked up, never changed" for key in found.tokens}
    comments |= found.comments
    comments |= {("workers", name): "\n".join(lines) for name, lines in found.notes.items() if name in found.workers}
    return HEAD + text(body, comments).replace('version: "1"\n', "version: 1\n", 1)


def _free(name: str, taken: Mapping[str, str]) -> str:
    stem = name.removesuffix(".yaml")
    return next(one for one in (name, *(f"{stem}.{n}.yaml" for n in range(2, 10_000))) if one not in taken)


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What files come to: the merged set, what it wants, its triggers by Worker and key, and what is wrong with it."""

    root: Mapping[str, Any]
    wanted: Desired
    triggers: Mapping[tuple[str, str], Effective]
    errors: Sequence[Diagnostic]


def _read_back(files: Mapping[str, str], **params: Any) -> _Read:
    if not files:
        return _Read(root={}, wanted=Desired(owner=None), triggers={}, errors=())
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, "builds", name or "all.yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        found, wanted = manifest.check([folder], manifest.Resolver({}, skip="is not asked"), **params)
    errors = [one for one in found.problems.found if one.severity is Severity.ERROR]
    triggers = {(one.worker, one.key): one for one in found.triggers}
    return _Read(root=found.root.bare() or {}, wanted=wanted, triggers=triggers, errors=errors)


def _allow(read: _Read, allowed: dict[tuple[str, str], list[str]]) -> bool:
    """Allow the rules that triggers break as they are live, if there are any; but no plan could make room for a marker
    where too many variables are."""
    rules = [one for one in read.errors if one.rule and one.rule != too_many_variables.NAME]
    for one in rules:
        _, worker, key, *_ = one.address.split("/")
        allowed.setdefault((worker, key), []).append(one.rule)
    return bool(rules)


def _wrong(read: _Read, found: Found, before: _Read) -> dict[str, str]:
    """The Workers of which the files do not say what was found, or no more what was declared before; each with why."""
    wrong: dict[str, str] = {}
    for one in read.errors:
        kind, _, name = one.address.partition("/")
        users = found.users(name) if kind in ("connection", "token") else {name.partition("/")[0]}
        wrong |= dict.fromkeys(users or {""}, f"`{one.address}`: {one.summary}")
    if wrong:
        return wrong
    refers, referred = _bound(read.wanted, found.observed), _bound(before.wanted, found.observed)
    referred |= {where: (live.repo_connection_uuid, live.build_token_uuid) for where, live in found.lives.items()}
    others = {where for where, ids in referred.items() if refers.get(where) != ids}
    others |= _unsaid(read, found, before)
    others |= {
        where
        for where, one in before.triggers.items()
        if where not in read.triggers or not _kept(one, read.triggers[where], found)
    }
    return {worker: f"`trigger/{worker}/{key}` would not be what it is" for worker, key in sorted(others)}


def _unsaid(read: _Read, found: Found, before: _Read) -> set[tuple[str, str]]:
    """The triggers, by Worker and key, of which the files do not say what was found."""
    alone = _alone(found)
    return {
        (worker, key)
        for worker, triggers in found.workers.items()
        for key, flat in triggers.items()
        if (said := read.triggers.get((worker, key))) is None
        or not _says(said, flat, whole=(worker, key) not in before.triggers, alone=alone)
    }


def _bound(wanted: Desired, observed: Observed) -> dict[tuple[str, ...], tuple[Ref, ...]]:
    """The live connection and build token of each trigger, as a plan reads what it refers to."""
    ids: dict[Ref, str] = {}
    for token in wanted.tokens:
        lives = meant(observed.tokens, wanted.owner, token.resource)
        ids |= {token.address: lives[0].id} if len(lives) == 1 else {}
    shown = sorted(observed.connections, key=lambda one: one.id, reverse=True)
    seen = {one.resource.natural_key: one.id for one in shown if not one.resource.deleted}
    ids |= {one.address: seen[key] for one in wanted.connections if (key := one.resource.natural_key) in seen}
    refs = {
        one.address.path: (one.resource.repo_connection_uuid, one.resource.build_token_uuid) for one in wanted.triggers
    }
    return {path: tuple(ids.get(ref, ref) for ref in both) for path, both in refs.items()}


def _kept(before: Effective, after: Effective, found: Found) -> bool:
    """Is a trigger that was declared as it was, but for the variables that it got?"""
    added = {name[1] for name in found.workers.get(before.worker, {}).get(before.key, {}) if not isinstance(name, str)}
    references = {"repo_connection", "build_token"}  # compared by what they are bound to
    sides = []
    for one in (before, after):
        fields = {name: node.bare() for name, node in one.fields.items() if name not in references}
        variables = {name: node.bare() for name, node in one.variables.items() if one is before or name not in added}
        sides.append((fields, variables, sorted(node.value for node in one.ignore)))
    return sides[0] == sides[1]


def _says(one: Effective, flat: Flat, *, whole: bool, alone: Mapping[str, str]) -> bool:
    said: Flat = {(VARIABLES, name): node.bare() for name, node in one.variables.items()}
    defaults = {**DEFAULTS, **alone, "trigger_name": one.key}
    if whole:
        said |= {name: node.bare() for name, node in one.fields.items() if node.bare() != defaults.get(name)}
    # A guard that the layers above give to every trigger is theirs to give.
    said = {name: value for name, value in said.items() if name in flat or (whole and name != "protect")}
    wanted = {name: value for name, value in flat.items() if name != "ignore" and value != defaults.get(str(name))}
    unescaped: Flat = rewritten(wanted, lambda text: text.replace("$${{", "${{"))
    return said == unescaped and {*flat.get("ignore", ())} <= {node.value for node in one.ignore}


def _notes(found: Found, allowed: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    notes = [clean(f"Worker `{name}`: {line}") for name, lines in sorted(found.notes.items()) for line in lines]
    for (worker, key), rules in sorted(allowed.items()):
        if worker in found.workers:
            told = ", ".join(dict.fromkeys(rules))
            notes.append(f"Worker `{worker}`: trigger `{key}` breaks {told} as it is live: allowed by its `lint`")
    if found.withheld:
        names = ", ".join(found.withheld)
        notes.append(
            f"plain values that look like credentials are not written (--include-suspicious writes them): {names}"
        )
    if found.supply:
        listed = "".join(f"\n  {source} for {address}" for source, address in found.supply.items())
        notes.append(f"secrets to be supplied by the environment:{listed}")
    return notes
