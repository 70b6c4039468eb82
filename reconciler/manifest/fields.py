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

LAYERS = ("`defaults`", "a profile", "a Worker", "a trigger")
CONNECTION, TOKEN, VARIABLE = "a connection", "a token", "a variable"


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
    for place, owner in _objects(schema):
        for name, given in owner["properties"].items():
            whole = _resolved(given, schema)
            told = _field(name, place, whole, required=name in owner.get("required", ()))
            known = found.get((name, told.description), told)
            places = (*known.places, place) if known is not told else known.places
            found[name, told.description] = replace(known, places=places, required=known.required and told.required)
    return tuple(found.values())


def _objects(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each mapping of fixed fields, by what people call it."""
    properties, definitions = schema["properties"], schema["$defs"]
    yield "the top level", schema
    yield CONNECTION, properties["connections"]["additionalProperties"]
    yield TOKEN, properties["tokens"]["additionalProperties"]
    yield LAYERS[0], properties["defaults"]
    yield LAYERS[1], properties["profiles"]["additionalProperties"]
    yield LAYERS[2], properties["workers"]["additionalProperties"]
    yield LAYERS[3], definitions["trigger"]
    yield VARIABLE, definitions["environment_variable"]["then"]
    yield "a token's `build_token_secret`", definitions["secret"]
    yield "`value_from`", definitions["value_from"]
    yield "`lint`", definitions["lint"]


def _resolved(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = given.get("$ref", "").rpartition("/")[2]
    return {**schema["$defs"][name], **given} if name else given


def _field(name: str, place: str, schema: Mapping[str, Any], *, required: bool) -> FieldText:
    api, reference = _reference(name, place)
    return FieldText(
        name=name,
        places=(place,),
        description=schema["description"],
        type=_type(schema, layered=place in LAYERS),
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


def _reference(name: str, place: str) -> tuple[str, str]:
    """The API's field, and the section of its reference that the kind's docstring names."""
    if place in LAYERS and name in Trigger.schema:
        return Trigger.references.get(name, name), _section(Trigger)
    if name == "tag":
        return "external_script_id", _section(Trigger)
    for kind in KINDS:
        if name == kind.section:
            return name, _section(kind)
    if place == CONNECTION:
        return name, _section(Connection)
    if place == TOKEN:
        return name, _section(Token)
    return (name, _section(EnvVar)) if place == VARIABLE and name in ("value", "is_secret") else ("", "")


def _section(kind: type) -> str:
    found = re.search(r"\(reference, \*([^*]+)\*", kind.__doc__ or "")
    return found[1] if found else ""
