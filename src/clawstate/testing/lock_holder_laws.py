"""Laws of who holds a lock: one at a time, knowing it, and leaving nothing behind."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from clawstate.testing.forked import Child, child_process, child_processes, in_threads
from clawstate.testing.lock_hooks import IMPATIENT, PATIENT, ROUNDS, LockHooks, LockTrait


class HolderLaws(LockHooks):
    """What holds of a lock among programs that all ask for it in the same way."""

    # One holder at a time

    def test_no_change_is_lost(self, tmp_path: Path) -> None:
        """Of threads in processes that count up in one file each is counted."""
        path = tmp_path / "count"
        path.write_text("0")

        def work(_: Child | None = None) -> None:
            in_threads(2, lambda: self.count_up(path, ROUNDS))

        with child_process(work) as one, child_process(work) as other:
            work()
            codes = one.wait(), other.wait()

        assert codes == (0, 0)
        assert path.read_text() == str(3 * 2 * ROUNDS)

    def test_who_waits_in_vain_is_told(self, tmp_path: Path) -> None:
        """While another process holds the lock, waiting ends with an error."""
        with self.held_elsewhere(tmp_path / "data") as holder:
            self.assert_held(tmp_path / "data")
            holder.say()
            assert holder.wait() == 0

        self.assert_free(tmp_path / "data")

    def test_another_thread_is_kept_out(self, tmp_path: Path) -> None:
        """While a thread holds the lock, another of the same process does not."""
        with self.make_lock(tmp_path / "data", timeout=PATIENT):
            in_threads(1, lambda: self.assert_held(tmp_path / "data"))

        in_threads(1, lambda: self.assert_free(tmp_path / "data"))

    def test_an_error_frees_the_lock(self, tmp_path: Path) -> None:
        """The lock is given back when the block fails."""
        with (
            pytest.raises(ZeroDivisionError),
            self.make_lock(tmp_path / "data", timeout=PATIENT),
        ):
            _ = 1 / 0

        in_threads(1, lambda: self.assert_free(tmp_path / "data"))

    def test_locks_of_two_files_are_two(self, tmp_path: Path) -> None:
        """A lock keeps nobody from another file."""
        with self.held_elsewhere(tmp_path / "data"):
            self.assert_free(tmp_path / "other")

    # The same thread again

    def test_what_a_thread_holds_it_may_take_again(self, tmp_path: Path) -> None:
        """A lock is free only after as many releases as acquisitions, of whatever objects."""
        self.require(LockTrait.REENTRANT)
        path = tmp_path / "data"
        with self.make_lock(path, timeout=PATIENT):
            with self.make_lock(path, timeout=IMPATIENT):
                pass
            in_threads(1, lambda: self.assert_held(path))

        in_threads(1, lambda: self.assert_free(path))

    # Fencing

    @pytest.mark.parametrize("by", ["nobody", "somebody"])
    def test_a_lost_lock_is_noticed(self, tmp_path: Path, by: str) -> None:
        """After the lock file was removed or replaced, `confirm` raises; the stranger's stays."""
        self.require(LockTrait.FENCED)
        planted = self.lock_file(tmp_path / "data")
        with self.make_lock(tmp_path / "data", timeout=PATIENT) as lock:
            lock.confirm()
            planted.unlink()
            if by == "somebody":
                self.plant(tmp_path / "data", b"theirs")

            with pytest.raises(self.lost_error):
                lock.confirm()

        assert planted.exists() == (by == "somebody")

    def test_a_forked_child_holds_nothing(self, tmp_path: Path) -> None:
        """A child forked inside holds nothing, and frees nothing when it leaves the block."""
        self.require(LockTrait.FENCED)
        path = tmp_path / "data"

        def leave(child: Child) -> None:
            with pytest.raises(self.lost_error):
                lock.confirm()
            lock.__exit__(None, None, None)
            self.assert_held(path)
            child.say()
            child.hear()

        with child_processes() as fork:
            with self.make_lock(path, timeout=PATIENT) as lock:
                child = fork(leave)
                child.hear()
                lock.confirm()
            self.assert_free(path)
            child.say()
            assert child.wait() == 0

    # The file itself

    @pytest.mark.parametrize("mask", [0o000, 0o077])
    def test_the_lock_file_is_private(self, tmp_path: Path, mask: int) -> None:
        """Whatever the umask, nobody else may read or write the lock file."""
        self.require(LockTrait.PRIVATE)
        before = os.umask(mask)
        try:
            with self.make_lock(tmp_path / "data", timeout=PATIENT):
                mode = stat.S_IMODE(self.lock_file(tmp_path / "data").lstat().st_mode)
        finally:
            os.umask(before)

        assert mode == 0o600

    def test_the_lock_file_always_names_its_owner(self, tmp_path: Path) -> None:
        """Whenever the lock file is there, it names a process and a time."""
        self.require(LockTrait.PRIVATE)
        path = tmp_path / "count"
        path.write_text("0")
        seen = []
        with child_process(lambda _: self.count_up(path, 5 * ROUNDS)) as child:
            while not child.ended():
                with suppress(FileNotFoundError):
                    seen.append(self.lock_file(path).read_bytes())

        assert seen
        assert {json.loads(each)["pid"] for each in seen} == {child.pid}
        assert all(json.loads(each)["createdAt"].endswith("Z") for each in seen)

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        """After a release the lock file is gone, and nothing but the data is in sight."""
        with self.make_lock(tmp_path / "data", timeout=PATIENT):
            pass

        assert [each for each in tmp_path.iterdir() if not each.name.startswith(".")] == []
