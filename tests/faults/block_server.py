"""
The process under a recorded file system: a disk image that logs each write, flush and report.

`block_server.py IMAGE LOG MOUNTPOINT`. The mount shows two files: `disk`, which holds the image,
and `reports`, to which the victim prints, so that its lines have a place among the writes.
"""

# ruff: noqa: ARG002 - FUSE hands over more than two files need
from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from faults.block_log import FLUSH, REPORT, WRITE, header
from faults.fuse_server import Obedient, serve

DISK, REPORTS = "/disk", "/reports"


class _RecordedDisk(Obedient):
    """Two files whose writes go to the log; those of the disk go to the image as well."""

    def __init__(self, image: Path, log: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._size = image.stat().st_size
        self._log = log.open("ab", buffering=0)
        self._reported = bytearray()
        self._entries = 0

    def answer(self, request: Mapping[str, Any]) -> object:
        """Return how many entries the log has, whatever the request says."""
        return {**request, "entries": self._entries}

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        sizes = {DISK: self._size, REPORTS: len(self._reported)}
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        if path not in sizes:
            raise FileNotFoundError(errno.ENOENT, path)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": sizes[path]}

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        return iter([".", "..", DISK[1:], REPORTS[1:]])

    def open(self, path: str, flags: int) -> int:
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        if path == REPORTS:
            return bytes(self._reported[offset : offset + size])
        return os.pread(self._image, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        if path == REPORTS:
            self._reported += data
            self._keep(REPORT, 0, data)
            return len(data)
        os.pwrite(self._image, data, offset)
        self._keep(WRITE, offset, data)
        return len(data)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        if path == DISK:
            self._keep(FLUSH, 0, b"")
        return 0

    def _keep(self, kind: int, offset: int, data: bytes) -> None:
        self._log.write(header(kind, offset, len(data)) + data)
        self._entries += 1


if __name__ == "__main__":
    recorded = _RecordedDisk(Path(sys.argv[1]), Path(sys.argv[2]))
    serve(recorded, sys.argv[3], recorded.answer)
