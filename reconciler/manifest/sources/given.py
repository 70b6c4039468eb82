"""What a source is asked with, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """`folder` is that of the manifest, for relative paths; `withheld` are variables that no command gets."""

    environment: Mapping[str, str]
    folder: str
    allow_commands: bool
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, repr=False)
class Given:
    """A value, or why there is none (`is not set`). Never shown."""

    value: str | None = None
    missing: str = ""

    def __repr__(self) -> str:
        return "(secret)"


def encodes(text: str) -> bool:
    """Python passes bytes of the environment that are no UTF-8 on as lone surrogates."""
    return not any("\ud800" <= one <= "\udfff" for one in text)


def decode(data: bytes) -> Given:
    """The bytes of a file or of a command's output: UTF-8, one trailing newline dropped."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Given(missing="does not give UTF-8")
    if "\0" in text:
        return Given(missing="gives a NUL character")
    return Given(text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text)
