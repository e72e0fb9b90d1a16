"""The search by vectors against comparing with each of them, on vectors that are hard to search."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest
from vectors_at_hand import KINDS, KeptVectors, Vectors, brute, clustered, units

from clawstate.memory.vector_index import arrays, blocks, scan, table
from clawstate.memory.vector_index.codes import Codes, quantise
from clawstate.memory.vector_index.nearest import NearestSearch
from clawstate.memory.vector_index.source import Coded
from seeds import seed

NOISE = 5e-5
"""What the cosines of rows of int16 are wrong by at most, and a little more."""


@pytest.fixture
def chance():
    return np.random.default_rng(seed())


@pytest.fixture
def small(monkeypatch):
    """Make bits choose among more than some hundred rows."""
    monkeypatch.setattr(table, "EXACT", 300)
    monkeypatch.setattr(table, "_CANDIDATES", (150, 300))


def asked(chance, rows, count):
    """Return questions near to some of *rows*."""
    near = rows[chance.choice(len(rows), count)]
    return units(near + 0.3 * units(chance.standard_normal(near.shape)))


def best(search, source, query, limit=10, *, scope=None, allowed=None):
    return search.best(source, query, scope=scope, allowed=allowed, limit=limit)


def right(found, cosines):
    """Return how many of the *cosines* found are among the highest, of which ties are as good."""
    return np.count_nonzero(found >= cosines[-1] - NOISE)


@pytest.mark.parametrize("limit", [16, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_finds_what_comparing_with_each_finds(chance, kind, limit) -> None:
    """On near-duplicates, languages and ugly dimensions recall is .99, and no best hit is lost."""
    rows = KINDS[kind](chance)
    source, search = Vectors(rows), NearestSearch(rows.shape[1])
    hits = lost = 0

    for query in asked(chance, rows, 60):
        keys, cosines = best(search, source, query, limit)
        exact = rows @ query
        tenth = np.partition(exact, -10)[-10]
        hits += int((exact[keys[:10] - 1] >= tenth - NOISE).sum())
        lost += bool(cosines[0] < exact.max() - NOISE)
        np.testing.assert_allclose(cosines, exact[keys - 1], atol=NOISE)

    assert hits >= 0.99 * 600
    assert lost == 0


@pytest.mark.parametrize(
    ("size", "share"), [(384, None), (512, 0.5), (768, None), (1536, None), (1536, 0.5)]
)
def test_many_dimensions_are_measured_by_some_of_their_bits_first(chance, size, share) -> None:
    """Of many bits fewer rows are compared, or some bits choose: recall is .99, also of a half."""
    rows = units(clustered(chance, 14_000, size, themes=200))
    source, search = Vectors(rows), NearestSearch(size)
    allowed = None
    if share is not None:
        allowed = np.flatnonzero(chance.random(len(rows)) < share) + 1
    hits = lost = 0

    for query in asked(chance, rows, 20):
        exact = rows @ query
        if allowed is not None:
            out = np.ones(len(rows), np.bool_)
            out[allowed - 1] = False
            exact[out] = -1
        keys, cosines = best(search, source, query, allowed=allowed)
        hits += int((exact[keys - 1] >= np.partition(exact, -10)[-10] - NOISE).sum())
        lost += bool(cosines[0] < exact.max() - NOISE)

    assert hits >= 0.99 * 200
    assert lost == 0


@pytest.mark.parametrize("size", [384, 1536])
def test_bits_that_tell_little_do_not_choose_for_others(chance, monkeypatch, size) -> None:
    """Of vectors that are near to none, as many are found as where all are measured by all bits."""
    rows = units(chance.standard_normal((14_000, size)))
    source, search = Vectors(rows), NearestSearch(size)
    queries = units(chance.standard_normal((30, size)))

    def found() -> int:
        tenth = (np.partition(rows @ query, -10)[-10] for query in queries)
        cosines = (best(search, source, query)[1] for query in queries)
        return sum(
            int((each >= bar - NOISE).sum()) for each, bar in zip(cosines, tenth, strict=True)
        )

    by_some = found()
    monkeypatch.setattr(table, "_WIDE", rows.shape[1])
    monkeypatch.setattr(table.View, "_best_of_fewer", lambda *_: None)
    by_all = found()

    assert by_some >= by_all - 3


def test_equal_bits_do_not_hide_others(chance, monkeypatch) -> None:
    """Where the first bits of all are alike, the others choose."""
    monkeypatch.setattr(table, "EXACT", 300)
    monkeypatch.setattr(table, "_CANDIDATES", (50, 100))
    monkeypatch.setattr(table, "_FEWEST", 50)
    rows = units(clustered(chance, 4000, 768, themes=30))
    source, search = Vectors(rows), NearestSearch(768)
    query = asked(chance, rows, 1)[0]
    best(search, source, query)
    search._known.table.view.arrays.columns[:8] = 0

    keys, _ = best(search, source, query)

    assert (rows @ query)[keys[0] - 1] == pytest.approx((rows @ query).max(), abs=NOISE)


@pytest.mark.parametrize("size", [3, 64, 100, 300, 384, 768, 1536])
def test_any_number_of_dimensions_can_be_searched(chance, small, size) -> None:
    """Few dimensions and many, of any number, are found alike."""
    rows = units(clustered(chance, 2000, size, themes=30))
    source, search = Vectors(rows), NearestSearch(size)
    hits = 0

    for query in asked(chance, rows, 20):
        exact = rows @ query
        keys, _ = best(search, source, query)
        hits += int((exact[keys - 1] >= np.partition(exact, -10)[-10] - NOISE).sum())

    assert hits >= 0.95 * 200  # of so few that the bits choose a tenth at most


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (64, "1e493bc43225f2f6"),
        (100, "6558659ca1ec3c4d"),
        (256, "96e2cbac8ed99f98"),
        (768, "42b52c55827fabf0"),
    ],
)
def test_vectors_are_turned_alike_for_ever(size, wanted) -> None:
    """Bits that another release of numpy, or another machine, has kept mean the same here."""
    turned = np.rint(64 * Codes(size)._rotate(np.eye(size, dtype=np.float32)))

    assert hashlib.sha256(turned.astype("<i2").tobytes()).hexdigest()[:16] == wanted


def test_small_memories_are_compared_whole(chance) -> None:
    """Up to ten thousand vectors the answer is that of comparing with each."""
    rows = units(clustered(chance, 3000))
    source, search = Vectors(rows), NearestSearch(64)

    for query in asked(chance, rows, 30):
        wanted, cosines = brute(source.rows, query, 25)
        keys, found = best(search, source, query, 25)

        np.testing.assert_allclose(found, cosines, atol=NOISE)
        assert len(set(keys.tolist()) & set(wanted.tolist())) >= 24


@pytest.mark.parametrize("kind", [Vectors, KeptVectors])
@pytest.mark.parametrize("share", [2, 5, 40, 2000])
def test_a_filter_leaves_all_that_it_lets_through(chance, small, kind, share) -> None:
    """Of the keys that are allowed the best are found, however few or many those are."""
    rows = units(clustered(chance, 4000))
    source, search = kind(rows), NearestSearch(64)
    allowed = np.arange(share, 4001, share, dtype=np.int64)

    for query in asked(chance, rows, 20):
        wanted, cosines = brute(source.rows, query, 10, among=allowed.tolist())
        keys, found = best(search, source, query, allowed=allowed)

        assert len(keys) == min(10, len(allowed))
        assert set(keys.tolist()) <= set(allowed.tolist())
        assert right(found, cosines) >= len(found) - 1
        assert set(wanted[:1].tolist()) <= set(keys.tolist())


def test_as_many_come_as_are_allowed(chance, small) -> None:
    """All that a filter lets through come, also those that point the other way."""
    rows = units(chance.standard_normal((2000, 64)))
    source, search = Vectors(rows), NearestSearch(64)
    allowed = np.arange(7, 2000, 33, dtype=np.int64)

    keys, cosines = best(search, source, rows[0], 1000, allowed=allowed)

    assert sorted(keys.tolist()) == allowed.tolist()
    assert cosines[-1] < 0
    assert (np.diff(cosines) <= 1e-6).all()


def test_a_scope_is_searched_alone(chance, small) -> None:
    """Vectors of another scope are not found."""
    rows = units(clustered(chance, 3000))
    source, search = Vectors(rows), NearestSearch(64)

    for scope in (0, 1):
        keys, _ = best(search, source, rows[5], 40, scope=scope)
        assert len(keys) == 40
        assert set((keys % 2).tolist()) == {scope}


def test_the_dead_stand_in_nobodys_way(chance, small) -> None:
    """Where nearly all that a filter once let through are deleted, the others are found."""
    rows = units(clustered(chance, 6000))
    source, search = Vectors(rows), NearestSearch(64)
    best(search, source, rows[0])
    for key in range(1, 2800, 2):
        source.remove(key)
    left = range(2801, 2900, 2)

    for query in asked(chance, rows, 20):
        wanted, _ = brute(source.rows, query, 10, among=left)
        keys, _ = best(search, source, query, allowed=np.arange(1, 2900, 2, dtype=np.int64))
        assert len(set(keys.tolist()) & set(wanted.tolist())) >= 9


@pytest.mark.parametrize("kind", [Vectors, KeptVectors])
def test_the_nearest_that_died_take_nobodys_place(chance, small, kind) -> None:
    """Where all that was nearest is deleted, the next are found, as many as are asked for."""
    rows = units(clustered(chance, 6000, themes=10))
    source, search = kind(rows), NearestSearch(64)
    query = rows[0]
    best(search, source, query)
    for key in brute(source.rows, query, 400)[0].tolist():
        source.remove(key)

    _, cosines = brute(source.rows, query, 10)
    keys, found = best(search, source, query)

    assert len(keys) == 10
    assert right(found, cosines) >= 8


def test_a_vector_of_zeros_moves_no_other(chance, small) -> None:
    """Rows that are read in parts are those of their keys, also behind vectors of zeros."""
    rows = units(clustered(chance, 4000))
    rows[5::7] = 0
    source, search = KeptVectors(rows), NearestSearch(64)

    for query in asked(chance, rows, 12):
        keys, found = best(search, source, query)

        np.testing.assert_allclose(found, rows[keys - 1] @ query, atol=NOISE)


@pytest.mark.parametrize("kind", [Vectors, KeptVectors])
def test_equal_vectors_are_found_by_age(chance, small, kind) -> None:
    """Among equal ones the older come first, also where there are more than the bits choose."""
    rows = units(clustered(chance, 4000))
    rows[1000:3000] = rows[500]
    source, search = kind(rows), NearestSearch(64)

    keys, cosines = best(search, source, rows[500], 50)

    assert keys.tolist() == [501, *range(1001, 1050)]
    np.testing.assert_allclose(cosines, 1, atol=NOISE)


@pytest.mark.parametrize("kind", [Vectors, KeptVectors])
def test_a_vector_of_zeros_is_near_to_nothing(chance, small, kind) -> None:
    """A text without content is never found."""
    rows = units(clustered(chance, 2500))
    rows[::7] = 0
    source, search = kind(rows), NearestSearch(64)

    for limit in (10, 2500):
        keys, _ = best(search, source, rows[1], limit)
        assert len(keys) == min(limit, np.count_nonzero(rows.any(axis=1)))
        assert not set(keys.tolist()) & set(range(1, 2501, 7))
    assert len(best(search, source, np.zeros(64, np.float32), 5)[0]) == 5


def test_nothing_is_found_among_nothing() -> None:
    """An empty memory, and a filter that nothing meets, have no hits."""
    source, search = Vectors(np.empty((0, 8), np.float32)), NearestSearch(8)

    assert len(best(search, source, np.ones(8, np.float32))[0]) == 0
    source.add(np.ones(8, np.float32))
    assert len(best(search, source, np.ones(8, np.float32), allowed=np.array([], int))[0]) == 0
    assert best(search, source, np.ones(8, np.float32))[0].tolist() == [1]


@pytest.mark.parametrize("kind", [Vectors, KeptVectors])
def test_changes_are_found_at_once(chance, small, kind) -> None:
    """After each of many additions and removals the answer is that of comparing with each."""
    rows = units(clustered(chance, 3000))
    source, search = kind(rows[:2000]), NearestSearch(64)
    fresh = iter(rows[2000:])

    for _ in range(150):
        match int(chance.integers(4)):
            case 0:
                source.remove(int(chance.choice(list(source.rows))))
            case 1:
                for key in chance.choice(list(source.rows), 20, replace=False).tolist():
                    source.remove(key)
            case _:
                for _ in range(int(chance.integers(1, 9))):
                    source.add(next(fresh))
        query = asked(chance, rows, 1)[0]
        _, cosines = brute(source.rows, query, 10)
        keys, found = best(search, source, query)

        assert set(keys.tolist()) <= source.rows.keys()
        assert right(found, cosines) >= 9
        assert found[0] >= cosines[0] - NOISE


def test_an_older_reader_sees_nothing_newer(chance, small) -> None:
    """A reader of an older state is told of no key that was given out later."""
    rows = units(clustered(chance, 1500))
    source, search = Vectors(rows[:1000]), NearestSearch(64)
    older = Vectors(rows[:900])

    assert best(search, source, rows[950])[0][0] == 951
    assert best(search, older, rows[950])[0].max() <= 900
    assert best(search, source, rows[950])[0][0] == 951


def test_only_candidates_are_read_until_more_is_asked(chance, small) -> None:
    """The first search over bits that are kept reads some vectors, and later ones all, in parts."""
    rows = units(clustered(chance, 12_000))
    source, search = KeptVectors(rows), NearestSearch(64)
    kept = source.stored_blocks()
    source.stored_blocks = lambda: kept
    source.read = 0

    best(search, source, rows[3])
    first = source.read
    for query in asked(chance, rows, 30):
        best(search, source, query)
    source.read = 0
    best(search, source, rows[4])

    assert 0 < first <= 1000 + 2 * 300 + 240
    assert source.read == 0


@pytest.mark.parametrize("limit", [10, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_search_finds_what_later_ones_find(chance, kind, limit) -> None:
    """Where no row is in memory, a few hundred are read and the best are found all the same."""
    rows = KINDS[kind](chance)
    source = KeptVectors(rows)
    kept = source.stored_blocks()
    source.stored_blocks = lambda: kept
    hits = lost = 0

    for query in asked(chance, rows, 15):
        search = NearestSearch(rows.shape[1])
        source.read = 0
        keys, cosines = best(search, source, query, limit)
        exact = rows @ query
        hits += int((exact[keys[:10] - 1] >= np.partition(exact, -10)[-10] - NOISE).sum())
        lost += bool(cosines[0] < exact.max() - NOISE)
        assert source.read <= 1000 + max(1000, 4 * limit)

    assert hits >= 0.96 * 150  # where languages are far apart, and each of them dense
    assert lost == 0


def test_others_come_with_their_cosines(chance, small) -> None:
    """Keys that are asked for beside the best come too, also such as are zeros or not loaded."""
    rows = units(clustered(chance, 3000))
    rows[20] = 0
    source, search = KeptVectors(rows), NearestSearch(64)
    others = np.array([1, 21, 1500, 2999, 4000], np.int64)

    for query in asked(chance, rows, 4):
        alone, _ = best(search, source, query)
        keys, cosines = search.best(
            source, query, scope=None, allowed=None, limit=10, others=others
        )

        assert keys[: len(alone)].tolist() == alone.tolist()
        assert set(keys.tolist()) == {*alone.tolist(), 1, 21, 1500, 2999}
        assert len(keys) == len(set(keys.tolist()))
        np.testing.assert_allclose(cosines, rows[keys - 1] @ query, atol=NOISE)


def test_what_does_not_fit_in_memory_is_read(chance, small, monkeypatch) -> None:
    """Beyond the bytes that rows may take, candidates are read from the source."""
    monkeypatch.setattr(arrays, "_BUDGET", 500 * 2 * 64)
    rows = units(clustered(chance, 3000))
    source, search = KeptVectors(rows), NearestSearch(64)

    for query in asked(chance, rows, 20):
        _, cosines = brute(source.rows, query, 10)
        _, found = best(search, source, query)
        assert right(found, cosines) >= 9


def test_threads_get_what_one_gets(chance, small) -> None:
    """Searches of four threads, while a fifth adds, find what comparing with each finds."""
    rows = units(clustered(chance, 4000))
    search = NearestSearch(64)
    queries, wrong = asked(chance, rows[:3000], 40), []
    states = [Vectors(rows[:count]) for count in range(3000, 4000, 50)]

    def ask(part):
        for number, query in enumerate(queries[part::4]):
            known = states[min(number * 2, len(states) - 1)]
            exact = rows[: known.newest] @ query
            keys, found = best(search, known, query)
            if keys.max() > known.newest or found[0] < exact.max() - NOISE:
                wrong.append((part, number))

    threads = [threading.Thread(target=ask, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for known in states:
        best(search, known, rows[0])
    for thread in threads:
        thread.join()

    assert wrong == []


def test_an_audit_widens_a_search_that_misses(chance, small, monkeypatch) -> None:
    """Where the bits tell nothing, more candidates are asked for, in the end all of them."""
    rows = units(clustered(chance, 9000))
    assert NearestSearch(64).needed_breadth(Vectors(rows)) is None
    monkeypatch.setattr(table, "_CANDIDATES", (8, 8))
    monkeypatch.setattr(table, "_SHARE", 9000)
    monkeypatch.setattr(Codes, "bits", lambda _self, given: np.zeros((len(given), 1), np.uint64))
    monkeypatch.setattr(scan, "closest", lambda far, least: np.arange(min(least, len(far))))

    assert NearestSearch(64).needed_breadth(Vectors(rows)) == 0


@pytest.mark.parametrize("words", [1, 4])
def test_blocks_come_back_as_they_were(chance, words) -> None:
    """What is written of vectors is read again; other bytes are refused or told by the checksum."""
    keys = np.cumsum(chance.integers(1, 5, 50))
    bits = chance.integers(0, 1 << 63, (50, words)).astype(np.uint64)
    coded = Coded(keys, keys % 3, bits, keys % 7 == 0)

    data = blocks.encode(coded)
    found = blocks.decode(data, words)

    for name in ("keys", "scopes", "bits", "empty"):
        np.testing.assert_array_equal(getattr(found, name), getattr(coded, name))
    assert blocks.decode(data[:-1], words) is None
    assert blocks.size(data, words) == 50
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    assert blocks.checksum(bytes(changed)) != blocks.checksum(data)


def test_a_forgotten_vector_leaves_zeros(chance) -> None:
    """Forgetting keys leaves bytes of the same length, in which nothing tells of them."""
    keys = np.arange(1, 51) * 1_000_003
    bits = chance.integers(1 << 62, 1 << 63, (50, 4)).astype(np.uint64)
    coded = Coded(keys, keys % 1000, bits, keys % 2 == 0)
    data = blocks.encode(coded)

    left = blocks.forget(data, keys[10:30], 4)

    assert len(left) == len(data)
    found = blocks.decode(left, 4)
    assert found.keys.tolist() == [*keys[:10], *keys[30:]]
    for number in range(10, 30):
        assert bits[number].tobytes() in data
        for word in bits[number]:
            assert word.tobytes() not in left
        assert (int(keys[number])).to_bytes(8, "little") not in left


def test_rows_of_int16_keep_a_cosine(chance) -> None:
    """A cosine with a row of int16 is wrong by less than 3e-5, whatever the vector's length."""
    vectors = (units(chance.standard_normal((500, 256))) * 7).astype(np.float32)
    rows, scales = quantise(vectors)
    query = units(chance.standard_normal((1, 256)))[0]

    found = scan.products(rows, query) * scales

    np.testing.assert_allclose(found / 7, vectors @ query / 7, atol=3e-5)


@pytest.mark.parametrize("words", [1, 2, 3, 4, 5, 24])
def test_distances_are_counted_bit_by_bit(chance, words) -> None:
    """A distance is the number of bits that differ, of few bits and of many."""
    rows = chance.integers(0, 1 << 63, (70_000, words)).astype(np.uint64)
    query = chance.integers(0, 1 << 63, words).astype(np.uint64)
    rows[1], rows[2] = query, ~query

    far = scan.distances(np.ascontiguousarray(rows.T), query)

    assert far[1] == 0
    assert far[2] == far.max() == min(64 * words, 255 if words == 4 else 64 * words)
    chosen = chance.choice(70_000, 500)
    differing = np.unpackbits((rows[chosen] ^ query).view(np.uint8), axis=1).sum(axis=1)
    np.testing.assert_array_equal(far[chosen], differing)


@pytest.mark.parametrize("count", [5_000, 100_000, 400_000])
@pytest.mark.parametrize("least", [200, 2_000])
def test_the_closest_are_enough_and_no_other_is_closer(chance, count, least) -> None:
    """Of all rows those are chosen that are closest, as many as asked for to twice as many."""
    for middle in (0.3, 0.5):
        far = chance.binomial(256, middle, count).astype(np.uint8)

        rows = scan.closest(far, least)

        assert least <= len(rows) <= 2 * least
        assert (np.diff(rows) > 0).all()
        others = np.delete(far, rows)
        assert far[rows].max() < others.min()


def test_where_all_are_as_close_none_are_chosen() -> None:
    """Bits that are the same for all rows choose none of them."""
    far = np.full(50_000, 7, np.uint8)
    far[:100] = 3

    assert scan.closest(far, 2_000) is None
    assert scan.closest(far, 100).tolist() == list(range(100))
