"""
The lock file of somebody: read, judged, and taken over when its owner is gone.

It is removed by a rename of the very file that was judged: what another program put in its place
meanwhile stays (decision 1).
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
from clawstate.files.lock_owner import Owner, is_dead, parse_payload
from clawstate.files.refusals import translated
from clawstate.files.sidecar import beside, identity_of

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
_MAX_PAYLOAD = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """A lock file of somebody, as it was read; times in seconds since the epoch."""

    identity: tuple[int, int]
    modified: float
    owner: Owner | None

    def refreshed(self, latest: float) -> float:
        """Return when its owner last gave a sign of life; what is later than *latest* is none."""
        created = self.owner.created_at if self.owner else None
        signs = [self.modified, self.modified if created is None else created]
        return max((sign for sign in signs if sign <= latest), default=self.modified)


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
        _close(descriptor)
    return Found(identity_of(status), status.st_mtime, parse_payload(raw))


def take_over(path: Path, found: Found, *, scratch: Path | None = None) -> bool:
    """
    Remove the lock file *path* if it still is the one that was *found*; tell whether it was.

    By renaming it first, to *scratch* with `.old`: of several that try one succeeds. Raises
    `UnavailableError` when the system refuses.
    """
    with translated(path, "cannot be taken over"), contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, _READ)
        try:
            if _locked(descriptor) and identity_of(path.lstat()) == found.identity:
                return _removed(path, found, beside(path, scratch, "old"))
        finally:
            _close(descriptor)
    return False


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
    # Clocks of two machines differ a little; what lies further ahead was written by a wrong one.
    return Verdict.SILENT if now - found.refreshed(now + stale) > stale else Verdict.HEARD


def _locked(descriptor: int) -> bool:
    # Who breaks a lock holds this one, so that none of us removes what another just made.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no such locks here: the rename must do
    return True


def _removed(path: Path, found: Found, aside: Path) -> bool:
    path.rename(aside)
    if identity_of(aside.lstat()) == found.identity:
        aside.unlink()
        return True
    _give_back(aside, path)
    return False


def _give_back(aside: Path, path: Path) -> None:
    """Undo a rename that caught the lock of somebody who was faster."""
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    except OSError:
        aside.rename(path)  # a file system without links
        return
    aside.unlink()


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # it was only read
        os.close(descriptor)
