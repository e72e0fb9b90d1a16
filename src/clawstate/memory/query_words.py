"""
The words of a query that are worth searching for, as terms.

Function words are left out of a query, never out of the index: they match nearly every record,
cost most of the time of a ranked search, and say nothing about the subject.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from clawstate.memory.analysis import joined_numbers, pairs, stems, whole_name, without_particle
from clawstate.memory.function_words import common_words
from clawstate.memory.letters import HANGUL, MARKS, UNSPACED, VOWELLED, fold
from clawstate.memory.reading import WordQuery
from clawstate.memory.stemming import is_word

# In scripts without spaces a question has no gaps to tell its words by: what is cut out of a run
# before its pairs are made, the longest first.
_UNSPACED_CLASSES = """
    什么 什麼 哪里 哪裡 哪儿 怎么 怎麼 怎样 如何 为什么 為什麼 多少 几个 幾個 是否 可以
    有没有 有沒有 这个 那个 這個 那個 我们 我們 你们 你們 他们 他們 她们 关于 關於 请问 請問
    告诉 的 了 是 在 我 你 他 她 它 您 吗 嗎 呢 吧 啊 和 与 與 有 这 那 這 哪 谁 誰 很 都 也
    就 还 還 把 被 对 對 从 從 到 给 給 为 為 几 幾 何 私 僕 俺 彼 です でした ます ました
    ません ですか ますか どこ なに なん いつ だれ どう どの どれ これ それ あれ この その
    あの から まで より について という している していた している は が の を に で と も
    へ や か な ね よ อะไร ที่ไหน ไหน เมื่อไหร่ เมื่อไร อย่างไร ยังไง ทำไม เท่าไหร่ เท่าไร ใคร
    ของ ฉัน ผม คุณ เรา เขา เธอ ดิฉัน อยู่ ที่ คือ เป็น ใน และ กับ ให้ ได้ ไหม มี จะ ว่า นี้ นั้น
    หรือ ครับ ค่ะ คะ การ ความ แค่ไหน 什么时候 什麼時候
"""
_KOREAN_CLASSES = """
    어디 어디에 어디서 무엇 무엇을 무엇이 뭐 뭐야 뭘 언제 누가 누구 누구의 왜 어떻게 얼마
    얼마나 몇 어느 어떤 있나요 있어요 있습니까 있나 있니 있어 있다 있는 인가요 입니까 나요
    내 나의 저의 제 나는 저는 너의 우리 그 이 저 그것 이것 하나요 했나요 합니까 했습니까
    대해 대한 대해서 알려줘 무슨 되나요 됩니까
"""
_KOREAN_STOP = frozenset(_KOREAN_CLASSES.split())

_WORD = re.compile(
    f"(?P<run>[{UNSPACED}]+)|(?P<hangul>[{HANGUL}]+)|(?P<word>(?:(?![{UNSPACED}{HANGUL}])[\\w{MARKS}{VOWELLED}])+)"
)
_SIGN = re.compile(f"[{UNSPACED}]")
_QUOTED = re.compile(
    '"([^"]+)"|\u201c([^\u201c\u201d]+)\u201d|\u201e([^\u201c\u201d\u201e]+)[\u201c\u201d]|\u00ab([^\u00ab\u00bb]+)\u00bb|\u300c([^\u300c\u300d]+)\u300d'
)
_SENTENCE_END = re.compile(r"[.!?:;\u3002\uff01\uff1f\n\"\u201c(\u00ab-]\s*$")


_LONGEST_NAME = 16  # words


class _Token(NamedTuple):
    """A place of the query: its stem as it stands in texts, and whether it tells nothing."""

    stem: str
    is_common: bool
    written: str = ""


def word_query(text: str, *, repeats: bool = False) -> WordQuery:
    """
    Return the distinct terms of *text* that carry its subject, and what stood side by side in it.

    A query of function words only keeps them all, without phrases. With *repeats* it tells of terms
    that stand in it more than once.
    """
    whole = unicodedata.normalize("NFKC", text)
    numbers = {each: tuple(stems(each)) for each in joined_numbers(fold(whole))}
    common = common_words(_folded_words(whole))
    tokens: list[_Token] = []
    terms: dict[str, None] = {}
    phrases: dict[tuple[str, ...], None] = {}
    for place, each in enumerate(_WORD.finditer(whole)):
        if each["run"] is not None:
            _add_run(fold(each["run"]), terms, phrases)
            tokens.append(_Token("", is_common=True))
        elif each["hangul"] is not None:
            _add_korean(fold(each["hangul"]), terms)
            tokens.append(_Token(fold(each["hangul"]), is_common=True))
        else:
            folded = fold(each["word"])
            is_common = folded in common and not (place and _is_name(whole, each))
            found = _stems_of_word(folded)
            written = each["word"] if len(found) == 1 and is_word(each["word"]) else ""
            tokens += [_Token(stem, is_common, written) for stem in found]
    telling = [token.stem for token in tokens if not token.is_common]
    counts = Counter(telling) if repeats else {}
    parts = {part for each in numbers.values() for part in each}
    terms = {each: None for each in (*numbers, *telling, *terms) if each not in parts}
    if not terms:
        terms = dict.fromkeys(_all_terms(whole))
    both = (pair for pair in pairwise(tokens) if not any(each.is_common for each in pair))
    phrases |= dict.fromkeys((one.stem, other.stem) for one, other in both)
    inside = {pair for each in numbers.values() for pair in pairwise(each)}
    quoted = (tuple(stems(fold(each))) for each in _quotes(whole))
    return WordQuery(
        tuple(terms),
        tuple(each for each in phrases if each not in inside),
        tuple(each for each in quoted if each),
        _is_quoted(whole),
        tuple(numbers.items()),
        whole_name(whole) if len(tokens) <= _LONGEST_NAME else "",
        tuple((each, count) for each, count in counts.items() if count > 1),
        tuple(_spellings(tokens, terms)),
    )


def _spellings(
    tokens: Sequence[_Token], terms: Container[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield those of *terms* that are words, with how *tokens* write them."""
    written: dict[str, dict[str, None]] = {}
    for each in tokens:
        if each.written and each.stem in terms:
            written.setdefault(each.stem, {})[each.written] = None
    yield from ((stem, tuple(words)) for stem, words in written.items())


@lru_cache(maxsize=4096)  # the same words come in most questions, and a stem costs 5 us
def _stems_of_word(folded: str) -> tuple[str, ...]:
    return tuple(stems(folded))


def share_of_signs(query: WordQuery) -> float:
    """Return which share of the terms of *query* are signs of scripts without spaces."""
    return sum(bool(_SIGN.match(each)) for each in query.terms) / max(len(query.terms), 1)


def pieces_of_run(run: str) -> list[str]:
    """Return what is left of a *run* of signs without spaces, its function words cut out."""
    return [each for each in _unspaced_stop().split(run) if each]


def _add_run(run: str, terms: dict[str, None], phrases: dict[tuple[str, ...], None]) -> None:
    """Add the pairs of a *run* of signs without what only makes it a question."""
    for piece in _unspaced_stop().split(run):
        if len(piece) == 1:
            terms[piece] = None
        elif piece:
            terms.update(dict.fromkeys(pairs(piece)))
            signs = tuple(stems(piece))
            if len(signs) > 2:
                phrases[signs] = None


@lru_cache(maxsize=1)  # most programs are asked in other scripts, and it takes long to compile
def _unspaced_stop() -> re.Pattern[str]:
    return re.compile("|".join(sorted(_UNSPACED_CLASSES.split(), key=len, reverse=True)))


def _add_korean(word: str, terms: dict[str, None]) -> None:
    if word in _KOREAN_STOP:
        return
    noun = without_particle(word)
    terms.update(dict.fromkeys([noun] if len(noun) == 1 else [noun, *pairs(noun)]))


def _all_terms(text: str) -> Iterator[str]:
    folded = fold(text)
    yield from stems(folded)
    for each in re.findall(f"[{UNSPACED}]+|[{HANGUL}]+", folded):
        yield from pairs(each)


def _is_name(text: str, word: re.Match[str]) -> bool:
    """Tell whether a function word is written as a name: with a capital, in mid-sentence."""
    found = word[0]
    if (
        not found[0].isupper()
        or found in {"I", "A"}
        or (len(found) > 1 and not found[1:].islower())
    ):
        return False
    if _SENTENCE_END.search(text[: word.start()]):
        return False
    # In a title all words have capitals, and in a text in capitals this says nothing.
    words = [each["word"] for each in _WORD.finditer(text) if each["word"]]
    capital = sum(each[0].isupper() for each in words)
    return bool(capital * 2 <= len(words) + 1)


def _is_quoted(text: str) -> bool:
    """Tell whether all that tells something stands in quotes."""
    # A question about a title in quotes asks for more than who says the title.
    rest = _QUOTED.sub(" ", text)
    if rest == text:
        return False
    words = _folded_words(rest)
    nothing = common_words(words) | _KOREAN_STOP | {""}
    return all(_unspaced_stop().sub("", each) in nothing for each in words)


def _folded_words(text: str) -> list[str]:
    return [fold(found[0]) for found in _WORD.finditer(text)]


def _quotes(text: str) -> Iterator[str]:
    for found in _QUOTED.findall(text):
        yield from (each for each in found if each)
