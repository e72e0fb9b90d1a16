"""Snippets: the part of a text that shows why it was found."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from clawstate.sqlite.words import Span, located_stems, stems
from clawstate.stores.transcripts.plain_text import LONGEST

WIDTH = 200
"""Characters of a snippet at most."""

_SPACE = re.compile(r"\s+")
_LEAD = 40  # characters before the first match


def snippet(text: str, terms: Sequence[str]) -> tuple[str, tuple[Span, ...]]:
    """Return the most telling part of *text* as one line, and where words of *terms* stand."""
    # What is not indexed cannot have matched.
    folded = _SPACE.sub(" ", text[:LONGEST]).strip()
    wanted = {each for term in terms for each in _runs(stems(term))}
    matches = _join_touching(_matches(folded, wanted))
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


def _matches(text: str, wanted: set[tuple[str, ...]]) -> Iterator[Span]:
    tokens = located_stems(text)
    found = [stem for _, stem in tokens]
    lengths = sorted({len(run) for run in wanted if run})
    until = 0
    for place, (span, _) in enumerate(tokens):
        for length in lengths:
            if tuple(found[place : place + length]) in wanted:
                until = max(until, place + length)
        if place < until:
            yield span


def _join_touching(spans: Iterable[Span]) -> list[Span]:
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
    # The window with the most matches, and of those the first, since `max` keeps the first.
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
