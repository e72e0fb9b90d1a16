"""Laws of leases: one holder at a time, and nobody who was late writes."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from clawstate.errors import InvalidError, LeaseLostError, LockTimeoutError
from clawstate.interrupts import discard_own
from clawstate.interrupts.holdings import _held
from clawstate.records.contract import ABSENT, DELETE, Backend, Capability, Collection
from clawstate.records.leases import LEASES, LeaseHolding
from clawstate.testing.collection_hooks import NOTES, CollectionHooks
from clawstate.testing.forked import Child, child_process
from clawstate.testing.hooks import ManualTime, needs

TTL: Final = 30.0  # seconds
THREADS: Final = 4
_PATIENCE = 60.0  # seconds
_DAY = 86400.0  # seconds


class LeaseLaws(CollectionHooks):
    """What holds of leases, whoever holds them and however that ends."""

    def test_a_lease_has_one_holder(self, backend: Backend) -> None:
        """Who asks for a lease that another holds is told who that is; other names are free."""
        lease = backend.lease("import", TTL)

        with pytest.raises(LockTimeoutError) as caught:
            backend.lease("import", TTL)

        assert str(os.getpid()) in caught.value.holder
        assert lease.is_held()
        assert backend.lease("index", TTL).is_held()

    def test_a_lease_that_was_given_back_is_free(self, backend: Backend) -> None:
        """A released lease is held no longer, and is granted with a greater number."""
        lease = backend.lease("import", TTL)
        lease.release()
        lease.release()

        second = backend.lease("import", TTL)

        assert second.fence > lease.fence > 0
        assert (lease.is_held(), second.is_held()) == (False, True)
        for call in (lease.require, lease.renew, lease.keep_alive):
            with pytest.raises(LeaseLostError):
                call()
        second.require()

    def test_a_lease_ends_with_its_block(self, backend: Backend) -> None:
        """Behind its `with` block a lease is free, also where an error ended the block."""
        with backend.lease("import", TTL) as lease:
            assert lease.is_held()
        with pytest.raises(KeyError), backend.lease("import", TTL):
            raise KeyError

        assert backend.lease("import", TTL).fence > lease.fence

    def test_a_lease_ends_with_its_time(self, backend: Backend) -> None:
        """After its ttl a lease is over for its holder, and free for the next one."""
        clock = ManualTime()
        late = backend.lease("import", TTL, ticks=clock)
        clock.now += TTL - 0.001
        assert late.is_held()
        with pytest.raises(LockTimeoutError):
            backend.lease("import", TTL, ticks=clock)

        clock.now += 0.001
        assert not late.is_held()
        second = backend.lease("import", TTL, ticks=clock)

        assert second.fence > late.fence
        for call in (late.require, late.renew, late.keep_alive):
            with pytest.raises(LeaseLostError, match="import"):
                call()
        late.release()
        assert second.is_held()

    def test_what_a_closed_backend_held_is_in_nobody_s_way(self, backend: Backend) -> None:
        """A lease whose backend was closed can be given up, and nothing is tried for it again."""
        others = [*_held.values()]  # of whoever has the rest of this process
        lease = backend.lease("import", TTL)
        left_behind = backend.lease("index", TTL)
        backend.close()

        lease.release()
        del left_behind
        discard_own()

        leases = [each for each in _held.values() if isinstance(each, LeaseHolding)]
        assert not any(each.is_over() for each in leases if each not in others)

    def test_a_renewed_lease_begins_anew(self, backend: Backend) -> None:
        """Each renewal gives the whole ttl again, under the same number."""
        clock = ManualTime()
        lease = backend.lease("import", TTL, ticks=clock)
        fence = lease.fence
        for call in (lease.renew, lease.keep_alive, lease.renew):
            clock.now += TTL - 1
            call()

        clock.now += TTL - 1
        with pytest.raises(LockTimeoutError):
            backend.lease("import", TTL, ticks=clock)
        assert lease.is_held()
        assert lease.fence == fence

    def test_keeping_alive_is_free_at_first(self, backend: Backend) -> None:
        """In the first third of its time `keep_alive` writes nothing."""
        clock = ManualTime()
        lease = backend.lease("import", TTL, ticks=clock)
        before = backend.collection(LEASES).get("import")

        clock.now += TTL / 3 - 1
        lease.keep_alive()
        assert backend.collection(LEASES).get("import") == before
        clock.now += 2
        lease.keep_alive()
        assert backend.collection(LEASES).get("import") != before

    def test_a_lease_that_nobody_knows_is_free(self, backend: Backend, notes: Collection) -> None:
        """What was held by an object that is gone is free at once; no collector need find it."""
        collects = gc.isenabled()
        gc.disable()
        try:
            for number in range(3):  # the first one makes files and folders
                lease = backend.lease("import", TTL)
                notes.fenced(lease).put("a", number)
                lease.renew()
                del lease

            assert backend.lease("import", TTL).is_held()
        finally:
            if collects:
                gc.enable()

    def test_a_late_holder_writes_nothing(self, backend: Backend, notes: Collection) -> None:
        """No change goes through a lease that is over, and what the next one wrote stays."""
        clock = ManualTime()
        late = backend.lease("import", TTL, ticks=clock)
        fenced = notes.fenced(late)
        fenced.put("a", 1)
        fenced.update("b", lambda _: 1)
        fenced.change_all(lambda old: ({**old, "c": 1}, None))
        fenced.change_some(["d"], lambda _: ({"d": 1}, None))
        assert fenced.delete("d")
        clock.now += TTL
        second = backend.lease("import", TTL, ticks=clock)
        notes.fenced(second).put("a", 2)
        clock.now -= TTL  # as if the late one had stood still

        before = list(notes.scan())
        attempts: list[Callable[[], Any]] = [
            lambda: fenced.put("a", 3),
            lambda: fenced.put("new", 3, expect=ABSENT),
            lambda: fenced.delete("a"),
            lambda: fenced.update("a", lambda _: 3),
            lambda: fenced.update("a", lambda _: DELETE),
            lambda: fenced.change_all(lambda _: ({}, None)),
            lambda: fenced.change_some(["a"], lambda _: ({}, None)),
        ]
        for attempt in attempts:
            with pytest.raises(LeaseLostError):
                attempt()

        assert list(notes.scan()) == before
        assert list(fenced.scan()) == before
        assert {each.key: each.value for each in before} == {"a": 2, "b": 1, "c": 1}

    def test_a_lease_that_was_given_back_fences(self, backend: Backend, notes: Collection) -> None:
        """Who gave a lease back writes nothing more through it, though nobody else has it."""
        lease = backend.lease("import", TTL)
        fenced = notes.fenced(lease)
        lease.release()

        with pytest.raises(LeaseLostError):
            fenced.put("a", 1)

        assert notes.get("a") is None

    @pytest.mark.parametrize("lease", [None, "import", 1, object()])
    def test_only_a_lease_fences(self, notes: Collection, lease: Any) -> None:
        """What is no lease is refused at once, before anything could be written without a fence."""
        with pytest.raises(InvalidError, match="lease"):
            notes.fenced(lease)

    def test_racing_threads_hold_it_one_by_one(self, backend: Backend) -> None:
        """Of threads that want one lease at once each gets it, alone, with a number of its own."""
        inside: list[int] = []
        fences: list[int] = []

        def work(number: int) -> None:
            for _ in range(5):
                with backend.lease("import", TTL, wait=_PATIENCE) as lease:
                    inside.append(number)
                    assert inside == [number]
                    time.sleep(0)
                    inside.remove(number)
                    fences.append(lease.fence)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))

        assert fences == sorted(set(fences))
        assert len(fences) == THREADS * 5

    def test_a_holder_elsewhere_has_its_whole_time(self, backend: Backend) -> None:
        """Whatever its clock says, another machine's lease lasts its ttl from when it is seen."""
        clock = ManualTime()
        lease = backend.lease("import", TTL)
        leases = backend.collection(LEASES)
        elsewhere = {"host": "elsewhere", "bootId": "another", "ticks": -_DAY * 1000}
        leases.update("import", lambda old: {**(old or {}), **elsewhere})

        for later in (0.0, TTL - 1, 0.5):
            clock.now += later
            with pytest.raises(LockTimeoutError, match="elsewhere"):
                backend.lease("import", TTL, ticks=clock)
        leases.update("import", lambda old: {**(old or {}), "ticks": 7})  # a sign of life
        with pytest.raises(LockTimeoutError):
            backend.lease("import", TTL, ticks=clock)
        clock.now += TTL - 1
        with pytest.raises(LockTimeoutError):
            backend.lease("import", TTL, ticks=clock)
        clock.now += 1

        assert backend.lease("import", TTL, ticks=clock).fence > lease.fence

    @pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_lease_has_an_end(self, backend: Backend, ttl: float) -> None:
        """A ttl that is none, and a name that is no key, are refused."""
        with pytest.raises(InvalidError):
            backend.lease("import", ttl)
        with pytest.raises(InvalidError):
            backend.lease("", TTL)
        with pytest.raises(InvalidError):
            backend.lease("import", TTL, wait=-1.0)

        assert backend.lease("import", TTL).fence == 1

    @pytest.mark.parametrize("seconds", ["1", None, True, [1.0]])
    def test_the_times_of_a_lease_are_numbers(self, backend: Backend, seconds: Any) -> None:
        """A ttl or wait that is no number of seconds is refused, and nothing is granted."""
        with pytest.raises(InvalidError, match="ttl"):
            backend.lease("import", seconds)
        with pytest.raises(InvalidError, match="wait"):
            backend.lease("import", TTL, wait=seconds)

        assert backend.lease("import", TTL).fence == 1

    @needs(Capability.DURABLE)
    def test_numbers_outlive_the_engine(self, backend: Backend, tmp_path: Path) -> None:
        """After a restart the next grant has a greater number than any before."""
        fences = []
        for _ in range(3):
            with backend.lease("import", TTL) as lease:
                fences.append(lease.fence)
        again = self.reopen(backend, tmp_path)
        try:
            assert again.lease("import", TTL).fence > max(fences)
        finally:
            again.close()

    @needs(Capability.SHARED)
    def test_a_killed_holder_holds_nothing(self, backend: Backend, tmp_path: Path) -> None:
        """The lease of a process that was killed is granted at once, long before its time."""

        def hold(child: Child) -> None:
            lease = self.make(tmp_path).lease("import", _DAY)
            child.say()
            child.hear()
            lease.release()

        with child_process(hold) as child:
            child.hear()
            with pytest.raises(LockTimeoutError, match=f"process {child.pid}"):
                backend.lease("import", TTL)
            child.kill()

            assert backend.lease("import", TTL).fence == 2

    @needs(Capability.SHARED)
    def test_a_stopped_holder_is_fenced_off(self, backend: Backend, tmp_path: Path) -> None:
        """Who stood still beyond its time finds the lease lost, and overwrites nothing."""
        clock = ManualTime()

        def hold(child: Child) -> None:
            mine = self.make(tmp_path)
            late = mine.lease("import", TTL, ticks=clock)
            child.say()
            child.hear()
            with pytest.raises(LeaseLostError):
                mine.collection(NOTES).fenced(late).put("a", "late")
            assert not late.is_held()
            late.release()

        with child_process(hold) as child:
            child.hear()
            child.stop()
            with pytest.raises(LockTimeoutError):
                backend.lease("import", TTL, ticks=clock)
            clock.now += TTL
            second = backend.lease("import", TTL, ticks=clock)
            notes = backend.collection(NOTES)
            notes.fenced(second).put("a", "new")
            os.kill(child.pid, signal.SIGCONT)
            child.say()

            assert child.wait() == 0
            found = notes.get("a")
            assert found is not None
            assert found.value == "new"
            assert second.is_held()

    @needs(Capability.SHARED)
    @pytest.mark.parametrize("step", [-_DAY, _DAY])
    def test_a_calendar_that_is_set_ends_nothing(
        self, backend: Backend, tmp_path: Path, step: float
    ) -> None:
        """A lease stays its holder's when the clock of the machine is set, on either side."""

        def ask(child: Child) -> None:
            now = time.time
            time.time = lambda: now() + step
            with pytest.raises(LockTimeoutError):
                self.make(tmp_path).lease("import", TTL)
            mine = self.make(tmp_path).lease("index", TTL)
            time.time = now
            assert mine.is_held()
            child.say()
            child.hear()
            mine.renew()

        lease = backend.lease("import", TTL)
        with child_process(ask) as child:
            child.hear()
            with pytest.raises(LockTimeoutError):
                backend.lease("index", TTL)
            assert lease.is_held()
            child.say()
            assert child.wait() == 0

    @needs(Capability.SHARED)
    def test_a_child_does_not_hold_it(self, backend: Backend, notes: Collection) -> None:
        """A forked child has neither the lease of its parent nor a way to end it."""
        lease = backend.lease("import", TTL)
        fenced = notes.fenced(lease)

        def use(_: Child) -> None:
            assert not lease.is_held()
            for call in (lease.require, lease.renew, lease.keep_alive):
                with pytest.raises(LeaseLostError):
                    call()
            with pytest.raises(LeaseLostError):
                fenced.put("a", 1)
            lease.release()

        with child_process(use) as child:
            assert child.wait() == 0

        assert lease.is_held()
        fenced.put("a", 2)
