"""
The lock file of somebody: read, judged, and taken over when its owner is gone.

It is removed by a rename of the very file that was judged: what another program put in its place
meanwhile stays (decision 9).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.descriptors import Descriptor
from clawstate.files.lock_owner import Owner, is_dead, is_here, parse_payload
from clawstate.files.mounts import mount_of
from clawstate.files.os_errors import os_errors
from clawstate.files.sidecar import beside, identity_of
from clawstate.interrupts import Use, hold, let_go

# open(2): O_NONBLOCK, since a FIFO in the place of the lock would let the open wait for a writer.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
# A payload has a few hundred bytes; what is longer is none.
_MAX_PAYLOAD = 4096


@dataclass(frozen=True, slots=True)
class ExistingLock:
    """A lock file of somebody, as it was read; times in seconds since the epoch."""

    identity: tuple[int, int]
    modified: float
    owner: Owner | None
    path: Path | None = None

    def is_copy(self) -> bool:
        """
        Tell whether it was copied from the lock file of somebody, with the rest of a state.

        Only a machine itself can tell for its own files: on a network file system each mount may
        number files anew.
        """
        owner = self.owner
        if owner is None or owner.file is None or owner.file == self.identity:
            return False
        if not is_here(owner):
            return False
        # One file system has one file for each inode number, so another number is another file. On
        # another device it is a copy as well, unless a network mount was only numbered anew.
        if owner.file[0] == self.identity[0] or self.path is None:
            return True
        return not mount_of(self.path).network

    def last_sign(self, latest: float) -> float:
        """Return when its owner last gave a sign of life; what is later than *latest* is none."""
        created = self.owner.created_at if self.owner else None
        signs = [self.modified, self.modified if created is None else created]
        return max((sign for sign in signs if sign <= latest), default=self.modified)


def read_sidecar(path: Path) -> ExistingLock | None:
    """
    Return the lock file *path* of somebody, or `None` if there is none.

    Raises `InvalidError` for anything but a regular file, which is not followed or removed.
    """
    descriptor = Descriptor()
    try:
        descriptor.open(path, _READ)
        status = os.fstat(descriptor.number)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidError(str(path), "is no regular file", "remove it")
        raw = os.read(descriptor.number, _MAX_PAYLOAD)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise InvalidError(str(path), "is a link or a socket", "remove it") from error
        problem = f"cannot be read ({error.strerror})"
        raise UnavailableError(str(path), problem, "check its owner and mode") from error
    finally:
        descriptor.close()
    return ExistingLock(identity_of(status), status.st_mtime, parse_payload(raw), path)


def take_over(path: Path, found: ExistingLock, *, scratch: Path | None = None) -> bool:
    """
    Remove the lock file *path* if it still is the one that was *found*; tell whether it was.

    By renaming it first, to *scratch* with `.old`: of several that try one succeeds. Raises
    `UnavailableError` when the system refuses.
    """
    removal = _Removal(path, found, beside(path, scratch, "old"), Use(0))
    # Where the file is gone the race is lost, and the caller looks again.
    with os_errors(path, "cannot be taken over"), contextlib.suppress(FileNotFoundError):
        hold(removal)
        try:
            return removal.done()
        finally:
            let_go(removal)
    return False


class _Removal:
    """The removal of a lock file that was found; a `Holding`."""

    def __init__(self, path: Path, found: ExistingLock, aside: Path, use: Use) -> None:
        self.thread = use.thread
        self._path = path
        self._found = found
        self._aside = aside
        self._use = use
        self._descriptor = Descriptor()
        self._moves = False

    def is_over(self) -> bool:
        """Tell whether it was cut off."""
        return self._use.is_over()

    def done(self) -> bool:
        """Remove the file if it still is the one that was found; tell whether it was."""
        number = self._descriptor.open(self._path, _READ)
        if not _try_lock(number) or not self._is_found(number):
            return False
        self._aside.unlink(missing_ok=True)  # of somebody who was killed right here
        self._moves = True
        self._path.rename(self._aside)
        # Between the look and the rename another program may have put its lock there: what was
        # caught is looked at once more, and given back if it is not the one that was judged.
        return self._finish()

    def _is_found(self, number: int) -> bool:
        # The number of a file that was removed goes to a new one, unless somebody has it open: so
        # what the file says counts as well.
        status, found = os.fstat(number), self._found
        if not identity_of(status) == identity_of(self._path.lstat()) == found.identity:
            return False
        owner = parse_payload(os.read(number, _MAX_PAYLOAD))
        return owner == found.owner and status.st_mtime == found.modified

    def discard(self) -> None:
        """Give back what was moved and is not what was found, and let others in."""
        # Cut off between the rename and the look: nobody's lock may stay away for that.
        if self._moves:
            with contextlib.suppress(FileNotFoundError):
                self._finish()
        self._descriptor.close()

    def _finish(self) -> bool:
        if identity_of(self._aside.lstat()) == self._found.identity:
            self._aside.unlink()
            self._moves = False
            return True
        _give_back(self._aside, self._path)
        self._moves = False
        return False


class Verdict(Enum):
    """What can be said of the owner of a lock file."""

    ALIVE = "runs"
    DEAD = "is proven to be gone"
    COPIED = "has the lock of another file, of which this is a copy"
    SILENT = "gave no sign of life for too long, and cannot be examined"
    RECENT = "gave a sign of life, and cannot be examined"


def judge(found: ExistingLock, *, stale: float, now: float, booted: float) -> Verdict:
    """
    Judge the owner of a lock.

    *stale* in seconds; *now* and *booted* (when the machine started) on the clock that gives files
    their times. A payload that cannot be read, from before the machine started, is what a power
    cut leaves of one.
    """
    if found.is_copy():
        return Verdict.COPIED
    dead = is_dead(found.owner) if found.owner else None
    if dead is not None:
        return Verdict.DEAD if dead else Verdict.ALIVE
    if found.owner is None and found.modified < booted:
        return Verdict.DEAD
    # Clocks of two machines differ a little; what lies further ahead was written by a wrong one.
    return Verdict.SILENT if now - found.last_sign(now + stale) > stale else Verdict.RECENT


def _try_lock(descriptor: int) -> bool:
    # Who breaks a lock holds this one, so that none of us removes what another just made.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no such locks here: the rename must do
    return True


def _give_back(aside: Path, path: Path) -> None:
    """Undo a rename that caught the lock of somebody who was faster."""
    try:
        # Not a rename, which would replace the lock of a third. Where there is one now, the owner
        # of what was caught finds that its lock is lost before it changes anything
        # (`FileLock.confirm`).
        os.link(aside, path)
    except FileExistsError:
        pass
    except OSError:
        aside.rename(path)  # a file system without links
        return
    aside.unlink()
