"""The table beside the catalogue: what others see of it, and what they change."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

from clawstate.errors import (
    CorruptError,
    FallbackWarning,
    MissingExtraError,
    UnavailableError,
)
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.backends.lancedb.stamp import CATALOGUE
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder
from lance_table import in_table, plugin_row, texts_in_table
from manual_clock import ManualClock
from seeds import seed

# Not imported here: it has threads, which forks of other tests in this process would meet.
if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)


@pytest.fixture
def folder(tmp_path):
    """Give where the table lies."""
    return tmp_path / "memory" / "lancedb"


@pytest.fixture
def opened(folder):
    """Give a function that opens the memory anew; what it opened is closed in the end."""
    made = []

    def make(**settings) -> Memory:
        engine = LancedbMemory(folder, clock=ManualClock(), **settings)
        made.append(Memory(engine, embedder=HashEmbedder(), clock=ManualClock()))
        return made[-1]

    yield make
    for each in made:
        each.close()


def remove_catalogue(folder) -> None:
    for path in folder.glob(f"{CATALOGUE}*"):
        path.unlink()


def test_what_was_kept_is_in_the_table_when_the_memory_is_closed(folder, opened) -> None:
    """Records, changed ones and forgotten ones, are in the table once the memory is closed."""
    memory = opened()
    kept, changed, forgotten = memory.add_many({"text": each} for each in ("tea", "milk", "salt"))
    memory.update(changed, text="oat milk")
    memory.delete(forgotten)

    memory.close()

    assert texts_in_table(folder) == {kept: "tea", changed: "oat milk"}


def test_the_table_has_the_columns_of_the_plugin_of_openclaw(folder, opened) -> None:
    """Its first six columns are those of OpenClaw's plugin, with the values that it reads."""
    memory = opened()
    key = memory.add("tea", category="fact", importance=0.25)
    memory.close()

    found = in_table(folder)

    (row,) = found["rows"]
    assert found["columns"][:6] == ["id", "text", "vector", "importance", "category", "createdAt"]
    assert (row["id"], row["category"], row["importance"]) == (key, "fact", 0.25)
    assert row["vector"] == pytest.approx(HashEmbedder().embed(["tea"])[0].tolist(), abs=2e-3)


def test_nobody_else_may_read_the_files(folder, opened) -> None:
    """The directory is 0700 and its files 0600, whatever the umask is."""
    before = os.umask(0)
    try:
        memory = opened()
        memory.add("tea")
        memory.close()
    finally:
        os.umask(before)

    found = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}


def test_a_catalogue_that_is_gone_is_made_from_the_table(folder, opened) -> None:
    """Without its catalogue every record is there again, whole, and found by words and meaning."""
    memory = opened()
    memory.add_many(
        [
            {
                "text": f"the kettle whistles {number}",
                "tags": ["kitchen", "tea"],
                "metadata": {"deep": [number, {"a": None}]},
                "source": "notes/kitchen.md",
                "thread": "day",
                "title": "Kettle",
                "headings": ["House", "Kitchen"],
                "names": ["kettle.md"],
                "namespace": "home",
                "ttl": 1000.0,
            }
            for number in range(5)
        ]
    )
    wanted = memory.records(namespace="home")
    memory.close()
    remove_catalogue(folder)

    again = opened()

    with pytest.warns(FallbackWarning, match="its catalogue is gone .* lost are .* histories"):
        assert again.records(namespace="home") == wanted
    for mode in ("words", "vector", "hybrid"):
        assert len(again.search("kettle whistles", mode=mode, namespace="home")) == 5
    assert again.stats()["waiting"] == 0


def test_a_row_that_another_program_added_is_found(folder, opened) -> None:
    """Rows of OpenClaw's plugin are found by the next search, without opening the memory anew."""
    memory = opened()
    memory.add("the kettle whistles")
    memory._engine.flush()
    assert memory.search("lobster", mode="words") == []

    in_table(folder, {"do": "add", "rows": [plugin_row("f1", "a lobster walks", None)]})

    (hit,) = memory.search("lobster", mode="words")
    assert (hit.record.id, hit.record.category, hit.record.created_at) == ("f1", "fact", 1.7e9)


def test_what_another_program_changed_or_deleted_is_taken_in(folder, opened) -> None:
    """A text that another program changed in the table is found, one that it deleted is not."""
    memory = opened()
    first, second, third = memory.add_many(
        {"text": each, "tags": ["mine"]} for each in ("tea", "milk", "salt")
    )
    memory._engine.flush()

    in_table(
        folder,
        {"do": "delete", "where": f"id = '{first}'"},
        {"do": "update", "where": f"id = '{second}'", "values": {"text": "oat milk"}},
    )

    assert memory.get(first) is None
    assert memory.require(second).text == "oat milk"
    assert memory.require(second).tags == ("mine",)
    assert memory.require(third).text == "salt"
    memory.close()
    assert texts_in_table(folder) == {second: "oat milk", third: "salt"}


def test_what_waits_is_newer_than_the_table(folder, opened) -> None:
    """A record that was changed here and elsewhere has the text from here."""
    memory = opened()
    key = memory.add("tea")
    memory._engine.flush()
    memory.update(key, text="green tea")
    in_table(folder, {"do": "update", "where": "true", "values": {"text": "black tea"}})

    assert memory.require(key).text == "green tea"
    memory.close()
    assert texts_in_table(folder) == {key: "green tea"}


def test_an_id_that_another_program_wrote_twice_becomes_one_row(folder, opened) -> None:
    """Of several rows with one id a single one stays."""
    memory = opened()
    memory.add("tea")
    memory._engine.flush()
    rows = [plugin_row("f1", "a lobster walks", None), plugin_row("f1", "a lobster swims", None)]
    in_table(folder, {"do": "add", "rows": rows})

    assert len(memory.search("lobster", mode="words")) == 1
    memory.optimize()
    assert len([each for each in texts_in_table(folder) if each == "f1"]) == 1


def test_a_table_of_the_plugin_is_opened_searched_and_written(folder, opened) -> None:
    """A table with the plugin's vectors keeps them; new rows come to it, and all are searched."""
    vector = [1.0, *[0.0] * 1535]
    folder.mkdir(parents=True)
    rows = [plugin_row("f1", "a lobster walks", vector), plugin_row("f2", "a teapot", vector)]
    in_table(folder, {"do": "make", "dimensions": 1536}, {"do": "add", "rows": rows})
    memory = opened()

    assert [hit.record.id for hit in memory.search("lobster")] == ["f1"]
    key = memory.add("the kettle whistles")
    memory.optimize()
    memory.update("f2", tags=["kitchen"])
    memory.close()

    found = {row["id"]: row for row in in_table(folder)["rows"]}
    assert found.keys() == {"f1", "f2", key}
    assert found["f1"]["vector"] == found["f2"]["vector"] == vector
    assert found[key]["vector"] is None
    again = opened()
    assert again.require("f2").tags == ("kitchen",)
    assert again.stats()["waiting"] == 0


def test_what_the_plugin_deletes_from_its_own_table_is_gone(folder, opened) -> None:
    """Also from a table that was never written from here a row that goes is forgotten."""
    folder.mkdir(parents=True)
    rows = [plugin_row("f1", "a lobster walks", None), plugin_row("f2", "a teapot", None)]
    in_table(folder, {"do": "make", "dimensions": 1536}, {"do": "add", "rows": rows})
    memory = opened()
    assert {each.id for each in memory.records()} == {"f1", "f2"}

    in_table(folder, {"do": "delete", "where": "id = 'f1'"})

    assert {each.id for each in memory.records()} == {"f2"}


@pytest.mark.parametrize(
    "row",
    [
        plugin_row("", "no id", None),
        plugin_row(None, "no id", None),
        plugin_row("f1", None, None),
        plugin_row("f1", "half\0", None),
        plugin_row("f1", "x" * 1_000_001, None),
    ],
)
def test_a_row_that_is_no_record_is_passed_over(folder, opened, row) -> None:
    """What a memory could not keep stays in the table, and harms no search."""
    memory = opened()
    key = memory.add("tea")
    memory._engine.flush()
    in_table(folder, {"do": "add", "rows": [row, plugin_row("f2", "a lobster", None)]})

    assert {each.id for each in memory.records()} == {key, "f2"}
    assert len(in_table(folder)["rows"]) == 3


@pytest.mark.parametrize("bad", [[0.0] * 16, None])
def test_a_vector_that_is_none_is_made_anew(folder, opened, bad) -> None:
    """A row whose vector is zero or missing waits for one of our embedder."""
    memory = opened()
    memory.add("tea")
    memory._engine.flush()
    in_table(folder, {"do": "add", "rows": [plugin_row("f1", "a lobster walks", bad)]})

    assert memory.search("lobster")[0].record.id == "f1"
    memory.optimize()
    assert memory.search("lobster walks", mode="vector")[0].record.id == "f1"


@pytest.mark.filterwarnings("ignore:.*its catalogue is gone")
@pytest.mark.parametrize("keeps_catalogue", [True, False])
def test_a_text_that_changed_alone_gets_a_vector_of_its_own(
    folder, opened, keeps_catalogue
) -> None:
    """Where another program changed a text and left its vector, meaning is that of the new text."""
    memory = opened()
    key, _ = memory.add_many({"text": each} for each in ("green tea leaves", "salt mine"))
    memory.close()
    values = {"text": "a lobster walks home"}
    in_table(folder, {"do": "update", "where": f"id = '{key}'", "values": values})
    if not keeps_catalogue:
        remove_catalogue(folder)

    again = opened()

    assert again.require(key).text == "a lobster walks home"
    again.optimize()
    hits = again.search("a lobster walks home", mode="vector")
    assert (hits[0].record.id, hits[0].vector_score) == (key, pytest.approx(1, abs=2e-3))
    (found,) = again.search("green tea leaves", mode="vector", k=1)
    assert found.vector_score < 0.9
    assert again.stats()["waiting"] == 0


@pytest.mark.filterwarnings("ignore:.*its catalogue is gone")
@pytest.mark.parametrize(
    "record",
    [
        *("[]", "7", '"x"', "{", "[" * 100_000, '{"tags": 7}', '{"metadata": [1]}'),
        '{"namespace": "default", "embedder": {"model": "m"}}',
        '{"namespace": "default", "embedder": {"model": "hash", "dimensions": 5, "revision": ""}}',
        '{"namespace": "default", "embedder": 3, "subwords": "&"}',
        '{"namespace": "default", "title": "\\ud800"}',
    ],
    ids=lambda each: each[:40],
)
def test_what_another_program_wrote_into_our_column_harms_nothing(folder, opened, record) -> None:
    """JSON of any shape in the column `record` leaves all other rows found, with their vectors."""
    memory = opened()
    key = memory.add("the kettle whistles")
    memory.close()
    row = plugin_row("f1", "a lobster", [1.0, *[0.0] * 15], record=record)
    in_table(folder, {"do": "add", "rows": [row, plugin_row("f2", "a teapot", None, record=None)]})
    remove_catalogue(folder)

    again = opened()

    assert {key, "f2"} <= {each.id for each in again.records()}
    again.optimize()
    (hit,) = again.search("kettle whistles", mode="vector", k=1)
    assert hit.record.id == key


@pytest.mark.filterwarnings("ignore:.*its catalogue is gone")
@pytest.mark.parametrize("keeps_catalogue", [True, False])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "3e38"])
def test_a_vector_of_no_numbers_is_made_anew(folder, opened, number, keeps_catalogue) -> None:
    """A vector with NaN or an infinity, in our row or another's, is replaced by a true one."""
    memory = opened()
    ours = memory.add("the kettle whistles")
    memory.close()
    in_table(folder, {"do": "add", "rows": [plugin_row("f1", "a lobster", None)]})
    parts = ", ".join([f"arrow_cast('{number}', 'Float32')", *["0.0"] * 15])
    vector = f"arrow_cast(make_array({parts}), 'FixedSizeList(16, Float32)')"
    in_table(folder, {"do": "update", "where": "true", "values_sql": {"vector": vector}})
    if not keeps_catalogue:
        remove_catalogue(folder)

    again = opened()
    again.update("f1", tags=["animal"])
    again._engine.flush()
    again.optimize()

    for query, key in (("the kettle whistles", ours), ("a lobster", "f1")):
        hit = again.search(query, mode="vector")[0]
        assert (hit.record.id, hit.vector_score) == (key, pytest.approx(1, abs=2e-3))
    assert again.check(deep=True) == []
    assert again.stats()["unwritten"] == 0


def test_a_table_that_is_gone_is_written_anew(folder, opened) -> None:
    """When somebody removed the table no record is lost: the next change writes all of them."""
    memory = opened()
    first = memory.add("tea")
    memory.close()
    subprocess.run(["rm", "-r", str(folder / "memories.lance")], check=True)

    again = opened()
    assert again.require(first).text == "tea"
    second = again.add("milk")
    again.close()

    assert texts_in_table(folder) == {first: "tea", second: "milk"}


def test_a_table_of_something_else_is_refused(folder, opened) -> None:
    """A table that holds no memories is left as it is, and an error says so."""
    folder.mkdir(parents=True)
    in_table(folder, {"do": "foreign"})

    with pytest.raises(CorruptError, match=r"memories\.lance.*name another directory"):
        opened().search("tea")


def test_what_was_forgotten_is_in_no_file(folder, opened) -> None:
    """After a compaction no file, of no version of the table, has a byte of what was forgotten."""
    memory = opened()
    memory.add_many({"text": f"number {number}"} for number in range(100))
    secret = memory.add("the password is zanzibar-7", source="notes/zanzibar-8.md")
    memory.optimize()
    memory.update(secret, text="the password was zanzibar-9")
    memory.optimize()

    receipt = memory.forget([secret])

    assert receipt.gone
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if b"zanzibar" in path.read_bytes()] == []
    assert len(texts_in_table(folder)) == 100
    memory.close()


def test_small_writes_leave_few_fragments(folder, opened) -> None:
    """However often a memory is opened, written and closed, the table has at most 50 files."""
    for number in range(40):
        memory = opened()
        memory.add(f"number {number}")
        memory.close()

    found = in_table(folder)

    assert len(found["rows"]) == 40
    assert found["fragments"] <= 50
    assert len(list((folder / "memories.lance" / "data").iterdir())) <= 120


def test_vectors_of_another_length_change_the_table(folder) -> None:
    """When all vectors are replaced by longer ones, the table has those."""
    memory = Memory(LancedbMemory(folder), embedder=HashEmbedder(8))
    memory.add_many({"text": each} for each in ("tea", "milk"))
    memory._engine.flush()
    assert in_table(folder)["vectors"] == 8

    memory.reembed(HashEmbedder(24))
    memory.close()

    found = in_table(folder)
    assert found["vectors"] == 24
    assert all(len(row["vector"]) == 24 for row in found["rows"])


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from clawstate.memory.backends.lancedb import LancedbMemory
    from clawstate.memory.service import Memory
    from clawstate.testing.memory_hooks import HashEmbedder
    engine = LancedbMemory(Path(sys.argv[1]))
    memory = Memory(engine, embedder=HashEmbedder())
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        memory.add_many([{"id": f"r{number}", "text": f"number {number}"}])
        print(number, flush=True)
        if (number + 1) % int(sys.argv[4]) == 0:
            engine.flush()
    memory.close()
    """
)


@pytest.mark.parametrize("number", range(4))
def test_what_was_acknowledged_survives_a_kill(folder, opened, number) -> None:
    """Killed anywhere, a writer loses no acknowledged record, and the table has each once."""
    command = [sys.executable, "-c", WRITER, str(folder), "0", "1000", "7"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    last = -1
    for _ in range(5 + (seed() + 13 * number) % 40):
        last = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    last = max([last, *map(int, writer.stdout.read().split("\n")[:-1])])
    writer.stdout.close()
    writer.wait()

    memory = opened()
    wanted = {f"r{each}": f"number {each}" for each in range(last + 1)}
    kept = {each.id: each.text for each in memory.records(limit=10_000)}
    memory.add_many([{"id": "end", "text": "end"}])
    memory.close()

    assert wanted.items() <= kept.items()
    assert texts_in_table(folder) == {**kept, "end": "end"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_that_write_the_same_ids_leave_each_once(folder, opened) -> None:
    """Eight processes that write the same 500 ids at once leave 500 rows."""
    command = [sys.executable, "-c", WRITER, str(folder), "0", "500", "1000"]
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(8)]

    try:
        assert [each.wait(timeout=800) for each in writers] == [0] * 8
    finally:
        for each in writers:
            each.kill()
            each.wait()
    memory = opened()
    memory.optimize()

    assert len(texts_in_table(folder)) == len(memory.records(limit=1000)) == 500


def test_without_the_library_it_finds_and_keeps(folder, opened) -> None:
    """Where LanceDB dies when it is loaded, records are kept and found all the same."""
    memory = opened()
    memory.add("tea")
    memory.close()

    dying = opened(worker=(sys.executable, "-c", "import os; os.kill(os.getpid(), 4)"))
    dying.add("milk")

    assert {each.text for each in dying.records()} == {"tea", "milk"}
    with pytest.warns(FallbackWarning, match=r"wait to be written.*SIGILL.*AVX2"):
        dying.close()
    again = opened()
    again.optimize()
    assert sorted(texts_in_table(folder).values()) == ["milk", "tea"]


def test_a_table_that_cannot_be_read_is_no_empty_memory(folder, opened) -> None:
    """Without LanceDB and without a catalogue an error tells that records are there."""
    memory = opened()
    memory.add("tea")
    memory.close()
    remove_catalogue(folder)

    dying = opened(worker=(sys.executable, "-c", "import os; os.kill(os.getpid(), 4)"))

    with pytest.raises(UnavailableError, match="AVX2"):
        dying.search("tea")


def test_a_library_that_is_not_installed_is_named(folder, opened) -> None:
    """Without the package the error names the extra to install."""
    script = """
import sys
sys.modules["lancedb"] = None
from clawstate.memory.backends.lancedb.worker import main
main()
"""
    memory = opened(worker=(sys.executable, "-c", script))
    memory.add("tea")

    with pytest.raises(MissingExtraError, match=r"clawstate\[lancedb\]"):
        memory.optimize()
    with pytest.warns(FallbackWarning, match="wait to be written"):
        memory.close()


def test_both_engines_find_the_same(tmp_path, folder) -> None:
    """Two hundred questions have the same ten answers in SQLite and in LanceDB."""
    import random  # noqa: PLC0415

    chance, clock = random.Random(seed()), ManualClock()
    words = [f"{one}{two}" for one in ("run", "kettl", "lobst") for two in ("", "ing", "s", "ed")]
    values = [
        {"id": f"r{number}", "text": " ".join(chance.choices(words, k=chance.randint(3, 14)))}
        for number in range(240)
    ]
    sqlite = SqliteMemory(tmp_path / "m" / "memory.db", vectors=tmp_path / "v", clock=clock)
    memories = [
        Memory(engine, embedder=HashEmbedder(), clock=clock)
        for engine in (sqlite, LancedbMemory(folder, clock=clock))
    ]
    for memory in memories:
        memory.add_many(values)

    for number in range(200):
        query, mode = " ".join(chance.choices(words, k=3)), ("words", "vector", "hybrid")
        one, other = (memory.search(query, mode=mode[number % 3]) for memory in memories)
        assert one == other
    for memory in memories:
        memory.close()


def test_a_search_does_not_load_the_library(folder, opened) -> None:
    """Where nothing changed in the table a search starts no process and loads no LanceDB."""
    memory = opened()
    memory.add("tea")
    memory.close()

    quiet = opened(worker=(sys.executable, "-c", "raise SystemExit('must not be started')"))

    assert [hit.record.text for hit in quiet.search("tea")] == ["tea"]
    assert "lancedb" not in sys.modules or "lancedb.table" in sys.modules
