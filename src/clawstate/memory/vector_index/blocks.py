"""The bits of some thousand vectors as bytes, to be kept beside the records that they are of."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.vector_index.codes import Bits
from clawstate.memory.vector_index.source import Coded, Keys

_KEY, _SCOPE, _WORD = np.dtype("<i8"), np.dtype("<u4"), np.dtype("<u8")

# SQLite keeps up to a page of a value among other rows, and leaves copies behind when it moves
# those; the rest has pages of its own, which can be overwritten. So the first page tells nothing.
_MARGIN = 4_096


def encode(coded: Coded) -> bytes:
    """Return the bytes of *coded*: a margin, keys (negative: a vector of zeros), scopes, bits."""
    keys = np.where(coded.empty, -coded.keys, coded.keys)
    parts = keys.astype(_KEY), coded.scopes.astype(_SCOPE), coded.bits.astype(_WORD)
    return bytes(_MARGIN) + b"".join(part.tobytes() for part in parts)


def decode(data: bytes, words: int) -> Coded | None:
    """Return what `encode` made *data* of, without what was forgotten; None for other bytes."""
    count = size(data, words)
    if len(data) != _MARGIN + count * _row(words):
        return None
    keys, scopes, bits = _parts(data, count, words)
    left = keys != 0
    if not left.all():
        keys, scopes, bits = keys[left], scopes[left], bits[left]
    keys = keys.astype(np.int64)
    # In the byte order of this machine; of bits, the most, no copy where they have it already.
    coded = Coded(
        np.abs(keys), scopes.astype(np.int64), bits.astype(np.uint64, copy=False), keys < 0
    )
    return coded if (np.diff(coded.keys) > 0).all() else None


def forget(data: bytes, gone: Keys, words: int) -> bytes:
    """Return *data* of the same length with zeros in the place of all that is known of *gone*."""
    changed = bytearray(data)
    keys, scopes, bits = _parts(changed, size(data, words), words)
    places = np.isin(np.abs(keys), gone, kind="sort")
    bits[places] = 0
    scopes[places] = 0
    keys[places] = 0
    return bytes(changed)


def size(data: bytes, words: int) -> int:
    """Return how many vectors *data* has room for, forgotten ones included."""
    return max(0, len(data) - _MARGIN) // _row(words)


def checksum(data: bytes) -> bytes:
    """Return four bytes that tell whether *data* is as it was written."""
    return zlib.crc32(data).to_bytes(4, "little")


def _row(words: int) -> int:
    return _KEY.itemsize + _SCOPE.itemsize + words * _WORD.itemsize


def _parts(
    data: bytes | bytearray, count: int, words: int
) -> tuple[Keys, NDArray[np.uint32], Bits]:
    at = _MARGIN
    keys = np.frombuffer(data, _KEY, count, at)
    scopes = np.frombuffer(data, _SCOPE, count, at := at + keys.nbytes)
    bits = np.frombuffer(data, _WORD, count * words, at + scopes.nbytes)
    return keys, scopes, bits.reshape(count, words)
