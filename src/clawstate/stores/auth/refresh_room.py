"""
Room on the disk that nobody else can take, for what must be written whatever happens meanwhile.

Blocks are reserved as the file system does it itself; where it cannot, real bytes are written.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Final

from clawstate.interrupts import load_modules

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: an empty file stays an empty file
_CANNOT: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})
_FILLING = b" " * 4096  # blanks are no JSON, and no hole in the file


def reserve(descriptor: int, size: int) -> None:
    """
    Reserve *size* bytes for the empty file of *descriptor*, durably; raises `OSError`.

    Its content stays empty, or is blanks: the C library's own way to allocate where the kernel has
    none writes one byte a block, which is not enough where blocks are compressed or copied.
    """
    if not _allocated(descriptor, size):
        _filled(descriptor, size)
    os.fsync(descriptor)


def _allocated(descriptor: int, size: int) -> bool:
    load_modules("ctypes")
    import ctypes  # noqa: PLC0415 - needed for this alone

    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    call: Any = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if call is None:
        return False
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while call(descriptor, _KEEP_SIZE, 0, size):
        problem = ctypes.get_errno()
        if problem in _CANNOT:
            return False
        if problem != errno.EINTR:
            raise OSError(problem, os.strerror(problem))
    return True


def _filled(descriptor: int, size: int) -> None:
    written = 0
    while written < size:
        written += os.pwrite(descriptor, _FILLING[: size - written], written)
