"""Text as FTS5 indexes it in every part of a database: Porter stems, and signs one by one."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import TypeAlias, cast

import apsw

Span: TypeAlias = tuple[int, int]
"""Where something stands in a text: its first character, and the one behind its last."""

Tokenizer: TypeAlias = tuple[str, tuple[str, ...]]
"""A tokenizer of FTS5 and its settings."""

TOKENIZER: Tokenizer = ("porter", ("unicode61",))

# Scripts written without spaces: each sign is indexed as a word, so that any part is found.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f])"
)


def space_signs(text: str) -> str:
    """Return *text* with blanks around the signs of scripts that are written without."""
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def sign_places(text: str) -> list[int]:
    """Return where the signs stand around which `space_signs` puts blanks."""
    return [] if text.isascii() else [match.start() for match in _UNSPACED.finditer(text)]


def quote_phrase(words: str) -> str:
    """Return *words* as a phrase of a query of FTS5."""
    return '"' + space_signs(words).replace('"', '""') + '"'


def stems(text: str, tokenizer: Tokenizer = TOKENIZER) -> list[str]:
    """Return the stems of *text* in their order."""
    found = _tokenizer(tokenizer)(
        space_signs(text).encode(errors="replace"),
        apsw.FTS5_TOKENIZE_QUERY,
        None,
        include_offsets=False,
        include_colocated=False,
    )
    return [str(each) for each in found]


def located_stems(text: str) -> list[tuple[Span, str]]:
    """Return the stems of *text* in their order, each with where it stands."""
    loose = space_signs(text)
    raw = loose.encode(errors="replace")
    found = _tokenizer(TOKENIZER)(
        raw, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=True, include_colocated=False
    )
    signs = sign_places(text)
    # Each sign before a place has put two blanks before it, and its own sign one.
    opened = [place + 2 * number for number, place in enumerate(signs)]
    places = _characters(loose) if len(raw) > len(loose) else range(len(raw) + 1)
    located = []
    for first, last, stem in cast("Iterable[tuple[int, int, str]]", found):
        start, length = places[first], places[last] - places[first]
        before = bisect_left(opened, start)
        is_sign = before > 0 and opened[before - 1] == start - 1
        at = start - 2 * before + (1 if is_sign else 0)
        located.append(((at, at + length), stem))
    return located


def _characters(text: str) -> list[int]:
    """Return for each byte of *text* in UTF-8 which character it belongs to."""
    sizes = (len(sign.encode(errors="replace")) for sign in text)
    return [*(number for number, size in enumerate(sizes) for _ in range(size)), len(text)]


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.tokenizers: dict[Tokenizer, apsw.FTS5Tokenizer] = {}
        self.connections: list[apsw.Connection] = []


def _tokenizer(wanted: Tokenizer) -> apsw.FTS5Tokenizer:
    found = _of_thread.tokenizers.get(wanted)
    if found is None:
        name, settings = wanted
        # Of a database in memory, so that text is stemmed wherever it is kept.
        connection = apsw.Connection(":memory:")
        _of_thread.connections.append(connection)
        found = connection.fts5_tokenizer(name, list(settings))
        _of_thread.tokenizers[wanted] = found
    return found


_of_thread = _OfThread()
