"""
One SQLite file: private from birth, durable at commit, many readers, writers in a fair queue.

WAL with synchronous=FULL: what `writing` committed survives a power cut (decision 17). No code
path opens the file except through SQLite, because closing any other descriptor on it would drop
SQLite's locks in the whole process.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from clawstate.errors import ClosedError
from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.sqlite.faults import translated
from clawstate.sqlite.gate import WriterGate
from clawstate.sqlite.migrations import Migration, format_of, migrate, require_current

_BUSY_MS = 10_000
_CHECKPOINT_PAGES = 8_000  # 32 MB: a bulk load should not copy the same pages again and again
_CACHE_KIB = 32_768


class Database:
    """
    A database file that is made by the first write; until then every read finds it empty.

    Safe to share between threads, and after a fork: a child opens connections of its own.
    """

    def __init__(
        self, path: Path, *, migrations: Sequence[Migration], lock_timeout: float = 30.0
    ) -> None:
        self.path = path
        self._migrations = migrations
        self._gate = WriterGate(path.with_name(path.name + ".gate"), timeout=lock_timeout)
        self._mutex = threading.Lock()
        self._pid = os.getpid()
        self._writer: _Open | None = None
        self._idle: list[_Open] = []
        self._closed = False

    def exists(self) -> bool:
        """Tell whether a write has made the database."""
        return self.path.exists()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """
        Lend a connection that sees one unchanging state of the database.

        Raises `CorruptError`, `VersionError`, `UnavailableError`, `ClosedError`.
        """
        with translated(self.path):
            opened = self._borrowed()
            try:
                opened.connection.execute("BEGIN")
                try:
                    yield opened.connection
                finally:
                    _end(opened.connection)
            finally:
                self._returned(opened)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """
        Lend the writing connection inside a transaction, committed when the block succeeds.

        On disk when the block is left. Raises `LockTimeoutError` and what `reading` raises.
        """
        with self._gate_at_home().entered(), translated(self.path):
            connection = self._writing_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                if format_of(connection) != len(self._migrations):
                    migrate(connection, self._migrations, self.path)
                yield connection
            except BaseException:
                _end(connection)
                raise
            try:
                connection.execute("COMMIT")
            except apsw.Error:
                _end(connection)
                raise

    def close(self) -> None:
        """Close all connections; a call after this raises `ClosedError`."""
        with self._mutex:
            self._closed = True
            self._adopt_process()
            opened = [*self._idle, *([self._writer] if self._writer else [])]
            self._idle.clear()
            self._writer = None
        for each in opened:
            each.connection.close()

    def _gate_at_home(self) -> WriterGate:
        if self._closed:
            raise ClosedError(str(self.path))
        make_private_dir(self.path.parent)
        return self._gate

    def _writing_connection(self) -> apsw.Connection:
        with self._mutex:
            self._adopt_process()
            if self._closed:
                raise ClosedError(str(self.path))
            if self._writer is not None and self._writer.inode != _inode(self.path):
                self._writer.connection.close()
                self._writer = None
            if self._writer is None:
                create_private_file(self.path)
                self._writer = self._connected()
                self._writer.connection.pragma("journal_mode", "wal")
                self._writer.connection.pragma("wal_autocheckpoint", _CHECKPOINT_PAGES)
            return self._writer.connection

    def _borrowed(self) -> _Open:
        inode = _inode(self.path)
        with self._mutex:
            self._adopt_process()
            if self._closed:
                raise ClosedError(str(self.path))
            while self._idle:
                opened = self._idle.pop()
                if opened.inode == inode:
                    return opened
                opened.connection.close()
        return self._reader()

    def _reader(self) -> _Open:
        if not self.exists():
            return self._empty()
        opened = self._connected()
        connection = opened.connection
        try:
            if format_of(connection) == 0 and not _has_tables(connection):
                connection.close()
                return self._empty()
            require_current(connection, self._migrations, self.path)
            connection.pragma("query_only", 1)
        except BaseException:
            connection.close()
            raise
        return opened

    def _empty(self) -> _Open:
        connection = apsw.Connection(":memory:")
        migrate(connection, self._migrations, self.path)
        return _Open(connection, _IN_MEMORY)

    def _connected(self) -> _Open:
        inode = _inode(self.path)
        connection = apsw.Connection(os.fspath(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(_BUSY_MS)
            connection.pragma("synchronous", 2)
            connection.pragma("cache_size", -_CACHE_KIB)
            connection.pragma("temp_store", 2)
            connection.pragma("journal_size_limit", 64 << 20)
        except BaseException:
            connection.close()
            raise
        return _Open(connection, inode)

    def _returned(self, opened: _Open) -> None:
        with self._mutex:
            keep = not self._closed and opened.inode != _IN_MEMORY and self._pid == os.getpid()
            if keep:
                self._idle.append(opened)
        if not keep:
            opened.connection.close()

    def _adopt_process(self) -> None:
        # A connection must not cross a fork. The parent's are dropped without closing them:
        # a close in the child would run a checkpoint on the parent's behalf.
        if self._pid != os.getpid():
            _LEFT_TO_PARENT.extend([*self._idle, *([self._writer] if self._writer else [])])
            self._idle = []
            self._writer = None
            self._pid = os.getpid()


@dataclass(frozen=True, slots=True)
class _Open:
    connection: apsw.Connection
    inode: int  # a database that was put in this one's place must not be written through it


_IN_MEMORY = -1
_LEFT_TO_PARENT: list[_Open] = []


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _end(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _has_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_schema").get)
