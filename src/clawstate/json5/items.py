"""
How items come into a JSON5 text and leave it.

New ones are laid out like those beside them: behind the item before them and the comments on its
line, so that a comment on a line of its own stays above the item that it is above now, or the last
in its container. An item goes with its comma and the comments beside it; comments on lines of their
own stay, and of the lines that the item filled nothing is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clawstate.json5.edits import Change, Edit, Span, comments_in
from clawstate.json5.layout import (
    Slot,
    blanks_end,
    blanks_start,
    has_line_end,
    indent_at,
    is_blank,
    line_begin,
    line_finish,
    slot_of,
    trailing_end,
)
from clawstate.json5.parse import Node
from clawstate.json5.style import TextStyle, render_entry, render_value

NewItem = tuple[str | None, Any]
"""A key, or `None` in an array, and a value."""


def insert_items(
    text: str,
    container: Node,
    index: int,
    entries: Sequence[NewItem],
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
    entries: Sequence[NewItem]
    style: TextStyle

    def into_empty(self, *, spread: bool) -> list[Edit]:
        start, end = self.container.start + 1, self.container.end - 1
        comments = comments_in(self.text, start, end)
        # Looked for only where it counts: many such containers may stand on one long line.
        outer = indent_at(self.text, self.container.start) if comments or spread else ""
        if not comments:
            kind = self.container.kind
            value: Any = dict(self.entries) if kind == "object" else [v for _, v in self.entries]
            new = render_value(value, self.style, indent=outer, spread=spread)
            return [Edit(self.container.start, self.container.end, new)]
        # Comments may be all that a container holds; what is new comes behind them.
        last = "," if self.style.last_comma else ""
        return [self._lines_at(comments[-1].end, outer + self.style.indent, last)]

    def at_end(self, slot: Slot) -> list[Edit]:
        comma = slot.item.comma
        # Commas begin the lines here: the new line begins with one as well, and the line before
        # ends as it did.
        if comma is None and slot.lead is not None:
            return [self._comma_first_lines(slot, slot.lead)]
        if not slot.own_line and self._line_is_free(slot):
            return [self._within_line(slot)]
        inner = self._inner_indent(slot)
        # A text with a comma behind its last item keeps one there.
        if comma is not None:
            return [self._lines_at(slot.tail, inner, ",")]
        # The comma comes right behind the item, and the new lines behind the comments beside it.
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
        # Behind the comments on the line of what is before: those belong to that.
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
        return inner + between.join(self._render(inner, spread=True))

    def _comma_first_lines(self, before: Slot, lead: int, gap_of: Slot | None = None) -> Edit:
        indent = indent_at(self.text, lead)
        gap = self.text[lead + 1 : (gap_of or before).start]
        line = f"{indent},{gap}"
        between = self.style.line_end + line
        lines = line + between.join(self._render(indent, spread=True))
        return self._new_lines(before.end, lines)

    def _first_of_comma_first(self, slot: Slot, second: Slot, lead: int) -> Edit:
        indent = indent_at(self.text, lead)
        line = f"{self.style.line_end}{indent},{self.text[lead + 1 : second.start]}"
        new = line.join([*self._render(indent, spread=True), ""])
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
        indent = indent_at(self.text, slot.item.end) if spread else ""
        return f",{self._gap()}".join(self._render(indent, spread=spread))

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

    def _render(self, indent: str, *, spread: bool) -> list[str]:
        return [
            render_entry(key, value, self.style, indent=indent, spread=spread)
            for key, value in self.entries
        ]


def remove_item(text: str, container: Node, index: int) -> Change:
    """Return the change that takes the item at *index* out of *container*."""
    slot = slot_of(text, container, index)
    removed = _owned_comments(text, slot)
    inside = Span(container.start + 1, container.end - 1)
    # Nothing else is in there: `{}` is left, and no empty lines between brackets.
    if len(container.items) == 1 and comments_in(text, *inside) == removed:
        return Change((Edit(*inside),), removed)
    return Change(tuple(_cuts(text, container, index, slot)), removed)


def _owned_comments(text: str, slot: Slot) -> tuple[Span, ...]:
    comments = comments_in(text, slot.start, slot.end)
    # A comment behind a comma on a line further down says nothing of this item.
    if slot.comma_near and slot.item.comma is not None:
        comments += comments_in(text, slot.item.comma, slot.tail)
    return comments


def _cuts(text: str, container: Node, index: int, slot: Slot) -> list[Edit]:
    items = container.items
    last = slot.ceiling == container.end - 1
    if slot.comma_near:
        return [_cut(text, slot, slot.start, slot.tail, last=last)]
    if slot.lead is not None:
        return [_cut(text, slot, slot.lead, slot.end, last=last, floor=items[index - 1].end)]
    if slot.item.comma is None:
        return _last_cuts(text, slot, items[index - 1].comma if index else None)
    following = container.end - 1 if last else slot_of(text, container, index + 1).start
    return _cuts_before_far_comma(text, slot, slot.item.comma, following, last=last)


def _last_cuts(text: str, slot: Slot, comma: int | None) -> list[Edit]:
    """Take away the last item, and *comma* before it, as the one before is the last now."""
    if comma is None:
        return [_cut(text, slot, slot.start, slot.end, last=True)]
    # On one line with nothing between: one cut takes the blanks as well.
    if is_blank(text, comma + 1, slot.start):
        return [Edit(comma, slot.end)]
    return [Edit(comma, comma + 1), _cut(text, slot, slot.start, slot.end, last=True)]


def _cuts_before_far_comma(
    text: str, slot: Slot, comma: int, following: int, *, last: bool
) -> list[Edit]:
    """Take away an item whose comma stands on a later line, maybe before the item *following*."""
    ends_line = has_line_end(text, comma, following)
    if not last and not ends_line and not comments_in(text, slot.end, comma):
        return [Edit(slot.start, following)]
    # The next item keeps its column.
    filler = "" if last or ends_line else " "
    item = _cut(text, slot, slot.start, slot.end, last=False)
    return [item, Edit(comma, comma + 1, filler)]


def _cut(
    text: str, slot: Slot, start: int, end: int, *, last: bool, floor: int | None = None
) -> Edit:
    """Take `text[start:end]` away with the lines that it fills, or with the blanks on one side."""
    floor = slot.floor if floor is None else floor
    begin, finish = line_begin(text, floor, start), line_finish(text, end)
    if begin is not None and finish is not None:
        return Edit(_without_second_gap(text, floor, begin, finish), finish)
    # The next item follows on this line, and moves to where this one began.
    if finish is None and not last:
        return Edit(start, blanks_end(text, end))
    if begin is not None and finish is None:
        return Edit(_line_before(text, floor, begin), end)
    return Edit(blanks_start(text, floor, start), end)


def _without_second_gap(text: str, floor: int, begin: int, finish: int) -> int:
    """Return where the blank line before *begin* begins, if one follows, or a closing bracket."""
    blank = line_begin(text, floor, _end_before(text, begin))
    follows = line_finish(text, finish) is not None or text[blanks_end(text, finish)] in "}]"
    return blank if blank is not None and follows else begin


def _line_before(text: str, floor: int, begin: int) -> int:
    """Return the end of the line before *begin*, unless what follows would become a comment."""
    comments = comments_in(text, floor, begin)
    # A bracket that came up behind a `//` comment would be a part of it.
    if comments and text.startswith("//", comments[-1].start):
        return begin
    return _end_before(text, begin)


def _end_before(text: str, begin: int) -> int:
    return begin - (2 if text.startswith("\r\n", begin - 2) else 1)
