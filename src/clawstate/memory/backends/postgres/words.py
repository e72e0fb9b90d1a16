"""What a write changes of the words and counts: rows of the tail, in its own transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from clawstate.memory.analysis import fields_of
from clawstate.memory.backends import subword_batches
from clawstate.memory.backends.documents import Words, documents_of, mark_of_tag
from clawstate.memory.backends.postgres.postings import ZEROS, PostgresPostings
from clawstate.memory.postings.store import FIELDS, NOWHERE, Document, Kind, pack
from clawstate.memory.records import MemoryRecord
from clawstate.postgres.transaction import Row, Transaction

NOTHING = 0
"""The kind of a row of the tail that only tells that something changed."""

INDEXED = "m.docno, m.scope, m.content, m.fields, array_to_json(m.tags)::text"
"""The columns that `words_of` reads."""

_APPEND = """
INSERT INTO clawstate.memory_tail
    (tenant, kind, documents, tokens, holders, scopes, data, subwords, at, rewritten)
VALUES (%(tenant)s, %(kind)s, %(documents)s, %(tokens)s, %(holders)s, %(scopes)s, %(data)s,
    %(subwords)s, %(at)s, %(rewritten)s)
"""


class Counted(NamedTuple):
    """A record that comes or goes: its namespace, and its subwords as kept."""

    scope: int
    subwords: bytes | None


def append(
    within: Transaction,
    kind: Kind,
    words: Sequence[Words],
    counted: Iterable[Counted],
    *,
    now_ms: int,
    rewritten: int = 0,
) -> None:
    """Note that records come or go (*kind*), with their *words*, and what is counted of them."""
    documents = documents_of(PostgresPostings(within), words)
    sign = int(kind)
    columns = [*zip(*(each.lengths for each in documents), strict=True)] or [()] * FIELDS
    blobs: dict[int, list[bytes]] = {}
    for scope, blob in counted:
        blobs.setdefault(scope, []).append(blob or b"")
    totals = {scope: (len(each), sum(map(len, each)) // 2) for scope, each in blobs.items()}
    within.run(
        _APPEND,
        kind=sign,
        documents=sign * len(documents),
        tokens=[sign * sum(column) for column in columns],
        holders=[sign * sum(map(bool, column)) for column in columns],
        scopes=[n for scope, (a, b) in totals.items() for n in (scope, sign * a, sign * b)],
        data=pack(documents),
        subwords=subword_batches.pack(blobs) if any(map(any, blobs.values())) else None,
        at=now_ms,
        rewritten=rewritten,
    )


def retag(
    within: Transaction, docno: int, old: Iterable[str], new: Iterable[str], *, now_ms: int
) -> None:
    """Note that the record *docno* has the tags *new* in the place of *old*."""
    before, after = set(old), set(new)
    for kind, tags in ((Kind.UNMARK, before - after), (Kind.MARK, after - before)):
        if tags:
            store = PostgresPostings(within)
            numbers = store.made_numbers([mark_of_tag(each) for each in sorted(tags)])
            tokens = [(number, NOWHERE) for number in numbers.values()]
            data = pack([Document(docno, (0,) * FIELDS, tokens)])
            _append_row(within, kind, data, now_ms=now_ms)


def touch(within: Transaction, *, now_ms: int, rewritten: int = 0) -> None:
    """Note that something changed, of which *rewritten* changes left bytes behind."""
    _append_row(within, NOTHING, b"", now_ms=now_ms, rewritten=rewritten)


def words_of(rows: Iterable[Row]) -> list[Words]:
    """Return what is indexed of rows of `INDEXED`."""
    return [
        Words(
            docno,
            scope,
            fields_of(MemoryRecord(text=text, **json.loads(fields))),
            json.loads(tags),
        )
        for docno, scope, text, fields, tags in rows
    ]


def record_words(numbered: Iterable[tuple[int, int, MemoryRecord]]) -> list[Words]:
    """Return what is indexed of records, each with its docno and its scope."""
    return [
        Words(docno, scope, fields_of(record), record.tags) for docno, scope, record in numbered
    ]


def _append_row(
    within: Transaction, kind: int, data: bytes, *, now_ms: int, rewritten: int = 0
) -> None:
    values: Mapping[str, object] = {"documents": 0, "tokens": ZEROS, "holders": ZEROS}
    within.run(
        _APPEND,
        kind=kind,
        scopes=[],
        data=data,
        subwords=None,
        at=now_ms,
        rewritten=rewritten,
        **values,
    )
