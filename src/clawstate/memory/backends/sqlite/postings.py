"""`SqlitePostings`: packed postings in tables of the records' database, in their transactions."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

import apsw

from clawstate.memory.analysis import VERSION
from clawstate.memory.backends.sqlite import subwords
from clawstate.memory.postings.store import (
    BLOCK,
    FIELDS,
    Batch,
    Block,
    Document,
    Fold,
    Kind,
    Lengths,
    Totals,
    pack,
)

_FIELDS = range(FIELDS)
TABLES = f"""
-- A term: a stem, behind a sign for the field it stands in; or a mark that filters ask for.
CREATE TABLE word_terms (
    term INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE word_blocks (
    key INTEGER PRIMARY KEY,
    dense INTEGER NOT NULL,
    size INTEGER NOT NULL,
    most INTEGER NOT NULL,
    least INTEGER NOT NULL,
    ids BLOB NOT NULL,
    counts BLOB NOT NULL,
    places BLOB NOT NULL
) STRICT;
CREATE TABLE word_lengths (
    block INTEGER PRIMARY KEY,
    texts BLOB NOT NULL,
    fields BLOB NOT NULL
) STRICT;
-- A number is never given out again: by it a search knows what it has read.
CREATE TABLE word_tail (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE word_totals (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    analysis TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    documents INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0,
    {", ".join(f"tokens_{each} INTEGER NOT NULL DEFAULT 0" for each in _FIELDS)},
    {", ".join(f"holders_{each} INTEGER NOT NULL DEFAULT 0" for each in _FIELDS)}
) STRICT;
INSERT INTO word_totals (one, analysis) VALUES (1, '{VERSION}');
"""
_TOTALS = f"""
SELECT epoch, documents, waiting, last, {", ".join(f"tokens_{each}" for each in _FIELDS)},
    {", ".join(f"holders_{each}" for each in _FIELDS)} FROM word_totals
"""
_COUNT = f"""
UPDATE word_totals SET documents = documents + ?, waiting = waiting + ?, last = ?,
    {", ".join(f"tokens_{each} = tokens_{each} + ?" for each in _FIELDS)},
    {", ".join(f"holders_{each} = holders_{each} + ?" for each in _FIELDS)}
"""
_APPEND = """
INSERT INTO word_tail (kind, documents, data, subwords) VALUES (?, ?, ?, ?) RETURNING seq
"""
_NUMBERS = """
SELECT t.token, t.term FROM json_each(?) k CROSS JOIN word_terms t ON t.token = k.value
"""
# Without places where they are not asked for: they lie behind the rest of a row, and SQLite reads a
# long row only as far as it must.
_BLOCKS = f"""
SELECT b.key, b.dense, b.size, b.most, b.least, b.ids, b.counts,
    CASE WHEN json_extract(k.value, '$[1]') THEN b.places ELSE x'' END
FROM json_each(?) k CROSS JOIN word_blocks b
ON b.key BETWEEN json_extract(k.value, '$[0]') << {BLOCK}
    AND json_extract(k.value, '$[0]') << {BLOCK} | {(1 << BLOCK) - 1}
"""
_COLUMNS = "key, dense, size, most, least, ids, counts, places"
_SIZES = """
SELECT k.value, sum(b.size) FROM json_each(?) k
CROSS JOIN word_blocks b ON b.key BETWEEN k.value << 16 AND k.value << 16 | 65535
GROUP BY k.value
"""
_AT = """
SELECT b.key, b.dense, b.size, b.most, b.least, b.ids, b.counts, b.places
FROM json_each(?) k CROSS JOIN word_blocks b ON b.key = k.value
"""
_DROP_UNUSED = f"""
DELETE FROM word_terms WHERE term = ?1 AND NOT EXISTS (
    SELECT 1 FROM word_blocks WHERE key BETWEEN ?1 << {BLOCK}
    AND ?1 << {BLOCK} | {(1 << BLOCK) - 1})
"""


class SqlitePostings:
    """A `PostingStore` on *connection*, inside its running transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def totals(self) -> Totals:
        """Return the counts."""
        row = self._connection.execute(_TOTALS).get
        epoch, documents, waiting, last = row[:4]
        tokens, holders = tuple(row[4 : 4 + FIELDS]), tuple(row[4 + FIELDS :])
        return Totals(epoch, documents, tokens, holders, waiting, last)

    def tail(self, after: int) -> list[Batch]:
        """Return the batches behind *after*."""
        sql = "SELECT seq, kind, data FROM word_tail WHERE seq > ? ORDER BY seq"
        return [Batch(*row) for row in self._connection.execute(sql, (after,))]

    def numbers(self, terms: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of those *terms* that have one."""
        return dict(self._connection.execute(_NUMBERS, (json.dumps([*terms]),)))

    def sizes(self, terms: Sequence[int]) -> Mapping[int, int]:
        """Return how many documents the blocks of *terms* hold; none for who has no block."""
        return dict(self._connection.execute(_SIZES, (json.dumps([*terms]),)))

    def blocks(self, terms: Sequence[int], placed: Collection[int]) -> list[Block]:
        """Return the blocks of *terms*, with places for those in *placed*."""
        wanted = json.dumps([[each, int(each in placed)] for each in sorted(terms)])
        return [Block(*row) for row in self._connection.execute(_BLOCKS, (wanted,))]

    def at(self, keys: Sequence[int]) -> list[Block]:
        """Return the whole blocks of these keys."""
        return [Block(*row) for row in self._connection.execute(_AT, (json.dumps(keys),))]

    def every(self) -> Iterable[Block]:
        """Return all blocks."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM word_blocks ORDER BY key")
        return (Block(*row) for row in rows)

    def lengths(self, blocks: Collection[int] | None = None) -> list[Lengths]:
        """Return the lengths of all blocks, or of *blocks*."""
        condition = "" if blocks is None else "WHERE block IN (SELECT value FROM json_each(?))"
        sql = f"SELECT block, texts, fields FROM word_lengths {condition} ORDER BY block"
        values = () if blocks is None else (json.dumps([*blocks]),)
        return [Lengths(*row) for row in self._connection.execute(sql, values)]

    def publish(self, fold: Fold) -> bool:
        """Put *fold* in the place of what it merged; False where somebody else was faster."""
        one = self._connection
        # Only folds write blocks, so what was merged is still the present if none came between.
        if one.execute("SELECT epoch FROM word_totals").get != fold.epoch:
            return False
        self._put(fold)
        subwords.settle(one, fold.last)
        one.execute("DELETE FROM word_tail WHERE seq <= ?", (fold.last,))
        one.execute(
            "UPDATE word_totals SET epoch = epoch + 1, waiting = "
            "(SELECT coalesce(sum(documents), 0) FROM word_tail)"
        )
        if fold.terms:
            # What was forgotten shall not be read from the list of terms.
            used = self._tail_terms()
            unused = [(each,) for each in fold.terms if each not in used]
            one.executemany(_DROP_UNUSED, unused)
        return True

    def load(self, fold: Fold) -> None:
        """Put *fold*, which no tail stands for, beside what is there."""
        self._put(fold)
        self._connection.execute("UPDATE word_totals SET epoch = epoch + 1")

    def append(
        self, kind: Kind, documents: Sequence[Document], counted: bytes | None = None
    ) -> None:
        """Write *documents* at the end of the tail, and count them; *counted* lies beside them."""
        row = (kind, len(documents), pack(documents), counted)
        seq = self._connection.execute(_APPEND, row).get
        if kind in {Kind.ADD, Kind.REMOVE}:
            self.count(documents, sign=int(kind), waiting=len(documents), last=seq)
        else:
            self.count([], sign=1, waiting=len(documents), last=seq)

    def count(self, documents: Sequence[Document], *, sign: int, waiting: int, last: int) -> None:
        """Add *documents* to the counts, *sign* times."""
        columns = [*zip(*(each.lengths for each in documents), strict=True)] or [()] * FIELDS
        tokens = [sign * sum(column) for column in columns]
        holders = [sign * sum(map(bool, column)) for column in columns]
        bindings = (sign * len(documents), waiting, last, *tokens, *holders)
        self._connection.execute(_COUNT, bindings)

    def made_numbers(self, terms: Collection[str]) -> Mapping[str, int]:
        """Return the numbers of *terms*, given out now to those that have none."""
        # Asked for in each transaction and never remembered: one that is taken back takes its
        # numbers with it.
        known = dict(self.numbers(terms))
        missing = [each for each in terms if each not in known]
        if missing:
            sql = """
                INSERT INTO word_terms (token) SELECT value FROM json_each(?) RETURNING token, term
            """
            known.update(self._connection.execute(sql, (json.dumps(missing),)))
        return known

    def clear(self) -> None:
        """Forget everything, so that it can be made anew from the texts."""
        one = self._connection
        for table in ("word_terms", "word_blocks", "word_lengths", "word_tail"):
            one.execute(f"DELETE FROM {table}")
        zeros = ", ".join(f"tokens_{each} = 0, holders_{each} = 0" for each in _FIELDS)
        # The epoch goes on, since searches know what they have read by it.
        one.execute(
            f"UPDATE word_totals SET epoch = epoch + 1, documents = 0, waiting = 0, {zeros},"
            f" analysis = '{VERSION}'"
        )

    def _put(self, fold: Fold) -> None:
        one = self._connection
        one.executemany(
            f"INSERT OR REPLACE INTO word_blocks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (each for each in fold.blocks if each.size),
        )
        gone = ((each.key,) for each in fold.blocks if not each.size)
        one.executemany("DELETE FROM word_blocks WHERE key = ?", gone)
        one.executemany("INSERT OR REPLACE INTO word_lengths VALUES (?, ?, ?)", fold.lengths)

    def _tail_terms(self) -> set[int]:
        from clawstate.memory.postings.tail import unpack  # noqa: PLC0415 - folds have numpy

        found: set[int] = set()
        for batch in self.tail(0):
            found.update(unpack(batch.data).terms.tolist())
        return found
