"""Every field of a manifest: where it may stand, and what the schema and the kinds say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.kinds import KINDS
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.desired import REQUIRED
from reconciler.manifest.schema import FORMS, WORDS, manifest_schema

Owner = tuple[str, type | None, Mapping[str, Any]]
"""What people call a mapping of fixed fields, the kind that its fields become, and its schema."""


@dataclass(frozen=True, kw_only=True)
class FieldText:
    """A field as people are told of it. `limits` are in words; `default` is None where there is no fixed one.

    `api` is the API's field that it becomes, where it is one, and `reference` the section that describes it.
    """

    name: str
    places: tuple[str, ...]
    description: str
    type: str
    limits: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    examples: tuple[Any, ...] = ()
    api: str = ""
    reference: str = ""


def fields() -> tuple[FieldText, ...]:
    """In the order of the schema. One that means the same in several places comes once, one that does not, again."""
    schema = manifest_schema(final=True)
    found: dict[tuple[str, str], FieldText] = {}
    for place, kind, owner in _owners(schema):
        for name, given in owner["properties"].items():
            whole = _resolved(given, schema)
            told = _field(name, place, kind, whole, required=name in owner.get("required", ()))
            known = found.get((name, told.description), told)
            places = (*known.places, place) if known is not told else known.places
            found[name, told.description] = replace(known, places=places, required=known.required and told.required)
    return tuple(found.values())


def _owners(schema: Mapping[str, Any]) -> Iterator[Owner]:
    properties, definitions = schema["properties"], schema["$defs"]
    yield "the top level", None, schema
    yield "a connection", Connection, properties["connections"]["additionalProperties"]
    yield "a token", Token, properties["tokens"]["additionalProperties"]
    yield "`defaults`", Trigger, properties["defaults"]
    yield "a profile", Trigger, properties["profiles"]["additionalProperties"]
    yield "a Worker", Trigger, properties["workers"]["additionalProperties"]
    yield "a trigger", Trigger, definitions["trigger"]
    yield "a variable", EnvVar, definitions["environment_variable"]["then"]
    yield "a token's `build_token_secret`", None, definitions["secret"]
    yield "`value_from`", None, definitions["value_from"]
    yield "`lint`", None, definitions["lint"]


def _resolved(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = given.get("$ref", "").rpartition("/")[2]
    return {**schema["$defs"][name], **given} if name else given


def _field(name: str, place: str, kind: type | None, schema: Mapping[str, Any], *, required: bool) -> FieldText:
    api, reference = _reference(name, kind)
    return FieldText(
        name=name,
        places=(place,),
        description=schema["description"],
        type=_type(schema, layered=kind is Trigger),
        limits=tuple(_limits(schema)),
        required=required or name in REQUIRED,
        default=schema.get("default"),
        examples=tuple(schema.get("examples", ())),
        api=api,
        reference=reference,
    )


def _type(schema: Mapping[str, Any], *, layered: bool) -> str:
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if "then" in schema and "type" not in schema:
        return f"{_type(schema['then'], layered=False)}, or {_type(schema['else'], layered=layered)}"
    given = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = [WORDS[one] for one in given if one != "null"]
    if "array" in given and schema["items"].get("type") == "string":
        words = ["a list of strings"]
    if "null" in given:
        words.append("null, to take away what the layers below brought" if layered else "null")
    return " or ".join(words)


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("minLength") or schema.get("minItems"):
        yield "not empty"
    if "pattern" in schema:
        yield FORMS[schema["pattern"]]
    keys = schema.get("propertyNames", {}).get("pattern")
    if keys in FORMS:
        yield f"keys: {FORMS[keys]}"
    if schema.get("maxProperties") == 1:
        yield "exactly one of " + ", ".join(f"`{name}`" for name in schema["properties"])


def _reference(name: str, kind: type | None) -> tuple[str, str]:
    """The API's field, and the section of its reference that the kind's docstring names."""
    if name == "tag":
        return "external_script_id", _section(Trigger)
    for one in KINDS:
        if name == one.section:
            return name, _section(one)
    ours: dict[type | None, bool] = {
        Trigger: name not in Trigger.schema,
        EnvVar: name not in ("value", "is_secret"),
        None: True,
    }
    return ("", "") if ours.get(kind) else (Trigger.references.get(name, name), _section(kind))


def _section(kind: type | None) -> str:
    found = re.search(r"\(reference, \*([^*]+)\*", kind.__doc__ or "")
    return found[1] if found else ""
