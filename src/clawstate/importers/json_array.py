"""Reading a JSON array of any length one element at a time."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO

from clawstate.errors import InvalidError

LONGEST_ELEMENT = 64 * 1024 * 1024
"""Characters above which an element is refused."""

_CHUNK = 1024 * 1024
# Everything up to the next bracket that stands in no string; possessive, so without backtracking.
_TO_BRACKET = re.compile(
    r'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL
)


def array_elements(stream: IO[bytes]) -> Iterator[str]:
    """
    Yield the text of each element of the array in *stream*; an object alone is one element.

    The elements are told apart by their brackets and not parsed, so that a damaged one leaves the
    others readable. What lies between two elements, if anything, comes as an element. Bytes that
    are not UTF-8 become lone surrogates. Raises `InvalidError`, after the elements before it,
    when there is no array, when it has no end, and at an element above `LONGEST_ELEMENT`.
    """
    splitter = _Splitter()
    for chunk in _decoded(stream):
        yield from splitter.feed(chunk)
        if splitter.is_complete:
            return
    if not splitter.is_complete:
        raise InvalidError("file", "the file ends in the middle; export it again")


def _decoded(stream: IO[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    while chunk := stream.read(_CHUNK):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


class _Splitter:
    """The part of the array that is not handed out yet, and how far it was scanned."""

    def __init__(self) -> None:
        self._buffer = ""
        self._start = 0
        self._at = 0
        self._depth = 0
        self._ground = -1
        self.is_complete = False

    def feed(self, chunk: str) -> Iterator[str]:
        self._buffer = self._buffer[self._start :] + chunk
        self._at, self._start = self._at - self._start, 0
        if self._ground < 0:
            self._begin()
        while not self.is_complete and (match := _TO_BRACKET.match(self._buffer, self._at)):
            self._at = match.end()
            if match.group(1) in "[{":
                yield from self._opened()
            else:
                yield from self._closed()
        if len(self._buffer) - self._start > LONGEST_ELEMENT:
            size = LONGEST_ELEMENT // (1024 * 1024)
            raise InvalidError("file", f"an entry is longer than {size} MiB; the rest was not read")

    def _begin(self) -> None:
        """Find out at which depth the elements lie: in an array, or one alone."""
        start = self._buffer.lstrip()[:1]
        if start and start not in "[{":
            raise InvalidError("file", "the file is not a JSON array; name an export")
        if start:
            self._ground = 1 if start == "[" else 0

    def _opened(self) -> Iterator[str]:
        if self._depth == self._ground:
            yield from self._taken(self._at - 1)
        self._depth += 1
        if self._depth == self._ground:
            self._start = self._at

    def _closed(self) -> Iterator[str]:
        self._depth -= 1
        if self._depth == self._ground:
            yield from self._taken(self._at)
            self.is_complete = self._ground == 0
        elif self._depth < self._ground:
            yield from self._taken(self._at - 1)
            self.is_complete = True

    def _taken(self, end: int) -> Iterator[str]:
        text = self._buffer[self._start : end].strip(" \t\r\n,")
        self._start = end
        if text:
            yield text
