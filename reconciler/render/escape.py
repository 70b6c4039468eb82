"""Make text of strangers harmless: what controls a terminal or turns the direction is written out."""

from __future__ import annotations

import re
import unicodedata

_PLAIN = frozenset({"Ll", "Lu", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No"})
_PLAIN |= {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"}
_KEPT = 0x3000  # characters below it are looked up once: a log of a million lines has many, and all of few kinds


class _Shown(dict[int, str]):
    """By code point what a character is written as."""

    def __missing__(self, code: int) -> str:
        shown = chr(code)
        if unicodedata.category(shown) not in _PLAIN:
            shown = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
        if code < _KEPT:
            self[code] = shown
        return shown


_ODD, _SHOWN = re.compile(r"[^ -~]+"), _Shown({ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"})


def clean(text: str) -> str:
    """`text` on one line, with everything that could move a cursor or turn the direction written out."""
    if text.isascii() and text.isprintable():
        return text
    return _ODD.sub(lambda found: found[0].translate(_SHOWN), text)


def clean_lines(text: str) -> str:
    """The same for a text of our own making that may span lines."""
    return "\n".join(clean(line) for line in text.split("\n"))
