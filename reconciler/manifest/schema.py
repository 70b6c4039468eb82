"""The manifest's JSON Schema, assembled from the kinds, and what it says about a set of manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.shape import field, text, texts
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.nodes import Node, Problems, nearest
from reconciler.manifest.sources import SOURCES

OWNER = r"^[A-Za-z0-9._/-]{1,64}$(?!\n)"
KEY = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$(?!\n)"
WORKER = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$(?!\n)"
ACCOUNT_ID = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
TAG = r"^[0-9a-f]{32}$(?!\n)"
VERSION = r"^[A-Za-z0-9._-]{1,16}$(?!\n)"
PARAM = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$(?!\n)"
REPOSITORY = r"^[^/\s]+(/[^/\s]+)+$"
EXPRESSION = r"\$\{\{"
ALIASES = {
    "ignore_changes": "ignore",
    "prevent_destroy": "protect",
    "env": "environment_variables",
    "environment": "environment_variables",
    "variables": "environment_variables",
    "vars": "environment_variables",
}
"""What other tools call a field of ours."""

EXAMPLES = {
    "connections": {"acme/site": {"provider_account_id": "41612145", "repo_id": "1332648945"}},
    "tokens": {"from-dashboard": {"build_token_name": "Workers Builds - 2026-01-02 10:00"}},
    "triggers": {"production": {"branch_includes": ["main"], "deploy_command": "npx wrangler deploy"}},
    "profiles": {"node": {"build_command": "npm run build"}},
    "workers": {"web": {"profile": "node"}},
}
SECTIONS = ("params", "connections", "tokens", "profiles", "workers")
"""The mappings of names at the top."""

_STRINGS = {"type": "array", "items": {"type": "string"}}
_NOTHING = {"type": ["object", "null"]}
_LINT_REF = {"$ref": "#/$defs/lint"}
_LINT = {
    **field(
        "What the lint rules may leave alone; unites over all layers.",
        {"allow": ["secret-on-preview"]},
        type="object",
        additionalProperties=False,
    ),
    "properties": {
        "allow": texts("Names of lint rules to turn off; `buildsctl explain` lists them.", ["secret-on-preview"])
    },
}
_PARAMS = field(
    "Values for ${{ params.NAME }}; top level < profile < Worker < --param-file < --param.",
    {"branch": "main"},
    **_NOTHING,
    additionalProperties={"type": "string"},
    propertyNames={"pattern": PARAM},
)


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema`, or null, which removes what a lower layer brought."""
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {**schema, "else": {"type": ["string", "null"]}}


def _trigger_fields() -> dict[str, Any]:
    return {
        **{name: _nullable(schema) for name, schema in Trigger.schema.items()},
        "environment_variables": field(
            "Variables of the builds, by name: a string, `{value_from: …}`, `{is_secret: true}`.",
            {"NODE_VERSION": "24"},
            **_NOTHING,
            additionalProperties={"$ref": "#/$defs/environment_variable"},
            default={},
        ),
        "ignore": _nullable(
            texts(
                "Left as it is: trigger fields, or environment_variables.GLOB; still sent on create.",
                ["build_command", "environment_variables.CI_*"],
                default=[],
            )
        ),
        "protect": field(
            "Never deleted or replaced, also after its block is gone.", True, type=["boolean", "null"], default=False
        ),
        "lint": _LINT_REF,
    }


def _mapping(section: str, values: Mapping[str, Any], keys: str | None, description: str) -> dict[str, Any]:
    """Names to `values`; `keys` is the pattern of the names."""
    names = {"propertyNames": {"pattern": keys}} if keys else {}
    return field(description, EXAMPLES[section], **_NOTHING, **names, additionalProperties=values)


def _object(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


@cache
def manifest_schema(*, final: bool = False) -> dict[str, Any]:
    """The schema of one set of manifests, merged; a single file may leave everything out.

    `final` is what has to hold once expressions are replaced.
    """
    or_expression = "" if final else f"|{EXPRESSION}"
    fields = _trigger_fields()
    trigger = {"$ref": "#/$defs/trigger"}
    triggers = _mapping("triggers", trigger, KEY, "What builds the Worker, by keys of your own.")
    layered = {**fields, "params": _PARAMS, "triggers": triggers}
    more = _worker_fields(or_expression)
    worker = _object({**layered, **more}) | _NOTHING
    defaults = "Trigger fields for every trigger of the set; may also hold `profile`."
    properties = {
        **_head(or_expression),
        "params": _PARAMS,
        "connections": _mapping("connections", Connection.schema, REPOSITORY, "Repositories that triggers build from."),
        "tokens": _mapping("tokens", Token.schema, KEY, "Build tokens, managed or looked up."),
        "defaults": field(
            defaults, {"build_caching_enabled": True}, **_object({**fields, "profile": more["profile"]}) | _NOTHING
        ),
        "profiles": _mapping("profiles", _object(layered), None, "Partial Workers, for reuse by `profile`."),
        "workers": _mapping("workers", worker, WORKER, "Workers by name."),
        "take_over_from": more["take_over_from"],
        "lint": _LINT_REF,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "buildsctl manifest",
        "description": "Configuration of Cloudflare Workers Builds, as buildsctl reads it.",
        **_object(properties),
        "$defs": {
            "lint": _LINT,
            "trigger": _object(fields) | _NOTHING,
            "environment_variable": _nullable(EnvVar.schema),
            **_secrets(or_expression),
        },
    }


def _head(or_expression: str) -> dict[str, Any]:
    return {
        "version": field("The manifest's format; at least once in the set.", 1, const=1),
        "owner": field(
            "Who manages these resources; null: nobody. Required, once in the set.",
            "acme/builds",
            type=["string", "null"],
            pattern=f"{OWNER}{or_expression}",
        ),
        "account_id": text(
            "The account; must agree with CLOUDFLARE_ACCOUNT_ID where both are given.",
            "0123456789abcdef0123456789abcdef",
            pattern=f"{ACCOUNT_ID}{or_expression}",
        ),
    }


def _worker_fields(or_expression: str) -> dict[str, Any]:
    """What only a Worker may say."""
    one_or_more = {"if": {"type": "array"}, "then": _STRINGS, "else": {"type": ["string", "null"]}}
    return {
        "profile": field(
            "The profile to begin with; of several the later wins.", "node", ["node", "cached"], **one_or_more
        ),
        "tag": text(
            "The Worker's tag; looked up by name where it is not given.",
            "0123456789abcdef0123456789abcdef",
            pattern=f"{TAG}{or_expression}",
        ),
        "take_over_from": texts("Owners whose triggers may be taken over.", ["acme/old"]),
    }


def _secrets(or_expression: str) -> dict[str, Any]:
    secret = {
        "value_from": {"$ref": "#/$defs/value_from"},
        "value_version": {"$ref": "#/$defs/value_version"},
        "allow_empty": EnvVar.schema["then"]["properties"]["allow_empty"],
    }
    sources = _object({source.NAME: source.SCHEMA for source in SOURCES}, minProperties=1, maxProperties=1)
    return {
        "secret": _object(secret, required=["value_from"]),
        "value_from": field(
            "Where a secret comes from. It never stands in a manifest.", {"env": "SENTRY_AUTH_TOKEN"}, **sources
        ),
        "value_version": text(
            "A version of the secret; a change writes it again.", "2", pattern=f"{VERSION}{or_expression}"
        ),
    }


def check(root: Node, problems: Problems, *, final: bool = False) -> set[tuple[str, ...]]:
    """Every violation of the schema, at its place and in words. Returns what is broken: the section, with
    the key under it where that is one of SECTIONS."""
    broken: set[tuple[str, ...]] = set()
    schema, value = manifest_schema(final=final), root.bare()
    with suppress(ImportError, UnicodeEncodeError):  # not built for this machine; half a surrogate pair, from a param
        import jsonschema_rs  # noqa: PLC0415 - 30 ms, and `--help` needs none of it

        if jsonschema_rs.is_valid(schema, value):
            return broken
    # A hundred times slower, 90 ms to import, and exact about what is wrong and where.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    for error in Draft202012Validator(schema).iter_errors(value):
        for leaf in _leaves(error):
            _report(root, leaf, problems)
            path = [str(part) for part in leaf.absolute_path]
            if "propertyNames" in leaf.absolute_schema_path:
                path.append(leaf.instance)
            if path:  # an unknown section breaks no other
                broken.add(tuple(path[: 2 if path[0] in SECTIONS else 1]))
    return broken


def _leaves(error: Any) -> Iterator[Any]:
    """The errors inside `if/then` branches, which carry the reason."""
    if error.context:
        for inner in error.context:
            yield from _leaves(inner)
    else:
        yield error


def where(path: Sequence[str | int]) -> str:
    """A path in the manifest as an address where it has one: `trigger/web/production`."""
    match [str(part) for part in path]:
        case ["workers", worker, "triggers", trigger, "environment_variables", key, *_]:
            return f"env/{worker}/{trigger}/{key}"
        case ["workers", worker, "triggers", trigger, *_]:
            return f"trigger/{worker}/{trigger}"
        case ["workers" | "connections" | "tokens" as section, name, *_]:
            return f"{section.removesuffix('s')}/{name}"
        case parts:
            return ".".join(parts)


FORMS = {
    OWNER: "1 to 64 letters, digits, `.`, `_`, `/` and `-`",
    ACCOUNT_ID: "an account id, 32 hexadecimal digits",
    TAG: "32 lower-case hexadecimal digits",
    VERSION: "1 to 16 letters, digits, `.`, `_` and `-`",
    KEY: "1 to 64 letters, digits, spaces, `.`, `_` and `-`, the first a letter or digit",
    WORKER: "1 to 255 letters, digits, `.`, `_` and `-`, the first a letter or digit",
    PARAM: "1 to 64 letters, digits, `_` and `-`, the first a letter or `_`",
    REPOSITORY: "`owner/repo`, with more `/` where the provider has groups",
}
WORDS = {"object": "a mapping", "array": "a list", "string": "a string", "boolean": "true or false"}
EITHER_OR = (
    "a managed token has `cloudflare_token_id` and `build_token_secret`; a reference has `build_token_name` "
    "or `build_token_uuid`, and nothing else"
)


def _named(path: Sequence[str | int]) -> str:
    """`branch_includes[0]`, as people would call it."""
    if not path:
        return "the manifest"
    if isinstance(path[-1], int) and len(path) > 1:
        return f"`{path[-2]}[{path[-1]}]`"
    return f"`{path[-1]}`"


def _report(root: Node, error: Any, problems: Problems) -> None:
    path, node = list(error.absolute_path), root
    for part in path:
        node = node.items[part] if isinstance(part, int) else node.mapping[part]
    name, at = _named(path), node.place
    say = partial(problems.error, address=where(path))
    rule = error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        place = node.mapping[error.instance].place
        say(f"`{error.instance}` cannot be a key of {name}", at=place, hint=f"it must be {FORMS[rule]}")
        return
    match error.validator:
        case "additionalProperties":
            _report_unknown(node, error.schema.get("properties", {}), say)
        case "type":
            _report_type(node, rule if isinstance(rule, list) else [rule], name, error.schema.get("examples"), say)
        case "required":
            missing = [field for field in rule if field not in node.mapping]
            say(f"{name} needs {' and '.join(f'`{field}`' for field in missing)}", at=at)
        case "dependentRequired":
            both = " and ".join(f"`{field}`" for field in rule)
            hint = "or name a token made elsewhere by `build_token_name` or `build_token_uuid`"
            say(f"{name} needs both {both}", at=at, hint=hint)
        case "enum" | "const":
            allowed = rule if error.validator == "enum" else [rule]
            listed = ", ".join(f"`{one}`" for one in allowed)
            hint = "without quotes" if node.value in map(str, allowed) else ""
            say(f"{name} must be {'one of ' if len(allowed) > 1 else ''}{listed}", at=node.position, hint=hint)
        case "pattern":
            form = rule.removesuffix(f"|{EXPRESSION}")
            say(f"{name} is not of the form: {FORMS.get(form, form)}", at=node.position)
        case "minLength" | "minItems":
            say(f"{name} must not be empty", at=node.position)
        case "minProperties" | "maxProperties":
            known = ", ".join(f"`{field}`" for field in error.schema.get("properties", {}))
            hint = f"give one of {known}" if known else EITHER_OR
            say(f"{name} holds {'nothing' if not node.mapping else 'too much'}", at=at, hint=hint)
        case _:
            say(f"{name} is not what the schema wants ({error.validator})", at=node.position)


def _report_unknown(node: Node, known: Mapping[str, Any], say: Callable[..., None]) -> None:
    for key, child in node.mapping.items():
        if key == "<<":
            say("`<<` is no merge key in YAML 1.2", at=child.place, hint="use a profile")
        elif key not in known:
            alias = ALIASES.get(key)
            hint = f"did you mean `{alias}`?" if alias in known else nearest(key, known)
            if key == "profile":
                hint = "a Worker or `defaults` names profiles, `profile: [a, b]`; they do not nest"
            say(f"unknown field `{key}`", at=child.place, hint=hint or f"known here: {', '.join(sorted(known))}")


def _report_type(
    node: Node, types: Sequence[str], name: str, examples: Sequence[Any] | None, say: Callable[..., None]
) -> None:
    wanted = " or ".join(WORDS[one] for one in types if one in WORDS)
    hint = f"such as {json.dumps(examples[0])}" if examples else ""
    if "string" in types and isinstance(node.value, bool | int | float):
        hint = f'quote it: "{node.text}"'
    elif "string" in types and node.value is None:
        hint = 'say "" for an empty string'
    elif "boolean" in types and isinstance(node.value, str):
        hint = "without quotes; `yes` and `on` are strings in YAML 1.2"
    elif "array" in types and isinstance(node.value, str):
        hint = f"a list stands in brackets: `[{node.text if 0 < len(node.text) < 40 else '…'}]`"
    elif "object" in types and node.value is None:
        hint = "it is empty: indent what belongs to it further"
    say(f"{name} must be {wanted}", at=node.position, hint=hint)
