"""Writing a transcript out, line by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO


def write_lines(lines: Iterable[str], out: BinaryIO) -> int:
    """Write *lines* to *out* and return how many."""
    written = 0
    for line in lines:
        out.write(line.encode() + b"\n")
        written += 1
    return written
