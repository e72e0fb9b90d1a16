"""What the best hits have in common lifts those that have it too."""

from __future__ import annotations

import numpy as np
import pytest

from clawstate.memory.feedback import LEADERS, TURN, likeness, terms_in_common, weight_in_threads
from clawstate.memory.reading import Vectors

FILLER = [f"note {number} about the garden and the ferry" for number in range(30)]


def test_terms_in_common_are_those_of_several() -> None:
    """Function words, what was asked and what one text says alone are none of them."""
    texts = {1: "the kettle boils water", 2: "a kettle for water and tea", 3: "the old shed"}

    found = terms_in_common(dict.fromkeys(texts, 1.0), texts, ["kettl"], 5.0)

    assert set(found) == {"water"}


def test_better_hits_and_repeated_terms_count_more() -> None:
    """A term weighs by the scores of those that hold it, and by how often they do."""
    texts = {1: "water water tea", 2: "water tea rice", 3: "rice bread", 4: "bread oats"}
    leaders = {1: 1.0, 2: 0.8, 3: 0.2, 4: 0.1}

    found = terms_in_common(leaders, texts, [], 3.0)

    assert list(found) == ["water", "tea", "rice", "bread"]


def test_terms_of_long_turns_count_less() -> None:
    """In threads terms in common count in full where turns are short, less where they are long."""
    short, long = "w" * TURN, "w" * 2 * TURN

    assert weight_in_threads({1: 1.0}, {1: short}) == 1
    assert weight_in_threads({1: 1.0}, {1: long}) == 1 / 4
    assert 1 / 4 < weight_in_threads({1: 1.0, 2: 3.0}, {1: long, 2: short}) < 1


def test_likeness_is_to_the_middle_of_the_best() -> None:
    """Who points where the best point has a cosine of 1, whoever was asked."""
    matrix = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
    vectors = Vectors(np.arange(4), matrix, np.ones(4, np.int64))

    found = likeness({0: 2.0}, vectors)

    assert found == pytest.approx({0: 1.0, 1: 0.0, 2: 0.6, 3: -1.0})
    assert likeness({9: 1.0}, vectors) == {}


def test_a_record_like_the_best_rises(memory) -> None:
    """Of two that say as little of what is asked, what shares words with the best comes first."""
    memory.add_many({"text": each} for each in FILLER)
    memory.add_many(
        {"text": f"the wing of {each} has a boundary layer and turbulent flow"}
        for each in ("a glider", "a swallow", "the model")
    )
    far = memory.add("a wing of the palace has a painted ceiling")
    near = memory.add("a wing and its boundary layer, turbulent or not")

    hits = memory.search("wing of a glider", explain=True)
    ids = [hit.record.id for hit in hits]
    (hit,) = (each for each in hits if each.record.id == near)

    assert ids.index(near) < ids.index(far)
    assert sum(part.points for part in hit.explanation.parts if part.kind == "feedback") > 0


def test_scores_of_one_leg_are_left_alone(memory) -> None:
    """By words alone, by meaning alone, for quotes and for names nothing is added."""
    memory.add_many({"text": f"kettle {number} boils water"} for number in range(2 * LEADERS))
    memory.add_many({"text": each} for each in FILLER)

    memory.add("the kettle of copper", names=["Copper kettle"])

    for mode, query in (
        ("hybrid", "copper kettle"),
        ("words", "kettle"),
        ("vector", "kettle"),
        ("hybrid", '"kettle"'),
    ):
        for hit in memory.search(query, mode=mode, explain=True):
            assert "feedback" not in {part.kind for part in hit.explanation.parts}
