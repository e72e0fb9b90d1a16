"""Write a database anew, so that neither its file nor its log holds what was deleted from it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import apsw

from clawstate.interrupts import load_modules
from clawstate.sqlite.connections import BUSY_MS
from clawstate.sqlite.part import Part

T = TypeVar("T")

_LOOK = 10_000  # steps of SQLite between two looks whether to stop: some milliseconds
_SHORT = 0.05  # seconds that one try to empty the log may keep writers waiting
_PAUSE = 0.02
_AGAIN = 0.2
_SMALL = 32 << 20  # bytes of a file that is copied in 0.1 s
_LARGEST = 1 << 46  # bytes; without being told, SQLite keeps at most 1 GiB in memory
_SIZE_LIMIT = 36  # SQLITE_FCNTL_SIZE_LIMIT, which apsw does not name


def rewrite(part: Part, *, patience: float, cancelled: Callable[[], bool] = lambda: False) -> bool:
    """
    Write the file of *part* anew, without its free space; tell whether that was done.

    Readers go on meanwhile, and so do writers while a copy is made in memory; they wait for as long
    as it takes to write that into the log, 0.2 s of processor time for 100 MB. Where somebody wrote
    while it was made, it is made again until *patience* (seconds) is over. Raises what
    `Part.writing` raises.
    """
    # Overwriting what is deleted, which SQLite offers (`secure_delete`), misses copies that
    # splitting a page leaves behind: of 24,000 values 10 were still there (decision 41).
    end = time.monotonic() + patience
    while not _try_to_rewrite(part, cancelled):
        if cancelled() or time.monotonic() >= end:
            return False
        time.sleep(_AGAIN)
    _write_back(part)
    return True


def _try_to_rewrite(part: Part, cancelled: Callable[[], bool]) -> bool:
    # A fork waits until this block is over: the connections made here are known to nobody else.
    with part.reading():
        copy = _Copy(part)
        try:
            if part.path.stat().st_size > _SMALL:
                if not copy.make(cancelled):
                    return False
                with part.writing() as connection:
                    return outside_of_a_transaction(connection, copy.put_back)
            # Where it is quick, nobody writes in between, so it is never made in vain.
            with part.writing() as connection:
                return outside_of_a_transaction(
                    connection, lambda: copy.make(cancelled) and copy.put_back()
                )
        finally:
            copy.close()


class _Copy:
    """A copy of a database without its free space, in memory: a file would hold texts elsewhere."""

    def __init__(self, part: Part) -> None:
        load_modules("ctypes")
        import ctypes  # noqa: PLC0415 - needed for this alone

        self._name = f"file:/{os.urandom(16).hex()}?vfs=memdb"
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
        self._target = apsw.Connection(self._name, flags=flags | apsw.SQLITE_OPEN_CREATE)
        limit = ctypes.c_int64(_LARGEST)
        self._target.file_control("main", _SIZE_LIMIT, ctypes.addressof(limit))
        # Others than those of the blocks: only who was opened like this may name the copy, and what
        # is set here must not be left on a connection that is used again.
        self._source = apsw.Connection(os.fspath(part.path), flags=flags)
        self._source.set_busy_timeout(BUSY_MS)
        self._source.pragma("temp_store", 2)
        self._written = apsw.Connection(os.fspath(part.path), flags=flags)
        if self._written.pragma("journal_mode") == "wal":
            # Whoever commits next syncs the log, this with it: until then the file is as it was
            # before, with all that was committed.
            self._written.pragma("synchronous", 1)
            self._written.pragma("wal_autocheckpoint", 0)  # see `_write_back`
        self._version = 0

    def make(self, cancelled: Callable[[], bool]) -> bool:
        """Copy what there is now; tell whether that was done."""
        self._version = self._source.pragma("data_version")
        self._source.set_progress_handler(cancelled, _LOOK)
        try:
            self._source.execute("VACUUM INTO ?", (self._name,))
        except apsw.InterruptError:
            return False
        finally:
            self._source.set_progress_handler(None)
        return True

    def put_back(self) -> bool:
        """Put the copy in the place of what is there, unless that is another by now."""
        try:
            with self._written.backup("main", self._target, "main") as backup:
                # From here on nobody writes, also no program that does not know our lock.
                backup.step(0)
                if self._source.pragma("data_version") != self._version:
                    return False
                backup.step(-1)
        except apsw.BusyError:
            return False
        return True

    def close(self) -> None:
        """Give the memory back."""
        self._source.close()
        self._written.close()
        self._target.close()


def outside_of_a_transaction(connection: apsw.Connection, do: Callable[[], T]) -> T:
    """Return what *do* returns in a block of *connection* that goes on holding what it holds."""
    connection.execute("COMMIT")
    try:
        return do()
    finally:
        connection.execute("BEGIN")  # which takes no lock: the block ends with a commit


def _write_back(part: Part) -> None:
    """Write as much of the log into the file as nobody reads, while others may write."""
    with part.reading() as connection:
        checkpoint = partial(connection.execute, "PRAGMA wal_checkpoint(PASSIVE)")
        outside_of_a_transaction(connection, checkpoint)


def empty_log(part: Part, *, patience: float) -> bool:
    """
    Write the log of *part* into its file and leave it empty; tell whether that was done.

    It cannot be while somebody reads an older state: tried again until *patience* (seconds) is
    over, and writers wait 50 ms at most for each try.
    """
    end = time.monotonic() + patience
    while True:
        with part.writing() as connection:
            refused = outside_of_a_transaction(connection, partial(_truncate_log, connection))
        if not refused:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_PAUSE)


def _truncate_log(connection: apsw.Connection) -> bool:
    """Empty the log; tell whether that was refused."""
    try:
        connection.set_busy_timeout(int(1000 * _SHORT))
        refused, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
    except apsw.BusyError:
        return True
    finally:
        connection.set_busy_timeout(BUSY_MS)
    return bool(refused)
