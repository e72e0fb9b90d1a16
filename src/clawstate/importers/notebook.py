"""Jupyter notebooks as passages: what was written in cells, and what these printed."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clawstate.errors import InvalidError
from clawstate.importers.blobs import Blobs
from clawstate.importers.front_matter import FrontMatter, without_front_matter
from clawstate.importers.lines import TextLine, open_regular
from clawstate.importers.markdown import markdown_blocks
from clawstate.importers.packing import Block, fence_lines, pack
from clawstate.importers.passages import Item, Passage, Problem
from clawstate.importers.splitting import Pauses
from clawstate.quantities import number_of

_LARGEST = 256 << 20  # bytes, pictures included
# Of what a cell printed the beginning tells what it is; the rest is mostly rows of data.
_MOST_LINES = 40
_LONGEST_LINE = 400
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_TEXTS = ("text/markdown", "text/plain", "text/latex")
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}")


def read_notebook(path: Path) -> Iterator[Item]:
    """
    Yield the passages of the notebook *path* (nbformat 2 to 4), each with the number of its cell.

    Markdown cells are read as Markdown, those of code as code, with the text that they printed up
    to 40 lines; pictures and other data are left out. Raises `UnavailableError` when the file
    cannot be opened.
    """
    with open_regular(path) as stream:
        data = stream.read(_LARGEST + 1)
    if not data.strip():
        return
    try:
        notebook = _Notebook(_parse(data))
    except InvalidError as error:
        yield Problem(path, None, error.problem)
        return
    blobs = Blobs()
    starts: list[int] = []
    blocks = notebook.blocks(blobs, starts)
    for position, piece in enumerate(pack(blocks, root=notebook.title)):
        front = notebook.front
        yield Passage(
            piece.text,
            heading=piece.heading,
            title=notebook.title or None,
            headings=piece.headings,
            names=front.names,
            position=position,
            created_at=front.created_at,
            tags=front.tags,
            metadata={**front.metadata, "cell": bisect_right(starts, piece.start_line)},
        )
    if notebook.cut:
        message = f"{number_of(notebook.cut, 'line')} of what cells printed left out"
        yield Problem(path, None, message, is_by_rule=True)
    if (left_out := blobs.describe()) is not None:
        yield Problem(path, None, left_out, is_by_rule=True)


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > _LARGEST:
        raise InvalidError("file", f"is larger than {_LARGEST >> 20} MiB; clear its outputs")
    try:
        # As lenient as Jupyter: charts hold NaN.
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidError("file", "is no notebook: it is not JSON, or cut off") from None
    if not isinstance(value, dict) or not isinstance(
        value.get("cells", value.get("worksheets")), list
    ):
        raise InvalidError("file", "is no notebook: it has no list of cells")
    return value


@dataclass(frozen=True, slots=True)
class _Cell:
    kind: str
    text: str
    language: str
    outputs: list[Any]


class _Notebook:
    """The cells of a notebook, and what stands above all of them."""

    def __init__(self, value: dict[str, Any]) -> None:
        metadata = _object(value.get("metadata"))
        self._language = _text(
            _object(metadata.get("language_info")).get("name")
            or _object(metadata.get("kernelspec")).get("language")
        )
        self._cells = list(self._read(value))
        self.front = FrontMatter()
        if self._cells:
            self.front, rest = without_front_matter(_lines(self._cells[0].text))
            if self.front != FrontMatter():
                text = "\n".join(line for _, line in rest)
                self._cells[0] = replace(self._cells[0], text=text)
        self.title = self.front.title or " ".join(_text(metadata.get("title")).split())
        self.cut = 0

    def blocks(self, blobs: Blobs, starts: list[int]) -> Iterator[Block]:
        """Yield the blocks, numbered as lines of one text; *starts* gets the first of each cell."""
        line = 1
        for cell in self._cells:
            starts.append(line)
            for block in self._blocks_of(cell, blobs):
                gap = block.gap or ("",) if line > 1 else ()
                first = line + len(gap)
                yield replace(block, first=first, gap=gap)
                line = first + len(block.lines)

    def _read(self, value: dict[str, Any]) -> Iterator[_Cell]:
        sheets = value.get("worksheets")
        found = [value.get("cells")]
        if isinstance(sheets, list):  # nbformat 3 and before
            found += [_object(each).get("cells") for each in sheets]
        for cells in found:
            for each in cells if isinstance(cells, list) else []:
                if isinstance(each, dict):
                    yield self._cell(each)

    def _cell(self, value: dict[str, Any]) -> _Cell:
        kind = _text(value.get("cell_type"))
        text = _text(value.get("source", value.get("input")))
        if kind == "heading":
            level = value.get("level")
            marks = "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1)
            text = f"{marks} {' '.join(text.split())}"
        outputs = value.get("outputs")
        language = _text(value.get("language")) or self._language
        return _Cell(kind, text, language, outputs if isinstance(outputs, list) else [])

    def _blocks_of(self, cell: _Cell, blobs: Blobs) -> Iterator[Block]:
        if cell.kind != "code":
            yield from markdown_blocks(_without_data(cell.text, blobs))
            return
        language = cell.language if _LANGUAGE.fullmatch(cell.language) else ""
        yield from _verbatim(cell.text, language, blobs)
        for output in cell.outputs:
            yield from _verbatim(self._shorten(_output_text(_object(output))), "", blobs)

    def _shorten(self, text: str) -> str:
        lines = text.split("\n")
        if len(lines) > _MOST_LINES:
            self.cut += len(lines) - _MOST_LINES
            lines = [*lines[:_MOST_LINES], "…"]
        return "\n".join(
            line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in lines
        )


def _verbatim(text: str, language: str, blobs: Blobs) -> Iterator[Block]:
    lines = [line for _, line in _without_data(text.strip("\n"), blobs)]
    if any(line.strip() for line in lines):
        yield Block(0, fence_lines(lines, language), pauses=Pauses.LINES)


def _output_text(output: dict[str, Any]) -> str:
    """Return the text of *output*; empty where it has none, as a picture."""
    kind = output.get("output_type")
    if kind in {"error", "pyerr"}:
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    data = _object(output.get("data"))
    found = [_text(data.get(name)) for name in _TEXTS]
    found += [_text(output.get(name)) for name in ("text", "latex")]
    text = next((each for each in found if each.strip()), "")
    # A bar of progress is written over and over on one line.
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _without_data(text: str, blobs: Blobs) -> Iterator[TextLine]:
    for line in blobs.leave_out(_lines(text)):
        if not isinstance(line, Problem):
            yield line


def _lines(text: str) -> Iterator[TextLine]:
    return enumerate(text.split("\n"), start=1)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    # Texts are lists of lines with their ends, or one text.
    parts = value if isinstance(value, list) else [value]
    text = "".join(each for each in parts if isinstance(each, str))
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\0", ""))
    return _HALF_PAIR.sub("\ufffd", text)
