"""Long texts, each kept once by its SHA-256, packed where that pays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import apsw

from clawstate.stores.transcripts.backends.packing import Blob, digest, pack, unpack
from clawstate.stores.transcripts.external_values import ExternalValue


def find_known(connection: apsw.Connection, digests: Sequence[bytes]) -> set[bytes]:
    """Return which of *digests* are kept."""
    sql = "SELECT sha256 FROM json_each(?) k CROSS JOIN message_blobs ON sha256 = unhex(k.value)"
    names = json.dumps([each.hex() for each in digests])
    return {row[0] for row in connection.execute(sql, (names,))}


def put(
    connection: apsw.Connection,
    position: int,
    pieces: Iterable[ExternalValue],
    ready: Mapping[str, Blob],
) -> None:
    """Keep the *pieces* of the entry at *position*; those in *ready* are packed already."""
    for number, (place, text) in enumerate(pieces):
        found = connection.execute(
            "SELECT blob FROM message_blobs WHERE sha256 = ?", (digest(text),)
        ).get
        if found is None:
            found = _add(connection, ready.get(text) or pack(text))
        connection.execute(
            "INSERT INTO message_pieces VALUES (?, ?, ?, ?)", (position, number, place, found)
        )


def pieces(connection: apsw.Connection, position: int) -> list[ExternalValue]:
    """Return the pieces of the entry at *position*; raises `DamagedValueError`."""
    sql = """
        SELECT p.place, b.packed, b.data, b.size FROM message_pieces p
        JOIN message_blobs b USING (blob) WHERE p.position = ? ORDER BY p.number
    """
    rows = connection.execute(sql, (position,))
    return [(place, unpack(packed, data, size)) for place, packed, data, size in rows]


def remove(connection: apsw.Connection, positions: str) -> None:
    """Remove the pieces of *positions* (a JSON list), and the blobs that nothing else holds."""
    # Which blobs may be free is asked before the pieces go, by which it is known.
    mine = "position IN (SELECT value FROM json_each(?))"
    sql = f"SELECT DISTINCT blob FROM message_pieces WHERE {mine}"
    freed = json.dumps([row[0] for row in connection.execute(sql, (positions,))])
    connection.execute(f"DELETE FROM message_pieces WHERE {mine}", (positions,))
    connection.execute(
        "DELETE FROM message_blobs WHERE blob IN (SELECT value FROM json_each(?)) "
        "AND NOT EXISTS (SELECT 1 FROM message_pieces p WHERE p.blob = message_blobs.blob)",
        (freed,),
    )


def _add(connection: apsw.Connection, blob: Blob) -> int:
    connection.execute(
        "INSERT INTO message_blobs (sha256, size, packed, data) VALUES (?, ?, ?, ?)",
        (blob.digest, blob.size, int(blob.packed), blob.data),
    )
    return int(connection.last_insert_rowid())
