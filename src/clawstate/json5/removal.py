"""
How an item leaves a JSON5 text: with its comma and the comments beside it.

Comments on lines of their own stay, and of the lines that the item filled nothing is left.
"""

from __future__ import annotations

from clawstate.json5.comments import Span, comments_in
from clawstate.json5.edits import Change, Edit
from clawstate.json5.layout import (
    Slot,
    blanks_end,
    blanks_start,
    has_line_end,
    is_blank,
    line_begin,
    line_finish,
    slot_of,
)
from clawstate.json5.parse import Node


def removal(text: str, container: Node, index: int) -> Change:
    """Return the change that takes the item at *index* out of *container*."""
    slot = slot_of(text, container, index)
    removed = _owned_comments(text, slot)
    inside = Span(container.start + 1, container.end - 1)
    if len(container.items) == 1 and comments_in(text, *inside) == removed:
        return Change((Edit(*inside),), removed)
    return Change(tuple(_cuts(text, container, index, slot)), removed)


def _owned_comments(text: str, slot: Slot) -> tuple[Span, ...]:
    comments = comments_in(text, slot.start, slot.end)
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
    if comments and text.startswith("//", comments[-1].start):
        return begin
    return _end_before(text, begin)


def _end_before(text: str, begin: int) -> int:
    return begin - (2 if text.startswith("\r\n", begin - 2) else 1)
