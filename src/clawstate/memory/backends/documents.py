"""What is indexed of a record: the terms of its fields, and the marks that filters ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from clawstate.memory.analysis import terms_with_places
from clawstate.memory.postings.store import NOWHERE, Document


class _Numbering(Protocol):
    def made_numbers(self, terms: Collection[str]) -> Mapping[str, int]: ...


class Words(NamedTuple):
    """What is indexed of a record: its fields from the text to the names, and its marks."""

    docno: int
    scope: int
    fields: tuple[str, ...]
    tags: Sequence[str]


def mark_of_scope(scope: int) -> str:
    """Return the mark of all records of a namespace."""
    return f"\x10{scope}"


def mark_of_tag(tag: str) -> str:
    """Return the mark of all records with *tag*."""
    return "\x11" + tag


def documents_of(store: _Numbering, rows: Iterable[Words], *, older: int = 0) -> list[Document]:
    """
    Return *rows* as they are indexed; their terms have numbers from now on.

    Those up to the docno *older* are without stems of other languages than English.
    """
    terms = [(row, *terms_with_places(row.fields, stemmed=row.docno > older)) for row in rows]
    marked = [
        (row, lengths, [*((each, NOWHERE) for each in marks_of(row)), *placed])
        for row, lengths, placed in terms
    ]
    numbers = store.made_numbers({term for _, _, placed in marked for term, _ in placed})
    return [
        Document(row.docno, lengths, [(numbers[term], place) for term, place in placed])
        for row, lengths, placed in marked
    ]


def marks_of(row: Words) -> Iterator[str]:
    """Give the marks of a record: of its namespace, and of its tags."""
    yield mark_of_scope(row.scope)
    yield from map(mark_of_tag, row.tags)
