from __future__ import annotations

import pytest

from clawstate.memory.backends.sqlite import embeddings
from soundness import damage_of


def test_the_embedding_cache_is_bounded(memory, monkeypatch) -> None:
    """Vectors of forgotten texts are kept up to a number, the oldest leave first."""
    monkeypatch.setattr(embeddings, "CACHED_VECTORS", 10)
    ids = memory.add_many({"text": f"lobster {number}"} for number in range(30))

    memory.delete_many(ids)

    assert memory.stats()["cached_vectors"] == 10


def test_findings_tell_of_a_damaged_word_index(memory) -> None:
    """A record that its word index lacks is found by a deep check, and mended by `repair`."""
    memory.add_many([{"text": "the lobster sleeps"}, {"text": "the parrot talks"}])
    with memory._engine._database.writing() as connection:
        connection.execute("DELETE FROM word_tail")

    assert [each.code for each in memory.check()] == ["memory-index"]
    (repaired,) = memory.repair()

    assert (repaired.fix, repaired.repair) == ("built anew", None)
    assert damage_of(memory) == []
    assert len(memory.search("lobster", mode="words")) == 1


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("UPDATE scopes SET records = records + 1", "memory-damage"),
        ("INSERT INTO tags VALUES ('nobody', 'lost')", "memory-damage"),
        ("UPDATE word_totals SET documents = documents + 1", "memory-index"),
        ("UPDATE word_terms SET token = token || 'x'", "memory-index"),
    ],
)
def test_findings_tell_of_lost_ends(memory, damage, code) -> None:
    """Counts, tags and words that belong to no record are found, and only indexes are mended."""
    memory.add("the lobster sleeps", tags=["sea"])
    assert damage_of(memory) == []

    with memory._engine._database.writing() as connection:
        connection.execute(damage)

    (found,) = memory.check()
    assert (found.code, found.repair is not None) == (code, code == "memory-index")
