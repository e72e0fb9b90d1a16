"""Embedding a state anew: from older releases, beside other processes, killed at any moment."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import clawstate
from clawstate.cli.memory_reembed import reembed as command
from clawstate.errors import (
    EmbeddingError,
    FallbackWarning,
    InvalidError,
    silent,
)
from clawstate.memory.backends.sqlite import rows, subwords
from clawstate.memory.embedders import NAMES, default_embedder
from clawstate.memory.service import Memory
from clawstate.memory.vector_index import table
from clawstate.testing.memory_hooks import HashEmbedder, WatchedEmbedder
from soundness import damage_of

OLDER = Path(__file__).with_name("wordllama.db.gz")
BLOCK = 50  # vectors
SECRET = "the combination is zebrafish walrus narwhal ocelot capybara"
OLD, NEW = HashEmbedder(16), HashEmbedder(24)

# Nothing of its own that could differ from what the library does, but the size of blocks.
VICTIM = f"""
import sys, clawstate
from clawstate.memory.backends.sqlite import rows
from clawstate.testing.memory_hooks import HashEmbedder
rows.VECTOR_BLOCK = {BLOCK}
with clawstate.open(sys.argv[1], embedder=HashEmbedder(16)) as state:
    print("open", flush=True)
    print(state.memory.reembed(HashEmbedder(24)).complete, flush=True)
"""
WRITER = """
import sys, warnings, clawstate
from clawstate.errors import FallbackWarning
from clawstate.testing.memory_hooks import HashEmbedder
warnings.simplefilter("ignore", FallbackWarning)
with clawstate.open(sys.argv[1], embedder=HashEmbedder(16)) as state:
    print("open", flush=True)
    for number in range(int(sys.argv[2])):
        made = state.memory.add(f"the crab of round {number}")
        state.memory.update(made, text=f"the whale of round {number}")
        state.memory.delete(state.memory.add(f"the gull of round {number}"))
        found = state.memory.search(f"the lobster sleeps {number % 300}", k=1)
        assert found[0].record.text == f"the lobster sleeps {number % 300}", found
"""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "VECTOR_BLOCK", BLOCK)
    monkeypatch.setattr(table, "EXACT", 2 * BLOCK)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a state of some blocks of old vectors."""
    path = tmp_path / "state"
    with clawstate.open(path, embedder=OLD) as state:
        state.memory.add_many({"text": f"the lobster sleeps {n}"} for n in range(300))
    return path


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Give a state with vectors of wordllama that the release before made."""
    folder = tmp_path / "older" / "memory"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "memory.db").write_bytes(gzip.decompress(OLDER.read_bytes()))
    return folder.parent


def require_sound(memory: Memory, embedder: HashEmbedder) -> None:
    """Require that every vector, count and block of the index is of *embedder*."""
    assert damage_of(memory) == []
    assert memory._engine.embedder() == embedder.identity
    with memory._engine._database.reading() as connection:
        kept = connection.execute("SELECT content, embedding, subwords FROM memories").fetchall()
        counted = Counter()
        for (_, number), count in subwords.occurrences(connection).items():
            counted[number] += count
    known = [row for row in kept if row[1] is not None]
    vectors = embedder.embed([row[0] for row in known])
    for vector, (_, blob, _) in zip(vectors, known, strict=True):
        assert np.frombuffer(blob, "<f2").astype(np.float32) == pytest.approx(vector, abs=1e-3)
    numbers = np.concatenate([np.frombuffer(row[2], "<u2") for row in known])
    expected = dict(
        zip(*(each.tolist() for each in np.unique(numbers, return_counts=True)), strict=True)
    )
    assert {number: count for number, count in counted.items() if count} == expected


def begin_with_a_secret(memory: Memory) -> tuple[str, str]:
    """Begin to embed anew until a secret has its new vector; return its id and its text."""
    secret = memory.add(SECRET)
    memory.add_many({"text": f"the crab walks {number}"} for number in range(600))
    embedder = WatchedEmbedder(24)
    done = memory.reembed(embedder, cancelled=lambda: SECRET in embedder.seen)
    assert 300 < done.done < done.records
    return secret, SECRET


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", program, *map(str, arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_state_of_wordllama_becomes_one_of_ours(older: Path) -> None:
    """A state of the release before is upgraded, and embedded anew by the default embedder."""
    with clawstate.open(older) as state:
        memory = state.memory
        before = memory.records(namespace=None)
        assert memory.search("what does Ada like to drink?")[0].record.id == "tea"

        plan = memory.reembed(dry_run=True)
        done = memory.reembed()

        assert plan.before == done.before == "wordllama-l2-supercat-256@1f38c548"
        assert (plan.records, plan.texts, plan.local, plan.complete) == (5, 5, True, False)
        assert done.embedder == default_embedder().identity.model
        assert memory.records(namespace=None) == before
        assert memory.search("what does Ada like to drink?")[0].record.id == "tea"
        assert damage_of(memory) == []
    with clawstate.open(older) as state:
        assert state.memory.search("beverage", mode="vector", k=1)[0].record.id == "tea"
        assert state.memory.reembed(dry_run=True).complete


def test_it_needs_no_old_embedder(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wordllama is not installed the error says so, and the state can be embedded anew."""
    missing = "clawstate.memory.embedders.wordllama.importlib.util.find_spec"
    monkeypatch.setattr(missing, lambda _: None)
    with clawstate.open(older) as state:
        with pytest.warns(FallbackWarning, match="memory reembed"):
            assert state.memory.search("green tea")
        with pytest.raises(EmbeddingError, match="not installed"):
            state.memory.reembed("wordllama")

        assert state.memory.reembed().complete
        assert state.memory.search("beverage", mode="vector", k=1)[0].vector_score


def test_names_are_those_of_the_embedders(older: Path) -> None:
    """What the command line offers can be named in the library, and nothing else."""
    (option,) = [each for each in command.params if each.name == "embedder"]
    assert tuple(option.type.choices) == NAMES
    with clawstate.open(older) as state, pytest.raises(InvalidError, match="static, wordllama"):
        state.memory.reembed("gpt")


def test_there_and_back_by_name(older: Path) -> None:
    """The vectors after two changes are those of before, to the last bit that is kept."""
    with clawstate.open(older) as state:
        engine = state.memory._engine
        sql = "SELECT id, embedding, subwords FROM memories ORDER BY id"
        before = engine._database.rows(sql)
        state.memory.reembed("static")
        assert engine._database.rows(sql) != before

        state.memory.reembed("wordllama")

        assert engine._database.rows(sql) == before


@pytest.mark.parametrize("delays", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_goes_on(root: Path, delays: int) -> None:
    """Old vectors or new ones, never both; what was done is not done again; then it is whole."""
    moments, states = random.Random(3), set()
    for number in range(delays):
        with start(VICTIM, root) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            time.sleep(moments.uniform(0, 0.25 if number % 3 else 0.08))
            os.kill(process.pid, signal.SIGKILL)
        with clawstate.open(root, embedder=NEW) as state, silent(FallbackWarning):
            kept = state.memory._engine.embedder()
            states.add(kept)
            require_sound(state.memory, OLD if kept == OLD.identity else NEW)
            begun = state.memory._engine.replacement.begun()
            embedder = WatchedEmbedder(24 if kept == OLD.identity else 16)
            if number % 2 or kept != OLD.identity:
                state.memory.discard_reembedding()
                begun = None
                state.memory.reembed(WatchedEmbedder(16))
            elif begun is not None:
                state.memory.reembed(embedder)
                assert len(embedder.seen) == 300 - begun.done
                state.memory.reembed(WatchedEmbedder(16))
            require_sound(state.memory, OLD)

    assert OLD.identity in states


def test_others_write_and_search_meanwhile(root: Path) -> None:
    """Beside a process that writes and searches nothing is lost, mixed or left out."""
    with start(WRITER, root, 60) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with clawstate.open(root, embedder=NEW) as state, silent(FallbackWarning):
            dimensions = [24, 16]
            turns = 0
            while writer.poll() is None:
                state.memory.reembed(HashEmbedder(dimensions[turns % 2]))
                turns += 1
            if turns % 2 == 0:
                state.memory.reembed(NEW)
            state.memory.optimize()
            assert writer.returncode == 0
            assert turns > 1
            require_sound(state.memory, NEW)
            stats = state.memory.stats()
            assert (stats["records"], stats["waiting"]) == (360, 0)


def test_two_at_once_come_to_the_same(root: Path) -> None:
    """Both go on with what is there; one switches, and to the other it is done as well."""
    processes = [start(VICTIM, root) for _ in range(2)]

    said = [process.communicate(timeout=60)[0] for process in processes]

    assert said == ["open\nTrue\n"] * 2
    with clawstate.open(root, embedder=NEW) as state:
        require_sound(state.memory, NEW)
        assert state.memory.stats()["records"] == 300


def test_of_what_is_forgotten_meanwhile_no_byte_is_left(root: Path) -> None:
    """Neither its new vector nor the subwords of the new embedder stay in any file."""
    with clawstate.open(root, embedder=OLD) as state:
        secret, text = begin_with_a_secret(state.memory)
        vector = NEW.embed([text])[0].astype("<f2").tobytes()
        numbers = NEW.subwords([text])[0].astype("<u2").tobytes()
        assert vector in _bytes(root)

        receipt = state.memory.forget([secret])

        assert receipt.gone
        assert vector not in _bytes(root)
        assert numbers not in _bytes(root)
        assert state.memory.reembed(NEW).complete


def test_what_was_dropped_leaves_no_byte_of_what_is_forgotten_then(root: Path) -> None:
    """Vectors of a replacement that was dropped go as well."""
    with clawstate.open(root, embedder=OLD) as state:
        secret, text = begin_with_a_secret(state.memory)
        vector = NEW.embed([text])[0].astype("<f2").tobytes()
        state.memory.discard_reembedding()
        assert vector in _bytes(root)

        state.memory.forget([secret])

        assert vector not in _bytes(root)


def test_of_what_is_forgotten_afterwards_no_old_vector_is_left(root: Path) -> None:
    """The vectors of before the switch are gone with the compaction."""
    with clawstate.open(root, embedder=OLD) as state:
        secret = state.memory.add(text := SECRET)
        vectors = [each.embed([text])[0].astype("<f2").tobytes() for each in (OLD, NEW)]
        state.memory.reembed(NEW)

        state.memory.forget([secret])

        assert not [each for each in vectors if each in _bytes(root)]


def test_space_is_given_back(root: Path) -> None:
    """After a compaction the file is not larger than with such vectors from the start."""
    with clawstate.open(root, embedder=OLD) as state:
        state.memory.reembed(HashEmbedder(32))
        assert state.memory._engine.uncompacted()
        state.memory.reembed(OLD)
        done = state.memory.compact()

        assert done.complete
        assert done.after < done.before
        assert "memory-forgotten" not in [each.code for each in state.memory.check()]


def test_the_doctor_tells_of_one_that_is_half_done(root: Path) -> None:
    """And what to do."""
    with clawstate.open(root, embedder=OLD) as state:
        calls = iter([False, True])
        state.memory.reembed(NEW, cancelled=lambda: next(calls))

        (found,) = [each for each in state.memory.check() if each.code == "memory-reembed"]

        assert "hash-24" in found.message
        assert "memory reembed" in found.fix
        state.memory.discard_reembedding()
        assert "memory-reembed" not in [each.code for each in state.memory.check()]


def _bytes(root: Path) -> bytes:
    return b"".join(each.read_bytes() for each in root.rglob("*") if each.is_file())
