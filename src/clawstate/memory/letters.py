"""
Letters as they are compared: folded, and told apart by their scripts.

NFKC, case folding, marks removed where they do not make another letter, and letters such as ø as
those that a person without them types.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Marks that people leave out or that keyboards add: of Latin, Greek, Cyrillic, Hebrew and Arabic.
# Those of Indic scripts, Thai and kana make other letters, and stay.
MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad"
)
_MARK = re.compile(f"[{MARKS}]")
# What no decomposition takes apart.
_LETTERS = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "ŀ": "l", "ŧ": "t",
        "æ": "ae", "œ": "oe", "þ": "th", "\u0649": "\u064a", "\u0629": "\u0647",
        "\u06cc": "\u064a", "\u06a9": "\u0643",  # Arabic letters that are typed for each other
    }
)  # fmt: skip

UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f"
)
HANGUL: Final = "\uac00-\ud7a3"
VOWELLED: Final = (
    "\u0711\u0730-\u074a\u07a6-\u07b0\u0900-\u0963\u0966-\u096f\u0971-\u0dff\u0f40-\u0fbc"
)
"""Scripts whose vowel signs are letters to a reader but none to a regular expression."""


def fold(text: str) -> str:
    """Return *text* as it is compared."""
    if text.isascii():
        return text.lower()
    whole = unicodedata.normalize("NFKC", text).casefold()
    apart = _MARK.sub("", unicodedata.normalize("NFD", whole))
    return unicodedata.normalize("NFC", apart).translate(_LETTERS)
