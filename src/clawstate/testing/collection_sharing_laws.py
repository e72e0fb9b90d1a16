"""Laws of engines that are shared: by threads, by processes, until they are closed."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from clawstate.errors import ClosedError, ConflictError
from clawstate.records.contract import ABSENT, Backend, Capability, Collection, Json
from clawstate.testing.collection_hooks import NOTES, CollectionHooks
from clawstate.testing.hooks import needs

THREADS: Final = 8
UPDATES: Final = 200
PROCESSES: Final = 3
_PATIENCE = 120.0  # seconds


class SharingLaws(CollectionHooks):
    """What holds when several use the engine, and when nobody may any longer."""

    def test_racing_updates_are_all_counted(self, notes: Collection) -> None:
        """Threads that update one record at once lose no update."""

        def work(_: int) -> None:
            for _ in range(UPDATES):
                notes.update("counter", _plus_one)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))

        counter = notes.get("counter")
        assert counter is not None
        assert counter.value == THREADS * UPDATES

    def test_racing_adds_have_one_winner(self, notes: Collection) -> None:
        """Of threads that add one key at once, one succeeds and all others are told."""
        barrier = threading.Barrier(THREADS)

        def work(number: int) -> bool:
            barrier.wait(_PATIENCE)
            try:
                notes.put("a", number, expect=ABSENT)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(THREADS) as pool:
            won = list(pool.map(work, range(THREADS)))

        found = notes.get("a")
        assert found is not None
        assert [number for number in range(THREADS) if won[number]] == [found.value]

    def test_racing_changes_keep_records_together(self, notes: Collection) -> None:
        """No scan sees half of a change of all, while threads move value between records."""
        notes.change_all(lambda _: (dict.fromkeys("abcd", 25), None))
        stop = threading.Event()

        def move(number: int) -> None:
            source, target = "abcd"[number], "abcd"[number - 1]
            for _ in range(25):
                notes.change_all(lambda old: (_transfer(old, source, target), None))

        def watch() -> int:
            sums = 0
            while not stop.is_set():
                assert sum(each.value for each in notes.scan()) == 100
                sums += 1
            return sums

        with ThreadPoolExecutor(5) as pool:
            watching = pool.submit(watch)
            try:
                list(pool.map(move, range(4)))
            finally:
                stop.set()
            assert watching.result() > 0

        assert [each.value for each in notes.scan()] == [25] * 4

    def test_reads_do_not_wait_for_a_writer(self, notes: Collection) -> None:
        """While a change runs, other threads read what was there before it."""
        before = notes.put("a", 1)
        running, go_on = threading.Event(), threading.Event()

        def slow(_: Json) -> Json:
            running.set()
            assert go_on.wait(_PATIENCE)
            return 2

        with ThreadPoolExecutor(1) as pool:
            change = pool.submit(notes.update, "a", slow)
            try:
                assert running.wait(_PATIENCE)
                seen = notes.get("a"), list(notes.scan()), notes.count(), notes.changes().complete
            finally:
                go_on.set()
            after = change.result()

        assert seen == (before, [before], 1, True)
        assert notes.get("a") == after

    @needs(Capability.SHARED)
    def test_racing_processes_lose_nothing(self, backend: Backend, tmp_path: Path) -> None:
        """Processes that update one record and add records of their own lose none of it."""
        context = multiprocessing.get_context("spawn")
        notes = backend.collection(NOTES)
        cursor = notes.changes().cursor
        workers = [
            context.Process(target=_work, args=(self, tmp_path, number))
            for number in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(_PATIENCE)

        assert [worker.exitcode for worker in workers] == [0] * PROCESSES
        own = {f"{number}/{step}": step for number in range(PROCESSES) for step in range(_STEPS)}
        wanted = {**own, "counter": PROCESSES * _STEPS}
        assert {each.key: each.value for each in notes.scan()} == wanted
        news = notes.changes(cursor)
        assert not news.complete or news.keys >= wanted.keys()

    @needs(Capability.SHARED)
    def test_two_engines_see_each_other(self, backend: Backend, tmp_path: Path) -> None:
        """What one engine changed another one over the same state finds, revisions included."""
        notes = backend.collection(NOTES)
        other = self.make(tmp_path)
        try:
            others = other.collection(NOTES)
            put = notes.put("a", 1)
            assert others.get("a") == put
            cursor = others.changes().cursor
            second = notes.put("a", 2, expect=put.revision)
            with pytest.raises(ConflictError):
                others.put("a", 3, expect=put.revision)
            news = others.changes(cursor)
            assert not news.complete or news.keys == {"a"}
            assert others.delete("a", expect=second.revision)
            assert notes.get("a") is None
        finally:
            other.close()

    def test_a_closed_engine_says_so(self, backend: Backend) -> None:
        """After `close` every call raises `ClosedError`, and closing again does nothing."""
        notes = backend.collection(NOTES)
        notes.put("a", 1)
        backend.close()
        backend.close()

        calls: list[Callable[[], Any]] = [
            lambda: notes.get("a"),
            lambda: list(notes.scan()),
            notes.count,
            lambda: notes.put("a", 1),
            lambda: notes.delete("a"),
            lambda: notes.update("a", lambda _: 1),
            lambda: notes.change_all(lambda _: ({}, None)),
            lambda: notes.change_some(["a"], lambda _: ({}, None)),
            notes.changes,
            lambda: backend.collection(NOTES),
        ]
        for call in calls:
            with pytest.raises(ClosedError):
                call()


_STEPS: Final = 30


def _work(suite: SharingLaws, tmp_path: Path, number: int) -> None:
    backend = suite.make(tmp_path)
    notes = backend.collection(NOTES)
    for step in range(_STEPS):
        notes.update("counter", _plus_one)
        notes.put(f"{number}/{step}", step, expect=ABSENT)
    backend.close()


def _plus_one(old: Json | None) -> Json:
    time.sleep(0)  # lets the others in, if they can
    return (old or 0) + 1


def _transfer(old: dict[str, Json], source: str, target: str) -> dict[str, Json]:
    time.sleep(0)
    return {**old, source: old[source] - 1, target: old[target] + 1}
