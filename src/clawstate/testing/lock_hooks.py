"""What the laws of a lock are told about the lock that they examine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pytest

from clawstate.clock import to_iso
from clawstate.errors import LockLostError, LockTimeoutError
from clawstate.testing.forked import Child, child_process

PATIENT, IMPATIENT = 60.0, 0.05  # seconds
NO_PROCESS = 2**22 + 1  # beyond what Linux counts to
ROUNDS = 10


class LockTrait(Enum):
    """What a lock may promise beyond that one holder is inside at a time."""

    REENTRANT = auto()
    """The thread that holds a lock may take it again, also through another object."""
    DEAD_OWNERS = auto()
    """What a dead process held is free at once, and only what a dead one held."""
    FOREIGN = auto()
    """Lock files of OpenClaw are understood: `{"pid", "createdAt"}`, taken over by age."""
    FENCED = auto()
    """`confirm` tells that a lock was taken away, and `release` leaves another's lock alone."""
    PRIVATE = auto()
    """The lock file has mode 0600, and is whole whenever it is read."""


class LockHooks:
    """How a lock is made, where its file lies, and what it promises."""

    traits: frozenset[LockTrait] = frozenset(LockTrait)
    timeout_error: type[Exception] = LockTimeoutError
    lost_error: type[Exception] = LockLostError

    def make_lock(
        self, path: Path, *, timeout: float, stale: float = 30.0
    ) -> AbstractContextManager[Any]:
        """Return a new lock on *path*, which waits for *timeout* seconds."""
        raise NotImplementedError

    def lock_file(self, path: Path) -> Path:
        """Return where the lock file of *path* lies."""
        return path.with_name(f"{path.name}.lock")

    def plant(self, path: Path, payload: bytes, *, age: float = 0.0) -> Path:
        """Put the lock file of another program there, last touched *age* seconds ago."""
        planted = self.lock_file(path)
        planted.write_bytes(payload)
        moment = time.time() - age
        os.utime(planted, (moment, moment))
        return planted

    def require(self, trait: LockTrait) -> None:
        """Skip the present test if the lock does not promise *trait*."""
        if trait not in self.traits:
            pytest.skip(f"{type(self).__name__} does not promise {trait.name}")

    def assert_held(self, path: Path, *, stale: float = 30.0) -> None:
        """Fail if the lock on *path* can be had."""
        lock = self.make_lock(path, timeout=IMPATIENT, stale=stale)
        with pytest.raises(self.timeout_error), lock:
            pytest.fail("two hold the lock")

    def assert_free(self, path: Path, *, stale: float = 30.0) -> None:
        """Fail if the lock on *path* cannot be had before long."""
        with self.make_lock(path, timeout=PATIENT / 6, stale=stale):
            pass

    @contextmanager
    def held_elsewhere(self, path: Path, *, stale: float = 30.0) -> Iterator[Child]:
        """Give a process that holds the lock on *path* until it is told to go on."""

        def hold(child: Child) -> None:
            with self.make_lock(path, timeout=PATIENT, stale=stale):
                child.say()
                child.hear()

        with child_process(hold) as holder:
            holder.hear()
            yield holder

    def count_up(self, path: Path, rounds: int) -> None:
        """Add one to the number in the file *path*, *rounds* times, under its lock."""
        lock = self.make_lock(path, timeout=PATIENT)
        for _ in range(rounds):
            with lock:
                number = int(path.read_text())
                os.sched_yield()
                path.write_text(str(number + 1))


def payload_of(pid: int, *, created: float | None = None) -> bytes:
    """Return the content of a lock file of OpenClaw; *created* in seconds, now by default."""
    moment = to_iso(time.time() if created is None else created)
    return json.dumps({"pid": pid, "createdAt": moment}, indent=2).encode()
