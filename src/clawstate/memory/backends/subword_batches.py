"""The subwords of a batch of records, by namespace, as they lie beside the tail of the words."""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from clawstate.sqlite import DamagedValueError

Counts = dict[int, "Counter[int]"]
"""How often each subword occurs, by namespace."""

_HEAD = struct.Struct("<II")


def pack(blobs: Mapping[int, Sequence[bytes]]) -> bytes:
    """Return the subwords of records by scope as what is kept beside a batch of the tail."""
    # Of one record they are forty rows of the table, on as many pages of a large one.
    parts: list[bytes] = []
    for scope, each in blobs.items():
        joined = b"".join(each)
        parts += (_HEAD.pack(scope, len(joined) // 2), joined)
    return b"".join(parts)


def unpack(data: bytes) -> Iterator[tuple[int, array[int]]]:
    """Give the namespaces in what `pack` made, each with its subwords; `DamagedValueError`."""
    at = 0
    while at < len(data):
        numbers = array("H")
        begin = at + _HEAD.size
        if begin > len(data):
            raise DamagedValueError("subwords without a head")
        scope, count = _HEAD.unpack_from(data, at)
        at = begin + 2 * count
        if at > len(data):
            raise DamagedValueError("fewer subwords than were counted")
        numbers.frombytes(data[begin:at])
        if sys.byteorder == "big":
            numbers.byteswap()
        yield scope, numbers
