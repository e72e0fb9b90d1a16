"""The least that a durable update of a file can be: bare system calls, in the order they need."""

from __future__ import annotations

import os
from typing import Protocol

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PAYLOAD = b'{\n  "pid": 12345,\n  "createdAt": "2026-02-27T09:30:00.000Z"\n}'


class Work(Protocol):
    def __call__(self, old: bytes, /) -> bytes: ...


def update(path: str, work: Work) -> None:
    """Lock *path* with a file made by O_EXCL, replace it by what *work* makes of it, unlock."""
    lock = f"{path}.lock"
    descriptor = os.open(lock, _NEW, 0o600)
    os.write(descriptor, _PAYLOAD)
    replace(path, work(read(path)))
    os.close(descriptor)
    os.unlink(lock)  # noqa: PTH108 - bare


def locked(path: str) -> None:
    """Only make and remove the lock file of *path*."""
    lock = f"{path}.lock"
    descriptor = os.open(lock, _NEW, 0o600)
    os.write(descriptor, _PAYLOAD)
    os.close(descriptor)
    os.unlink(lock)  # noqa: PTH108


def read(path: str) -> bytes:
    """Return the content of *path*."""
    descriptor = os.open(path, _READ)
    content = os.read(descriptor, os.fstat(descriptor).st_size)
    os.close(descriptor)
    return content


def replace(path: str, data: bytes, *, durably: bool = True) -> None:
    """Replace *path* by a new file; *durably*: that is on disk, and so is its name."""
    temporary = f"{path}.0123456789abcdef.tmp"
    descriptor = os.open(temporary, _NEW, 0o600)
    os.write(descriptor, data)
    if durably:
        os.fsync(descriptor)
    os.close(descriptor)
    os.replace(temporary, path)  # noqa: PTH105
    if durably:
        folder = os.open(os.path.dirname(path), _DIRECTORY)  # noqa: PTH120
        os.fsync(folder)
        os.close(folder)
