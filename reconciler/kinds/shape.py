"""The shape of a field as JSON Schema, with what people are told of it."""

from __future__ import annotations

from typing import Any


def field(description: str, *examples: Any, **schema: Any) -> dict[str, Any]:
    return {**schema, "description": description, "examples": list(examples)}


def text(description: str, *examples: str, **schema: Any) -> dict[str, Any]:
    return field(description, *examples, type="string", **schema)


def texts(description: str, *examples: list[str], **schema: Any) -> dict[str, Any]:
    return field(description, *examples, type="array", items={"type": "string"}, **schema)
