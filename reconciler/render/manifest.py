"""The effective manifest, all layers merged, each line with where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

from reconciler.kinds.trigger import Trigger
from reconciler.manifest import ManifestSet
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Node
from reconciler.manifest.parse import plain
from reconciler.render.escape import clean

COLUMN = 60


def manifest_text(found: ManifestSet, *, only: Collection[str] = ()) -> str:
    """YAML that means the same as the set; of the Workers `only` these, where any is named, and nothing else."""
    lines: list[tuple[str, str]] = [("version: 1", "")]
    for name in ("owner", "account_id", "take_over_from"):
        if name in found.head.mapping:
            lines += _entry(0, name, found.head.get(name))
    for section in ("connections", "tokens"):
        bodies = found.head.get(section).mapping if not only else {}
        lines += [(f"{section}:", "")] if bodies else []
        for key, body in bodies.items():
            lines += _entry(1, key, body)
    lines.append(("workers:", ""))
    for name, body in found.workers.items():
        if not only or name in only:
            lines += _worker(name, body, [one for one in found.triggers if one.worker == name])
    return "".join(f"{text.ljust(COLUMN)}  # {where}\n" if where else f"{text}\n" for text, where in lines)


def _worker(name: str, body: Node, triggers: list[Effective]) -> Iterator[tuple[str, str]]:
    yield f"  {_scalar(name)}:", ""
    for field in ("tag", "take_over_from"):
        if field in body.mapping:
            yield from _entry(2, field, body.get(field))
    if triggers:
        yield "    triggers:", ""
    for trigger in triggers:
        yield f"      {_scalar(trigger.key)}:", _where(trigger)
        for field in (*Trigger.schema, "protect"):
            if field in trigger.fields:
                yield from _entry(4, field, trigger.fields[field])
        if trigger.ignore:
            names = ", ".join(_scalar(one.value, quote=True) for one in trigger.ignore)
            yield f"        ignore: [{names}]", _where(trigger.ignore[-1])
        if trigger.allow:
            last = list(trigger.allow.values())[-1]
            yield (f"        lint: {{allow: [{', '.join(trigger.allow)}]}}", f"{clean(last.filename)}:{last.line}")
        if trigger.variables:
            yield "        environment_variables:", ""
        for key, node in trigger.variables.items():
            yield from _entry(5, key, node)


def _where(node: Node | Effective) -> str:
    return f"{clean(node.position.filename)}:{node.position.line}"


def _entry(depth: int, key: str, node: Node) -> Iterator[tuple[str, str]]:
    """`key: value`, or a key with its mapping under it."""
    indent = "  " * depth
    if isinstance(node.value, Mapping) and node.value:
        yield f"{indent}{_scalar(key)}:", ""
        for name, child in node.value.items():
            yield from _entry(depth + 1, name, child)
    elif isinstance(node.value, list):
        yield (f"{indent}{_scalar(key)}: [{', '.join(_scalar(one.bare()) for one in node.value)}]", _where(node))
    else:
        yield f"{indent}{_scalar(key)}: {_scalar(node.bare(), quote=True)}", _where(node)


def _scalar(value: object, *, quote: bool = False) -> str:
    """JSON is YAML; keys of plain letters need no quotes. `$${{` stays what it was."""
    if isinstance(value, str):
        if not quote and re.fullmatch(r"[A-Za-z][\w./-]*", value, re.ASCII) and plain(value) == value:
            return value
        return clean(json.dumps(value.replace("${{", "$${{"), ensure_ascii=False))
    return json.dumps(value)
