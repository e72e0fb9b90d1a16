from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import cycle

import numpy as np
import pytest

import clawstate
from clawstate.memory.backends.sqlite import upkeep
from clawstate.memory.backends.sqlite.vector_source import SqliteVectors
from clawstate.memory.contract import EmbedderIdentity

SIZE = 48
COUNT = 12_000  # more than are compared whole, and two blocks
FEW = 10  # hits


class Planted:
    """Gives a text the vector that was planted for it: the outside world, under control."""

    def __init__(self, *, seed=0):
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((60, SIZE))
        rows = centres[rng.integers(0, 60, 20_000)] + 0.7 * rng.standard_normal((20_000, SIZE))
        self.identity = EmbedderIdentity("planted", SIZE)
        self.rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def embed(self, texts):
        return self.rows[[int(text.split()[-1]) for text in texts]]


@pytest.fixture(scope="module")
def planted():
    return Planted()


@pytest.fixture(autouse=True)
def small_snapshots(monkeypatch):
    """Snapshots are worth building from 500 records on."""
    monkeypatch.setattr(upkeep, "SNAPSHOT_FROM", 500)


def values(numbers, **more):
    for number, parity in zip(numbers, cycle(["even", "odd"]), strict=False):
        yield {
            "id": f"r{number}",
            "text": f"n {number}",
            "tags": [parity],
            "metadata": {"n": number, "hundred": number // 100},
            **more,
        }


@pytest.fixture(scope="module")
def template(tmp_path_factory, planted):
    """Return a state of COUNT records with a snapshot; to be copied, never opened."""
    path = tmp_path_factory.mktemp("template") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "SNAPSHOT_FROM", 500)
        with clawstate.open(path, embedder=planted) as state:
            state.memory.add_many(values(range(COUNT)))
            state.memory.optimize()
    return path


@pytest.fixture
def exact(tmp_path, template, planted):
    """Yield a memory of COUNT records without a snapshot."""
    shutil.copytree(template, tmp_path / "exact")
    shutil.rmtree(tmp_path / "exact/memory/vectors")
    with clawstate.open(tmp_path / "exact", embedder=planted) as state:
        yield state.memory


@pytest.fixture
def indexed(tmp_path, template, planted):
    """Yield a memory of COUNT records with a snapshot."""
    shutil.copytree(template, tmp_path / "indexed")
    with clawstate.open(tmp_path / "indexed", embedder=planted) as state:
        yield state.memory


def snapshots(memory):
    return memory._engine._vectors


def manifest(memory):
    (path,) = snapshots(memory).glob("*/manifest.json")
    return path


def ids(memory, number, **settings):
    hits = memory.search(f"n {number}", mode="vector", **{"k": FEW, **settings})
    return [hit.record.id for hit in hits]


def brute(planted, number, among=range(COUNT), k=FEW):
    among = np.array(list(among))
    cosines = planted.rows[among] @ planted.rows[number]
    among, cosines = among[cosines > 0], cosines[cosines > 0]  # no hit speaks against the query
    return [f"r{each}" for each in among[np.argsort(-cosines, kind="stable")[:k]]]


def recall(memory, planted, queries, among=range(COUNT), **settings):
    wanted = [set(brute(planted, number, among)) for number in queries]
    found = [set(ids(memory, number, **settings)) for number in queries]
    pairs = zip(wanted, found, strict=True)
    return np.mean([len(one & other) / len(one) for one, other in pairs if one])


def test_exact_search_is_brute_force(exact, planted) -> None:
    """Without a snapshot the hits are those of comparing with every vector, in that order."""
    for number in range(4000, 4040):
        hits = exact.search(f"n {number}", mode="vector", k=FEW)

        assert {hit.record.id for hit in hits} >= set(brute(planted, number, k=FEW - 1))
        for hit in hits:
            cosine = planted.rows[hit.record.metadata["n"]] @ planted.rows[number]
            assert hit.vector_score == pytest.approx(max(cosine, 0), abs=2e-3)


def test_the_whole_memory_is_one_space_to_search(exact, planted) -> None:
    """With `namespace=None` the vectors of all namespaces compete."""
    exact.add_many(values(range(2000, 2300), namespace="work"))

    found = recall(exact, planted, range(4000, 4030), range(2300), namespace=None)
    assert found >= 0.99


def test_a_snapshot_finds_what_brute_force_finds(indexed, planted) -> None:
    """With a snapshot the hits are those of an exact search for nearly every query."""
    assert manifest(indexed).exists()

    assert recall(indexed, planted, range(4000, 4200)) >= 0.99


def test_scores_do_not_depend_on_the_snapshot(indexed, exact) -> None:
    """Cosines come from the records: with and without a snapshot they are the same."""
    for number in range(4000, 4020):
        one = {
            hit.record.id: hit.vector_score
            for hit in indexed.search(f"n {number}", mode="vector", k=FEW)
        }
        other = {
            hit.record.id: hit.vector_score
            for hit in exact.search(f"n {number}", mode="vector", k=FEW)
        }
        both = one.keys() & other.keys()
        assert [one[each] for each in both] == pytest.approx([other[each] for each in both], 1e-5)


def test_new_records_are_found_at_once(indexed, planted) -> None:
    """Records added after the snapshot was built compete with those in it."""
    indexed.add_many(values(range(2000, 2400)))

    assert all(ids(indexed, number, k=1) == [f"r{number}"] for number in range(2000, 2400, 7))
    assert recall(indexed, planted, range(4000, 4100), range(2400)) >= 0.99


def test_deleted_records_are_never_found(indexed, planted) -> None:
    """Records that the snapshot still holds are not returned once they are deleted."""
    gone = {f"r{number}" for number in range(0, COUNT, 3)}
    indexed.delete_many(sorted(gone))

    queries = range(0, COUNT, 39)
    assert not any(gone & set(ids(indexed, number)) for number in queries)
    left = [number for number in range(COUNT) if number % 3]
    assert recall(indexed, planted, queries, left) >= 0.99


def test_nearly_everything_may_be_deleted(indexed, planted) -> None:
    """A snapshot of mostly deleted records leaves the search right."""
    left = range(0, COUNT, 50)
    indexed.delete_many([f"r{number}" for number in range(COUNT) if number % 50])

    assert recall(indexed, planted, range(4000, 4050), left) >= 0.99


def test_changed_texts_are_found_by_their_new_meaning(indexed) -> None:
    """A record whose text changed is found where it is now, and not where it was."""
    indexed.update("r7", text="moved 4500")

    assert ids(indexed, 4500, k=1) == ["r7"]
    assert ids(indexed, 7, k=1) != ["r7"]


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"tags": ["odd"]}, lambda n: n % 2 == 1),
        ({"where": {"hundred": 7}}, lambda n: n // 100 == 7),
        ({"where": {"n": {"gte": 1990}}}, lambda n: n >= 1990),
        ({"where": {"n": {"ne": 5}}}, lambda n: n != 5),
        ({"where": {"hundred": 7}, "tags": ["odd"]}, lambda n: n // 100 == 7 and n % 2),
    ],
    ids=["half", "twentieth", "ten", "nearly all", "two demands"],
)
@pytest.mark.parametrize("kind", ["exact", "indexed"])
def test_filters_leave_the_search_complete(request, planted, kind, settings, chosen) -> None:
    """With a filter, wide or narrow, the best of what it lets through are found."""
    memory = request.getfixturevalue(kind)
    left = [number for number in range(COUNT) if chosen(number)]

    assert recall(memory, planted, range(4000, 4060), left, **settings) >= 0.99


def test_a_filter_that_nothing_meets_finds_nothing(indexed) -> None:
    """A filter without records has no hits."""
    assert ids(indexed, 4000, tags=["blue"]) == []


def test_a_lost_snapshot_costs_nothing_but_time(indexed, planted) -> None:
    """Deleting the snapshot's directory under an open memory leaves its searches right."""
    assert ids(indexed, 4000) == ids(indexed, 4000)
    shutil.rmtree(snapshots(indexed))

    assert recall(indexed, planted, range(4001, 4060)) >= 0.99
    indexed.optimize()
    assert manifest(indexed).exists()
    assert recall(indexed, planted, range(4060, 4120)) >= 0.99


def test_a_snapshot_of_another_database_is_not_used(tmp_path, template, planted) -> None:
    """A snapshot that was copied beside another database is ignored, and later replaced."""
    with clawstate.open(tmp_path / "other", embedder=planted) as state:
        state.memory.add_many(values(range(2500, 3300)))
        shutil.copytree(template / "memory/vectors", tmp_path / "other/memory/vectors")

        assert recall(state.memory, planted, range(4000, 4050), range(2500, 3300)) >= 0.99
        assert state.memory.needs_optimizing()
        state.memory.optimize()
        assert recall(state.memory, planted, range(4050, 4100), range(2500, 3300)) >= 0.99


def test_a_snapshot_of_an_older_backup_is_not_believed(tmp_path, template, planted) -> None:
    """A snapshot that knows other vectors under the same numbers misleads no search."""
    for name, numbers in (("one", range(2000, 2600)), ("two", range(3000, 3600))):
        shutil.copytree(template, tmp_path / name)
        with clawstate.open(tmp_path / name, embedder=planted) as state:
            state.memory.add_many(values(numbers))
            state.memory.optimize()
    shutil.rmtree(tmp_path / "one/memory/vectors")
    shutil.copytree(tmp_path / "two/memory/vectors", tmp_path / "one/memory/vectors")

    with clawstate.open(tmp_path / "one", embedder=planted) as state:
        assert recall(state.memory, planted, range(4000, 4050), range(2600)) >= 0.99


def test_a_search_never_builds(exact) -> None:
    """Searching a large memory without a snapshot makes none."""
    for number in range(4000, 4020):
        ids(exact, number)

    assert exact.needs_optimizing()
    assert not snapshots(exact).exists()


def test_a_search_never_rebuilds(indexed) -> None:
    """Searching with an outgrown snapshot leaves it as it is."""
    indexed.add_many(values(range(2000, 2000 + COUNT // 2)))
    before = manifest(indexed).read_bytes()

    for number in range(4000, 4020):
        ids(indexed, number)

    assert indexed.needs_optimizing()
    assert manifest(indexed).read_bytes() == before


def test_optimize_is_done_once(indexed) -> None:
    """After `optimize` nothing needs optimizing, and a second one changes no snapshot."""
    indexed.add_many(values(range(2000, 3000)))
    indexed.optimize()
    before = manifest(indexed).read_bytes()

    indexed.optimize()

    assert not indexed.needs_optimizing()
    assert manifest(indexed).read_bytes() == before
    assert indexed.check() == []


def test_another_process_sees_a_new_snapshot(exact, planted) -> None:
    """A memory that is open uses the snapshot that another process publishes."""
    assert recall(exact, planted, range(4000, 4020)) >= 0.99
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); import test_vector_search as t\n"
        "t.upkeep.SNAPSHOT_FROM = 500\n"
        "state = t.clawstate.open(sys.argv[1], embedder=t.Planted())\n"
        "state.memory.optimize(); state.close()"
    )
    here, root = __file__.rpartition("/")[0], exact._engine.path.parents[1]

    subprocess.run([sys.executable, "-c", program, root, here], check=True)

    assert not exact.needs_optimizing()
    assert recall(exact, planted, range(4020, 4120)) >= 0.99
    assert exact._engine._nearest[1]._snapshots[1].snapshot is not None


def test_an_older_reading_keeps_no_later_search_from_a_new_snapshot(exact, planted) -> None:
    """A transaction that is older than a snapshot is searched exactly, each later one with it."""
    engine = exact._engine
    ids(exact, 4000)
    nearest = engine._nearest[1]
    with engine._database.reading() as connection:
        older = SqliteVectors(connection)
        assert older.state(1)[0] == COUNT
        publish_from_another_process(exact)

        assert nearest.snapshot(older, 1) is None
        assert nearest.snapshot(older, 1) is None

    assert recall(exact, planted, range(4020, 4120), range(COUNT + 600)) >= 0.99
    assert nearest._snapshots[1].snapshot is not None
    with engine._database.reading() as connection:
        assert nearest.snapshot(SqliteVectors(connection), 1).upto == COUNT + 600


def publish_from_another_process(memory):
    """Add 600 records and publish a snapshot, as another process."""
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); import test_vector_search as t\n"
        "t.upkeep.SNAPSHOT_FROM = 500\n"
        "state = t.clawstate.open(sys.argv[1], embedder=t.Planted())\n"
        "state.memory.add_many(t.values(range(t.COUNT, t.COUNT + 600)))\n"
        "state.memory.optimize(); state.close()"
    )
    here, root = __file__.rpartition("/")[0], memory._engine.path.parents[1]
    subprocess.run([sys.executable, "-c", program, root, here], check=True)


def test_the_hybrid_of_a_large_memory_is_the_mix_of_both(indexed) -> None:
    """With a snapshot a hybrid still returns what words alone find."""
    for number in (3, 500, 1999):
        words = {hit.record.id for hit in indexed.search(f"n {number}", mode="words", k=1)}

        assert words <= {hit.record.id for hit in indexed.search(f"n {number}", k=50)}


def test_expired_records_of_a_snapshot_are_not_found(tmp_path, clock, planted) -> None:
    """Records that expire while a snapshot holds them are returned no more."""
    with clawstate.open(tmp_path / "state", embedder=planted, clock=clock) as state:
        state.memory.add_many(values(range(300), ttl=60))
        state.memory.add_many(values(range(300, 800)))
        state.memory.optimize()
        assert ids(state.memory, 7, k=1) == ["r7"]
        clock.advance(60)

        assert recall(state.memory, planted, range(0, 300, 9), range(300, 800)) >= 0.99
