"""Pairs of an English text and its translation, from message catalogues and the CLDR."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from packages import Store

LANGUAGES = (
    "ar", "bg", "bn", "cs", "da", "de", "el", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it",
    "ja", "ko", "nb", "nl", "pl", "pt", "ro", "ru", "sv", "sw", "ta", "th", "tr", "uk", "ur", "vi",
    "zh",
)  # fmt: skip
"""What notes are found in across languages; any other language is found in itself."""

_OTHER_NAMES = {
    "zh": ("zh-Hans", "zh-CN"),
    "pt": ("pt-BR",),
    "nb": ("no",),
    "he": ("iw",),
}
_MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|<[^>]+>|\$[A-Za-z0-9_]*\$?|\{[^}]*\}|[*_`&]")
Translation = tuple[str, str, str]
"""English, language, and the text in that language."""


def phrases() -> Iterator[Translation]:
    """Yield everyday words, from the table beside this file; what means the same has a comma."""
    table = Path(__file__).with_name("phrases.tsv").read_text(encoding="utf-8")
    head, *lines = (line.split("\t") for line in table.splitlines())
    for english, *others in lines:
        for language, text in zip(head[1:], others, strict=True):
            yield english, language, text


def pictures(store: Store) -> Iterator[Translation]:
    """Yield names and keywords of the same picture: single words of everyday life."""
    for name in ("cldr-annotations-full", "cldr-annotations-derived-full"):
        folder = "annotations" if name == "cldr-annotations-full" else "annotationsDerived"
        tables = {
            language: json.loads(store.read(name, f"package/{folder}/{language}/annotations.json"))
            for language in ("en", *_cldr(LANGUAGES))
        }
        english = tables["en"][folder]["annotations"]
        for language in _cldr(LANGUAGES):
            theirs = tables[language][folder]["annotations"]
            for sign in sorted(english.keys() & theirs.keys()):
                ours, other = english[sign], theirs[sign]
                for kind, between in (("tts", " "), ("default", ", ")):
                    if kind in ours and kind in other:
                        yield between.join(ours[kind]), _own(language), between.join(other[kind])


def related(pictures: Sequence[Translation]) -> list[tuple[str, str]]:
    """Return of each picture its name and its keywords in one language."""
    return [
        (name, keywords)
        for (_, one, name), (_, other, keywords) in pairwise(pictures)
        if one == other and "," in keywords and "," not in name
    ]


def names(store: Store) -> Iterator[Translation]:
    """Yield names of countries, languages, units, days and months."""
    for name, member in (
        ("cldr-localenames-full", "territories"),
        ("cldr-localenames-full", "languages"),
        ("cldr-dates-full", "ca-gregorian"),
        ("cldr-dates-full", "dateFields"),
        ("cldr-units-full", "units"),
    ):
        tables = {
            language: dict(
                _leaves(
                    json.loads(store.read(name, f"package/main/{language}/{member}.json"))["main"][
                        language
                    ]
                )
            )
            for language in ("en", *_cldr(LANGUAGES))
        }
        for language in _cldr(LANGUAGES):
            for english, other in _aligned(tables["en"], tables[language]):
                yield english, _own(language), other


def messages(store: Store) -> Iterator[Translation]:
    """Yield the messages of three programs."""
    yield from _components(store)
    yield from _frontend(store)
    english = _lighthouse(store, "en-US")
    for language in LANGUAGES:
        for name in (language, *_OTHER_NAMES.get(language, ())):
            for ours, other in _aligned(english, _lighthouse(store, name)):
                yield ours, language, other


def browser(store: Store) -> Iterator[Translation]:
    """Yield the messages of a browser."""
    english = _pak(store.read("cefpython3", "cefpython3/locales/en-US.pak"))
    for language in LANGUAGES:
        for name in (language, *_OTHER_NAMES.get(language, ())):
            for _, content in store.files("cefpython3", f"cefpython3/locales/{name}.pak"):
                for ours, other in _aligned(english, _pak(content)):
                    yield ours, language, other


def _components(store: Store) -> Iterator[Translation]:
    wanted = {
        each for language in LANGUAGES for each in (language, *_OTHER_NAMES.get(language, ()))
    }
    tables: dict[str, dict[str, str]] = {}
    for member, content in store.files("homeassistant", "*/translations/*.json"):
        language = Path(member).stem
        if language in wanted or language == "en":
            component = Path(member).parent.as_posix()
            table = tables.setdefault(language, {})
            table.update((component + key, text) for key, text in _leaves(json.loads(content)))
    for language in sorted(tables.keys() - {"en"}):
        for english, other in _aligned(tables["en"], tables[language]):
            yield english, _own(language), other


def _frontend(store: Store) -> Iterator[Translation]:
    wanted = {
        each for language in LANGUAGES for each in (language, *_OTHER_NAMES.get(language, ()))
    }
    tables: dict[str, dict[str, str]] = {}
    for member, content in store.files("home-assistant-frontend", "*/static/translations/*.json"):
        part, _, language = member.split("translations/")[1].rsplit("-", 1)[0].rpartition("/")
        if language in wanted or language == "en":
            table = tables.setdefault(language, {})
            table.update((part + key, text) for key, text in _leaves(json.loads(content)))
    for language in sorted(tables.keys() - {"en"}):
        for english, other in _aligned(tables["en"], tables[language]):
            yield english, _own(language), other


def _lighthouse(store: Store, language: str) -> dict[str, str]:
    for _, content in store.files(
        "lighthouse", f"package/shared/localization/locales/{language}.json"
    ):
        return {key: each["message"] for key, each in json.loads(content).items()}
    return {}


def _pak(content: bytes) -> dict[str, str]:
    """Return the texts of a resource file of a browser (version 4 or 5) by number."""
    version = int.from_bytes(content[:4], "little")
    count, place = (
        (int.from_bytes(content[4:8], "little"), 9)
        if version == 4
        else (int.from_bytes(content[8:10], "little"), 12)
    )
    entries = [
        (
            int.from_bytes(content[at : at + 2], "little"),
            int.from_bytes(content[at + 2 : at + 6], "little"),
        )
        for at in range(place, place + 6 * (count + 1), 6)
    ]
    return {
        str(number): content[begin:end].decode("utf-8", "replace")
        for (number, begin), (_, end) in pairwise(entries)
    }


def _aligned(english: dict[str, str], other: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key in sorted(english.keys() & other.keys()):
        ours, theirs = _plain(english[key]), _plain(other[key])
        # What is not translated teaches nothing.
        if ours.casefold() != theirs.casefold() and 1 < len(ours) < 400 and 0 < len(theirs) < 400:
            yield ours, theirs


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub(lambda found: f" {found[1] or ''} ", text).split())


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}/{key}")
    elif isinstance(node, str):
        yield path, node


def _cldr(languages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("no" if each == "nb" else each for each in languages)


def _own(language: str) -> str:
    for ours, others in _OTHER_NAMES.items():
        if language in others:
            return ours
    return language
