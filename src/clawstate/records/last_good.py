"""
The last good copy of a document, for the repair of a file that was damaged.

It holds what was acknowledged last, not the version before: what was deleted stays deleted.
"""

# Overwritten in place and not synced, which costs a hundredth of a durable write: it matters only
# when the document itself is damaged, and a digest at its end tells whether it is whole (decision
# 10). Numbered backups would also keep secrets that were deleted.

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from clawstate.errors import InvalidError, LimitError, NotFoundError
from clawstate.files.descriptors import Descriptor
from clawstate.files.ownership import give_to_owner, make_directory
from clawstate.files.regular import read_regular

_FOLDER = ".lastgood"
# Truncating it first, or renaming over it, would make ext4 write it out at once.
_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE = _FLAGS | os.O_NONBLOCK  # a pipe in its place must not block whoever holds the lock
_CREATE = _FLAGS | os.O_CREAT | os.O_EXCL
_OTHERS = 0o077
_DIGEST = 32  # bytes


def copy_path(path: Path) -> Path:
    """Return where the last good copy of *path* lies."""
    return path.parent / _FOLDER / path.name


def keep_copy(path: Path, data: bytes) -> None:
    """Keep *data* as the last good copy of *path*; for the holder of its lock. Never raises."""
    with contextlib.suppress(OSError), _open(copy_path(path)) as number:
        whole = data + _digest(data)
        os.pwrite(number, whole, 0)  # cut short, it has a wrong digest
        if os.fstat(number).st_size > len(whole):
            os.ftruncate(number, len(whole))


def read_copy(path: Path, *, limit: int) -> bytes | None:
    """
    Return the last good copy of *path*, or `None` if there is none that is whole.

    Raises `UnavailableError` when the system refuses: a copy that cannot be read just now is not
    one that is missing.
    """
    if copy_path(path).parent.is_symlink():
        return None
    with contextlib.suppress(NotFoundError, InvalidError, LimitError):
        whole = read_regular(copy_path(path), limit=limit + _DIGEST)
        data = whole[:-_DIGEST]
        return data if _digest(data) == whole[-_DIGEST:] else None
    return None


def copied_at(path: Path) -> int:
    """Return when the copy of *path* was last written, in nanoseconds; 0 if there is none."""
    with contextlib.suppress(OSError):
        return os.lstat(copy_path(path)).st_mtime_ns
    return 0


def _open(copy: Path) -> Descriptor:
    """Open *copy*, made if need be; raises `OSError` for what is not ours."""
    if copy.parent.is_symlink():
        raise NotADirectoryError(copy.parent)
    descriptor = Descriptor()
    try:
        number = descriptor.open(copy, _WRITE)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            make_directory(copy.parent)
        return _create(copy)
    found = os.fstat(number)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and not found.st_mode & _OTHERS:
        return descriptor
    descriptor.close()
    copy.unlink()  # whatever has the name, the secrets shall not go there
    return _create(copy)


def _create(copy: Path) -> Descriptor:
    descriptor = Descriptor()
    give_to_owner(descriptor.open(copy, _CREATE, 0o600), copy.parent)
    return descriptor


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
