"""Sessions behave as a dict of entries and an archive would, whatever is called in what order."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import clawstate
from clawstate.errors import NotFoundError
from manual_clock import ManualClock

KEYS = st.sampled_from(["a", "A", "telegram:42", "../x", "ä", "a\u0308", "con"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
NAMES = st.sampled_from(["label", "model", "n", "origin"])


class SessionMachine(RuleBasedStateMachine):
    """Compares one engine with what its sessions should be."""

    store = "file"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock()
        self.state = clawstate.open(self.folder, store=self.store, clock=self.clock)
        self.fields: dict[str, dict] = {}
        self.ids: dict[str, str] = {}
        self.times: dict[str, float] = {}
        self.gone: dict[tuple[str, str], dict] = {}

    def teardown(self) -> None:
        self.state.close()
        shutil.rmtree(self.folder)

    @property
    def sessions(self):
        return self.state.sessions

    @initialize()
    def begin(self) -> None:
        assert self.sessions.entries() == ()

    @rule(key=KEYS)
    def resolve(self, key) -> None:
        entry = self.sessions.resolve(key)
        if key not in self.ids:
            self.ids[key], self.fields[key] = entry.session_id, {}
            self.times[key] = self.clock.now
        assert entry.session_id == self.ids[key]

    @rule(key=KEYS, patch=st.dictionaries(NAMES, VALUES, max_size=3))
    def patch(self, key, patch) -> None:
        if key not in self.ids:
            with pytest.raises(NotFoundError):
                self.sessions.update(key, patch)
            return
        self.sessions.update(key, patch)
        self.fields[key] = {**self.fields[key], **patch}
        self._trim(key)
        self.times[key] = self.clock.now

    @rule(key=KEYS, name=NAMES, value=VALUES)
    def replace(self, key, name, value) -> None:
        with suppress(NotFoundError):
            self.sessions.update(key, lambda _: {name: value})
        if key in self.ids:
            self.fields[key] = {name: value}
            self._trim(key)
            self.times[key] = self.clock.now

    @rule(key=KEYS)
    def delete(self, key) -> None:
        assert self.sessions.delete(key) == (key in self.ids)
        if key in self.ids:
            self._archive(key)
            del self.times[key]

    @rule(key=KEYS)
    def reset(self, key) -> None:
        if key not in self.ids:
            with pytest.raises(NotFoundError):
                self.sessions.reset(key)
            return
        kept = self.fields[key]
        self._archive(key)
        self.ids[key] = self.sessions.reset(key).session_id
        self.fields[key], self.times[key] = kept, self.clock.now

    @rule(data=st.data())
    def restore(self, data) -> None:
        archived = self.sessions.archived()
        if not archived:
            return
        chosen = data.draw(st.sampled_from(archived))
        key = chosen.session_key
        fields = self.gone.pop((key, chosen.session_id))
        if key in self.ids:
            self._archive(key)
        entry = self.sessions.restore(chosen.archive)
        self.ids[key], self.fields[key] = entry.session_id, fields
        self.times[key] = self.clock.now
        assert entry.session_id == chosen.session_id

    @rule(most=st.integers(0, 3))
    def prune(self, most) -> None:
        oldest = sorted(self.ids, key=lambda key: (self.times[key], key))
        pruned = self.sessions.prune(max_entries=most)
        assert [each.session_key for each in pruned.removed] == oldest[: max(0, len(oldest) - most)]
        for each in pruned.removed:
            self._archive(each.session_key)
            del self.times[each.session_key]

    @rule(seconds=st.integers(1, 1000))
    def wait(self, seconds) -> None:
        self.clock.advance(seconds)

    @rule()
    def reopen(self) -> None:
        self.state.close()
        self.state = clawstate.open(self.folder, store=self.store, clock=self.clock)

    @rule(key=KEYS)
    def lose_profile(self, key) -> None:
        if self.store == "file" and key in self.ids:
            (self.folder / "sessions" / self.sessions.get(key).session_file).unlink()

    @invariant()
    def all_is_there(self) -> None:
        found = {each.session_key: each for each in self.sessions.entries()}
        assert {key: each.session_id for key, each in found.items()} == self.ids
        for key in self.ids:
            entry = self.sessions.get(key)
            assert entry.fields == self.fields[key]
            assert entry.updated_at == self.times[key]
        archived = {(each.session_key, each.session_id) for each in self.sessions.archived()}
        assert archived == self.gone.keys()
        assert self.sessions.check() == ()

    def _archive(self, key) -> None:
        self.gone[key, self.ids.pop(key)] = self.fields.pop(key)

    def _trim(self, key) -> None:
        for name in ("model",):
            if isinstance(self.fields[key].get(name), str):
                self.fields[key][name] = self.fields[key][name].strip()


class SqliteSessionMachine(SessionMachine):
    store = "sqlite"


LIMITS = settings(max_examples=15, stateful_step_count=25)
TestSessionsOnFiles = SessionMachine.TestCase
TestSessionsOnFiles.settings = LIMITS
TestSessionsOnSqlite = SqliteSessionMachine.TestCase
TestSessionsOnSqlite.settings = LIMITS
