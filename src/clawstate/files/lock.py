"""
`FileLock`: one writer at a time of one file, also among OpenClaw's own processes.

The lock file is OpenClaw's (`sidecar`), the order among our processes is kept by the kernel
(`queue`), and a holder can ask just before it commits whether the lock is still its own (decision
1). Reading needs no lock: files are replaced as a whole.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from clawstate.errors import (
    InvalidError,
    LockLostError,
    StateError,
)
from clawstate.files import courtesy
from clawstate.files.atomic import make_private_dir
from clawstate.files.heartbeat import heartbeat
from clawstate.files.lock_attempt import Attempt, queue_of
from clawstate.files.lock_options import LockOptions, lock_options
from clawstate.files.queue import KernelQueue
from clawstate.files.sidecar import Sidecar

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
        self.path = Path(path)
        self._options = lock_options(options)
        self._entered: dict[threading.Thread, list[_Held]] = {}

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except StateError:
            if error is None:
                raise  # otherwise what went wrong in the block counts

    def acquire(self) -> None:
        """
        Wait for the lock and hold it.

        Raises `LockTimeoutError`, which names the holder, when patience ends; `InvalidError` for
        something in the lock's place that is no lock; `UnavailableError` when the system refuses.
        """
        held = self._held()
        if held is None:
            key = _lock_path(self.path), threading.current_thread()
            held = _registry.get(key)
            if held is None:
                held = _registry[key] = _acquired(self.path, key, self._options)
        held.depth += 1
        self._entered.setdefault(threading.current_thread(), []).append(held)

    def release(self) -> None:
        """
        Give back what `acquire` got; the lock goes with the outermost release.

        Raises `UnavailableError` when the lock file cannot be removed.
        """
        entered = self._entered.get(threading.current_thread())
        if not entered:
            return  # never acquired
        held = entered.pop()
        if not entered:
            del self._entered[threading.current_thread()]
        if not held.is_registered():
            return  # a forked child
        held.depth -= 1
        if held.depth == 0:
            del _registry[held.key]
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
        entered = self._entered.get(threading.current_thread())
        return entered[-1] if entered and entered[-1].is_registered() else None


@contextmanager
def file_lock(path: str | os.PathLike[str], options: Options = None) -> Iterator[FileLock]:
    """Hold the lock on the file *path* for the length of the block; see `FileLock`."""
    with FileLock(path, options=options) as held:
        yield held


def with_file_lock(
    path: str | os.PathLike[str],
    work: Callable[[], T],
    options: Options = None,
) -> T:
    """Return what *work* returns while the lock on the file *path* is held; see `FileLock`."""
    with FileLock(path, options=options):
        return work()


@dataclass(slots=True)
class _Held:
    """A lock of one thread of this process."""

    key: tuple[Path, threading.Thread]
    sidecar: Sidecar
    queue: KernelQueue
    gate: int | None
    careful: bool
    depth: int = 0

    def is_registered(self) -> bool:
        return _registry.get(self.key) is self

    def is_ours(self) -> bool:
        ours = self.sidecar.is_ours()
        if not ours and self.gate is not None:
            courtesy.remember(self.gate)
        return ours

    def let_go(self) -> None:
        try:
            removed = self.sidecar.unlink()
            if self.gate is not None:
                if not removed:
                    courtesy.remember(self.gate)
                if self.careful or not removed:
                    courtesy.note_release(self.gate)
        finally:
            if self.gate is not None:
                self.queue.leave(self.gate)
            # Nobody waits for these.
            heartbeat.stop(self.sidecar)
            self.sidecar.forget()


_registry: dict[tuple[Path, threading.Thread], _Held] = {}


def _forget_all() -> None:
    for held in _registry.values():
        held.sidecar.inherited()
    _registry.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _lock_path(path: Path) -> Path:
    # As OpenClaw: the directory is resolved, the file is not.
    folder, name = os.path.split(path)
    if not path.name or "\0" in name or "\0" in folder:
        raise InvalidError(repr(str(path)), "cannot be the path of a file", "give one")
    return _place_in(_real_folder(folder or "."), name)


@lru_cache(maxsize=256)
def _place_in(folder: str, name: str) -> Path:
    return Path(f"{folder}{os.sep}{name}.lock")


def _real_folder(folder: str) -> str:
    """Return the directory *folder* without links; looked up again when it is another one."""
    # Text, not paths: this is on the way of every lock.
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


def _acquired(path: Path, key: tuple[Path, threading.Thread], options: LockOptions) -> _Held:
    place, _ = key
    make_private_dir(place.parent)
    started = time.monotonic()
    attempt = Attempt(path, place, options.stale, started, started + options.patience())
    try:
        return _reached(attempt, key, options)
    finally:
        attempt.end()


def _reached(attempt: Attempt, key: tuple[Path, threading.Thread], options: LockOptions) -> _Held:
    queue = queue_of(key[0])
    gate = attempt.enter(queue)
    try:
        sidecar = attempt.sidecar(gate)
        try:
            period = min(options.stale / _BEATS, _LONGEST_BEAT)
            heartbeat.start(sidecar, sidecar.refresh, period=period)
        except BaseException:
            sidecar.remove()
            raise
    except BaseException:
        if gate is not None:
            queue.leave(gate)
        raise
    return _Held(key, sidecar, queue, gate, attempt.careful)
