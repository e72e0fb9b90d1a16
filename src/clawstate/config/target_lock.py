"""
The lock of what a configuration leads to: of the directories that its files really lie in.

A file lock lies beside the name that a configuration has for its file. Two names may lead to one
file, from one state or from two, and then have two locks. So writers also hold the kernel's lock on
the real directory, which leaves nothing there: it may be a repository of other things.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clawstate.errors import LockTimeoutError
from clawstate.files.descriptors import Descriptor

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PAUSE = 0.005  # seconds between two tries


@contextmanager
def target_locks(files: Iterable[Path], *, timeout: float) -> Iterator[None]:
    """
    Hold the locks of the real directories of *files*, taken in one order by everybody.

    To be taken after the locks of the files. A directory that is missing has nobody to exclude, and
    on a file system without such locks those of the files have to do. Raises `LockTimeoutError`
    after *timeout* seconds.
    """
    folders = sorted({os.path.dirname(os.path.realpath(each)) for each in files})  # noqa: PTH120
    end = time.monotonic() + timeout
    with ExitStack() as held:
        for folder in folders:
            descriptor = Descriptor()
            try:
                descriptor.open(folder, _OPEN)
            except OSError:
                continue
            number = held.enter_context(descriptor)
            _take(number, folder, end, timeout)
        yield


def _take(number: int, folder: str, end: float, timeout: float) -> None:
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                hint = "another program writes the configuration there; try again"
                raise LockTimeoutError(folder, timeout, hint) from None
            time.sleep(_PAUSE)
        except OSError:  # a network file system that has none
            return
        else:
            return
