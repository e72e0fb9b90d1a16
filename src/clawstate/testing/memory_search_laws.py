"""Laws of the reads of a search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from clawstate.memory.contract import MemoryEngine
from clawstate.memory.filters import Condition, Filter, filter_from
from clawstate.memory.query_words import word_query
from clawstate.memory.reading import Inquiry, Neighbours, Reading, Shortlist, Surroundings
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks, texts

_ALL = Filter(namespace=None)


class SearchLaws(MemoryHooks):
    """What an engine finds."""

    def test_scores_of_words_are_those_of_bm25(self, engine: MemoryEngine, memory: Memory) -> None:
        """The sum of a record is BM25 over stems, k1 = 1.2 and b = 0.75, of all namespaces."""
        memory.add_many([{"id": "a", "text": "the runner runs"}, {"id": "b", "text": "tea"}])
        memory.add("red tea and red kettles", namespace="work")
        memory.add("nothing", namespace="work")

        found = _terms(engine, "running red", _ALL)

        # Four rows of 4, 2, 6 and 2 tokens: each has one for its namespace.
        mean, weight = 14 / 4, math.log((4 - 1 + 0.5) / (1 + 0.5))
        runs = weight * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 4 / mean))
        red = weight * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 6 / mean))
        assert found == pytest.approx({"the runner runs": runs, "red tea and red kettles": red})

    def test_a_word_in_most_records_still_ranks(self, engine: MemoryEngine, memory: Memory) -> None:
        """A word that most records hold counts next to nothing, and more where it stands more."""
        memory.add("tea")
        memory.add("tea tea")
        memory.add("tea and a long tail of other words")

        found = _terms(engine, "tea", Filter())

        assert all(0 < score < 1e-4 for score in found.values())
        assert max(found, key=lambda text: found[text]) == "tea tea"

    def test_scores_do_not_depend_on_what_is_searched(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """A record has the same words score in its namespace, in all, and through a filter."""
        memory.add_many({"text": f"red filler {number}"} for number in range(20))
        memory.add("red kettle", namespace="work", tags=["x"])
        memory.add("tea", namespace="work")

        within = [Filter(namespace="work"), _ALL, filter_from(namespace="work", tags=["x"])]
        scores = [_terms(engine, "kettle red", chosen)["red kettle"] for chosen in within]

        assert scores == pytest.approx([scores[0]] * 3, rel=1e-9)

    def test_candidates_are_the_best(self, engine: MemoryEngine, memory: Memory) -> None:
        """At most *limit* are proposed, the best by terms and phrases together."""
        memory.add_many({"text": "red " * number + "kettle"} for number in range(1, 9))
        memory.add("kettle red")
        memory.add_many({"text": f"filler {number}"} for number in range(30))

        every = _terms(engine, "red kettle", Filter())
        best = _terms(engine, "red kettle", Filter(), limit=3)

        assert best == pytest.approx(dict(sorted(every.items(), key=lambda pair: -pair[1])[:3]))
        assert every["red kettle"] > every["kettle red"]

    def test_evidence_counts_the_namespace(self, engine: MemoryEngine, memory: Memory) -> None:
        """Subwords are counted, and threads noticed, in the namespace that is asked for."""
        memory.add("tea tea kettle", namespace="a")
        memory.add("tea", namespace="b", thread="t")
        gone = memory.add("tea tea tea", namespace="a")
        memory.delete(gone)
        tea, kettle = (int(each[0]) for each in HashEmbedder().subwords(["tea", "kettle"]))

        def evidence(namespace: str | None) -> tuple[dict[int, int], int, bool]:
            with engine.reading() as reading:
                inquiry = Inquiry(Filter(namespace=namespace), 9, subwords=(tea, kettle, 5))
                found = reading.evidence(inquiry)
            return dict(found.occurrences), found.subwords, found.has_threads

        assert evidence("a") == ({tea: 2, kettle: 1}, 3, False)
        assert evidence("b") == ({tea: 1}, 1, True)
        assert evidence(None) == ({tea: 3, kettle: 1}, 4, True)
        assert evidence("none") == ({}, 0, False)

    def test_the_nearest_have_exact_cosines(self, engine: MemoryEngine, memory: Memory) -> None:
        """The best *limit* by meaning are those of comparing with every vector of the filter."""
        given = [f"word{number} and word{number % 7}" for number in range(60)]
        memory.add_many({"text": text, "tags": ["x"] if "5" in text else []} for text in given)
        embedder = HashEmbedder()
        (query,) = embedder.embed(["word5 kettle"])

        fives = [text for text in given if "5" in text]
        for tag, allowed in ((None, given), ("x", fives), ("none", [])):
            chosen = filter_from(tags=tag)
            with engine.reading() as reading:
                near = reading.nearest(query, chosen, 5)
                found = [record.text for record in reading.fetch(near.keys.tolist())]

            cosines = dict(zip(allowed, embedder.embed(allowed) @ query, strict=True))
            best = sorted(cosines.values(), reverse=True)[:5]
            told = near.cosines.tolist()
            assert sorted(told, reverse=True) == pytest.approx(best, abs=2e-3)
            assert [cosines[text] for text in found] == pytest.approx(told, abs=2e-3)

    def test_others_come_with_their_cosines(self, engine: MemoryEngine, memory: Memory) -> None:
        """Beside the best those come that are asked for by name, each once."""
        given = [f"word{number} and word{number % 7}" for number in range(40)]
        memory.add_many({"text": text} for text in given)
        embedder = HashEmbedder()
        (query,) = embedder.embed(["word5 kettle"])
        with engine.reading() as reading:
            every = reading.nearest(query, filter_from(), 40)
            others = frozenset(every.keys.tolist()[-4:]) | {int(every.keys[0])}

            near = reading.nearest(query, filter_from(), 5, others)

        assert sorted(near.keys.tolist()) == sorted({*every.keys.tolist()[:5], *others})
        wanted = dict(zip(every.keys.tolist(), every.cosines.tolist(), strict=True))
        told = dict(zip(near.keys.tolist(), near.cosines.tolist(), strict=True))
        assert told == pytest.approx({key: wanted[key] for key in told}, abs=2e-3)

    def test_context_tells_what_lies_around(self, engine: MemoryEngine, memory: Memory) -> None:
        """Neighbours, scores of single terms, openings, vectors and what the filter refuses."""
        memory.add_many(
            {"text": f"Ada: kettle {number}", "thread": "t", "tags": ["x"] if number != 3 else []}
            for number in range(6)
        )
        memory.add("red kettle " * 9)
        memory.add_many({"text": f"filler {number}"} for number in range(30))
        memory.add("tea", tags=["x"])
        query, chosen = word_query("kettle 2 red"), filter_from(tags=["x"])
        (vector,) = HashEmbedder().embed(["tea"])
        with engine.reading() as reading:
            keys = _keys(reading, "kettle tea")
            one, tea = keys["Ada: kettle 2"], keys["tea"]
            context = reading.context(Surroundings({one}, chosen, query, vector, limit=1))

        around = [keys[f"Ada: kettle {number}"] for number in (0, 1, 3, 4)]
        assert context.near is not None
        assert context.near.keys.tolist() == [tea]
        assert context.near.cosines.tolist() == pytest.approx([1.0], abs=2e-3)
        assert context.neighbours == {
            one: Neighbours((around[1], around[0]), (around[2], around[3]))
        }
        assert context.asked == ("kettl", "2", "red")
        assert [set(scores) for scores in context.terms] == [{one, *around}, {one}, set()]
        assert [set(scores) for scores in context.phrases][:2] == [{one}, set()]
        openings = {keys[text]: text for text in keys if "Ada" in text and text[-1] != "5"}
        assert context.openings == openings
        assert context.refused == {around[2]}
        assert context.vectors is not None
        assert context.vectors.keys.tolist() == sorted({one, tea, *around})
        assert np.linalg.norm(context.vectors.matrix, axis=1) == pytest.approx(1, abs=1e-2)
        lengths = dict(
            zip(context.vectors.keys.tolist(), context.vectors.lengths.tolist(), strict=True)
        )
        assert (lengths[one], lengths[tea]) == (3, 1)

    def test_the_nearest_are_candidates_as_well(self, engine: MemoryEngine, memory: Memory) -> None:
        """Those near the vector have neighbours too, but no words; without it none are read."""
        memory.add_many({"text": f"kettle {number}", "thread": "t"} for number in range(3))
        memory.add_many({"text": text, "thread": "u"} for text in ("tea", "cup"))
        query = word_query("kettle cup")
        (vector,) = HashEmbedder().embed(["tea"])
        with engine.reading() as reading:
            keys = _keys(reading, "kettle tea cup")
            first, tea, cup = (keys[text] for text in ("kettle 0", "tea", "cup"))
            around = Surroundings({first}, Filter(), query, vector, limit=1)
            context = reading.context(around)
            without = reading.context(replace(around, vector=None))
            nothing = reading.context(replace(around, keys=frozenset(), vector=None))

        run = (keys["kettle 1"], keys["kettle 2"])
        beside = Neighbours(after=run)
        assert context.neighbours == {first: beside, tea: Neighbours(after=(cup,))}
        assert [set(scores) for scores in context.terms] == [{first, *run}, set()]
        assert (without.near, without.vectors) == (None, None)
        assert (without.neighbours, without.terms) == ({first: beside}, context.terms)
        assert (nothing.near, nothing.neighbours, nothing.openings) == (None, {}, {})

    def test_parts_add_up_to_what_was_found(self, engine: MemoryEngine, memory: Memory) -> None:
        """What each word, phrase, quote and name counts, by field, is in sum what evidence has."""
        memory.add("red kettle red kettle", title="Kettle", headings=["Red", "tea"], names=["red"])
        memory.add("the kettle is red", title="The famous red kettle")
        memory.add_many({"text": f"filler {number}"} for number in range(30))
        query = word_query('the famous "red kettle"')
        with engine.reading() as reading:
            found = reading.evidence(Inquiry(Filter(), 99, words=query)).words
            reasons = reading.reasons(query, set(found))
            silent = reading.reasons(None, set(found))

        parts = reasons.parts
        assert [reasons.records[key].title for key in sorted(found)] == [
            "Kettle", "The famous red kettle",
        ]  # fmt: skip
        assert sorted(reasons.vectors.keys.tolist()) == sorted(found)
        assert (silent.records, silent.parts) == (reasons.records, [])
        sums = dict.fromkeys(found, 0.0)
        for part in parts:
            for scores in part.scores.values():
                for key, score in scores.items():
                    sums[key] += score
        assert sums == pytest.approx(found, rel=1e-5)
        assert {part.kind for part in parts} == {"word", "phrase", "quote", "name"}
        red = next(part.scores for part in parts if part.terms == ("red",))
        first, second = sorted(found)
        held = {field: set(scores) for field, scores in red.items() if scores}
        assert held == {
            "text": {first, second}, "headings": {first}, "names": {first}, "title": {second},
        }  # fmt: skip

    def test_keys_are_those_of_a_filter(
        self, engine: MemoryEngine, memory: Memory, time: ManualTime
    ) -> None:
        """`keys` gives all that a filter lets through, in order, and what has expired as well."""
        ids = memory.add_many(
            {"text": f"kettle {number}", "tags": ["x"] if number % 2 else []} for number in range(5)
        )
        memory.add("kettle old", ttl=5, tags=["x"])
        memory.add("kettle elsewhere", namespace="work", tags=["x"])
        time.now += 5

        def found(chosen: Filter) -> list[str]:
            with engine.reading() as reading:
                keys = reading.keys(chosen)
                assert keys == sorted(keys)
                return [record.text for record in reading.fetch(keys)]

        assert found(filter_from(tags=["x"])) == ["kettle 1", "kettle 3", "kettle old"]
        assert found(Filter(namespace="none")) == []
        assert len(found(_ALL)) == 7
        by_id = Filter(namespace=None, tree=Condition("id", (), "in", (ids[4], ids[0], "none")))
        assert found(by_id) == ["kettle 0", "kettle 4"]

    def test_what_the_best_have_in_common(self, engine: MemoryEngine, memory: Memory) -> None:
        """Terms of several of the best, none that was asked for, count in those that hold them."""
        memory.add_many(
            {"text": text}
            for text in ("kettle boils water", "kettle wants water", "water lilies", "kettle moves")
        )
        memory.add_many({"text": f"filler {number}"} for number in range(9))
        with engine.reading() as reading:
            keys = _keys(reading, "kettle water")
            best = {keys[text]: 1.0 for text in keys if text.startswith("kettle") and "w" in text}
            every = frozenset(keys.values())
            shortlist = Shortlist(every, word_query("kettle"), best, vectors=True)
            told = reading.compare(shortlist)
            words = reading.compare(replace(shortlist, vectors=False, beginnings=6))
            begun = reading.compare(Shortlist(every, word_query("kettle"), beginnings=99))

        assert set(told.common) == {keys[text] for text in keys if "water" in text}
        assert told.vectors is not None
        assert set(told.vectors.keys.tolist()) == every
        assert told.beginnings == {}
        assert (words.common, words.vectors) == (told.common, None)
        assert words.beginnings == {key: text[:6] for text, key in keys.items()}
        assert (begun.common, begun.vectors) == ({}, None)
        assert begun.beginnings == {key: text for text, key in keys.items()}

    def test_a_name_has_nothing_in_common(self, engine: MemoryEngine, memory: Memory) -> None:
        """Where the query is the name of a record, that one is meant and none that are like it."""
        memory.add("kettle boils water", title="The famous kettle")
        memory.add_many({"text": text} for text in ("kettle wants water", "water lilies"))
        with engine.reading() as reading:
            keys = frozenset(_keys(reading, "kettle water").values())
            leaders = dict.fromkeys(keys, 1.0)
            query = word_query("the famous kettle")
            told = reading.compare(Shortlist(keys, query, leaders, vectors=True, beginnings=6))

        assert (told.common, told.vectors) == ({}, None)
        assert set(told.beginnings.values()) == {"kettle", "water "}

    def test_a_reading_is_one_moment(self, engine: MemoryEngine, memory: Memory) -> None:
        """What is changed while a reading is open does not show in it."""
        record_id = memory.add("red kettle")
        with engine.reading() as reading:
            keys = list(_keys(reading, "kettle").values())
            memory.delete(record_id)
            memory.add("blue kettle")

            assert [record.text for record in reading.fetch(keys)] == ["red kettle"]
            assert list(_keys(reading, "kettle").values()) == keys

        assert texts(memory, "kettle") == ["blue kettle"]

    def test_records_come_in_the_order_asked_for(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """`fetch` keeps the order of the keys."""
        memory.add_many({"text": f"kettle {number}"} for number in range(5))
        with engine.reading() as reading:
            keys = sorted(_keys(reading, "kettle").values(), reverse=True)

            found = [record.text for record in reading.fetch(keys)]

        assert found == [f"kettle {number}" for number in reversed(range(5))]

    @pytest.mark.parametrize("mode", ["words", "vector", "hybrid"])
    def test_filters_hold_in_every_leg(self, memory: Memory, time: ManualTime, mode: str) -> None:
        """What a filter, a namespace or its age shuts out is not found, in threads either."""
        memory.add("kettle yes", thread="t", tags=["x"])
        memory.add("kettle no", thread="t")
        memory.add("kettle old", thread="t", tags=["x"], ttl=5)
        memory.add("kettle elsewhere", namespace="work", tags=["x"])
        time.now += 5

        assert texts(memory, "kettle", mode=mode, tags=["x"]) == ["kettle yes"]
        assert texts(memory, "kettle", mode=mode, namespace="work") == ["kettle elsewhere"]
        assert len(texts(memory, "kettle", mode=mode, namespace=None)) == 3


def _terms(
    engine: MemoryEngine, query: str, chosen: Filter, *, limit: int = 99
) -> dict[str, float]:
    with engine.reading() as reading:
        found = reading.evidence(Inquiry(chosen, limit, words=word_query(query))).words
        keys = list(found)
        return {record.text: found[key] for key, record in _pair(reading, keys)}


def _keys(reading: Reading, query: str) -> dict[str, int]:
    found = reading.evidence(Inquiry(_ALL, 99, words=word_query(query))).words
    return {record.text: key for key, record in _pair(reading, sorted(found))}


def _pair(reading: Reading, keys: list[int]) -> Iterator[tuple[int, MemoryRecord]]:
    return zip(keys, reading.fetch(keys), strict=True)
