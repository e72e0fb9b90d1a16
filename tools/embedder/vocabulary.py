"""Which pieces have a row, and the rows that training begins with."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.embedders.word_pieces import INSIDE, WordPieces, is_run, words
from clawstate.memory.letters import fold
from teachers import English, Multilingual, Rows
from translations import Translation

DIMENSIONS = 256
_ENGLISH_WORDS = 1_500  # whole words beside the pieces of the models
_ROOM = {
    "ARABIC": 3_500,
    "BENGALI": 300,
    "CJK": 5_600,
    "CYRILLIC": 5_700,
    "DEVANAGARI": 2_600,
    "GREEK": 2_900,
    "HANGUL": 3_400,
    "HEBREW": 500,
    "HIRAGANA": 450,
    "KATAKANA": 900,
    "LATIN": 7_000,
    "TAMIL": 300,
    "THAI": 2_500,
}
_ROOM_OF_OTHERS = 35
_KEEPS = "\u2581"  # what stands before a piece that begins a word, in the multilingual model
_LATIN_END = "\u024f"

_RARE = 1e-3  # a piece of this frequency counts half
_FLAT = 0.7  # a row grows with the logarithm of its rank to this power
_COMMON = 0.7  # the share of the mean of English text that is taken off
_WHITENED = {"english": 0.35, "multilingual": 0.25}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`pieces` in the order of their rows, from 1 on; the first *english* are of English."""

    pieces: list[str]
    english: int
    bert: list[list[int]]
    """What the English models are given for each English piece."""
    ranks: NDArray[np.float64]
    """The place of each other piece by falling frequency, and its frequency."""
    frequencies: NDArray[np.float64]


def chosen(
    english: English,
    multilingual: Multilingual,
    texts: Iterable[str],
    translations: Sequence[Translation],
) -> Vocabulary:
    """Return the pieces that get rows: of English by *texts*, of others by *translations*."""
    pieces: dict[str, list[int]] = {}
    for piece, number in sorted(english.pieces.items(), key=lambda each: each[1]):
        core = piece.removeprefix(INSIDE)
        if core and core[0] <= _LATIN_END and words(core) == [core]:
            pieces[piece] = [number]
    known = WordPieces(list(english.pieces))
    numbers = list(english.pieces.values())
    counts = Counter(word for text in texts for word in words(text))
    limit = len(pieces) + _ENGLISH_WORDS
    for word, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        if len(pieces) == limit:
            break
        if word.isascii() and word.isalpha() and len(word) > 2 and word not in pieces:
            pieces[word] = [numbers[row - 1] for row in known.rows(word)]
    others = _others(multilingual, translations, set(pieces))
    return Vocabulary(
        [*pieces, *others],
        len(pieces),
        list(pieces.values()),
        np.array([rank for rank, _ in others.values()], np.float64),
        np.array([frequency for _, frequency in others.values()], np.float64),
    )


def _others(
    multilingual: Multilingual, translations: Sequence[Translation], taken: set[str]
) -> dict[str, tuple[int, float]]:
    """Return the pieces that are not English, each with rank and frequency."""
    ranked: dict[str, tuple[int, float]] = {}
    for rank, (piece, frequency) in enumerate(
        zip(multilingual.pieces, multilingual.frequencies.tolist(), strict=True)
    ):
        core = fold(piece.lstrip(_KEEPS))
        if words(core) != [core] or _has_digit(core):
            continue
        starts = piece.startswith(_KEEPS) or is_run(core) or len(core) == 1
        key = core if starts else INSIDE + core
        if key not in taken and key not in ranked:
            ranked[key] = (rank, frequency)
    by_script: dict[str, list[str]] = defaultdict(list)
    for key in ranked:
        by_script[script_of(key)].append(key)
    translated: dict[str, list[str]] = defaultdict(list)
    for word in _words_of(translations, taken):
        translated[script_of(word)].append(word)
    found: dict[str, tuple[int, float]] = {}
    for script in sorted(by_script):
        room = _ROOM.get(script, _ROOM_OF_OTHERS)
        signs = [key for key in by_script[script] if len(key) == 1][: room * 2 // 5]
        longer = [key for key in by_script[script] if len(key) > 1]
        chosen: dict[str, None] = dict.fromkeys(signs)
        chosen.update(dict.fromkeys(translated[script][: (room - len(chosen)) // 2]))
        for key in longer:
            if len(chosen) < room:
                chosen[key] = None
        found.update((key, ranked.get(key, (60_000, 1e-6))) for key in chosen)
    return found


def _words_of(translations: Sequence[Translation], taken: set[str]) -> list[str]:
    """Return the words of the languages, those first that are common in each."""
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for english, language, text in translations:
        # The shorter a text, the likelier it is one word that has just this translation.
        share = 1.0 / (1 + len(english.split()))
        for part in text.split(","):
            found = words(part)
            for word in found:
                # A run of several words, which nothing tells apart, is no word.
                if 1 < len(word) < 20 and (len(found) == 1 or not is_run(word) or len(word) < 3):
                    counts[language][word] += share
    placed: dict[str, int] = {}
    for language in sorted(counts):
        best = sorted(counts[language].items(), key=lambda each: (-each[1], each[0]))
        for place, (word, _) in enumerate(best):
            if word not in taken and not _has_digit(word):
                placed[word] = min(place, placed.get(word, place))
    return sorted(placed, key=lambda word: (placed[word], word))


def _has_digit(word: str) -> bool:
    return any(sign.isdecimal() for sign in word)


def first_rows(
    vocabulary: Vocabulary,
    teachers: tuple[Rows, Rows],
    others: Rows,
    anchors: tuple[list[str], Rows],
    frequencies: NDArray[np.float64],
) -> Rows:
    """
    Return the rows of *vocabulary*, the row 0 of nothing before them.

    *teachers* are the rows of two models for its English pieces, *others* those of the multilingual
    one for the rest; *anchors* are English words with its rows for them, by which its space is
    turned onto that of English. *frequencies* are those of the English pieces in English text.
    """
    english = _spectrum(
        np.hstack([_centred(each) for each in teachers]), DIMENSIONS, _WHITENED["english"]
    )
    both = np.vstack([others, anchors[1]])
    scripts = [script_of(each) for each in [*vocabulary.pieces[vocabulary.english :], *anchors[0]]]
    turned = _by_script(
        _spectrum(_by_script(_centred(both), scripts), DIMENSIONS, _WHITENED["multilingual"]),
        scripts,
    )
    place = {piece: at for at, piece in enumerate(vocabulary.pieces[: vocabulary.english])}
    known = english[[place[word] for word in anchors[0]]]
    left, _, right = np.linalg.svd(_unit(turned[len(others) :]).T @ _unit(known))
    foreign = turned[: len(others)] @ (left @ right)
    foreign *= np.sqrt((known**2).sum(1)).mean() / np.sqrt((foreign**2).sum(1)).mean()

    ranks = np.maximum(np.array([numbers[0] for numbers in vocabulary.bert], np.float64) - 1995, 1)
    whole = np.array([len(numbers) > 1 for numbers in vocabulary.bert])
    ranks[whole] = 30_522 - 1995
    weights = _RARE / (_RARE + frequencies) * np.log1p(ranks) ** _FLAT
    common = ((frequencies / frequencies.sum() * weights)[:, np.newaxis] * english).sum(0)
    english = english * weights[:, np.newaxis] - _COMMON * common
    # Within its script: the multilingual model counts over a hundred languages at once.
    shares = vocabulary.frequencies / _sums(vocabulary.frequencies, scripts[: len(others)])
    their_weights = (
        _RARE / (_RARE + shares) * np.log1p(0.7 * np.maximum(vocabulary.ranks, 1)) ** _FLAT
    )
    foreign = foreign * their_weights[:, np.newaxis]
    rows = np.vstack([np.zeros((1, DIMENSIONS)), english, foreign])
    result: Rows = (rows / np.sqrt((english**2).sum(1)).mean()).astype(np.float32)
    return result


def script_of(piece: str) -> str:
    """Return the script of *piece*, as Unicode names it."""
    name = unicodedata.name(piece.removeprefix(INSIDE)[0], "?").split()[0]
    return {"KATAKANA-HIRAGANA": "KATAKANA", "IDEOGRAPHIC": "CJK"}.get(name, name)


def _sums(values: NDArray[np.float64], scripts: list[str]) -> NDArray[np.float64]:
    kinds = np.array(scripts)
    sums = np.zeros_like(values)
    for script in set(scripts):
        sums[kinds == script] = values[kinds == script].sum()
    return sums


def _by_script(rows: NDArray[np.float64], scripts: list[str]) -> NDArray[np.float64]:
    rows = rows.copy()
    kinds = np.array(scripts)
    for script, count in Counter(scripts).items():
        if count >= 30:
            rows[kinds == script] -= rows[kinds == script].mean(0)
    return rows


def _centred(rows: Rows) -> NDArray[np.float64]:
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    scaled: NDArray[np.float64] = centred / np.sqrt((centred**2).sum(1).mean())
    return scaled


def _spectrum(rows: NDArray[np.float64], dimensions: int, whitened: float) -> NDArray[np.float64]:
    rows = rows - rows.mean(0)
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values, vectors = np.maximum(values[::-1], 1e-12), vectors[:, ::-1]
    found: NDArray[np.float64] = (rows @ vectors[:, :dimensions]) * values[:dimensions] ** -whitened
    return found


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.sqrt((rows**2).sum(1, keepdims=True))
    return unit
