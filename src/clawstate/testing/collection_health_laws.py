"""Laws of what an engine knows of itself: what it holds, what is wrong, what moved."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clawstate.errors import CorruptError
from clawstate.records.cached_view import CachedView
from clawstate.records.contract import Backend, Capability, Collection, Versioned
from clawstate.testing.collection_hooks import ITEMS, NOTES, OTHERS, CollectionHooks
from clawstate.testing.hooks import needs


class HealthLaws(CollectionHooks):
    """What holds of `kinds`, `check` and `version`, and of views that stand on them."""

    def test_kinds_are_those_that_hold_something(self, backend: Backend) -> None:
        """A kind is told from its first record to its last, sorted, and by its prefix."""
        for spec in (OTHERS, NOTES, ITEMS):
            backend.collection(spec)
        assert backend.kinds() == ()

        backend.collection(OTHERS).put("a", 1)
        backend.collection(NOTES).put("a", 1)
        assert backend.kinds() == ("notes", "others")
        assert backend.kinds("no") == ("notes",)
        assert backend.kinds("x") == ()
        backend.collection(NOTES).delete("a")

        assert backend.kinds() == ("others",)

    def test_leases_are_no_kind(self, backend: Backend) -> None:
        """What an engine keeps for its leases is no part of the state."""
        with backend.lease("import", 30.0):
            assert backend.kinds() == ()
        assert backend.kinds() == ()

    @needs(Capability.DURABLE)
    def test_kinds_outlive_the_engine(self, backend: Backend, tmp_path: Path) -> None:
        """After a restart the engine knows what it holds before anybody asks for it."""
        backend.collection(OTHERS).put("a", 1)
        backend.collection(ITEMS).put("b", {"id": "b"})

        again = self.reopen(backend, tmp_path)
        try:
            assert again.kinds() == ("items", "others")
        finally:
            again.close()

    @pytest.mark.parametrize("deep", [False, True])
    def test_nothing_is_wrong_at_first(self, backend: Backend, deep: bool) -> None:  # noqa: FBT001
        """Nothing is wrong with an empty engine, nor with one that was used in every way."""
        assert list(backend.check(deep=deep)) == []
        notes = backend.collection(NOTES)
        assert list(notes.check(deep=deep)) == []
        notes.put("a", {"x": [1.5, None, "\U0001f99e"]})
        notes.put("b", 1)
        notes.delete("b")
        backend.lease("import", 30.0).release()

        assert list(backend.check(deep=deep)) == []
        assert list(notes.check(deep=deep)) == []

    @needs(Capability.DURABLE)
    def test_damage_is_found_and_mended(self, backend: Backend, tmp_path: Path) -> None:
        """A damaged record is told of without a change, and out of the way once it is mended."""
        notes, others = backend.collection(NOTES), backend.collection(OTHERS)
        notes.put("a", {"x": 1})
        other = others.put("a", {"x": 2})
        self.raw_damage(tmp_path, NOTES, "a")

        for found in (list(backend.check()), list(notes.check()), list(backend.check(deep=True))):
            (finding,) = found
            assert (finding.code, finding.severity) == ("corrupt", "error")
            assert self.place(tmp_path) in finding.path
            assert finding.repair is not None
            with pytest.raises(CorruptError):
                notes.put("a", 2)
        assert list(others.check()) == []
        done = finding.repaired()

        assert done.repair is None
        assert done.fix
        assert "it was tried" not in done.fix
        assert list(backend.check(deep=True)) == []
        assert notes.put("b", 2).value == 2
        assert others.get("a") == other
        assert finding.repaired().fix, "a second repair says what it found"
        assert notes.get("b") == notes.put("b", 2)

    def test_the_version_moves_with_every_change(self, notes: Collection) -> None:
        """The version is another one after each change, and the same without one."""
        seen = [notes.version()]
        notes.put("a", 1)
        seen.append(notes.version())
        notes.put("a", 2)
        seen.append(notes.version())
        notes.put("a", 2)
        assert notes.version() == seen[-1]
        notes.change_all(lambda old: (old, None))
        assert notes.version() == seen[-1]
        notes.delete("a")
        seen.append(notes.version())

        assert all(one != two for one, two in pairwise(seen))

    def test_a_view_says_what_a_scan_says(self, backend: Backend, notes: Collection) -> None:
        """After any change a view holds the records as they are now, in the order of keys."""
        view = CachedView(notes, lambda each: each.value)
        assert view.values() == {}
        for key in ("b", "c", "a"):
            notes.put(key, key)
            assert list(view.values().items()) == [(each.key, each.value) for each in notes.scan()]
        notes.delete("b")
        notes.update("c", lambda _: 7)
        backend.collection(OTHERS).put("x", 1)
        assert dict(view.values()) == {"a": "a", "c": 7}
        notes.change_all(lambda _: ({str(n): n for n in range(100)}, None))
        assert len(view.values()) == 100
        notes.change_all(lambda _: ({}, None))

        assert view.values() == {}

    def test_a_view_asks_no_more_than_it_must(self, backend: Backend, notes: Collection) -> None:
        """A thousand reads ask what moved once; each change asks once more, and decodes itself."""
        notes.change_all(lambda _: ({str(n): n for n in range(50)}, None))
        counted = _Counted(notes)
        decoded: list[str] = []

        def decode(record: Versioned) -> Any:
            decoded.append(record.key)
            return record.value

        view = CachedView(counted, decode)
        first = view.values()
        for _ in range(1000):
            assert view.values() is first
        assert 1 <= counted.calls["changes"] <= 1 + self.asks_again
        assert counted.calls["scan"] <= 1 + self.asks_again
        assert counted.calls.get("get", 0) == 0
        assert len(decoded) == 50

        notes.put("7", "new")
        for _ in range(1000):
            assert view.values()["7"] == "new"
        assert 2 <= counted.calls["changes"] <= 2 + self.asks_again
        assert counted.calls["scan"] <= 1 + self.asks_again
        assert decoded[50:] == ["7"]

        backend.collection(OTHERS).put("x", 1)
        held = view.values()
        for _ in range(1000):
            assert view.values() is held
        assert counted.calls["changes"] <= 3 + self.asks_again
        assert len(decoded) == 51

    def test_a_view_can_be_forgotten(self, notes: Collection) -> None:
        """After `forget` everything is decoded anew."""
        notes.put("a", 1)
        decoded: list[str] = []
        view = CachedView(notes, lambda each: decoded.append(each.key))
        view.values()
        view.forget()

        view.values()

        assert decoded == ["a", "a"]

    @needs(Capability.SHARED)
    def test_a_view_sees_other_writers(self, backend: Backend, tmp_path: Path) -> None:
        """What another engine over the same state changes is in the view at once."""
        view = CachedView(backend.collection(NOTES), lambda each: each.value)
        other = self.make(tmp_path)
        try:
            for number in range(5):
                other.collection(NOTES).put("a", number)
                assert dict(view.values()) == {"a": number}
        finally:
            other.close()


class _Counted:
    """A collection that counts how often each method is asked for."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.calls: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        self.calls[name] = self.calls.get(name, 0) + 1
        return getattr(self._collection, name)
