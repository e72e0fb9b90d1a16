"""
How items come into a JSON5 text: laid out like those that are beside them.

They stand behind the item before them and the comments on its line, so that a comment on a line
of its own stays above the item that it is above now, or the last in its container.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clawstate.json5.comments import comments_in
from clawstate.json5.edits import Change, Edit
from clawstate.json5.layout import (
    Slot,
    blanks_end,
    has_line_end,
    indent_at,
    is_blank,
    line_finish,
    slot_of,
    trailing_end,
)
from clawstate.json5.parse import Node
from clawstate.json5.rendering import render_entry, render_value
from clawstate.json5.style import TextStyle

Entry = tuple[str | None, Any]
"""A key, or `None` in an array, and a value."""


def insertion(
    text: str,
    container: Node,
    index: int,
    entries: Sequence[Entry],
    style: TextStyle,
    *,
    spread: bool,
) -> Change:
    """
    Return the change that puts *entries* before the item at *index*, or at the end.

    An empty *container* takes several lines if *spread*.
    """
    task = _Insertion(text, container, index, entries, style)
    if not container.items:
        edits = task.into_empty(spread=spread)
    elif index == len(container.items):
        edits = task.at_end(slot_of(text, container, index - 1))
    else:
        edits = task.before(slot_of(text, container, index))
    return Change(tuple(edits))


@dataclass(frozen=True, slots=True)
class _Insertion:
    text: str
    container: Node
    index: int
    entries: Sequence[Entry]
    style: TextStyle

    def into_empty(self, *, spread: bool) -> list[Edit]:
        start, end = self.container.start + 1, self.container.end - 1
        comments = comments_in(self.text, start, end)
        outer = indent_at(self.text, self.container.start)
        if not comments:
            kind = self.container.kind
            value: Any = dict(self.entries) if kind == "object" else [v for _, v in self.entries]
            new = render_value(value, self.style, indent=outer, spread=spread)
            return [Edit(self.container.start, self.container.end, new)]
        last = "," if self.style.last_comma else ""
        return [self._lines_at(comments[-1].end, outer + self.style.indent, last)]

    def at_end(self, slot: Slot) -> list[Edit]:
        comma = slot.item.comma
        if comma is None and slot.lead is not None:
            return [self._comma_first_lines(slot, slot.lead)]
        if not slot.own_line and self._line_is_free(slot):
            return [self._within_line(slot)]
        inner = self._inner_indent(slot)
        if comma is not None:
            return [self._lines_at(slot.tail, inner, ",")]
        return [Edit(slot.item.end, slot.item.end, ","), self._lines_at(slot.end, inner, "")]

    def before(self, slot: Slot) -> list[Edit]:
        if slot.lead is not None:
            before = slot_of(self.text, self.container, self.index - 1)
            return [self._comma_first_lines(before, slot.lead, gap_of=slot)]
        if self.index == 0 and len(self.container.items) > 1:
            second = slot_of(self.text, self.container, 1)
            if second.lead is not None:
                return [self._first_of_comma_first(slot, second, second.lead)]
        if not slot.own_line:
            return [Edit(slot.start, slot.start, f"{self._beside(slot)},{self._gap()}")]
        inner = indent_at(self.text, slot.start)
        place = trailing_end(self.text, slot.floor, slot.start, closed=False)
        return [self._new_lines(place, self._lines(inner), ",")]

    def _lines_at(self, place: int, inner: str, last: str) -> Edit:
        """Put lines at *place*; the closing bracket comes on a line of its own."""
        closing = self.container.end - 1
        lines = self._lines(inner)
        own = self.container.items and slot_of(self.text, self.container, self.index - 1).own_line
        if own or has_line_end(self.text, place, closing):
            return self._new_lines(place, lines, last)
        outer = indent_at(self.text, self.container.start)
        return Edit(
            place, closing, self.style.line_end + lines + last + self.style.line_end + outer
        )

    def _new_lines(self, place: int, lines: str, last: str = "") -> Edit:
        """Put *lines* behind the line of *place*, which ends as it did, and they as it does."""
        line_end = self.style.line_end
        finish = line_finish(self.text, place)
        if finish is not None:
            place = blanks_end(self.text, place)
            line_end = self.text[place:finish]
        return Edit(place, place, line_end + lines + last)

    def _lines(self, inner: str) -> str:
        between = f",{self.style.line_end}{inner}"
        return inner + between.join(self._rendered(inner, spread=True))

    def _comma_first_lines(self, before: Slot, lead: int, gap_of: Slot | None = None) -> Edit:
        indent = indent_at(self.text, lead)
        gap = self.text[lead + 1 : (gap_of or before).start]
        line = f"{indent},{gap}"
        between = self.style.line_end + line
        lines = line + between.join(self._rendered(indent, spread=True))
        return self._new_lines(before.end, lines)

    def _first_of_comma_first(self, slot: Slot, second: Slot, lead: int) -> Edit:
        indent = indent_at(self.text, lead)
        line = f"{self.style.line_end}{indent},{self.text[lead + 1 : second.start]}"
        new = line.join([*self._rendered(indent, spread=True), ""])
        return Edit(slot.start, slot.start, new)

    def _line_is_free(self, slot: Slot) -> bool:
        """Tell whether an item can follow on the line, without taking a comment to itself."""
        if slot.item.comma is not None:
            return not comments_in(self.text, slot.item.comma, slot.tail)
        beside = self.text[slot.item.end : slot.end]
        return "//" not in beside and not has_line_end(beside, 0, len(beside))

    def _within_line(self, slot: Slot) -> Edit:
        new = self._beside(slot)
        if slot.item.comma is None:
            return Edit(slot.end, slot.end, f",{self._gap()}{new}")
        return Edit(slot.tail, slot.tail, f"{self._gap()}{new},")

    def _beside(self, slot: Slot) -> str:
        """Return the items for the line of another, and on several lines if that is."""
        spread = has_line_end(self.text, slot.item.start, slot.item.end)
        indent = indent_at(self.text, slot.item.end)
        return f",{self._gap()}".join(self._rendered(indent, spread=spread))

    def _inner_indent(self, slot: Slot) -> str:
        if slot.own_line:
            return indent_at(self.text, slot.start)
        return indent_at(self.text, self.container.start) + self.style.indent

    def _gap(self) -> str:
        """Return what stands behind the commas of this container, or of the whole text."""
        for before, after in zip(self.container.items, self.container.items[1:], strict=False):
            if before.comma is not None and is_blank(self.text, before.comma + 1, after.start):
                return self.text[before.comma + 1 : after.start]
        return self.style.gap

    def _rendered(self, indent: str, *, spread: bool) -> list[str]:
        return [
            render_entry(key, value, self.style, indent=indent, spread=spread)
            for key, value in self.entries
        ]
