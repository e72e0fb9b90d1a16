"""The reasons of a search: what they tell adds up to what it shows."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder

MODES = ("hybrid", "words", "vector")
WORDS = ("tea", "teas", "kettle", "Ada", "garden", "shed", "2026-03-18", "北京", "the", "boiling")
SPEAKERS = ("", "Ada: ", "Bert Smith: ", "user: ")
said = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
records = st.fixed_dictionaries(
    {"text": st.tuples(st.sampled_from(SPEAKERS), said).map("".join)},
    optional={
        "title": said,
        "headings": st.lists(said, max_size=2),
        "names": st.lists(said, max_size=2),
        "thread": st.sampled_from(["one", "two"]),
        "namespace": st.sampled_from(["default", "work"]),
        "tags": st.sampled_from([["x"], ["x", "y"]]),
    },
)
queries = st.tuples(said, st.sampled_from(["{}", '"{}"', 'where is "{}" of Ada'])).map(
    lambda drawn: drawn[1].format(drawn[0])
)
scopes = st.sampled_from(
    [{}, {"namespace": None}, {"namespace": "work"}, {"tags": ["x"]}, {"namespace": None, "k": 2}]
)


class NarrowEmbedder(HashEmbedder):
    """Vectors whose cosines lie in a narrow band, as those of a transformer do."""

    removes_median = True
    unrelated = 0.1


@pytest.fixture(scope="module", params=["sqlite", "inmemory", "narrow"])
def make(request):
    """Give a function that makes an empty memory."""
    folders = []

    def made() -> Memory:
        engine = InMemoryMemory()
        if request.param == "sqlite":
            folders.append(tempfile.TemporaryDirectory())
            folder = Path(folders[-1].name)
            engine = SqliteMemory(folder / "memory.db", vectors=folder / "vectors")
        embedder = NarrowEmbedder() if request.param == "narrow" else HashEmbedder()
        return Memory(engine, embedder=embedder)

    yield made
    for each in folders:
        each.cleanup()


def score_of(told) -> float:
    """Return the score that an explanation's legs make, by what its docstring says."""
    mix = sum(
        leg.share * max(leg.score, 0.0) / leg.best for leg in told.legs.values() if leg.best > 0
    )
    return told.strength * mix * told.factor / told.top if told.top > 0 else 0.0


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_records=st.lists(records, min_size=1, max_size=12), query=queries, scope=scopes)
def test_parts_add_up_to_the_score(make, mode, given_records, query, scope) -> None:
    """Parts sum to the score, legs make it by the documented rule, and hits are the same."""
    memory = make()
    memory.add_many(given_records)

    hits = memory.search(query, mode=mode, explain=True, **scope)
    plain = memory.search(query, mode=mode, **scope)
    memory.close()

    assert [replace(hit, explanation=None) for hit in hits] == plain
    for hit in hits:
        told = hit.explanation
        assert told.score == hit.score
        assert sum(each.points for each in told.parts) == pytest.approx(hit.score, abs=1e-6)
        assert score_of(told) == pytest.approx(hit.score, abs=1e-6)
        for name, leg in told.legs.items():
            values = sum(each.value for each in told.parts if each.leg == name)
            assert values == pytest.approx(leg.score, abs=1e-5)
            assert leg.score <= leg.best
            assert 1 <= leg.rank <= leg.compared


def parts_of(hit, kind):
    return [each for each in hit.explanation.parts if each.kind == kind]


def test_many_candidates_are_explained_as_few(make) -> None:
    """Where more match than are compared exactly, with threads, the parts add up all the same."""
    memory = make()
    memory.add_many(
        {
            "text": f"{SPEAKERS[number % 4]}tea {'kettle ' * (number % 7)}number {number}",
            "thread": f"talk {number // 9}" if number % 5 else None,
        }
        for number in range(500)
    )

    hits = memory.search("Ada kettle tea", k=400, explain=True)
    memory.close()

    assert len(hits) == 400
    for hit in hits:
        told = hit.explanation
        assert sum(each.points for each in told.parts) == pytest.approx(hit.score, abs=1e-5)
        assert score_of(told) == pytest.approx(hit.score, abs=1e-5)


def test_each_word_is_told_where_it_stands(memory) -> None:
    """A word comes once for each field that holds it, as stem and as the record writes it."""
    memory.add("Ada preferred green teas", title="Drinks", headings=["Home", "Tea"], names=["tea"])
    memory.add_many({"text": f"filler {number}"} for number in range(9))

    (hit,) = memory.search("what tea does Ada prefer in Lisbon?", mode="words", explain=True)

    words = {(each.term, each.written, each.field) for each in parts_of(hit, "word")}
    assert words == {
        *(("tea", "teas", "text"), ("tea", "Tea", "headings"), ("tea", "tea", "names")),
        *(("ada", "Ada", "text"), ("prefer", "preferred", "text")),
    }
    assert [each.written for each in parts_of(hit, "phrase")] == ["Ada preferred"]
    assert hit.explanation.missing == ("Lisbon",)
    assert {each.leg for each in hit.explanation.parts} == {"words"}


def test_a_title_counts_as_a_name(memory) -> None:
    """The whole query is told as the name of a record that is called so."""
    memory.add("Nothing else", title="How to work")
    memory.add("work on how to do it")

    hit = memory.search("how to work", mode="words", explain=True)[0]

    (name,) = parts_of(hit, "name")
    assert (name.field, name.written, name.points > 0) == ("title", "how to work", True)


def test_what_stands_in_quotes_is_told_apart(memory) -> None:
    """A quote is a part of its own, beside the words that it is made of."""
    memory.add("the kettle in the garden shed")
    memory.add("the shed in the garden, and a kettle")

    (hit,) = memory.search('"garden shed"', mode="words", explain=True)

    (quote,) = parts_of(hit, "quote")
    assert (quote.term, quote.written) == ("garden shed", "garden shed")


def test_neighbours_are_named(memory) -> None:
    """What a record is lent in its thread names the records that lent it."""
    asked = memory.add("Where did we put the lobster trap?", thread="chat")
    memory.add("In the shed behind the house", thread="chat")
    memory.add("nothing of the kind")

    hits = memory.search("lobster trap", explain=True)

    (hit,) = (each for each in hits if "shed" in each.record.text)
    lent = [each for each in parts_of(hit, "neighbours") if each.leg == "words"]
    assert {each.term for each in lent} == {"lobster", "trap", "lobster trap"}
    assert {each.lenders for each in lent} == {(asked,)}
    (tint,) = (each for each in parts_of(hit, "neighbours") if each.leg == "vector")
    assert tint.lenders == (asked,)
    assert tint.value > 0


def test_what_lies_further_around_adds_up_as_well(memory) -> None:
    """In a long thread more of the meaning around counts, and the parts are still the score."""
    memory.add_many(
        {"text": f"kettle {number} boils water for tea", "thread": "chat"} for number in range(60)
    )

    hits = memory.search("water for the kettle", explain=True)

    for hit in hits:
        around = [each for each in parts_of(hit, "neighbours") if each.leg == "vector"]
        assert len(around) == 2
        assert sum(each.points for each in hit.explanation.parts) == pytest.approx(hit.score)


def test_a_named_speaker_is_told(memory) -> None:
    """The factor of a speaker is a part, which names whom the query named."""
    memory.add("Ada: the kettle is in the shed", thread="chat")
    memory.add("Bert: the kettle is in the house", thread="chat")

    hits = memory.search("where did Ada put the kettle?", explain=True)

    told = {hit.record.text[:3]: hit.explanation for hit in hits}
    (speaker,) = (each for each in told["Ada"].parts if each.kind == "speaker")
    assert (speaker.term, told["Ada"].factor) == ("ada", pytest.approx(1.4))
    assert speaker.points == pytest.approx(told["Ada"].score * 0.4 / 1.4)
    assert told["Ber"].factor == 1


def test_legs_tell_where_a_record_stands(memory) -> None:
    """Each leg tells its score, the best, and the place; a leg that found nothing is missing."""
    memory.add("green tea in the kettle")
    memory.add("tea")
    memory.add("the bank raised the rate of the mortgage")

    hits = memory.search("green tea, and a loan", explain=True)

    assert {hit.explanation.legs["vector"].rank for hit in hits} == {1, 2, 3}
    assert hits[0].explanation.legs["words"].best == hits[0].words_score
    for hit in hits[:2]:
        fed = sum(each.value for each in parts_of(hit, "feedback") if each.leg == "vector")
        assert hit.explanation.legs["vector"].score == pytest.approx(hit.vector_score + fed)
    (bank,) = (hit for hit in hits if "bank" in hit.record.text)
    assert bank.explanation.legs.keys() == {"vector"}


def test_equals_are_told(memory) -> None:
    """Records that score the same say how many there are; the older comes first."""
    memory.add_many({"text": "tea", "id": each} for each in ("a", "b", "c"))
    memory.add("kettle and tea")

    hits = memory.search("tea", mode="words", explain=True)

    assert [(hit.record.id, hit.explanation.equals) for hit in hits[:3]] == [
        *(("a", 2), ("b", 2), ("c", 2)),
    ]
    assert hits[3].explanation.equals == 0


def test_what_is_like_nothing_has_no_points(memory) -> None:
    """A record whose cosine is below 0 is told with it, and gets nothing for it."""
    memory.add_many({"text": text} for text in ("tea", "rate of the mortgage", "lobster trap"))

    hits = memory.search("quantum chromodynamics", mode="vector", explain=True)

    low = [hit for hit in hits if hit.explanation.legs["vector"].score <= 0]
    assert low
    assert all(each.points == 0 for hit in low for each in hit.explanation.parts)
    assert all(hit.score == 0 for hit in low)


def test_a_lone_hit_shares_nothing_with_itself(make) -> None:
    """A record that alone answers a query is told no reason that lies in the best hits."""
    memory = make()
    memory.add("the kettle boils in the garden shed")

    (hit,) = memory.search("boiling kettle", explain=True)

    assert parts_of(hit, "feedback") == []
