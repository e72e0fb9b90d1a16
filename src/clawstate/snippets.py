"""Snippets: the part of a text that shows why it was found, for memory and transcripts alike."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from clawstate.sqlite.words import Span, located_stems, stems

WIDTH = 200
"""Characters of a snippet at most, besides what marks a cut."""

_SPACE = re.compile(r"\s+")


def snippet(text: str, terms: Iterable[str], *, width: int = WIDTH) -> tuple[str, tuple[Span, ...]]:
    """
    Return the part of *text* with most of *terms*, as one line, and where they stand in it.

    A word is found in each of its forms, as the index finds it; a term of several words where they
    stand together.
    """
    folded = _SPACE.sub(" ", text).strip()
    wanted = {each for term in terms for each in _runs(stems(term))}
    matches = _join(_matches(folded, wanted)) if wanted else []
    start, end = _window(folded, matches, width)
    lead, trail = "…" if start else "", "…" if end < len(folded) else ""
    moved = len(lead) - start
    inside = (each for each in matches if start <= each[0] and each[1] <= end)
    return (
        f"{lead}{folded[start:end]}{trail}",
        tuple((first + moved, last + moved) for first, last in inside),
    )


def pieces(text: str, matches: Iterable[Span]) -> Iterator[tuple[str, bool]]:
    """Yield *text* in pieces, each with whether it is one of the *matches*; none is empty."""
    at = 0
    for start, end in matches:
        if at < start:
            yield text[at:start], False
        yield text[start:end], True
        at = end
    if at < len(text):
        yield text[at:], False


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Give what is marked where it stands together: all *words*, or two neighbours of many."""
    if words:
        yield tuple(words)
    if len(words) > 2:
        yield from pairwise(words)


def _matches(text: str, wanted: set[tuple[str, ...]]) -> Iterator[Span]:
    tokens = located_stems(text)
    found = [stem for _, stem in tokens]
    lengths = sorted({len(run) for run in wanted})
    until = 0
    for place, (span, _) in enumerate(tokens):
        for length in lengths:
            if tuple(found[place : place + length]) in wanted:
                until = max(until, place + length)
        if place < until:
            yield span


def _join(spans: Iterable[Span]) -> list[Span]:
    """Return *spans* with those as one that touch."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _window(text: str, matches: Sequence[Span], width: int) -> Span:
    if len(text) <= width:
        return 0, len(text)
    lead = width // 5  # characters before the first match
    # The window with the most matches, and of those the first, since `max` keeps the first.
    best = max(matches, key=lambda each: _inside(matches, each[0], width - lead), default=(0, 0))
    start = max(0, min(best[0] - lead, len(text) - width))
    if start:
        gap = text.find(" ", start, best[0])
        start = gap + 1 if gap >= 0 else start
    end = min(len(text), start + width)
    gap = text.rfind(" ", best[1], end) if end < len(text) else -1
    return start, gap if gap > start else end


def _inside(matches: Sequence[Span], start: int, width: int) -> int:
    found = bisect_left(matches, (start, start))
    return bisect_left(matches, (start + width, 0)) - found
