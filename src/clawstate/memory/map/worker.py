"""
The process that lays out a large map: vectors on its standard input, places on its output.

Beside a gateway it takes none of its time but that of one processor which nobody else wants.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import IO

import numpy as np

from clawstate.memory.map.computing import Progress, place_all


def main() -> None:
    """Read a line of JSON, the vectors and the places before; tell shares, then the places."""
    with suppress(OSError):
        os.nice(3)
    told = json.loads(sys.stdin.buffer.readline())
    count, dimensions = told["count"], told["dimensions"]
    vectors = _read(sys.stdin.buffer, count, dimensions)
    before = _read(sys.stdin.buffer, count, 2)
    output = sys.stdout.buffer
    last = 0.0

    def tell(share: float) -> None:
        nonlocal last
        if share >= last + 0.01:
            last = share
            # Who is gone is told nothing: the write fails, and with it this process.
            output.write(b"%.4f\n" % share)
            output.flush()

    places = place_all(vectors, before, progress=Progress(tell))
    output.write(b"done\n" + places.astype("<f4").tobytes())
    output.flush()


def _read(stream: IO[bytes], rows: int, columns: int) -> np.ndarray:
    data = stream.read(4 * rows * columns)
    return np.frombuffer(data, "<f4").reshape(rows, columns).astype(np.float32)


if __name__ == "__main__":
    main()
