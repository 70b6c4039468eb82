"""`explain`: a field of the manifest, or a lint rule."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

import click

from reconciler.cli.options import Globals, global_options
from reconciler.cli.output import data
from reconciler.errors import Exit, UsageError


@click.command()
@click.argument("name", required=False, metavar="[FIELD|RULE]")
@global_options
def explain(settings: Globals, *, name: str | None) -> int:  # noqa: ARG001 - taken so that they may stand here
    """Say what a field of the manifest is, or what a lint rule is about. Asks nothing.

    \b
    Examples:
      buildsctl explain
      buildsctl explain branch_includes
      buildsctl explain preview-deploys
    """
    from reconciler.manifest import lint

    fields, rules = _fields(), {rule.NAME: rule for rule in lint.RULES}
    if name is None:
        data("Fields:\n" + "".join(f"  {field}\n" for field in sorted(fields)))
        data("\nRules:\n" + "".join(f"  {rule}\n" for rule in sorted(rules)))
    elif name in rules:
        data(_rule(rules[name]))
    elif name in fields:
        data("\n".join(_field(name, where, schema) for where, schema in fields[name]))
    else:
        near = difflib.get_close_matches(name, [*fields, *rules], n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`buildsctl explain` lists fields and rules"
        raise UsageError(f"there is no field and no rule `{name}`", hint=hint)
    return Exit.OK


def _fields() -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """By name: where in the manifest it stands, and its schema; the same field of several places once."""
    from reconciler.manifest.schema import manifest_schema

    schema = manifest_schema()
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}

    def walk(node: Any, path: str) -> None:
        if not isinstance(node, dict):
            return
        for field, inner in node.get("properties", {}).items():
            places = found.setdefault(field, [])
            if isinstance(inner, dict) and inner not in [one for _, one in places]:
                places.append((f"{path}.{field}".lstrip("."), inner))
            walk(inner, f"{path}.{field}".lstrip("."))
        for part in ("then", "else"):
            walk(node.get(part), path)
        walk(node.get("additionalProperties"), f"{path}.NAME")

    walk(schema, "")
    for definition, inner in schema["$defs"].items():
        walk(inner, "triggers.NAME" if definition == "trigger" else definition)
    return found


def _field(name: str, where: str, schema: Mapping[str, Any]) -> str:
    limits = {
        key: schema[key] for key in ("enum", "const", "pattern", "minLength", "maxLength", "default") if key in schema
    }
    lines = [f"{name}  ({where})"]
    lines += [f"  {schema['description']}"] if "description" in schema else []
    lines += [f"  type: {_type(schema)}"] if _type(schema) else []
    lines += [f"  {key}: {json.dumps(value)}" for key, value in limits.items()]
    related = [rule.NAME for rule in _rules() if name.split("_", maxsplit=1)[0] in rule.NAME]
    lines += [f"  rules: {', '.join(related)}"] if related else []
    return "\n".join(lines) + "\n"


def _rules() -> tuple[Any, ...]:
    from reconciler.manifest import lint

    return lint.RULES


def _type(schema: Mapping[str, Any]) -> str:
    given = schema.get("type")
    if isinstance(given, list):
        return " or ".join(given)
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2].replace("_", " ")
    return str(given or "")


def _rule(rule: Any) -> str:
    about, why = (re.sub(r"\s+", " ", text or "").strip() for text in (rule.__doc__, rule.check.__doc__))
    lines = [f"{rule.NAME}  ({rule.SEVERITY.value})", f"  {about}"]
    lines += [f"  {why}"] if why else []
    lines.append(f"  To insist: `lint: {{allow: [{rule.NAME}]}}` at the top, on a profile, a Worker or a trigger.")
    return "\n".join(lines) + "\n"
