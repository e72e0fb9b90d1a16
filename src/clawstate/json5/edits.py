"""Edits of a JSON5 text, and its comments, which no edit may lose without saying so."""

from __future__ import annotations

import re
from bisect import bisect_right, insort_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

LINE_ENDS = "\n\r\u2028\u2029"
"""What ends a line, and with it a `//` comment."""

COMMENT = rf"//[^{LINE_ENDS}]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/"
STRING = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'"""

# Strings are matched together with comments, because each may hold what looks like the other.
_WORDS = re.compile(rf"(?:{STRING})|({COMMENT})", re.DOTALL)


class Span(NamedTuple):
    """Offsets of a part of a text."""

    start: int
    end: int


def comments_in(text: str, start: int = 0, end: int | None = None) -> tuple[Span, ...]:
    """Return where comments stand in `text[start:end]`, which begins outside of strings."""
    stop = len(text) if end is None else end
    return tuple(
        Span(*match.span()) for match in _WORDS.finditer(text, start, stop) if match[1] is not None
    )


def strip_words(text: str) -> str:
    """Return *text* without its strings and comments: the line ends left are those that count."""
    return _WORDS.sub("", text)


class Edit(NamedTuple):
    """Put *text* in the place of what stands from *start* to *end*."""

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Edits that belong together, and the spans whose comments they are meant to take away."""

    edits: tuple[Edit, ...] = ()
    removed: tuple[Span, ...] = ()


class ChangeSet:
    """Changes of one text that do not touch the same places."""

    def __init__(self) -> None:
        # The last in the text first: in this order they mostly come, and go to the end of the list.
        # Of those at one place the later one stands before the earlier.
        self._edits: list[Edit] = []
        self._removed: list[Span] = []

    def add(self, change: Change) -> None:
        """Take *change* in, unless it overlaps one that is in; it may come after those are done."""
        if not any(self._meets(edit) for edit in change.edits):
            for edit in change.edits:
                insort_left(self._edits, edit, key=_from_the_end)
            # Only here: what a postponed change takes away is still in the text, and must be
            # counted there.
            self._removed += change.removed

    def whole(self) -> Change:
        """Return all that was taken in as one change."""
        return Change(tuple(reversed(self._edits)), tuple(self._removed))

    def _meets(self, edit: Edit) -> bool:
        place = bisect_right(self._edits, _from_the_end(edit), key=_from_the_end)
        before, after = self._edits[place : place + 1], self._edits[max(place - 1, 0) : place]
        # Edits that only touch are kept apart by their order; two at one place have none.
        if any(each.end > edit.start for each in before):
            return True
        return any(each.start < edit.end or _place(each) == _place(edit) for each in after)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* after *edits*, whose offsets are all those of *text*."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=_place):
        parts += (text[position : edit.start], edit.text)
        position = edit.end
    return "".join([*parts, text[position:]])


def _place(edit: Edit) -> tuple[int, int]:
    return edit.start, edit.end


def _from_the_end(edit: Edit) -> tuple[int, int]:
    return -edit.start, -edit.end
