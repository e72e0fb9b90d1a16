"""The bits of some thousand vectors as bytes, to be kept beside the records that they are of."""

from __future__ import annotations

import zlib

import numpy as np

from clawstate.memory.vector_index.codes import WORD
from clawstate.memory.vector_index.source import Coded, Keys

_KEY, _SCOPE = np.dtype("<i8"), np.dtype("<u4")


def encode(coded: Coded) -> bytes:
    """Return the bytes of *coded*: keys (negative: a vector of zeros), scopes, bits."""
    keys = np.where(coded.empty, -coded.keys, coded.keys)
    parts = keys.astype(_KEY), coded.scopes.astype(_SCOPE), coded.bits.astype("<u8")
    return b"".join(part.tobytes() for part in parts)


def decode(data: bytes, words: int) -> Coded | None:
    """Return what `encode` made *data* of, without what was forgotten; None for other bytes."""
    size = _KEY.itemsize + _SCOPE.itemsize + words * WORD // 8
    count, rest = divmod(len(data), size)
    if rest:
        return None
    keys = np.frombuffer(data, _KEY, count).astype(np.int64)
    scopes = np.frombuffer(data, _SCOPE, count, count * _KEY.itemsize).astype(np.int64)
    bits = np.frombuffer(data, "<u8", count * words, count * (_KEY.itemsize + _SCOPE.itemsize))
    left = keys != 0
    coded = Coded(
        np.abs(keys[left]),
        scopes[left],
        bits.reshape(count, words)[left].astype(np.uint64),
        keys[left] < 0,
    )
    return coded if (np.diff(coded.keys) > 0).all() else None


def forget(data: bytes, gone: Keys, words: int) -> bytes:
    """Return *data* of the same length with zeros in the place of all that is known of *gone*."""
    count = len(data) // (_KEY.itemsize + _SCOPE.itemsize + words * WORD // 8)
    changed = bytearray(data)
    keys = np.frombuffer(changed, _KEY, count)
    scopes = np.frombuffer(changed, _SCOPE, count, count * _KEY.itemsize)
    bits = np.frombuffer(changed, "<u8", -1, count * (_KEY.itemsize + _SCOPE.itemsize))
    places = np.isin(np.abs(keys), gone, kind="sort")
    bits.reshape(count, words)[places] = 0
    scopes[places] = 0
    keys[places] = 0
    return bytes(changed)


def size(data: bytes, words: int) -> int:
    """Return how many vectors *data* has room for, forgotten ones included."""
    return len(data) // (_KEY.itemsize + _SCOPE.itemsize + words * WORD // 8)


def checksum(data: bytes) -> int:
    """Return what tells whether *data* is as it was written."""
    return zlib.crc32(data)
