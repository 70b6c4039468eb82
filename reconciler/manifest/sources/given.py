"""What a source is asked with, and how bytes become what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import Secret


@dataclass(frozen=True)
class Context:
    """`folder` is that of the manifest, for relative paths; `withheld` are variables that no command gets."""

    environment: Mapping[str, str]
    folder: str
    allow_commands: bool
    withheld: frozenset[str] = frozenset()


def decode(data: bytes) -> Secret:
    """The bytes of a file or of a command's output: UTF-8, one trailing newline dropped."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Secret(None, missing="does not give UTF-8")
    if "\0" in text:
        return Secret(None, missing="gives a NUL character")
    return Secret(text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text)
