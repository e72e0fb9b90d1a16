from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.memory import ranking
from clawstate.memory.reading import Neighbours, Vectors

KEYS = st.integers(1, 20)
SCORES = st.dictionaries(KEYS, st.integers(1, 5000).map(lambda n: n / 100), max_size=10)
COSINES = st.dictionaries(KEYS, st.integers(0, 1000).map(lambda n: n / 1000), max_size=10)
# The keys 1 to 20 in some order, cut into threads.
THREADS = st.tuples(st.permutations(range(1, 21)), st.sets(st.integers(1, 19))).map(
    lambda drawn: [each.tolist() for each in np.split(np.array(drawn[0]), sorted(drawn[1]))]
)


def order_of(threads):
    known = {}
    for thread in threads:
        for place, key in enumerate(thread):
            before = tuple(reversed(thread[max(place - 2, 0) : place]))
            known[key] = Neighbours(before, tuple(thread[place + 1 : place + 3]))
    return ranking.Order(known)


def beside(threads, key):
    (thread,) = (each for each in threads if key in each)
    place = thread.index(key)
    return {*thread[max(place - 1, 0) : place], *thread[place + 1 : place + 2]}


def vectors_of(rows, lengths):
    matrix = np.array(rows, np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return Vectors(np.arange(1, len(rows) + 1), matrix, np.array(lengths))


@given(SCORES | COSINES, st.integers(0, 12))
def test_the_best_are_the_highest(scores, k) -> None:
    """`best` returns *k* keys above 0 that none left out beats; ties go to the older."""
    chosen = ranking.best(scores, k)

    wanted = {key: score for key, score in scores.items() if score > 0}
    assert len(chosen) == min(k, len(wanted))
    ranks = [(-wanted[key], key) for key in chosen]
    assert ranks == sorted(ranks)
    left = [(-score, key) for key, score in wanted.items() if key not in chosen]
    assert not ranks or all(each > ranks[-1] for each in left)


@given(THREADS)
def test_an_order_knows_who_stands_beside_whom(threads) -> None:
    """An order pieced together from neighbours has each thread as it was."""
    order = order_of(threads)

    for thread in threads:
        for key in thread:
            assert set(order.near(key)[:2]) - {-1} == beside(threads, key)
    assert order.keys() == {key for thread in threads if len(thread) > 1 for key in thread}


@given(SCORES, THREADS)
def test_neighbours_gain_and_nobody_loses(scores, threads) -> None:
    """A record beside a match scores more than alone, and nobody less; the best gets no rival."""
    near = ranking.in_context([scores], [{}], order_of(threads))

    assert all(near[key] >= score for key, score in scores.items())
    for key in scores:
        for other in beside(threads, key):
            assert near[other] > scores.get(other, 0.0)
            assert near[other] - scores.get(other, 0.0) < 2 * max(scores.values())


@given(SCORES, SCORES)
def test_without_threads_context_adds_nothing(terms, phrases) -> None:
    """Records outside of threads have the sum of their own words."""
    alone = ranking.in_context([terms], [phrases], ranking.Order({}))

    assert alone == pytest.approx(
        {key: terms.get(key, 0.0) + phrases.get(key, 0.0) for key in terms.keys() | phrases.keys()}
    )


@given(SCORES, SCORES, THREADS)
def test_a_further_word_only_raises(one, two, threads) -> None:
    """Matching one more word of the query lowers no record."""
    order = order_of(threads)

    fewer = ranking.in_context([one], [], order)
    more = ranking.in_context([one, two], [], order)
    assert all(more[key] >= score for key, score in fewer.items())


@given(SCORES, COSINES)
def test_a_mix_holds_both_legs(words, vectors) -> None:
    """A mix has the candidates of both legs, unless a leg has nothing above zero to say."""
    mixed = ranking.fuse(words, vectors)

    assert words.keys() <= mixed.keys() <= words.keys() | vectors.keys()
    if any(vectors.values()):
        assert mixed.keys() >= vectors.keys()


@given(SCORES, COSINES, KEYS, KEYS)
def test_a_mix_is_monotone(words, vectors, one, two) -> None:
    """Who is ahead in both legs is not behind in the mix."""
    mixed = ranking.fuse(words, vectors)

    ahead = words.get(one, 0.0) >= words.get(two, 0.0)
    if ahead and vectors.get(one, 0.0) >= vectors.get(two, 0.0):
        assert mixed.get(one, 0.0) >= mixed.get(two, 0.0)


@given(SCORES, COSINES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_a_leg_does_not_matter(words, vectors, unit) -> None:
    """Scores of words in another unit give the same mix."""
    scaled = {key: unit * score for key, score in words.items()}

    assert ranking.fuse(scaled, vectors) == pytest.approx(ranking.fuse(words, vectors))


@given(SCORES)
def test_a_mix_with_a_silent_leg_keeps_the_order(words) -> None:
    """Without vectors nobody overtakes anybody."""
    mixed = ranking.fuse(words, {})

    ranks = [words[key] for key in ranking.best(mixed, 20)]
    assert ranks == pytest.approx(sorted(words.values(), reverse=True))


def test_in_a_narrow_band_the_best_stand_out() -> None:
    """Where all cosines are high, a record in the middle counts clearly less than the best."""
    band = {key: 0.5 + 0.002 * key for key in range(101)}

    plain = ranking.fuse({}, band)
    above = ranking.fuse({}, band, floor=ranking.floor_of(band, unrelated=0.5))

    assert plain[50] > 0.8 * plain[100]
    assert above[50] < 0.7 * above[100]
    assert above[100] == pytest.approx(ranking.ABOVE_SHARE)


def test_the_only_record_counts_for_its_meaning() -> None:
    """The median of one record is not taken for that of its like: it counts if it is near."""
    floor = ranking.floor_of({1: 0.8}, unrelated=0.4)

    mixed = ranking.fuse({}, {1: 0.8}, floor=floor)

    assert floor < 0.4
    assert mixed == {1: pytest.approx(ranking.ABOVE_SHARE)}


@given(SCORES)
def test_a_named_speaker_gains(scores) -> None:
    """A record whose opening names a word of the query gains; all others stay as they are."""
    openings = dict.fromkeys(scores, "Bert: hello") | {3: "Ada Smith: hello"}

    speakers = ranking.named_speakers(openings, ["ada", "hello"])
    named = ranking.with_speakers(scores, speakers)

    assert named.keys() == scores.keys()
    assert all(named[key] == score for key, score in scores.items() if key != 3)
    assert 3 not in scores or named[3] > scores[3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada: hello", {"ada"}),
        ("  Ada Smith : hello", {"ada", "smith"}),
        ("Zoë Jones: hello", {"zoe", "jone"}),
        ("user: hello", set()),
        ("hello Ada", set()),
        ("https://example.com", set()),
        ("one two three four five: six", set()),
        ("", set()),
    ],
)
def test_a_label_is_a_short_name_before_a_colon(text, words) -> None:
    """Only what looks like the name of a speaker is one; roles are none."""
    asked = ["ada", "smith", "zoe", "jone", "hello", "user", "http", "one", "six"]

    assert ranking.named_speakers({1: text}, asked) == ({1: words} if words else {})


def test_lines_of_others_make_a_text_nobodys_turn() -> None:
    """A text in which several speakers have a line is no turn of the one that it opens with."""
    openings = {
        1: "Ada: the kettle?\nBert: on the stove",
        2: "Ada: the kettle?\nNote: it is red\nand loud",
        3: "Bert: on the stove",
    }

    assert ranking.named_speakers(openings, ["ada", "bert"]).keys() == {2, 3}


@given(COSINES, st.integers(20, 4 * ranking.RUN))
def test_what_lies_around_counts_in_long_runs_alone(cosines, length) -> None:
    """It is given to candidates by others, at most twice the best cosine, and not in short runs."""
    given = ranking.around(cosines, order_of([list(range(1, length + 1))]), floor=0.1)

    assert given.keys() == (cosines.keys() if length > ranking.RUN else set())
    top = max(cosines.values(), default=0.0)
    assert all(0 <= each <= 2.001 * top for each in given.values())


def test_one_among_many_candidates_stands_above_one_alone() -> None:
    """Of two records as near the query, that in a stretch of candidates gains more."""
    order = order_of([list(range(1, 101))])

    given = ranking.around(dict.fromkeys((10, *range(40, 51)), 0.5), order, floor=0.0)

    assert given[10] == pytest.approx(0)
    assert max(given, key=given.__getitem__) == 45


@given(SCORES)
def test_a_name_counts_little_as_a_word_of_a_text_that_it_opens(scores) -> None:
    """What a speaker's name counts as a word is little in that speaker's texts, all elsewhere."""
    named = {3: {"ada", "smith"}, 4: {"smith"}}

    counted = ranking.without_label(scores, "ada", named)

    mine = {3: scores[3] * ranking.LABELLED} if 3 in scores else {}
    assert counted == {**scores, **mine}


def test_context_moves_a_meaning_towards_its_neighbours() -> None:
    """A record gains when its neighbour answers the query; without neighbours nothing changes."""
    query = np.array([1, 0, 0], np.float32)
    vectors = vectors_of([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, -1, 0]], [5, 5, 5, 5])
    order = order_of([[1, 2], [3], [4]])

    cosines = ranking.contextual_cosines(query, [1, 2, 3, 9], vectors, order)

    assert cosines.keys() == {1, 2, 3}
    assert cosines[2] > cosines[3] == 0
    assert 0 < cosines[1] <= 1
    alone = ranking.contextual_cosines(query, [1, 2, 3, 4], vectors, ranking.Order({}))
    matrix = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    assert alone == pytest.approx(dict(zip([1, 2, 3, 4], matrix @ query, strict=True)))


def test_a_long_record_speaks_for_itself() -> None:
    """The longer a record is, the less its neighbours move its meaning."""
    query = np.array([1, 0], np.float32)
    order = order_of([[1, 2]])

    short, long = (
        ranking.contextual_cosines(query, [2], vectors_of([[1, 0], [0, 1]], [5, length]), order)[2]
        for length in (5, 5000)
    )

    assert short > long > 0
