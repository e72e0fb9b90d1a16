r"""
The `.env` file, read as the npm package `dotenv` reads it (version 16).

A value may stand in single, double or back quotes, over several lines; only double quotes know
`\n` and `\r`. Without quotes it ends at `#` or the end of the line. The last of equal names counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_BLANK = r"[ \t\f\v\xa0\ufeff]"
_START = re.compile(
    rf"\s*+(?:export{_BLANK}++)?(?P<name>[A-Za-z0-9_.-]++)(?:{_BLANK}*+=|:{_BLANK}){_BLANK}*+"
)
_IDLE = re.compile(rf"{_BLANK}*+(?:#[^\n]*+)?(?:\n|\Z)")
_REST = re.compile(r"[^\n]*+(?:\n|\Z)")
_PLAIN = re.compile(r"[^#\n]*+")
_QUOTED = {
    quote: re.compile(
        rf"{quote}((?:\\{quote}|[^{quote}])*+){quote}{_BLANK}*+(?:#[^\n]*+)?(?:\n|\Z)"
    )
    for quote in "'\"`"
}


@dataclass(frozen=True, slots=True)
class DotEnv:
    """
    The variables of one file, and what is wrong with it: line numbers from 1, and a sentence.

    Neither the representation nor a sentence holds a value.
    """

    values: Mapping[str, str] = field(repr=False)
    problems: tuple[tuple[int, str], ...] = ()


def parse_dotenv(raw: bytes) -> DotEnv:
    """
    Return the variables of *raw*; lines that say nothing are reported, and the others still count.

    Bytes that are not UTF-8 are replaced, and reported too.
    """
    text = raw.decode("utf-8", errors="replace")
    reading = _Reading(text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    reading.run()
    if text.encode() != raw:
        line = text[: text.index("\ufffd")].count("\n") + 1
        reading.problems.append((line, "holds bytes that are not UTF-8"))
    return DotEnv(reading.values, tuple(reading.problems))


class _Reading:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self.values: dict[str, str] = {}
        self.problems: list[tuple[int, str]] = []

    def run(self) -> None:
        while self._position < len(self._text):
            self._move(self._statement())

    def _statement(self) -> int:
        """Take in the next line, or several if a quote spans them, and return where it ends."""
        if idle := _IDLE.match(self._text, self._position):
            return idle.end()
        start = _START.match(self._text, self._position)
        if start is None:
            self.problems.append((self._line, "is not NAME=value"))
            return self._end_of_line(self._position)
        value, end = self._value(start.end())
        self.values[start["name"]] = value
        return end

    def _value(self, start: int) -> tuple[str, int]:
        quote = self._text[start : start + 1]
        quoted = _QUOTED[quote].match(self._text, start) if quote in _QUOTED else None
        if quoted is not None:
            return _unescape(quoted[1], quote), quoted.end()
        plain = self._plain(start)
        if quote in _QUOTED:
            plain = _unescape(self._strip_quotes(plain, quote), quote)
        return plain, self._end_of_line(start)

    def _plain(self, start: int) -> str:
        match = _PLAIN.match(self._text, start)
        return match[0].strip() if match else ""

    def _strip_quotes(self, plain: str, quote: str) -> str:
        if len(plain) > 1 and plain.endswith(quote):
            return plain[1:-1]
        self.problems.append((self._line, "begins with a quote that does not end"))
        return plain

    def _end_of_line(self, position: int) -> int:
        match = _REST.match(self._text, position)
        return match.end() if match else len(self._text)

    def _move(self, end: int) -> None:
        self._line += self._text.count("\n", self._position, end)
        self._position = end


def _unescape(value: str, quote: str) -> str:
    return value.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else value
