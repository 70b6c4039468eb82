"""`explain`: every field and every rule, from the schema, the kinds and the rules themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reconciler import cli
from reconciler.kinds.trigger import Trigger
from reconciler.manifest import lint
from reconciler.manifest.fields import FieldText, fields
from reconciler.manifest.lint.finding import RuleText, rule_texts
from reconciler.manifest.nodes import Problems
from reconciler.manifest.parse import parse
from reconciler.manifest.schema import ALIASES, manifest_schema

FIELDS, RULES = fields(), rule_texts(lint.RULES)
NAMES = {one.name for one in FIELDS}


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert cli.run(["explain", *arguments]) == code
    ran = capsys.readouterr()
    assert (ran.err if code == 0 else ran.out) == ""
    assert max(map(len, (ran.out + ran.err).splitlines())) <= 80
    return ran.out + ran.err


def defined(schema: Any) -> set[str]:
    """Every name that any `properties` of a schema defines."""
    if isinstance(schema, list):
        return set().union(*map(defined, schema))
    if not isinstance(schema, dict):
        return set()
    mine = schema.get("properties", {})
    return (set(mine) if isinstance(mine, dict) else set()).union(*map(defined, schema.values()))


def test_every_field_of_the_schema_is_explained() -> None:
    assert defined(manifest_schema()) == NAMES
    assert len({(one.name, one.places) for one in FIELDS}) == len(FIELDS)


@pytest.mark.parametrize("one", FIELDS, ids=lambda one: f"{one.name} in {one.places[0]}")
def test_a_field(one: FieldText, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, one.name)
    assert f"{one.name}\n  {one.description.split()[0]}" in text
    for label in ("stands in", "type", "example", "reference"):
        assert f"\n  {label}  " in text
    assert not re.search(r"field notes|DESIGN|\$ref|\^\[", text)


@pytest.mark.parametrize("one", FIELDS, ids=lambda one: f"{one.name} in {one.places[0]}")
def test_examples_are_what_the_schema_takes_and_can_be_pasted(
    one: FieldText, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each, as it is shown, stands in a manifest and means what it says."""
    shown = re.findall(r"^  example     ((?:.*\n)(?: {14}.*\n)*)", told(capsys, one.name), re.MULTILINE)
    examples = [example for other in FIELDS if other.name == one.name for example in other.examples]
    assert len(shown) == len(examples)
    for text, example in zip(shown, examples, strict=True):
        root = parse(text, "m.yaml", Problems())
        assert root is not None
        assert root.bare() == {one.name: example}
    schema = manifest_schema(final=True)
    owner = {
        "the top level": schema,
        "a connection": schema["properties"]["connections"]["additionalProperties"],
        "a token": schema["properties"]["tokens"]["additionalProperties"],
        "`defaults`": schema["properties"]["defaults"],
        "a profile": schema["properties"]["profiles"]["additionalProperties"],
        "a Worker": schema["properties"]["workers"]["additionalProperties"],
        "a trigger": schema["$defs"]["trigger"],
        "a variable": schema["$defs"]["environment_variable"]["then"],
        "a token's `build_token_secret`": schema["$defs"]["secret"],
        "`value_from`": schema["$defs"]["value_from"],
        "`lint`": schema["$defs"]["lint"],
    }
    for place in one.places:
        mine = {**owner[place]["properties"][one.name], "$defs": schema["$defs"]}
        for example in one.examples:
            Draft202012Validator(mine).validate(example)


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.name)
def test_a_rule(one: RuleText, capsys: pytest.CaptureFixture[str]) -> None:
    assert one.about
    assert one.why
    assert one.ways_out
    assert set(one.fields) <= NAMES
    text = told(capsys, one.name)
    assert text.startswith(f"{one.name} ({one.severity.value})\n  {one.about.split()[0]}")
    assert f"\n  to insist   lint: {{allow: [{one.name}]}}\n" in text
    flat = " ".join(text.split())
    assert all(" ".join(way.split()) in flat for way in one.ways_out)
    assert not re.search(r"field notes|DESIGN", text)


@pytest.mark.parametrize("name", sorted({name for one in RULES for name in one.fields}))
def test_a_field_tells_the_rules_that_look_at_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, name)
    for one in RULES:
        assert (f"\n  {one.name} ({one.severity.value})\n" in text) == (name in one.fields)


def test_what_is_told_of_a_trigger_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "deploy_command") == (
        "deploy_command\n"
        "  What deploys the Worker once it is built. Required.\n"
        "\n"
        "  stands in   `defaults`, a profile, a Worker, a trigger\n"
        "  type        a string or null, to take away what the layers below brought\n"
        "  default     none, it has to be said\n"
        '  example     deploy_command: "npx wrangler deploy"\n'
        '  example     deploy_command: "npx wrangler versions upload"\n'
        '  reference   "Create trigger" of the API\n'
        "\n"
        "  empty-deploy-command (error)\n"
        "    A deploy command that is not empty. An empty one is 400 / 12002 without a\n"
        "    reason.\n"
        "\n"
        "  command-length (error)\n"
        "    Commands of at most 512 characters. A longer one is 400 / 12002 without a\n"
        "    reason.\n"
        "\n"
        "  preview-deploys (warning)\n"
        "    A preview trigger that deploys: every branch would go into production.\n"
        "    `wrangler versions upload` makes a version with an address of its own\n"
        "    instead.\n"
    )


def test_defaults_are_those_of_the_kind() -> None:
    """The schema says them for people, the dataclass for the plan."""
    known = {one.name: one.default for one in FIELDS if "a trigger" in one.places and one.name in Trigger.schema}
    for name, field in Trigger.__dataclass_fields__.items():
        if name in known:
            given = list(field.default) if isinstance(field.default, tuple) else field.default
            assert known[name] == given or (known[name] is None and not isinstance(given, str | bool | list)), name


def test_one_name_of_two_meanings_is_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "build_token_uuid")
    assert text.count("\n\nbuild_token_uuid\n") == 1
    assert "  stands in   a token\n" in text
    assert "  stands in   `defaults`, a profile, a Worker, a trigger\n" in text
    assert 'reference   "Create trigger" of the API, as `build_token_uuid`' in told(capsys, "build_token")


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys)
    listed = re.findall(r"^  (\S+)  ", text, re.MULTILINE)
    assert sorted(listed) == sorted([*(one.name for one in FIELDS), *lint.NAMES])
    assert "\nLint rules that are warnings:\n" in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("branch_inclueds", "did you mean `branch_includes`?"),
        ("preview-deploy", "did you mean `preview-deploys`?"),
        *((alias, f"did you mean `{name}`?") for alias, name in ALIASES.items() if alias not in NAMES),
        ("deploy", "did you mean `deploy_command`?"),
        ("nope", "`buildsctl explain` lists them all"),
        ("zzz", "`buildsctl explain` lists them all"),
        ("\x1b[31m\u202e", "`buildsctl explain` lists them all"),
    ],
)
def test_what_is_neither_field_nor_rule(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, name, code=1)
    assert text.startswith("error: there is no field and no lint rule `")
    assert text.endswith(f"hint: {hint}\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text)


def test_the_readme_names_each_trigger_field() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for one in FIELDS:
        if "a trigger" in one.places and one.name != "lint":
            assert f"`{one.name}`" in readme, one.name
