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
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

from clawstate.errors import UnavailableError
from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.files.mounts import journal_mode, mount_of
from clawstate.files.place import disk_of, require_disk, require_no_dead_link
from clawstate.interrupts import Use
from clawstate.sqlite import forks
from clawstate.sqlite.blocks import Opened, Reading, Writing, end_transaction
from clawstate.sqlite.faults import translated
from clawstate.sqlite.gate import WriterGate
from clawstate.sqlite.lending import Lending
from clawstate.sqlite.migrations import Migration, Part
from clawstate.sqlite.no_index import connection_without_index, is_without_index
from clawstate.sqlite.room import has_index_room, require_index_room

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
    *present* is called before a write, and where the file is not the one that was used before; it
    raises where the directory of the state is not the one it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        migrations: Sequence[Migration],
        lock_timeout: float = 30.0,
        part: str | None = None,
        beside: str | None = None,
        present: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._present = present
        self.generation = 0
        self._part = Part(path, migrations, part, beside)
        self._folder = path.parent
        self._gate = WriterGate(path.with_name(path.name + ".gate"), timeout=lock_timeout)
        self._lending = Lending(path)
        self._writer: Opened | None = None
        self._writing: object = None
        self._idle: list[Opened] = []
        self._made: list[weakref.ref[apsw.Connection]] = []
        self._inode = 0
        self._disk: int | None = None
        forks.watch(self)

    def exists(self) -> bool:
        """Tell whether a write has made the database; raises `ClosedError`."""
        self._lending.require_open()
        return self._found() != 0

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """
        Return the rows of one statement that only reads; raises what `reading` raises.

        A statement alone sees one state anyway: it costs half as much as in a transaction.
        """
        key = object()
        with translated(self.path):
            try:
                self._lending.enter(key, Use(0))
                opened = self.borrow()
                try:
                    found = opened.connection.execute(sql, bindings).fetchall()
                except BaseException as error:
                    self.take_back(opened, error)
                    raise
                self.take_back(opened)
                opened.require_sound()
                return found
            finally:
                self._lending.leave(key)

    def reading(self) -> Reading:
        """
        Lend a connection that sees one unchanging state of the database, for a `with` block.

        Raises `CorruptError`, `VersionError`, `UnavailableError`, `ClosedError`.
        """
        return Reading(self, self._lending)

    def writing(self) -> Writing:
        """
        Lend the writing connection inside a transaction, committed when the `with` block succeeds.

        On disk when the block is left. Raises `LockTimeoutError` and what `reading` raises.
        """
        return Writing(self, self._lending)

    def close(self) -> None:
        """Close all connections, those in use when that is over; then calls raise `ClosedError`."""
        self._lending.close()
        self._close_idle()

    def pause(self) -> None:
        """Wait until nobody reads or writes, and close everything: a fork follows."""
        self._lending.pause(self._close_all)

    def resume(self, *, in_child: bool) -> None:
        """Go on after a fork."""
        if in_child:
            self._gate.forget()
            self._writing = None
        self._lending.resume(in_child=in_child)

    def enter_gate(self, use: Use) -> None:
        """Wait for the turn of a writer, which ends with *use*."""
        self._lending.require_open()
        self._present()
        self._found()
        make_private_dir(self._folder)
        self._gate.enter(use)

    def leave_gate(self, use: Use) -> None:
        """Give the turn to the next writer; harmless when that is done."""
        self._gate.leave(use)

    def begin(self, writing: object) -> apsw.Connection:
        """Begin the transaction of *writing*, whose turn it is, and return its connection."""
        self._writing = writing
        self._lending.require_open()
        connection = self._writing_connection().connection
        require_index_room(self.path)
        if connection.in_transaction:  # somebody was cut off
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        if not self._part.is_current(connection):
            self._part.migrate(connection)
        return connection

    def end(self, writing: object, error: BaseException | None = None) -> None:
        """Take back what *writing* did not commit; harmless when it is over."""
        if self._writing is not writing:
            return
        writer = self._writer
        if writer is not None:
            end_transaction(writer.connection)
            stays = writer.connection.in_transaction or isinstance(error, _LASTING)
            if stays or self._lending.closed:
                self._drop_writer()
        self._writing = None
        if self._lending.closed:
            self._close_idle()

    def borrow(self) -> Opened:
        """Return a connection that reads."""
        inode = self._found()
        self._notice(inode)
        while True:
            try:
                opened = self._idle.pop()
            except IndexError:
                return self._reader(inode)
            if opened.inode == inode:
                return opened
            opened.connection.close()

    def take_back(self, opened: Opened, error: BaseException | None = None) -> None:
        """Keep the connection *opened*, which is in no transaction, for the next who reads."""
        once = opened.inode == _IN_MEMORY or opened.require_unchanged is not None
        if once or isinstance(error, _LASTING):
            opened.connection.close()
            return
        self._idle.append(opened)
        if self._lending.closed:
            self._close_idle()

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.connection.close()

    def _writing_connection(self) -> Opened:
        writer = self._writer
        if writer is not None and writer.inode != _inode(self.path):
            self._drop_writer()
            writer = None
        if writer is None:
            create_private_file(self.path)
            require_index_room(self.path)
            self._writer = writer = self._prepared(self._connected())
        return writer

    def _prepared(self, opened: Opened) -> Opened:
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

    def _reader(self, inode: int) -> Opened:
        if not inode:
            return self._empty()
        if has_index_room(self.path):
            try:
                return self._checked(self._connected())
            except apsw.Error as error:
                if not is_without_index(error):
                    raise
                refused = error
        else:
            refused = None
        spare = connection_without_index(self.path)
        if spare is None:
            if refused is not None:
                raise refused
            return self._checked(self._connected())  # others have the index already
        return self._checked(self._known(*spare))

    def _checked(self, opened: Opened) -> Opened:
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

    def _empty(self) -> Opened:
        connection = apsw.Connection(":memory:")
        self._part.migrate(connection)
        return Opened(connection, _IN_MEMORY)

    def _connected(self) -> Opened:
        return self._known(
            apsw.Connection(os.fspath(self.path), flags=apsw.SQLITE_OPEN_READWRITE), None
        )

    def _known(
        self, connection: apsw.Connection, require_unchanged: Callable[[], object] | None
    ) -> Opened:
        inode = _inode(self.path)
        self._made = [each for each in self._made if each() is not None]
        self._made.append(weakref.ref(connection))
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
        return Opened(connection, inode, require_unchanged)

    def _found(self) -> int:
        """Return the inode of the file, 0 if there is none; see *present*."""
        inode = _inode(self.path)
        if inode != self._inode or not inode:
            self._present()  # the whole directory may be another one
            if not inode:
                require_disk(self._folder, self._disk)
        return inode

    def _notice(self, inode: int) -> None:
        if inode != self._inode:
            self.generation += 1
            self._inode = inode
            self._disk = disk_of(self._folder)

    def _close_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(IndexError):  # others close them as well
                self._idle.pop().connection.close()
        if self._writing is None:
            self._drop_writer()

    def _close_all(self) -> None:
        self._close_idle()
        for each in self._made:  # those too that an interrupt lost
            if (connection := each()) is not None:
                connection.close()
        self._made = []


_IN_MEMORY = -1


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        require_no_dead_link(path)
        return 0
    except NotADirectoryError as error:
        hint = "name another state directory"
        raise UnavailableError(str(path.parent), "is a file, not a directory", hint) from error
    except OSError as error:
        problem = f"cannot be reached ({error.strerror})"
        raise UnavailableError(str(path), problem, "check the permissions") from error
