"""
The process of `fuse.faulty_mount`: a directory shown elsewhere, whose operations fail on demand.

`passthrough.py BACKING MOUNTPOINT`.
"""

# ruff: noqa: ARG002 - FUSE hands over more than is needed
from __future__ import annotations

import errno
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from faults.fuse_server import Obedient, serve

_P = ParamSpec("_P")
_R = TypeVar("_R")
_TIMES = ("st_atime", "st_mtime", "st_ctime")
_STAT = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
_NEVER_HERE = os.O_NOFOLLOW | os.O_DIRECT  # the kernel has obeyed them already


@dataclass(frozen=True)
class Fault:
    """What happens to the call number *ordinal* of *operation*, counted since the last heal."""

    operation: str
    error: str = ""
    ordinal: int = 1
    forever: bool = False
    late: bool = False
    length: int = -1

    def meets(self, operation: str, number: int) -> bool:
        """Tell whether it is for this call."""
        after = number >= self.ordinal if self.forever else number == self.ordinal
        return operation == self.operation and after

    def raise_error(self) -> None:
        """Raise its error, if it has one."""
        if self.error:
            raise OSError(getattr(errno, self.error), self.operation)


def _fallible(
    method: Callable[Concatenate[_Passthrough, _P], _R],
) -> Callable[Concatenate[_Passthrough, _P], _R]:
    """Let *method* meet the faults that are set for its name."""

    def call(self: _Passthrough, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        fault = self.met(method.__name__)
        if fault is None:
            return method(self, *args, **kwargs)
        if not fault.late:
            fault.raise_error()
        result = method(self, *args, **kwargs)
        fault.raise_error()
        return result

    update_wrapper(call, method)
    return call


class _Passthrough(Obedient):
    """Each operation is done on the backing directory, unless a fault meets it."""

    def __init__(self, backing: str) -> None:
        self._backing = backing
        self._faults: list[Fault] = []
        self._calls: Counter[str] = Counter()
        self._met = 0
        self._length = -1

    def answer(self, request: Mapping[str, Any]) -> object:
        """Obey the parent: add a fault, forget all of them, or tell what was called."""
        match request["verb"]:
            case "fail":
                self._faults.append(Fault(**request["fault"]))
            case "heal":
                self._faults.clear()
                self._calls.clear()
                self._met = 0
        return {"calls": dict(self._calls), "met": self._met}

    def met(self, operation: str) -> Fault | None:
        """Count a call of *operation* and return the fault that it meets."""
        self._calls[operation] += 1
        meeting = (each for each in self._faults if each.meets(operation, self._calls[operation]))
        fault = next(meeting, None)
        self._met += fault is not None
        self._length = fault.length if fault else -1
        return fault

    def _at(self, path: str) -> Path:
        return Path(self._backing + path)

    @_fallible
    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(self._at(path)) if fh is None else os.fstat(fh)
        times = {name: getattr(found, f"{name}_ns") for name in _TIMES}
        return {**{name: getattr(found, name) for name in _STAT}, **times}

    @_fallible
    def access(self, path: str, amode: int) -> int:
        if not os.access(self._at(path), amode):
            raise PermissionError(errno.EACCES, path)
        return 0

    @_fallible
    def create(self, path: str, mode: int, fi: int) -> int:
        return os.open(self._at(path), (fi | os.O_CREAT) & ~_NEVER_HERE, mode)

    @_fallible
    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags & ~(_NEVER_HERE | os.O_APPEND))

    @_fallible
    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    @_fallible
    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data[: self._length] if self._length >= 0 else data, offset)

    @_fallible
    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._at(path) if fh is None else fh, length)
        return 0

    @_fallible
    def flush(self, path: str, fh: int) -> int:
        return 0

    @_fallible
    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    @_fallible
    def fsync(self, path: str, datasync: int, fh: int) -> int:
        os.fsync(fh)
        return 0

    @_fallible
    def opendir(self, path: str) -> int:
        return os.open(self._at(path), os.O_RDONLY | os.O_DIRECTORY)

    @_fallible
    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with os.scandir(fh) as entries:
            inodes = {entry.name: entry.inode() for entry in entries}
        # A name without an inode number would be passed over.
        here = {".": os.fstat(fh).st_ino, "..": os.fstat(fh).st_ino}
        return [(name, {"st_ino": inode}, 0) for name, inode in {**here, **inodes}.items()]

    @_fallible
    def releasedir(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    @_fallible
    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        os.fsync(fh)
        return 0

    @_fallible
    def rename(self, old: str, new: str) -> int:
        self._at(old).rename(self._at(new))
        return 0

    @_fallible
    def unlink(self, path: str) -> int:
        self._at(path).unlink()
        return 0

    @_fallible
    def mkdir(self, path: str, mode: int) -> int:
        self._at(path).mkdir(mode)
        return 0

    @_fallible
    def rmdir(self, path: str) -> int:
        self._at(path).rmdir()
        return 0

    @_fallible
    def link(self, target: str, source: str) -> int:
        os.link(self._at(source), self._at(target), follow_symlinks=False)
        return 0

    @_fallible
    def symlink(self, target: str, source: str) -> int:
        self._at(target).symlink_to(source)
        return 0

    @_fallible
    def readlink(self, path: str) -> str:
        return str(self._at(path).readlink())

    @_fallible
    def chmod(self, path: str, mode: int) -> int:
        self._at(path).chmod(mode)
        return 0

    @_fallible
    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._at(path), uid, gid, follow_symlinks=False)
        return 0

    @_fallible
    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        found = times or (time.time_ns(), time.time_ns())
        os.utime(self._at(path), ns=found, follow_symlinks=False)
        return 0

    @_fallible
    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_")}


if __name__ == "__main__":
    shown = _Passthrough(sys.argv[1])
    serve(shown, sys.argv[2], shown.answer)
