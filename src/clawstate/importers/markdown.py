"""Markdown as passages: sections under their headings, blocks kept whole where they fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clawstate.importers.front_matter import without_front_matter
from clawstate.importers.lines import TextLine
from clawstate.importers.packing import Block, BlockBuilder, pack
from clawstate.importers.passages import Item, Passage
from clawstate.importers.plain_text import read_running_text
from clawstate.importers.splitting import Pauses

# CommonMark 0.31, sections 4.2 (headings), 4.3 (underlined headings), 4.5 (fences), 5.2 (lists).
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}([=-])\1*[ \t]*$")
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})")
_LIST_MARKER = re.compile(r" {0,3}([-+*]|\d{1,9}[.)])(?:[ \t]|$)")
_RULE_MARKS = {"-", "*", "_"}
_VERBATIM_STARTS = {"`", "~", "<"}
_RAW_HTML = {
    "<!--": "-->",
    "<pre": "</pre>",
    "<script": "</script>",
    "<style": "</style>",
    "<textarea": "</textarea>",
}


def read_markdown(path: Path) -> Iterator[Item]:
    """
    Yield the passages of the Markdown file *path*, which keep its lines as they are.

    Every passage has what the front matter says, whose title stands above all headings. Raises
    `UnavailableError` when the file cannot be opened.
    """
    return read_running_text(path, _passages)


def _passages(lines: Iterator[TextLine]) -> Iterator[Passage]:
    front, rest = without_front_matter(lines)
    for position, piece in enumerate(pack(markdown_blocks(rest), root=front.title)):
        yield Passage(
            piece.text,
            piece.start_line,
            piece.end_line,
            heading=piece.heading,
            title=front.title or None,
            headings=piece.headings,
            names=front.names,
            position=position,
            created_at=front.created_at,
            tags=front.tags,
            metadata=front.metadata,
        )


def markdown_blocks(lines: Iterator[TextLine]) -> Iterator[Block]:
    """
    Yield the blocks that *lines* form: headings, paragraphs, lists, tables, fences, comments.

    Inside of a fence or a comment nothing else is recognised. A list goes on over blank lines.
    """
    scanner = _Scanner()
    for number, text in lines:
        yield from scanner.feed(number, text)
    yield from scanner.close()


class _Kind(Enum):
    PROSE = Pauses.PROSE
    LIST = Pauses.ITEMS
    LINES = Pauses.LINES


@dataclass(frozen=True, slots=True)
class _Verbatim:
    """A stretch that lasts until *end*: the marker of a fence, or the end of a comment."""

    end: str
    is_fence: bool = False
    in_list: bool = False

    def ends_with(self, text: str) -> bool:
        if not self.is_fence:
            return self.end in text.lower()
        marker = text.strip()
        is_marker = marker.startswith(self.end) and not marker.strip(self.end[0])
        return is_marker and (self.in_list or _indent(text) <= 3)

    def ends_before(self, text: str) -> bool:
        # A fence within a list item ends with the item (CommonMark 0.31, section 4.5).
        return self.in_list and bool(text.strip()) and not text[0].isspace()


class _Scanner:
    def __init__(self) -> None:
        self._builder = BlockBuilder()
        self._kind = _Kind.PROSE
        self._verbatim: _Verbatim | None = None
        self._after_blank = False

    def feed(self, number: int, text: str) -> Iterator[Block]:
        if self._verbatim and not self._verbatim.ends_before(text):
            yield from self._feed_verbatim(self._verbatim, number, text)
        elif text.strip():
            self._verbatim = None
            yield from self._feed_filled(number, text)
        # A blank line does not end a list: its items may hold several paragraphs (section 5.2).
        elif self._in(_Kind.LIST):
            self._after_blank = True
            yield from self._add(number, text)
        else:
            yield from self.close()
            self._builder.add_blank(text)

    def close(self, *, level: int = 0, title: str = "") -> Iterator[Block]:
        yield from self._builder.close(pauses=self._kind.value, level=level, title=title)
        self._kind, self._after_blank = _Kind.PROSE, False

    def _feed_verbatim(self, verbatim: _Verbatim, number: int, text: str) -> Iterator[Block]:
        yield from self._add(number, text)
        if verbatim.ends_with(text):
            self._verbatim = None
            if not verbatim.in_list:
                yield from self.close()

    def _feed_filled(self, number: int, text: str) -> Iterator[Block]:
        if self._in(_Kind.LIST):
            if self._is_list_content(text):
                yield from self._add(number, text)
                self._open_in_item(text)
                return
            yield from self.close()
        # Only behind a paragraph; elsewhere the same line is a rule.
        if self._in(_Kind.PROSE) and (underline := _UNDERLINE.match(text)):
            title = " ".join(self._builder.lines)
            yield from self._add(number, text)
            yield from self.close(level=1 if underline.group(1) == "=" else 2, title=title)
        else:
            yield from self._feed_start(number, text)

    def _feed_start(self, number: int, text: str) -> Iterator[Block]:
        if heading := _HEADING.match(text):
            yield from self.close()
            yield from self._add(number, text)
            yield from self.close(level=len(heading.group(1)), title=_title(text))
        elif _is_rule(text):
            yield from self._start(_Kind.LINES, number, text)
            yield from self.close()
        elif opened := _verbatim_start(text) if _indent(text) <= 3 else None:
            yield from self._start(_Kind.LINES, number, text)
            self._verbatim = opened
        elif (kind := self._kind_of_start(text)) is None:
            yield from self._add(number, text)
        else:
            yield from self._start(kind, number, text)
            if kind is _Kind.LIST:
                self._open_in_item(text)

    def _kind_of_start(self, text: str) -> _Kind | None:
        """Return the kind of block that *text* begins, None where it continues the present one."""
        fresh = not self._builder.lines
        # Four spaces make indented code, but a paragraph goes on over them (section 4.4).
        if _indent(text) > 3:
            return _Kind.LINES if fresh else None
        marker = _LIST_MARKER.match(text)
        if marker and (fresh or self._kind is not _Kind.PROSE or _interrupts(marker, text)):
            return _Kind.LIST
        if text.lstrip()[0] in ">|<":
            return _Kind.LINES if fresh or self._kind is _Kind.PROSE else None
        if fresh:
            return _Kind.PROSE
        # A table is known by its second line; the first was taken for a paragraph until here.
        if self._kind is _Kind.PROSE and _is_table_rule(text):
            self._kind = _Kind.LINES
        return None

    def _start(self, kind: _Kind, number: int, text: str) -> Iterator[Block]:
        yield from self.close()
        self._kind = kind
        yield from self._add(number, text)

    def _add(self, number: int, text: str) -> Iterator[Block]:
        yield from self._builder.add(number, text, pauses=self._kind.value)

    def _open_in_item(self, text: str) -> None:
        marker = _LIST_MARKER.match(text)
        self._after_blank = False
        self._verbatim = _verbatim_start(text[marker.end() :] if marker else text, in_list=True)

    def _in(self, kind: _Kind) -> bool:
        return bool(self._builder.lines) and self._kind is kind

    def _is_list_content(self, text: str) -> bool:
        if _indent(text) >= 2:
            return True
        if _is_rule(text) or _HEADING.match(text) or _verbatim_start(text):
            return False
        return not self._after_blank or _LIST_MARKER.match(text) is not None


def _verbatim_start(text: str, *, in_list: bool = False) -> _Verbatim | None:
    start = text.lstrip()
    if start[:1] not in _VERBATIM_STARTS:
        return None
    if fence := _FENCE.match(start):
        return _Verbatim(fence.group(1), is_fence=True, in_list=in_list)
    for opening, end in _RAW_HTML.items():
        if start[:9].lower().startswith(opening) and end not in start[len(opening) :].lower():
            return _Verbatim(end, in_list=in_list)
    return None


def _indent(text: str) -> int:
    spaces = len(text) - len(text.lstrip(" "))
    return 4 if text.startswith("\t", spaces) else spaces


def _title(text: str) -> str:
    title = text.strip().lstrip("#").strip()
    open_end = title.rstrip("#")
    # Closing marks count only behind a space: "C#" is a title.
    return open_end.rstrip() if not open_end or open_end[-1] in " \t" else title


def _interrupts(marker: re.Match[str], text: str) -> bool:
    # Section 5.2: "The year was\n1984." is no list, neither is a lone "-".
    return marker.group(1) in {"-", "+", "*", "1.", "1)"} and bool(text[marker.end() :].strip())


def _is_rule(text: str) -> bool:
    if text.lstrip(" ")[:1] not in _RULE_MARKS:
        return False
    # Bounded, since a line may have megabytes.
    marks = text[:1000].replace(" ", "").replace("\t", "")
    return _indent(text) <= 3 and len(marks) >= 3 and not marks.strip(marks[0])


def _is_table_rule(text: str) -> bool:
    return "|" in text and "-" in text and not text.strip(" \t|:-")
