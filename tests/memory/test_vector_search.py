from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from itertools import cycle, pairwise

import apsw
import numpy as np
import pytest

import clawstate
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.filters import filter_from
from soundness import damage_of

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


def values(numbers, **more):
    for number, parity in zip(numbers, cycle(["even", "odd"]), strict=False):
        yield {
            "id": f"r{number}",
            "text": f"n {number}",
            "tags": [parity],
            "metadata": {"n": number, "part": number // 600},
            **more,
        }


@pytest.fixture(scope="module")
def template(tmp_path_factory, planted):
    """Return a state of COUNT records; to be copied, never opened."""
    path = tmp_path_factory.mktemp("template") / "state"
    with clawstate.open(path, embedder=planted) as state:
        state.memory.add_many(values(range(COUNT)))
    return path


@pytest.fixture
def root(tmp_path, template):
    shutil.copytree(template, tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def memory(root, planted):
    """Yield a memory of COUNT records."""
    with clawstate.open(root, embedder=planted) as state:
        yield state.memory


def ids(memory, number, **settings):
    hits = memory.search(f"n {number}", mode="vector", **{"k": FEW, **settings})
    return [hit.record.id for hit in hits]


def brute(planted, number, among=range(COUNT), k=FEW):
    among = np.array(list(among))
    cosines = planted.rows[among] @ planted.rows[number]
    return [f"r{each}" for each in among[np.argsort(-cosines, kind="stable")[:k]]]


def recall(memory, planted, queries, among=range(COUNT), **settings):
    wanted = [set(brute(planted, number, among)) for number in queries]
    found = [set(ids(memory, number, **settings)) for number in queries]
    pairs = zip(wanted, found, strict=True)
    return np.mean([len(one & other) / len(one) for one, other in pairs if one])


def in_another_process(memory, program):
    """Run *program* on `state`, with the names of this module in `t`, and wait for its end."""
    whole = (
        "import sys; sys.path.insert(0, sys.argv[2]); import test_vector_search as t\n"
        "state = t.clawstate.open(sys.argv[1], embedder=t.Planted())\n"
        f"{program}\nstate.close()"
    )
    here, root = __file__.rpartition("/")[0], memory._engine.path.parents[1]
    path = f"{here}:{here.rpartition('/')[0]}"
    subprocess.run([sys.executable, "-c", whole, root, here], check=True, env={"PYTHONPATH": path})


def test_a_search_finds_what_comparing_with_each_finds(memory, planted) -> None:
    """Among many records the hits are those of comparing with every vector, for nearly all."""
    assert recall(memory, planted, range(14_000, 14_200)) >= 0.99


def test_scores_are_cosines(memory, planted) -> None:
    """The score by meaning is the cosine of question and record, 0 where that is negative."""
    for number in range(14_000, 14_040):
        for hit in memory.search(f"n {number}", mode="vector", k=FEW):
            cosine = planted.rows[hit.record.metadata["n"]] @ planted.rows[number]
            assert hit.vector_score == pytest.approx(max(cosine, 0), abs=2e-3)


def test_namespaces_are_searched_apart_or_together(memory, planted) -> None:
    """A search stays in its namespace; with `namespace=None` all of them compete."""
    memory.add_many(values(range(COUNT, COUNT + 500), namespace="work"))

    queries = range(14_000, 14_030)
    assert recall(memory, planted, queries, range(COUNT + 500), namespace=None) >= 0.99
    assert recall(memory, planted, queries) >= 0.99
    work = range(COUNT, COUNT + 500)
    assert recall(memory, planted, queries, work, namespace="work") >= 0.99


def test_new_records_are_found_at_once(memory, planted) -> None:
    """Records compete from the moment they are kept, one by one and in bulk."""
    for number in range(COUNT, COUNT + 20):
        memory.add_many(values([number]))
        assert ids(memory, number, k=1) == [f"r{number}"]

    memory.add_many(values(range(COUNT + 20, COUNT + 1500)))

    queries = range(COUNT, COUNT + 1500, 13)
    assert all(ids(memory, number, k=1) == [f"r{number}"] for number in queries)
    assert recall(memory, planted, range(14_000, 14_060), range(COUNT + 1500)) >= 0.99


def test_deleted_records_are_never_found(memory, planted) -> None:
    """Deleted records are gone from searches, and the others are found."""
    ids(memory, 3)
    gone = {f"r{number}" for number in range(0, COUNT, 3)}
    memory.delete_many(sorted(gone))

    queries = range(0, COUNT, 239)
    assert not any(gone & set(ids(memory, number)) for number in queries)
    left = [number for number in range(COUNT) if number % 3]
    assert recall(memory, planted, queries, left) >= 0.99
    assert damage_of(memory) == []


def test_nearly_everything_may_be_deleted(memory, planted) -> None:
    """What is left after most records were deleted is found, also by who opens it anew."""
    left = range(0, COUNT, 50)
    memory.delete_many([f"r{number}" for number in range(COUNT) if number % 50])

    assert recall(memory, planted, range(14_000, 14_040), left) == 1
    assert damage_of(memory) == []


def test_changed_texts_are_found_by_their_new_meaning(memory) -> None:
    """A record whose text changed is found where it is now, and not where it was."""
    memory.update("r7", text="moved 14500")

    assert ids(memory, 14_500, k=1) == ["r7"]
    assert ids(memory, 7, k=1) != ["r7"]


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"tags": ["odd"]}, lambda n: n % 2 == 1),
        ({"where": {"part": 7}}, lambda n: n // 600 == 7),
        ({"where": {"n": {"gte": COUNT - 10}}}, lambda n: n >= COUNT - 10),
        ({"where": {"n": {"ne": 5}}}, lambda n: n != 5),
        ({"where": {"part": 7}, "tags": ["odd"]}, lambda n: n // 600 == 7 and n % 2),
    ],
    ids=["half", "twentieth", "ten", "nearly all", "two demands"],
)
def test_filters_leave_the_search_complete(memory, planted, settings, chosen) -> None:
    """With a filter, wide or narrow, the best of what it lets through are found."""
    left = [number for number in range(COUNT) if chosen(number)]

    assert recall(memory, planted, range(14_000, 14_030), left, **settings) >= 0.99


def test_all_that_a_filter_lets_through_may_be_asked_for(memory, planted) -> None:
    """As many hits come as match and are asked for, also those that are like nothing asked."""
    wanted = [number for number in range(4200, 4800) if number < 4260]
    hits = memory.search("n 14001", mode="vector", k=60, where={"n": {"gte": 4200, "lt": 4260}})

    assert [hit.record.id for hit in hits] == brute(planted, 14_001, wanted, k=60)
    assert hits[-1].score == 0
    assert all(one.score >= other.score for one, other in pairwise(hits))


def test_a_filter_asked_again_sees_what_changed(memory) -> None:
    """A filter that was asked before lets through what it would if it were asked for the first."""
    where = {"part": 3}
    assert "r1801" in ids(memory, 1801, where=where)

    memory.update("r1801", metadata={"part": 4})
    memory.update("r5", metadata={"part": 3})

    assert "r1801" not in ids(memory, 1801, where=where, k=1000)
    assert ids(memory, 5, where=where, k=1) == ["r5"]
    memory.delete("r5")
    assert ids(memory, 5, where=where, k=1) != ["r5"]
    memory.add_many(values([COUNT + 5], metadata={"part": 3}))
    assert ids(memory, COUNT + 5, where=where, k=1) == [f"r{COUNT + 5}"]


def test_a_filter_asked_again_is_asked_of_what_is_new(memory) -> None:
    """A filter that was asked before reads no record again while none of them was changed."""
    tags = ["odd"]
    ids(memory, 3, tags=tags)
    memory.add_many(values([COUNT, COUNT + 1]))
    asked = []
    for connection in apsw.connections():
        connection.exec_trace = lambda _cursor, sql, given: asked.append((sql, given)) or True

    found = ids(memory, COUNT + 1, tags=tags, k=1)
    ids(memory, 5, tags=tags)

    for connection in apsw.connections():
        connection.exec_trace = None
    assert found == [f"r{COUNT + 1}"]
    begins = [given[0] for sql, given in asked if sql.startswith("SELECT m.docno FROM memories m")]
    assert begins == [COUNT]


def test_a_filter_asked_again_lets_nothing_through_that_expired(root, clock, planted) -> None:
    """What expires between two questions is let through by the first alone."""
    with clawstate.open(root, embedder=planted, clock=clock) as state:
        where = {"part": 3}
        assert ids(state.memory, COUNT + 7, where=where, k=1) != [f"r{COUNT + 7}"]
        state.memory.add_many(values([COUNT + 7], metadata={"part": 3}, ttl=60))
        assert ids(state.memory, COUNT + 7, where=where, k=1) == [f"r{COUNT + 7}"]

        clock.advance(60)

        assert ids(state.memory, COUNT + 7, where=where, k=1) != [f"r{COUNT + 7}"]


def test_a_filter_that_nothing_meets_finds_nothing(memory) -> None:
    """A filter without records has no hits."""
    assert ids(memory, 14_000, tags=["blue"]) == []


def test_a_question_without_content_finds_nothing(tmp_path) -> None:
    """A vector of zeros is near to nothing, of a question and of a record."""

    class Empty:
        identity = EmbedderIdentity("empty", 4)

        def embed(self, texts):
            return np.array([[float("x" in text), 0, 0, 0] for text in texts], np.float32)

    with clawstate.open(tmp_path / "state", embedder=Empty()) as state:
        state.memory.add_many([{"text": "a x"}, {"text": "b x"}, {"text": "c"}])

        assert state.memory.search("d", mode="vector") == []
        found = state.memory.search("d x", mode="vector")

    assert {hit.record.text for hit in found} == {"a x", "b x"}


def test_another_process_changes_what_is_found(memory, planted) -> None:
    """A memory that is open finds what another process added, and not what that deleted."""
    assert ids(memory, 9, k=1) == ["r9"]

    in_another_process(
        memory,
        "state.memory.add_many(t.values(range(t.COUNT, t.COUNT + 5000)))\n"
        "state.memory.delete_many([f'r{n}' for n in range(0, t.COUNT, 3)])",
    )

    left = [number for number in range(COUNT + 5000) if number % 3 or number >= COUNT]
    assert recall(memory, planted, range(0, COUNT + 5000, 250), left) >= 0.99
    assert ids(memory, COUNT + 77, k=1) == [f"r{COUNT + 77}"]


def test_an_older_reading_sees_no_newer_record(memory, planted) -> None:
    """A transaction that began before a record was added is not told of it."""
    engine, chosen = memory._engine, filter_from(namespace="default")
    ids(memory, 3)
    with engine.reading() as older:
        older.evidence  # noqa: B018 - the reading is open
        memory.add_many(values(range(COUNT, COUNT + 10)))
        assert ids(memory, COUNT + 3, k=1) == [f"r{COUNT + 3}"]

        keys = older.nearest(planted.rows[COUNT + 3], chosen, 100).keys

        assert len(older.fetch(keys.tolist())) == 100
    assert ids(memory, COUNT + 4, k=1) == [f"r{COUNT + 4}"]


def test_threads_search_while_others_write(memory, planted) -> None:
    """Searches of several threads, beside one that adds and deletes, find what is there."""
    wrong, over = [], threading.Event()

    def ask(part):
        number = 1000 * part
        while not over.is_set():
            number += 1
            if ids(memory, number, k=1) != [f"r{number}"]:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(part,)) for part in (2, 4, 6)]
    for thread in threads:
        thread.start()
    for number in range(COUNT, COUNT + 60):
        memory.add_many(values([number]))
        memory.delete(f"r{number - COUNT}")
    over.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    left = range(60, COUNT + 60)
    assert recall(memory, planted, range(120), left) >= 0.99


def test_the_hybrid_of_a_large_memory_is_the_mix_of_both(memory) -> None:
    """Among many records a hybrid still returns what words alone find."""
    for number in (3, 500, 1999):
        words = {hit.record.id for hit in memory.search(f"n {number}", mode="words", k=1)}

        assert words <= {hit.record.id for hit in memory.search(f"n {number}", k=50)}


def test_expired_records_are_not_found(root, clock, planted) -> None:
    """Records that expire are returned no more, though nothing was written since."""
    with clawstate.open(root, embedder=planted, clock=clock) as state:
        state.memory.add_many(values(range(COUNT, COUNT + 300), ttl=60))
        state.memory.add_many(values(range(COUNT + 300, COUNT + 400), ttl=90))
        assert ids(state.memory, COUNT + 7, k=1) == [f"r{COUNT + 7}"]
        clock.advance(60)

        queries = range(COUNT, COUNT + 400, 19)
        left = [*range(COUNT), *range(COUNT + 300, COUNT + 400)]
        assert recall(state.memory, planted, queries, left) >= 0.99
        clock.advance(30)
        assert recall(state.memory, planted, queries, range(COUNT)) >= 0.99
