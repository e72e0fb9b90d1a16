"""
A fair queue between processes and threads: a FIFO mutex made of `flock` on two empty files.

Polling starves somebody: of four writers that back off, one waits for seconds. The kernel wakes
those who block in `flock`, and frees what a dead process held. With one such lock, whoever releases
it often has it again before those who wait. So there are two, the turn and the gate: a caller locks
the turn, then the gate, and releases the turn once it has the gate. Holding the gate is holding the
mutex, and whoever comes back to the turn stands behind those who wait there (decision 2).
"""

from __future__ import annotations

import _thread
import fcntl
import os
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import BuiltinFunctionType

from clawstate.errors import UnavailableError
from clawstate.files.descriptors import Descriptor
from clawstate.files.ownership import give_to_owner, is_root, make_directory
from clawstate.interrupts import Mutex, Owner, Use, hold, hold_within, let_go

_POLL = 0.002  # seconds between two looks of a greenlet
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_OWN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


class QueueTimeoutError(Exception):
    """The gate was not reached in time."""


class FifoMutex:
    """
    One holder at a time, in the order in which they asked; not reentrant.

    Both files lie in one directory, which must be no link itself if it is the mutex's *own*.
    """

    def __init__(self, gate: Path, turn: Path, *, own: bool = False) -> None:
        self.gate = gate
        self.turn = turn
        self.folder = os.path.dirname(gate)  # noqa: PTH120 - on the way of every lock
        self.own = own

    def prepare(self) -> None:
        """Make the directory of both files, private; raises `UnavailableError`."""
        folder = self.gate.parent
        try:
            make_directory(folder)
        except OSError as error:
            if isinstance(error, FileExistsError) and os.path.isdir(folder):  # noqa: PTH112 - see below
                return  # `Path.is_dir` raises where it may not look
            problem = f"cannot be made ({error.strerror})"
            raise UnavailableError(str(folder), problem, "check its permissions") from error

    def enter(self, end: float, *, owner: Owner | None = None) -> int:
        """
        Return the descriptor of the gate, held; wait until *end* (on `time.monotonic`).

        It is held until `leave`, or until *owner* is over. Raises `QueueTimeoutError`,
        `UnavailableError`.
        """
        stay = _Stay(self, Use(0))
        if owner is None:
            hold(stay)
        else:  # which was noted just now
            hold_within(stay)
        try:
            descriptor = self._enter(stay, end)
            _stays[descriptor] = stay
            stay.owner = owner  # the last step: until here it is for this call
        except BaseException as error:
            let_go(stay)
            stay.owner = (
                None  # this frame, which knows the stay: garbage only a collector would find
            )
            if isinstance(error, OSError) and not isinstance(error, UnavailableError):
                raise _lock_error(self.gate, error) from error
            raise
        return descriptor

    @staticmethod
    def _enter(stay: _Stay, end: float) -> int:
        stay.open_both()
        if stay.is_first():
            return stay.descriptor
        if (patience := end - time.monotonic()) <= 0:
            raise QueueTimeoutError
        stay.wait(min(patience, threading.TIMEOUT_MAX))
        return stay.descriptor

    def leave(self, descriptor: int) -> None:
        """Give the gate back."""
        stay = _stays.get(descriptor)
        if stay is not None and stay.queue is self and stay.descriptor == descriptor:
            let_go(stay)
            _stays.pop(descriptor, None)

    def leave_for(self, owner: Owner) -> None:
        """Give back the gates that are held for *owner*, whatever became of their descriptors."""
        for descriptor, stay in _stays.copy().items():
            if stay.queue is self and stay.owner is owner:
                self.leave(descriptor)


class _Stay:
    """What one call of `enter` opened, waits for and holds; a `Holding`."""

    __slots__ = ("_folder", "_gate", "_place", "_turn", "owner", "queue", "thread")

    def __init__(self, queue: FifoMutex, owner: Owner) -> None:
        self.owner: Owner | None = owner
        self.thread = owner.thread
        self.queue = queue
        self._turn = Descriptor()
        self._gate = Descriptor()
        self._folder = Descriptor()
        self._place: _Place | None = None

    @property
    def descriptor(self) -> int:
        """That of the gate; -1 when it is not open."""
        return self._gate.number

    def is_first(self) -> bool:
        """Tell whether nobody else was there, and hold the gate then."""
        # Mostly both are free, and no thread has to block for them. A turn that was had without the
        # gate is kept: it is what `wait` would ask for first.
        if not _is_free(self._turn.number) or not _is_free(self._gate.number):
            return False
        with _mutex:
            _let_go(self._turn)
        return True

    def wait(self, patience: float) -> None:
        """Hold the gate once others have left it; raises `QueueTimeoutError`."""
        if not isinstance(_thread.start_new_thread, BuiltinFunctionType):
            # As gevent has it, a thread is a greenlet: one that stood in the kernel's queue would
            # keep all others from running, and so the one that holds the gate.
            self._poll(time.monotonic() + patience)
            return
        place = self._take_place()
        place.stand()
        place.wait(patience)
        if place.error is not None:
            raise place.error
        if not place.arrived_or_leave(self.queue.gate):
            raise QueueTimeoutError

    def _poll(self, end: float) -> None:
        for each in (self._turn, self._gate):
            while not _is_free(each.number):
                if (left := end - time.monotonic()) <= 0:
                    raise QueueTimeoutError
                time.sleep(min(_POLL, left))
        with _mutex:
            _let_go(self._turn)

    def is_over(self) -> bool:
        """Tell whether nobody needs it."""
        return self.owner is not None and self.owner.is_over()

    def discard(self) -> None:
        """Leave the queue, wherever in it this is; may be done again, and by any thread."""
        self._folder.close()
        if self._place is not None and not self._place.arrived_or_leave(self.queue.gate):
            return
        with _mutex:
            _let_go(self._turn)
            _let_go(self._gate)

    def open_both(self) -> None:
        """Open the files of the queue."""
        with _mutex:  # no fork may come between: a child would keep what it does not know
            try:
                queue, folder = self.queue, None
                if queue.own:
                    folder = self._folder.open(queue.folder, _OWN_FOLDER)
                above = _other_owner(queue.folder if folder is None else folder)
                _open_plain(self._turn, queue.turn, folder, above)
                _open_plain(self._gate, queue.gate, folder, above)
            except OSError as error:
                problem = f"cannot be opened ({error.strerror})"
                hint = "check the permissions of its directory and the free space"
                raise UnavailableError(str(self.queue.gate), problem, hint) from error
            finally:
                self._folder.close()

    def _take_place(self) -> _Place:
        with _mutex:
            path = self.queue.gate
            here = os.fstat(self._gate.number)
            standing = [place for place in _left.get(path, []) if place.gate.number >= 0]
            # Whoever gave up has left a thread blocked in the kernel's queue, which nothing can
            # call back. Its place is further ahead than a new one, and is used up in this way.
            usable = next((place for place in standing if place.is_usable(here)), None)
            place = usable or _Place(self._turn, self._gate)
            self._place = place
            if usable is None:
                return place
            # From here on it stands for us.
            turn, gate = self._turn, self._gate
            self._turn, self._gate = usable.turn, usable.gate
            usable.left = False
            _left[path] = [each for each in standing if each is not usable]
            if not _left[path]:
                _left.pop(path)
            _let_go(turn)
            _let_go(gate)
            return place


class _Place:
    """
    A place in the kernel's queue, for the *turn* and then the *gate*.

    The kernel queues blocked callers but knows no time limit: a thread stands in the queue. Where
    one still stands for somebody who gave up, its place is taken by the next to come.
    """

    def __init__(self, turn: Descriptor, gate: Descriptor) -> None:
        self.turn = turn
        self.gate = gate
        self.error: OSError | None = None
        self.left = False
        self._standing = False
        self._at_gate = False
        self._arrived = False
        self._signal = _thread.allocate_lock()
        self._signal.acquire()

    def stand(self) -> None:
        """Let a thread stand there, if none does. Raises `UnavailableError` if there is none."""
        if self._standing:
            return
        try:
            # `Thread.start` would wait for the thread to run, which costs more than the rest.
            _thread.start_new_thread(self._stand, ())
        except RuntimeError as error:
            hint = "raise the limit that 'ulimit -u' shows"
            raise UnavailableError("a thread", "cannot be started", hint) from error

    def wait(self, patience: float) -> None:
        """Wait up to *patience* seconds for the thread to arrive."""
        self._signal.acquire(timeout=patience)

    def arrived_or_leave(self, path: Path) -> bool:
        """Tell whether the gate is reached, and give the place up if it is not."""
        arrived = self._arrived  # at once: the thread may hold the mutex to give its turn back
        if arrived:
            return True
        with _mutex:
            if self._arrived:
                return True
            if not self._standing:
                self.left = True
                self._let_go()
            elif not self.left:
                self.left = True
                if self._at_gate:
                    _let_go(self.turn)  # whoever comes next need not wait for this gate
            if self._standing and self not in _left.get(path, ()):
                _left.setdefault(path, []).append(self)
            return False

    def is_usable(self, here: os.stat_result) -> bool:
        """Tell whether somebody who left it still stands there, before the very file *here*."""
        if not self.left or not self._standing or self.gate.number < 0:
            return False
        return os.path.samestat(os.fstat(self.gate.number), here)

    def _stand(self) -> None:
        with _mutex:
            if self._is_left():
                return  # given up before this began
            self._standing = True
            turn, gate = self.turn.number, self.gate.number
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with _mutex:
                self._at_gate = True
                if self._is_left():
                    self._let_go()
                    return
            fcntl.flock(gate, fcntl.LOCK_EX)
        except OSError as error:
            self.error = error
        with _mutex:
            if self._is_left():
                self._let_go()
                return
            self._arrived = True
            self._signal.release()
        with _mutex:  # the one who waits here is not kept waiting for that
            _let_go(self.turn)

    def _is_left(self) -> bool:
        return self.left

    def _let_go(self) -> None:
        _let_go(self.turn)
        _let_go(self.gate)


_mutex = Mutex()
_stays: dict[int, _Stay] = {}
"""Who holds a gate, by its descriptor; in a forked child they are somebody else's."""
_left: dict[Path, list[_Place]] = {}
"""Places that nobody waits for any longer, until their threads can leave the kernel's queue."""


def _before_fork() -> None:
    _mutex.take(sys._getframe(1))  # noqa: SLF001 - what forks holds it until it has


def _after_fork() -> None:
    _mutex.give(sys._getframe(1))  # noqa: SLF001 - see above


def _forget_all() -> None:
    global _mutex  # noqa: PLW0603 - its holder is not here
    _mutex = Mutex()
    _stays.clear()
    _left.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_forget_all
    )


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go(descriptor: Descriptor) -> None:
    # Closing alone would not do: the lock belongs to the open file description (flock(2)), which
    # a child that was forked meanwhile has as well.
    descriptor.unlock()
    descriptor.close()


def _other_owner(folder: str | int) -> os.stat_result | None:
    """Return whose *folder* is, where we may make something for another user."""
    if is_root():
        with suppress(OSError):
            return os.stat(folder)  # noqa: PTH116 - a descriptor
    return None


def _open_plain(
    descriptor: Descriptor, path: Path, folder: int | None, above: os.stat_result | None
) -> None:
    name = path if folder is None else path.name
    number = descriptor.open(name, _OPEN, 0o600, folder=folder)
    status = os.fstat(number)
    if above is not None and not status.st_uid and status.st_nlink == 1:  # perhaps just made
        give_to_owner(number, path, replaced=above, found=status)
    # What has a second name is somebody's file, and must not be written to.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        descriptor.close()
        raise OSError(0, "is no file of its own")


def _lock_error(path: Path, error: OSError) -> UnavailableError:
    problem = f"cannot be locked ({error.strerror})"
    hint = "keep the state on a file system that knows flock, such as a local disk"
    return UnavailableError(str(path), problem, hint)
