"""How often subwords occur in a namespace: counts in a table, and the newest beside the tail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import apsw

from clawstate.interrupts import Mutex, load_modules
from clawstate.memory.backends.subword_batches import Counts, unpack
from clawstate.memory.postings.store import Kind

FEW = 64
"""Up to how many records of one write are counted beside the tail and not in the table."""

_COUNT = """
INSERT INTO subword_counts VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET occurrences = occurrences + excluded.occurrences
"""
_OCCURRENCES = """
SELECT subword, sum(occurrences) FROM subword_counts
WHERE subword IN (SELECT value FROM json_each(?1)) AND {} GROUP BY subword
"""
_EVERY = "scope IN (SELECT scope FROM scopes WHERE ?2 IS NULL)"  # so that the index serves
_TAIL = """
SELECT seq, kind, subwords FROM word_tail
WHERE seq > ? AND seq <= ? AND subwords IS NOT NULL ORDER BY seq
"""
_ROWS = """
SELECT docno, subwords FROM memories
WHERE scope = ? AND docno > ? AND subwords IS NOT NULL ORDER BY docno LIMIT ?
"""
_PAGE = 1000
_SHORT = 4_096  # subwords


def add(connection: apsw.Connection, scope: int, blobs: Iterable[bytes], *, sign: int = 1) -> None:
    """Count the subwords *blobs* of a namespace in the table, *sign* times."""
    numbers, counts = _count(b"".join(blobs))
    connection.executemany(
        _COUNT, ((scope, number, sign * each) for number, each in zip(numbers, counts, strict=True))
    )


def settle(connection: apsw.Connection, last: int) -> None:
    """Put into the table what stands beside the tail up to the batch *last*, which goes now."""
    counted: Counts = {}
    _read_tail(connection, counted, 0, last)
    connection.executemany(
        _COUNT,
        (
            (scope, number, occurrences)
            for scope, counts in sorted(counted.items())
            for number, occurrences in sorted(counts.items())
            if occurrences
        ),
    )


def recount(connection: apsw.Connection) -> None:
    """Count all anew from the records."""
    connection.execute("DELETE FROM subword_counts")
    connection.execute("UPDATE word_tail SET subwords = NULL WHERE subwords IS NOT NULL")
    scopes: list[Any] = connection.execute("SELECT scope FROM scopes").fetchall()
    for (scope,) in scopes:
        total, last = 0, -1
        while rows := _rows(connection, scope, last):
            blobs = [blob for _, blob in rows]
            add(connection, scope, blobs)
            total += sum(map(len, blobs)) // 2
            last = rows[-1][0]
        connection.execute("UPDATE scopes SET subwords = ? WHERE scope = ?", (total, scope))


def _rows(connection: apsw.Connection, scope: int, last: int) -> list[Any]:
    return connection.execute(_ROWS, (scope, last, _PAGE)).fetchall()


class _Known(NamedTuple):
    """What of the tail of one state of a file was read up to the batch `last`."""

    identity: object
    last: int
    counts: Counts


class SubwordCounts:
    """What one process remembers of the newest counts."""

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._known: _Known | None = None

    def occurrences(
        self,
        connection: apsw.Connection,
        identity: object,
        scope: int | None,
        wanted: Sequence[int],
    ) -> dict[int, int]:
        """Return how often *wanted* occur in a namespace or all, as *connection* reads it."""
        sql = _OCCURRENCES.format(_EVERY if scope is None else "scope = ?2")
        found: dict[int, int] = dict(connection.execute(sql, (json.dumps([*wanted]), scope)))
        with self._mutex:
            counts = self._tail(connection, identity)
            if scope is not None:
                counts = {scope: counts[scope]} if scope in counts else {}
            for each in counts.values():
                for number in wanted:
                    if more := each.get(number):
                        found[number] = found.get(number, 0) + more
        return found

    def _tail(self, connection: apsw.Connection, identity: object) -> Counts:
        # A fold moves the epoch and takes batches away; all else only appends.
        epoch, last = connection.execute("SELECT epoch, last FROM word_totals").get
        known, whole = self._known, (identity, epoch)
        if known is None or known.identity != whole or known.last > last:
            known = _Known(whole, 0, {})
        if known.last != last:
            self._known = None  # an interrupt in between leaves nothing that is half counted
            _read_tail(connection, known.counts, known.last, last)
            self._known = known._replace(last=last)
        return known.counts


def occurrences(connection: apsw.Connection) -> dict[tuple[int, int], int]:
    """Return how often each subword occurs in each scope, for checks."""
    counted: Counts = {}
    for scope, number, count in connection.execute("SELECT * FROM subword_counts"):
        counted.setdefault(scope, Counter())[number] += count
    _read_tail(connection, counted, 0, (1 << 63) - 1)
    return {
        (scope, number): count for scope, each in counted.items() for number, count in each.items()
    }


def _read_tail(connection: apsw.Connection, counted: Counts, after: int, last: int) -> None:
    for _, kind, data in connection.execute(_TAIL, (after, last)):
        for scope, numbers in unpack(data):
            counts = counted.setdefault(scope, Counter())
            if kind == Kind.ADD:
                counts.update(numbers)
            else:
                counts.subtract(numbers)


def _count(joined: bytes) -> tuple[list[int], list[int]]:
    if not joined:
        return [], []
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - costs 170 ms, and states without vectors do without

    flat = np.frombuffer(joined, dtype="<u2")
    if len(flat) < _SHORT:  # a record or two: fewer than there are different subwords
        counted = Counter(flat.tolist())
        return list(counted), list(counted.values())
    counts = np.bincount(flat)  # a sort, as `unique` does, would take six times as long
    numbers = np.flatnonzero(counts)
    return numbers.tolist(), counts[numbers].tolist()
