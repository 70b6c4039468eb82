"""Problems as SARIF 2.1.0, which code scanning takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from reconciler import __version__
from reconciler.errors import Diagnostic

MANIFEST = "manifest"
"""The rule of what no lint rule is about: shape, references, params."""


def sarif_document(found: Iterable[Diagnostic], rules: Mapping[str, str]) -> dict[str, Any]:
    """`rules` are the lint rules with what each is about."""
    about = {MANIFEST: "The manifests have to be readable, and to fit the schema and each other.", **rules}
    described = [{"id": name, "shortDescription": {"text": text}} for name, text in about.items()]
    driver = {"name": "buildsctl", "version": __version__, "rules": described}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": [_result(one) for one in found]}
        ],
    }


def _result(one: Diagnostic) -> dict[str, Any]:
    message = " ".join(filter(None, (f"{one.summary}.", one.detail, f"Hint: {one.hint}" if one.hint else "")))
    result: dict[str, Any] = {"ruleId": one.rule or MANIFEST, "level": one.severity.value, "message": {"text": message}}
    if one.position:
        region = {"startLine": max(1, one.position.line), "startColumn": max(1, one.position.column)}
        location = {"uri": quote(one.position.filename)}
        result["locations"] = [{"physicalLocation": {"artifactLocation": location, "region": region}}]
    return result
