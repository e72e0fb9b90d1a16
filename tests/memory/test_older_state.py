"""States that earlier releases made."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import clawstate
from clawstate.memory.backends.sqlite import stem_upkeep, subwords
from clawstate.memory.service import Memory

FORMAT_1 = Path(__file__).with_name("format_1.db.gz")
FORMAT_5 = Path(__file__).with_name("format_5.db.gz")
FORMAT_7 = Path(__file__).with_name("format_7.db.gz")
FORMAT_8 = Path(__file__).with_name("format_8.db.gz")
FORMAT_9 = Path(__file__).with_name("format_9.db.gz")


@pytest.fixture
def memory(tmp_path):
    """Give a memory that was made before records had titles, headings and names."""
    folder = tmp_path / "state" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(FORMAT_1.read_bytes()))
    with clawstate.open(tmp_path / "state") as state:
        yield state.memory


def test_it_is_read_at_once(memory: Memory) -> None:
    """The first call, a search, finds what was kept, as it was kept."""
    (hit, *_) = memory.search("what does Ada like to drink?")

    assert (hit.record.id, hit.record.text) == ("tea", "Ada prefers green tea")
    assert (hit.record.tags, hit.record.metadata) == (("preference",), {"person": "ada", "n": 1})
    assert (hit.record.title, hit.record.headings, hit.record.names) == (None, (), ())
    assert hit.record.created_at == 1700000000.5
    texts = {record.text for record in memory.records(namespace=None)}
    assert {"At nine, at the harbour", "The umbrella is in the hall"} < texts
    assert len(texts) == 7
    sources = {f"/home/ada/notes/{name}" for name in ("Boiler manual.md", "Lisbon.md")}
    assert memory.imports.sources() == sources
    # What it forgot before is in the file still.
    assert {each.code for each in memory.check()} <= {"memory-forgotten"}


def test_it_takes_fields_of_a_record(memory: Memory) -> None:
    """Old records can be called by names, and keep their vectors."""
    memory.update("tea", title="Drinks", names=["Ada"])

    record = memory.require("tea")

    assert (record.title, record.names) == ("Drinks", ("Ada",))
    assert memory.stats()["waiting"] == 0
    assert memory.search("green tea", mode="vector")[0].record == record


def test_words_are_indexed_anew_where_they_were_cut(tmp_path: Path) -> None:
    """A state whose index cut Hindi words at their vowel signs finds them whole at once."""
    folder = tmp_path / "state" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(FORMAT_5.read_bytes()))

    with clawstate.open(tmp_path / "state") as state:
        hits = state.memory.search("पासपोर्ट", mode="words")

        assert [hit.record.id for hit in hits] == ["passport"]
        assert list(state.memory.check(deep=True)) == []


def test_subwords_that_were_counted_one_by_one_count_with_those_beside_the_tail(tmp_path) -> None:
    """Of an older state and of what is added to it each subword is counted as often as it is."""
    folder = tmp_path / "state" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(FORMAT_7.read_bytes()))

    with clawstate.open(tmp_path / "state") as state:
        memory = state.memory
        assert memory.search("green tea")[0].record.id == "tea"
        memory.add("A lantern at the harbour", namespace="home")
        memory.delete("umbrella")
        counted = []
        for _ in range(2):
            with memory._engine._database.reading() as connection:
                counted.append(+Counter(subwords.occurrences(connection)))
                kept = connection.execute("SELECT scope, subwords FROM memories").fetchall()
            memory.optimize()

        held = Counter(
            (scope, number) for scope, blob in kept for number in np.frombuffer(blob, "<u2")
        )
        assert counted == [held, held]
        assert list(memory.check(deep=True)) == []


def test_records_of_before_histories_get_some(tmp_path: Path) -> None:
    """A state made before versions were kept keeps them from the first change on."""
    folder = tmp_path / "state" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(FORMAT_8.read_bytes()))

    with clawstate.open(tmp_path / "state") as state:
        memory = state.memory
        (only,) = memory.history("tea")
        assert (only.record.text, only.since) == ("Ada prefers green tea", 1700000000.5)

        new = memory.supersede("tea", "Ada prefers black tea")

        assert [each.record.text for each in memory.history(new.id)] == [
            "Ada prefers green tea",
            "Ada prefers black tea",
        ]
        assert new.title == "Drinks"
        assert len(memory.records(namespace=None)) == 4
        assert [each for each in memory.check(deep=True) if each.severity != "info"] == []


@pytest.mark.parametrize("finish", ["writes", "optimize", "deletes"])
def test_records_of_before_stems_get_them_in_steps(tmp_path: Path, monkeypatch, finish) -> None:
    """A state made before other languages had stems is searched at once, and gets them later."""
    monkeypatch.setattr(stem_upkeep, "_AT_FIRST", 2)
    monkeypatch.setattr(stem_upkeep, "AT_ONCE", 1)
    folder = tmp_path / "state" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(FORMAT_9.read_bytes()))

    with clawstate.open(tmp_path / "state") as state:
        memory = state.memory

        def ids(query: str) -> list[str]:
            return [hit.record.id for hit in memory.search(query, mode="words")]

        assert (ids("Häuser"), ids("green tea")) == (["houses"], ["tea"])
        assert memory.needs_optimizing()
        assert next(iter(memory.check(deep=True))).code == "memory-slow"
        if finish == "writes":
            for number in range(6):
                memory.add(f"The ferry number {number} leaves at nine")
        elif finish == "deletes":
            assert memory.delete("houses")
            memory.optimize()
            assert ids("Haus") == ids("Häuser") == []
            memory.add("Die Häuser am Hafen")
        else:
            memory.optimize()

        assert not memory.needs_optimizing()
        assert len(ids("Haus")) == 1
        assert (ids("gato"), ids("книгу")) == (["cats"], ["books"])
        memory.optimize()
        assert [each for each in memory.check(deep=True) if each.severity != "info"] == []
