"""Whether a memory is sound, however far behind its indexes are."""

from __future__ import annotations

from clawstate.memory.backends.sqlite.postings import SqlitePostings
from clawstate.memory.backends.sqlite.word_index import WordCaches
from clawstate.memory.query_words import word_query


def damage_of(memory) -> list[str]:
    """Return what is damaged in *memory*; that indexes are to be brought up to date is none."""
    return [f"{each.code}: {each.message}" for each in memory.check() if each.severity != "info"]


def docnos_with(connection, word: str) -> list[int]:
    """Return the numbers of the records that the word index finds by *word*."""
    caches, store = WordCaches(), SqlitePostings(connection)
    search = caches.search(store, None, word_query(word))
    allowed = caches.allowed_docs(store, None, marks=[], docs=None)
    return sorted(search.best(allowed, 1 << 20)[0])
