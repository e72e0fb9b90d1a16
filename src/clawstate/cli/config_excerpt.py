"""Lines of a configuration to point at, without anything that may be a secret."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from clawstate.secret_rules import is_sensitive

_LINE_END = re.compile(r"\r\n?|\n")
_COMMENT = r"//[^\r\n]*+|/\*(?s:.*?)(?:\*/|\Z)"
_STRING = r""""(?:\\(?:\r\n|(?s:.))|[^"\\\r\n])*+"?+|'(?:\\(?:\r\n|(?s:.))|[^'\\\r\n])*+'?+"""
_LONG = re.compile(f"{_COMMENT}|{_STRING}")
_TOKEN = re.compile(
    rf"(?P<blank>\s++)|(?P<comment>{_COMMENT})|(?P<string>{_STRING})|(?P<mark>[{{}}\[\],:])"
    r"""|(?P<word>(?:(?!//|/\*)[^\s{}\[\],:"'])++)|(?P<rest>.)"""
)
_BEFORE_COLON = re.compile(rf"(?:\s++|{_COMMENT})*+:")
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_HARMLESS = re.compile(r"true|false|null|[+-]?[\d.]{1,5}|[\"']\$\{[A-Z_][A-Z0-9_]*\}[\"']")
_MARK = re.compile(r"[{,]")
_CUT = "…"
_NEAR = 500  # characters of a long line that are read before the place


class Excerpt(NamedTuple):
    """One line as it may be shown, and the offset in it that is meant."""

    line: str
    offset: int


class _Piece(NamedTuple):
    shown: str
    start: int
    is_whole: bool


class Excerpts:
    """
    The lines of *text*, which need not be JSON5.

    Keys, marks, short numbers and a lone `${NAME}` are shown; all other values and all comments are
    cut. A misspelt key hides what it was meant to be, so no path can tell that a value is harmless.
    """

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        ends = [match.span() for match in _LINE_END.finditer(self._text)]
        self._starts = [0, *(end for _, end in ends)]
        self._ends = [*(start for start, _ in ends), len(self._text)]
        self._long = [match.span() for match in _LONG.finditer(self._text)]

    def at(self, line: int, column: int, *, width: int) -> Excerpt | None:
        """Return the excerpt of up to *width* characters around a place counted from 1."""
        if not 1 <= line <= len(self._starts):
            return None
        start, end = self._starts[line - 1], self._ends[line - 1]
        target = min(start + column - 1, end)
        entry = self._entry(start, target)
        shown, offset = _CUT if entry > start else "", 0
        for piece in self._pieces(entry, end):
            if piece.start > target and len(shown) > offset + width:
                break
            if piece.start <= target:
                inside = target - piece.start if piece.is_whole else 0
                offset = len(shown) + min(inside, len(piece.shown))
            shown += piece.shown
        return _window(shown, offset, width)

    def _pieces(self, start: int, end: int) -> Iterator[_Piece]:
        # What comes first is no key of which we know that its number is harmless.
        key, before, position = "token", "\n", self._begin(start)
        if position > start:
            yield _Piece(_CUT, start, is_whole=False)
        while position < end:
            match = _TOKEN.match(self._text, position)
            assert match is not None  # noqa: S101 - `rest` takes any character
            kind, written = str(match.lastgroup), match[0][: end - position]
            is_key = before in "\n{," and self._names(match)
            if self._is_broken(kind, written, before, is_key=is_key):
                yield _Piece(_CUT, position, is_whole=False)
                return
            key = written.strip("\"'") if is_key else key
            is_whole = is_key or kind in {"blank", "mark"} or _is_harmless(written, key)
            yield _Piece(written if is_whole else _mask(kind), position, is_whole=is_whole)
            if kind not in {"blank", "comment"}:
                before = "k" if is_key else written if kind == "mark" else "v"
            position = match.end()

    def _entry(self, start: int, target: int) -> int:
        """Return where to begin to read a line: of a long one, only what is near *target*."""
        if target - start <= _NEAR:
            return start
        marks = [match.end() for match in _MARK.finditer(self._text, target - _NEAR, target)]
        return next((each for each in reversed(marks) if self._begin(each) == each), target)

    def _begin(self, start: int) -> int:
        """Return where the string or comment ends that goes on at *start*, else *start*."""
        index = bisect_left(self._long, (start, 0)) - 1
        return max(start, self._long[index][1]) if index >= 0 else start

    def _names(self, match: re.Match[str]) -> bool:
        is_name = match["string"] is not None or (
            match["word"] is not None and _NAME.fullmatch(match[0]) is not None
        )
        return is_name and _BEFORE_COLON.match(self._text, match.end()) is not None

    def _is_broken(self, kind: str, written: str, before: str, *, is_key: bool) -> bool:
        """Tell whether the line is no JSON5 from here: then nothing tells keys from values."""
        if kind == "string":
            return len(written) < 2 or written[-1] != written[0]
        if kind == "mark":
            return written == ":" and before != "k"
        return kind == "rest" or (kind == "word" and not is_key and not _is_value(written))


def _is_value(word: str) -> bool:
    return (
        word in {"true", "false", "null"} or re.fullmatch(r"[+-]?[\d.][\w.+-]*", word) is not None
    )


def _is_harmless(written: str, key: str) -> bool:
    if written.startswith(('"', "'")):
        return _HARMLESS.fullmatch(written) is not None
    return _HARMLESS.fullmatch(written) is not None and not is_sensitive((key,))


def _mask(kind: str) -> str:
    return f'"{_CUT}"' if kind == "string" else f"// {_CUT}" if kind == "comment" else _CUT


def _window(line: str, offset: int, width: int) -> Excerpt:
    if len(line) <= width:
        return Excerpt(line, offset)
    begin = max(0, min(offset - width // 2, len(line) - width))
    end = begin + width
    start_mark, end_mark = _CUT if begin else "", _CUT if end < len(line) else ""
    shown = start_mark + line[begin + len(start_mark) : end - len(end_mark)] + end_mark
    return Excerpt(shown, offset - begin)
