"""PDF files as passages: the text of each page, read by a process that is held within bounds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from clawstate.importers import pdf_child
from clawstate.importers.json_values import moment_or_none
from clawstate.importers.lines import count_bytes, open_regular
from clawstate.importers.passages import Item, Json, Passage, Problem
from clawstate.importers.pdf_library import INSTALL, can_read_pdf
from clawstate.importers.plain_text import text_pieces

_SECONDS = (20, 300)  # of computing: for a page, and for all
_PATIENCE = 400.0  # seconds, within the lease of an import; a disk may hang
_SHOWN = 10
_HYPHEN = re.compile(r"(?<=[^\W\d_])(?:\u00ad|[-\u2010](?=\n[^\W\d_]))\n")
# What programs write where a person gave no title.
_NO_TITLE = re.compile(
    r"(?:untitled|microsoft|powerpoint|document|slide|print|about:)\b.*|[^\s]*\.\w{2,5}|\W*",
    re.IGNORECASE,
)


def read_pdf(path: Path) -> Iterator[Item]:
    """
    Yield the passages of the PDF *path*, each with the number of its page.

    Marks of the PDF are the headings of the pages below them. A page that is damaged, or takes too
    much time or memory, is a problem, and the others are read; so is a file that is encrypted, or
    holds pictures of pages alone. Raises `UnavailableError` when the file cannot be opened.
    """
    if not can_read_pdf():
        yield Problem(path, None, f"is a PDF, which needs a library to be read: {INSTALL}")
        return
    with open_regular(path) as stream:
        told = _ask(stream)
    yield from _Reading(path).items(told)


def _ask(stream: BinaryIO) -> list[dict[str, Any]]:
    # `-P`: beside the program lie modules with names of the standard library.
    command = [sys.executable, "-P", pdf_child.__file__, *map(str, _SECONDS)]
    try:
        if isinstance(stream, BytesIO):  # less than a megabyte, which was read already
            return _ask_of_bytes(command, stream.read())
        return _ask_of_file(command, stream.fileno())
    except OSError:
        return [{"error": "cannot be read: no Python can be started"}]


def _ask_of_bytes(command: list[str], data: bytes) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(  # noqa: S603 - nothing of the file is in its arguments
            command, input=data, capture_output=True, timeout=_PATIENCE, check=False
        )
        output = done.stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    # The last line may be cut off.
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def _ask_of_file(command: list[str], descriptor: int) -> list[dict[str, Any]]:
    answers = []
    size, pages = os.fstat(descriptor).st_size, 1
    with subprocess.Popen(  # noqa: S603 - as above
        command, stdin=descriptor, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        timer = threading.Timer(_PATIENCE, child.kill)
        timer.start()
        try:
            for line in child.stdout or ():
                if line.endswith(b"\n"):
                    answers.append(json.loads(line))
                    pages = answers[0].get("pages", 1) or 1
                    # A book takes a minute, of which somebody wants to see how much is over.
                    count_bytes(size // pages if "page" in answers[-1] else 0)
        finally:
            timer.cancel()
            child.kill()
    return answers


class _Reading:
    """What is known of the file at hand."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._title = ""
        self._metadata: dict[str, Json] = {}
        self._created_at: float | None = None
        self._position = 0
        self._problems: dict[str, list[int]] = {}
        self._pictures: list[int] = []

    def items(self, told: Iterable[Mapping[str, Any]]) -> Iterator[Item]:
        """Yield what comes of all that the child *told*."""
        page = 0
        error = f"could not be read to its end within {_PATIENCE:.0f} seconds, or was too much"
        for each in told:
            if "error" in each:
                error = str(each["error"])
                break
            if "end" in each:
                error = ""
            elif "page" not in each:
                self._begin(each)
            else:
                page = each["page"]
                yield from self._page(page, each)
        for why, pages in self._problems.items():
            yield Problem(self._path, None, f"{_list_pages(pages)} {why}")
        if self._pictures and not self._position:
            message = "holds pictures of text alone; recognise it (OCR), and import it again"
            yield Problem(self._path, None, message, is_by_rule=True)
        elif self._pictures:
            message = f"{_list_pages(self._pictures)} holds a picture and no text"
            yield Problem(self._path, None, message, is_by_rule=True)
        if error:
            yield Problem(self._path, None, error if not page else f"{error} (after page {page})")

    def _begin(self, told: Mapping[str, Any]) -> None:
        title = " ".join(str(told.get("title", "")).split())
        self._title = self._path.stem if _NO_TITLE.fullmatch(title) else title
        author = " ".join(str(told.get("author", "")).split())
        self._metadata = {"author": author} if author else {}
        self._created_at = moment_or_none(told.get("creation_date"))

    def _page(self, number: int, told: Mapping[str, Any]) -> Iterator[Passage]:
        if "problem" in told:
            self._problems.setdefault(told["problem"], []).append(number)
        elif told.get("is_picture"):
            self._pictures.append(number)
        headings = tuple(told.get("headings", ()))
        for text in text_pieces(_tidy(told.get("text", ""))):
            if not text:
                continue
            yield Passage(
                text,
                heading=" > ".join((self._title, *headings)),
                title=self._title,
                headings=headings,
                position=self._position,
                created_at=self._created_at,
                metadata={**self._metadata, "page": number},
            )
            self._position += 1


def _tidy(text: str) -> str:
    """Return the *text* of a page without its outer space, and words whole that lines part."""
    lines = (line.strip() for line in text.replace("\r", "\n").split("\n"))
    return _HYPHEN.sub("", "\n".join(lines)).strip()


def _list_pages(pages: list[int]) -> str:
    shown = ", ".join(map(str, pages[:_SHOWN]))
    more = f" and {len(pages) - _SHOWN:,} more" if len(pages) > _SHOWN else ""
    return f"page {shown}{more}" if len(pages) == 1 else f"each of the pages {shown}{more}"
