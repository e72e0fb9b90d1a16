"""Long texts as they are kept, each by its SHA-256, packed where that pays; on every engine."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from clawstate.sqlite import DamagedValueError

_LEVEL = 1  # a higher one packs text a tenth better and takes three times as long
_WORTH = 0.9  # a blob that stays larger than this share is kept as it is


@dataclass(frozen=True, slots=True)
class Blob:
    """A text as it is kept."""

    digest: bytes
    size: int
    packed: bool
    data: bytes


def pack(text: str) -> Blob:
    """Return *text* as it will be kept."""
    raw = text.encode()
    small = zlib.compress(raw, _LEVEL)
    pays = len(small) < _WORTH * len(raw)
    return Blob(_digest(raw), len(raw), pays, small if pays else raw)


def digest(text: str) -> bytes:
    """Return the address of *text*."""
    return _digest(text.encode())


def unpack(packed: int, data: bytes, size: int) -> str:
    """Return the text of a row; raises `DamagedValueError`."""
    raw = data
    if packed:
        try:
            # At most a byte more than promised: damaged data may unpack to gigabytes.
            raw = zlib.decompressobj().decompress(data, size + 1)
        except zlib.error as error:
            raise DamagedValueError("a blob that cannot be unpacked") from error
    if len(raw) != size:
        raise DamagedValueError("a blob of another size")
    return raw.decode()


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
