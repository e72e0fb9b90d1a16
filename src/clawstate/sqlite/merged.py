"""A database file with nothing left in its log."""

from __future__ import annotations

from pathlib import Path

import apsw

from clawstate.errors import LockTimeoutError

_PATIENCE = 5_000  # milliseconds for those who read


def merge_log(path: Path) -> None:
    """Bring all of the log of the database *path* into its file; raises `LockTimeoutError`."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(_PATIENCE)
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError as error:
        raise LockTimeoutError(str(path), _PATIENCE / 1000) from error
    finally:
        connection.close()
