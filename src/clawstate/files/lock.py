"""
`FileLock`: one writer at a time of one file, also among OpenClaw's own processes.

The lock file is OpenClaw's (`sidecar`), the order among our processes is kept by the kernel
(`queue`), and a holder can ask just before it commits whether the lock is still its own (decision
9). Reading needs no lock: files are replaced as a whole.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from clawstate.arguments import require_callable
from clawstate.errors import (
    LockLostError,
    StateError,
)
from clawstate.files import poller_backoff
from clawstate.files.atomic import make_private_dir, sweep_temporaries
from clawstate.files.fifo_mutex import FifoMutex
from clawstate.files.heartbeat import heartbeat
from clawstate.files.lock_attempt import Attempt, queue_of
from clawstate.files.lock_options import LockOptions, lock_options
from clawstate.files.paths import as_file_path
from clawstate.files.sidecar import Sidecar
from clawstate.interrupts import Mutex, Use, discard_own, forget, hold, let_go

T = TypeVar("T")

Options: TypeAlias = LockOptions | Mapping[str, Any] | None
"""As values, in the form of the specification, or those that fit most files."""

_BEATS = 3  # signs of life within the stale time
_MOST_FOLDERS = 256
_LONGEST_BEAT = 10.0  # seconds: others may expect signs more often than we do


class FileLock:
    """
    The lock on the file *path*, to be used in a `with` block; the file need not exist.

    Re-entrant: what the same thread locks again it holds at once, whatever the `FileLock`. Threads
    and processes are kept apart, and a forked child does not hold what its parent held. Not
    guaranteed: tasks of one event loop are one thread here; a program that asks for no lock is not
    stopped; OpenClaw takes a lock over by age alone, which `confirm` tells.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        options: Options = None,
    ) -> None:
        self.path = as_file_path(path, "path")
        self._name = str(self.path)
        self._options = lock_options(options)
        self._entries: dict[threading.Thread, list[_Entry]] = {}

    def __enter__(self) -> Self:
        self.enter(Use())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Typed errors leave a write by way of its own cleaning up; an interrupt may come before
        # that.
        if error is not None and not isinstance(error, StateError):
            self._sweep()
        try:
            self.release()
        except StateError:
            if error is None:
                raise  # otherwise what went wrong in the block counts

    def acquire(self) -> None:
        """
        Wait for the lock and hold it, until `release` or until nobody knows this object.

        Raises `LockTimeoutError`, which names the holder, when patience ends; `InvalidError` for
        something in the lock's place that is no lock; `UnavailableError` when the system refuses.
        """
        self.enter(Use(0))

    def release(self) -> None:
        """
        Give back what `acquire` got; the lock goes with the outermost release.

        Raises `UnavailableError` when the lock file cannot be removed.
        """
        entries = self._entries.get(threading.current_thread())
        if not entries:
            return  # never acquired
        entry = entries.pop()
        if not entries:
            self._entries.pop(threading.current_thread(), None)
        held = entry.held
        if entry in held.entries:
            held.entries.remove(entry)
        if held.is_registered() and held.is_over():
            held.let_go()

    def confirm(self) -> None:
        """
        Make sure that the lock is still held; to be called just before a change takes effect.

        Raises `LockLostError` when it was taken away: nothing must be written then.
        """
        held = self._current_hold()
        if held is None or not held.is_ours():
            raise LockLostError(str(self.path))

    def __repr__(self) -> str:
        return f"FileLock({str(self.path)!r})"

    def enter(self, use: Use) -> None:
        """Do as `acquire`, for the length of the `with` block that *use* is."""
        # What an interrupted call of this thread left held would be taken for re-entrance below.
        discard_own()
        thread = threading.current_thread()
        held = self._current_hold()
        if held is None:
            key = _lock_path(self._name), thread
            held = _registry.get(key) or _Held(key, self.path, self._options)
        entry = _Entry(self, held, use)
        # Before `take`: what has no entry that is in use counts as abandoned.
        held.entries.append(entry)
        entries = self._entries.setdefault(thread, [])
        entries[:] = [each for each in entries if each.held.is_registered()]
        entries.append(entry)
        try:
            held.take()
        except BaseException:
            entries.remove(entry)
            raise
        entry.keep()

    def _current_hold(self) -> _Held | None:
        entries = self._entries.get(threading.current_thread())
        return entries[-1].held if entries and entries[-1].held.is_registered() else None

    def _sweep(self) -> None:
        """Remove what was begun and not finished when the block was cut off."""
        held = self._current_hold()
        if held is not None and held.is_ours():
            sweep_temporaries(self.path)


class FileLocks:
    """The locks on several files, taken in the order of *paths*, for a `with` block."""

    def __init__(self, paths: Iterable[Path], *, options: LockOptions | None = None) -> None:
        self._locks = [FileLock(path, options=options) for path in paths]
        self._entered: list[FileLock] = []

    def __enter__(self) -> Self:
        use = Use()
        try:
            for lock in self._locks:
                lock.enter(use)
                self._entered.append(lock)
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(error)

    def confirm(self) -> None:
        """Make sure that all of them are still held; raises `LockLostError`."""
        for lock in self._locks:
            lock.confirm()

    def _leave(self, error: BaseException | None) -> None:
        refusals = []
        while self._entered:
            lock = self._entered.pop()
            try:
                lock.__exit__(type(error) if error else None, error, None)
            except StateError as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]


def file_lock(path: str | os.PathLike[str], options: Options = None) -> FileLock:
    """Hold the lock on the file *path* for the length of a `with` block; see `FileLock`."""
    return FileLock(path, options=options)


def with_file_lock(
    path: str | os.PathLike[str],
    work: Callable[[], T],
    options: Options = None,
) -> T:
    """Return what *work* returns while the lock on the file *path* is held; see `FileLock`."""
    require_callable("work", work)
    with FileLock(path, options=options):
        return work()


class _Entry:
    """One block, or one `acquire`, that has the lock."""

    __slots__ = ("_lock", "_use", "held")

    def __init__(self, lock: FileLock, held: _Held, use: Use) -> None:
        self.held = held
        self._lock = weakref.ref(lock)
        self._use: Use | None = use

    def keep(self) -> None:
        """Be over with the block; where there is none, when nobody knows the `FileLock`."""
        if self._use is not None and not self._use.is_block():
            self._use = None

    def is_over(self) -> bool:
        """Tell whether nobody needs the lock for this any longer."""
        return self._lock() is None if self._use is None else self._use.is_over()


class _Held:
    """A lock of one thread of this process, from before it is taken; a `Holding`."""

    def __init__(self, key: tuple[str, threading.Thread], path: Path, options: LockOptions) -> None:
        self.thread = threading.get_ident()
        self.entries: list[_Entry] = []
        self._key = key
        self._path = path
        self._options = options
        self._place, self._queue = _spot(key[0])
        self._attempt: Attempt | None = None
        self._sidecar: Sidecar | None = None
        self._gate: int | None = None
        self._released = False
        self._ending = Mutex()

    def is_registered(self) -> bool:
        """Tell whether it is held, in this process."""
        return _registry.get(self._key) is self

    def is_over(self) -> bool:
        """Tell whether nobody needs it any longer."""
        return all(entry.is_over() for entry in list(self.entries))

    def is_ours(self) -> bool:
        """Tell whether the lock file is in its place; whoever took it away is remembered."""
        ours = self._sidecar is not None and self._sidecar.is_ours()
        if not ours and self._gate is not None:
            poller_backoff.remember(self._gate)
        return ours

    def take(self) -> None:
        """Wait for the lock, unless it is held."""
        if self.is_registered():
            return
        # Noted before anything is taken, so that an interrupt loses none of it (decision 20).
        hold(self)
        try:
            self._take()
            _registry[self._key] = self
        except BaseException:
            self._released = True
            let_go(self)
            raise

    def let_go(self) -> None:
        """Give the lock back; raises `UnavailableError` when the lock file cannot be removed."""
        self._released = True
        try:
            self.discard()
        except StateError:
            forget(self)
            raise
        forget(self)

    def discard(self) -> None:
        """Give back whatever was taken, in any state of it; raises as `let_go` does."""
        with self._ending:
            refusal = None
            try:
                # The lock file before the gate: whom the gate wakes should find the file gone.
                self._remove()
            except StateError as error:
                refusal = error  # others see that it is left
            if _registry.get(self._key) is self:
                del _registry[self._key]
            self._queue.leave_for(self)
            # Nobody waits for these.
            if self._sidecar is not None:
                heartbeat.stop(self._sidecar)
                self._sidecar.forget()
            if self._attempt is not None:
                self._attempt.end()
        if refusal is not None:
            raise refusal

    def _take(self) -> None:
        place = self._place
        if not os.path.isdir(os.path.dirname(self._key[0])):  # noqa: PTH112, PTH120 - see `_lock_path`
            make_private_dir(place.parent)
        options, started = self._options, time.monotonic()
        end = started + options.patience()
        self._attempt = Attempt(self._path, place, options.stale, started, end)
        # The file is written before the queue is entered: in it, others wait for us.
        self._attempt.prepare()
        self._gate = self._attempt.enter(self._queue, self)
        self._sidecar = self._attempt.sidecar(self._gate)
        period = min(options.stale / _BEATS, _LONGEST_BEAT)
        heartbeat.start(self._sidecar, self._sidecar.refresh, period=period)

    def _remove(self) -> None:
        if self._sidecar is None:
            if self._attempt is not None:
                self._attempt.end()
            return
        if not self._released and self.is_ours():
            sweep_temporaries(self._path)  # of a writer that was cut off
        removed = self._sidecar.unlink()
        if self._gate is not None and self._attempt is not None:
            if not removed:
                poller_backoff.remember(self._gate)
            if self._attempt.careful or not removed:
                poller_backoff.note_release(self._gate)


# By the thread itself and not its number, which goes to another one after its end.
_registry: dict[tuple[str, threading.Thread], _Held] = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.clear)


def _lock_path(path: str) -> str:
    # As OpenClaw: the directory is resolved, the file is not. Text, not paths: this is on the way
    # of every lock.
    folder, name = os.path.split(path)
    return f"{_real_folder(folder or '.')}{os.sep}{name}.lock"


@lru_cache(maxsize=256)
def _spot(place: str) -> tuple[Path, FifoMutex]:
    path = Path(place)
    return path, queue_of(path)


def _real_folder(folder: str) -> str:
    """Return the directory *folder* without links; looked up again when it is another one."""
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:
        return os.path.realpath(folder)
    here = "" if os.path.isabs(folder) else os.getcwd()  # noqa: PTH109, PTH117
    known = _folders.get((folder, here))
    if known is not None and known[0] == (found.st_dev, found.st_ino):
        return known[1]
    real = os.path.realpath(folder)
    if len(_folders) > _MOST_FOLDERS:
        _folders.clear()
    _folders[folder, here] = (found.st_dev, found.st_ino), real
    return real


_folders: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
