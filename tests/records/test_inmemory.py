from __future__ import annotations

from pathlib import Path

import pytest

from clawstate.errors import InvalidError
from clawstate.records import inmemory
from clawstate.records.inmemory import InMemoryBackend
from clawstate.testing.collection_machine import collection_machine
from clawstate.testing.collection_suite import NOTES, OTHERS, CollectionSuite


class TestInMemory(CollectionSuite):
    """Records in memory keep every law."""

    def make(self, tmp_path: Path) -> InMemoryBackend:  # noqa: ARG002 - there is no file
        return InMemoryBackend()


class TestInMemoryMachine(collection_machine(lambda _: InMemoryBackend()).TestCase):
    """Records in memory answer every call as a dict would."""


def test_it_promises_nothing_more() -> None:
    """Records in memory are neither durable nor shared."""
    assert InMemoryBackend().capabilities == frozenset()


def test_engines_share_nothing() -> None:
    """Another engine has neither the records nor the cursors of this one."""
    one, two = InMemoryBackend().collection(NOTES), InMemoryBackend().collection(NOTES)
    one.put("a", 1)

    assert two.get("a") is None
    assert not two.changes(one.changes().cursor).complete


def test_old_changes_are_forgotten(monkeypatch) -> None:
    """A cursor from before the remembered changes is told that anything may have moved."""
    monkeypatch.setattr(inmemory, "REMEMBERED", 5)
    notes = InMemoryBackend().collection(NOTES)
    notes.put("a", 1)
    cursors = []
    for number in range(6):
        cursors.append(notes.changes().cursor)
        notes.put(f"{number}", 1)

    assert [notes.changes(each).complete for each in cursors] == [False] + [True] * 5
    assert notes.changes(cursors[1]).keys == set("12345")
    assert notes.changes(cursors[0]).keys == frozenset()


def test_a_change_may_read_another_collection() -> None:
    """A change may look at a collection of another kind, and must not change it."""
    backend = InMemoryBackend()
    notes, others = backend.collection(NOTES), backend.collection(OTHERS)
    others.put("a", 1)

    assert notes.update("a", lambda _: others.count()) == notes.get("a")
    with pytest.raises(InvalidError, match="'notes'"):
        notes.update("a", lambda _: others.put("a", 2).value)
    with pytest.raises(InvalidError, match="'notes'"):
        notes.update("a", lambda _: notes.count())

    assert [each.value for each in (*notes.scan(), *others.scan())] == [1, 1]
