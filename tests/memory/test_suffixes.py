"""The quick searches for endings give the stems that the package snowballstemmer gives."""

from __future__ import annotations

import importlib
import random

import pytest

from clawstate.memory.stemming import LANGUAGE_MARKS
from clawstate.memory.suffixes import QuickSuffixes

NAMES = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek",
    "es": "spanish", "fa": "persian", "fi": "finnish", "fr": "french", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "nl": "dutch",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
STARTS = ("", "a", "ge", "haus", "übel", "qu", "système", "людей", "работ", "πόλ", "كتاب", "किताब")


def test_every_language_is_compared() -> None:
    """No language has stems that are not compared here."""
    assert set(LANGUAGE_MARKS.values()) == set(NAMES)


@pytest.mark.parametrize("language", sorted(NAMES))
def test_the_stems_are_those_of_the_package(language: str) -> None:
    """A word has the package's own stem, whichever of its endings it has, one or two of them."""
    name = NAMES[language]
    module = importlib.import_module(f"snowballstemmer.{name}_stemmer")
    own_class = getattr(module, f"{name.title()}Stemmer")
    own = own_class()
    quick = type("Quick", (QuickSuffixes, own_class), {})()
    lists = [getattr(own_class, each) for each in vars(own_class) if each.startswith("a_")]
    endings = sorted({entry.s for entries in lists for entry in entries})
    letters = sorted({letter for ending in endings for letter in ending})
    drawn = random.Random(language)
    words = [start + ending for start in STARTS for ending in endings]
    words += [
        "".join(drawn.choices(letters, k=drawn.randint(0, 6)))
        + drawn.choice(endings)
        + drawn.choice(endings)
        for _ in range(1500)
    ]

    assert [quick.stemWord(each) for each in words] == [own.stemWord(each) for each in words]
