"""
Cutting long values out of the JSON text of an entry, so that no row is long.

A long string is cut out by itself. An object or array whose remainder is still long is cut out as
a whole, from the inside outwards: so a snapshot that comes back in every entry is one blob, and
what is left of a line is bounded whatever it was. Empty text takes the place of what is cut out,
which keeps the line JSON; the places are known by number, so no text can be mistaken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from clawstate.errors import InvalidError

LONG = 16_384
"""
Characters from which a value is kept apart, and of a row at most.

Measured: below this, reading a page takes three times as long for a quarter less room, and what
comes back in every entry is longer.
"""
PIECE = 256 * 1024
"""Characters of one piece at most."""
DEEPEST = 256
"""Levels of nesting that every reader can follow."""

ExternalValue: TypeAlias = tuple[int, str]
"""Where in the remaining text an empty text is replaced, and by what; several may share a place."""

_HOLE = '""'
# Possessive, so that a text of a million backslashes is not tried again from each of them.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[{\]}]', re.DOTALL)


def cut(line: str) -> tuple[str, list[ExternalValue]]:
    """
    Return what stays of the JSON text *line*, and the pieces that were cut out.

    Raises `InvalidError` for one that is nested too deeply.
    """
    if len(line) <= LONG:
        # Brackets in texts count as well, so this is only an upper bound: cheap, and nearly always
        # enough.
        if line.count("{") + line.count("[") > DEEPEST:
            _spans(line)
        return line, []
    kept: list[str] = []
    pieces: list[ExternalValue] = []
    at = length = 0
    for start, end in _spans(line):
        kept += (line[at:start], _HOLE)
        length += start - at
        pieces += (
            (length, line[each : min(each + PIECE, end)]) for each in range(start, end, PIECE)
        )
        length += len(_HOLE)
        at = end
    kept.append(line[at:])
    return "".join(kept), pieces


def join(kept: str, pieces: Iterable[ExternalValue]) -> str:
    """Return the text that was cut into *kept* and *pieces*, which come in their order."""
    texts: list[str] = []
    at = 0
    for place, group in groupby(pieces, key=itemgetter(0)):
        texts.append(kept[at:place])
        texts += (text for _, text in group)
        at = place + len(_HOLE)
    texts.append(kept[at:])
    return "".join(texts)


def _spans(line: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    opened: list[tuple[int, int, int]] = []  # where, the spans before it, and what they took
    taken = 0
    for match in _TOKEN.finditer(line):
        start, end = match.span()
        sign = line[start]
        if sign == '"':
            if end - start > LONG:
                spans.append((start, end))
                taken += end - start
        elif sign in "{[":
            if len(opened) == DEEPEST:
                problem = f"is nested deeper than {DEEPEST:,} levels"
                raise InvalidError("message", problem, "flatten it")
            # Remembered for the end of the object: if it is cut out as a whole, what was cut inside
            # is not.
            opened.append((start, len(spans), taken))
        else:
            start, before, taken_before = opened.pop()
            if end - start - (taken - taken_before) > LONG:
                spans[before:] = [(start, end)]
                taken = taken_before + end - start
    return spans
