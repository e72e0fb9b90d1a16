"""
The table `vector_blocks`: the bits of the older vectors, so that opening need not make them again.

A block holds the vectors up to a docno, from the block before on; what is newer than the last is
read from the records. All of it derives from them, and changes in their transactions.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import NamedTuple

import apsw
import numpy as np

from clawstate.memory.backends.sqlite import rows
from clawstate.memory.backends.sqlite.rows import is_block_due, stored_embedder
from clawstate.memory.backends.sqlite.vector_source import SqliteVectors
from clawstate.memory.vector_index import blocks
from clawstate.memory.vector_index.codes import Codes
from clawstate.memory.vector_index.source import Batch, Coded, Kept, Keys
from clawstate.memory.vector_index.table import CENTRED

_WORN = 1 / 8  # of a block that is dead, above which it is written anew
_FORMAT = 1  # of the bits
_PUT = "INSERT OR REPLACE INTO vector_blocks VALUES (?, ?, ?, ?)"
_CHANGE = "UPDATE vector_blocks SET records = ?, checksum = ?, data = ? WHERE upto = ?"
_ROW = """
SELECT coalesce((SELECT max(upto) FROM vector_blocks WHERE upto < ?1), 0),
    upto, records, checksum, data
FROM vector_blocks WHERE upto = ?1
"""


class _Block(NamedTuple):
    """What the table says of the docnos above `after` up to `upto`."""

    after: int
    upto: int
    records: int
    checksum: bytes
    data: bytes

    def decode(self, words: int) -> Coded | None:
        """Return what it holds, None if that is not what was written."""
        if self.checksum != blocks.checksum(self.data):
            return None
        found = blocks.decode(self.data, words)
        if found is None or len(found.keys) != self.records:
            return None
        inside = not self.records or self.after < found.keys[0] <= found.keys[-1] <= self.upto
        return found if inside else None


def extend(connection: apsw.Connection, newest: int) -> None:
    """Make blocks of the vectors up to *newest* that are in none, as far as they are enough."""
    if (embedder := stored_embedder(connection)) is None:
        return
    last = _last(connection)
    noted = _read_note(connection)
    codes = noted[0] if noted else _centre(connection, embedder.dimensions)
    for batch in SqliteVectors(connection).batches(last):
        if len(batch.keys) < rows.VECTOR_BLOCK and not is_block_due(newest, last):
            return
        last = int(batch.keys[-1])
        _put(connection, last, _encode(codes, batch))
    if is_block_due(newest, last):  # records without vectors
        _put(connection, newest, Coded.without_vectors(codes.words))


def forget(connection: apsw.Connection, docnos: Sequence[int]) -> None:
    """Take *docnos* out of the blocks, so that no byte tells of their vectors."""
    wanted = np.sort(np.asarray(docnos, np.int64))
    sql = "SELECT upto FROM vector_blocks WHERE upto >= ? ORDER BY upto"
    ends = np.array([row[0] for row in connection.execute(sql, (int(wanted[0]),))], np.int64)
    noted = _read_note(connection)
    for end, gone in _by_end(ends, wanted):
        block = _block(connection, end)
        coded = block.decode(noted[0].words) if noted else None
        if noted is None or coded is None:
            continue  # reading makes it again, and so does `mend`
        left = int(np.count_nonzero(~np.isin(coded.keys, gone)))
        if left == block.records:
            continue
        data = blocks.forget(block.data, gone, noted[0].words)
        with _overwrite(connection):
            # Of one length, SQLite writes it over the old bytes, and only the pages that differ.
            connection.execute(_CHANGE, (left, blocks.checksum(data), data, end))
        if left < (1 - _WORN) * blocks.size(data, noted[0].words):
            _compact(connection, end, noted[0].words)


def rewrite(connection: apsw.Connection, newest: int, *, breadth: int = 1) -> None:
    """Make all blocks anew from the records."""
    with _overwrite(connection):
        connection.execute("DELETE FROM vector_blocks; DELETE FROM meta WHERE key = 'vector_codes'")
    if (embedder := stored_embedder(connection)) is not None and is_block_due(newest, 0):
        _note(connection, _centre(connection, embedder.dimensions), breadth)
        extend(connection, newest)


def mend(connection: apsw.Connection, newest: int) -> None:
    """Make again the blocks that are not what the records say, and make those that are missing."""
    noted = _read_note(connection)
    if noted is None:
        rewrite(connection, newest)
        return
    for block in _every(connection):
        if _fault(connection, block, noted[0]) is not None:
            parts = list(_again(connection, block, noted[0])) or [
                Coded.without_vectors(noted[0].words)
            ]
            with _overwrite(connection):
                connection.execute("DELETE FROM vector_blocks WHERE upto = ?", (block.upto,))
                _put(connection, block.upto, parts[-1])
                for each in parts[:-1]:
                    _put(connection, int(each.keys[-1]), each)
    extend(connection, newest)


def faults(connection: apsw.Connection) -> Iterator[str]:
    """Yield what is wrong with the blocks; all of them are read."""
    noted = _read_note(connection)
    for block in _every(connection):
        fault = _fault(connection, block, noted[0] if noted else None)
        if fault is not None:
            yield f"the vector index up to number {block.upto} {fault}"


class IndexedVectors(SqliteVectors):
    """A `VectorSource` inside one transaction; the keys are docnos."""

    def stored_blocks(self) -> Kept | None:
        """Return what the blocks hold; of one that is not sound, the same made again."""
        connection = self._connection
        noted = _read_note(connection)
        if noted is None:
            return None
        codes, breadth = noted
        coded: list[Coded] = []
        for block in _every(connection):
            found = block.decode(codes.words)
            coded += _again(connection, block, codes) if found is None else [found]
        return Kept(codes, coded, _last(connection), breadth)

    def live_keys(self, after: int, upto: int) -> Keys:
        """Return the docnos with a vector above *after* up to *upto*."""
        row = self._connection.execute(_ROW, (upto,)).get
        noted = _read_note(self._connection)
        # Read from a block in a tenth of the time that its records take.
        if row is not None and noted is not None and row[0] == after:
            coded = _Block(*row).decode(noted[0].words)
            if coded is not None:
                return coded.keys
        return super().live_keys(after, upto)


def _by_end(ends: Keys, docnos: Keys) -> Iterator[tuple[int, Keys]]:
    """Yield the end of each block that *docnos* lie in, and which of them do."""
    at = np.searchsorted(ends, docnos)
    for number in sorted(set(at[at < len(ends)].tolist())):
        yield int(ends[number]), docnos[at == number]


def _last(connection: apsw.Connection) -> int:
    return connection.execute("SELECT max(upto) FROM vector_blocks").get or 0


def _every(connection: apsw.Connection) -> Iterator[_Block]:
    ends = [row[0] for row in connection.execute("SELECT upto FROM vector_blocks ORDER BY upto")]
    return (_block(connection, upto) for upto in ends)


def _block(connection: apsw.Connection, upto: int) -> _Block:
    return _Block(*connection.execute(_ROW, (upto,)).get)


def _put(connection: apsw.Connection, upto: int, coded: Coded) -> None:
    data = blocks.encode(coded)
    connection.execute(_PUT, (upto, len(coded.keys), blocks.checksum(data), data))


def _compact(connection: apsw.Connection, upto: int, words: int) -> None:
    """Write the block *upto* without what is dead, and with the one before if both are small."""
    block = _block(connection, upto)
    parts = [block.decode(words)]
    if block.after:
        before = _block(connection, block.after).decode(words)
        if before is not None and len(before.keys) + block.records <= rows.VECTOR_BLOCK:
            parts.insert(0, before)
    sound = [part for part in parts if part is not None]
    whole = Coded(
        *(np.concatenate([getattr(part, each.name) for part in sound]) for each in fields(Coded))
    )
    with _overwrite(connection):
        if len(parts) > 1:
            connection.execute("DELETE FROM vector_blocks WHERE upto = ?", (block.after,))
        _put(connection, upto, whole)


def _fault(connection: apsw.Connection, block: _Block, codes: Codes | None) -> str | None:
    coded = None if codes is None else block.decode(codes.words)
    if coded is None:
        return "is not what was written"
    living = SqliteVectors(connection).live_keys(block.after, block.upto)
    return None if np.array_equal(living, coded.keys) else "has other records than there are"


def _again(connection: apsw.Connection, block: _Block, codes: Codes) -> Iterator[Coded]:
    batches = SqliteVectors(connection).batches(block.after, block.upto)
    return (_encode(codes, batch) for batch in batches)


def _encode(codes: Codes, batch: Batch) -> Coded:
    empty = np.logical_not(batch.vectors.any(axis=1))
    return Coded(batch.keys, batch.scopes, codes.bits(batch.vectors), empty)


def _centre(connection: apsw.Connection, dimensions: int) -> Codes:
    """Return codes around the middle of the vectors, and note them."""
    newest = connection.execute("SELECT max(docno) FROM memories").get or 0
    # All over, since the oldest may be all of one kind: of one language, of one conversation.
    chosen = np.unique(np.linspace(1, newest, CENTRED).astype(np.int64))
    _, vectors = SqliteVectors(connection).vectors(chosen)
    codes = Codes(dimensions).around(vectors) if len(vectors) else Codes(dimensions)
    _note(connection, codes, 1)
    return codes


def _note(connection: apsw.Connection, codes: Codes, breadth: int) -> None:
    centre = b64encode(codes.centre.astype("<f4").tobytes()).decode()
    text = json.dumps({"format": _FORMAT, "centre": centre, "breadth": breadth})
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('vector_codes', ?)", (text,))


def _read_note(connection: apsw.Connection) -> tuple[Codes, int] | None:
    """Return how the bits were made, and how many candidates are compared; None: by nothing."""
    text = connection.execute("SELECT value FROM meta WHERE key = 'vector_codes'").get
    embedder = stored_embedder(connection)
    if text is None or embedder is None:
        return None
    try:
        found = json.loads(text)
        centre = np.frombuffer(b64decode(found["centre"]), "<f4").astype(np.float32)
        breadth = int(found["breadth"])
        is_known = found["format"] == _FORMAT
    except (ValueError, TypeError, KeyError):
        return None
    codes = Codes(embedder.dimensions)
    if not is_known or len(centre) != codes.width or not np.isfinite(centre).all():
        return None
    return Codes(embedder.dimensions, centre), breadth


@contextmanager
def _overwrite(connection: apsw.Connection) -> Iterator[None]:
    """Overwrite what is deleted: pages that are only freed would tell of it."""
    before = connection.pragma("secure_delete")
    connection.pragma("secure_delete", 1)
    try:
        yield
    finally:
        connection.pragma("secure_delete", before)
