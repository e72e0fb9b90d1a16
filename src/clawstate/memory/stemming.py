"""
Stems of other languages than English: terms of a space of their own, beside the words themselves.

A text shows its language: by its script, or by its function words, endings and letters. Each word
of it that tells something is indexed by its stem in that language as well (Snowball). A query shows
its language seldom, so its words are asked for by their stems in all languages that the index
holds, each among the texts of its language alone.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, NamedTuple

from clawstate.memory.function_words import (
    STOP_WORDS,
    words_by_language,
    words_by_script,
    written_function_words,
)
from clawstate.memory.letters import HANGUL, MARKS, UNSPACED, VOWELLED, fold
from clawstate.memory.suffixes import QuickSuffixes

MARK: Final = "\x12"
"""What the terms of a language begin with; with the language alone it marks all its texts."""

_ALGORITHMS: Final = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek",
    "es": "spanish", "fa": "persian", "fi": "finnish", "fr": "french", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "nl": "dutch",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip

LANGUAGE_MARKS: Final = {MARK + each: each for each in _ALGORITHMS}
"""The marks of all texts of a language, and which that is."""

_SCRIPTS: Final = {
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "ru": "\u0400-\u052f",
    "hy": "\u0531-\u0587",
    "ar": "\u0621-\u064a\u066e-\u06d3",
    "hi": "\u0900-\u0963\u0966-\u097f",
    "ta": "\u0b80-\u0bff",
}
_SCRIPT = {language: re.compile(f"[{signs}]") for language, signs in _SCRIPTS.items()}
_ANY_SCRIPT = re.compile(f"[{''.join(_SCRIPTS.values())}]")
_PERSIAN = re.compile("[\u067e\u0686\u0698\u06af\u06cc\u06a9]")

# Where a short text has no function word, its endings and letters may show what it is.
# What shows English where people only chat, and is hardly a word of a query that tells nothing.
_SPOKEN = "bye comment go hello hey hi oh ok okay please see sorry thanks uh um ya yeah yes"
_ENDINGS: Final = {
    "cs": "ování ostí ého ích ách ům",
    "da": "elser elsen heden hederne erne",
    "de": "ungen heit heiten keit keiten schaft schaften lich isch igen",
    "es": "ción ciones dad dades mente iendo",
    "fi": "ssa ssä stä llä lta ltä nen inen minen",
    "fr": "eux euse euses eaux",
    "hu": "nak nek ság ség ból ből ról ről ők",
    "it": "zione zioni ità mente ggio",
    "nl": "heid heden lijk lijke ingen tje tjes",
    "no": "heten hetene asjon elser elsen",
    "pl": "ość ości owej owych anie enie ów",
    "pt": "ção ções dade dades mente inho inha ões",
    "ro": "ului ilor ție ții ărilor",
    "sv": "heten ningar ningen arna orna erna",
    "tr": "ları leri lık lik nde ların lerin",
}
_LETTERS: Final = {
    "ca": "ŀ", "cs": "řěůčšžýď", "da": "æøå", "de": "ßäöü", "es": "ñ¿¡", "fi": "äö",
    "fr": "çœèêàâîôûë", "hu": "őű", "it": "èàùòì", "nl": "ĳ", "no": "æøå", "pl": "łąężźśćń",
    "pt": "ãõç", "ro": "țșăâîşţ", "sv": "åäö", "tr": "ğşıçöü",
}  # fmt: skip

_WORD = re.compile(f"(?:(?![{UNSPACED}{HANGUL}])[^\\W\\d_]|[{MARKS}{VOWELLED}])+")
_MARK = re.compile(f"[{MARKS}]")
_LEAST, _LONGEST = 3, 40  # characters of a word that has a stem
_SHORTEST_AGAIN = 4  # characters of a stem that is stemmed once more
_MOST = 3  # languages of which a text may be
_LOOKED_AT = 800  # characters of a text: whoever writes so many shows the language in them
_CLEARLY = 2  # words of a language more than of the next
_HALF = 0.5
_DECLARED = 2  # what letters or endings tell that show a language by themselves


def languages_of(text: str) -> tuple[str, ...]:
    """
    Return the languages of *text* that have stems here, English apart; none where it shows none.

    Of languages that it shows alike, such as Danish and Norwegian, all are told.
    """
    beginning = fold(text[:_LOOKED_AT])
    found = [] if text.isascii() else list(_by_script(text))
    # Nearly all English texts end here: this stands in the way of each record that is added, and
    # words between blanks are enough of most to tell that no other language has more of them.
    known = _known_words().intersection(beginning.split())
    if len(known & _foreign_words()) >= len(known & _english_words()):
        found += _by_words(text[:_LOOKED_AT], beginning, least=2 if found else 1)
    return tuple(found)


def stem_terms(texts: Sequence[str]) -> list[list[str]]:
    """
    Return the terms that stand for the stems of each of *texts*, the fields of one record.

    The first has the marks of their languages as well.
    """
    languages = languages_of("\n".join(filter(None, texts)))
    if not languages:
        return []
    found = [
        [term for word in _words(text) for term in _terms(word, languages)] if text else []
        for text in texts
    ]
    found[0] += [MARK + each for each in languages]
    return found


def query_terms(words: Iterable[str], languages: Iterable[str]) -> list[str]:
    """Return the terms by which *words* of a query are asked for in texts of *languages*."""
    chosen = tuple(languages)
    return list(dict.fromkeys(term for word in words for term in _terms(word, chosen)))


def written_form(
    words: Iterable[str], text: str, languages: tuple[str, ...]
) -> tuple[str, str, str]:
    """Return how *text* writes one of *words* in another form, its stem, and in which language."""
    asked = {each for word in words for each in _terms(word, languages)}
    for word in _words(text) if asked else ():
        for term in _terms(word, languages):
            if term in asked:
                _, language, stem = term.split(MARK)
                return word, stem, language
    return "", "", ""


def written_forms(words: Iterable[str], text: str) -> list[str]:
    """Return the words of *text* that have the stem of one of *words* in its languages."""
    languages = languages_of(text)
    asked = {each for word in words for each in _terms(word, languages)}
    if not asked:
        return []
    forms = (word for word in _words(text) if not asked.isdisjoint(_terms(word, languages)))
    return list(dict.fromkeys(forms))


def is_word(text: str) -> bool:
    """Tell whether *text* is one word that may have stems."""
    return len(text) <= _LONGEST and _WORD.fullmatch(text) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text))


def _by_script(text: str) -> Iterator[str]:
    if not _ANY_SCRIPT.search(text):
        return
    for language, script in _SCRIPT.items():
        if script.search(text):
            yield "fa" if language == "ar" and _PERSIAN.search(text) else language


def _by_words(text: str, folded_text: str, *, least: int) -> list[str]:
    """
    Return the languages in Latin letters that *text* shows by *least* words, or by signs.

    *folded_text* is the same, folded.
    """
    # Letters that stand alone are rather names of things than words.
    folded = {each for each in _WORD.findall(folded_text) if len(each) > 1}
    known = words_by_language()
    scores: dict[str, float] = {}
    for word in folded & _foreign_words():
        for each in _languages_by_word()[word]:
            scores[each] = scores.get(each, 0.0) + 1.0
    english = folded & _english_words()
    most, second, *_ = sorted([*scores.values(), 0.0, 0.0], reverse=True)
    if most < len(english) or (least > 1 and most < least):
        return []
    if english and most == len(english):
        # A tie is English, but where all that is English in it is of the other as well, and more
        # than these words shows that one.
        signs = _hints(set(map(str.lower, _words(text))))
        scores = {each: scores[each] for each in scores if english <= known[each] and signs[each]}
    if most < second + _CLEARLY:
        _weigh_signs(scores, _words(text))
    best = max(scores.values(), default=0)
    found = [language for language, score in scores.items() if score == best]
    return sorted(each for each in found if each in _ALGORITHMS) if len(found) <= _MOST else []


def _weigh_signs(scores: dict[str, float], written: Sequence[str]) -> None:
    """Add to *scores* of languages what the letters and endings of the words *written* show."""
    hints = _hints(set(map(str.lower, written)))
    if max(scores.values(), default=0) == 1 and not any(hints.values()):
        # Alone, "Ada" or "Las" is rather a name than a word of Indonesian or Spanish.
        lower = {fold(each) for each in written if each.islower()}
        for each in [each for each in scores if not words_by_language()[each] & lower]:
            del scores[each]
    for language, count in hints.items():
        if language in scores or count >= _DECLARED:
            scores[language] = scores.get(language, 0.0) + _HALF * count


def _hints(words: set[str]) -> Counter[str]:
    """Return what *words* tell of each language: a letter 2, an ending 1, and a long one 2."""
    letters = set("".join(words))
    long = {each for each in words if len(each) > _SHORTEST_AGAIN}
    found = {
        language: 2 * len(letters & signs)
        + sum(each.endswith(endings) + each.endswith(telling) for each in long)
        for language, (endings, telling, signs) in _signs().items()
    }
    return Counter(found)


class _Signs(NamedTuple):
    """What shows a language: endings, those of them that tell most, and letters."""

    endings: tuple[str, ...]
    telling: tuple[str, ...]
    letters: frozenset[str]


@cache
def _signs() -> dict[str, _Signs]:
    found = {}
    for language in _ENDINGS.keys() | _LETTERS.keys():
        endings = tuple(_ENDINGS.get(language, "").split())
        telling = tuple(each for each in endings if len(each) > _LEAST)
        found[language] = _Signs(endings, telling, frozenset(_LETTERS.get(language, "")))
    return found


@cache
def _english_words() -> frozenset[str]:
    return STOP_WORDS.union(_SPOKEN.split())


@cache
def _known_words() -> frozenset[str]:
    return _english_words() | _foreign_words()


@cache
def _foreign_words() -> frozenset[str]:
    return frozenset(_languages_by_word())


@cache
def _languages_by_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for language, words in words_by_language().items():
        for each in words:
            found[each] = (*found.get(each, ()), language)
    return found


@lru_cache(maxsize=1 << 16)  # a stem takes 5 to 50 us, and words come again and again
def _terms(word: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the terms of *word*'s stem in each of *languages* where it is no function word."""
    if not _LEAST <= len(word) <= _LONGEST:
        return ()
    script = _script_of(word)
    fitting = (each for each in languages if _SCRIPT_OF.get(each) == script)
    found = ((language, _stem(word, language)) for language in fitting)
    return tuple(f"{MARK}{language}{MARK}{stem}" for language, stem in found if stem)


_SCRIPT_OF = {**{each: each for each in _SCRIPTS}, "fa": "ar"}


def _script_of(word: str) -> str | None:
    if word.isascii():
        return None
    return next((each for each, script in _SCRIPT.items() if script.search(word)), None)


def _stem(word: str, language: str) -> str:
    if _tells_nothing(word, language):
        return ""
    # What is written without marks, or with vowel signs that nobody types, has the same stem.
    return _cut_twice(_cut_once(_lower(word, language), language), language)


def _cut_once(word: str, language: str) -> str:
    return str(_stemmers.find(language).stemWord(word))


@lru_cache(maxsize=1 << 14)  # several forms have one stem
def _cut_twice(stem: str, language: str) -> str:
    # The algorithms leave of some forms what they cut from others: a second time makes one of them.
    again = _cut_once(stem, language)
    return fold(again if len(again) >= _SHORTEST_AGAIN else stem)


def _tells_nothing(word: str, language: str) -> bool:
    folded = fold(word)
    if language not in words_by_language():
        return folded in words_by_script()
    # A key in Danish is some without its mark; who leaves out marks may mean either.
    is_written_so = word.isascii() or word.lower() in written_function_words(language)
    return is_written_so and folded in words_by_language()[language]


def _lower(word: str, language: str) -> str:
    if language == "tr":
        return word.replace("İ", "i").replace("I", "\u0131").lower()
    if language == "pt":
        # The plural that the algorithm leaves alone.
        return re.sub("ões$", "ão", word.lower())
    lower = word.lower()
    return _MARK.sub("", lower) if language in {"ar", "fa"} else lower


class _Stemmers(threading.local):
    """The stemmers of one thread, which keep the word they work on."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def find(self, language: str) -> Any:
        """Return the stemmer of *language*."""
        found = self._made.get(language)
        if found is None:
            name = _ALGORITHMS[language]
            module = importlib.import_module(f"{_package()}.{name}_stemmer")
            stemmer = getattr(module, f"{name.title()}Stemmer")
            found = self._made[language] = type(name, (QuickSuffixes, stemmer), {})()
        return found


_stemmers = _Stemmers()


@cache
def _package() -> str:
    # The package imports all its languages at once, in 140 ms; one alone takes 4. And where
    # PyStemmer is installed it would give that one's stems, of another release perhaps.
    spec = find_spec("snowballstemmer")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("snowballstemmer", name="snowballstemmer")
    package = ModuleType("clawstate._snowball")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[package.__name__] = package
    return package.__name__
