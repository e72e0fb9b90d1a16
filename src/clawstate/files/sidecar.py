"""
The lock file `<file>.lock` as OpenClaw knows it, while it is ours: made whole, kept, removed.

It appears with its content, so that nobody finds it empty, and it is never removed on sight but
by its inode: what another program put in its place meanwhile stays (decision 9).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.descriptors import Descriptor
from clawstate.files.lock_owner import Owner, payload_of, this_owner
from clawstate.files.os_errors import os_errors
from clawstate.files.ownership import give_to_owner
from clawstate.interrupts import Mutex

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
_NAMELESS = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0)
_MODE = 0o600
_FRESH = 1.0  # seconds: an older draft is dated anew
# open(2) and link(2): EOPNOTSUPP from a file system without nameless files, EISDIR from an old
# kernel, ENOENT where no /proc is mounted to link one by.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}
# EPERM is how link(2) says that a file system has no hard links.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}


class Sidecar:
    """A lock file that is ours until `remove`."""

    def __init__(self, path: Path, descriptor: Descriptor, owner: Owner) -> None:
        self.path = path
        self._name = os.fspath(path)
        self.identity = owner.file
        self._descriptor = descriptor
        self._owner = owner
        self._mutex = Mutex()

    @property
    def created_at(self) -> float:
        """When it says that it was made."""
        return self._owner.created_at or 0.0

    def is_ours(self) -> bool:
        """Tell, by one `stat`, whether the lock still lies under its name."""
        try:
            return identity_of(os.lstat(self._name)) == self.identity
        except OSError:
            return False

    def refresh(self) -> None:
        """Give a sign of life; harmless after `remove`."""
        with self._mutex:
            if self._descriptor.number >= 0:
                alive = payload_of(replace(self._owner, created_at=time.time()))
                # Written over in place: the text always has the same length, so that no reader
                # finds a mixture with the end of an older one.
                with contextlib.suppress(OSError):  # no space is no reason to lose the lock
                    os.pwrite(self._descriptor.number, alive, 0)

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
            with os_errors(self.path, "cannot be removed"):
                ours = self.is_there()
                if ours:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self._name)  # noqa: PTH108 - others wait for it
        except UnavailableError:
            self._disown()
            raise
        return ours

    def forget(self) -> None:
        """Let go of it without removing it."""
        with self._mutex:
            self._descriptor.close()

    def is_there(self) -> bool:
        """Tell whether it lies under its name; raises `OSError` where that cannot be known."""
        try:
            return identity_of(os.lstat(self._name)) == self.identity
        except FileNotFoundError:
            return False

    def _disown(self) -> None:
        # It cannot be removed by us, but maybe by others. Empty, and dated before the machine was
        # started, it is one without an owner for them, and taken over without waiting (`judge`).
        with self._mutex:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor.number, 0)
                os.utime(self._descriptor.number, (0, 0))
            self._descriptor.close()


class UnpublishedLock:
    """
    A lock file that is written already and has no name yet, where the file system can do that.

    Others may wait for us from `publish` on, so all that can be done before is, by `write`. Where a
    second name is needed, it is *scratch* with `.new`, which nobody else may use at the same time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = os.path.dirname(path)  # noqa: PTH120 - on the way of every lock
        self._made: Sidecar | None = None
        self._descriptor = Descriptor()
        self._second_name: Path | None = None

    def write(self) -> None:
        """Write it; raises `UnavailableError` when the system refuses."""
        with os_errors(self._path, "cannot be made"):
            try:
                _open_nameless(self._descriptor, self._folder)
                self._made = self._write()
            except OSError as error:
                if error.errno not in _NO_NAMELESS | _NO_LINKS:
                    raise
                self._descriptor.close()

    def publish(self, *, scratch: Path | None = None) -> Sidecar | None:
        """
        Give it its name, or return `None` if there is a lock file; then it may be tried again.

        Raises `UnavailableError` when the system refuses.
        """
        with os_errors(self._path, "cannot be made"):
            if self._made is not None:
                try:
                    return self._link(self._made)
                except FileExistsError:
                    return None
                except OSError as error:
                    if error.errno not in _NO_NAMELESS | _NO_LINKS:
                        raise
                    self._descriptor.close()
                    self._made = None
            return self._create_by_link(beside(self._path, scratch, "new"))

    def discard(self) -> None:
        """Let go of it, and take its name from it if it has it already."""
        if self._second_name is not None:
            with contextlib.suppress(OSError):
                self._second_name.unlink()
        if self._descriptor.number >= 0:
            # The name may have been given though nobody came to know of it.
            with contextlib.suppress(OSError):
                ours = identity_of(os.fstat(self._descriptor.number))
                if identity_of(os.lstat(self._path)) == ours:
                    self._path.unlink()
        self._descriptor.close()

    def _write(self) -> Sidecar:
        """Write it, and return what it is once it has its name."""
        number = self._descriptor.number
        found = os.fstat(number)
        give_to_owner(number, self._folder, found=found)
        # A copy of the file, as in a backup, shall not pass for it.
        owner = this_owner(time.time(), identity_of(found))
        payload = payload_of(owner)
        # Half a payload would be taken for a lock without an owner.
        if os.pwrite(number, payload, 0) != len(payload):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Sidecar(self._path, self._descriptor, owner)

    def _link(self, made: Sidecar) -> Sidecar:
        if abs(time.time() - made.created_at) > _FRESH:
            made = self._made = self._write()
        # linkat(2) gives a nameless file a name by way of /proc, if it is told to follow that link.
        # Python tells it only where a directory is given as well, which an absolute path ignores.
        number = self._descriptor.number
        os.link(f"/proc/self/fd/{number}", self._path, src_dir_fd=number, follow_symlinks=True)
        return made  # nothing may fail after the link

    def _create_by_link(self, temporary: Path) -> Sidecar | None:
        self._second_name = temporary
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # of somebody who was killed right here
        try:
            self._descriptor.open(temporary, _CREATE, _MODE)
            made = self._write()
            os.link(temporary, self._path)
        except FileExistsError:
            self._descriptor.close()
            return None
        except OSError as error:
            self._descriptor.close()
            if error.errno not in _NO_LINKS:
                raise
        else:
            return made
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            self._second_name = None  # from now on others may have one of that name
        return self._create_in_place()

    def _create_in_place(self) -> Sidecar | None:
        # Without links, as on FAT, it is empty for an instant, as OpenClaw's own always is.
        try:
            self._descriptor.open(self._path, _CREATE, _MODE)
        except FileExistsError:
            return None
        try:
            return self._write()
        except BaseException:
            self.discard()
            raise


def _open_nameless(descriptor: Descriptor, folder: str) -> None:
    if not getattr(os, "O_TMPFILE", 0):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    descriptor.open(folder, _NAMELESS, _MODE)


def identity_of(status: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from any other, whatever its name."""
    return status.st_dev, status.st_ino


def beside(path: Path, scratch: Path | None, kind: str) -> Path:
    """Return the second name of *kind* for the lock file *path*."""
    if scratch is not None:
        return scratch.with_name(f"{scratch.name}.{kind}")
    return path.with_name(f".{secrets.token_hex(8)}.lock.{kind}")  # short: the name may be long
