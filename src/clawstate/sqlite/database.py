"""
One SQLite file: private from birth, durable at commit, many readers, writers in a fair queue.

What `writing` committed survives a power cut: synchronous=FULL, with a write-ahead log, or with the
rollback journal on a network file system, which has no shared memory (decision 17). No code path
opens the file except through SQLite, because closing any other descriptor on it would drop SQLite's
locks in the whole process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from clawstate.errors import UnavailableError
from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.files.mounts import journal_mode, mount_of
from clawstate.sqlite import forks
from clawstate.sqlite.faults import translated
from clawstate.sqlite.gate import WriterGate
from clawstate.sqlite.lending import Lending
from clawstate.sqlite.migrations import Migration, Part
from clawstate.sqlite.room import require_index_room

_BUSY_MS = 10_000
# A log that is written over syncs in half the time of one that grows, and bulk loads are no slower.
_CHECKPOINT_PAGES = 1_000
_CACHE_KIB = 32_768
# A connection that met one of these may go on refusing after the cause has passed.
_LASTING = (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError)


class Database:
    """
    A database file that is made by the first write; until then every read finds it empty.

    Safe to share between threads, and across a fork. `generation` moves when another file was put
    in the place of this one, as by restoring a backup: nothing read before is then true.

    Several may share a file, each but one with a *part* of its own and its own format; whichever
    writes first makes it. By *beside*, a table of the unnamed part, a file is known as ours.
    """

    def __init__(
        self,
        path: Path,
        *,
        migrations: Sequence[Migration],
        lock_timeout: float = 30.0,
        part: str | None = None,
        beside: str | None = None,
    ) -> None:
        self.path = path
        self.generation = 0
        self._part = Part(path, migrations, part, beside)
        self._folder = path.parent
        self._gate = WriterGate(path.with_name(path.name + ".gate"), timeout=lock_timeout)
        self._lending = Lending(path)
        self._writer: _Open | None = None
        self._idle: list[_Open] = []
        self._inode = 0
        forks.watch(self)

    def exists(self) -> bool:
        """Tell whether a write has made the database; raises `ClosedError`."""
        self._lending.require_open()
        return _inode(self.path) != 0

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """
        Return the rows of one statement that only reads; raises what `reading` raises.

        A statement alone sees one state anyway: it costs half as much as in a transaction.
        """
        with translated(self.path), self._lending:
            opened = self._borrowed()
            try:
                found = opened.connection.execute(sql, bindings).fetchall()
            except BaseException as error:
                self._returned(opened, error)
                raise
            self._returned(opened)
            return found

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """
        Lend a connection that sees one unchanging state of the database.

        Raises `CorruptError`, `VersionError`, `UnavailableError`, `ClosedError`.
        """
        with translated(self.path), self._lending:
            opened = self._borrowed()
            try:
                opened.connection.execute("BEGIN")
                try:
                    yield opened.connection
                finally:
                    _end(opened.connection)
            except BaseException as error:
                self._returned(opened, error)
                raise
            self._returned(opened)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """
        Lend the writing connection inside a transaction, committed when the block succeeds.

        On disk when the block is left. Raises `LockTimeoutError` and what `reading` raises.
        """
        with self._gate_at_home().entered(), translated(self.path), self._lending:
            connection = self._writing_connection().connection
            require_index_room(self.path, only_new=False)
            try:
                connection.execute("BEGIN IMMEDIATE")
                if not self._part.is_current(connection):
                    self._part.migrate(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                _end(connection)
                if isinstance(error, _LASTING):
                    self._drop_writer()
                raise

    def close(self) -> None:
        """Close all connections; a call after this raises `ClosedError`."""
        with self._lending.mutex:
            self._lending.closed = True
            self._close_all()

    def pause(self) -> None:
        """Wait until nobody reads or writes, and close everything: a fork follows."""
        self._lending.pause(self._close_all)

    def resume(self, *, in_child: bool) -> None:
        """Go on after a fork."""
        if in_child:
            self._gate.forget()
        self._lending.resume(in_child=in_child)

    def _gate_at_home(self) -> WriterGate:
        self._lending.require_open()
        make_private_dir(self._folder)
        return self._gate

    def _drop_writer(self) -> None:
        with self._lending.mutex:
            if self._writer is not None:
                self._writer.connection.close()
                self._writer = None

    def _writing_connection(self) -> _Open:
        with self._lending.mutex:
            if self._writer is not None and self._writer.inode != _inode(self.path):
                self._writer.connection.close()
                self._writer = None
            if self._writer is None:
                create_private_file(self.path)
                self._writer = self._prepared(self._connected())
            return self._writer

    def _prepared(self, opened: _Open) -> _Open:
        connection = opened.connection
        try:
            # Somebody else's file must stay as it is, so this comes before the first change.
            self._part.require_known(connection)
            connection.pragma("journal_mode", journal_mode(mount_of(self.path)))
            connection.pragma("wal_autocheckpoint", _CHECKPOINT_PAGES)
        except BaseException:
            connection.close()
            raise
        return opened

    def _borrowed(self) -> _Open:
        inode = _inode(self.path)
        with self._lending.mutex:
            self._notice(inode)
            while self._idle:
                opened = self._idle.pop()
                if opened.inode == inode:
                    return opened
                opened.connection.close()
        return self._reader(inode)

    def _reader(self, inode: int) -> _Open:
        if not inode:
            return self._empty()
        opened = self._connected()
        connection = opened.connection
        try:
            if self._part.is_missing(connection):
                connection.close()
                return self._empty()
            self._part.require_current(connection)
            connection.pragma("query_only", 1)
        except BaseException:
            connection.close()
            raise
        return opened

    def _empty(self) -> _Open:
        connection = apsw.Connection(":memory:")
        self._part.migrate(connection)
        return _Open(connection, _IN_MEMORY)

    def _connected(self) -> _Open:
        inode = _inode(self.path)
        require_index_room(self.path, only_new=True)
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
        self._notice(inode)
        return _Open(connection, inode)

    def _notice(self, inode: int) -> None:
        if inode != self._inode:
            self._inode = inode
            self.generation += 1

    def _returned(self, opened: _Open, error: BaseException | None = None) -> None:
        if not isinstance(error, _LASTING) and opened.inode != _IN_MEMORY:
            with self._lending.mutex:
                if not self._lending.closed:
                    self._idle.append(opened)
                    return
        opened.connection.close()

    def _close_all(self) -> None:
        for each in [*self._idle, *([self._writer] if self._writer else [])]:
            each.connection.close()
        self._idle = []
        self._writer = None


@dataclass(frozen=True, slots=True)
class _Open:
    connection: apsw.Connection
    inode: int  # a database that was put in this one's place must not be written through it


_IN_MEMORY = -1


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
    except NotADirectoryError as error:
        hint = "name another state directory"
        raise UnavailableError(str(path.parent), "is a file, not a directory", hint) from error
    except OSError as error:
        problem = f"cannot be reached ({error.strerror})"
        raise UnavailableError(str(path), problem, "check the permissions") from error


def _end(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
