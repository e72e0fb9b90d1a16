from __future__ import annotations

import threading

import pytest

import clawstate
from clawstate.memory.backends.sqlite import embeddings
from clawstate.memory.backends.sqlite import upkeep as sqlite_upkeep
from clawstate.memory.upkeep import Upkeep
from clawstate.records.contract import Lease
from clawstate.records.inmemory import InMemoryBackend
from soundness import damage_of

LIMIT = 30.0  # seconds, after which a thread counts as stuck


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(sqlite_upkeep, "SNAPSHOT_FROM", 500)


@pytest.fixture
def large(memory, small):
    """Return a memory that needs optimizing."""
    memory.add_many({"text": f"the lobster number {number}"} for number in range(800))
    return memory


def snapshots(memory):
    return list(memory._engine._vectors.glob("*/manifest.json"))


def joined(upkeep):
    thread = upkeep._thread
    if thread is not None:
        thread.join(LIMIT)
        assert not thread.is_alive()


def test_many_writes_are_followed_by_an_optimization(large) -> None:
    """Once a burst of writes is over, the indexes are brought up to date in the background."""
    upkeep = Upkeep(large._engine, quiet=0.0)

    upkeep.noticed(100_000)
    joined(upkeep)

    assert not large.needs_optimizing()
    assert len(snapshots(large)) == 1


def test_one_alone_brings_indexes_up_to_date(large) -> None:
    """While another process has the lease on the indexes nobody else builds them."""
    leases = InMemoryBackend()
    upkeep = Upkeep(large._engine, lambda name, ttl, wait: leases.lease(name, ttl, wait=wait))
    other = leases.lease("memory-index", LIMIT)

    upkeep.optimize()
    assert snapshots(large) == []
    other.release()
    upkeep.optimize()

    assert len(snapshots(large)) == 1
    assert leases.lease("memory-index", LIMIT).fence > other.fence


def test_who_lost_the_lease_gives_up(large) -> None:
    """A builder whose lease went to another one ends as if it was cancelled."""
    leases = InMemoryBackend()
    taken: list[object] = []

    def lend(name: str, ttl: float, wait: float) -> Lease:
        lease = leases.lease(name, ttl, wait=wait)
        lease.release()
        taken.append(leases.lease(name, LIMIT))
        return lease

    Upkeep(large._engine, lend).optimize()

    assert taken
    assert large.needs_optimizing()


def test_few_writes_start_nothing(large) -> None:
    """A handful of records does not start a thread."""
    upkeep = Upkeep(large._engine, quiet=0.0)

    upkeep.noticed(3)

    assert upkeep._thread is None
    assert snapshots(large) == []


def test_few_writes_add_up(large) -> None:
    """Records are counted until there are enough of them."""
    upkeep = Upkeep(large._engine, quiet=0.0)

    for _ in range(3000):
        upkeep.noticed(1)
    joined(upkeep)

    assert not large.needs_optimizing()


def test_nothing_starts_after_closing(large) -> None:
    """A closed upkeep ends its thread and starts no other."""
    upkeep = Upkeep(large._engine, quiet=LIMIT)
    upkeep.noticed(100_000)
    thread = upkeep._thread

    upkeep.close()
    upkeep.noticed(100_000)

    assert not thread.is_alive()
    assert upkeep._thread is thread
    assert snapshots(large) == []


def test_a_closed_backend_ends_it_quietly(large) -> None:
    """Background work that finds the memory closed ends without an error."""
    upkeep = Upkeep(large._engine, quiet=0.0)
    large.close()

    upkeep.noticed(100_000)
    joined(upkeep)

    upkeep.close()


def test_writes_and_searches_go_on_meanwhile(large) -> None:
    """While indexes are built, records can be added and found."""
    building, go_on = threading.Event(), threading.Event()

    def progress(_done, _total):
        building.set()
        assert go_on.wait(LIMIT)

    builder = threading.Thread(target=lambda: large.optimize(progress=progress))
    builder.start()
    assert building.wait(LIMIT)
    record_id = large.add("a parrot of the hour")
    (hit,) = large.search("parrot", k=1)
    go_on.set()
    builder.join(LIMIT)

    assert not builder.is_alive()
    assert hit.record.id == record_id
    assert not large.needs_optimizing()
    assert large.search("parrot", k=1)[0].record.id == record_id


def test_a_cancelled_optimization_changes_nothing(large) -> None:
    """An optimization that is called off leaves the memory as good as before."""
    before = [hit.record.id for hit in large.search("lobster number 700", k=20)]

    large.optimize(cancelled=lambda: True)

    assert large.needs_optimizing()
    assert [hit.record.id for hit in large.search("lobster number 700", k=20)] == before
    assert damage_of(large) == []


def test_two_may_optimize_at_once(large, tmp_path, clock) -> None:
    """Two that optimize the same memory do not hurt each other or the memory."""
    failures = []

    def work():
        try:
            with clawstate.open(tmp_path / "state", clock=clock) as state:
                state.memory.optimize()
        except Exception as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)

    assert failures == []
    assert not large.needs_optimizing()
    assert damage_of(large) == []


def test_the_embedding_cache_is_bounded(memory, monkeypatch) -> None:
    """Vectors of forgotten texts are kept up to a number, the oldest leave first."""
    monkeypatch.setattr(embeddings, "CACHED_VECTORS", 10)
    ids = memory.add_many({"text": f"lobster {number}"} for number in range(30))

    memory.delete_many(ids)

    assert memory.stats()["cached_vectors"] == 10


def test_findings_tell_of_a_damaged_word_index(memory) -> None:
    """A record that its word index lacks is found by a deep check, and mended by `repair`."""
    memory.add_many([{"text": "the lobster sleeps"}, {"text": "the parrot talks"}])
    with memory._engine._database.writing() as connection:
        connection.execute("DELETE FROM memory_words WHERE rowid = 1")

    assert [each.code for each in memory.check()] == ["memory-index"]
    (repaired,) = memory.repair()

    assert (repaired.fix, repaired.repair) == ("built anew", None)
    assert damage_of(memory) == []
    assert len(memory.search("lobster", mode="words")) == 1


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("UPDATE scopes SET records = records + 1", "memory-damage"),
        ("INSERT INTO tags VALUES ('nobody', 'lost')", "memory-damage"),
        (
            "INSERT INTO memory_words (rowid, scope, content) VALUES (99, 's1', 'ghost')",
            "memory-index",
        ),
    ],
)
def test_findings_tell_of_lost_ends(memory, damage, code) -> None:
    """Counts, tags and words that belong to no record are found, and only indexes are mended."""
    memory.add("the lobster sleeps", tags=["sea"])
    assert damage_of(memory) == []

    with memory._engine._database.writing() as connection:
        connection.execute(damage)

    (found,) = memory.check()
    assert (found.code, found.repair is not None) == (code, code == "memory-index")


def test_findings_tell_of_a_damaged_snapshot(large) -> None:
    """A snapshot that is not what was written is found by a deep check, and mended."""
    large.optimize()
    (graph,) = large._engine._vectors.glob("*/vectors-*")
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 0xFF
    graph.write_bytes(data)

    assert len(large.check()) == 1
    large.rebuild()

    assert damage_of(large) == []
