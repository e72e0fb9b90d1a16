"""`os_errors`: an `OSError` of the system as the `UnavailableError` that says what to do."""

from __future__ import annotations

import errno
from pathlib import Path
from types import TracebackType

from clawstate.errors import StateError, UnavailableError

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space and repeat"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and repeat"),
    errno.EROFS: ("the file system is read-only", "remount it writable, or use another directory"),
    errno.EACCES: ("permission denied", "check owner and mode of the file and its directory"),
    errno.EPERM: ("not permitted", "check owner and attributes of the file and its directory"),
    errno.EFBIG: ("the file would be too large", "raise the limit that 'ulimit -f' shows"),
    errno.EMFILE: ("too many open files", "raise the limit that 'ulimit -n' shows"),
    errno.ENFILE: ("too many open files in the system", "close other programs and repeat"),
    errno.EIO: ("the disk reports an error", "check the disk before you repeat"),
    errno.EBUSY: (
        "it is mounted by itself, or in use by the system",
        "mount its whole directory, not the single file, as for a container",
    ),
    errno.ENOTDIR: ("a part of its path is not a directory", "move that file away"),
    errno.ENAMETOOLONG: ("its path is too long", "use a shorter directory"),
}


class os_errors:  # noqa: N801 - used as a function, in a `with` statement
    """Raise the `UnavailableError` that says what to do in place of an `OSError` of the block."""

    # A class and not a generator: an interrupt must find no half-run cleanup (decision 20).
    __slots__ = ("_outcome", "_path", "_remedy")

    def __init__(self, path: Path, outcome: str, remedy: str = "") -> None:
        self._path = path
        self._outcome = outcome
        self._remedy = remedy

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Some of our own are an `OSError` as well, such as a lock that was not free in time.
        if isinstance(error, OSError) and not isinstance(error, StateError):
            reason, hint = _REMEDIES.get(
                error.errno or 0, (error.strerror or "failed", "try again")
            )
            raise UnavailableError(
                str(self._path), f"{self._outcome}: {reason}", self._remedy or hint
            ) from error
