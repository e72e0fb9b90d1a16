"""Edits: what is put in the place of which part of a text."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from clawstate.json5.comments import Span


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
        self._edits: list[Edit] = []
        self._removed: list[Span] = []

    def add(self, change: Change) -> None:
        """Take *change* in, unless it overlaps one that is in; it may come after those are done."""
        if not any(self._meets(edit) for edit in change.edits):
            for edit in change.edits:
                insort(self._edits, edit, key=_place)
            self._removed += change.removed

    def whole(self) -> Change:
        """Return all that was taken in as one change."""
        return Change(tuple(self._edits), tuple(self._removed))

    def _meets(self, edit: Edit) -> bool:
        place = bisect_left(self._edits, _place(edit), key=_place)
        before, after = self._edits[:place][-1:], self._edits[place : place + 1]
        if any(each.end > edit.start for each in before):
            return True
        return any(each.start < edit.end or _place(each) == _place(edit) for each in after)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* after *edits*, whose offsets are all those of *text*."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=_place):
        parts += (text[position : edit.start], edit.text)
        position = edit.end
    return "".join([*parts, text[position:]])


def _place(edit: Edit) -> tuple[int, int]:
    return edit.start, edit.end
