"""One wait for a lock: in the queue of our processes, then for the lock file itself."""

from __future__ import annotations

import contextlib
import os
import time
from functools import lru_cache
from pathlib import Path

from clawstate.errors import LockTimeoutError, StaleLockWarning, UnavailableError, warn
from clawstate.files import poller_backoff
from clawstate.files.atomic import sweep_temporaries
from clawstate.files.fifo_mutex import FifoMutex, QueueTimeoutError
from clawstate.files.os_errors import os_errors
from clawstate.files.sidecar import Sidecar, UnpublishedLock
from clawstate.files.stale_lock import ExistingLock, Verdict, judge, read_sidecar, take_over
from clawstate.interrupts import Owner as Waiting

_QUEUES = ".locks"
# Seconds between two looks at a lock file. Only programs outside of the queue are waited for in
# this way; who stands in it is woken by the kernel.
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.025


class Attempt:
    """One wait for a lock, from *started* to *end* on the monotonic clock."""

    def __init__(self, path: Path, place: Path, stale: float, started: float, end: float) -> None:
        self._path = path
        self._place = place
        self._stale = stale
        self._started = started
        self._end = end
        self._pause = _FIRST_PAUSE
        self._broken = False
        self.careful = False
        self._draft = UnpublishedLock(place)

    def prepare(self) -> None:
        """Do what can be done before anybody waits for us; raises `UnavailableError`."""
        self._draft.write()

    def enter(self, queue: FifoMutex, owner: Waiting) -> int | None:
        """Return the gate of the queue, held for *owner*; `None` if the lock file must do."""
        try:
            try:
                return queue.enter(self._end, owner=owner)
            except UnavailableError:
                # Not before the first try: the directory of the queue is missing only once.
                queue.prepare()
            return queue.enter(self._end, owner=owner)
        except QueueTimeoutError:
            return None  # a stopped process may stand before us: one attempt without the queue
        except UnavailableError:
            return None  # the kernel knows no such locks here

    def sidecar(self, gate: int | None) -> Sidecar:
        """
        Return the lock file, made and held; *gate* is what `enter` gave.

        Raises `LockTimeoutError`, `InvalidError`, `UnavailableError`.
        """
        self.careful = gate is None or poller_backoff.met_recently(gate)
        # Other programs poll: if our own processes handed the lock on without a gap, they would
        # never get it.
        if self.careful and gate is not None:
            time.sleep(min(poller_backoff.pause_left(gate), max(self._end - time.monotonic(), 0.0)))
        scratch = None if gate is None else scratch_of(self._place)
        while True:
            created = self._draft.publish(scratch=scratch)
            if created is None:
                self._meet(read_sidecar(self._place), gate, scratch)
            elif self._settle(created):
                return created
            else:
                self._draft = UnpublishedLock(self._place)
                self._draft.write()

    def end(self) -> None:
        """Release all that it made, the lock file included."""
        self._draft.discard()

    def _settle(self, created: Sidecar) -> bool:
        try:
            if self.careful:
                # A program that looked just before may delete by its name what it took for an old
                # lock.
                time.sleep(poller_backoff.SETTLE)
            # The owner that the lock was taken from may have died in the middle of a write.
            if self._broken:
                sweep_temporaries(self._path)
            with os_errors(self._place, "cannot be made"):
                ours = not self.careful or created.is_there()
        except BaseException:
            created.remove()
            raise
        if not ours:
            created.forget()
        return ours

    def _meet(self, found: ExistingLock | None, gate: int | None, scratch: Path | None) -> None:
        if found is None:
            self._wait(found)
            return
        # Every payload of ours has a nonce: the writer of this one, such as OpenClaw, is not one
        # of those who stand in the queue.
        if found.owner is None or found.owner.nonce is None:
            self.careful = True
            if gate is not None:
                poller_backoff.remember(gate)
        verdict = self._verdict(found, gate)
        if verdict in {Verdict.ALIVE, Verdict.RECENT}:
            self._wait(found)
        elif not take_over(self._place, found, scratch=scratch):
            self._wait(None)
        else:
            self._broken = True
            # Death is proven; silence may be a process that is only stopped, so somebody is told.
            if verdict is Verdict.SILENT:
                problem = f"{self._path}: took over the lock of {found.owner or 'nobody'}"
                warn(StaleLockWarning(f"{problem}, which {verdict.value}"), stacklevel=6)

    def _verdict(self, found: ExistingLock, gate: int | None) -> Verdict:
        now = _file_time(gate)
        verdict = judge(found, stale=self._stale, now=now, booted=_boot_time(now))
        if verdict is Verdict.RECENT and self._stands_still(found):
            return Verdict.SILENT  # whatever its times say: a clock was set
        return verdict

    def _stands_still(self, found: ExistingLock) -> bool:
        """Tell whether the lock stayed the same for the stale time, on the monotonic clock."""
        known = _seen.get(self._place)
        if known is None or known[0] != found:
            # What is forgotten is only since when: the waiting for a silent owner begins anew.
            if len(_seen) >= _MOST_SEEN:
                _seen.clear()
            known = _seen[self._place] = found, time.monotonic()
        return time.monotonic() - known[1] > self._stale

    def _wait(self, found: ExistingLock | None) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._timeout(found)
        time.sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _timeout(self, found: ExistingLock | None) -> LockTimeoutError:
        waited = time.monotonic() - self._started
        if found is None:
            return LockTimeoutError(str(self._path), waited, "others were faster; try again")
        now = time.time()
        age = now - found.last_sign(now + self._stale)
        sign = f"last sign {age:.1f} s ago" if age >= 0 else "dated ahead of the clock"
        holder = f"{found.owner or 'a lock file without an owner'}, {sign}"
        verdict = judge(found, stale=self._stale, now=now, booted=_boot_time(now))
        if verdict is Verdict.ALIVE:
            hint = f"end that process or try again ({self._place})"
        else:
            hint = (
                f"it is taken over once it gave no sign of life for {self._stale:g} s: try again, "
                f"or, if no program uses it, remove {self._place}"
            )
        return LockTimeoutError(str(self._path), waited, hint, holder=holder)


_seen: dict[Path, tuple[ExistingLock, float]] = {}
"""Lock files whose owners cannot be examined, and since when each has not moved."""
_MOST_SEEN = 256


def _file_time(gate: int | None) -> float:
    """Return the present on the clock that gives files their times; a server's, on its files."""
    if gate is not None:
        with contextlib.suppress(OSError):
            os.utime(gate)
            return os.fstat(gate).st_mtime
    return time.time()


def _boot_time(now: float) -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return now - time.clock_gettime(time.CLOCK_BOOTTIME)


@lru_cache(maxsize=256)
def queue_of(place: Path) -> FifoMutex:
    """Return the queue before the lock file *place*."""
    scratch = scratch_of(place)
    return FifoMutex(
        scratch.with_name(f"{scratch.name}.gate"),
        scratch.with_name(f"{scratch.name}.turn"),
        own=True,
    )


@lru_cache(maxsize=256)
def scratch_of(place: Path) -> Path:
    """Return where files of the queue before *place* lie, but for their endings."""
    return place.parent / _QUEUES / place.name.removesuffix(".lock")
