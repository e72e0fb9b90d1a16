"""Snippets: the part of a text that shows why it was found."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias, cast

import apsw

from clawstate.sqlite.words import TOKENIZER, sign_places, spaced, stems
from clawstate.stores.transcripts.plain_text import LONGEST

WIDTH = 200
"""Characters of a snippet at most."""

Span: TypeAlias = tuple[int, int]

_SPACE = re.compile(r"\s+")
_LEAD = 40  # characters before the first match


def snippet(
    connection: apsw.Connection, text: str, terms: Sequence[str]
) -> tuple[str, tuple[Span, ...]]:
    """Return the most telling part of *text* as one line, and where words of *terms* stand."""
    folded = _SPACE.sub(" ", text[:LONGEST]).strip()
    wanted = {each for term in terms for each in _runs(stems(connection, term))}
    matches = _joined(_matches(connection, folded, wanted))
    start, end = _window(folded, matches)
    lead, trail = "…" if start else "", "…" if end < len(folded) else ""
    moved = len(lead) - start
    inside = (each for each in matches if start <= each[0] and each[1] <= end)
    return (
        f"{lead}{folded[start:end]}{trail}",
        tuple((first + moved, last + moved) for first, last in inside),
    )


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Give what is marked where it stands together: all *words*, or two neighbours of many."""
    yield tuple(words)
    if len(words) > 2:
        yield from pairwise(words)


def _matches(
    connection: apsw.Connection, text: str, wanted: set[tuple[str, ...]]
) -> Iterator[Span]:
    tokens = _tokens(connection, text)
    found = [stem for _, stem in tokens]
    lengths = sorted({len(run) for run in wanted if run})
    until = 0
    for place, (span, _) in enumerate(tokens):
        for length in lengths:
            if tuple(found[place : place + length]) in wanted:
                until = max(until, place + length)
        if place < until:
            yield span


def _tokens(connection: apsw.Connection, text: str) -> list[tuple[Span, str]]:
    name, settings = TOKENIZER
    loose = spaced(text)
    raw = loose.encode(errors="replace")
    tokenizer = connection.fts5_tokenizer(name, list(settings))
    tokens = tokenizer(
        raw, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=True, include_colocated=False
    )
    signs = sign_places(text)
    # Each sign before a place has put two blanks before it, and its own sign one.
    opened = [place + 2 * number for number, place in enumerate(signs)]
    places = _characters(loose) if len(raw) > len(loose) else range(len(raw) + 1)
    found = []
    for first, last, stem in cast("Iterable[tuple[int, int, str]]", tokens):
        start, length = places[first], places[last] - places[first]
        before = bisect_left(opened, start)
        is_sign = before > 0 and opened[before - 1] == start - 1
        at = start - 2 * before + (1 if is_sign else 0)
        found.append(((at, at + length), stem))
    return found


def _characters(text: str) -> list[int]:
    """Return for each byte of *text* in UTF-8 which character it belongs to."""
    sizes = (len(sign.encode(errors="replace")) for sign in text)
    return [*(number for number, size in enumerate(sizes) for _ in range(size)), len(text)]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return *spans* with those as one that touch."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _window(text: str, matches: Sequence[Span]) -> Span:
    if len(text) <= WIDTH:
        return 0, len(text)
    best = max(matches, key=lambda each: _inside(matches, each[0]), default=(0, 0))
    start = max(0, min(best[0] - _LEAD, len(text) - WIDTH))
    if start:
        gap = text.find(" ", start, best[0])
        start = gap + 1 if gap >= 0 else start
    end = min(len(text), start + WIDTH)
    gap = text.rfind(" ", best[1], end) if end < len(text) else -1
    return start, gap if gap > start else end


def _inside(matches: Sequence[Span], start: int) -> int:
    found = bisect_left(matches, (start, start))
    return bisect_left(matches, (start + WIDTH - _LEAD, 0)) - found
