"""Text as a column holds it: no NUL, in the order of the code points, short enough for an index."""

from __future__ import annotations

from typing import Final

from clawstate.errors import InvalidError

LONGEST: Final = 800
"""Bytes of a name that stands in an index beside others, whose rows hold 2,704."""


def encode_text(text: str) -> str:
    """
    Return *text* without NUL, which PostgreSQL cannot hold; of two the lesser stays the lesser.

    A NUL becomes two characters of the number 1, and one of these gets a 2 behind it. All else, and
    so nearly every text, stays.
    """
    if "\0" in text or "\1" in text:
        return text.replace("\1", "\1\2").replace("\0", "\1\1")
    return text


def decode_text(text: str) -> str:
    """Return what `encode_text` was given."""
    if "\1" in text:
        return text.replace("\1\1", "\0").replace("\1\2", "\1")
    return text


def encode_name(what: str, name: str) -> str:
    """Return *name*, of a tenant or a kind, for a column; `InvalidError` beyond `LONGEST`."""
    text = encode_text(name)
    if len(text.encode()) > LONGEST:
        problem = f"has more than {LONGEST:,} bytes, the most that PostgreSQL's indexes hold of it"
        raise InvalidError(what, problem, "choose a shorter one")
    return text
