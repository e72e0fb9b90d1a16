"""
The words that tell a region of the map from the others (c-TF-IDF), in all scripts.

They are counted in the texts that are there when they are asked for, and are kept nowhere: what is
forgotten is in no label from then on.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from clawstate.memory.analysis import without_particle
from clawstate.memory.function_words import common_words
from clawstate.memory.letters import HANGUL, UNSPACED, VOWELLED, fold
from clawstate.memory.query_words import pieces_of_run

_WORD = re.compile(rf"[{UNSPACED}]+|(?:(?![{UNSPACED}])[\w{VOWELLED}\u0300-\u036f\u2019'-])+")
_HIRAGANA = re.compile("[\u3041-\u309f]")
_NO_HIRAGANA = re.compile("[^\u3041-\u309f]+")
_KANA = re.compile("[\u30a1-\u30fa\u30fc]{2,}")
_SPACELESS = re.compile(f"[{UNSPACED}]")
_KOREAN = re.compile(f"[{HANGUL}]")
_SHORTEST, _LONGEST = 3, 24
_RUN = 40  # signs of a run without spaces that are looked at
_READ = 600  # characters of a text that are looked at
_COMMON = 0.5  # of all texts have a word that tells nothing
_WORDS = 3
_APOSTROPHE = re.compile("['\u2019]")
_HANGS_ON = "-_"

Words = dict[str, str]
"""The words of a text as they are counted, and as they stand there."""


def words_of(text: str) -> Words:
    """Return what may stand in a label of *text*: words of letters and marks alone."""
    found: Words = {}
    for each in _WORD.findall(text[:_READ]):
        if _SPACELESS.match(each):
            run = each[:_RUN]
            # Japanese writes its function words in hiragana; one of Chinese may be a part of names.
            for piece in _NO_HIRAGANA.findall(run) if _HIRAGANA.search(run) else pieces_of_run(run):
                _add_pieces(piece, found)
            continue
        # Of "Ada's", "don't" and "l'avion" the part that may tell something.
        word = max(_APOSTROPHE.split(each), key=len).strip(_HANGS_ON)
        is_korean = _KOREAN.match(word) is not None
        if is_korean:
            word = without_particle(word)
        folded = fold(word)
        least = 2 if is_korean else _SHORTEST
        if least <= len(folded) <= _LONGEST and not any(map(str.isdigit, folded)):
            found.setdefault(_singular(folded), word)
    for word in common_words([fold(each) for each in found.values()]):
        found.pop(_singular(word), None)
    return found


def labels(groups: Sequence[Sequence[Words]]) -> list[tuple[str, ...]]:
    """Return up to three words for each of *groups* of texts that tell it from the others."""
    counted = [Counter(word for words in group for word in words) for group in groups]
    total: Counter[str] = Counter()
    for each in counted:
        total.update(each)
    texts = sum(map(len, groups))
    return [
        _label(group, counts, total, texts=texts, groups=len(groups))
        for group, counts in zip(groups, counted, strict=True)
    ]


def _label(
    group: Sequence[Words], counts: Counter[str], total: Counter[str], *, texts: int, groups: int
) -> tuple[str, ...]:
    if not group:
        return ()
    mean = texts / groups
    # What one text of several says would be a label by accident, or on purpose.
    least = 1 if len(group) < 4 else 2
    scored = [
        (counts[word] / len(group) * math.log(1 + mean / total[word]) * _weight(word), word)
        for word in counts
        if counts[word] >= least and (groups == 1 or total[word] <= _COMMON * texts or texts < 8)
    ]
    chosen: list[str] = []
    for _, word in sorted(scored, key=lambda each: (-each[0], each[1])):
        if all(word not in other and other not in word for other in chosen):
            chosen.append(word)
            if len(chosen) == _WORDS:
                break
    return tuple(_as_written(word, group) for word in chosen)


def _as_written(word: str, group: Iterable[Words]) -> str:
    forms = Counter(words[word] for words in group if word in words)
    return min(forms, key=lambda form: (-forms[form], form))


def _weight(word: str) -> float:
    # Pieces of a run are counted at all lengths: the longest that is as frequent is the word.
    return 1 + 0.25 * (len(word) - 2) if _SPACELESS.match(word) else 1.0


def _add_pieces(run: str, found: Words) -> None:
    for kana in _KANA.findall(run):
        found.setdefault(fold(kana), kana)
    # Thai, Lao and their like: a word is longer than two signs.
    lengths = range(2, 5) if run[0] > "\u3000" else range(4, 9)
    for length in lengths:
        for at in range(len(run) - length + 1):
            piece = run[at : at + length]
            found.setdefault(piece, piece)


def _singular(word: str) -> str:
    is_plural = len(word) > 4 and word.isascii() and word.endswith("s") and word[-2] not in "suio"
    return word[:-1] if is_plural else word
