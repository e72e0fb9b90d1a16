"""Laws of engines that keep records on disk: restarts, other programs, damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawstate.errors import CorruptError
from clawstate.records.contract import DELETE, Backend, Capability
from clawstate.testing.collection_hooks import NOTES, OTHERS, CollectionHooks
from clawstate.testing.hooks import needs


class DiskLaws(CollectionHooks):
    """What holds of records on disk, seen from another time and by other programs."""

    @needs(Capability.DURABLE)
    def test_records_outlive_the_engine(self, backend: Backend, tmp_path: Path) -> None:
        """After a restart every record is there with its revision, and no deleted one."""
        notes, others = backend.collection(NOTES), backend.collection(OTHERS)
        notes.put("gone", 1)
        kept = [notes.put(key, {"x": key}) for key in ("a", "\U0001f99e", "\0")]
        notes.delete("gone")
        other = others.put("a", [])

        again = self.reopen(backend, tmp_path)
        try:
            assert list(again.collection(NOTES).scan()) == sorted(kept, key=lambda each: each.key)
            assert list(again.collection(OTHERS).scan()) == [other]
            assert again.collection(NOTES).put("a", 2, expect=kept[0].revision).value == 2
        finally:
            again.close()

    @needs(Capability.DURABLE)
    def test_reading_makes_nothing(self, backend: Backend, tmp_path: Path) -> None:
        """Asking for a collection and reading it creates no file."""
        before = sorted(tmp_path.rglob("*"))
        notes = backend.collection(NOTES)

        assert (notes.get("a"), list(notes.scan()), notes.count()) == (None, [], 0)
        assert notes.changes().complete

        assert sorted(tmp_path.rglob("*")) == before

    @needs(Capability.DURABLE)
    def test_what_is_kept_is_what_is_told(self, backend: Backend, tmp_path: Path) -> None:
        """Read around the engine, the state holds the records that the engine gives."""
        notes = backend.collection(NOTES)
        notes.put("a", {"x": 1.0})
        notes.put("b", None)
        notes.put("c", 1)
        notes.update("a", lambda old: {**(old or {}), "y": 2})
        notes.delete("c")

        assert self.raw_read(tmp_path, NOTES) == {"a": {"x": 1, "y": 2}, "b": None}

    @needs(Capability.DURABLE)
    def test_what_cannot_be_read_is_not_overwritten(self, backend: Backend, tmp_path: Path) -> None:
        """Over a damaged record a read complains, and a change is refused and names the file."""
        notes = backend.collection(NOTES)
        notes.put("a", {"x": 1})
        self.raw_damage(tmp_path, NOTES, "a")

        assert self.complains(lambda: notes.get("a"))
        attempts: list[Callable[[], Any]] = [
            lambda: notes.put("a", 2),
            lambda: notes.delete("a"),
            lambda: notes.update("a", lambda _: 2),
            lambda: notes.update("a", lambda _: DELETE),
            lambda: notes.change_all(lambda _: ({}, None)),
        ]
        for attempt in attempts:
            with pytest.raises(CorruptError) as caught:
                attempt()
            assert self.place(tmp_path) in caught.value.path

    @needs(Capability.FILES)
    def test_another_programs_file_is_read(self, backend: Backend, tmp_path: Path) -> None:
        """What another program writes into the file is what the next call sees."""
        notes = backend.collection(NOTES)
        notes.put("a", 1)
        cursor = notes.changes().cursor

        self.raw_write(tmp_path, NOTES, '{"b": {"y": 1, "x": 2}, "a": 2}')

        found = notes.get("b")
        assert found is not None
        assert list(found.value) == ["y", "x"]
        assert [each.key for each in notes.scan()] == ["a", "b"]
        news = notes.changes(cursor)
        assert not news.complete or news.keys == {"a", "b"}

    @needs(Capability.FILES)
    def test_the_rest_of_a_file_stays(self, backend: Backend, tmp_path: Path) -> None:
        """What in a file is no record of the collection stays, in its order."""
        before = '{"version": 1, "first": [1], "others": {"b": {}, "a": {"z": 1}}, "last": null}'
        self.raw_write(tmp_path, OTHERS, before)

        backend.collection(OTHERS).update("a", lambda old: {**(old or {}), "y": 2})

        wanted = (
            '{"version": 1, "first": [1], "others": {"b": {}, "a": {"z": 1, "y": 2}}, "last": null}'
        )
        assert json.dumps(json.loads(self.raw_text(tmp_path, OTHERS))) == wanted

    @needs(Capability.FILES)
    @pytest.mark.parametrize("text", ["", "{", '{"a": 1}}', "[1]", "7", '{"a": NaN}'])
    def test_a_damaged_file_is_left_alone(
        self, backend: Backend, tmp_path: Path, text: str
    ) -> None:
        """A file that cannot be read is told of, refused, and left as it is, byte for byte."""
        notes = backend.collection(NOTES)
        self.raw_write(tmp_path, NOTES, text)

        assert self.complains(lambda: notes.get("a"))
        with pytest.raises(CorruptError):
            notes.put("a", 1)
        with pytest.raises(CorruptError):
            notes.change_all(lambda _: ({}, None))

        assert self.raw_text(tmp_path, NOTES) == text
