"""A memory index of OpenClaw, read from a snapshot that SQLite made of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from clawstate.errors import CorruptError, UnavailableError
from clawstate.importers.json_values import has_half_pair
from clawstate.sqlite.faults import translated

_IN_MEMORY = 64 << 20  # bytes; a larger snapshot lies in a private temporary file
_BUSY_MS = 5_000
_HOT = "was left in the middle of a write; let OpenClaw open it once, then import again"
_WAL = b"\2\2"
_COLUMNS = "path, source, start_line, end_line, text, updated_at"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the file *path*, of its lines from *start* to *end*; *at* in milliseconds."""

    path: str
    source: str
    start: int
    end: int
    text: str
    at: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is known of it beyond its text."""


@contextmanager
def snapshot(path: Path) -> Iterator[apsw.Connection]:
    """
    Lend a connection to a copy of the database *path* as it was at one moment.

    The file itself is opened by SQLite alone, for reading, and for no longer than the copy takes.
    Raises `CorruptError`, `UnavailableError`.
    """
    with translated(path), tempfile.TemporaryDirectory(prefix="clawstate-") as folder:
        _require_readable(path)
        connection = _opened(path)
        try:
            copy = _copied(connection, Path(folder) / "copy")
        except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise UnavailableError(str(path), _HOT) from error
        finally:
            connection.close()
        try:
            yield copy
        finally:
            copy.close()


def chunks(connection: apsw.Connection, path: Path) -> Iterator[Chunk]:
    """Yield the chunks by file and line; raises `CorruptError` when there is no such table."""
    found = {row[1] for row in connection.execute("PRAGMA table_info(chunks)")}
    missing = {"path", "start_line", "end_line", "text"} - found
    if missing:
        problem = "is no memory index of OpenClaw"
        raise CorruptError(str(path), problem, "import it as what it is")
    names = [each.strip() for each in _COLUMNS.split(",")]
    wanted = ", ".join(each if each in found else _DEFAULTS[each] for each in names)
    order = "path, start_line, end_line, rowid"
    for row in connection.execute(f"SELECT {wanted} FROM chunks ORDER BY {order}"):
        name, source, start, end, text, at = row
        if isinstance(text, str) and isinstance(name, str):
            yield Chunk(name, str(source), _whole(start), _whole(end), text, _whole(at))


_DEFAULTS = {"source": "'memory'", "updated_at": "0"}


def _require_readable(path: Path) -> None:
    if has_half_pair(str(path)):
        raise UnavailableError(path.name, "has a name that is not UTF-8", "rename it")
    if not os.access(path, os.R_OK):
        raise UnavailableError(str(path), "cannot be read", "give this user the right to read it")


def _opened(path: Path) -> apsw.Connection:
    # SQLite makes files beside a database in WAL mode even for a reader. One without a log is
    # whole by itself, and an opening that promises that nobody writes makes none.
    is_whole = _format(path) == _WAL and not _has_log(path)
    return _connected(path, "immutable=1" if is_whole else "mode=ro")


def _format(path: Path) -> bytes:
    """Return the bytes that tell the journal mode, read through SQLite, which keeps its locks."""
    flags = [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0]
    file = apsw.VFSFile("", str(path), flags)
    try:
        return file.xRead(2, 18)
    except apsw.IOError:
        return b""  # shorter than that
    finally:
        file.xClose()


def _connected(path: Path, how: str) -> apsw.Connection:
    uri = f"file:{quote(str(path))}?{how}"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(uri, flags=flags)
    connection.set_busy_timeout(_BUSY_MS)
    return connection


def _has_log(path: Path) -> bool:
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


def _copied(connection: apsw.Connection, place: Path) -> apsw.Connection:
    size = int(connection.pragma("page_count")) * int(connection.pragma("page_size"))
    copy = apsw.Connection(":memory:" if size <= _IN_MEMORY else str(place))
    try:
        with copy.backup("main", connection, "main") as backup:
            while not backup.done:
                backup.step(-1)
    except BaseException:
        copy.close()
        raise
    return copy


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
