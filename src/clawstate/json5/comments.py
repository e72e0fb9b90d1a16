"""The comments of a JSON5 text, found without its tree: what a change may not lose."""

from __future__ import annotations

import re
from typing import NamedTuple

LINE_ENDS = "\n\r\u2028\u2029"
"""What ends a line, and with it a `//` comment."""

COMMENT = rf"//[^{LINE_ENDS}]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/"
STRING = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'"""

_WORDS = re.compile(rf"(?:{STRING})|({COMMENT})", re.DOTALL)


class Span(NamedTuple):
    """Offsets of a part of a text."""

    start: int
    end: int


def comments_in(text: str, start: int = 0, end: int | None = None) -> tuple[Span, ...]:
    """Return where comments stand in `text[start:end]`, which begins outside of strings."""
    stop = len(text) if end is None else end
    return tuple(
        Span(*match.span()) for match in _WORDS.finditer(text, start, stop) if match[1] is not None
    )


def without_words(text: str) -> str:
    """Return *text* without its strings and comments: the line ends left are those that count."""
    return _WORDS.sub("", text)
