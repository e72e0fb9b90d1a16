"""
One SQLite file: private from birth, durable at commit, many readers, writers in a fair queue.

What `writing` committed survives a power cut: synchronous=FULL (decision 2), with a write-ahead
log, or with the rollback journal on a network file system, which has no shared memory. No code path
opens the file except through SQLite: its locks are those of fcntl(2), and closing any other
descriptor on the file would drop them in the whole process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import apsw

from clawstate.errors import StateError
from clawstate.files.atomic import make_private_dir
from clawstate.interrupts import Use, load_modules
from clawstate.sqlite.connections import (
    Connections,
    Opened,
    end_transaction,
    inode_of,
    is_in_use,
)
from clawstate.sqlite.log_index import require_index_room
from clawstate.sqlite.migrations import Faults, Migration, PartFormat
from clawstate.sqlite.part import Part
from clawstate.sqlite.pool import PoolGuard, WriterLock, pause_around_forks

# A connection that met one of these may go on refusing after the cause has passed.
_LASTING = (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError)


class Audit(Protocol):
    """What keeps a chain over the changes of a database: `AuditChain`."""

    def begin(self, connection: apsw.Connection, *, is_on: bool) -> None:
        """Note what the transaction of *connection* changes from now on, if *is_on*."""

    def seal(self, connection: apsw.Connection) -> None:
        """Add what it changed to the chain."""

    def tell_head(self) -> None:
        """Note the head of the chain outside of the state."""


class Database:
    """
    A database file that is made by the first write; until then every read finds it empty.

    Safe to share between threads, and across a fork. One object a file in a process: those who
    share the file each have a named `part` of it, and with it the writer lock and the connections.
    `generation` moves when another file was put in the place of this one, as by restoring a backup:
    nothing read before is then true.

    A writer that others keep waiting for *lock_timeout* seconds raises `LockTimeoutError`.
    *audit* makes what keeps a chain over its changes, if it has one. *present* is called before a
    write, and where the file is not the one that was used before; it raises where the directory of
    the state is not the one it was. *may_make* is called before the file is made, while no other
    writer is there, and raises where none must be.
    """

    def __init__(
        self,
        path: Path,
        *,
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
        audit: Callable[[], Audit] | None = None,
        may_make: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._make_audit = audit
        self._audit: Audit | None = None
        self._present = present
        self._folder = path.parent
        self._connections = Connections(path, present, may_make)
        self._writers = WriterLock(path.with_name(path.name + ".gate"), timeout=lock_timeout)
        self._guard = PoolGuard(path)
        self._writer: Opened | None = None
        self._writing: object = None
        self._idle: list[Opened] = []
        pause_around_forks(self)

    @property
    def generation(self) -> int:
        """A number that moves when another file was put in the place of this one."""
        return self._connections.generation

    def part(
        self,
        name: str,
        migrations: Sequence[Migration],
        *,
        faults: Faults | None = None,
        at_end: Callable[[], object] = lambda: None,
    ) -> Part:
        """Return the part *name*, whose tables *migrations* make; closing it calls *at_end*."""
        return Part(self, self._guard, PartFormat(self.path, name, migrations, faults), at_end)

    def exists(self) -> bool:
        """Tell whether a write has made the database; raises `ClosedError`."""
        self._guard.require_open()
        return self._connections.find_inode() != 0

    def close(self) -> None:
        """Close all connections, those in use when that is over; then calls raise `ClosedError`."""
        self._guard.close()
        self._close_idle()

    def pause(self) -> None:
        """Wait until nobody reads or writes, and close everything: a fork follows."""
        self._guard.pause(self._close_all)

    def resume(self, *, in_child: bool) -> None:
        """Go on after a fork."""
        if in_child:
            self._writers.forget()
            self._writing = None
        self._guard.resume(in_child=in_child)

    def lock_writers(self, use: Use) -> None:
        """Wait for the writer lock, which is held until *use* is over."""
        self._guard.require_open()
        # Before the first file is made: a directory whose disk went away must not be made again
        # where it was mounted, with new and empty records in it.
        self._present()
        self._connections.find_inode()
        make_private_dir(self._folder)
        self._writers.acquire(use)

    def unlock_writers(self, use: Use) -> None:
        """Let the next writer have the lock; harmless when that is done."""
        self._writers.release(use)

    def begin(self, writing: object, part: PartFormat) -> apsw.Connection:
        """Return the connection for *writing*, which holds the writer lock, in a transaction."""
        # Noted before anything is begun, so that `end` takes back whatever an interrupt leaves of
        # it.
        self._writing = writing
        self._guard.require_open()
        connection = self._writing_connection(part).connection
        # A full disk would end the process with SIGBUS where blocks are smaller than a page.
        require_index_room(self.path)
        # A reader that turns into a writer fails at once when another wrote; so each begins as one
        # (decision 2).
        connection.execute("BEGIN IMMEDIATE")
        # In the transaction of the write: either both are there afterwards, or neither.
        is_current, is_audited = part.standing(connection)
        if not is_current:
            _raise_format(connection, part)
            is_audited = part.standing(connection)[1]
        if is_audited and self._make_audit is not None:
            self._audit = self._audit or self._make_audit()
        if self._audit is not None:
            self._audit.begin(connection, is_on=is_audited)
        return connection

    def seal(self, connection: apsw.Connection) -> None:
        """Do what belongs to the transaction of *connection* as its last change."""
        if self._audit is not None:
            self._audit.seal(connection)

    def after_commit(self) -> None:
        """Do what follows a transaction while other writers still wait."""
        if self._audit is not None:
            self._audit.tell_head()

    def end(self, writing: object, error: BaseException | None = None) -> None:
        """Take back what *writing* did not commit; harmless when it is over."""
        if self._writing is not writing:
            return
        if (writer := self._writer) is not None:
            end_transaction(writer.connection)
            # What could not be rolled back would be committed by the next writer.
            if self._guard.closed or _is_unfit(writer, error):
                self._drop_writer()
        self._writing = None
        if self._guard.closed:
            self._close_idle()

    def borrow(self, part: PartFormat) -> Opened:
        """Return a connection that reads *part*."""
        # A look at the name for each read: somebody may have put a backup in the place of the file,
        # and a connection to the old one would go on reading what is gone.
        connections = self._connections
        inode = inode_of(self.path)
        if inode != connections.inode or not inode:
            connections.notice(inode := connections.find_inode())
        if not inode:
            return _empty(part)
        opened = self._idle_on(inode) or connections.reader()
        if part.name in opened.known:
            return opened
        return self._require_part(opened, part)

    def take_back(self, opened: Opened, error: BaseException | None = None) -> None:
        """Keep the connection *opened*, which is in no transaction, for the next who reads."""
        # A connection without an index of its log sees one state of the file for ever, or keeps
        # others out; an empty database stands for a file that may be there by now.
        once = opened.inode == _IN_MEMORY or opened.require_unchanged is not None
        if once or _is_unfit(opened, error):
            opened.connection.close()
            return
        self._idle.append(opened)
        if self._guard.closed:
            self._close_idle()

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.connection.close()

    def _writing_connection(self, part: PartFormat) -> Opened:
        writer = self._writer
        # Through the old connection the write would be acknowledged, and lost with the file that
        # was replaced. What is left of a transaction that was cut off ends with its connection.
        if writer is not None and (
            writer.inode != inode_of(self.path) or is_in_use(writer.connection)
        ):
            self._drop_writer()
            writer = None
        if writer is None:
            self._writer = writer = self._connections.writer(part)
        elif part.name not in writer.known:
            part.require_known(writer.connection)
            writer.known.add(part.name)
        return writer

    def _idle_on(self, inode: int) -> Opened | None:
        """Return a connection to the file *inode* that nobody uses, and close those to others."""
        while True:
            try:
                opened = self._idle.pop()
            except IndexError:
                return None
            # The last one that was given back comes first: its cache is warm.
            if opened.inode == inode and not is_in_use(opened.connection):
                return opened
            opened.connection.close()

    def _require_part(self, opened: Opened, part: PartFormat) -> Opened:
        """Return *opened* if *part* can be read by it, or an empty database where it is missing."""
        try:
            if not (is_missing := part.is_missing(opened.connection)):
                part.require_current(opened.connection)
        # The connection is sound: what it found wrong is the format of this one part.
        except StateError:
            self.take_back(opened)  # the other parts may be read by it
            raise
        except BaseException:
            opened.connection.close()
            raise
        if is_missing:
            self.take_back(opened)
            return _empty(part)
        opened.known.add(part.name)
        return opened

    def _close_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(IndexError):  # others close them as well
                self._idle.pop().connection.close()
        if self._writing is None:
            self._drop_writer()

    def _close_all(self) -> None:
        self._close_idle()
        self._connections.close_all()


def open_part(
    place: Database | Path,
    name: str,
    migrations: Sequence[Migration],
    *,
    faults: Faults | None = None,
    lock_timeout: float = 30.0,
    present: Callable[[], object] = lambda: None,
) -> Part:
    """
    Return the part *name* of the database *place*.

    For a path a `Database` is made with the other settings, which the part closes at its end.
    """
    if isinstance(place, Database):
        return place.part(name, migrations, faults=faults)
    database = Database(place, lock_timeout=lock_timeout, present=present)
    return database.part(name, migrations, faults=faults, at_end=database.close)


_IN_MEMORY = -1


def _raise_format(connection: apsw.Connection, part: PartFormat) -> None:
    found = part.require_known(connection)
    if not 0 < found < len(part.migrations):  # new, or of the first release
        part.migrate(connection)
        return
    load_modules("clawstate.sqlite.upgrades")
    from clawstate.sqlite.upgrades import migrate_with_copy  # noqa: PLC0415 - once in a release

    migrate_with_copy(connection, part, found)


def _is_unfit(opened: Opened, error: BaseException | None) -> bool:
    """Tell whether nobody can use *opened* after *error*."""
    # Without an error no statement was cut off; and who has it next looks again.
    return error is not None and (isinstance(error, _LASTING) or is_in_use(opened.connection))


def _empty(part: PartFormat) -> Opened:
    connection = apsw.Connection(":memory:")
    part.migrate(connection)
    return Opened(connection, _IN_MEMORY, known={part.name})
