"""Laws of locks whose owner is gone, stands still, or is another kind of program."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from clawstate.testing.forked import Child, child_process
from clawstate.testing.lock_hooks import (
    IMPATIENT,
    NO_PROCESS,
    ROUNDS,
    LockHooks,
    LockTrait,
    payload_of,
)


class StrangerLaws(LockHooks):
    """What holds of lock files that somebody else made or left."""

    # Owners that are gone, and owners that are not

    def test_a_killed_owner_frees_the_lock(self, tmp_path: Path) -> None:
        """What a process held that was killed can be had by another."""
        self.require(LockTrait.DEAD_OWNERS)
        with self.held_elsewhere(tmp_path / "data") as holder:
            holder.kill()
            self.assert_free(tmp_path / "data")

    def test_a_zombie_holds_nothing(self, tmp_path: Path) -> None:
        """A killed owner whose parent has not noticed yet keeps nobody out."""
        self.require(LockTrait.DEAD_OWNERS)
        with self.held_elsewhere(tmp_path / "data") as holder:
            holder.kill(reap=False)
            self.assert_free(tmp_path / "data")

    def test_a_stopped_owner_is_not_robbed(self, tmp_path: Path) -> None:
        """An owner that lives keeps its lock, though it gives no sign for the stale time."""
        self.require(LockTrait.DEAD_OWNERS)
        path = tmp_path / "data"
        with self.held_elsewhere(path, stale=0.001) as holder:
            holder.stop()
            with suppress(FileNotFoundError):
                os.utime(self.lock_file(path), (1e9, 1e9))
            self.assert_held(path, stale=0.001)

    def test_of_many_breakers_one_is_inside(self, tmp_path: Path) -> None:
        """Processes that find the lock of a dead one at the same time enter one by one."""
        self.require(LockTrait.FOREIGN)
        path = tmp_path / "count"
        path.write_text("0")
        dead = payload_of(NO_PROCESS)

        def work(child: Child) -> None:
            for _ in range(ROUNDS):
                child.say()
                child.hear()
                self.count_up(path, 1)

        with child_process(work) as one, child_process(work) as two, child_process(work) as three:
            for _ in range(ROUNDS):
                for child in (one, two, three):
                    child.hear()
                self.plant(path, dead)
                for child in (one, two, three):
                    child.say()
            codes = one.wait(), two.wait(), three.wait()

        assert codes == (0, 0, 0)
        assert path.read_text() == str(3 * ROUNDS)

    # Lock files of OpenClaw

    def test_a_dead_number_frees_the_lock(self, tmp_path: Path) -> None:
        """A fresh lock file that names no living process is taken over at once."""
        self.require(LockTrait.FOREIGN)
        self.plant(tmp_path / "data", payload_of(NO_PROCESS))

        self.assert_free(tmp_path / "data")

    @pytest.mark.filterwarnings("ignore::clawstate.errors.StaleLockWarning")
    @pytest.mark.parametrize("content", ["number", "empty", "garbage"])
    def test_age_alone_decides_about_strangers(self, tmp_path: Path, content: str) -> None:
        """A lock file whose owner cannot be examined is respected while fresh, and only then."""
        self.require(LockTrait.FOREIGN)
        path = tmp_path / "data"
        old = time.time() - 3600
        texts = {"empty": b"", "garbage": b'{"pid": 1, \xff'}
        self.plant(path, texts.get(content, payload_of(os.getpid())))
        self.assert_held(path)

        self.plant(path, texts.get(content, payload_of(os.getpid(), created=old)), age=3600)

        self.assert_free(path)

    def test_nothing_is_followed(self, tmp_path: Path) -> None:
        """A link in the place of the lock file leads nowhere, and keeps what it points to."""
        self.require(LockTrait.FOREIGN)
        target = tmp_path / "precious"
        dead = payload_of(NO_PROCESS)
        target.write_bytes(dead)
        self.lock_file(tmp_path / "data").symlink_to(target)

        with suppress(Exception), self.make_lock(tmp_path / "data", timeout=IMPATIENT):
            pass

        assert target.read_bytes() == dead
