"""Cutting text that is too long for one passage where a reader would pause."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum
from typing import TypeAlias

from clawstate.importers.passages import MAXIMUM_LENGTH, TARGET_LENGTH

Span: TypeAlias = tuple[int, int]
"""Where a piece starts in the text, and where it ends."""

_JOINER = "\u200d"
_SENTENCE = re.compile(
    r"""[.!?\u2026]["'\u201d\u2019)\]*_]{0,4}(?=\s)|[\u3002\uff01\uff1f\uff61][\u201d\u2019\u300d\uff09]{0,4}"""
)
_LINE = re.compile(r"\n")
_ITEM = re.compile(r"\n(?= {0,3}(?:[-+*]|\d{1,9}[.)])[ \t])")
_SPACE = re.compile(r"\s+")
_SPACE_BETWEEN = re.compile(r"[^\S\n]*(?:\n(?:[^\S\n]*\n)*)?")


class Pauses(Enum):
    """What a text is made of, which decides where it may be cut."""

    PROSE = "prose"
    LINES = "lines"
    ITEMS = "items"


def spans(text: str, pauses: Pauses) -> Iterator[Span]:
    """
    Yield the pieces of *text*, none longer than `MAXIMUM_LENGTH`; only white space is left out.

    Prose is cut after a sentence, code and tables after a line, lists before an item; where that
    would make a piece too long, at a space; and without one, between two characters as a reader
    sees them (the extended grapheme clusters of Unicode Annex 29, nearly).
    """
    at = 0
    while len(text) - at > MAXIMUM_LENGTH:
        end = _cut(text, at, pauses)
        yield from _without_space(text, at, end)
        at = _resumption(text, end)
    yield from _without_space(text, at, len(text))


def is_boundary(text: str, at: int) -> bool:
    """Tell whether a cut of *text* before *at* leaves every visible character whole."""
    if not 0 < at < len(text):
        return True
    if _is_extension(text[at]) or text[at - 1] == _JOINER:
        return False
    # A flag is two letters of its own alphabet: a cut behind an odd number of them parts one.
    return not (_is_flag_half(text[at]) and _flag_halves_before(text, at) % 2)


def _cut(text: str, at: int, pauses: Pauses) -> int:
    for pattern in _PATTERNS[pauses]:
        end = _pause(text, at, pattern)
        if end is not None:
            return end
    limit = at + MAXIMUM_LENGTH
    ends = (end for end in range(limit, at + TARGET_LENGTH, -1) if is_boundary(text, end))
    return next(ends, limit)


def _pause(text: str, at: int, pattern: re.Pattern[str]) -> int | None:
    best = None
    # Not in the first quarter of the target: shorter pieces say little when they are found.
    for match in pattern.finditer(text, at + TARGET_LENGTH // 4, at + MAXIMUM_LENGTH):
        if not is_boundary(text, match.end()):
            continue
        # The last pause before the target, or else the first behind it.
        if best is not None and match.end() > at + TARGET_LENGTH:
            break
        best = match.end()
    return best


def _resumption(text: str, end: int) -> int:
    # The indentation of a following line means something, the space within a line does not.
    match = _SPACE_BETWEEN.match(text, end)
    return match.end() if match else end


def _without_space(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end].rstrip()
    if piece:
        yield start, start + len(piece)


def _is_extension(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Mn", "Mc", "Me"}
        or character in {_JOINER, "\u200c"}
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags, as in the flag of Wales
        or "\u1160" <= character <= "\u11ff"  # vowels and finals of decomposed Hangul
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, at: int) -> int:
    start = at
    # Bounded, since a text may consist of nothing but flags.
    while start > 0 and _is_flag_half(text[start - 1]) and at - start < MAXIMUM_LENGTH:
        start -= 1
    return at - start


_PATTERNS = {
    Pauses.PROSE: (_SENTENCE, _SPACE),
    Pauses.LINES: (_LINE, _SENTENCE, _SPACE),
    Pauses.ITEMS: (_ITEM, _LINE, _SENTENCE, _SPACE),
}
