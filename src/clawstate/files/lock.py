"""
`FileLock`: one writer at a time of one file, also among OpenClaw's own processes.

The lock file is OpenClaw's (`sidecar`), the order among our processes is kept by the kernel
(`queue`), and a holder can ask just before it commits whether the lock is still its own (decision
1). Reading needs no lock: files are replaced as a whole.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from clawstate.errors import (
    LockLostError,
    LockTimeoutError,
    StaleLockWarning,
    UnavailableError,
)
from clawstate.files import courtesy
from clawstate.files.atomic import make_private_dir, sweep_temporaries
from clawstate.files.heartbeat import heartbeat
from clawstate.files.lock_options import DEFAULT, LockOptions
from clawstate.files.queue import KernelQueue, QueueTimeoutError
from clawstate.files.sidecar import (
    Found,
    Sidecar,
    Verdict,
    create_sidecar,
    judge,
    read_sidecar,
    take_over,
)

T = TypeVar("T")

_QUEUES = ".locks"
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.025
_BEATS = 3  # signs of life within the stale time


class FileLock:
    """
    The lock on the file *path*, to be used in a `with` block; the file need not exist.

    Re-entrant: what the same thread locks again it holds at once, whatever the `FileLock`. Threads
    and processes are kept apart, and a forked child does not hold what its parent held. Not
    guaranteed: tasks of one event loop are one thread here; a program that asks for no lock is not
    stopped; OpenClaw takes a lock over by age alone, which `confirm` tells.
    """

    def __init__(self, path: str | os.PathLike[str], *, options: LockOptions | None = None) -> None:
        self.path = Path(path)
        self._options = options or DEFAULT
        self._place: Path | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """
        Wait for the lock and hold it.

        Raises `LockTimeoutError`, which names the holder, when patience ends; `InvalidError` for
        something in the lock's place that is no lock; `UnavailableError` when the system refuses.
        """
        place = self._place = _lock_path(self.path)
        held = self._held()
        if held is None:
            held = _acquired(self.path, place, self._options)
            _registry[place, threading.current_thread()] = held
        held.depth += 1

    def release(self) -> None:
        """Give back what `acquire` got; the lock goes with the outermost release."""
        held = self._held()
        if held is None or self._place is None:
            return  # a forked child, or never acquired
        held.depth -= 1
        if held.depth == 0:
            del _registry[self._place, threading.current_thread()]
            held.let_go()

    def confirm(self) -> None:
        """
        Make sure that the lock is still held; to be called just before a change takes effect.

        Raises `LockLostError` when it was taken away: nothing must be written then.
        """
        held = self._held()
        if held is None or not held.is_ours():
            raise LockLostError(str(self.path))

    def __repr__(self) -> str:
        return f"FileLock({str(self.path)!r})"

    def _held(self) -> _Held | None:
        if self._place is None:
            return None
        return _registry.get((self._place, threading.current_thread()))


@contextmanager
def file_lock(
    path: str | os.PathLike[str], options: LockOptions | None = None
) -> Iterator[FileLock]:
    """Hold the lock on the file *path* for the length of the block; see `FileLock`."""
    with FileLock(path, options=options) as held:
        yield held


def with_file_lock(
    path: str | os.PathLike[str], work: Callable[[], T], options: LockOptions | None = None
) -> T:
    """Return what *work* returns while the lock on the file *path* is held; see `FileLock`."""
    with FileLock(path, options=options):
        return work()


@dataclass(slots=True)
class _Held:
    """A lock of one thread of this process."""

    sidecar: Sidecar
    queue: KernelQueue
    gate: int | None
    careful: bool
    depth: int = 0

    def is_ours(self) -> bool:
        ours = self.sidecar.is_ours()
        if not ours and self.gate is not None:
            courtesy.remember(self.gate)
        return ours

    def let_go(self) -> None:
        heartbeat.stop(self.sidecar)
        try:
            removed = self.sidecar.remove()
            if self.gate is not None:
                if not removed:
                    courtesy.remember(self.gate)
                if self.careful or not removed:
                    courtesy.note_release(self.gate)
        finally:
            if self.gate is not None:
                self.queue.leave(self.gate)


_registry: dict[tuple[Path, threading.Thread], _Held] = {}


def _forget_all() -> None:
    for held in _registry.values():
        held.sidecar.forget()
    _registry.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _lock_path(path: Path) -> Path:
    # As OpenClaw: the directory is resolved, the file is not.
    folder = os.path.realpath(path.parent)
    return Path(f"{folder}{os.sep}{path.name}.lock")


def _acquired(path: Path, place: Path, options: LockOptions) -> _Held:
    make_private_dir(place.parent)
    started = time.monotonic()
    attempt = _Attempt(path, place, options.stale, started, started + options.patience())
    queue = _queue(place)
    gate = attempt.enter(queue)
    try:
        sidecar = attempt.sidecar(gate)
    except BaseException:
        if gate is not None:
            queue.leave(gate)
        raise
    heartbeat.start(sidecar, sidecar.refresh, period=options.stale / _BEATS)
    return _Held(sidecar, queue, gate, attempt.careful)


def _queue(place: Path) -> KernelQueue:
    folder = place.parent / _QUEUES
    name = place.name.removesuffix(".lock")
    return KernelQueue(folder / f"{name}.gate", folder / f"{name}.turn")


class _Attempt:
    """One wait for a lock, from *started* to *end* on the monotonic clock."""

    def __init__(self, path: Path, place: Path, stale: float, started: float, end: float) -> None:
        self._path = path
        self._place = place
        self._stale = stale
        self._started = started
        self._end = end
        self._pause = _FIRST_PAUSE
        self._watched: Found | None = None
        self._watched_since = started
        self.careful = False

    def enter(self, queue: KernelQueue) -> int | None:
        """Return the gate of the queue; `None` where the kernel knows no such locks."""
        try:
            try:
                return queue.enter(self._end)
            except UnavailableError:
                queue.prepare()
            return queue.enter(self._end)
        except QueueTimeoutError:
            raise self._timeout(read_sidecar(self._place)) from None
        except UnavailableError:
            return None  # the lock file must do

    def sidecar(self, gate: int | None) -> Sidecar:
        self.careful = gate is None or courtesy.met_recently(gate)
        if self.careful and gate is not None:
            time.sleep(min(courtesy.pause_left(gate), max(self._end - time.monotonic(), 0.0)))
        while True:
            created = create_sidecar(self._place)
            if created is not None:
                if not self.careful or self._settled(created):
                    return created
            elif (found := read_sidecar(self._place)) is not None:
                self._meet(found, gate)

    def _settled(self, created: Sidecar) -> bool:
        time.sleep(courtesy.SETTLE)
        if created.is_ours():
            return True
        created.forget()
        return False

    def _meet(self, found: Found, gate: int | None) -> None:
        if found.owner is None or found.owner.nonce is None:
            self.careful = True
            if gate is not None:
                courtesy.remember(gate)
        verdict = self._verdict(found, gate)
        if verdict in {Verdict.ALIVE, Verdict.HEARD}:
            self._wait(found)
        elif take_over(self._place, found):
            sweep_temporaries(self._path)
            if verdict is Verdict.SILENT:
                problem = f"{self._path}: took over the lock of {found.owner or 'nobody'}"
                warnings.warn(StaleLockWarning(f"{problem}, which {verdict.value}"), stacklevel=6)

    def _verdict(self, found: Found, gate: int | None) -> Verdict:
        now = _file_time(gate)
        verdict = judge(found, stale=self._stale, now=now, booted=_booted(now))
        if verdict is Verdict.HEARD and self._seen_still(found):
            return Verdict.SILENT  # whatever its times say: a clock was set
        return verdict

    def _seen_still(self, found: Found) -> bool:
        """Tell whether nothing moved for the stale time on a clock that nobody sets."""
        if found != self._watched:
            self._watched, self._watched_since = found, time.monotonic()
        return time.monotonic() - self._watched_since > self._stale

    def _wait(self, found: Found) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._timeout(found)
        time.sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _timeout(self, found: Found | None) -> LockTimeoutError:
        waited = time.monotonic() - self._started
        if found is None:
            return LockTimeoutError(str(self._path), waited, "others were faster; try again")
        age = max(time.time() - found.refreshed, 0.0)
        holder = f"{found.owner or 'a lock file without an owner'}, last sign {age:.1f} s ago"
        hint = f"end that process or try again ({self._place})"
        return LockTimeoutError(str(self._path), waited, hint, holder=holder)


def _file_time(gate: int | None) -> float:
    """Return the present on the clock that gives files their times; a server's, on its files."""
    if gate is not None:
        with contextlib.suppress(OSError):
            os.utime(gate)
            return os.fstat(gate).st_mtime
    return time.time()


def _booted(now: float) -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return now - time.clock_gettime(time.CLOCK_BOOTTIME)
