from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import clawstate
from soundness import damage_of

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]
HERE = Path(__file__).parent
FILES = 300 if FULL else 30  # in each of two folders
WRITERS, EACH = (8, 60) if FULL else (4, 12)

pytestmark = pytest.mark.crash


def start(*command):
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{HERE}", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    """Return what each process said, all of which must have ended well."""
    ends = [process.communicate() for process in processes]
    for process, (said, complaint) in zip(processes, ends, strict=True):
        assert process.returncode == 0, complaint
        assert "locked" not in said + complaint
        assert "Warning" not in complaint
    return [said for said, _ in ends]


def importing(root, *paths):
    return start("-m", "clawstate", "--json", "--state-dir", root, "memory", "import", *paths)


def fill(folder, name):
    folder.mkdir()
    for number in range(FILES):
        paragraphs = [f"On day {number}.{n} the {name} met the crab." for n in range(10)]
        (folder / f"{name}{number}.md").write_text("\n\n# Next\n\n".join(paragraphs))


def everything(memory):
    records, after = [], None
    while page := memory.records(after=after, limit=1000):
        records += page
        after = page[-1].id
    return records


def said_by(records):
    return sorted((record.source, record.position, record.text) for record in records)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    paths = root / "lobsters", root / "parrots"
    for path in paths:
        fill(path, path.name)
    return paths


@pytest.fixture(scope="module")
def alone(tmp_path_factory, folders):
    """Return what one process leaves that imports everything."""
    root = tmp_path_factory.mktemp("alone") / "state"
    finish([importing(root, *folders)])
    with clawstate.open(root) as state:
        return said_by(everything(state.memory))


def test_two_import_while_two_search(tmp_path, folders, alone) -> None:
    """Two imports at once lose and double nothing, and no search beside them fails."""
    root = tmp_path / "state"
    searchers = [start(HERE / "victim_searcher.py", root) for _ in range(2)]
    for searcher in searchers:
        assert searcher.stdout.readline() == "READY\n"

    reports = finish([importing(root, folder) for folder in folders])
    counts = finish(searchers)

    assert all(int(each) > 0 for each in counts)
    assert sum(json.loads(each)["added"] for each in reports) == len(alone)
    with clawstate.open(root) as state:
        assert said_by(everything(state.memory)) == alone
        assert damage_of(state.memory) == []


def test_two_import_the_same(tmp_path, folders, alone) -> None:
    """Two imports of the same files at once leave each record once."""
    root = tmp_path / "state"

    finish([importing(root, *folders), importing(root, *folders)])

    with clawstate.open(root) as state:
        assert said_by(everything(state.memory)) == alone
        assert damage_of(state.memory) == []


def test_many_writers_lose_nothing(tmp_path) -> None:
    """Every record that one of many writing processes was told is kept, is kept once."""
    root = tmp_path / "state"

    writers = [start(HERE / "memory_victim.py", "add", root, EACH) for _ in range(WRITERS)]
    said = finish(writers)

    ids = [line.split()[2] for each in said for line in each.splitlines() if "ACK" in line]
    assert len(ids) == WRITERS * EACH
    with clawstate.open(root) as state:
        kept = everything(state.memory)
        assert sorted(record.id for record in kept) == sorted(ids)
        assert sorted(record.position for record in kept) == list(range(len(ids)))
        assert damage_of(state.memory) == []


def test_the_first_write_may_come_from_many(tmp_path) -> None:
    """Processes that all make the very first write make one database together."""
    for number in range(20 if FULL else 3):
        root = tmp_path / str(number)

        finish([start(HERE / "memory_victim.py", "add", root, 1) for _ in range(4)])

        with clawstate.open(root) as state:
            assert len(everything(state.memory)) == 4
            assert damage_of(state.memory) == []


def test_one_searches_while_another_optimizes(tmp_path) -> None:
    """Searches in one process go on while another adds and optimizes."""
    root = tmp_path / "state"
    searcher = start(HERE / "victim_searcher.py", root)
    assert searcher.stdout.readline() == "READY\n"

    finish([start(HERE / "memory_victim.py", "optimize", root, 100 if FULL else 15)])
    (count,) = finish([searcher])

    assert int(count) > 0
    with clawstate.open(root) as state:
        assert damage_of(state.memory) == []
