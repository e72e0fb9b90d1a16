"""A regular file, read without following a link, waiting for a pipe, or taking in too much."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from clawstate.errors import InvalidError, LimitError, NotFoundError
from clawstate.files.refusals import translated

_CHUNK = 1 << 20
_FLAGS = ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY", "O_NONBLOCK")  # a pipe must not block the open
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in _FLAGS)


def read_regular(path: Path, *, limit: int) -> bytes:
    """
    Return the content of the regular file *path*, which is at most *limit* bytes long.

    Never use it on a database that SQLite has open. Raises `NotFoundError`, `InvalidError` for a
    link or anything but a regular file, `LimitError`, or `UnavailableError`.
    """
    with translated(path, "was not read"):
        descriptor = open_regular(path)
        try:
            return read_all(descriptor, limit, path)
        finally:
            os.close(descriptor)


def open_regular(path: Path) -> int:
    """
    Return a descriptor of the regular file *path*, following no link and waiting for no pipe.

    Raises `NotFoundError`, `InvalidError`, `OSError`.
    """
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError as error:
        raise NotFoundError("file", str(path)) from error
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        raise InvalidError(str(path), "is a link or a socket", "move it away") from error
    try:
        mode = os.fstat(descriptor).st_mode
    except BaseException:
        os.close(descriptor)
        raise
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise InvalidError(str(path), f"is {kind_of(mode)}, not a file", "move it away")


def read_all(descriptor: int, limit: int, path: Path) -> bytes:
    """Return what is left of *descriptor*; raises `LimitError` for more than *limit* bytes."""
    chunks = []
    room = limit + 1
    while room > 0 and (chunk := os.read(descriptor, min(room, _CHUNK))):
        chunks.append(chunk)
        room -= len(chunk)
    if room <= 0:
        raise LimitError(f"bytes in {path}", limit)
    return b"".join(chunks)


def kind_of(mode: int) -> str:
    """Return what a file of *mode* is, for people to read."""
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device or socket")
