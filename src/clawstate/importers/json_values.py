"""Reading JSON that strangers wrote: what is taken, and what is refused without being shown."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, TypeAlias, cast

from clawstate.arguments import is_utf8
from clawstate.clock import from_iso, from_ms, is_moment
from clawstate.errors import InvalidError
from clawstate.files.damaged_line import split_damaged
from clawstate.importers.lines import Line
from clawstate.importers.passages import Json
from clawstate.quantities import number_of

Object: TypeAlias = dict[str, Json]
"""A JSON object."""

_DEEPEST = 64
_HALF_PAIR = re.compile("[\ud800-\udfff]")
# 1e11 is the year 5138 in seconds and 1973 in milliseconds.
_FIRST_MS = 1e11

LONGEST_ELEMENT = 64 * 1024 * 1024
"""Characters above which an element is refused."""
_CHUNK = 1024 * 1024
# Everything up to the next bracket that stands in no string; possessive, so without backtracking.
_TO_BRACKET = re.compile(
    r'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL
)


def parse_object(text: str, *, what: str, unique_names: bool = False) -> Object:
    """
    Return the JSON object that *text* is; halves of surrogate pairs become U+FFFD.

    Raises `InvalidError` whose problem speaks of *what*, for anything but an object, for NaN and
    infinite numbers, for nesting deeper than 64, and, with *unique_names*, for a name given twice.
    """
    value = _parse(text, what, unique_names=unique_names)
    if not isinstance(value, dict):
        raise InvalidError(what, f"{what} is no JSON object")
    if _is_deep(value):
        raise InvalidError(what, f"{what} is nested deeper than {_DEEPEST:,} levels")
    return cast("Object", _mend(value)) if "\\u" in text or has_half_pair(text) else value


def has_half_pair(text: str) -> bool:
    """Tell whether *text* cannot be written as UTF-8."""
    return not is_utf8(text)


def parse_objects(line: Line, *, what: str, unique_names: bool = False) -> Iterator[Object | str]:
    """
    Yield the object on *line*, nothing for a blank one; of a damaged line each whole object.

    What of a damaged line is no whole object is told as a sentence, in its place. Otherwise as
    `parse_object`.
    """
    try:
        text = line.decode()
        if text.strip():
            yield parse_object(text, what=what, unique_names=unique_names)
    except InvalidError as error:
        yield from _whole_objects(line, what, error, unique_names=unique_names)


def _whole_objects(
    line: Line, what: str, error: InvalidError, *, unique_names: bool
) -> Iterator[Object | str]:
    parts = split_damaged((line.data or b"").decode(errors="surrogateescape"))
    whole = [each.text for each in parts if each.is_whole and is_utf8(each.text)]
    lost = sum(len(each.text) for each in parts) - sum(map(len, whole))
    if not whole:
        yield error.problem
    elif lost:
        yield f"{what} is damaged: {number_of(lost, 'character')} of it make no whole object"
    for text in whole:
        try:
            yield parse_object(text, what=what, unique_names=unique_names)
        except InvalidError as found:
            yield found.problem


def moment(value: Json) -> float | None:
    """
    Return seconds since the epoch for ISO 8601 text, seconds or milliseconds; None for None.

    Raises `InvalidError` for anything else, and outside of the years 1970 to 9999.
    """
    if value is None:
        return None
    if isinstance(value, str):
        seconds = from_iso(value)
    else:
        seconds = require_number(value, "time")
        # Exports write either, and do not say which; no time that matters fits both.
        seconds = from_ms(seconds) if seconds >= _FIRST_MS else seconds
    if not is_moment(seconds):
        raise InvalidError("time", "the time lies outside of the years 1970 to 9999")
    return seconds


def moment_or_none(value: Json) -> float | None:
    """Return what `moment` returns, and None where that raises."""
    try:
        return moment(value)
    except InvalidError:
        return None


def require_number(value: Json, name: str) -> float:
    """Return *value* as a finite float; raises `InvalidError` that names *name*."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(name, f"'{name}' is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidError(name, f"'{name}' is too large a number")
    return number


def text_at(values: Mapping[str, Json], *names: str) -> str | None:
    """Return the first of *names* that is non-blank text in *values*, without its outer space."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def object_at(values: Mapping[str, Json], name: str) -> Object:
    """Return the object *name* of *values*, an empty one where there is none."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _parse(text: str, what: str, *, unique_names: bool) -> Json:
    pairs = _unique if unique_names else None
    try:
        value: Json = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=pairs
        )
    except json.JSONDecodeError as error:
        # The parser's own sentence may quote the text.
        raise InvalidError(what, f"{what} is not JSON (character {error.pos + 1})") from None
    except RecursionError:
        raise InvalidError(what, f"{what} is nested deeper than {_DEEPEST:,} levels") from None
    except InvalidError as error:
        raise InvalidError(what, f"{what} {error.problem}") from None
    except ValueError:
        raise InvalidError(what, f"{what} holds too large a number") from None
    return value


def _no_constant(_: str) -> float:
    raise InvalidError("number", "holds NaN or an infinite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)


def _unique(pairs: list[tuple[str, Json]]) -> Object:
    # Python keeps the last of two equal names in silence; which was meant nobody knows.
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidError("name", "gives the same name twice in one object")
    return values


def _is_deep(value: Json) -> bool:
    # Level by level, since recursion would itself be what a deep document breaks.
    level: list[Json] = [value]
    for _ in range(_DEEPEST + 1):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _mend(value: Json) -> Json:
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mend(each) for each in value]
    if isinstance(value, dict):
        return {_HALF_PAIR.sub("\ufffd", name): _mend(each) for name, each in value.items()}
    return value


def array_elements(stream: IO[bytes]) -> Iterator[str]:
    """
    Yield the text of each element of the array in *stream*; an object alone is one element.

    The elements are told apart by their brackets and not parsed, so that a damaged one leaves the
    others readable. What lies between two elements, if anything, comes as an element. Bytes that
    are not UTF-8 become lone surrogates. Raises `InvalidError`, after the elements before it,
    when there is no array, when it has no end, and at an element above `LONGEST_ELEMENT`.
    """
    splitter = _Splitter()
    for chunk in _decode(stream):
        yield from splitter.feed(chunk)
        if splitter.is_complete:
            return
    if not splitter.is_complete:
        raise InvalidError("file", "the file ends in the middle; export it again")


def _decode(stream: IO[bytes]) -> Iterator[str]:
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
                yield from self._open()
            else:
                yield from self._close()
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

    def _open(self) -> Iterator[str]:
        if self._depth == self._ground:
            yield from self._take(self._at - 1)
        self._depth += 1
        if self._depth == self._ground:
            self._start = self._at

    def _close(self) -> Iterator[str]:
        self._depth -= 1
        if self._depth == self._ground:
            yield from self._take(self._at)
            self.is_complete = self._ground == 0
        elif self._depth < self._ground:
            yield from self._take(self._at - 1)
            self.is_complete = True

    def _take(self, end: int) -> Iterator[str]:
        text = self._buffer[self._start : end].strip(" \t\r\n,")
        self._start = end
        if text:
            yield text
