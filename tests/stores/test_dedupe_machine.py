"""Marks against a plain model, on every engine, with memory and without, through any history."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clawstate.records.inmemory import InMemoryBackend
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.sqlite import SqliteBackend
from clawstate.stores.dedupe import DedupeSettings, PersistentDedupe, marks_spec
from manual_clock import ManualClock

KEYS = st.sampled_from([*"abcdef", "7", "10"])
SPACES = st.sampled_from(["t", "m"])


class Model:
    """What holds: a dictionary of times for each namespace, the youngest last."""

    def __init__(self, ttl, limit):
        self.ttl, self.limit = ttl, limit
        self.marks = {"t": {}, "m": {}}

    def holds(self, key, space, now):
        made = self.marks[space].get(key)
        return made is not None and (not self.ttl or now - made < self.ttl)

    def record(self, keys, space, now):
        marks = self.marks[space]
        new = [key for key in dict.fromkeys(keys) if not self.holds(key, space, now)]
        for key in new:
            marks.pop(key, None)
            marks[key] = now
        if new:
            self.tidy(space, now)
        return new

    def tidy(self, space, now):
        alive = {k: made for k, made in self.marks[space].items() if self.holds(k, space, now)}
        gone = len(self.marks[space]) - min(len(alive), self.limit)
        self.marks[space] = dict([*alive.items()][max(0, len(alive) - self.limit) :])
        return gone


class DedupeMachine(RuleBasedStateMachine):
    engine = "inmemory"

    @initialize(ttl=st.sampled_from([0, 5, 60]), limit=st.sampled_from([1, 3, 8]))
    def begin(self, ttl, limit):
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.settings = DedupeSettings(ttl=ttl, memory_max_size=0, file_max_entries=limit)
        root = Path(self.folder.name)
        self.backend = {
            "inmemory": InMemoryBackend,
            "file": lambda: JsonFilesBackend(root),
            "sqlite": lambda: SqliteBackend(root / "records.db"),
        }[self.engine]()
        self.stores = [self.store(), self.store()]
        self.model = Model(ttl, limit)

    def store(self):
        def collection(name):
            path = PurePosixPath(f"{name}.json")
            rules = lambda: self.settings.policy(self.clock())  # noqa: E731
            return self.backend.collection(marks_spec(name, path, rules))

        return PersistentDedupe(collection, settings=lambda: self.settings, clock=self.clock)

    @property
    def now(self):
        return self.clock.now

    @rule(key=KEYS, space=SPACES, who=st.integers(0, 1))
    def check(self, key, space, who):
        # Two marks of one moment have an order in some engines only.
        self.clock.advance(0.001)
        new = self.model.record([key], space, self.now)

        assert self.stores[who].check_and_record(key, space) == bool(new)

    @rule(keys=st.lists(KEYS, max_size=1), twice=st.booleans(), space=SPACES)
    def check_many(self, keys, twice, space):
        self.clock.advance(0.001)
        new = self.model.record(keys, space, self.now)
        asked = keys * 2 if twice else keys

        found = self.stores[0].check_many(asked, space)

        assert [key for key, is_new in zip(asked, found, strict=True) if is_new] == new

    @rule(key=KEYS, space=SPACES, who=st.integers(0, 1))
    def look(self, key, space, who):
        assert self.stores[who].seen(key, space) == self.model.holds(key, space, self.now)

    @rule(key=KEYS, space=SPACES, who=st.integers(0, 1))
    def forget(self, key, space, who):
        found = self.stores[who].forget(key, space)

        if self.model.holds(key, space, self.now):
            assert found
        self.model.marks[space].pop(key, None)

    @rule(space=SPACES)
    def prune(self, space):
        self.stores[0].prune(space)

        self.model.tidy(space, self.now)

    @rule(seconds=st.sampled_from([0.5, 4.999, 5, 59.999, 60, 1000]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def start_anew(self):
        self.stores = [self.store(), self.store()]

    @invariant()
    def marks_are_few(self):
        for space in ("t", "m"):
            if hasattr(self, "stores"):
                stats = self.stores[0].stats(space)
                held = sum(
                    self.model.holds(key, space, self.now) for key in self.model.marks[space]
                )
                assert stats.marks == held <= self.settings.file_max_entries

    def teardown(self):
        if hasattr(self, "backend"):
            self.backend.close()
            self.folder.cleanup()


class FileMachine(DedupeMachine):
    engine = "file"


class SqliteMachine(DedupeMachine):
    engine = "sqlite"


def few(machine, examples):
    case = machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=25, deadline=None)
    return case


TestInMemory = few(DedupeMachine, 100)
TestInFiles = few(FileMachine, 20)
TestInSqlite = few(SqliteMachine, 20)


class RememberingMachine(RuleBasedStateMachine):
    """One store with memory: every answer is that of a store without."""

    @initialize(ttl=st.sampled_from([0, 5, 60]), size=st.sampled_from([1, 2, 5]))
    def begin(self, ttl, size):
        self.clock = ManualClock()
        self.model = Model(ttl, 1000)
        backend = InMemoryBackend()
        self.settings = DedupeSettings(ttl, memory_max_size=size)

        def collection(name):
            rules = lambda: self.settings.policy(self.clock())  # noqa: E731
            return backend.collection(marks_spec(name, PurePosixPath(f"{name}.json"), rules))

        self.store = PersistentDedupe(collection, settings=lambda: self.settings, clock=self.clock)
        self.size = size

    @rule(key=KEYS, space=SPACES)
    def check(self, key, space):
        new = self.model.record([key], space, self.clock.now)

        assert self.store.check_and_record(key, space) == bool(new)

    @rule(keys=st.lists(KEYS), space=SPACES)
    def check_many(self, keys, space):
        new = set(self.model.record(keys, space, self.clock.now))

        found = self.store.check_many(keys, space)

        assert {key for key, is_new in zip(keys, found, strict=True) if is_new} == new
        assert sum(found) == len(new)

    @rule(key=KEYS, space=SPACES)
    def forget(self, key, space):
        self.store.forget(key, space)
        self.model.marks[space].pop(key, None)

    @rule(space=SPACES)
    def warm_up(self, space):
        assert self.store.warm_up(space) <= self.size

    @rule(seconds=st.sampled_from([0.5, 4.999, 5, 59.999, 60]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def clear(self):
        self.store.clear_memory()

    @invariant()
    def memory_is_bounded(self):
        if hasattr(self, "store"):
            assert self.store.statistics().memory_size <= self.size


TestRemembering = few(RememberingMachine, 100)
