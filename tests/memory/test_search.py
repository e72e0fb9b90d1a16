from __future__ import annotations

import math
import warnings

import pytest

import clawstate
from clawstate.errors import InvalidError

MODES = ("words", "vector", "hybrid")
NOTES = {
    "sea": "The lobster sleeps under a rock on the sea floor",
    "kitchen": "Boil the lobster for nine minutes with salt and butter",
    "bird": "The parrot repeats every word that it hears",
    "money": "The bank raised the interest rate of the mortgage",
    "trip": "We booked flights to Lisbon for the last week of May",
    "health": "The dentist moved my appointment to Tuesday morning",
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    with clawstate.open(tmp_path_factory.mktemp("state")) as state:
        state.memory.add_many({"text": text, "tags": [key]} for key, text in NOTES.items())
        yield state.memory


def found(memory, query, **settings):
    return [hit.record.text for hit in memory.search(query, **settings)]


@pytest.mark.parametrize("mode", MODES)
def test_the_best_comes_first(notes, mode) -> None:
    """Hits are in the order of their scores, which lie between 0 and 1."""
    hits = notes.search("how long does a lobster boil", mode=mode)

    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert hits[0].record.text == NOTES["kitchen"]


def test_words_find_other_forms_of_a_word(notes) -> None:
    """A search by words goes by stems, without regard to case."""
    for query in ("SLEEPING lobsters", "sleep lobster", "Lobster, sleeps!"):
        assert found(notes, query, mode="words")[0] == NOTES["sea"]


def test_meaning_is_found_without_a_common_word(notes) -> None:
    """A search by meaning finds what shares no word with the query."""
    for mode in ("vector", "hybrid"):
        assert found(notes, "airplane tickets to Portugal", mode=mode)[0] == NOTES["trip"]
    assert found(notes, "airplane tickets Portugal", mode="words") == []


def test_a_mix_holds_what_each_leg_finds(notes) -> None:
    """A hybrid search returns every record that words or meaning alone would give a score."""
    for query in ("lobster butter", "airplane tickets", "dentist on Tuesday", "bird"):
        mixed = set(found(notes, query, k=100))

        assert mixed >= set(found(notes, query, k=100, mode="words"))
        alike = notes.search(query, k=100, mode="vector")
        assert mixed >= {hit.record.text for hit in alike if hit.score > 0}


def test_hits_say_what_each_leg_thought(notes) -> None:
    """`words_score` is above 0 for a match, `vector_score` the cosine, None where not asked."""
    (words, *_) = notes.search("lobster butter", mode="words")
    (vector, *_) = notes.search("lobster butter", mode="vector")
    (mixed, *_) = notes.search("lobster butter")

    assert (words.words_score > 0, words.vector_score) == (True, None)
    assert (vector.words_score, -1 <= vector.vector_score <= 1) == (None, True)
    assert mixed.words_score > 0
    assert mixed.vector_score == pytest.approx(vector.vector_score, abs=1e-3)


def test_at_most_k_are_returned(notes) -> None:
    """`k` bounds the hits, and the first of many are the many's first."""
    every = found(notes, "the lobster of the bank", k=100)

    for k in range(1, len(every) + 1):
        assert found(notes, "the lobster of the bank", k=k) == every[:k]


def test_low_scores_can_be_left_out(notes) -> None:
    """`min_score` keeps exactly the hits at or above it."""
    hits = notes.search("the lobster of the bank", k=100)
    bar = hits[len(hits) // 2].score

    kept = notes.search("the lobster of the bank", k=100, min_score=bar)

    assert kept == [hit for hit in hits if hit.score >= bar]
    assert notes.search("the lobster of the bank", min_score=1.1) == []


def test_a_stranger_scores_low(notes) -> None:
    """The best hit of a question that nothing answers scores below that of one that is answered."""
    (answered, *_) = notes.search("the lobster sleeps on the sea floor")
    stranger = notes.search("quantum chromodynamics lattice", k=1)

    assert all(hit.score < 0.5 * answered.score for hit in stranger)


@pytest.mark.parametrize("mode", MODES)
def test_a_search_changes_nothing(notes, mode) -> None:
    """The same question has the same answer, and leaves no trace in what is kept."""
    before = {**notes.stats(), "query_cache": None}

    assert notes.search("lobster", mode=mode) == notes.search("lobster", mode=mode)

    assert {**notes.stats(), "query_cache": None} == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query",
    [
        "?",
        "...",
        "_",
        '"lobster',
        "lobster*",
        "lobster OR",
        "NEAR(lobster butter)",
        "content : lobster",
        "scope : s1",
        "(lobster AND",
        "-lobster ^butter",
        "{lobster}",
        "'; DROP TABLE memories; --",
        "lobster\0butter",
        "half \ud800 pair",
        "\N{LOBSTER} \u202e \ufeff",
        "龍蝦",
        "กุ้ง",
        "the of and",
        "x" * 100_000,
        "lobster " * 20_000,
        "\n\t lobster \n",
    ],
    ids=lambda query: ascii(query[:20]),
)
def test_any_text_is_a_question(notes, query, mode) -> None:
    """No text is syntax: whatever is asked is answered, without error and without warning."""
    hits = notes.search(query, mode=mode)

    assert len({hit.record.id for hit in hits}) == len(hits)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("query", {"query": ""}),
        ("query", {"query": " \n\u2003"}),
        ("query", {"query": None}),
        ("query", {"query": b"lobster"}),
        ("query", {"query": 5}),
        ("k", {"k": 0}),
        ("k", {"k": -1}),
        ("k", {"k": 1.5}),
        ("k", {"k": True}),
        ("k", {"k": "5"}),
        ("k", {"k": 1001}),
        ("mode", {"mode": "fuzzy"}),
        ("mode", {"mode": None}),
        ("mode", {"mode": ["words"]}),
        ("where.a", {"where": {"a": b"bytes"}}),
        ("since", {"since": "yesterday"}),
        ("time", {"until": "tomorrow"}),
        ("min_score", {"min_score": "high"}),
        ("min_score", {"min_score": math.nan}),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(notes, name, settings) -> None:
    """A question that has no meaning raises `InvalidError` that names the argument."""
    with pytest.raises(InvalidError) as caught:
        notes.search(**{"query": "lobster", **settings})

    assert caught.value.name in {name, "time"}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("昨天我們在海邊吃了龍蝦", "龍蝦"),
        ("ロブスターを茹でる", "ロブスター"),
        ("กุ้งมังกรอยู่ในทะเล", "มังกร"),
        ("Der Müller mahlt Körner", "muller"),
        ("Où est le café", "CAFE"),
        ("e-mail to ada@example.com", "ada@example.com"),
        ("version 2.26.1 is out", "2.26.1"),
        ("call get_user_name() first", "get_user_name"),
    ],
    ids=lambda text: ascii(text[:14]),
)
def test_words_of_many_scripts_are_found(memory, text, query) -> None:
    """Words are found in scripts without spaces, without their accents, and as parts of code."""
    memory.add(text)
    memory.add("nothing of the kind")

    assert found(memory, query, mode="words") == [text]


def test_a_neighbour_speaks_for_the_answer(memory) -> None:
    """In a thread the record beside a match is found, which holds none of its words."""
    memory.add("Where did we put the lobster trap?", thread="chat")
    memory.add("In the shed behind the house", thread="chat")
    memory.add("In the shed behind the barn")

    hits = found(memory, "lobster trap", mode="words")

    assert hits == ["Where did we put the lobster trap?", "In the shed behind the house"]


def test_a_neighbour_obeys_the_filter(memory, clock) -> None:
    """What a filter or its age shuts out does not come back as somebody's neighbour."""
    memory.add("lobster trap", thread="chat", tags=["a"])
    memory.add("other tag", thread="chat", tags=["b"])
    memory.add("lobster trap", thread="late", tags=["a"])
    memory.add("expired", thread="late", tags=["a"], ttl=10)
    clock.advance(10)

    for mode in ("words", "hybrid"):
        assert set(found(memory, "lobster trap", mode=mode, tags=["a"])) == {"lobster trap"}


def test_deleted_neighbours_close_the_gap(memory) -> None:
    """The neighbour of a record is the next one that is still kept."""
    memory.add("lobster trap", thread="chat")
    middle = memory.add("gone", thread="chat")
    memory.add("behind the house", thread="chat")

    memory.delete(middle)

    assert found(memory, "lobster trap", mode="words") == ["lobster trap", "behind the house"]


def test_equal_records_come_in_the_order_they_were_added(memory) -> None:
    """Among equal scores the older record is first, in every mode."""
    ids = [memory.add("the very same lobster") for _ in range(5)]

    for mode in MODES:
        assert [hit.record.id for hit in memory.search("same lobster", mode=mode)] == ids


def test_an_empty_namespace_answers_nothing(notes) -> None:
    """A namespace that nothing was ever added to has no hits, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mode in MODES:
            assert notes.search("lobster", mode=mode, namespace="elsewhere") == []


def test_words_rank_where_every_record_holds_them(memory) -> None:
    """A word that all records hold still tells those that are about it from those that are not."""
    memory.add("Once upon a time, far out on the stormy sea, somebody saw a lobster and went home")
    memory.add("Lobster, lobster, lobster!")

    assert found(memory, "lobster", mode="words")[0] == "Lobster, lobster, lobster!"


def test_an_emptied_namespace_finds_nothing_of_another(memory) -> None:
    """A search in a namespace whose records were deleted gives none of the only other one."""
    memory.delete(memory.add("lobster one", namespace="default"))
    memory.add("lobster two", namespace="work")

    assert memory.search("lobster", mode="words", namespace="default") == []
    assert len(memory.search("lobster", mode="words", namespace="work")) == 1
