"""The files that a configuration is read from: bounded, never waited for, and watched."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.file_version import FileVersion, read_versioned
from clawstate.files.json_text import require_utf8
from clawstate.files.os_errors import os_errors
from clawstate.json5.parse import Node, Place, parse_document, parse_json5


@dataclass(frozen=True, slots=True)
class Notice:
    """One oddity, for people to read; it never holds a value of the file."""

    path: Path
    place: Place | None
    text: str

    def __str__(self) -> str:
        return f"{format_place(self.path, self.place)}: {self.text}"


def format_place(path: Path, place: Place | None) -> str:
    """Return *path* and *place* as editors and terminals open them: `path:line:column`."""
    return str(path) if place is None else f"{path}:{place.line}:{place.column}"


_REREADS = 8  # of a file that is being replaced just now


@dataclass(frozen=True, slots=True)
class FileRead:
    """
    A file as it was met: *stamp* is `None` if there was nothing, *real* is *path* without links.

    A file that was not *settled* may have changed without a trace, and has to be read again.
    """

    path: Path
    real: Path
    stamp: FileVersion | None
    settled: bool = True

    def is_current(self) -> bool:
        """Tell whether the file certainly is what it was; costs one look at it."""
        return self.settled and _stamp_behind(self.path) == self.stamp


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Source:
    """The text of one file and its tree; it does not show them, for they may hold a secret."""

    file: FileRead
    text: str
    document: Node

    @property
    def path(self) -> Path:
        """The file under the name by which it was reached."""
        return self.file.path


def look_at(path: Path) -> FileRead:
    """Return how *path* looks without reading it, for one that is missing or was not read."""
    return FileRead(path, Path(os.path.realpath(path)), _stamp_behind(path))


def read_file(path: Path, *, limit: int) -> tuple[bytes, FileRead]:
    """
    Return the content of *path*, which may be a link, with at most *limit* bytes.

    Raises `NotFoundError`, `InvalidError` for anything but a regular file, `LimitError`, or
    `UnavailableError`.
    """
    real = Path(os.path.realpath(path))
    raw, stamp, settled = read_versioned(real, limit=limit)
    return raw, FileRead(path, real, stamp, settled)


def read_unlinked(path: Path, real: Path, *, limit: int) -> tuple[bytes, FileRead, int]:
    """
    Return the content of *real*, what was met, and how many names that very file has.

    *real* must be canonical: a link in its place is not followed. Raises as `read_file` does.
    """
    for _ in range(_REREADS):
        raw, stamp, settled = read_versioned(real, limit=limit)
        with os_errors(real, "was not read"):
            found = os.lstat(real)
        # The count of another file, which took the name meanwhile, would say nothing.
        if (found.st_dev, found.st_ino) == (stamp.device, stamp.inode):
            return raw, FileRead(path, real, stamp, settled), found.st_nlink
    raise UnavailableError(str(path), "is replaced again and again", "read it later")


def parse_source(raw: bytes, file: FileRead) -> Source:
    """Return *raw* with its tree; raises `CorruptError` for anything but JSON5 in UTF-8."""
    require_utf8(raw, path=file.path)
    text = raw.decode("utf-8", errors="replace")
    if text.encode() != raw:
        parse_json5(raw, path=file.path)  # raises, and knows the place
    return Source(file, text, parse_document(text, path=file.path))


def _stamp_behind(path: Path) -> FileVersion | None:
    with suppress(OSError, ValueError):
        found = path.stat()
        return FileVersion(
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        )
    return None
