"""What it means when the system refuses: the `OSError` as the error that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clawstate.errors import UnavailableError

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


@contextmanager
def translated(path: Path, outcome: str, remedy: str = "") -> Iterator[None]:
    """Turn an `OSError` of the block into the `UnavailableError` that says what to do."""
    try:
        yield
    except OSError as error:
        reason, hint = _REMEDIES.get(error.errno or 0, (error.strerror or "failed", "try again"))
        raise UnavailableError(str(path), f"{outcome}: {reason}", remedy or hint) from error
