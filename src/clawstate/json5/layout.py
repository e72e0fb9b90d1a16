"""The layout of a JSON5 text: on which lines an item stands, and which comments belong to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clawstate.json5.edits import COMMENT, LINE_ENDS
from clawstate.json5.parse import Item, Node

_BLANKS = (
    "\t\v\f \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000\ufeff"
)
_BLANK_RUN = re.compile(f"[{_BLANKS}]*+")
_REST_OF_LINE = re.compile(rf"[{_BLANKS}]*+(?:\r\n?|[\n\u2028\u2029])")
_LINE_END = re.compile(f"[{LINE_ENDS}]")
_PIECES = re.compile(rf"(?P<comment>{COMMENT})|[{LINE_ENDS}]")


@dataclass(frozen=True, slots=True)
class Slot:
    """
    An item with what belongs to it: the comments beside it, from *start* to *end*.

    Before it stands what ends at *floor*, behind it what begins at *ceiling*; both are a bracket
    or another item with its comma. *tail* is behind the comma and the comments after that.
    *lead* is the comma before the item where commas begin the lines. The item has its *own_line*
    if nothing but that stands before it there; its own comma is *comma_near* if it is on the line
    where the item ends. Comments on lines of their own belong to no item.
    """

    item: Item
    floor: int
    start: int
    end: int
    tail: int
    ceiling: int
    lead: int | None
    own_line: bool
    comma_near: bool


def slot_of(text: str, container: Node, index: int) -> Slot:
    """Return the slot of the item that *container* holds at *index*."""
    items = container.items
    item = items[index]
    last = index == len(items) - 1
    floor = container.start + 1 if index == 0 else _behind_comma(items[index - 1])
    ceiling = container.end - 1 if last else items[index + 1].start
    start = _leading_start(text, floor, item.start)
    end = trailing_end(text, item.end, ceiling if item.comma is None else item.comma, closed=True)
    # The first item of all has no comma before it, also where commas begin the lines.
    lead = _lead(text, items[index - 1], start) if index else None
    behind = _behind_comma(item)
    return Slot(
        item=item,
        floor=floor,
        start=start,
        end=end,
        tail=max(end, trailing_end(text, behind, ceiling, closed=last)),
        ceiling=ceiling,
        lead=lead,
        own_line=lead is not None or line_begin(text, floor, start) is not None,
        comma_near=item.comma is not None and not has_line_end(text, end, item.comma),
    )


def trailing_end(text: str, start: int, ceiling: int, *, closed: bool) -> int:
    """
    Return where the comments that follow *start* on its line end, or *start*.

    If the line goes on at *ceiling*, they belong to what stands there, unless it is *closed*:
    a bracket or the own comma.
    """
    end = start
    for match in _PIECES.finditer(text, start, ceiling):
        if match["comment"] is None:
            return end
        end = match.end()
    return end if closed else start


def line_begin(text: str, floor: int, position: int) -> int | None:
    """Return where the line of *position* begins, if only blanks stand there behind *floor*."""
    start = blanks_start(text, floor, position)
    return start if start > floor and text[start - 1] in LINE_ENDS else None


def line_finish(text: str, position: int) -> int | None:
    """Return where the next line begins, if only blanks stand before it from *position* on."""
    match = _REST_OF_LINE.match(text, position)
    return match.end() if match else None


def indent_at(text: str, position: int) -> str:
    """Return the blanks that begin the line of *position*."""
    start = max(text.rfind(end, 0, position) for end in LINE_ENDS) + 1
    # The mark stands before the first line and is no part of its indent.
    start += text.startswith("\ufeff", start)
    return text[start : min(position, blanks_end(text, start))]


def has_line_end(text: str, start: int, end: int) -> bool:
    """Tell whether `text[start:end]` holds a line end."""
    return _LINE_END.search(text, start, end) is not None


def is_blank(text: str, start: int, end: int) -> bool:
    """Tell whether `text[start:end]` holds only blanks, and no line end."""
    return _BLANK_RUN.fullmatch(text, start, end) is not None


def blanks_end(text: str, start: int) -> int:
    """Return where the blanks from *start* on end."""
    match = _BLANK_RUN.match(text, start)
    return match.end() if match else start


def blanks_start(text: str, floor: int, end: int) -> int:
    """Return where the blanks before *end*, but behind *floor*, begin."""
    while end > floor and text[end - 1] in _BLANKS:
        end -= 1
    return end


def _leading_start(text: str, floor: int, position: int) -> int:
    """Return where the comments begin that stand before *position*, whole, on its line."""
    start = position
    for match in _PIECES.finditer(text, floor, position):
        # A comment over several lines is about more than what follows it on its last one.
        if match["comment"] is None or _LINE_END.search(match[0]):
            start = position
        elif start == position:
            start = match.start()
    return start


def _lead(text: str, before: Item, start: int) -> int | None:
    comma = before.comma
    if comma is None or not is_blank(text, comma + 1, start):
        return None
    return comma if line_begin(text, before.end, comma) is not None else None


def _behind_comma(item: Item) -> int:
    return item.end if item.comma is None else item.comma + 1
