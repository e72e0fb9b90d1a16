"""
The whole records on a damaged line of JSON Lines.

Two writers that append at once leave two records on one line; one that was killed leaves half a
record, and the next writer goes on behind it; a power cut may leave NUL bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"
_MOST_GAPS = 1_000  # of one line: what has more is no line of records


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a line: one whole JSON object, or what is none."""

    text: str
    is_whole: bool


def split_damaged(line: str) -> tuple[Part, ...]:
    """
    Return the parts of *line*, in order: whole JSON objects, and the stretches between them.

    What lies inside of another record, whole or broken off, is never a part of its own: a nested
    object is no record. Empty objects and blanks are left out.
    """
    return tuple(each for each in _parts(line) if each.text.strip(_SPACE) not in {"", "{}"})


def _parts(line: str) -> Iterator[Part]:
    start, gaps = 0, 0
    while start < len(line):
        # What is no object may have been read up to the end of the line, so the number of such gaps
        # is what bounds the time.
        begin = line.find("{", start)
        if begin < 0 or gaps > _MOST_GAPS:
            break
        if line[start:begin].strip(_SPACE):
            yield Part(line[start:begin], is_whole=False)
        end, is_whole = _object_at(line, begin)
        yield Part(line[begin:end], is_whole=is_whole)
        gaps += not is_whole
        start = end
    yield Part(line[start:], is_whole=False)


def _object_at(line: str, begin: int) -> tuple[int, bool]:
    """Return where the object that begins at *begin* ends, or where one behind it may begin."""
    try:
        return _DECODER.raw_decode(line, begin)[1], True
    except json.JSONDecodeError as error:
        return _next_record(line, begin, error.pos), False
    except (RecursionError, ValueError):  # too deep, or a number too large: nothing can be told
        return len(line), False


def _next_record(line: str, begin: int, at: int) -> int:
    # A record that was broken off inside of a text takes the next one's `{"` for the text's end.
    inside = line.rfind("{", begin + 1, at)
    if inside >= 0 and line[inside + 1 : at].strip(_SPACE) == '"':
        return inside
    found = line.find("{", max(at, begin + 1))
    return len(line) if found < 0 else found
