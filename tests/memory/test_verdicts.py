"""What became of a record that one names: each verdict agrees with what searches show."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.errors import InvalidError
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.filters import filter_from
from clawstate.memory.ledger import Imported
from clawstate.memory.matching import lets_through
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder

MODES = ("hybrid", "words", "vector")
WORDS = ("tea", "kettle", "Ada", "garden", "shed", "the", "boiling")
said = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
records = st.fixed_dictionaries(
    {"text": said},
    optional={
        "thread": st.sampled_from(["one", "two"]),
        "namespace": st.sampled_from(["default", "work"]),
        "tags": st.sampled_from([["x"], ["x", "y"]]),
        "metadata": st.sampled_from([{"year": 2020}, {"year": 2024, "kind": "note"}]),
        "source": st.sampled_from(["/notes/a.md", "/notes/b.md"]),
    },
)
scopes = st.sampled_from(
    [
        {},
        {"namespace": None},
        {"tags": ["x"]},
        {"where": {"year": {"gte": 2024}, "kind": "note"}},
        {"source": "/notes", "namespace": None},
        {"where": {"$or": [{"year": 2020}, {"$tags": "y"}]}},
    ]
)
queries = st.tuples(said, st.sampled_from(["{}", '"{}"'])).map(
    lambda drawn: drawn[1].format(drawn[0])
)


@pytest.fixture(params=["sqlite", "inmemory"])
def make(request, tmp_path_factory, clock):
    """Give a function that makes an empty memory."""

    def made(embedder=None, **settings) -> Memory:
        engine = InMemoryMemory(clock=clock)
        if request.param == "sqlite":
            folder = tmp_path_factory.mktemp("memory")
            engine = SqliteMemory(folder / "memory.db", vectors=folder / "vectors", clock=clock)
        return Memory(engine, embedder=embedder or HashEmbedder(), clock=clock, **settings)

    return made


def verdict_on(memory, query, name, **asked):
    (found,) = memory.explain(query, name, **asked)
    return found


@pytest.mark.parametrize("mode", MODES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    given_records=st.lists(records, min_size=1, max_size=10),
    query=queries,
    asked=st.tuples(scopes, st.integers(1, 4), st.sampled_from([0.0, 0.3])),
)
def test_a_verdict_agrees_with_searches(make, mode, given_records, query, asked) -> None:
    """Who is shown is a hit; who is below the cut is one for a larger *k*; and so on."""
    scope, k, min_score = asked
    memory = make()
    ids = memory.add_many(given_records)
    asked = {"mode": mode, **scope}

    hits = [hit.record.id for hit in memory.search(query, k=k, min_score=min_score, **asked)]
    every = memory.search(query, k=1000, **asked)
    places = {hit.record.id: place for place, hit in enumerate(every, start=1)}
    for each in ids:
        told = verdict_on(memory, query, each, k=k, min_score=min_score, **asked)

        is_asked_for = lets_through(filter_from(**scope), memory.require(each), now=0)
        assert (told.reason == "shown") == (each in hits)
        assert (told.reason == "filtered") == (not is_asked_for) == bool(told.unmet)
        assert (told.reason in {"below-cut", "below-min-score", "shown"}) == (each in places)
        if each in places:
            assert told.rank == places[each]
            assert told.score == pytest.approx(every[told.rank - 1].score)
        if told.reason == "below-cut":
            assert told.rank > k
        if told.reason == "below-min-score":
            assert told.score < min_score
        if told.reason == "shown":
            assert told.explanation.score == told.score
    memory.close()


def test_a_hit_is_told_with_its_reasons(make) -> None:
    """What is shown has its place, the number of hits, and what gave its score."""
    memory = make()
    tea, shed = memory.add("green tea"), memory.add("green tea in the shed")
    memory.add_many({"text": f"filler {number}"} for number in range(9))

    told = verdict_on(memory, "green tea", shed, mode="words")

    assert (told.reason, told.rank, told.hits) == ("shown", 2, 2)
    assert told.sentence == f"hit 2 of 2, with a score of {told.score:.2f}"
    assert sum(each.points for each in told.explanation.parts) == pytest.approx(told.score)
    assert verdict_on(memory, "green tea", tea, mode="words").rank == 1


def test_what_is_below_the_cut_tells_how_far(make) -> None:
    """A record behind the last hit tells its place and score, and the score of that hit."""
    memory = make()
    last = memory.add("tea and many other words that say nothing of it at all")
    memory.add_many({"text": f"tea {number}"} for number in range(3))
    memory.add_many({"text": f"filler {number}"} for number in range(9))

    told = verdict_on(memory, "tea", last, k=2, mode="words")

    assert (told.reason, told.rank, told.hits) == ("below-cut", 4, 2)
    assert told.score < told.least <= 1
    shown = f"place 4 of 4, with a score of {told.score:.2f}; the last of 2 hits has "
    assert told.sentence == f"{shown}{told.least:.2f}"


def test_what_scores_too_low_says_so(make) -> None:
    """A record within *k* but below `min_score` names both."""
    memory = make()
    memory.add("green tea")
    low = memory.add("tea " + "with words " * 20)
    memory.add_many({"text": f"filler {number}"} for number in range(9))

    told = verdict_on(memory, "green tea", low, min_score=0.9, mode="words")

    assert (told.reason, told.rank, told.hits) == ("below-min-score", 2, 1)
    assert told.sentence.endswith("; at least 0.90 was asked for")


@pytest.mark.parametrize(
    ("asked", "demand", "found"),
    [
        ({"namespace": "work"}, 'namespace is "work"', '"default"'),
        ({"tags": ["x", "y"]}, 'tag "y"', '"x"'),
        ({"source": "/else"}, 'source is "/else" or source lies below "/else/"', '"/n/a.md"'),
        ({"source": "/*.txt"}, 'source is like "/*.txt"', '"/n/a.md"'),
        ({"where": {"year": {"gte": 2024}}}, "year is at least 2024", "2020"),
        ({"where": {"year": [1, 2]}}, "year is one of 1, 2", "2020"),
        ({"where": {"a.b": True}}, "a.b is true", "none"),
        ({"where": {"year": {"exists": False}}}, "year is not there", "2020"),
        ({"where": {"$not": {"year": 2020}}}, "not (year is 2020)", "2020"),
        (
            {"where": {"$or": [{"year": 1}, {"kind": "x"}]}},
            'year is 1 or kind is "x"',
            "year: 2020",
        ),
        ({"where": {"$category": "todo"}}, 'category is "todo"', '"other"'),
        ({"since": "2026-01-01"}, "created_at is at least 2026-01-01T00:00:00.000Z", "2025-"),
        ({"until": "2024-01-01"}, "created_at is below 2024-01-01T00:00:00.000Z", "2025-"),
    ],
    ids=str,
)
def test_the_demand_that_fails_is_named(make, clock, asked, demand, found) -> None:
    """Of a filter that leaves a record out, each demand that it does not meet is told, no other."""
    memory = make()
    clock.now = 1_750_000_000.0
    made = memory.add("tea", tags=["x"], source="/n/a.md", metadata={"year": 2020})

    told = verdict_on(memory, "tea", made, **asked)

    (unmet,) = told.unmet
    assert told.reason == "filtered"
    assert demand in unmet.demand
    assert unmet.found.startswith(found)
    assert told.sentence.startswith("the filter leaves it out: ")
    assert unmet.demand in told.sentence


def test_all_demands_that_fail_are_named(make) -> None:
    """Several demands that fail are all told, those that hold are not."""
    memory = make()
    made = memory.add("tea", tags=["x"])

    told = verdict_on(memory, "tea", made, tags=["x", "y"], where={"year": 1, "$category": "other"})

    assert [each.demand for each in told.unmet] == ['tag "y"', "year is 1"]


def test_what_has_expired_tells_when(make, clock) -> None:
    """An expired record is told with its end, while it is not removed; its text is not."""
    memory = make()
    made = memory.add("a secret tea", ttl=60)
    clock.advance(61)

    told = verdict_on(memory, "tea", made)

    assert (told.reason, told.expired_at) == ("expired", clock() - 1)
    assert "it expired at " in told.sentence
    assert "secret" not in repr(told)


@pytest.mark.parametrize("namespace", ["default", "work"])
def test_what_was_forgotten_says_so(make, namespace) -> None:
    """A forgotten record is told by its id alone, in whatever namespace it was, also compacted."""
    memory = make()
    made = memory.add("a secret tea", namespace=namespace)
    kept = memory.add("tea", namespace=namespace)

    memory.forget([made])

    told = verdict_on(memory, "tea", made)
    assert (told.reason, told.sentence) == ("forgotten", "it was forgotten")
    assert (told.source, told.score, told.legs, told.is_embedded) == (None, None, {}, None)
    assert verdict_on(memory, "tea", kept, namespace=None).reason == "shown"


def test_what_others_took_the_place_of_names_them(make, clock) -> None:
    """A superseded record is told with its successor and the time, by its id and its source."""
    memory = make()
    old = memory.add("a secret tea", source="/notes/a.md")
    clock.advance(5)
    new = memory.supersede(old, "green tea")
    newest = memory.supersede(new.id, "black tea")

    by_source = memory.explain("tea", "/notes/a.md")

    told = verdict_on(memory, "tea", old)
    assert (told.reason, told.successors) == ("superseded", (newest.id,))
    assert (told.ended_at, told.source) == (clock(), "/notes/a.md")
    assert f"{newest.id} took its place at" in told.sentence
    assert "secret" not in repr(told)
    assert {(each.id, each.reason) for each in by_source} == {
        (newest.id, "shown"),
        (old, "superseded"),
        (new.id, "superseded"),
    }
    assert verdict_on(memory, "tea", old, as_of=clock() - 1).reason == "shown"


def test_what_is_archived_says_how_to_get_it_back(make) -> None:
    """An archived record is no longer unknown; restored, it is a hit."""
    memory = make()
    made = memory.add("tea")
    memory.archive([made])

    told = verdict_on(memory, "tea", made)

    assert told.reason == "archived"
    assert f"memory restore {made}" in told.sentence
    memory.restore([made])
    assert verdict_on(memory, "tea", made).reason == "shown"


def test_what_was_never_kept_is_unknown(make) -> None:
    """An id or a source of which nothing is known gets one verdict that says so."""
    memory = make()
    memory.add("tea")

    for name in ("nope", "/no/such/file.md", "00000000-0000-4000-8000-000000000000"):
        told = verdict_on(memory, "tea", name)
        assert (told.id, told.reason) == (name, "unknown")


def test_what_waits_for_its_vector_can_be_found_by_words_only(make) -> None:
    """A record without a vector says so: by words it is a hit, by meaning it is not compared."""
    memory = make()
    memory.add_many({"text": text} for text in ("green tea", "black tea", "the kettle"))
    waiting = Memory(memory._engine, by_meaning=False, clock=memory._clock)
    made = waiting.add("a lobster trap")

    by_word = verdict_on(memory, "lobster", made)
    by_meaning = verdict_on(memory, "green tea", made)
    by_words_alone = verdict_on(memory, "green tea", made, mode="words")

    assert (by_word.reason, by_word.is_embedded) == ("shown", False)
    assert (by_meaning.reason, by_meaning.is_embedded) == ("not-embedded", False)
    assert "it has no vector yet, so only words can find it" in by_meaning.sentence
    assert (by_words_alone.reason, by_words_alone.legs) == ("no-match", {})


def test_what_matches_nothing_tells_its_cosine(make) -> None:
    """A record without a word of the query tells how near its meaning is, and who is nearer."""
    memory = make()
    embedder = HashEmbedder()
    texts = ["tea", *(f"word{number}" for number in range(300))]
    memory.add_many({"text": each, "id": each} for each in texts)
    vector = embedder.embed(texts) @ embedder.embed(["tea"])[0]
    far = texts[int(vector.argmin())]
    middle = texts[int(vector.argsort()[80])]  # above 0 or not, not among the 100 nearest

    lowest, told = verdict_on(memory, "tea", far), verdict_on(memory, "tea", middle)

    assert lowest.reason == told.reason == "no-match"
    assert lowest.legs["vector"].score == pytest.approx(float(vector.min()), abs=2e-3)
    assert lowest.legs["vector"].rank == lowest.legs["vector"].compared + 1 == 101
    assert "it has no word of the query; its meaning is not like" in lowest.sentence


def test_what_too_many_match_better_is_not_compared(make) -> None:
    """A record behind the candidates of both legs tells how many are before it."""
    memory = make()
    memory.add_many({"text": f"tea {number}"} for number in range(320))
    made = memory.add("tea " + "and a long tail of other words " * 9)

    told = verdict_on(memory, "tea", made, mode="words")

    assert (told.reason, told.rank, told.score) == ("not-compared", None, None)
    assert told.legs["words"].rank == told.legs["words"].compared + 1
    assert told.sentence == "100 others match the words better"


def test_quotes_leave_out_what_does_not_say_it(make) -> None:
    """Where others say what stands in quotes, one that does not is told so."""
    memory = make()
    memory.add("the garden shed")
    made = memory.add("the shed in the garden")

    assert verdict_on(memory, '"garden shed"', made).reason == "not-quoted"
    assert verdict_on(memory, '"shed in"', made).reason == "shown"


def test_a_source_stands_for_all_that_comes_from_it(make) -> None:
    """By a file, a folder or a pattern each record from there gets a verdict, the best first."""
    memory = make()
    first = memory.add("the kettle", source="/notes/a.md")
    second = memory.add("green tea", source="/notes/a.md")
    other = memory.add("tea", source="/notes/b.md", namespace="work")

    found = memory.explain("green tea", "/notes/a.md", mode="words")
    below = memory.explain("green tea", "/notes", mode="words")
    by_pattern = memory.explain("green tea", "*b.md", mode="words")

    assert [(each.id, each.reason) for each in found] == [(second, "shown"), (first, "no-match")]
    assert {each.id for each in below} == {first, second, other}
    assert [(each.id, each.reason) for each in by_pattern] == [(other, "filtered")]


def test_what_was_forgotten_of_a_source_is_told(make) -> None:
    """Passages of an imported file that somebody forgot are told beside those that are kept."""
    memory = make()
    memory.imports.begin("/notes/a.md")
    memory.imports.note_all({"/notes/a.md": [Imported("one"), Imported("two")]})
    memory.add_many({"text": "tea", "id": each, "source": "/notes/a.md"} for each in ("one", "two"))
    memory.imports.finish("/notes/a.md", fingerprint="f")
    memory.delete("two")

    found = memory.explain("tea", "/notes/a.md")

    below = memory.explain("tea", "/notes")
    memory.delete("one")
    nothing = memory.explain("tea", "/notes/*.md")

    assert [(each.id, each.reason) for each in found] == [("one", "shown"), ("two", "forgotten")]
    assert below == found
    assert {(each.id, each.reason, each.source) for each in nothing} == {
        ("one", "forgotten", "/notes/a.md"),
        ("two", "forgotten", "/notes/a.md"),
    }


def test_without_an_embedder_words_alone_are_told(make) -> None:
    """Where meanings cannot be asked, a verdict on what has a vector says so."""
    memory = make()
    made = memory.add("the kettle")
    deaf = Memory(memory._engine, by_meaning=False, clock=memory._clock)

    told = verdict_on(deaf, "green tea", made)

    assert told.reason == "no-match"
    assert told.sentence == "it has no word of the query; meanings could not be compared"


@pytest.mark.parametrize("name", ["", None, 5, b"x"])
def test_a_name_is_a_text(memory, name) -> None:
    """What cannot name a record is refused, by the name of the argument."""
    with pytest.raises(InvalidError, match="name"):
        memory.explain("tea", name)


def test_verdicts_are_values_of_the_package(memory) -> None:
    """The types of verdicts can be imported from the package, and verdicts cannot be changed."""
    told = verdict_on(memory, "tea", "nope")

    assert isinstance(told, clawstate.Verdict)
    with pytest.raises(AttributeError):
        told.reason = "shown"
