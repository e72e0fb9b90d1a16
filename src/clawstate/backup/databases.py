"""
Databases in a backup: found by their header, read as they were at one moment, copied by SQLite.

No file that SQLite may have open is opened by anything else: closing another descriptor on it would
drop the locks that SQLite holds on it in this process (decision 2).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import apsw

from clawstate.backup.manifest import DatabaseFacts, Sample
from clawstate.errors import CorruptError, UnavailableError
from clawstate.files.atomic import create_private_file
from clawstate.sqlite.errors import damage, sqlite_errors
from clawstate.sqlite.foreign import has_log, open_read_only, stamp_of

SIDECARS: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database: it is in the copy already."""

_HEADER = b"SQLite format 3\0"
_PAGES = 1024  # in one step of a copy
_BUSY_MS = 10_000
_PER_TABLE = 40


def is_database(path: Path) -> bool:
    """Tell whether *path* begins as a database does, whatever its name; raises nothing."""
    flags = [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0]
    try:
        if path.stat().st_size < len(_HEADER):
            return False
        file = apsw.VFSFile("", str(path), flags)
    except (OSError, ValueError, apsw.Error):
        return False
    try:
        return file.xRead(len(_HEADER), 0) == _HEADER
    except apsw.Error:
        return False
    finally:
        file.xClose()


class Snapshot(Protocol):
    """A database as it was when this was made, until it is closed; others go on writing."""

    path: Path

    def copy(self, target: Path, tell: Callable[[int], object]) -> None:
        """Write a copy to *target*, private from birth; *tell* is told how many bytes came."""

    def facts(self, count: int) -> DatabaseFacts:
        """Return the rows by table, and about *count* samples of them."""

    def close(self) -> None:
        """Let it go; harmless when that is done."""


class OwnSnapshot:
    """
    The database *path*, read through our own SQLite.

    With *foreign* it is another program's, beside which no trace is left.
    """

    def __init__(self, path: Path, *, foreign: bool) -> None:
        self.path = path
        with sqlite_errors(path):
            self._stamp = stamp_of(path) if foreign else None
            is_whole = self._stamp is not None and self._stamp.is_alone and has_log(path)
            if foreign:
                self._connection = open_read_only(path, is_whole=is_whole)
            else:
                flags = apsw.SQLITE_OPEN_READWRITE  # a journal that a crash left is played back
                self._connection = apsw.Connection(os.fspath(path), flags=flags)
                self._connection.set_busy_timeout(_BUSY_MS)
            self._is_whole = is_whole
            try:
                self._connection.execute("BEGIN")
                # The transaction sees the state of the first read, not of its beginning.
                self._connection.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018
            except BaseException:
                self._connection.close()
                raise

    def copy(self, target: Path, tell: Callable[[int], object]) -> None:
        """Write a copy to *target*."""
        create_private_file(target)
        with sqlite_errors(self.path):
            flags = apsw.SQLITE_OPEN_READWRITE
            with contextlib.closing(apsw.Connection(str(target), flags=flags)) as made:
                made.pragma("synchronous", 0)  # it is synced when all of it is there
                size = int(self._connection.pragma("page_size"))
                with made.backup("main", self._connection, "main") as backup:
                    while not backup.done:
                        backup.step(_PAGES)
                        tell((backup.page_count - backup.remaining) * size)
                if self._stamp is None:
                    _drop_free_pages(made)
        if self._is_whole and self._stamp is not None:
            self._stamp.require_unchanged(self.path)

    def facts(self, count: int) -> DatabaseFacts:
        """Return the rows by table, and samples."""
        try:
            with sqlite_errors(self.path):
                rows = count_rows(self._connection)
                samples = list(_samples(self._connection, rows, count)) if count else []
        except CorruptError as error:
            return DatabaseFacts({}, (), (error.problem,))
        return DatabaseFacts(rows, tuple(samples))

    def close(self) -> None:
        """Let it go."""
        self._connection.close()


class StandardSnapshot:
    """
    The database *path* of a program that uses Python's own SQLite, such as matrix-nio.

    It may run in this very process: another copy of SQLite would drop its locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        name = f"file:{quote(os.fsencode(path))}?mode=rw"
        try:
            self._connection = sqlite3.connect(
                name, uri=True, timeout=_BUSY_MS / 1000, isolation_level=None
            )
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(str(path), f"cannot be read ({error})", "try again") from error

    def copy(self, target: Path, tell: Callable[[int], object]) -> None:
        """Write a copy to *target*."""
        create_private_file(target)
        try:
            with contextlib.closing(sqlite3.connect(target)) as made:
                self._connection.backup(made)
        except sqlite3.Error as error:
            raise UnavailableError(str(self.path), f"cannot be copied ({error})") from error
        tell(target.stat().st_size)

    def facts(self, count: int) -> DatabaseFacts:
        """Return nothing: its rows are keys."""
        assert count >= 0  # noqa: S101 - the form of the others
        return DatabaseFacts({})

    def close(self) -> None:
        """Let it go."""
        self._connection.close()


def facts_of_copy(path: Path, samples: tuple[Sample, ...]) -> DatabaseFacts:
    """Return the rows of the copy *path*, the *samples* as they are there, and its problems."""
    try:
        return _look(path, samples)
    except CorruptError as error:
        return DatabaseFacts({}, (), (error.problem,))


def _look(path: Path, samples: tuple[Sample, ...]) -> DatabaseFacts:
    flags = apsw.SQLITE_OPEN_READWRITE
    with (
        sqlite_errors(path),
        contextlib.closing(apsw.Connection(str(path), flags=flags)) as connection,
    ):
        try:
            problems = tuple(damage(connection, deep=True))
        except apsw.SQLError:  # an index of a kind that SQLite has no code for here
            problems = ()
        if problems:
            return DatabaseFacts({}, (), problems)
        found = (Sample(each.table, each.key, _read(connection, each)) for each in samples)
        return DatabaseFacts(count_rows(connection), tuple(found))


def count_rows(connection: apsw.Connection) -> dict[str, int]:
    """Return how many rows each table has that holds some of its own."""
    return {
        name: int(connection.execute(f"SELECT count(*) FROM {_quote(name)}").get)
        for name in _tables(connection)
    }


def _tables(connection: apsw.Connection) -> list[str]:
    sql = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' "
        "AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite_stat%' ORDER BY name"
    )
    return [str(name) for (name,) in connection.execute(sql)]


def _samples(connection: apsw.Connection, rows: dict[str, int], count: int) -> Iterator[Sample]:
    """Yield samples of all tables, more of those with more rows."""
    total = sum(rows.values())
    for name, number in rows.items():
        if not number or (column := _number_column(connection, name)) is None:
            continue
        wanted = min(_PER_TABLE, number, max(2, count * number // max(total, 1)))
        low, high = connection.execute(
            f"SELECT min({column}), max({column}) FROM {_quote(name)}"
        ).get
        sql = f"SELECT {column} FROM {_quote(name)} WHERE {column} >= ? ORDER BY {column} LIMIT 1"
        keys = {random.randint(int(low), int(high)) for _ in range(wanted)}  # noqa: S311
        found = {str(connection.execute(sql, (each,)).get) for each in keys}
        for key in sorted(found):
            yield Sample(name, key, _read(connection, Sample(name, key, "")))


def _number_column(connection: apsw.Connection, name: str) -> str | None:
    """Return the column that is the number of a row, which no copy changes; `None` without."""
    sql = "SELECT name, type FROM pragma_table_info(?) WHERE pk > 0"
    keys = connection.execute(sql, (name,)).fetchall()
    is_number = len(keys) == 1 and str(keys[0][1]).upper() == "INTEGER"
    return _quote(str(keys[0][0])) if is_number else None


def _read(connection: apsw.Connection, sample: Sample) -> str:
    column = _number_column(connection, sample.table)
    if column is None:
        return ""
    sql = f"SELECT * FROM {_quote(sample.table)} WHERE {column} = ?"
    row = connection.execute(sql, (int(sample.key),)).fetchone()
    text = json.dumps([_plain(each) for each in row or ()])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    return {"bytes": hashlib.sha256(value).hexdigest()} if isinstance(value, bytes) else value


def _drop_free_pages(connection: apsw.Connection) -> None:
    # What was forgotten may lie in pages that are free now.
    if connection.pragma("freelist_count"):
        connection.pragma("journal_mode", "delete")
        connection.pragma("temp_store", 2)
        with contextlib.suppress(apsw.CorruptError):  # then it is copied as it is
            connection.execute("VACUUM")


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
