"""
How text becomes terms: one way for what is indexed and for what is asked.

The text itself is kept as it was written. For matching it is folded (`letters`). English is
stemmed (Porter); words of other languages have their stems beside them (`stemming`). Chinese,
Japanese, Thai and their like are written without spaces: their signs are terms, and so are all
pairs of them. Korean words lose their particle and are indexed by pairs too. Numbers joined to one
(a date, a version, an address) are one term more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Final

from clawstate.memory.letters import HANGUL, UNSPACED, fold
from clawstate.memory.postings.store import FIELDS, NOWHERE
from clawstate.memory.records import MemoryRecord
from clawstate.memory.stemming import stem_terms
from clawstate.sqlite.words import Tokenizer
from clawstate.sqlite.words import stems as stems_by

_NAMED = {2, 3}  # the fields whose lines are names: titles, names

FIELD_NAMES: Final = ("text", "headings", "title", "names")
"""The fields that are indexed, in their order."""

VERSION: Final = "3"
"""Moves when the terms of a text become others: then postings are made anew."""

# Vowel signs belong to their words, as in Hindi, where FTS5 by itself would cut words at them.
# Where each sign is a term of its own, a vowel alone says nothing.
_LONE_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074"
    "\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd\u3099\u309a"
)
_RUN = re.compile(f"[{UNSPACED}]+|[{HANGUL}]+")
# A date first, since a time or a title may hang on it; a name may stand before a number.
_JOINED = re.compile(
    r"(?<!\d)\d{4}[-./]\d{1,2}[-./]\d{1,2}(?!\d)"
    r"|[^\W_]*\d[^\W_]*(?:[-./:][^\W_]*\d[^\W_]*)+"
    r"|[^\W\d_]+-\d[^\W_]*(?:[-./:]\d[^\W_]*)*"
)
_LONGEST = 64  # characters of a word; what is longer is no number, and would take long to look at
_SEPARATOR = re.compile(r"[-./:]")
_HAS_JOINED = re.compile(r"[-./:][0-9]|[0-9][-./:][^\W_]")

# What Korean hangs on a noun; the longest that fits goes.
_SUFFIXES = """
    은 는 이 가 을 를 에 의 도 로 와 과 만 께 에게 에서 에는 에도 으로 한테 까지 부터 보다
    처럼 마다 이나 하고 이랑 랑 나 라 이라 입니다 이다 이에요 예요 인가요 인가 이고 으로는
    에서는 에게서 으로서 로서
"""
_PARTICLES = sorted(_SUFFIXES.split(), key=len, reverse=True)


def _every(ranges: str) -> str:
    found = re.findall(r"(.)-(.)|(.)", ranges)
    return "".join(
        alone or "".join(map(chr, range(ord(first), ord(last) + 1))) for first, last, alone in found
    )


_TOKENIZER: Tokenizer = (
    "porter",
    ("unicode61", "categories", "L* N* Co M*", "separators", _every(_LONE_MARKS)),
)


def stems(folded: str) -> list[str]:
    """Return the stems of a *folded* text in their order."""
    return stems_by(folded, _TOKENIZER)


def analyse(text: str) -> tuple[list[str], list[str]]:
    """Return the terms of *text* in their order, and those it has besides, which have no place."""
    folded = fold(text)
    extra = list(joined_numbers(folded))
    if not folded.isascii():
        for run in _RUN.findall(folded):
            extra += pairs(run)
    return stems(folded), extra


def joined_numbers(folded: str) -> Iterator[str]:
    """Yield the numbers of a folded text that are joined to one, such as dates, as terms."""
    if not _HAS_JOINED.search(folded):
        return
    # Word by word, since most hold none, and a look at the whole text costs twenty times as much.
    for word in folded.split():
        if len(word) <= _LONGEST and _HAS_JOINED.search(word):
            for found in _JOINED.findall(word):
                # One separator for all, so that a date is found however it is written.
                yield _SEPARATOR.sub("-", found)


def pairs(run: str) -> list[str]:
    """Return the terms of a run of signs without spaces besides the signs: all pairs of them."""
    found = [run[at : at + 2] for at in range(len(run) - 1)]
    if "\uac00" <= run[0] <= "\ud7a3":
        noun = without_particle(run)
        if noun != run and noun not in found:
            found.append(noun)
    return found


def without_particle(word: str) -> str:
    """Return a Korean *word* without what is hung on it."""
    for each in _PARTICLES:
        if len(word) > len(each) and word.endswith(each):
            return word[: -len(each)]
    return word


def in_field(token: str, field: int) -> str:
    """Return *token* as the term of a field: a text's as it is, others behind a sign of theirs."""
    return chr(field) + token if field else token


def whole_name(text: str) -> str:
    """Return the term that stands for *text* as a whole name."""
    # A name is often made of common words: together they are rare.
    return "=" + " ".join(stems(fold(text)))


def fields_of(record: MemoryRecord) -> tuple[str, str, str, str]:
    """Return what is indexed of *record*: text, headings, title, names."""
    return record.text, "\n".join(record.headings), record.title or "", "\n".join(record.names)


def terms_with_places(
    fields: Sequence[str], *, stemmed: bool = True
) -> tuple[list[int], list[tuple[str, int]]]:
    """
    Return how long each of a record's *fields* is, and all its terms with their places.

    A text is one longer than its terms are many. *stemmed* adds the terms of `stems_of_other`.
    """
    lengths: list[int] = []
    terms: list[tuple[str, int]] = []
    for field, text in enumerate(fields):
        if not text:
            lengths.append(0)
            continue
        stems, extra = analyse(text)
        lengths.append(len(stems))
        if field in _NAMED:
            extra += map(whole_name, text.split("\n"))
        if field:
            stems, extra = ([in_field(each, field) for each in some] for some in (stems, extra))
        # By iterators alone: a bulk load passes here a hundred times a record.
        terms += zip(stems, chain(range(min(len(stems), NOWHERE)), repeat(NOWHERE)))  # noqa: B905
        terms += zip(extra, repeat(NOWHERE))
    # One more, or turns of two words would stand above what answers (.003 nDCG in conversations);
    # the index of the first format had the namespace for it.
    lengths[0] += 1
    if stemmed:
        terms += zip(stems_of_other(fields), repeat(NOWHERE))
    return lengths + [0] * (FIELDS - len(lengths)), terms


def count_words(fields: Sequence[str]) -> int:
    """Return how many different terms *fields* have as they are written."""
    return len({term for term, _ in terms_with_places(fields, stemmed=False)[1]})


def stems_of_other(fields: Sequence[str]) -> list[str]:
    """Return the terms of *fields* by which inflected forms are found, where it is not English."""
    return [
        in_field(each, field) for field, found in enumerate(stem_terms(fields)) for each in found
    ]
