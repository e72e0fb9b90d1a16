"""
A fair queue between processes and threads: kernel locks on two empty files.

Polling starves somebody: of four writers that back off, one waits for seconds. The kernel wakes
those who block in `flock`, and frees what a dead process held. Who wants in first takes the turn,
then the gate, then gives the turn back: so nobody who leaves can slip in again before those who
wait (decision 17).
"""

from __future__ import annotations

import _thread
import fcntl
import os
import stat
import threading
import time
from pathlib import Path

from clawstate.errors import UnavailableError

_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_OWN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


class QueueTimeoutError(Exception):
    """The gate was not reached in time."""


class KernelQueue:
    """
    One holder of the gate at a time, in the order they came; not reentrant.

    Both files lie in one directory, which must be no link itself if it is the queue's *own*.
    """

    def __init__(self, gate: Path, turn: Path, *, own: bool = False) -> None:
        self._gate = gate
        self._turn = turn
        self._own = own
        self._folder = os.fspath(gate.parent)

    def prepare(self) -> None:
        """Make the directory of the queue, private; raises `UnavailableError`."""
        folder = self._gate.parent
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            problem = f"cannot be made ({error.strerror})"
            raise UnavailableError(str(folder), problem, "check its permissions") from error

    def enter(self, end: float) -> int:
        """
        Return the descriptor of the gate, held; wait until *end* (on `time.monotonic`).

        Raises `QueueTimeoutError`, `UnavailableError`.
        """
        opened: list[int] = []
        taken: list[_Place] = []
        try:
            return self._entered(end, opened, taken)
        except BaseException as error:
            # A signal may come at any step: what is held is known by these lists alone.
            arrived = taken and taken[0].taken_or_left(self._gate)
            for descriptor in [taken[0].gate] if arrived else [] if taken else opened:
                self.leave(descriptor)
            if isinstance(error, OSError) and not isinstance(error, UnavailableError):
                raise _not_locked(self._gate, error) from error
            raise

    def leave(self, descriptor: int) -> None:
        """Give the gate back."""
        with _mutex:
            if _open.get(descriptor) is self:
                _let_go(descriptor)

    def _both_opened(self, opened: list[int]) -> None:
        folder: int | None = None
        with _mutex:  # no fork may come between: a child would keep what it does not know
            try:
                folder = os.open(self._folder, _OWN_FOLDER) if self._own else None
                for path in (self._turn, self._gate):
                    opened.append(descriptor := _plain_file(path, folder))
                    _open[descriptor] = self
            except OSError as error:
                problem = f"cannot be opened ({error.strerror})"
                hint = "check the permissions of its directory and the free space"
                raise UnavailableError(str(self._gate), problem, hint) from error
            finally:
                if folder is not None:
                    _close(folder)

    def _entered(self, end: float, opened: list[int], taken: list[_Place]) -> int:
        self._both_opened(opened)
        turn, gate = opened
        if _is_free(turn) and _is_free(gate):
            self.leave(turn)
            return gate
        if (patience := end - time.monotonic()) <= 0:
            raise QueueTimeoutError
        place = self._place(turn, gate, taken)
        place.stand()
        place.wait(min(patience, threading.TIMEOUT_MAX))
        if place.error is not None:
            raise place.error
        if not place.taken_or_left(self._gate):
            raise QueueTimeoutError
        return place.gate

    def _place(self, turn: int, gate: int, taken: list[_Place]) -> _Place:
        with _mutex:
            here = os.fstat(gate)
            standing = [place for place in _left.pop(self._gate, []) if place.gate >= 0]
            usable = next((place for place in standing if place.is_usable(here)), None)
            if usable is not None:
                standing.remove(usable)
            if standing:
                _left[self._gate] = standing
            taken.append(usable or _Place(turn, gate))
            if usable is not None:
                usable.left = False
                _open[usable.gate] = self
                _let_go(turn)
                _let_go(gate)
            return taken[0]


class _Place:
    """
    A place in the kernel's queue, for the *turn* and then the *gate*.

    The kernel queues blocked callers but knows no time limit: a thread stands in the queue. Where
    one still stands for somebody who gave up, its place is taken by the next to come.
    """

    def __init__(self, turn: int, gate: int) -> None:
        self.turn = turn
        self.gate = gate
        self.error: OSError | None = None
        self.left = False
        self._standing = False
        self._at_gate = False
        self._arrived = False
        self._signal = threading.Lock()
        self._signal.acquire()

    def stand(self) -> None:
        """Let a thread stand there, if none does. Raises `UnavailableError` if there is none."""
        if self._standing:
            return
        self._standing = True
        try:
            # `Thread.start` would wait for the thread to run, which costs more than the rest.
            _thread.start_new_thread(self._stand, ())
        except RuntimeError as error:
            self._standing = False
            hint = "raise the limit that 'ulimit -u' shows"
            raise UnavailableError("a thread", "cannot be started", hint) from error

    def wait(self, patience: float) -> None:
        """Wait up to *patience* seconds for the thread to arrive."""
        self._signal.acquire(timeout=patience)

    def taken_or_left(self, path: Path) -> bool:
        """Tell whether the gate is reached, and give the place up if it is not."""
        arrived = self._arrived  # at once: the thread may hold the mutex to give its turn back
        if arrived:
            return True
        with _mutex:
            if self._arrived:
                return True
            if self.left:
                return False
            if not self._standing:
                self._let_go()
            else:
                self.left = True
                if self._at_gate:
                    self._give_turn()  # whoever comes next need not wait for this gate
                _left.setdefault(path, []).append(self)
            return False

    def is_usable(self, here: os.stat_result) -> bool:
        """Tell whether somebody who left it still stands there, before the very file *here*."""
        return self.left and self.gate >= 0 and os.path.samestat(os.fstat(self.gate), here)

    def _stand(self) -> None:
        try:
            fcntl.flock(self.turn, fcntl.LOCK_EX)
            with _mutex:
                self._at_gate = True
                if self.left:
                    self._let_go()
                    return
            fcntl.flock(self.gate, fcntl.LOCK_EX)
        except OSError as error:
            self.error = error
        with _mutex:
            if self.left:
                self._let_go()
                return
            self._arrived = True
            self._signal.release()
        with _mutex:  # the one who waits here is not kept waiting for that
            self._give_turn()

    def _give_turn(self) -> None:
        _let_go(self.turn)
        self.turn = -1

    def _let_go(self) -> None:
        self._give_turn()
        _let_go(self.gate)
        self.gate = -1


# A signal handler may take a lock while the thread that it interrupts is in here.
_mutex = threading.RLock()
_open: dict[int, KernelQueue] = {}
"""The descriptors that this process opened; in a forked child they are somebody else's."""
_left: dict[Path, list[_Place]] = {}
"""Places that nobody waits for any longer, until their threads can leave the kernel's queue."""


def _forget_all() -> None:
    global _mutex  # noqa: PLW0603 - its holder is not here
    _mutex = threading.RLock()
    for descriptor in _open:
        _close(descriptor)
    _open.clear()
    _left.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _mutex.acquire(),  # noqa: PLW0108 - it is another one in a child
        after_in_parent=lambda: _mutex.release(),  # noqa: PLW0108
        after_in_child=_forget_all,
    )


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go(descriptor: int) -> None:
    if descriptor in _open:  # not after a fork, in the child
        del _open[descriptor]
        _unlock_and_close(descriptor)


def _unlock_and_close(descriptor: int) -> None:
    # Unlocked by name: a child that was forked meanwhile holds a copy of the descriptor.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        pass
    finally:
        _close(descriptor)


def _plain_file(path: Path, folder: int | None) -> int:
    name = path if folder is None else path.name
    descriptor = os.open(name, _OPEN, 0o600, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
    except BaseException:
        _close(descriptor)
        raise
    # What has a second name is somebody's file, and must not be written to.
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return descriptor
    _close(descriptor)
    raise OSError(0, "is no file of its own")


def _close(descriptor: int) -> None:
    try:  # noqa: SIM105 - five times faster than `suppress`, on the way of every lock
        os.close(descriptor)
    except OSError:
        pass  # nothing was written that could be lost


def _not_locked(path: Path, error: OSError) -> UnavailableError:
    problem = f"cannot be locked ({error.strerror})"
    hint = "use a file system that knows flock, or the PostgreSQL backend"
    return UnavailableError(str(path), problem, hint)
