"""Reading a file of running text: what Markdown and plain text have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from clawstate.importers.lines import TextLine, find_nul, text_lines
from clawstate.importers.passages import Item, Passage, Problem
from clawstate.importers.regular_file import open_regular

Cutter: TypeAlias = Callable[[Iterator[TextLine]], Iterator[Passage]]
"""Makes passages of numbered lines."""


def read_running_text(path: Path, cutter: Cutter) -> Iterator[Item]:
    """
    Yield the passages that *cutter* makes of *path*, and a problem for every damaged line.

    A file with a NUL byte is no text: it yields one problem and nothing else.
    """
    with open_regular(path) as stream:
        nul = find_nul(stream)
        if nul is not None:
            message = f"is binary (NUL at byte {nul}); if it is UTF-16 text, save it as UTF-8"
            yield Problem(path, None, message)
            return
        problems: list[Problem] = []
        for passage in cutter(_undamaged(text_lines(path, stream), problems)):
            yield from problems
            problems.clear()
            yield passage
        yield from problems


def _undamaged(lines: Iterator[TextLine | Problem], problems: list[Problem]) -> Iterator[TextLine]:
    for line in lines:
        if isinstance(line, Problem):
            problems.append(line)
        else:
            yield line
