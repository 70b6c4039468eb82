"""One value of a plan, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.model import Address, Secret, Value
from reconciler.render.escape import clean

MAX_LENGTH = 66  # characters of a value in a list of many: with what stands before it, 80 columns
MOST = 6_000  # in full: a variable holds at most 5,000


def value_text(value: Value, labels: Mapping[str, str], most: int = MAX_LENGTH) -> str:
    """A string in quotes, shortened in the middle; ids by what they are called; secrets never."""
    match value:
        case None:
            return "(none)"
        case bool():
            return str(value).lower()
        case Secret():
            if value.source and value.value is None:
                return f"(secret, unknown: {clean(value.source)} {clean(value.missing)})"
            return f"(secret, from {clean(value.source)})" if value.source else "(secret)"
        case Address():
            return f"{clean(str(value))} (known after apply)"
        case str() if value in labels:
            return clean(labels[value])
        case str():
            return clean(json.dumps(shortened(value, most), ensure_ascii=False))
        case tuple():
            return f"[{', '.join(value_text(one, labels, most) for one in value)}]"
        case _:
            return clean(str(value))


def shortened(text: str, most: int) -> str:
    """At most so many characters, cut in the middle."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
