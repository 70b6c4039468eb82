"""Fields of a manifest and lint rules, explained as text of 80 columns."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.manifest.fields import FieldText
from reconciler.manifest.lint.finding import RuleText

WIDTH = 80
LABEL = 12
NAME = 24
ALLOW_IN = "at the top, in `defaults`, on a profile, a Worker or a trigger"


def overview_text(fields: Sequence[FieldText], rules: Sequence[RuleText]) -> str:
    """Every name with its first words, fields by where they stand."""
    sections: dict[str, list[str]] = {}
    for one in fields:
        sections.setdefault(f"In {', '.join(one.places)}:", []).append(_row(one.name, one.description))
    for rule in rules:
        sections.setdefault(f"Lint rules that are {rule.severity.value}s:", []).append(_row(rule.name, rule.about))
    parts = (line for heading, rows in sections.items() for line in (heading, *rows, ""))
    return "\n".join(parts) + "\n`buildsctl explain NAME` says more of each.\n"


def field_text(one: FieldText, rules: Sequence[RuleText]) -> str:
    """One field; `rules` are all of them, of which those are told that look at it."""
    default = "none, it has to be said" if one.required else "" if one.default is None else flow(one.default)
    reference = "none, the API does not have it: it is buildsctl's own"
    if one.reference:
        reference = f'"{one.reference}" of the API' + ("" if one.api == one.name else f", as `{one.api}`")
    told = [("stands in", ", ".join(one.places)), ("type", one.type), *(("limits", limit) for limit in one.limits)]
    told += [("default", default)] * bool(default)
    told += [*(("example", f"{one.name}: {flow(example)}") for example in one.examples), ("reference", reference)]
    lines = [one.name, *_wrapped(one.description, "  "), "", *_labelled(told)]
    for rule in rules:
        if one.name in rule.fields:
            lines += ["", f"  {_title(rule)}", *_wrapped(f"{rule.about} {rule.why}", "    ")]
    return "\n".join(lines) + "\n"


def rule_text(one: RuleText) -> str:
    told = [("looks at", ", ".join(one.fields)), *(("way out", way) for way in one.ways_out)]
    told += [("to insist", f"lint: {{allow: [{one.name}]}}"), ("", ALLOW_IN)]
    return "\n".join((_title(one), *_wrapped(one.about, "  "), *_wrapped(one.why, "  "), "", *_labelled(told))) + "\n"


def _title(rule: RuleText) -> str:
    return f"{rule.name} ({rule.severity.value})"


def _row(name: str, text: str) -> str:
    first = re.split(r"(?<=[.:;]) ", text, maxsplit=1)[0].rstrip(".:;")
    return f"  {name:{NAME}}{textwrap.shorten(first, WIDTH - NAME - 2, placeholder=' …')}"


def _labelled(told: Sequence[tuple[str, str]]) -> Iterator[str]:
    for label, text in told:
        yield from _wrapped(text, " " * (LABEL + 2), first=f"  {label:{LABEL}}")


def _wrapped(text: str, indent: str, *, first: str = "") -> Iterator[str]:
    """Lines of 80 columns; status and code (`400 / 12002`) stay together."""
    whole = textwrap.TextWrapper(
        WIDTH, initial_indent=first or indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    for line in whole.wrap(text.replace(" / ", "\xa0/\xa0")):
        yield line.replace("\xa0", " ")


def flow(value: Any) -> str:
    """As it stands in a manifest, on one line: strings in quotes, keys without."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(flow(one) for one in value) + "]"
        case _:
            return json.dumps(value)
