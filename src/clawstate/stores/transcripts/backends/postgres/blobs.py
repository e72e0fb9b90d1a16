"""Long texts, each kept once by its SHA-256, packed where that pays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clawstate.postgres.transaction import Transaction
from clawstate.stores.transcripts.backends.packing import Blob, digest, pack, unpack
from clawstate.stores.transcripts.external_values import ExternalValue

_KNOWN = """
SELECT sha256 FROM clawstate.message_blobs
WHERE tenant = %(tenant)s AND sha256 = ANY(%(digests)s::bytea[])
"""
# Held until the change is made: whoever removes blobs that nobody has waits, and looks then.
_FIND = """
SELECT blob FROM clawstate.message_blobs
WHERE tenant = %(tenant)s AND sha256 = %(digest)s FOR KEY SHARE
"""
_ADD = """
INSERT INTO clawstate.message_blobs (tenant, sha256, size, packed, data)
VALUES (%(tenant)s, %(digest)s, %(size)s, %(packed)s, %(data)s) ON CONFLICT DO NOTHING
"""
_PIECE = """
INSERT INTO clawstate.message_pieces
VALUES (%(tenant)s, %(position)s, %(number)s, %(place)s, %(blob)s)
"""
_PIECES = """
SELECT p.position, p.place, b.packed, b.data, b.size FROM clawstate.message_pieces p
JOIN clawstate.message_blobs b ON b.tenant = p.tenant AND b.blob = p.blob
WHERE p.tenant = %(tenant)s AND p.position = ANY(%(positions)s::bigint[])
ORDER BY p.position, p.number
"""
_HELD = """
SELECT DISTINCT p.blob FROM clawstate.message_pieces p
JOIN clawstate.messages m ON m.tenant = p.tenant AND m.position = p.position
WHERE p.tenant = %(tenant)s AND m.session = %(session)s ORDER BY p.blob
"""
_DROP_PIECES = """
DELETE FROM clawstate.message_pieces p USING clawstate.messages m
WHERE p.tenant = %(tenant)s AND m.tenant = p.tenant AND m.position = p.position
    AND m.session = %(session)s
"""
_LOCK = """
SELECT blob FROM clawstate.message_blobs
WHERE tenant = %(tenant)s AND blob = ANY(%(blobs)s::bigint[]) ORDER BY blob FOR UPDATE
"""
_DROP = """
DELETE FROM clawstate.message_blobs b
WHERE b.tenant = %(tenant)s AND b.blob = ANY(%(blobs)s::bigint[]) AND NOT EXISTS (
    SELECT 1 FROM clawstate.message_pieces p WHERE p.tenant = b.tenant AND p.blob = b.blob)
"""


def find_known(within: Transaction, digests: Sequence[bytes]) -> set[bytes]:
    """Return which of *digests* are kept."""
    return {row[0] for row in within.rows(_KNOWN, digests=list(digests))}


def put(
    within: Transaction,
    position: int,
    pieces: Iterable[ExternalValue],
    ready: Mapping[str, Blob],
) -> None:
    """Keep the *pieces* of the entry at *position*; those in *ready* are packed already."""
    for number, (place, text) in enumerate(pieces):
        sha256 = digest(text)
        while (found := within.one(_FIND, digest=sha256)) is None:
            blob = ready.get(text) or pack(text)
            within.run(_ADD, digest=sha256, size=blob.size, packed=blob.packed, data=blob.data)
        within.run(_PIECE, position=position, number=number, place=place, blob=found)


def pieces(within: Transaction, positions: Sequence[int]) -> dict[int, list[ExternalValue]]:
    """Return the pieces of the entries at *positions*; raises `DamagedValueError`."""
    found: dict[int, list[ExternalValue]] = {}
    if positions:
        for position, place, packed, data, size in within.rows(_PIECES, positions=list(positions)):
            found.setdefault(position, []).append((place, unpack(packed, data, size)))
    return found


def remove(within: Transaction, session: int) -> None:
    """Remove the pieces of *session*, and the blobs that nothing else holds."""
    held = [row[0] for row in within.rows(_HELD, session=session)]
    within.run(_DROP_PIECES, session=session)
    if held:
        # First those who are adding a piece of one are waited for; then who has any is looked for.
        within.rows(_LOCK, blobs=held)
        within.run(_DROP, blobs=held)
