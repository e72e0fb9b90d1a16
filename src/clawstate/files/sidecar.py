"""
The lock file `<file>.lock` as OpenClaw knows it: made whole, judged, taken over, removed.

It appears with its content, so that nobody finds it empty, and it is never removed on sight but
by its inode: what another program put in its place meanwhile stays (decision 1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.lock_owner import Owner, is_dead, parse_payload, payload_of, this_owner

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_NAMELESS = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0)
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_PAYLOAD = 4096
_MODE = 0o600
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}


@dataclass(frozen=True, slots=True)
class Found:
    """A lock file of somebody, as it was read; times in seconds since the epoch."""

    identity: tuple[int, int]
    modified: float
    owner: Owner | None

    @property
    def refreshed(self) -> float:
        """When its owner last gave a sign of life."""
        created = self.owner.created_at if self.owner else None
        return self.modified if created is None else max(self.modified, created)


class Sidecar:
    """A lock file that is ours until `remove`."""

    def __init__(self, path: Path, descriptor: int, owner: Owner) -> None:
        self.path = path
        self.identity = _identity(os.fstat(descriptor))
        self._descriptor = descriptor
        self._owner = owner
        self._mutex = threading.Lock()

    def is_ours(self) -> bool:
        """Tell, by one `stat`, whether the lock still lies under its name."""
        try:
            return _identity(self.path.lstat()) == self.identity
        except OSError:
            return False

    def refresh(self) -> None:
        """Give a sign of life; harmless after `remove`."""
        with self._mutex:
            if self._descriptor >= 0:
                alive = payload_of(replace(self._owner, created_at=time.time()))
                with contextlib.suppress(OSError):  # no space is no reason to lose the lock
                    os.pwrite(self._descriptor, alive, 0)

    def remove(self) -> bool:
        """Remove it and return True, or leave what is there when it is no longer ours."""
        ours = self.is_ours()
        if ours:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
        self.forget()
        return ours

    def forget(self) -> None:
        """Let go of it without removing it."""
        with self._mutex:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


def create_sidecar(path: Path) -> Sidecar | None:
    """
    Make the lock file *path* with its content in one step, or return `None` if there is one.

    Raises `UnavailableError` when the system refuses.
    """
    owner = this_owner(time.time())
    descriptor = -1
    with _translated(path):
        try:
            with _opened(path.parent) as folder:
                descriptor = _nameless(path.parent)
                _written(descriptor, owner)
                os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder, dst_dir_fd=folder)
            return Sidecar(path, descriptor, owner)
        except FileExistsError:
            _close(descriptor)
            return None
        except OSError as error:
            _close(descriptor)
            if error.errno not in _NO_NAMELESS | _NO_LINKS:
                raise
        return _created_by_link(path, owner)


def read_sidecar(path: Path) -> Found | None:
    """
    Return the lock file *path* of somebody, or `None` if there is none.

    Raises `InvalidError` for anything but a regular file, which is not followed or removed.
    """
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise InvalidError(str(path), "is a link or a socket", "remove it") from error
        problem = f"cannot be read ({error.strerror})"
        raise UnavailableError(str(path), problem, "check its owner and mode") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidError(str(path), "is no regular file", "remove it")
        raw = os.read(descriptor, _MAX_PAYLOAD)
    except OSError as error:
        raise UnavailableError(str(path), f"cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)
    return Found(_identity(status), status.st_mtime, parse_payload(raw))


def take_over(path: Path, found: Found) -> bool:
    """
    Remove the lock file *path* if it still is the one that was *found*; tell whether it was.

    By renaming it first: of several that try one succeeds.
    """
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.stale")
    with _translated(path):
        try:
            if _identity(path.lstat()) != found.identity:
                return False
            path.rename(aside)
        except FileNotFoundError:
            return False
        theirs = _identity(aside.lstat()) != found.identity
        if theirs:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)  # taken from somebody who was faster: give it back
        aside.unlink(missing_ok=True)
        return not theirs


class Verdict(Enum):
    """What can be said of the owner of a lock file."""

    ALIVE = "runs"
    DEAD = "is proven to be gone"
    SILENT = "gave no sign of life for too long, and cannot be examined"
    HEARD = "gave a sign of life, and cannot be examined"


def judge(found: Found, *, stale: float, now: float, booted: float) -> Verdict:
    """
    Judge the owner of a lock.

    *stale* in seconds; *now* and *booted* (when the machine started) on the clock that gives files
    their times. A payload that cannot be read, from before the machine started, is what a power
    cut leaves of one.
    """
    dead = is_dead(found.owner) if found.owner else None
    if dead is not None:
        return Verdict.DEAD if dead else Verdict.ALIVE
    if found.owner is None and found.modified < booted:
        return Verdict.DEAD
    return Verdict.SILENT if now - found.refreshed > stale else Verdict.HEARD


def _nameless(folder: Path) -> int:
    if not getattr(os, "O_TMPFILE", 0):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.open(folder, _NAMELESS, _MODE)


def _created_by_link(path: Path, owner: Owner) -> Sidecar | None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, _CREATE, _MODE)
    try:
        _written(descriptor, owner)
        try:
            os.link(temporary, path)
        except FileExistsError:
            _close(descriptor)
            return None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _close(descriptor)
            return _created_in_place(path, owner)
        return Sidecar(path, descriptor, owner)
    finally:
        temporary.unlink()


def _created_in_place(path: Path, owner: Owner) -> Sidecar | None:
    # Without links, as on FAT, it is empty for an instant, as OpenClaw's own always is.
    try:
        descriptor = os.open(path, _CREATE, _MODE)
    except FileExistsError:
        return None
    try:
        _written(descriptor, owner)
    except BaseException:
        path.unlink()
        _close(descriptor)
        raise
    return Sidecar(path, descriptor, owner)


def _written(descriptor: int, owner: Owner) -> None:
    payload = payload_of(owner)
    if os.write(descriptor, payload) != len(payload):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"cannot be made ({error.strerror})"
        hint = "check the permissions of its directory and the free space"
        raise UnavailableError(str(path), problem, hint) from error
