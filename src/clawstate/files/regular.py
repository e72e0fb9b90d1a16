"""A regular file, read without following a link, waiting for a pipe, or taking in too much."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

from clawstate.errors import InvalidError, LimitError, NotFoundError, UnavailableError
from clawstate.files.descriptors import Descriptor
from clawstate.files.os_errors import os_errors

_CHUNK = 1 << 20
_FLAGS = ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY", "O_NONBLOCK")  # a pipe must not block the open
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in _FLAGS)


def read_regular(path: Path, *, limit: int) -> bytes:
    """
    Return the content of the regular file *path*, which is at most *limit* bytes long.

    Never use it on a database that SQLite has open. Raises `NotFoundError`, `InvalidError` for a
    link or anything but a regular file, `LimitError`, or `UnavailableError`.
    """
    with os_errors(path, "was not read"), open_regular(path) as number:
        return read_all(number, limit, path)


def open_regular(path: Path) -> Descriptor:
    """
    Open the regular file *path*, following no link and waiting for no pipe.

    Raises `NotFoundError`, `InvalidError`, `OSError`.
    """
    descriptor = Descriptor()
    try:
        number = descriptor.open(path, _READ)
    except FileNotFoundError as error:
        raise NotFoundError("file", str(path)) from error
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        raise InvalidError(str(path), "is a link or a socket", "move it away") from error
    mode = 0
    try:
        # Of what is open: by the time of a look at the name it could lead to something else.
        mode = os.fstat(number).st_mode
    finally:
        if not stat.S_ISREG(mode):
            descriptor.close()
    if stat.S_ISREG(mode):
        return descriptor
    raise InvalidError(str(path), f"is {kind_of(mode)}, not a file", "move it away")


def require_database(path: Path, mode: int) -> None:
    """Raise `UnavailableError` where what is at the place of a database, of *mode*, is no file."""
    if not stat.S_ISREG(mode):
        hint = "move it away and put the newest backup there, or begin with an empty one"
        raise UnavailableError(str(path), f"is {kind_of(mode)}, not a database", hint)


def is_empty_file(path: Path) -> bool:
    """Tell whether *path* is a file without a byte; never raises."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and not status.st_size


def regular_stream(path: Path) -> BinaryIO:
    """Return the bytes of the regular file *path* as a stream; raises as `open_regular`."""
    with open_regular(path) as number:
        # One step of code in C, as in `Descriptor`; a stream that is lost closes itself.
        (stream,) = map(open, map(os.dup, (number,)), ("rb",))
        return cast("BinaryIO", stream)


def read_all(descriptor: int, limit: int, path: Path) -> bytes:
    """Return what is left of *descriptor*; raises `LimitError` for more than *limit* bytes."""
    chunks = []
    # One byte more than is allowed tells a file that is too long from one that just fits; the size
    # that `fstat` gives would not do for one that grows meanwhile.
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
