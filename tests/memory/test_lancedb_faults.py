"""What becomes of a memory in LanceDB when its table, its disk or its process fails."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from importlib.util import find_spec

import pytest

from clawstate.errors import FallbackWarning, StateError, UnavailableError
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder
from lance_table import texts_in_table
from manual_clock import ManualClock
from small_disk import KINDS, small_disk

# Not imported here: it has threads, which forks of other tests in this process would meet.
if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)

TABLE = "memories.lance"


def opened(folder) -> Memory:
    return Memory(LancedbMemory(folder), embedder=HashEmbedder(64), clock=ManualClock())


def texts(memory) -> dict[str, str]:
    return {each.id: each.text for each in memory.records(limit=10_000)}


def empty_data(folder) -> None:
    for each in (folder / TABLE / "data").iterdir():
        os.truncate(each, 0)


def remove_data(folder) -> None:
    shutil.rmtree(folder / TABLE / "data")


def spoil_data(folder) -> None:
    for each in (folder / TABLE / "data").iterdir():
        each.write_bytes(b"\xa5" * each.stat().st_size)


def remove_versions(folder) -> None:
    shutil.rmtree(folder / TABLE / "_versions")


def put_file_there(folder) -> None:
    shutil.rmtree(folder / TABLE)
    (folder / TABLE).write_text("no table")


@pytest.mark.parametrize(
    "harm", [empty_data, remove_data, spoil_data, remove_versions, put_file_there]
)
def test_a_damaged_table_costs_no_record(tmp_path, harm) -> None:
    """Records are found and kept beside a damaged table, which is written anew once it is away."""
    folder = tmp_path / "lancedb"
    before = opened(folder)
    before.add_many({"text": f"number {each}"} for each in range(20))
    before.close()
    harm(folder)

    memory = opened(folder)
    key = memory.add("one more")
    assert memory.search("one more", mode="words")[0].record.id == key
    with pytest.raises(UnavailableError, match="written anew once you have moved it away"):
        memory.optimize()
    (folder / TABLE).rename(folder / "away")
    memory.optimize()

    assert len(texts(memory)) == 21
    assert texts_in_table(folder) == texts(memory)
    memory.close()


def free_of(disk) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def fill_up(disk, *, but: int) -> None:
    """Leave at most *but* bytes of *disk* free."""
    block = bytes(4096)
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while free_of(disk) > but:
                file.write(block)
        except OSError:
            return


# That what other programs changed is not found meanwhile.
@pytest.mark.filterwarnings("ignore::clawstate.errors.FallbackWarning")
@pytest.mark.parametrize(
    "kind", [*(pytest.param(each, marks=pytest.mark.slow) for each in KINDS[:-1]), KINDS[-1]]
)
def test_a_full_disk_costs_no_record(tmp_path, kind) -> None:
    """While the table cannot be written or merged, an error says why, and all is found."""
    with small_disk(kind, tmp_path) as disk:
        folder, ballast = disk / "lancedb", disk / "ballast"
        memory = opened(folder)
        memory.add_many({"id": f"r{each}", "text": f"number {each}"} for each in range(200))
        memory._engine.flush()
        problems = []
        for room in (0, 40_000, 300_000):
            memory.add_many({"text": f"at {room} number {each} " + "x" * 200} for each in range(50))
            memory.update("r5", text=f"changed at {room}")
            wanted = texts(memory)
            fill_up(disk, but=room)

            compact = partial(memory.compact, patience=0.1)
            for work in (memory._engine.flush, memory.optimize, compact):
                try:
                    work()
                except StateError as error:
                    problems.append(str(error))

            assert texts(memory) == wanted
            assert memory.require("r5").text == f"changed at {room}"
            ballast.unlink()

        assert any("the disk is full" in each for each in problems)
        assert not any(".rs:" in each for each in problems)
        memory.optimize()
        assert memory.compact(patience=1.0).complete
        assert memory.check(deep=True) == []
        assert texts_in_table(folder) == wanted
        memory.close()


def test_a_process_that_dies_in_the_middle_is_started_anew(tmp_path) -> None:
    """What a process of the table that died could not write is written by the next one."""
    folder = tmp_path / "lancedb"
    script = """
import os, sys, threading, time
from clawstate.memory.backends.lancedb import table
once = sys.argv[1]
write = table.LanceTable._write
def die(self, message, blob):
    found = write(self, message, blob)
    if not os.path.exists(once):
        open(once, "w").close()
        os.kill(os.getpid(), 9)
    return found
table.LanceTable._write = die
from clawstate.memory.backends.lancedb.worker import main
main()
"""
    command = (sys.executable, "-c", script, str(tmp_path / "once"))
    engine = LancedbMemory(folder, worker=command)
    memory = Memory(engine, embedder=HashEmbedder(64))
    memory.add_many({"text": f"number {each}"} for each in range(20))

    with pytest.raises(UnavailableError, match="SIGKILL"):
        engine.flush()
    memory.add("one more")
    engine.flush()

    assert len(texts(memory)) == 21
    assert texts_in_table(folder) == texts(memory)
    memory.close()


def torn_to_nothing(path) -> None:
    os.truncate(path, 0)


def torn_to_zeros(path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def torn_in_the_middle(path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DYING = """
import os, sys
from clawstate.memory.backends.lancedb import table
def die(self):
    if os.path.exists(sys.argv[1]):
        os.kill(os.getpid(), 9)
    return sync(self)
sync, table.LanceTable._sync = table.LanceTable._sync, die
from clawstate.memory.backends.lancedb.worker import main
main()
"""


LISTS, DATA, ALL = "_versions/*.manifest", "data/*", "*/*"
SLOW = [
    pytest.param(tear, part, is_new, marks=pytest.mark.slow)
    for tear in (torn_to_nothing, torn_to_zeros, torn_in_the_middle)
    for part in (LISTS, DATA, ALL)
    for is_new in (False, True)
    if (tear, part, is_new) != (torn_to_zeros, LISTS, False)
]


@pytest.mark.parametrize(("tear", "part", "is_new"), [(torn_to_zeros, LISTS, False), *SLOW])
def test_a_version_that_a_power_cut_tore_gives_way(tmp_path, tear, part, is_new) -> None:
    """What LanceDB had not brought to disk is written again, and nothing is forgotten by it."""
    folder, dying = tmp_path / "lancedb", tmp_path / "dying"
    engine = LancedbMemory(folder, worker=(sys.executable, "-c", DYING, str(dying)))
    memory = Memory(engine, embedder=HashEmbedder(64))
    before: set[object] = set()
    if not is_new:
        memory.add_many({"text": f"number {each}"} for each in range(20))
        engine.flush()
        before = {each for each in (folder / TABLE).rglob("*") if each.is_file()}
    memory.add_many({"text": f"later {each}"} for each in range(20))
    wanted = texts(memory)
    dying.touch()
    with pytest.raises(UnavailableError, match="SIGKILL"):
        engine.flush()
    dying.unlink()
    for each in (folder / TABLE).glob(part):
        if each not in before:
            tear(each)

    assert texts(memory) == wanted
    memory.optimize()
    assert texts_in_table(folder) == texts(memory) == wanted
    memory.close()


def test_a_version_of_another_release_is_not_undone(tmp_path) -> None:
    """A newer version that is whole, and that this LanceDB cannot read, stays as it is."""
    folder = tmp_path / "lancedb"
    before = opened(folder)
    before.add("tea")
    before.close()
    (newest,) = sorted((folder / TABLE / "_versions").glob("*.manifest"))[:1]
    number = int(newest.stem) - 1
    later = newest.with_name(f"{number}.manifest")
    later.write_bytes(b"\xff" * 200 + b"LANC")

    memory = opened(folder)
    with pytest.warns(FallbackWarning, match="is not found"):
        assert [each.text for each in memory.records()] == ["tea"]
    with pytest.raises(UnavailableError):
        memory.optimize()

    assert later.exists()
    later.unlink()
    memory.close()
