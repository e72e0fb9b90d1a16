"""Near-duplicates: that many are found among many, in groups that are bounded."""

from __future__ import annotations

import numpy as np
import pytest
from vectors_at_hand import clustered, units

from clawstate.errors import InvalidError
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.duplicates.grouping import groups_of
from clawstate.memory.duplicates.values import MOST_NAMED
from clawstate.memory.map.proximity import EXACT
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder


@pytest.fixture
def memory():
    made = Memory(InMemoryMemory(), embedder=HashEmbedder(64))
    yield made
    made.close()


def pairs_of(vectors, bound):
    """Return all pairs that are as near as *bound*, by comparing each with each."""
    near = vectors @ vectors.T >= bound
    return {(a, b) for a, b in np.argwhere(near).tolist() if a < b}


def test_among_many_hardly_one_is_missed() -> None:
    """Of more than are compared with each, 99 of 100 near pairs are in one group."""
    chance = np.random.default_rng(1)
    themes = units(clustered(chance, EXACT + 1_000))
    copies = units(themes[:800] + 0.02 * chance.standard_normal((800, 64)))
    vectors = np.concatenate([themes, copies]).astype(np.float16)
    wanted = pairs_of(vectors.astype(np.float32), 0.95)

    found = list(groups_of(vectors, np.arange(len(vectors)), 0.95))

    group = {row: number for number, each in enumerate(found) for row in each.rows.tolist()}
    together = sum(group.get(a, -1) == group.get(b, -2) for a, b in wanted)
    assert len(wanted) >= 800
    assert together >= 0.99 * len(wanted)
    assert all(each.rows[0] == each.rows.min() for each in found)


def test_vectors_of_nothing_are_near_to_nothing() -> None:
    """Vectors of zeros are in no group, unless their texts are equal."""
    nothing = np.zeros((4, 8), np.float16)

    found = list(groups_of(nothing, np.array([0, 1, 2, 1]), 0.8))

    assert [each.rows.tolist() for each in found] == [[1, 3]]


def test_a_group_names_so_many(memory) -> None:
    """Of a text that is there very often a group names the first hundred, and counts the rest."""
    memory.add_many({"text": "the same line again"} for _ in range(MOST_NAMED + 7))

    (found,) = memory.duplicates()

    assert (len(found.records), len(found.similarities), found.more) == (100, 100, 7)


@pytest.mark.parametrize("bound", [0.79, 1.01, float("nan"), True, "0.9"])
def test_a_similarity_out_of_range_is_refused(memory, bound) -> None:
    """Only a number from 0.8 to 1 says how alike two are to be."""
    with pytest.raises(InvalidError, match="min_similarity"):
        memory.duplicates(min_similarity=bound)
