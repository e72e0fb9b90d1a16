"""Text to the pieces of words that the embedder of the project knows (`StaticEmbedder`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from clawstate.memory.letters import fold

INSIDE: Final = "##"
"""What a piece begins with that stands inside a word only."""

_HAN = "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HIRAGANA = "\u3040-\u309f"
_KATAKANA = "\u30a0-\u30ff"
_SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_HANGUL = "\uac00-\ud7a3"
_ALL_RUNS = _HAN + _HIRAGANA + _KATAKANA + _SOUTH_EAST + _HANGUL
_RUNS = "|".join(f"[{each}]+" for each in (_HAN, _HIRAGANA, _KATAKANA, _SOUTH_EAST, _HANGUL))
_INDIC = "\u0900-\u0963\u0966-\u0dff\u0f00-\u0fff"  # their vowel signs are no letters to `re`
_WORD = re.compile(f"{_RUNS}|(?:[^\\W_{_ALL_RUNS}]|[{_INDIC}])+")
_ASCII_WORD = re.compile("[a-z0-9]+")
_RUN = re.compile(f"(?:{_RUNS})\\Z")

_LONGEST_WORD = 64  # characters; what is longer is no word, and would take long to look up
_KEPT = 50_000  # words whose pieces are remembered; then the memory begins anew


def words(text: str) -> list[str]:
    """
    Return the words of *text*, folded, without punctuation.

    What is written without spaces (Chinese, Japanese, Thai) comes as runs of one script.
    """
    pattern = _ASCII_WORD if text.isascii() else _WORD
    return pattern.findall(fold(text))


def is_run(piece: str) -> bool:
    """Tell whether *piece* is of a script whose pieces stand anywhere in a word."""
    return _RUN.match(piece) is not None


class WordPieces:
    """
    The longest known pieces of each word, from its start on; what is in none is left out.

    *vocabulary* gives each piece its row, from 1 on. A piece with `INSIDE` before it stands inside
    a word; one of a script without spaces, and a single sign, anywhere.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._rows = dict(zip(vocabulary, range(1, len(vocabulary) + 1), strict=True))
        self._longest = max(map(len, vocabulary), default=0)
        self._known: dict[str, tuple[int, ...]] = {}

    def rows(self, text: str) -> list[int]:
        """Return the rows of the pieces of *text*, in order, repeats kept."""
        found: list[int] = []
        known = self._known
        for word in words(text):
            pieces = known.get(word)
            if pieces is None:
                pieces = self._split_word(word)
            found += pieces
        return found

    def _split_word(self, word: str) -> tuple[int, ...]:
        pieces = tuple(_pieces(word, self._rows, self._longest))
        # Another thread may do the same: both come to the same pieces.
        if len(self._known) >= _KEPT:
            self._known = {}
        if len(word) <= _LONGEST_WORD:
            self._known[word] = pieces
        return pieces


def _pieces(word: str, rows: Mapping[str, int], longest: int) -> Iterator[int]:
    get = rows.get
    if (row := get(word)) is not None:
        yield row
        return
    anywhere = is_run(word)
    start = 0
    while start < len(word):
        for end in range(min(len(word), start + longest), start, -1):
            piece = word[start:end]
            inside = start > 0 and not anywhere
            row = get(INSIDE + piece) if inside else get(piece)
            if row is None and inside and end == start + 1:
                row = get(piece)
            if row is not None:
                yield row
                start = end
                break
        else:
            start += 1
