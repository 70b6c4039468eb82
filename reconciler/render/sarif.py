"""Problems as SARIF 2.1.0, which code scanning takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from reconciler import __version__
from reconciler.errors import Diagnostic, Severity
from reconciler.manifest.lint.finding import RuleText
from reconciler.render.escape import clean

MANIFEST = RuleText(
    name="manifest",
    severity=Severity.ERROR,
    fields=(),
    about="A manifest that cannot be read, or does not fit the schema or the rest of its set.",
    why="",
    ways_out=(),
)
"""The rule of what no lint rule is about: shape, references, params."""


def sarif_document(found: Iterable[Diagnostic], rules: Sequence[RuleText]) -> dict[str, Any]:
    """One run. `rules` are the lint rules; every one stands in it, whether it found something or not."""
    every = (MANIFEST, *rules)
    number = {rule.name: index for index, rule in enumerate(every)}
    driver = {"name": "buildsctl", "version": __version__, "rules": [_rule(rule) for rule in every]}
    results = [_result(one, number) for one in found]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(rule: RuleText) -> dict[str, Any]:
    ways_out = [f"Way out: {one}." for one in rule.ways_out]
    insist = [] if rule is MANIFEST else [f"To insist: `lint: {{allow: [{rule.name}]}}`."]
    told = {
        "fullDescription": " ".join(filter(None, (rule.about, rule.why))),
        "help": "\n".join([*ways_out, *insist]) or "The message says what to do.",
    }
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.about},
        **{name: {"text": text} for name, text in told.items()},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(one: Diagnostic, number: dict[str, int]) -> dict[str, Any]:
    rule = one.rule or MANIFEST.name
    told = [f"{one.summary}.", *one.detail.split("\n"), f"Hint: {one.hint}" if one.hint else ""]
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": number[rule],
        "level": one.severity.value,
        "message": {"text": "\n".join(clean(line) for line in told if line)},
    }
    location: dict[str, Any] = {}
    if one.position and one.position.line:  # an option of the command line is no file
        region = {"startLine": one.position.line, "startColumn": one.position.column}
        location["physicalLocation"] = {"artifactLocation": {"uri": _uri(one.position.filename)}, "region": region}
    if one.address:
        location["logicalLocations"] = [{"fullyQualifiedName": clean(one.address)}]
    return result | ({"locations": [location]} if location else {})


def _uri(filename: str) -> str:
    """Relative where the file's name is; its bytes, whatever they are, with all that a URI reserves in `%XX`."""
    scheme = "file://" if filename.startswith("/") else ""
    return scheme + quote(filename, errors="surrogateescape")
