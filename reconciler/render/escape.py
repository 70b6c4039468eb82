"""Make text of strangers harmless: what controls a terminal or turns the direction is written out."""

from __future__ import annotations

import unicodedata

_HARMLESS = frozenset({"Ll", "Lu", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No"})
_LEFT = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"})


def clean(text: str) -> str:
    """`text` on one line, with everything that could move a cursor or turn the direction written out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if _is_plain(one) else _written_out(one) for one in text)


def clean_lines(text: str) -> str:
    """The same for a text of our own making that may span lines."""
    return "\n".join(clean(line) for line in text.split("\n"))


def _is_plain(one: str) -> bool:
    return one == " " or unicodedata.category(one) in _HARMLESS or unicodedata.category(one) in _LEFT


def _written_out(one: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if one in short:
        return short[one]
    code = ord(one)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
