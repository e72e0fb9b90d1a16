"""The words of the records in `memory.db`: what a write changes of them, and what a search asks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory.analysis import VERSION, fields_of, stems_of_other, terms_with_places
from clawstate.memory.backends.documents import Words, documents_of, mark_of_tag, marks_of
from clawstate.memory.backends.sqlite.postings import SqlitePostings
from clawstate.memory.backends.sqlite.subwords import SubwordCounts
from clawstate.memory.postings.store import FIELDS, NOWHERE, Document, Kind
from clawstate.memory.records import MemoryRecord
from clawstate.quantities import number_of
from clawstate.sqlite import DamagedValueError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.postings.scoring import Allowed
    from clawstate.memory.postings.snapshot import Snapshot, SnapshotCache
    from clawstate.memory.postings.store import Fold
    from clawstate.memory.reading import WordQuery
    from clawstate.memory.word_search import WordSearch

WITHOUT_STEMS = "without_stems"
"""Under what key `meta` notes up to which docno the records of an older state have no stems."""

FOLD_AT = 512
"""From how many documents the tail is merged: it costs a search 0.1 ms by then."""

FOLD_BULK_AT = 16_384
"""The same while whole batches arrive one after the other."""

_SAMPLE = 256  # records whose words a check counts
_AT_ONCE = 1 << 14  # documents that are indexed in one step when all are
_ROWS = """
m.docno, m.scope, m.content, m.fields,
(SELECT json_group_array(t.tag) FROM tags t WHERE t.memory_id = m.id)
"""


def add(
    connection: apsw.Connection, rows: Iterable[Words], *, subwords: bytes | None = None
) -> None:
    """Index *rows*; *subwords* of them are counted with the batch."""
    store = SqlitePostings(connection)
    if documents := documents_of(store, rows):
        store.append(Kind.ADD, documents, subwords)


def remove(
    connection: apsw.Connection, docnos: Sequence[int], *, subwords: bytes | None = None
) -> None:
    """Take the records *docnos*, which are still kept, out of the index; *subwords* as in `add`."""
    store = SqlitePostings(connection)
    sql = f"SELECT {_ROWS} FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value"
    rows = map(_words, connection.execute(sql, (json.dumps(list(docnos)),)))
    if documents := documents_of(store, rows, older=without_stems(connection)):
        store.append(Kind.REMOVE, documents, subwords)


def retag(connection: apsw.Connection, docno: int, old: Iterable[str], new: Iterable[str]) -> None:
    """Note that the record *docno* has the tags *new* in the place of *old*."""
    store = SqlitePostings(connection)
    before, after = set(old), set(new)
    for kind, tags in ((Kind.UNMARK, before - after), (Kind.MARK, after - before)):
        if tags:
            numbers = store.made_numbers([mark_of_tag(each) for each in sorted(tags)])
            tokens = [(number, NOWHERE) for number in numbers.values()]
            store.append(kind, [Document(docno, (0,) * FIELDS, tokens)])


class WordCaches:
    """What searches of one process remember of the postings: their newest state."""

    def __init__(self) -> None:
        self.subwords = SubwordCounts()
        self._snapshots: SnapshotCache | None = None

    def search(self, store: SqlitePostings, identity: object, query: WordQuery) -> WordSearch:
        """Return the words of *query* in the state that *store* reads, of a file *identity*."""
        load_modules("clawstate.memory.word_search")
        from clawstate.memory.word_search import WordSearch  # noqa: PLC0415 - needs numpy

        return WordSearch(store, self._snapshot(store, identity), query)

    def allowed_docs(
        self,
        store: SqlitePostings,
        identity: object,
        *,
        marks: Sequence[Sequence[str]],
        docs: NDArray[np.int64] | None,
    ) -> Allowed:
        """Return which records have one of each of *marks*, and are among *docs* (ascending)."""
        load_modules("clawstate.memory.word_search")
        from clawstate.memory.postings.scoring import Allowed  # noqa: PLC0415 - needs numpy
        from clawstate.memory.word_search import marks as marked  # noqa: PLC0415

        snapshot = self._snapshot(store, identity)
        holders, terms = marked(store, snapshot, marks) if marks else ([], [])
        return Allowed(snapshot, holders, terms=terms, docs=docs)

    def _snapshot(self, store: SqlitePostings, identity: object) -> Snapshot:
        from clawstate.memory.postings.snapshot import SnapshotCache  # noqa: PLC0415 - needs numpy

        if self._snapshots is None:
            self._snapshots = SnapshotCache()
        return self._snapshots.snapshot(store, identity)


def is_due(connection: apsw.Connection, *, batch: int) -> tuple[bool, bool]:
    """
    Tell what is to be done after a write of *batch* records.

    Whether the tail is long enough to be merged, and whether older records have no stems yet.
    """
    sql = "SELECT waiting, EXISTS (SELECT 1 FROM meta WHERE key = ?) FROM word_totals"
    waiting, is_behind = connection.execute(sql, (WITHOUT_STEMS,)).get
    return waiting >= (FOLD_BULK_AT if batch >= _WHOLE_BATCH else FOLD_AT), bool(is_behind)


def without_stems(connection: apsw.Connection) -> int:
    """Return the docno up to which the records of an older state have no stems yet; 0 for none."""
    sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?"
    return connection.execute(sql, (WITHOUT_STEMS,)).get or 0


def stem_older(connection: apsw.Connection, highest: int, limit: int) -> int:
    """
    Index the stems of up to *limit* records, whose docnos end with *highest*.

    Returns the docno of the next, 0 for none. No record so old may be in the tail.
    """
    load_modules("clawstate.memory.postings.folding")
    from clawstate.memory.postings.folding import merge  # noqa: PLC0415 - needs numpy
    from clawstate.memory.postings.store import Batch, pack  # noqa: PLC0415

    sql = f"SELECT {_ROWS} FROM memories m WHERE m.docno <= ? ORDER BY m.docno DESC LIMIT ?"
    rows = [_words(row) for row in connection.execute(sql, (highest, limit + 1))]
    lowest = rows[limit].docno if len(rows) > limit else 0
    stemmed = [(row, stems_of_other(row.fields)) for row in reversed(rows[:limit])]
    stemmed = [(row, found) for row, found in stemmed if found]
    if stemmed:
        store = SqlitePostings(connection)
        numbers = store.made_numbers({each for _, found in stemmed for each in found})
        documents = [
            Document(
                row.docno,
                terms_with_places(row.fields, stemmed=False)[0],
                [(numbers[each], NOWHERE) for each in found],
            )
            for row, found in stemmed
        ]
        store.load(merge(store, [Batch(0, Kind.ADD, pack(documents))], epoch=0))
    return lowest


_WHOLE_BATCH = 4096  # what `ingest` writes at once while more is to come


def plan_fold(connection: apsw.Connection) -> Fold | None:
    """Return the tail merged into the blocks, to be published; nothing is written."""
    load_modules("clawstate.memory.postings.folding")
    from clawstate.memory.postings.folding import fold  # noqa: PLC0415 - needs numpy

    return fold(SqlitePostings(connection))


def rebuild(connection: apsw.Connection) -> None:
    """Make the index anew from the texts."""
    load_modules("clawstate.memory.postings.folding")
    from clawstate.memory.postings.folding import merge  # noqa: PLC0415 - needs numpy
    from clawstate.memory.postings.store import Batch, pack  # noqa: PLC0415

    store = SqlitePostings(connection)
    store.clear()
    connection.execute("DELETE FROM meta WHERE key = ?", (WITHOUT_STEMS,))
    rows = map(_words, connection.execute(f"SELECT {_ROWS} FROM memories m ORDER BY m.docno"))
    while documents := documents_of(store, islice(rows, _AT_ONCE)):
        store.count(documents, sign=1, waiting=0, last=store.totals().last)
        batch = Batch(0, Kind.ADD, pack(documents))
        store.load(merge(store, [batch], epoch=0))


def findings(connection: apsw.Connection) -> list[str]:
    """Return what is wrong with the index, sentence by sentence: all of it, and some texts."""
    load_modules("clawstate.memory.postings.checking")
    from clawstate.memory.postings.checking import check, count_wrong  # noqa: PLC0415 - needs numpy

    if connection.execute("SELECT analysis FROM word_totals").get != VERSION:
        return ["the word index was made by another release"]
    store = SqlitePostings(connection)
    found, present = check(store, store.every())
    kept = [row[0] for row in connection.execute("SELECT docno FROM memories ORDER BY docno")]
    missing, surplus = len(set(kept) - present), len(present - set(kept))
    if missing or surplus:  # then its counts and words cannot be right either
        found = [f"the word index lacks {number_of(missing, 'record')}"] if missing else []
        if surplus:
            found.append(f"the word index has {number_of(surplus, 'row')} of no record")
    elif not found:
        sample = kept[:: max(len(kept) // _SAMPLE, 1)]
        sql = f"SELECT {_ROWS} FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value"
        rows = map(_words, connection.execute(sql, (json.dumps(sample),)))
        older = without_stems(connection)
        terms: dict[int, list[str]] = {}
        for row in rows:
            placed = terms_with_places(row.fields, stemmed=row.docno > older)[1]
            terms[row.docno] = [*marks_of(row), *(term for term, _ in placed)]
        if wrong := count_wrong(store, terms):
            records = number_of(wrong, "record")
            found.append(f"the word index has other words of {records} than their texts")
    return found


def _words(row: tuple[int, int, str, str, str]) -> Words:
    docno, scope, text, fields, tags = row
    if text is None:
        raise DamagedValueError("a record without text")
    named = MemoryRecord(text=text, **json.loads(fields))
    return Words(docno, scope, fields_of(named), json.loads(tags))
