"""The shape of a field as JSON Schema, with what people are told of it."""

from __future__ import annotations

from typing import Any

UUID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def field(description: str, *examples: Any, **schema: Any) -> dict[str, Any]:
    return {**schema, "description": description, "examples": list(examples)}


def text(description: str, *examples: str, **schema: Any) -> dict[str, Any]:
    return field(description, *examples, type="string", **schema)


def texts(description: str, *examples: list[str], **schema: Any) -> dict[str, Any]:
    return field(description, *examples, type="array", items={"type": "string"}, **schema)
