"""The running text of a page, as the blocks that a reader sees."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from clawstate.importers.html_tokens import Start
from clawstate.importers.packing import Block, fence_lines
from clawstate.importers.splitting import Pauses

_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = {"dir", "menu", "ol", "ul", "dl"}
_ITEMS = {"dd", "dt", "li"}
_CELLS = {"td", "th"}
_VERBATIM = {"listing", "plaintext", "pre", "xmp"}
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "details"),
        *("dialog", "div", "fieldset", "figcaption", "figure", "footer", "form", "head", "header"),
        *("hgroup", "hr", "html", "legend", "main", "nav", "optgroup", "option", "p", "search"),
        *("section", "summary", "textarea", "title"),
        *_HEADINGS,
        *_LISTS,
        *_ITEMS,
        *_VERBATIM,
        *("colgroup", "table", "tbody", "tfoot", "thead", "tr", "td", "th"),
    }
)
# Within a cell these make of the table what old pages used tables for: a way to place things.
_PLACED = frozenset({"table", *_HEADINGS, *_VERBATIM})
_MARKS_OF_LINKS = {"#", "¶", "§", "🔗"}
_LONGEST_BLOCK = 64 * 1024  # characters; what is longer is cut in any case
_DEEPEST = 8  # lists within lists that are set in


@dataclass(slots=True)
class _Table:
    """A table that is read; *cells* are those of its present row."""

    cells: list[str] = field(default_factory=list)
    rows: int = 0
    has_heads: bool = False
    is_layout: bool = False
    in_cell: bool = False


class Flow:
    """The blocks so far, and the line and the list that are being read."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._words: list[str] = []
        self._lines: list[str] = []
        self._level = 0
        self._quotes = 0
        self._verbatim: list[str] | None = None
        self._lists: list[int | None] = []
        self._marker = ""
        self._items: list[str] = []
        self._rows: list[str] = []
        self._size = 0
        self._tables: list[_Table] = []
        self._link_at: int | None = None

    def add_text(self, text: str) -> None:
        """Take text as it stands in the source."""
        if self._verbatim is not None:
            self._verbatim.append(text)
        else:
            self._words.append(text)

    def start(self, tag: Start) -> None:
        """Take the tag that begins an element."""
        name = tag.name
        if name in _BLOCKS:
            self._start_block(name)
        elif name == "br":
            self._break_line()
        elif name == "img":
            self.add_text(f" {tag.attributes.get('alt', '')} ")
        elif name == "a":
            self._link_at = len(self._words)
        elif name == "rt":
            self.add_text("(")
        elif name == "input" and tag.attributes.get("type", "").lower() == "checkbox":
            self.add_text("[x] " if "checked" in tag.attributes else "[ ] ")

    def end(self, name: str) -> None:
        """Take the end of an element, whether it has a tag or not."""
        if name in _BLOCKS:
            self._end_block(name)
        elif name == "a" and self._link_at is not None:
            # Documentation puts a mark behind each heading that leads to itself.
            if "".join(self._words[self._link_at :]).strip() in _MARKS_OF_LINKS:
                del self._words[self._link_at :]
            self._link_at = None
        elif name == "rt":
            self.add_text(")")

    def close(self) -> None:
        """Take the end of the text."""
        self._end_verbatim()
        self._flush()
        while self._tables:
            self._end_row()
            self._tables.pop()
        self._end_items()
        self._end_rows()

    def take(self, blocks: Iterable[Block]) -> int:
        """Take *blocks* that were read apart, and return the place of the first one."""
        self._flush()
        self._end_items()
        self._end_rows()
        first = len(self.blocks)
        self.blocks.extend(blocks)
        return first

    @property
    def _cell(self) -> _Table | None:
        table = self._tables[-1] if self._tables else None
        return table if table is not None and table.in_cell and not table.is_layout else None

    def _start_block(self, name: str) -> None:
        if (table := self._cell) is not None:
            if name in _PLACED:
                self._place(table)
            elif name not in _CELLS and name not in {"tr", "tbody", "tfoot", "thead"}:
                self.add_text(" ")
                return
        self._flush()
        if name in _HEADINGS:
            self._level = _HEADINGS[name]
        elif name in _VERBATIM:
            self._verbatim = self._verbatim or []
        elif name == "blockquote":
            self._quotes += 1
        elif name in _ITEMS:
            self._begin_item(name)
        else:
            self._start_group(name)

    def _start_group(self, name: str) -> None:
        if name in _LISTS:
            self._lists.append(0 if name == "ol" else None)
        elif name == "table":
            self._end_items()
            self._end_rows()
            self._tables.append(_Table())
        elif self._tables:
            self._start_in_table(self._tables[-1], name)

    def _end_block(self, name: str) -> None:
        if name in _VERBATIM:
            self._end_verbatim()
            return
        if self._cell is not None and name not in _CELLS and name not in {"table", "tr"}:
            self.add_text(" ")
            return
        self._flush()
        if name in _HEADINGS:
            self._level = 0
        elif name == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif name in _LISTS and self._lists:
            self._lists.pop()
            self._marker = ""
            if not self._lists:
                self._end_items()
        elif name in _ITEMS:
            self._marker = ""
        elif self._tables and name in {"table", "tr", *_CELLS}:
            self._end_in_table(self._tables[-1], name)

    def _begin_item(self, name: str) -> None:
        depth = min(max(len(self._lists) - 1, 0), _DEEPEST)
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        mark = "  " if name == "dd" else f"{number + 1}. " if number is not None else "- "
        self._marker = f"{'  ' * depth}{mark}"

    def _start_in_table(self, table: _Table, name: str) -> None:
        if name in _CELLS:
            self._end_cell(table)
            table.in_cell = True
            table.has_heads = table.has_heads or (name == "th" and not table.rows)
        elif name in {"tr", "tbody", "tfoot", "thead"}:
            self._end_row()

    def _end_in_table(self, table: _Table, name: str) -> None:
        if name in _CELLS:
            self._end_cell(table)
        else:
            self._end_row()
        if name == "table":
            self._end_rows()
            self._tables.pop()

    def _end_cell(self, table: _Table) -> None:
        if table.in_cell and not table.is_layout:
            table.cells.append(self._line())
        table.in_cell = False

    def _end_row(self) -> None:
        table = self._tables[-1]
        self._end_cell(table)
        cells, table.cells = table.cells, []
        if not any(cells):
            return
        if len(cells) == 1:
            self._add_row(cells[0])
        else:
            self._add_row(f"| {' | '.join(cells)} |")
            if table.has_heads and not table.rows:
                self._add_row(f"|{' --- |' * len(cells)}")
        table.rows += 1

    def _place(self, table: _Table) -> None:
        """Give what is in *table* as running text: it is there to place things."""
        table.is_layout = True
        self._end_rows()
        cells, table.cells = table.cells, []
        words, self._words = self._words, []
        for cell in cells:
            self._add_paragraph([cell] if cell else [])
        self._words = words

    def _add_row(self, row: str) -> None:
        self._rows.append(row)
        self._size += len(row)
        if self._size > _LONGEST_BLOCK:
            self._end_rows()

    def _end_rows(self) -> None:
        rows, self._rows, self._size = self._rows, [], 0
        if rows:
            self.blocks.append(Block(0, tuple(rows), pauses=Pauses.LINES))

    def _end_items(self) -> None:
        items, self._items, self._size = self._items, [], 0
        if items:
            self.blocks.append(Block(0, tuple(items), pauses=Pauses.ITEMS))

    def _end_verbatim(self) -> None:
        if self._verbatim is None:
            return
        text, self._verbatim = "".join(self._verbatim), None
        lines = [
            each.rstrip() for each in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        ]
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            lines.pop()
        if lines:
            self._end_items()
            self._end_rows()
            self.blocks.append(Block(0, fence_lines(lines), pauses=Pauses.LINES))

    def _break_line(self) -> None:
        if self._verbatim is not None:
            self._verbatim.append("\n")
        elif self._cell is not None:
            self.add_text(" ")
        else:
            self._lines.append(self._line())

    def _line(self) -> str:
        words, self._words, self._link_at = self._words, [], None
        return _SPACE.sub(" ", "".join(words)).strip(" ")

    def _flush(self) -> None:
        """End the paragraph, the heading or the line of a list."""
        if self._cell is not None:
            return
        self._lines.append(self._line())
        lines, self._lines = self._lines, []
        self._add_paragraph([each for each in lines if each])

    def _add_paragraph(self, lines: list[str]) -> None:
        if not lines:
            return
        if self._level:
            title = " ".join(lines)
            self._end_items()
            self._end_rows()
            block = Block(0, (f"{'#' * self._level} {title}",), level=self._level, title=title)
            self.blocks.append(block)
            self._level = 0
        elif self._lists or self._marker:
            self._add_item(lines)
        else:
            self._end_items()
            self._end_rows()
            quote = "> " * min(self._quotes, _DEEPEST)
            self.blocks.append(Block(0, tuple(f"{quote}{each}" for each in lines)))

    def _add_item(self, lines: list[str]) -> None:
        self._end_rows()
        marker = self._marker or "  " * min(len(self._lists), _DEEPEST)
        for line in lines:
            self._items.append(f"{marker}{line}")
            self._size += len(line)
            marker = self._marker = " " * len(marker)
        if self._size > _LONGEST_BLOCK:
            self._end_items()
