"""The manifest's JSON Schema, assembled from the kinds, and what it says about a set of manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import cache
from itertools import takewhile
from typing import Any

from reconciler.errors import Position, nearest
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.shape import field, text, texts
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.manifest.nodes import Node, Problems
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

SECTIONS = ("params", "connections", "tokens", "profiles", "workers")
"""The mappings of names at the top."""
Path = tuple[str, ...]
LAYERED = ("defaults", "profiles", "workers")
"""What triggers are merged of."""

_TAG = "0123456789abcdef0123456789abcdef"
_STRINGS = {"type": "array", "items": {"type": "string"}}
_NOTHING = {"type": ["object", "null"]}
_LINT = {"$ref": "#/$defs/lint"}


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema`, or null, which removes what a lower layer brought."""
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {**schema, "else": {"type": ["string", "null"]}}


def _mapping(description: str, example: Any, values: Mapping[str, Any], keys: str | None = None) -> dict[str, Any]:
    """Names to `values`; `keys` is the pattern of the names."""
    names = {"propertyNames": {"pattern": keys}} if keys else {}
    return field(description, example, **_NOTHING, **names, additionalProperties=values)


def _object(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


_FIELDS = {
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
    "lint": _LINT,
}
_PARAMS = field(
    "Values for ${{ params.NAME }}; top level < profile < Worker < --param-file < --param.",
    {"branch": "main"},
    **_NOTHING,
    additionalProperties={"type": "string"},
    propertyNames={"pattern": PARAM},
)
_LAYERED = {
    **_FIELDS,
    "params": _PARAMS,
    "triggers": _mapping(
        "What builds the Worker, by keys of your own.",
        {"production": {"branch_includes": ["main"], "deploy_command": "npx wrangler deploy"}},
        {"$ref": "#/$defs/trigger"},
        KEY,
    ),
}
_ONE_OR_MORE = {"if": {"type": "array"}, "then": _STRINGS, "else": {"type": ["string", "null"]}}
_PROFILE = field("The profile to begin with; of several the later wins.", "node", ["node", "cached"], **_ONE_OR_MORE)
_TAKE_OVER_FROM = texts("Owners whose triggers may be taken over.", ["acme/old"])
_WORKER = {
    **_LAYERED,
    "profile": _PROFILE,
    "tag": text("The Worker's tag; looked up by name where it is not given.", _TAG, pattern=TAG),
    "take_over_from": _TAKE_OVER_FROM,
}
_SECTIONS = {
    "version": field("The manifest's format; at least once in the set.", 1, const=1),
    "owner": field(
        "Who manages these resources; null: nobody. Required, once in the set.",
        "acme/builds",
        type=["string", "null"],
        pattern=OWNER,
    ),
    "account_id": text(
        "The account; must agree with CLOUDFLARE_ACCOUNT_ID where both are given.", _TAG, pattern=ACCOUNT_ID
    ),
    "params": _PARAMS,
    "connections": _mapping(
        "Repositories that triggers build from.",
        {"acme/site": {"provider_account_id": "41612145", "repo_id": "1332648945"}},
        Connection.schema,
        REPOSITORY,
    ),
    "tokens": _mapping(
        "Build tokens, managed or looked up.",
        {"from-dashboard": {"build_token_name": "Workers Builds - 2026-01-02 10:00"}},
        Token.schema,
        KEY,
    ),
    "defaults": field(
        "Trigger fields for every trigger of the set; may also hold `profile`.",
        {"build_caching_enabled": True},
        **_object({**_FIELDS, "profile": _PROFILE}) | _NOTHING,
    ),
    "profiles": _mapping(
        "Partial Workers, for reuse by `profile`.", {"node": {"build_command": "npm run build"}}, _object(_LAYERED)
    ),
    "workers": _mapping("Workers by name.", {"web": {"profile": "node"}}, _object(_WORKER) | _NOTHING, WORKER),
    "take_over_from": _TAKE_OVER_FROM,
    "lint": _LINT,
}
_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "buildsctl manifest",
    "description": "Configuration of Cloudflare Workers Builds, as buildsctl reads it.",
    **_object(_SECTIONS),
    "$defs": {
        "lint": {
            **field(
                "What the lint rules may leave alone; unites over all layers.",
                {"allow": ["secret-on-preview"]},
                type="object",
                additionalProperties=False,
            ),
            "properties": {
                "allow": texts(
                    "Names of lint rules to turn off; `buildsctl explain` lists them.", ["secret-on-preview"]
                )
            },
        },
        "trigger": _object(_FIELDS) | _NOTHING,
        "environment_variable": _nullable(EnvVar.schema),
        "secret": _object(
            {
                name: one
                for name, one in EnvVar.schema["then"]["properties"].items()
                if name not in ("value", "is_secret")
            },
            required=["value_from"],
        ),
        "value_from": field(
            "Where a secret comes from. It never stands in a manifest.",
            {"env": "SENTRY_AUTH_TOKEN"},
            **_object({source.NAME: source.SCHEMA for source in SOURCES}, minProperties=1, maxProperties=1),
        ),
        "value_version": text("A version of the secret; a change writes it again.", "2", pattern=VERSION),
    },
}


@cache
def manifest_schema(*, final: bool = False) -> dict[str, Any]:
    """The schema of one set of manifests, merged; a single file may leave everything out.

    `final` is what has to hold once expressions are replaced.
    """
    return _SCHEMA if final else _with_expressions(_SCHEMA)


def _with_expressions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` where an expression may stand for any text that has a form; keys hold none."""
    found = {
        name: _with_expressions(one) if isinstance(one, dict) and name != "propertyNames" else one
        for name, one in schema.items()
    }
    return found | {"pattern": f"{schema['pattern']}|{EXPRESSION}"} if "pattern" in schema else found


def check(root: Node, problems: Problems, *, final: bool = False) -> tuple[Node, set[Path]]:
    """Every violation of the schema, at its place and in words. Returns `root` with nulls for what makes it one in
    LAYERED sections, so that all else there can be looked at, and nothing of a lower layer takes its place; and what is
    broken: the section, with the key under it where that is one of SECTIONS."""
    broken: set[Path] = set()
    schema, value = manifest_schema(final=final), root.bare()
    with suppress(ImportError, UnicodeEncodeError):  # not built for this machine; half a surrogate pair, from a param
        import jsonschema_rs  # noqa: PLC0415 - 30 ms, and `--help` needs none of it

        if jsonschema_rs.is_valid(schema, value):
            return root, broken
    # A hundred times slower, 90 ms to import, and exact about what is wrong and where.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    gone: set[Path] = set()
    found = Draft202012Validator(schema).iter_errors(value)
    for error in sorted(found, key=lambda one: [str(part) for part in one.absolute_path]):
        for leaf in _leaves(error):
            node, path = root, [str(part) for part in leaf.absolute_path]
            for part in leaf.absolute_path:
                node = node.items[part] if isinstance(part, int) else node.mapping[part]
            for summary, at, hint in _told(node, leaf):
                problems.error(summary, at=at, hint=hint, address=where(path))
            if "propertyNames" in leaf.absolute_schema_path:
                path.append(leaf.instance)
            if path:  # an unknown section breaks no other
                broken.add(tuple(path[: 2 if path[0] in SECTIONS else 1]))
            gone.update(one for one in map(_unclear, _culprits(leaf)) if one and one[0] in LAYERED)
    touched = {path[:length] for path in gone for length in range(len(path))}
    return _blanked(root, gone, touched), broken


def _unclear(path: Path) -> Path:
    """What is not known because of a mistake at `path`: more than that, where it says what holds for the rest."""
    if path[:1] == ("lint",) or path[:2] == ("defaults", "lint"):
        return ("workers",)
    inside = path[2:] if path[:1] in (("profiles",), ("workers",)) else ()
    lint = inside[:1] == ("lint",) or (inside[:1] == ("triggers",) and inside[2:3] == ("lint",))
    return path[:2] if lint or inside in (("triggers",), ("params",)) else path


def _culprits(leaf: Any) -> Iterator[Path]:
    """Where what stands makes it an error; of a list with a bad element all of it does, and all of a block in which a
    field is misspelt: nobody knows what it says."""
    path = tuple(takewhile(lambda part: isinstance(part, str), leaf.absolute_path))
    if "propertyNames" in leaf.absolute_schema_path:
        yield (*path, leaf.instance)
    elif leaf.validator == "additionalProperties":
        known = leaf.schema.get("properties", ())
        for name in leaf.instance:
            if name not in known:
                yield path if name not in ALIASES and nearest(name, known) else (*path, name)
    else:
        yield path


def _blanked(node: Node, gone: Set[Path], touched: Set[Path], path: Path = ()) -> Node:
    """`node` with null at the paths `gone`; `touched` lead there, and all else stays the same object."""
    if path in gone:
        return node._replace(value=None)
    if path not in touched:
        return node
    inside = {key: _blanked(child, gone, touched, (*path, key)) for key, child in node.mapping.items()}
    return node._replace(value=inside)


def _leaves(error: Any) -> Iterator[Any]:
    """The errors inside `if/then` branches, which carry the reason."""
    if error.context:
        for inner in error.context:
            yield from _leaves(inner)
    else:
        yield error


def where(path: Sequence[str]) -> str:
    """A path in the manifest as an address where it has one: `trigger/web/production`."""
    match path:
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


def _told(node: Node, error: Any) -> Iterator[tuple[str, Position, str]]:
    """What is wrong with `node`, at which place, and the way out."""
    name, rule, at = _named(error.absolute_path), error.validator_value, node.place
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    if "propertyNames" in error.absolute_schema_path:
        yield (
            f"`{error.instance}` cannot be a key of {name}",
            node.mapping[error.instance].place,
            f"it must be {FORMS[rule]}",
        )
        return
    match error.validator:
        case "additionalProperties":
            yield from _unknown(node, known)
        case "type":
            types = rule if isinstance(rule, list) else [rule]
            wanted = " or ".join(WORDS[one] for one in types if one in WORDS)
            yield f"{name} must be {wanted}", node.position, _retyped(node, types, error.schema.get("examples"))
        case "required":
            missing = " and ".join(f"`{field}`" for field in rule if field not in node.mapping)
            yield f"{name} needs {missing}", at, ""
        case "dependentRequired":
            both = " and ".join(f"`{field}`" for field in rule)
            hint = "or name a token made elsewhere by `build_token_name` or `build_token_uuid`"
            yield f"{name} needs both {both}", at, hint
        case "enum":
            yield f"{name} must be one of {', '.join(f'`{one}`' for one in rule)}", node.position, ""
        case "const":
            hint = "without quotes" if node.value == str(rule) else ""
            yield f"{name} must be `{rule}`", node.position, hint
        case "pattern":
            form = rule.removesuffix(f"|{EXPRESSION}")
            yield f"{name} is not of the form: {FORMS.get(form, form)}", node.position, ""
        case "minLength" | "minItems":
            yield f"{name} must not be empty", node.position, ""
        case "minProperties" | "maxProperties":
            hint = f"give one of {', '.join(f'`{field}`' for field in known)}" if known else EITHER_OR
            yield f"{name} holds {'too much' if node.mapping else 'nothing'}", at, hint
        case _:
            yield f"{name} is not what the schema wants ({error.validator})", node.position, ""


def _unknown(node: Node, known: Mapping[str, Any]) -> Iterator[tuple[str, Position, str]]:
    for key, child in node.mapping.items():
        if key == "<<":
            yield "`<<` is no merge key in YAML 1.2", child.place, "use a profile"
        elif key not in known:
            alias = ALIASES.get(key)
            hint = f"did you mean `{alias}`?" if alias in known else nearest(key, known)
            if key == "profile":
                hint = "a Worker or `defaults` names profiles, `profile: [a, b]`; they do not nest"
            yield f"unknown field `{key}`", child.place, hint or f"known here: {', '.join(sorted(known))}"


def _retyped(node: Node, types: Sequence[str], examples: Sequence[Any] | None) -> str:
    """What would make it one of `types`."""
    if "string" in types and isinstance(node.value, bool | int | float):
        return f'quote it: "{node.text}"'
    if "string" in types and node.value is None:
        return 'say "" for an empty string'
    if "boolean" in types and isinstance(node.value, str):
        return "without quotes; `yes` and `on` are strings in YAML 1.2"
    if "array" in types and isinstance(node.value, str):
        return f"a list stands in brackets: `[{node.text if 0 < len(node.text) < 40 else '…'}]`"
    if "object" in types and node.value is None:
        return "it is empty: indent what belongs to it further"
    return f"such as {json.dumps(examples[0])}" if examples else ""
