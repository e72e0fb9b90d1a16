"""The blocks of vectors in the database: what is in them, and what is left of what is forgotten."""

from __future__ import annotations

import gzip
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
import numpy as np
import pytest

import clawstate
from clawstate.memory.backends import columns
from clawstate.memory.backends.sqlite import rows, vector_blocks
from clawstate.memory.backends.sqlite.schema import MIGRATIONS
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.vector_index import table
from clawstate.memory.vector_index.codes import Codes
from seeds import seed
from soundness import damage_of

SIZE, BLOCK = 256, 50


class Random:
    """Gives each text a vector near one of forty others, as its number chooses."""

    identity = EmbedderIdentity("random", SIZE)

    def embed(self, texts):
        made = np.array([self._row(int(text.split()[-1])) for text in texts], np.float32)
        made = made.reshape(len(texts), SIZE)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def _row(self, number):
        theme = np.random.default_rng(number % 40).standard_normal(SIZE)
        return theme + 0.5 * np.random.default_rng(1000 + number).standard_normal(SIZE)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Make blocks of some records, and choose by bits among few."""
    make_small(monkeypatch.setattr)


def make_small(put):
    put(rows, "VECTOR_BLOCK", BLOCK)
    put(table, "EXACT", 60)
    put(table, "_CANDIDATES", (60, 60))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def memory(root):
    with clawstate.open(root, embedder=Random()) as state:
        yield state.memory


def values(numbers, **more):
    return [{"id": f"r{number}", "text": f"n {number}", **more} for number in numbers]


def table_of(memory):
    """Return (upto, records, data) of the blocks."""
    with memory._engine._database.reading() as connection:
        sql = "SELECT upto, records, data FROM vector_blocks ORDER BY upto"
        return list(connection.execute(sql))


def bits_of(memory):
    """Return the bits of each record by its id, as bytes."""
    with memory._engine._database.reading() as connection:
        ids = dict(connection.execute("SELECT docno, id FROM memories"))
        kept = vector_blocks.IndexedVectors(connection).stored_blocks()
    return {
        ids[key]: line.astype("<u8").tobytes()
        for coded in kept.coded
        for key, line in zip(coded.keys.tolist(), coded.bits, strict=True)
    }


def agrees(memory, queries=range(5000, 5010), k=10):
    """Tell whether searches find what comparing with each record finds, but for a few of them."""
    kept = [record for page in [memory.records(limit=100_000)] for record in page]
    if not kept:
        return memory.search("n 1", mode="vector") == []
    matrix = Random().embed([record.text for record in kept])
    missed = lost = 0
    for query in queries:
        wanted = np.sort(matrix @ Random().embed([f"n {query}"])[0])[::-1][:k]
        hits = memory.search(f"n {query}", mode="vector", k=k)
        found = [hit.vector_score for hit in hits]
        if len(found) != len(wanted):
            return False
        lost += found[0] < wanted[0] - 2e-3
        missed += sum(score < wanted[-1] - 2e-3 for score in found)
    # Of all questions together: bits choose among so few that now and then one question misses
    # three, where hardly anything is near to it.
    return missed <= len(queries) * k // 10 and lost <= 1


def test_blocks_follow_the_writes(memory) -> None:
    """A block is made as soon as there are enough newer records, whole or one by one."""
    memory.add_many(values(range(BLOCK - 1)))
    assert table_of(memory) == []
    memory.add_many(values([BLOCK - 1]))
    assert [row[:2] for row in table_of(memory)] == [(BLOCK, BLOCK)]

    memory.add_many(values(range(BLOCK, 3 * BLOCK + 7)))

    assert [row[1] for row in table_of(memory)] == [BLOCK, BLOCK, BLOCK]
    assert memory.stats()["vector_index_bytes"] == 3 * (4096 + BLOCK * (8 + 4 + 32))
    assert not memory.needs_optimizing()
    assert damage_of(memory) == []
    assert agrees(memory)


def test_a_small_memory_without_meaning_has_none(root) -> None:
    """Records that wait for a vector are in no block, and are once they have one."""

    class Broken(Random):
        def embed(self, _texts):
            raise clawstate.errors.EmbeddingError("memory", "is out", "later")

    with clawstate.open(root, embedder=Broken()) as state:
        with pytest.warns(clawstate.errors.FallbackWarning):
            state.memory.add_many(values(range(3 * BLOCK)))
        assert table_of(state.memory) == []
    with clawstate.open(root, embedder=Random()) as state:
        state.memory.optimize()

        assert sum(row[1] for row in table_of(state.memory)) == 3 * BLOCK
        assert damage_of(state.memory) == []
        assert agrees(state.memory)


@pytest.mark.parametrize("verb", ["delete", "update", "delete_many"])
def test_what_is_forgotten_leaves_no_byte(memory, root, verb) -> None:
    """The bits of a record that was forgotten or changed are nowhere in the database any more."""
    memory.add_many(values(range(4 * BLOCK)))
    bits, gone = bits_of(memory), [f"r{n}" for n in (3, 60, 61, 62, 130, 199)]
    path = root / "memory" / "memory.db"
    flush(memory)
    held = path.read_bytes()
    assert [each for each in gone if bits[each] in held]  # but for those on two pages

    for each in gone:
        if verb == "update":
            memory.update(each, text=f"other {7000 + int(each[1:])}")
        elif verb == "delete":
            memory.delete(each)
    if verb == "delete_many":
        memory.delete_many(gone)

    flush(memory)
    left = path.read_bytes()
    assert not [each for each in gone if any(part in left for part in words(bits[each]))]
    assert damage_of(memory) == []
    assert agrees(memory)


def test_blocks_written_anew_leave_no_byte(memory, root) -> None:
    """Blocks of which much was forgotten are written smaller, and nothing of the rest is left."""
    memory.add_many(values(range(6 * BLOCK)))
    bits, order = bits_of(memory), list(range(6 * BLOCK))
    random.Random(seed()).shuffle(order)

    for start in range(0, len(order) - 5, 17):
        memory.delete_many([f"r{number}" for number in order[start : start + 17]])
        assert damage_of(memory) == []

    flush(memory)
    left = (root / "memory" / "memory.db").read_bytes()
    kept = {record.id for record in memory.records(limit=1000)}
    gone = bits.keys() - kept
    assert not [each for each in gone if any(part in left for part in words(bits[each]))]
    assert len(table_of(memory)) <= 2
    assert agrees(memory)


def words(bits):
    """Return the parts of *bits*; one of them at most lies on two pages."""
    return [bits[start : start + 8] for start in range(0, len(bits), 8)]


def flush(memory):
    """Bring the log into the database."""
    with memory._engine._database.reading():
        pass
    connection = apsw.Connection(str(memory._engine.path))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_many_edits_of_one_record_cost_no_room(memory) -> None:
    """A record that is changed a thousand times leaves a block or two behind, not twenty."""
    memory.add_many(values(range(10)))

    for number in range(20 * BLOCK):
        memory.update("r3", text=f"n {9000 + number}")

    assert len(table_of(memory)) <= 21
    memory.rebuild()
    assert len(table_of(memory)) == 1
    assert agrees(memory)
    assert damage_of(memory) == []


def test_a_kept_block_and_one_made_again_are_the_same(memory) -> None:
    """A block that was damaged is made again from the records, with the same bytes."""
    memory.add_many(values(range(4 * BLOCK)))
    before = table_of(memory)
    with memory._engine._database.writing() as connection:
        connection.execute("UPDATE vector_blocks SET data = zeroblob(3) WHERE upto = ?", (BLOCK,))

    assert [each.code for each in memory.check()] == ["memory-index", "memory-slow"][:1]
    assert agrees(memory)
    with memory._engine._database.writing() as connection:
        vector_blocks.mend(connection, 4 * BLOCK)

    assert table_of(memory) == before
    assert damage_of(memory) == []


def test_forgetting_in_a_damaged_block_is_no_error(memory) -> None:
    """Records of a block that cannot be read are forgotten, and the block is mended without."""
    memory.add_many(values(range(3 * BLOCK)))
    with memory._engine._database.writing() as connection:
        connection.execute("UPDATE vector_blocks SET checksum = x'00'")

    memory.delete_many(["r1", "r2", "r70"])

    assert agrees(memory)
    memory.optimize()
    assert sum(row[1] for row in table_of(memory)) == 3 * BLOCK - 3
    assert damage_of(memory) == []


def test_an_audit_finds_bits_that_tell_nothing(memory, monkeypatch) -> None:
    """Where the bits miss what is near, a deep check says so, and mending compares more."""
    chance = np.random.default_rng(seed())

    def bits(_codes, given):
        return chance.integers(0, 1 << 63, (len(given), 4), np.uint64)

    monkeypatch.setattr(Codes, "bits", bits)
    memory.add_many(values(range(6 * BLOCK)))

    found = memory.check()
    memory.repair()

    assert [each.message for each in found] == ["the vector index misses some of the nearest"]
    assert memory.check() == []
    with memory._engine._database.reading() as connection:
        assert vector_blocks.IndexedVectors(connection).stored_blocks().breadth != 1


def test_the_first_search_reads_no_more_than_it_needs(root, monkeypatch) -> None:
    """Who opens a memory and asks once reads the blocks and the candidates, not all vectors."""
    with clawstate.open(root, embedder=Random()) as state:
        state.memory.add_many(values(range(40 * BLOCK)))
    monkeypatch.setattr(table, "_SHARE", 1000)
    read = []
    unpack = columns.unpack
    monkeypatch.setattr(
        "clawstate.memory.backends.sqlite.vector_source.unpack",
        lambda blobs: read.append(len(blobs)) or unpack(blobs),
    )

    with clawstate.open(root, embedder=Random()) as state:
        state.memory.search("n 7000", mode="vector")

    assert 0 < sum(read) <= 4 * BLOCK + 10 * 16


OLD = Path(__file__).with_name("format_1.db.gz")


def test_an_older_state_gets_its_blocks(root) -> None:
    """A state of the first format is searched at once, and loses the files it no longer needs."""
    folder = root / "memory"
    snapshots = folder / "vectors" / "1"
    snapshots.mkdir(parents=True)
    (folder / "memory.db").write_bytes(gzip.decompress(OLD.read_bytes()))
    for name in ("build.lock", "manifest.json", "vectors-20000-0a1b2c3d.usearch"):
        (snapshots / name).write_text("x")
    (folder / "vectors" / "2").mkdir()
    mine = folder / "vectors" / "2" / "mine.txt"
    mine.write_text("of somebody else")

    with clawstate.open(root) as state:
        found = state.memory.search("what does Ada like to drink?", mode="vector")
        assert found[0].record.id == "tea"
        state.memory.add("a new one")

        # What it forgot before is in the file still.
        assert {each.code for each in state.memory.check()} <= {"memory-forgotten"}
    assert not snapshots.exists()
    assert mine.read_text() == "of somebody else"


def test_the_upgrade_makes_the_blocks_of_all_records(root) -> None:
    """The upgrade to format 3 makes the blocks of what is there, before the first search."""
    with clawstate.open(root, embedder=Random()) as state:
        state.memory.add_many(values(range(5 * BLOCK)))
        wanted = table_of(state.memory)
        with state.memory._engine._database.writing() as connection:
            connection.execute("DROP TABLE vector_blocks")
            connection.execute("DELETE FROM meta WHERE key = 'vector_codes'")

            MIGRATIONS[2](connection)

        assert [row[:2] for row in table_of(state.memory)] == [row[:2] for row in wanted]
        assert agrees(state.memory)
        assert damage_of(state.memory) == []


VICTIM = """
import random, sys, os
sys.path.insert(0, sys.argv[2])
import test_vector_blocks as t
t.make_small(setattr)
chance = random.Random(int(sys.argv[3]))
with t.clawstate.open(sys.argv[1], embedder=t.Random()) as state:
    memory = state.memory
    os.write(1, b"READY\\n")
    for step in range(10_000):
        ids = [record.id for record in memory.records(limit=1000)]
        match chance.randrange(6):
            case 0 if ids:
                memory.delete_many(chance.sample(ids, min(len(ids), chance.randrange(1, 60))))
            case 1 if ids:
                memory.update(chance.choice(ids), text=f"n {chance.randrange(4000)}")
            case 2:
                memory.add_many(t.values(chance.sample(range(4000), chance.randrange(1, 130))))
            case 3 if step % 7 == 0:
                memory.rebuild()
            case 4:
                memory.search("n 5000", mode="vector")
            case _:
                memory.add_many(t.values([chance.randrange(4000)]))
"""


@pytest.mark.crash
@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_whatever_is_killed_agrees_with_the_records(root, kills) -> None:
    """After kills at any moment of any changes, searches are those of comparing with each."""
    chance = random.Random(seed())
    here = Path(__file__).parent
    with clawstate.open(root, embedder=Random()) as reader:
        for number in range(kills):
            command = [sys.executable, "-c", VICTIM, root, here, str(chance.randrange(10**6))]
            victim = subprocess.Popen(
                command, stdout=subprocess.PIPE, env={"PYTHONPATH": f"{here}:{here.parent}"}
            )
            assert victim.stdout.readline() == b"READY\n"
            for _ in range(3):
                time.sleep(chance.uniform(0, 0.2))
                reader.memory.search("n 5001", mode="vector")
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            victim.stdout.close()

            assert agrees(reader.memory), number
            with clawstate.open(root, embedder=Random()) as other:
                assert agrees(other.memory), number
                assert damage_of(other.memory) == [], number
