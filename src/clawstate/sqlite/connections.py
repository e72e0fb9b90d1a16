"""
`Connections`: how connections to one database file are opened, and whether it is still that file.

What they commit is durable (decision 2), nothing of it lies outside of the state directory, and a
file that was put in the place of the one that was known is told from it.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from clawstate.errors import UnavailableError
from clawstate.files.atomic import create_private_file
from clawstate.files.mounts import journal_mode, mount_of
from clawstate.files.place import disk_of, require_disk, require_no_dead_link
from clawstate.files.regular import require_database
from clawstate.sqlite.log_index import (
    connection_without_index,
    has_index_room,
    is_without_index,
    require_index_room,
)
from clawstate.sqlite.migrations import PartFormat

# Writers of ours wait in the queue of the writer lock; this is for other programs, which do not
# know it.
BUSY_MS = 10_000
# A log that is written over syncs in half the time of one that grows, and bulk loads are no slower.
_CHECKPOINT_PAGES = 1_000
_CACHE_KIB = 32_768


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection, the file that it was opened on, and the parts that may be used by it."""

    connection: apsw.Connection
    inode: int  # a database that was put in this one's place must not be written through it
    require_unchanged: Callable[[], object] | None = None
    """Raises if what was read does not count; such a connection is used once."""
    known: set[str] = field(default_factory=set)
    """The parts whose format was found to be one that this code knows."""

    def require_sound(self) -> None:
        """Raise `UnavailableError` if what was read does not count."""
        if self.require_unchanged is not None:
            self.require_unchanged()


def end_transaction(connection: apsw.Connection) -> None:
    """Take back what was not committed."""
    with contextlib.suppress(apsw.Error):
        # An error of SQLite may have ended it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def is_in_use(connection: apsw.Connection) -> bool:
    """
    Tell whether *connection* still reads or writes, after `end_transaction`.

    A statement that an error cut off half way goes on reading for as long as a traceback keeps it,
    as an interactive shell does: whoever has the connection next would see the state of then.
    """
    return connection.txn_state("main") != apsw.SQLITE_TXN_NONE


class Connections:
    """
    Opens connections to the database file at *path*, and notices when another took its place.

    `generation` moves with that. *present* is called where the file is not the one that was used
    before; it raises where the directory of the state is not the one it was. *may_make* is called
    before a file is made, and raises where none must be.
    """

    def __init__(
        self,
        path: Path,
        present: Callable[[], object],
        may_make: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._may_make = may_make
        self.generation = 0
        self.inode = 0
        self._present = present
        self._folder = path.parent
        self._disk: int | None = None
        self._made: dict[int, weakref.ref[apsw.Connection]] = {}

    def reader(self) -> Opened:
        """Return a new connection that only reads."""
        refused = None
        if has_index_room(self.path):
            try:
                return self._read_only(self._connect())
            except apsw.Error as error:
                if not is_without_index(error):
                    raise
                refused = error
        inode = inode_of(self.path)
        spare = connection_without_index(self.path)
        if spare is None:
            if refused is not None:
                raise refused
            return self._read_only(self._connect())  # others have the index already
        return self._read_only(self._register(*spare, inode))

    def writer(self, part: PartFormat) -> Opened:
        """Return a new connection that writes *part*; makes the file, private, if there is none."""
        if not inode_of(self.path):
            self._may_make()
        # SQLite would make it with the umask, readable for a moment by whoever may enter the
        # directory.
        create_private_file(self.path)
        require_index_room(self.path)
        return self._prepare(self._connect(), part)

    def find_inode(self) -> int:
        """Return the inode of the file, 0 if there is none; see *present*."""
        inode = inode_of(self.path)
        # Only then: this is on the way of every read, and a file that is still there lies in a
        # directory that is.
        if inode != self.inode or not inode:
            self._present()  # the whole directory may be another one
            if not inode:
                require_disk(self._folder, self._disk)
        return inode

    def notice(self, inode: int) -> None:
        """Note that the file is the one with *inode* from now on."""
        if inode != self.inode:
            self.generation += 1
            self.inode = inode
            self._disk = disk_of(self._folder)

    def close_all(self) -> None:
        """Close all that were made, those too that an interrupt lost."""
        for each in self._made.copy().values():
            if (connection := each()) is not None:
                connection.close()
        self._made.clear()

    def _read_only(self, opened: Opened) -> Opened:
        try:
            # It opens the log, so that whoever asked learns here whether that can be read.
            opened.connection.pragma("schema_version")
            opened.connection.pragma("query_only", 1)
        except BaseException:
            opened.connection.close()
            raise
        return opened

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

    def _connect(self) -> Opened:
        # Without CREATE: the file is made by `create_private_file`. Read-write for readers as well:
        # after a crash whoever comes first plays a rollback journal back, and the last to leave
        # writes the log into the database. `query_only` keeps readers from all else.
        # Asked for first: where a backup is put in its place just now, the connection then seems to
        # be of another file and is not used again. The other way round it would seem to be of that.
        inode = inode_of(self.path)
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
            if inode != self.inode:
                # The directory may have been made with the file just now: from here on it is known,
                # and one that takes its place is told from it.
                self._present()
        except BaseException:
            connection.close()
            raise
        self.notice(inode)
        return Opened(connection, inode, require_unchanged)


def inode_of(path: Path) -> int:
    """Return the inode of the database file *path*, 0 if there is none; raises what refuses it."""
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
