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
from dataclasses import replace
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.lock_owner import Owner, payload_of, this_owner
from clawstate.files.refusals import translated

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_NAMELESS = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0)
_MODE = 0o600
_FRESH = 1.0  # seconds: an older draft is dated anew
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
            return identity_of(os.lstat(self.path)) == self.identity
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
            return self.unlink()
        finally:
            self.forget()

    def unlink(self) -> bool:
        """Do as `remove`, but leave its last work, which nobody waits for, to `forget`."""
        try:
            with translated(self.path, "cannot be removed"):
                ours = self._is_there()
                if ours:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self.path)  # noqa: PTH108 - others wait for it
        except UnavailableError:
            self._disown()
            raise
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
            return identity_of(os.lstat(self.path)) == self.identity
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


class Draft:
    """
    A lock file that is written already and has no name yet, where the file system can do that.

    Others may wait for us from `publish` on, so all that can be done before is. Where a second
    name is needed, it is *scratch* with `.new`, which nobody else may use at the same time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = this_owner(time.time())
        self._descriptor = -1
        _drafts.add(self)
        try:
            with translated(path, "cannot be made"):
                self._write()
        except BaseException:
            self.discard()
            raise

    def publish(self, *, scratch: Path | None = None) -> Sidecar | None:
        """
        Give it its name, or return `None` if there is a lock file; then it may be tried again.

        Raises `UnavailableError` when the system refuses.
        """
        with translated(self._path, "cannot be made"):
            if self._descriptor >= 0:
                try:
                    return self._linked()
                except FileExistsError:
                    return None
                except OSError as error:
                    if error.errno not in _NO_NAMELESS | _NO_LINKS:
                        raise
            owner = replace(self._owner, created_at=time.time())
            return _created_by_link(self._path, owner, beside(self._path, scratch, "new"))

    def discard(self) -> None:
        """Let go of it, unless it was published."""
        _drafts.discard(self)
        descriptor, self._descriptor = self._descriptor, -1
        _close(descriptor)

    def _write(self) -> None:
        try:
            self._descriptor = _nameless(self._path.parent)
            _written(self._descriptor, self._owner)
        except OSError as error:
            if error.errno not in _NO_NAMELESS | _NO_LINKS:
                raise
            descriptor, self._descriptor = self._descriptor, -1
            _close(descriptor)

    def _linked(self) -> Sidecar:
        now = time.time()
        if abs(now - (self._owner.created_at or 0.0)) > _FRESH:
            self._owner = replace(self._owner, created_at=now)
            _written(self._descriptor, self._owner)
        made = Sidecar(self._path, self._descriptor, self._owner)  # nothing may fail after the link
        # A directory is named only to have links followed: the path is absolute.
        source = f"/proc/self/fd/{self._descriptor}"
        os.link(source, self._path, src_dir_fd=self._descriptor, follow_symlinks=True)
        self._descriptor = -1
        _drafts.discard(self)
        return made


_drafts: set[Draft] = set()


def _forget_drafts() -> None:
    for draft in list(_drafts):
        draft.discard()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_drafts)


def create_sidecar(path: Path, *, scratch: Path | None = None) -> Sidecar | None:
    """
    Make the lock file *path* with its content in one step, or return `None` if there is one.

    See `Draft`. Raises `UnavailableError` when the system refuses.
    """
    draft = Draft(path)
    try:
        return draft.publish(scratch=scratch)
    finally:
        draft.discard()


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
    if os.pwrite(descriptor, payload, 0) != len(payload):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):  # what counts is the file, and that is there or not
            os.close(descriptor)
