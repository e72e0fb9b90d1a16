"""Write a database anew, so that neither its file nor its log holds what was deleted from it."""

from __future__ import annotations

import time
from collections.abc import Callable

import apsw

from clawstate.sqlite.part import BUSY_MS, Part

_LOOK = 10_000  # steps of SQLite between two looks whether to stop: some milliseconds
_SHORT = 0.05  # seconds that one try to empty the log may keep writers waiting
_PAUSE = 0.02
_GIVE_WAY = 0.25  # seconds that another writer waits before we stop
_AGAIN = 0.2


def rewrite(part: Part, *, patience: float, cancelled: Callable[[], bool] = lambda: False) -> bool:
    """
    Write the file of *part* anew, without its free space; tell whether that was done.

    Readers go on meanwhile. Writers wait, so it stops when one has waited for 0.25 s, and begins
    again until *patience* (seconds) is over. Raises what `Part.writing` raises.
    """
    # Overwriting what is deleted, which SQLite offers (`secure_delete`), misses copies that
    # splitting a page leaves behind: of 24,000 values 10 were still there (decision 41).
    end = time.monotonic() + patience
    while not _try_to_rewrite(part, cancelled):
        if cancelled() or time.monotonic() >= end:
            return False
        time.sleep(_AGAIN)
    return True


def _try_to_rewrite(part: Part, cancelled: Callable[[], bool]) -> bool:
    awaited_since: float | None = None

    def stop() -> bool:
        nonlocal awaited_since
        if cancelled():
            return True
        now = time.monotonic()
        if not part.is_awaited():
            awaited_since = None
        elif awaited_since is None:
            awaited_since = now
        return awaited_since is not None and now - awaited_since > _GIVE_WAY

    with part.writing() as connection:
        # SQLite does it outside of a transaction only; the writer lock is still ours.
        connection.execute("COMMIT")
        connection.set_progress_handler(stop, _LOOK)
        try:
            connection.execute("VACUUM")
        except apsw.InterruptError:
            return False  # and the file is as it was
        finally:
            connection.set_progress_handler(None)
            connection.execute("BEGIN")  # which takes no lock: the block ends with a commit
    return True


def empty_log(part: Part, *, patience: float) -> bool:
    """
    Write the log of *part* into its file and leave it empty; tell whether that was done.

    It cannot be while somebody reads an older state: tried again until *patience* (seconds) is
    over, and writers wait 50 ms at most for each try.
    """
    end = time.monotonic() + patience
    while True:
        with part.writing() as connection:
            connection.execute("COMMIT")
            try:
                connection.set_busy_timeout(int(1000 * _SHORT))
                refused, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
            except apsw.BusyError:
                refused = 1
            finally:
                connection.set_busy_timeout(BUSY_MS)
                connection.execute("BEGIN")
        if not refused:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_PAUSE)
