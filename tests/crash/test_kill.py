from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import memory_victim
import numpy as np
import pytest

import clawstate
from clawstate.memory.backends.sqlite import rows, subwords
from clawstate.memory.vector_index import table
from seeds import seed
from soundness import damage_of, docnos_with

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]
HERE = Path(__file__).parent
SEED = seed()
KILLS = 30 if FULL else 3  # of each verb, at random moments
POINTS = 4  # of each verb, at chosen system calls; all of them in a full run
ROUNDS = 4  # of a verb under strace
MOST = 20.0  # seconds that a run may take
STRACE = shutil.which("strace")
VERBS = sorted(memory_victim.VERBS)
IMPORT = "import"

pytestmark = pytest.mark.crash
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


@pytest.fixture(autouse=True)
def seed():
    sys.stdout.write(f"seed {SEED}\n")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(rows, "VECTOR_BLOCK", memory_victim.BLOCK)
    monkeypatch.setattr(table, "EXACT", 2 * memory_victim.BLOCK)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return a state of some records with blocks of vectors; to be copied, never opened."""
    path = tmp_path_factory.mktemp("template") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "VECTOR_BLOCK", memory_victim.BLOCK)
        with clawstate.open(path) as state:
            values = ({"text": f"the old lobster zq0x{n}", "tags": ["old"]} for n in range(260))
            state.memory.add_many(values)
            state.memory.optimize()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of files to import, of several kinds and batches."""
    path = tmp_path_factory.mktemp("files")
    for number in range(12):
        paragraphs = [
            f"# Chapter {n}\n\nOn day {number}.{n} the lobster met the crab number {n}."
            for n in range(20)
        ]
        (path / f"note{number}.md").write_text("\n\n".join(paragraphs))
    lines = (f'{{"text": "line {n} of the parrot", "id": "line-{n}"}}' for n in range(1500))
    (path / "lines.jsonl").write_text("\n".join(lines))
    (path / "plain.txt").write_text("\n\n".join(f"Paragraph {n} of the bank." for n in range(100)))
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory, folder):
    """Return what an import that nobody interrupts leaves."""
    root = tmp_path_factory.mktemp("whole") / "state"
    subprocess.run(import_command(root, folder), env=environment(), check=True, capture_output=True)
    with clawstate.open(root) as state:
        return contents(state.memory)


def environment():
    return {**os.environ, "PYTHONPATH": f"{SOURCE}:{HERE}", "OPENBLAS_NUM_THREADS": "1"}


def import_command(root, folder):
    return [sys.executable, "-m", "clawstate", "--state-dir", root, "memory", "import", folder]


def victim_command(verb, root, *rounds):
    return [sys.executable, HERE / "memory_victim.py", verb, root, *map(str, rounds)]


def run_until(command, seconds):
    """Run *command*, kill it *seconds* after its first line, and return what it said."""
    with subprocess.Popen(
        [str(each) for each in command], env=environment(), stdout=subprocess.PIPE
    ) as process:
        first = process.stdout.readline()
        time.sleep(seconds)  # the moment of death, not a wait for anything
        process.kill()
        said = first + process.stdout.read()
    return said.decode()


def strace(*options):
    return [STRACE, "-f", "-qq", "-e", "trace=pwrite64,fsync,fdatasync", *options]


def calls(command, log):
    """Return how many traced calls *command* makes when nobody kills it."""
    run = subprocess.run(
        [*strace("-o", log), *command], env=environment(), check=True, capture_output=True
    )
    assert run.stdout
    return sum(1 for line in log.read_text().splitlines() if re.search(r"\w+\(", line))


def run_to_call(command, number):
    """Run *command*, which is killed as it enters its traced call *number*."""
    kill = f"inject=pwrite64,fsync,fdatasync:signal=KILL:when={number}"
    run = subprocess.run(
        [*strace("-o", "/dev/null", "-e", kill), *command],
        env=environment(),
        capture_output=True,
        timeout=MOST,
        check=False,
    )
    return run.stdout.decode()


def points(total):
    """Return which of *total* calls to die in: all, or some in every part of the run."""
    if FULL or total <= POINTS:
        return range(1, total + 1)
    chance = random.Random(SEED)
    width = total / POINTS
    return [1 + int(width * part + width * chance.random()) for part in range(POINTS)]


def contents(memory):
    records, after = {}, None
    while page := memory.records(namespace=None, after=after, limit=1000):
        for record in page:
            assert record.id not in records, "a record twice"
            records[record.id] = (
                record.text,
                record.source,
                record.tags,
                dict(record.metadata),
                record.thread,
                record.position,
            )
        after = page[-1].id
    return records


def assert_sound(memory):
    """Words, vectors, counts and blocks of vectors must be those of the records."""
    assert damage_of(memory) == []
    stats = memory.stats()
    assert stats["waiting"] == 0
    with memory._engine._database.reading() as connection:
        texts = dict(connection.execute("SELECT docno, content FROM memories"))
        assert stats["records"] == len(texts)
        for docno, text in list(texts.items())[:: max(len(texts) // 100, 1)]:
            last = text.split()[-1].strip(".")
            assert docno in docnos_with(connection, last)
        held = "SELECT scope, sum(length(subwords) / 2) FROM memories GROUP BY scope"
        sums = Counter()
        for (scope, _), count in subwords.occurrences(connection).items():
            sums[scope] += count
        assert +sums == dict(connection.execute(held))
        held = list(connection.execute("SELECT content, embedding FROM memories"))[:500]
    vectors = memory._meanings.embedder().embed([text for text, _ in held])
    for vector, (_, blob) in zip(vectors, held, strict=True):
        assert np.frombuffer(blob, "<f2").astype(np.float32) @ vector > 0.99


def acknowledged(said):
    """Return the ids that were added and deleted, and the last number of each update."""
    added: set[str] = set()
    deleted: set[str] = set()
    numbers: dict[str, int] = {}
    for line in said.splitlines():
        match line.split():
            case ["ACK", "add", *ids]:
                added.update(ids)
            case ["ACK", "delete", record_id]:
                deleted.add(record_id)
            case ["ACK", "supersede", old, new]:
                deleted.add(old)
                added.add(new)
            case ["ACK", "update", record_id, number]:
                numbers[record_id] = int(number)
    return added, deleted, numbers


def attempted(said):
    return [set(line.split()[2:]) for line in said.splitlines() if line.startswith("TRY")]


def assert_kept(root, template, said):
    """Whatever was acknowledged is there, once; whatever was not is there whole or not at all."""
    # A last line without its end was cut off by the kill, and acknowledges nothing.
    said = said[: said.rfind("\n") + 1]
    added, deleted, numbers = acknowledged(said)
    with clawstate.open(root) as state:
        kept = contents(state.memory)
        assert kept.keys() >= added
        assert not kept.keys() & deleted
        for record_id, number in numbers.items():
            assert kept[record_id][3]["n"] in {number, number + 50, number + 1}
        for line in said.splitlines():
            if line.startswith("ACK supersede"):
                told = state.memory.history(line.split()[3])
                assert [each.record.id for each in told] == line.split()[2:]
        for batch in attempted(said):
            assert len(batch & kept.keys()) in {0, len(batch)}
        places = [each[5] for each in kept.values() if each[4] == "t"]
        assert sorted(places) == list(range(len(places)))
        assert_sound(state.memory)
        state.memory.add("life goes on")
        state.memory.optimize()
        assert_sound(state.memory)


@pytest.mark.parametrize("verb", VERBS)
def test_what_was_acknowledged_survives_a_kill(tmp_path, template, verb) -> None:
    """A kill at any moment loses nothing acknowledged, doubles nothing, damages nothing."""
    chance = random.Random(f"{SEED} {verb}")
    for number in range(KILLS):
        root = tmp_path / str(number)
        shutil.copytree(template, root)

        said = run_until(victim_command(verb, root), chance.uniform(0.0, 0.4))

        assert said.startswith("READY")
        assert_kept(root, template, said)


@needs_strace
@pytest.mark.parametrize("verb", VERBS)
def test_what_was_acknowledged_survives_a_kill_in_a_system_call(tmp_path, template, verb) -> None:
    """A kill in a write or sync of a verb loses nothing acknowledged and damages nothing."""
    shutil.copytree(template, tmp_path / "whole")
    total = calls(victim_command(verb, tmp_path / "whole", ROUNDS), tmp_path / "log")
    died = 0

    for number in points(total):
        root = tmp_path / str(number)
        shutil.copytree(template, root)
        said = run_to_call(victim_command(verb, root, ROUNDS), number)
        died += "DONE" not in said
        assert_kept(root, template, said)
        shutil.rmtree(root)

    assert total > POINTS
    assert died


@needs_strace
def test_a_new_state_survives_a_kill_in_a_system_call(tmp_path) -> None:
    """A kill while the very first write makes the database leaves none, or a sound one."""
    total = calls(victim_command("add_many", tmp_path / "whole", 1), tmp_path / "log")

    for number in points(total):
        root = tmp_path / str(number)
        said = run_to_call(victim_command("add_many", root, 1), number)
        assert_kept(root, None, said)


def test_two_kills_in_a_row_are_survived(tmp_path, template) -> None:
    """A kill during the recovery from a kill loses nothing either."""
    chance = random.Random(f"{SEED} twice")
    root = tmp_path / "state"
    shutil.copytree(template, root)
    said = ""

    for verb in ("add_many", "add", "optimize", "add_many"):
        heard = run_until(victim_command(verb, root), chance.uniform(0.0, 0.2))
        said += heard[: heard.rfind("\n") + 1]

    assert_kept(root, template, said)


def test_an_interrupted_import_resumes(tmp_path, folder, imported) -> None:
    """An import that is killed and run again leaves the records of one that nobody killed."""
    chance = random.Random(f"{SEED} import")
    for number in range(KILLS):
        root = tmp_path / str(number)
        for _ in range(2):
            process = subprocess.Popen(
                import_command(root, folder),
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(chance.uniform(0.2, 0.9))  # the moment of death, not a wait for anything
            process.kill()
            process.wait()
        assert_resumes(root, folder, imported)


@needs_strace
def test_an_import_resumes_from_every_system_call(tmp_path, folder, imported) -> None:
    """An import that is killed in a write or sync leaves, once repeated, the same records."""
    total = calls(import_command(tmp_path / "whole", folder), tmp_path / "log")

    for number in points(total):
        root = tmp_path / str(number)
        run_to_call(import_command(root, folder), number)
        assert_resumes(root, folder, imported)
        shutil.rmtree(root)


def assert_resumes(root, folder, imported):
    with clawstate.open(root) as state:
        before = contents(state.memory)
        assert before.items() <= imported.items()
        assert_sound(state.memory)
    subprocess.run(import_command(root, folder), env=environment(), check=True, capture_output=True)
    with clawstate.open(root) as state:
        assert contents(state.memory) == imported
        assert_sound(state.memory)
