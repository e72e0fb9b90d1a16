"""A table that one release of LanceDB wrote, in the hands of another one."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from importlib.util import find_spec

import pytest

import older_lancedb
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.backends.lancedb.client import WORKER, shared_process
from clawstate.memory.backends.lancedb.stamp import CATALOGUE
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder
from lance_table import in_table, plugin_row
from manual_clock import ManualClock

if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)
if (why := older_lancedb.reason_to_skip()) is not None:
    pytest.skip(why, allow_module_level=True)

pytestmark = pytest.mark.slow

RELEASES = {"older": older_lancedb.WORKER, "present": WORKER}
MANY = 10_050


@pytest.fixture(autouse=True)
def processes():
    """End the processes of both releases."""
    yield
    for each in RELEASES.values():
        shared_process(each).end()


@pytest.fixture
def folder(tmp_path):
    """Give where the table lies."""
    return tmp_path / "lancedb"


def open_with(folder, release: str) -> Memory:
    clock = ManualClock()
    engine = LancedbMemory(folder, clock=clock, worker=RELEASES[release])
    return Memory(engine, embedder=HashEmbedder(), clock=clock)


def lose_catalogue(folder) -> None:
    for path in folder.glob(f"{CATALOGUE}*"):
        path.unlink()


def texts(memory: Memory) -> set[str]:
    return {each.text for each in memory.records(limit=100_000)}


def test_there_are_two_releases() -> None:
    """The older one is what its environment has, and not the one that is installed here."""
    command = [older_lancedb.PYTHON, "-c", "import lancedb; print(lancedb.__version__)"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert told == older_lancedb.RELEASE != version("lancedb")


@pytest.mark.parametrize(("first", "second"), [("older", "present"), ("present", "older")])
def test_each_reads_and_goes_on_with_what_the_other_wrote(folder, first: str, second: str) -> None:
    """Records, vectors and forgetting survive the change of release, read from the table alone."""
    memory = open_with(folder, first)
    ids = memory.add_many({"text": f"green tea {each}", "tags": ["a"]} for each in range(20))
    memory.delete(ids[0])
    memory.close()
    lose_catalogue(folder)

    memory = open_with(folder, second)
    with pytest.warns(match="catalogue is gone"):
        found = texts(memory)
    assert found == {f"green tea {each}" for each in range(1, 20)}
    assert memory.require(ids[5]).tags == ("a",)
    assert memory.stats()["waiting"] == 0
    memory.update(ids[1], text="black tea")
    memory.delete(ids[2])
    memory.add("white tea")
    memory.optimize()
    memory.close()
    lose_catalogue(folder)

    memory = open_with(folder, first)
    with pytest.warns(match="catalogue is gone"):
        found = texts(memory)
    assert found == {"black tea", "white tea", *(f"green tea {each}" for each in range(3, 20))}
    assert memory.search("white tea", mode="vector", k=1)[0].record.text == "white tea"
    memory.close()


@pytest.mark.parametrize(("first", "second"), [("older", "present"), ("present", "older")])
def test_an_index_of_the_other_release_serves_and_is_made_anew(
    folder, first: str, second: str
) -> None:
    """A table with an index takes rows, merges its files and is compacted by the other release."""
    memory = open_with(folder, first)
    ids = memory.add_many({"text": f"number {each}"} for each in range(MANY))
    memory.optimize()
    memory.close()
    assert in_table(folder)["indices"]

    memory = open_with(folder, second)
    memory.delete(ids[7])
    memory.add("one more")
    memory.optimize()
    assert memory.compact().complete

    table = in_table(folder)
    kept = {row["text"] for row in table["rows"]}
    assert "number 7" not in kept
    assert "one more" in kept
    assert (len(table["rows"]), len(table["indices"])) == (MANY, 1)
    memory.close()


def test_rows_of_a_plugin_meet_the_older_release(folder) -> None:
    """What another program changes with the present release is taken in by the older one."""
    memory = open_with(folder, "older")
    memory.add("tea")
    memory.close()
    in_table(folder, {"do": "add", "rows": [plugin_row("p1", "from the plugin", [0.5] * 16)]})

    memory = open_with(folder, "older")

    assert texts(memory) == {"tea", "from the plugin"}
    memory.close()
