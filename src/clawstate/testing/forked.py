"""Forked processes that a test talks with, and threads whose errors it hears of."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE = 60.0  # seconds that the other side may take


class Child:
    """A forked process and a line to it; either side may `say` something the other can `hear`."""

    def __init__(self, work: Callable[[Child], None]) -> None:
        to_child, to_parent = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork
            self.pid = os.fork()
        if self.pid == 0:
            self._in, self._out = to_child[0], to_parent[1]
            os.close(to_child[1])
            os.close(to_parent[0])
            _run(lambda: work(self))
        self._in, self._out = to_parent[0], to_child[1]
        os.close(to_parent[1])
        os.close(to_child[0])
        self._status: int | None = None

    def say(self) -> None:
        """Let the other side go on."""
        os.write(self._out, b".")

    def hear(self) -> None:
        """Wait until the other side says so, or has ended."""
        if select.select([self._in], [], [], _PATIENCE)[0]:
            os.read(self._in, 1)

    def stop(self) -> None:
        """Let the process stand still."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def kill(self, *, reap: bool = True) -> None:
        """Kill the process, if it was not waited for; it is a zombie if it is not to *reap*."""
        if self._status is not None:
            return
        os.kill(self.pid, signal.SIGKILL)
        if reap:
            self.wait()
        else:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def wait(self) -> int:
        """Return the exit code of the process, or minus the signal that ended it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def ended(self) -> bool:
        """Tell whether the process has ended."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        return found is not None

    def close(self) -> None:
        """Kill the process if it still runs."""
        self.kill()
        os.close(self._in)
        os.close(self._out)


@contextmanager
def child_process(work: Callable[[Child], None]) -> Iterator[Child]:
    """Give a child process that does *work*; it is killed at the end of the block."""
    with child_processes() as fork:
        yield fork(work)


@contextmanager
def child_processes() -> Iterator[Callable[[Callable[[Child], None]], Child]]:
    """Give a function that forks a child; all are killed at the end of the block."""
    children: list[Child] = []

    def fork(work: Callable[[Child], None]) -> Child:
        children.append(Child(work))
        return children[-1]

    try:
        yield fork
    finally:
        for child in children:
            child.close()


def in_threads(count: int, work: Callable[[], object]) -> None:
    """Call *work* in *count* threads at once, and raise the first error of one."""
    errors: list[BaseException] = []

    def guard() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=guard) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _run(work: Callable[[], None]) -> None:
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
