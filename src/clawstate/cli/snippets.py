"""Snippets: the part of a text that shows why it was found."""

from __future__ import annotations

import re

from clawstate.memory.query_words import word_query

_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
_STEM = 4  # letters that two forms of one word share at least


def snippet(text: str, query: str, *, width: int) -> list[tuple[str, bool]]:
    """
    Return up to *width* characters of *text* in pieces, each with whether a word of *query*.

    White space is folded, so that a snippet is one line.
    """
    folded = _SPACE.sub(" ", text).strip()
    terms = word_query(query).terms
    matches = [match.span() for match in _WORD.finditer(folded) if _is_form(match[0], terms)]
    begin, end = _window(folded, matches, width)
    pieces: list[tuple[str, bool]] = [("…", False)] if begin else []
    at = begin
    for first, last in matches:
        if begin <= first and last <= end:
            pieces += [(folded[at:first], False), (folded[first:last], True)]
            at = last
    pieces.append((folded[at:end], False))
    if end < len(folded):
        pieces.append(("…", False))
    return [piece for piece in pieces if piece[0]]


def _window(text: str, matches: list[tuple[int, int]], width: int) -> tuple[int, int]:
    if len(text) <= width:
        return 0, len(text)
    starts = [max(0, first - width // 4) for first, _ in matches] or [0]
    begin = max(starts, key=lambda start: (_within(matches, start, start + width), -start))
    begin = min(begin, len(text) - width)
    if begin:
        begin = text.find(" ", begin, begin + 20) + 1 or begin
    end = min(begin + width, len(text))
    if end < len(text):
        end = max(text.rfind(" ", begin, end), begin + width // 2)
    return begin, end


def _within(matches: list[tuple[int, int]], begin: int, end: int) -> int:
    return sum(begin <= first and last <= end for first, last in matches)


def _is_form(word: str, terms: tuple[str, ...]) -> bool:
    lowered = word.lower()
    return any(_alike(lowered, term) for term in terms)


def _alike(word: str, term: str) -> bool:
    if word == term:
        return True
    shared = max(_STEM, min(len(word), len(term)) - 1)
    return min(len(word), len(term)) >= _STEM and word[:shared] == term[:shared]
