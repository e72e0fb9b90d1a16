"""`collection_machine`: an engine of records beside a dict, under any sequence of calls."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clawstate.errors import ConflictError
from clawstate.records.contract import (
    ABSENT,
    ANY,
    DELETE,
    Backend,
    Capability,
    Collection,
    Json,
)
from clawstate.testing.collection_hooks import NOTES, OTHERS
from clawstate.testing.collection_model import Model, require_same, texts_of

Factory = Callable[[Path], Backend]
"""Opens the engine under test over the state in a directory."""

_KEYS = st.sampled_from(
    ["a", "a/b", "a/c", "aa", "b", "42", "e\u0301", "\u00e9", "a\U0010ffff", "\0"]
)
_PREFIXES = st.sampled_from(["", "a", "a/", "b", "\u00e9", "a\U0010ffff", "zz"])
_WHERE = st.sampled_from(["notes", "others"])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def collection_machine(factory: Factory, *, steps: int = 30) -> type[CollectionMachine]:
    """
    Return a state machine that compares the engine that *factory* opens with a dict.

    Its `TestCase` is for pytest; *steps* is the greatest number of calls in one run, of which
    there are a fifth of the examples of the hypothesis profile.

    .. code-block:: python

        class TestMyEngine(collection_machine(MyBackend).TestCase): ...
    """

    class Machine(CollectionMachine):
        def make(self, path: Path) -> Backend:
            return factory(path)

    Machine.TestCase.settings = settings(
        max_examples=max(settings().max_examples // 5, 1), stateful_step_count=steps, deadline=None
    )
    return Machine


class CollectionMachine(RuleBasedStateMachine):
    """Two collections of one engine beside what they must hold; see `collection_machine`."""

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(tempfile.mkdtemp(prefix="clawstate-test-"))
        self._models = {"notes": Model(), "others": Model()}
        self._open()

    def make(self, path: Path) -> Backend:
        """Open the engine under test over the state in the directory *path*."""
        raise NotImplementedError(path)

    @rule(where=_WHERE, key=_KEYS, value=_VALUES)
    def put(self, where: str, key: str, value: Json) -> None:
        """Put a value whatever is there."""
        self._models[where].note(key, self._at(where).put(key, value, expect=ANY), value)

    @rule(where=_WHERE, key=_KEYS, value=_VALUES)
    def add(self, where: str, key: str, value: Json) -> None:
        """Put a value that must be new."""
        if key in self._models[where].records:
            with pytest.raises(ConflictError):
                self._at(where).put(key, value, expect=ABSENT)
        else:
            self._models[where].note(key, self._at(where).put(key, value, expect=ABSENT), value)

    @rule(where=_WHERE, key=_KEYS, value=_VALUES)
    def replace(self, where: str, key: str, value: Json) -> None:
        """Put a value in the place of a known one."""
        found = self._models[where].records.get(key)
        if found is not None:
            put = self._at(where).put(key, value, expect=found.revision)
            self._models[where].note(key, put, value)

    @rule(where=_WHERE, key=_KEYS, value=_VALUES)
    def come_too_late(self, where: str, key: str, value: Json) -> None:
        """Expect a value that is no longer there."""
        for revision in self._models[where].lost_revisions(key):
            with pytest.raises(ConflictError):
                self._at(where).put(key, value, expect=revision)
            with pytest.raises(ConflictError):
                self._at(where).delete(key, expect=revision)

    @rule(where=_WHERE, key=_KEYS, known=st.booleans())
    def delete(self, where: str, key: str, known: bool) -> None:  # noqa: FBT001
        """Delete a record."""
        found = self._models[where].records.get(key)
        expect = found.revision if found is not None and known else ANY
        assert self._at(where).delete(key, expect=expect) == (found is not None)
        self._models[where].drop(key)

    @rule(where=_WHERE, key=_KEYS, value=_VALUES)
    def update(self, where: str, key: str, value: Json) -> None:
        """Make a new value of the old one."""
        found = self._models[where].records.get(key)
        wanted = [None if found is None else found.value, value]
        updated = self._at(where).update(key, lambda old: [old, value])
        assert updated is not None
        self._models[where].note(key, updated, wanted)

    @rule(where=_WHERE, key=_KEYS)
    def update_to_delete(self, where: str, key: str) -> None:
        """Delete a record by an update."""
        assert self._at(where).update(key, lambda _: DELETE) is None
        self._models[where].drop(key)

    @rule(where=_WHERE, key=_KEYS)
    def update_and_fail(self, where: str, key: str) -> None:
        """Fail within a change."""
        with pytest.raises(ZeroDivisionError):
            self._at(where).update(key, lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            self._at(where).change_all(lambda _: ({}, 1 // 0))

    @rule(
        where=_WHERE,
        new=st.dictionaries(_KEYS, _VALUES, max_size=3),
        keep=st.sets(_KEYS),
        only=st.none() | st.sets(_KEYS, max_size=3),
    )
    def change_many(
        self, where: str, new: dict[str, Json], keep: set[str], only: set[str] | None
    ) -> None:
        """Keep some records of all, or of *only* these, delete the others, put some more."""
        at, model = self._at(where), self._models[where]
        asked = model.records.keys() if only is None else only | new.keys()

        def change(old: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
            return {**{key: value for key, value in old.items() if key in keep}, **new}, old

        before = at.change_all(change) if only is None else at.change_some(asked, change)
        assert texts_of(before) == {k: text for k, text in model.texts().items() if k in asked}
        for key in (model.records.keys() & asked) - keep - new.keys():
            model.drop(key)
        for key, value in new.items():
            found = at.get(key)
            assert found is not None
            model.note(key, found, value)

    @rule(where=_WHERE, key=_KEYS)
    def get(self, where: str, key: str) -> None:
        """Read a record."""
        require_same(self._at(where).get(key), self._models[where].records.get(key))

    @rule(
        where=_WHERE,
        prefix=_PREFIXES,
        after=st.none() | _KEYS,
        limit=st.none() | st.integers(0, 4),
    )
    def scan(self, where: str, prefix: str, after: str | None, limit: int | None) -> None:
        """Read some records."""
        records = self._models[where].records
        keys = sorted(key for key in records if key.startswith(prefix))
        wanted = [key for key in keys if after is None or key > after][:limit]
        found = list(self._at(where).scan(prefix, after=after, limit=limit))
        assert [each.key for each in found] == wanted
        for each in found:
            require_same(each, records[each.key])
        assert self._at(where).count(prefix) == len(keys)

    @rule(where=_WHERE)
    def take_cursor(self, where: str) -> None:
        """Remember this moment."""
        self._models[where].remember(self._at(where).changes().cursor)

    @rule(where=_WHERE)
    def ask_for_changes(self, where: str) -> None:
        """Ask what moved since the moments that are remembered."""
        for moment in self._models[where].moments:
            news = self._at(where).changes(moment.cursor)
            lasting = Capability.LASTING_CURSORS in self._backend.capabilities
            self._models[where].check(moment, news, may_forget=not lasting)

    @precondition(lambda self: Capability.DURABLE in self._backend.capabilities)
    @rule()
    def reopen(self) -> None:
        """Close the engine and open it again."""
        self._backend.close()
        self._open()
        if Capability.LASTING_CURSORS not in self._backend.capabilities:
            for model in self._models.values():
                model.moments.clear()

    @invariant()
    def records_agree(self) -> None:
        """Hold what the dict holds."""
        for where, model in self._models.items():
            found = {each.key: each for each in self._at(where).scan()}
            assert list(found) == sorted(model.records)
            for key, each in found.items():
                require_same(each, model.records[key])

    def teardown(self) -> None:
        """Remove what the run left."""
        self._backend.close()
        shutil.rmtree(self._root)

    def _open(self) -> None:
        self._backend = self.make(self._root)
        self._collections: dict[str, Collection] = {
            "notes": self._backend.collection(NOTES),
            "others": self._backend.collection(OTHERS),
        }

    def _at(self, where: str) -> Collection:
        return self._collections[where]
