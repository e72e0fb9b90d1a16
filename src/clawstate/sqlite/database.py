"""
One SQLite file: private from birth, durable at commit, many readers, writers in a fair queue.

What `writing` committed survives a power cut: synchronous=FULL (decision 2), with a write-ahead
log, or with the rollback journal on a network file system, which has no shared memory. No code path
opens the file except through SQLite: its locks are those of fcntl(2), and closing any other
descriptor on the file would drop them in the whole process.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from clawstate.errors import StateError, UnavailableError
from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.files.mounts import journal_mode, mount_of
from clawstate.files.place import disk_of, require_disk, require_no_dead_link
from clawstate.files.regular import require_database
from clawstate.interrupts import Use
from clawstate.sqlite.log_index import (
    connection_without_index,
    has_index_room,
    is_without_index,
    require_index_room,
)
from clawstate.sqlite.migrations import Faults, Migration, PartFormat
from clawstate.sqlite.part import BUSY_MS, Opened, Part, end_transaction, is_in_use
from clawstate.sqlite.pool import PoolGuard, WriterLock, pause_around_forks

# A log that is written over syncs in half the time of one that grows, and bulk loads are no slower.
_CHECKPOINT_PAGES = 1_000
_CACHE_KIB = 32_768
# A connection that met one of these may go on refusing after the cause has passed.
_LASTING = (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError)


class Database:
    """
    A database file that is made by the first write; until then every read finds it empty.

    Safe to share between threads, and across a fork. One object a file in a process: those who
    share the file each have a named `part` of it, and with it the writer lock and the connections.
    `generation` moves when another file was put in the place of this one, as by restoring a backup:
    nothing read before is then true.

    A writer that others keep waiting for *lock_timeout* seconds raises `LockTimeoutError`.
    *present* is called before a write, and where the file is not the one that was used before; it
    raises where the directory of the state is not the one it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._present = present
        self.generation = 0
        self._folder = path.parent
        self._writers = WriterLock(path.with_name(path.name + ".gate"), timeout=lock_timeout)
        self._guard = PoolGuard(path)
        self._writer: Opened | None = None
        self._writing: object = None
        self._idle: list[Opened] = []
        self._made: dict[int, weakref.ref[apsw.Connection]] = {}
        self._inode = 0
        self._disk: int | None = None
        pause_around_forks(self)

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
        return self._find_inode() != 0

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
        self._find_inode()
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
        if not part.is_current(connection):
            part.migrate(connection)
        return connection

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
        inode = _inode(self.path)
        if inode != self._inode or not inode:
            self._notice(inode := self._find_inode())
        if not inode:
            return _empty(part)
        opened = self._idle_on(inode) or self._reader()
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
            writer.inode != _inode(self.path) or is_in_use(writer.connection)
        ):
            self._drop_writer()
            writer = None
        if writer is None:
            # SQLite would make it with the umask, readable for a moment by whoever may enter the
            # directory.
            create_private_file(self.path)
            require_index_room(self.path)
            self._writer = writer = self._prepare(self._connect(), part)
        elif part.name not in writer.known:
            part.require_known(writer.connection)
            writer.known.add(part.name)
        return writer

    def _prepare(self, opened: Opened, part: PartFormat) -> Opened:
        connection = opened.connection
        try:
            # Somebody else's file must stay as it is, so this comes before the first change.
            part.require_known(connection)
            opened.known.add(part.name)
            # A network file system shares no memory between machines, which a write-ahead log
            # needs.
            connection.pragma("journal_mode", journal_mode(mount_of(self.path)))
            connection.pragma("wal_autocheckpoint", _CHECKPOINT_PAGES)
        except BaseException:
            connection.close()
            raise
        return opened

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

    def _reader(self) -> Opened:
        refused = None
        if has_index_room(self.path):
            try:
                return self._read_only(self._connect())
            except apsw.Error as error:
                if not is_without_index(error):
                    raise
                refused = error
        inode = _inode(self.path)
        spare = connection_without_index(self.path)
        if spare is None:
            if refused is not None:
                raise refused
            return self._read_only(self._connect())  # others have the index already
        return self._read_only(self._register(*spare, inode))

    def _read_only(self, opened: Opened) -> Opened:
        try:
            # It opens the log, so that whoever asked learns here whether that can be read.
            opened.connection.pragma("schema_version")
            opened.connection.pragma("query_only", 1)
        except BaseException:
            opened.connection.close()
            raise
        return opened

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

    def _connect(self) -> Opened:
        # Without CREATE: the file is made by `create_private_file`. Read-write for readers as well:
        # after a crash whoever comes first plays a rollback journal back, and the last to leave
        # writes the log into the database. `query_only` keeps readers from all else.
        # Asked for first: where a backup is put in its place just now, the connection then seems to
        # be of another file and is not used again. The other way round it would seem to be of that.
        inode = _inode(self.path)
        opened = apsw.Connection(os.fspath(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        return self._register(opened, None, inode)

    def _register(
        self,
        connection: apsw.Connection,
        require_unchanged: Callable[[], object] | None,
        inode: int,
    ) -> Opened:
        for key, each in self._made.copy().items():
            if each() is None:
                self._made.pop(key, None)
        # An interrupt can lose a connection between here and whoever asked; before a fork it has to
        # be closed all the same.
        self._made[id(connection)] = weakref.ref(connection)
        try:
            connection.set_busy_timeout(BUSY_MS)
            # FULL: what was acknowledged survives a power cut. NORMAL does five times the commits a
            # second, and loses the last of them (decision 2).
            connection.pragma("synchronous", 2)
            # Negative numbers are KiB, positive ones pages.
            connection.pragma("cache_size", -_CACHE_KIB)
            # In memory: a temporary file would hold texts outside of the state directory.
            connection.pragma("temp_store", 2)
            # One bulk load would leave a log of its size for good.
            connection.pragma("journal_size_limit", 64 << 20)
            if inode != self._inode:
                # The directory may have been made with the file just now: from here on it is known,
                # and one that takes its place is told from it.
                self._present()
        except BaseException:
            connection.close()
            raise
        self._notice(inode)
        return Opened(connection, inode, require_unchanged)

    def _find_inode(self) -> int:
        """Return the inode of the file, 0 if there is none; see *present*."""
        inode = _inode(self.path)
        # Only then: this is on the way of every read, and a file that is still there lies in a
        # directory that is.
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
        for each in self._made.copy().values():  # those too that an interrupt lost
            if (connection := each()) is not None:
                connection.close()
        self._made.clear()


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


def _is_unfit(opened: Opened, error: BaseException | None) -> bool:
    """Tell whether nobody can use *opened* after *error*."""
    # Without an error no statement was cut off; and who has it next looks again.
    return error is not None and (isinstance(error, _LASTING) or is_in_use(opened.connection))


def _empty(part: PartFormat) -> Opened:
    connection = apsw.Connection(":memory:")
    part.migrate(connection)
    return Opened(connection, _IN_MEMORY, known={part.name})


def _inode(path: Path) -> int:
    try:
        status = path.stat()
    except FileNotFoundError:
        require_no_dead_link(path)
        return 0
    except NotADirectoryError as error:
        hint = "name another state directory"
        raise UnavailableError(str(path.parent), "is a file, not a directory", hint) from error
    except OSError as error:
        problem = f"cannot be reached ({error.strerror})"
        raise UnavailableError(str(path), problem, "check the permissions") from error
    require_database(path, status.st_mode)
    return status.st_ino
