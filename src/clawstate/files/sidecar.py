"""
The lock file `<file>.lock` as OpenClaw knows it, while it is ours: made whole, kept, removed.

It appears with its content, so that nobody finds it empty, and it is never removed on sight but
by its inode: what another program put in its place meanwhile stays (decision 1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.lock_owner import Owner, payload_of, this_owner
from clawstate.files.refusals import translated

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_NAMELESS = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MODE = 0o600
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}


class Sidecar:
    """A lock file that is ours until `remove`."""

    def __init__(self, path: Path, descriptor: int, owner: Owner) -> None:
        self.path = path
        self.identity = identity_of(os.fstat(descriptor))
        self._descriptor = descriptor
        self._owner = owner
        self._mutex = threading.Lock()

    def is_ours(self) -> bool:
        """Tell, by one `stat`, whether the lock still lies under its name."""
        try:
            return identity_of(self.path.lstat()) == self.identity
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
        """
        Remove it and return True, or leave what is there when it is no longer ours.

        Raises `UnavailableError` when the system refuses; then it is marked as one without owner.
        """
        try:
            with translated(self.path, "cannot be removed"):
                ours = self._is_there()
                if ours:
                    with contextlib.suppress(FileNotFoundError):
                        self.path.unlink()
        except UnavailableError:
            self._disown()
            raise
        finally:
            self.forget()
        return ours

    def forget(self) -> None:
        """Let go of it without removing it."""
        with self._mutex:
            self._close()

    def inherited(self) -> None:
        """Let go of it in a forked child, where it never was ours."""
        self._mutex = threading.Lock()  # a thread that is missing here may have held it
        self.forget()

    def _is_there(self) -> bool:
        try:
            return identity_of(self.path.lstat()) == self.identity
        except FileNotFoundError:
            return False

    def _disown(self) -> None:
        # Empty, and older than the machine runs: so whoever can remove it need not wait.
        with self._mutex:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                os.utime(self._descriptor, (0, 0))
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            _close(self._descriptor)
            self._descriptor = -1


def create_sidecar(path: Path, *, scratch: Path | None = None) -> Sidecar | None:
    """
    Make the lock file *path* with its content in one step, or return `None` if there is one.

    Where that takes a second name, it is *scratch* with `.new`, which nobody else may use at the
    same time. Raises `UnavailableError` when the system refuses.
    """
    owner = this_owner(time.time())
    descriptor = -1
    with translated(path, "cannot be made"):
        try:
            with _opened(path.parent) as folder:
                descriptor = _nameless(path.parent)
                _written(descriptor, owner)
                made = Sidecar(path, descriptor, owner)  # nothing may fail once it has its name
                os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder, dst_dir_fd=folder)
                return made
        except FileExistsError:
            _close(descriptor)
            return None
        except OSError as error:
            _close(descriptor)
            if error.errno not in _NO_NAMELESS | _NO_LINKS:
                raise
        return _created_by_link(path, owner, beside(path, scratch, "new"))


def _nameless(folder: Path) -> int:
    if not getattr(os, "O_TMPFILE", 0):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return os.open(folder, _NAMELESS, _MODE)


def identity_of(status: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from any other, whatever its name."""
    return status.st_dev, status.st_ino


def beside(path: Path, scratch: Path | None, kind: str) -> Path:
    """Return the second name of *kind* for the lock file *path*; see `create_sidecar`."""
    if scratch is not None:
        return scratch.with_name(f"{scratch.name}.{kind}")
    return path.with_name(f".{secrets.token_hex(8)}.lock.{kind}")  # short: the name may be long


def _created_by_link(path: Path, owner: Owner, temporary: Path) -> Sidecar | None:
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()  # of somebody who was killed right here
    descriptor = os.open(temporary, _CREATE, _MODE)
    try:
        _written(descriptor, owner)
        made = Sidecar(path, descriptor, owner)
        os.link(temporary, path)
    except FileExistsError:
        _close(descriptor)
        return None
    except BaseException as error:
        _close(descriptor)
        if not isinstance(error, OSError) or error.errno not in _NO_LINKS:
            raise
    else:
        return made
    finally:
        temporary.unlink()
    return _created_in_place(path, owner)


def _created_in_place(path: Path, owner: Owner) -> Sidecar | None:
    # Without links, as on FAT, it is empty for an instant, as OpenClaw's own always is.
    try:
        descriptor = os.open(path, _CREATE, _MODE)
    except FileExistsError:
        return None
    try:
        _written(descriptor, owner)
        return Sidecar(path, descriptor, owner)
    except BaseException:
        path.unlink()
        _close(descriptor)
        raise


def _written(descriptor: int, owner: Owner) -> None:
    payload = payload_of(owner)
    if os.write(descriptor, payload) != len(payload):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):  # what counts is the file, and that is there or not
            os.close(descriptor)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _DIRECTORY)
    try:
        yield descriptor
    finally:
        _close(descriptor)
