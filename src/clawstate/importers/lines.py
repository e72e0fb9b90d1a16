"""Files opened without waiting on a pipe or device, and their lines: numbered, bounded, decoded."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TypeAlias

from clawstate.errors import InvalidError, UnavailableError
from clawstate.importers.passages import Problem

_SPECIAL = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_HINTS = {
    errno.EACCES: "give this user the right to read it",
    errno.EPERM: "give this user the right to read it",
    errno.ENOENT: "it was there a moment ago; import again",
    errno.ELOOP: "its links lead in a circle; name the file they should lead to",
}
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes above which a line is reported instead of read."""
_CHUNK = 1024 * 1024
_BUFFER = 64 * 1024
_BOM = b"\xef\xbb\xbf"
TextLine: TypeAlias = tuple[int, str]
"""The number of a line, and its text."""


_held: ContextVar[Mapping[Path, bytes]] = ContextVar("held", default=MappingProxyType({}))


def _nobody(_count: int) -> None:
    pass


_read: ContextVar[Callable[[int], None]] = ContextVar("read", default=_nobody)


@contextmanager
def report_bytes(tell: Callable[[int], None]) -> Iterator[None]:
    """Let *tell* know how many bytes are read of each file that `open_regular` opens."""
    token = _read.set(tell)
    try:
        yield
    finally:
        _read.reset(token)


def count_bytes(count: int) -> None:
    """Report that *count* bytes more are done, which another process reads."""
    _read.get()(count)


@contextmanager
def hold_bytes(path: Path, data: bytes) -> Iterator[None]:
    """Let `open_regular` give *data* for *path*: what was read once, and need not be again."""
    token = _held.set({path: data})
    try:
        yield
    finally:
        _held.reset(token)


def open_regular(path: Path) -> BinaryIO:
    """
    Return *path* opened for reading bytes.

    A pipe, socket or device is never opened: reading one may block, and opening one may act.
    Raises `UnavailableError` when *path* is not a regular file or cannot be read.
    """
    if (data := _held.get().get(path)) is not None:
        return io.BytesIO(data)
    try:
        require_regular(path, path.stat().st_mode)
        return _open_checked(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def require_regular(path: Path, mode: int) -> None:
    """Raise `UnavailableError` unless *mode* is that of a regular file."""
    if not stat.S_ISREG(mode):
        what = _SPECIAL.get(stat.S_IFMT(mode), "something other than a file")
        raise UnavailableError(str(path), f"is {what}", "name a regular file")


def unreadable(path: Path, error: Exception) -> UnavailableError:
    """Return the error that says why *path* cannot be read, and what to do about it."""
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number is not None else "no such name is possible"
    hint = _HINTS.get(number or 0, "check the file and the disk, then import it again")
    return UnavailableError(str(path), f"cannot be read ({reason})", hint)


def _open_checked(path: Path) -> BinaryIO:
    # Between the look and the opening the name may come to mean a pipe: hence O_NONBLOCK,
    # and a second look at what was opened.
    # O_NOCTTY, as opening a terminal may make it that of this process.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        require_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    stream = _Counted(descriptor, "rb")
    stream.tell_to = _read.get()
    return io.BufferedReader(stream, _BUFFER)


class _Counted(io.FileIO):
    """A file that tells how many bytes are read of it."""

    tell_to: Callable[[int], None] = staticmethod(_nobody)

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        self.tell_to(count)
        return count


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its ending, and at which byte of the file it starts; too long is None."""

    number: int
    offset: int
    data: bytes | None

    def decode(self) -> str:
        """Return the text; raises `InvalidError` when it is too long or not UTF-8."""
        if self.data is None:
            size = LONGEST_LINE // (1024 * 1024)
            raise InvalidError("line", f"the line is longer than {size} MiB and was passed over")
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            at = self.offset + error.start
            raise InvalidError(
                "line", f"the line is not UTF-8 at byte {at} of the file and was passed over"
            ) from error


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    r"""
    Yield the lines of *stream*, which end in `\n`, `\r\n` or `\r`.

    Holds at most one line and one chunk in memory. A byte order mark at the start is left out.
    """
    for number, (offset, data) in enumerate(_raw_lines(stream), start=1):
        if number == 1 and data is not None and data.startswith(_BOM):
            yield Line(number, len(_BOM), data[len(_BOM) :].rstrip(b"\r\n"))
        else:
            yield Line(number, offset, None if data is None else data.rstrip(b"\r\n"))


def text_lines(path: Path, stream: BinaryIO) -> Iterator[TextLine | Problem]:
    """Yield the lines of *stream* as text, and a `Problem` for each that cannot be."""
    for line in read_lines(stream):
        try:
            yield line.number, line.decode()
        except InvalidError as error:
            yield Problem(path, line.number, error.problem)


def find_nul(stream: BinaryIO) -> int | None:
    """Return the offset of the first NUL byte of *stream* or None, and go back to the start."""
    found, offset = -1, 0
    while found < 0 and (chunk := stream.read(_CHUNK)):
        found = chunk.find(b"\0")
        offset += found if found >= 0 else len(chunk)
    stream.seek(0)
    return offset if found >= 0 else None


def _raw_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    offset, dropped, pending = 0, 0, b""
    while chunk := stream.read(_CHUNK):
        lines = (pending + chunk).splitlines(keepends=True)
        # A line that ends in \r stays pending too: the \n may come with the next chunk.
        pending = b"" if lines[-1].endswith(b"\n") else lines.pop()
        for line in lines:
            yield offset, _within_bounds(line, dropped)
            offset, dropped = offset + dropped + len(line), 0
        if dropped + len(pending) > LONGEST_LINE:
            # Too long: only its last byte is kept, since a `\r` there may be half of a line end.
            dropped, pending = dropped + len(pending) - 1, pending[-1:]
    if pending:
        yield offset, _within_bounds(pending, dropped)


def _within_bounds(line: bytes, dropped: int) -> bytes | None:
    return None if dropped + len(line) > LONGEST_LINE else line
