"""Filters of a memory with so many records that not all of them are asked at once."""

from __future__ import annotations

from random import Random

import pytest

from clawstate.memory.backends.sqlite import SqliteMemory, reading, selections
from clawstate.memory.service import Memory
from seeds import seed

WORDS = ["lobster", "reef", "tide", "pearl", "anchor", "harbour", "storm", "lantern"]
RECORDS = 400
FILTERS = [
    {"where": {"year": {"gte": 2028}}},
    {"where": {"year": {"gte": 2012}}},
    {"where": {"year": 2014}, "tags": ["even"]},
    {"where": {"rare": True}},
    {"where": {"year": {"exists": False}}},
    {"since": 1_000_300.0},
    {"where": {"$or": [{"year": 2011}, {"$source": "a/b.md"}]}},
    {"source": "a"},
    {"namespace": None, "where": {"year": {"lt": 2012}}},
]


@pytest.fixture
def few_at_once(monkeypatch):
    """Make a search ask 60 records at most, and 160 candidates of each leg."""
    monkeypatch.setattr(selections, "AT_ONCE", 60)
    monkeypatch.setattr(selections, "STEP", 60)
    monkeypatch.setattr(reading, "_WIDE", 160)


@pytest.fixture
def engine(tmp_path, clock):
    return SqliteMemory(tmp_path / "memory.db", vectors=tmp_path / "v", clock=clock)


@pytest.fixture
def kept(engine, clock):
    """Return a memory of some hundred records, a few of another namespace."""
    memory = Memory(engine, clock=clock)
    random = Random(seed())
    memory.add_many(
        {
            "text": " ".join(random.choices(WORDS, k=5)) + f" n{number}",
            "namespace": "other" if number % 9 == 0 else "default",
            "tags": ["even"] if number % 2 == 0 else [],
            "source": f"a/{'b' if number % 50 == 0 else number}.md",
            "created_at": 1_000_000.0 + number,
            "metadata": {"rare": number == 77}
            | ({"year": 2010 + number % 20} if number % 8 else {}),
        }
        for number in range(1, RECORDS)
    )
    yield memory
    memory.close()


def found(memory, chosen, text, mode="hybrid"):
    hits = memory.search(text, mode=mode, **chosen)
    return [(hit.record.id, pytest.approx(hit.score, abs=1e-5)) for hit in hits]


@pytest.mark.parametrize("chosen", FILTERS, ids=repr)
@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_a_filter_lets_the_same_through_the_first_time(kept, few_at_once, chosen, mode) -> None:
    """A filter that was never asked before gives what it gives when all records were asked."""
    asked = [f"{one} {other}" for one in WORDS[:4] for other in WORDS[4:]]
    first = [found(kept, chosen, text, mode) for text in asked]

    for number in range(8):
        kept.search(f"anything n{number}", **chosen)

    # Asked in other words, so that no answer is one that was kept.
    assert first == [found(kept, chosen, f"{text}?", mode) for text in asked]
    assert any(first)


def test_a_search_asks_some_records_and_not_all(kept, engine, few_at_once) -> None:
    """Asked again, a filter is asked of some more records each time, until all are known."""
    known = []
    for number in range(12):
        kept.search(f"lobster n{number}", where={"year": {"gte": 2012}})
        (selected,) = engine._selections._recent.values()
        known.append(selected.newest)

    assert known[:4] == [0, 60, 120, 180]
    assert known[-1] == RECORDS - 1


def test_what_changes_meanwhile_is_seen(kept, few_at_once, clock) -> None:
    """Records that are added, changed, deleted or expire while a filter is half known count."""
    chosen = {"where": {"year": {"gte": 2012}}}
    for number in range(3):
        kept.search(f"lobster n{number}", **chosen)
    (old, *_) = kept.search("reef", **chosen)
    kept.delete(old.record.id)
    (new,) = kept.add_many(
        [{"text": "reef reef reef", "metadata": {"year": 2031}, "expires_at": clock() + 50}]
    )
    changed = kept.search("reef tide", where={"year": 2011})[0].record.id
    kept.update(changed, metadata={"year": 2040})

    hits = {hit.record.id for hit in kept.search("reef ", k=300, **chosen)}
    assert {new, changed} <= hits
    assert old.record.id not in hits
    clock.advance(60)
    hits = {hit.record.id for hit in kept.search("reef  ", k=300, **chosen)}
    assert new not in hits
    assert changed in hits
