"""`memory.store.type`, and moving the memory between SQLite and LanceDB."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import ConfigError, ConflictError, FallbackWarning, UnavailableError
from clawstate.importers.sync import import_paths
from clawstate.memory.backends.lancedb.client import shared_process
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.state import memory_moves
from clawstate.state.memory_place import usual_place
from lance_table import in_table, plugin_row, texts_in_table
from seeds import seed

# Not imported here: it has threads, which forks of other tests in this process would meet.
if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)


@pytest.fixture
def root(tmp_path):
    """Give a state directory."""
    return tmp_path / "state"


def keep(root, *texts: str) -> list[str]:
    with clawstate.open(root) as state:
        return state.memory.add_many({"text": each, "tags": ["t"]} for each in texts)


def all_texts(root) -> set[str]:
    with clawstate.open(root) as state:
        return {each.text for each in state.memory.records(limit=10_000)}


def move(root, to: str, **settings) -> memory_moves.MemoryMigration:
    with clawstate.open(root) as state:
        return state.records.migrate_memory(to, **settings)


def write_config(folder, engine: str) -> Path:
    path = folder / f"{engine}.json"
    path.write_text(json.dumps({"memory": {"store": {"type": engine}}}))
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def opened_with(root, folder, engine: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENCLAW_CONFIG_PATH", str(write_config(folder, engine)))
        state = clawstate.open(root)
        assert state.memory is not None  # by the settings of this file
    with state:
        yield state


def choose(root, engine: str) -> None:
    with clawstate.open(root) as state:
        state.config.set("memory.store.type", engine, force=True)


def test_memory_lies_in_lancedb_where_that_is_chosen(root) -> None:
    """`memory.store.type: lancedb` keeps records in memory/lancedb, and transcripts where ever."""
    choose(root, "lancedb")
    with clawstate.open(root) as state:
        key = state.memory.add("the kettle whistles")
        state.transcripts.append("s1", {"role": "user", "content": "a lobster"})

    assert texts_in_table(root / "memory/lancedb") == {key: "the kettle whistles"}
    with clawstate.open(root) as state:
        assert [hit.record.id for hit in state.memory.search("kettle")] == [key]
        assert state.places.memory() == root / "memory/lancedb"
        assert len(state.transcripts.search("lobster")) == 1


def test_the_directory_is_the_one_of_the_setting(root, tmp_path) -> None:
    """`memory.store.path` names the directory."""
    choose(root, "lancedb")
    with clawstate.open(root) as state:
        state.config.set("memory.store.path", str(tmp_path / "far"))
    keep(root, "tea")

    assert set(texts_in_table(tmp_path / "far").values()) == {"tea"}
    assert not (root / "memory/lancedb").exists()


def test_changes_of_a_memory_in_lancedb_are_told(root) -> None:
    """Who watches a state is told of records in LanceDB, and which."""
    choose(root, "lancedb")
    with clawstate.open(root) as state:
        cursor = state.changes().cursor
        key = state.memory.add("tea")

        told = state.changes(cursor)

    (change,) = [each for each in told.items if each.part == "memory"]
    assert change.keys == (key,)


@pytest.mark.parametrize(("old", "new"), [("sqlite", "lancedb"), ("lancedb", "sqlite")])
def test_a_move_brings_everything(root, old, new) -> None:
    """Records, their order, imports and marks of what was forgotten move; a move back as well."""
    choose(root, old)
    notes = root.parent / "notes.md"
    notes.write_text("# Tea\n\ngreen tea\n")
    with clawstate.open(root) as state:
        state.memory.add_many(
            {"text": f"number {each}", "thread": "t", "metadata": {"n": each}} for each in range(50)
        )
        import_paths(state.memory, [notes])
        forgotten = state.memory.add("zanzibar")
        state.memory.forget([forgotten])
        wanted = state.memory.records()
        hits = state.memory.search("number 7")

    done = move(root, new)

    assert (done.to, done.records, done.done) == (new, len(wanted), True)
    with clawstate.open(root) as state:
        assert state.config.get("memory.store.type") == new
        assert state.memory.records() == wanted
        assert state.memory.search("number 7") == hits
        assert state.memory.get(forgotten) is None
        again = import_paths(state.memory, [notes])
        assert (again.skipped, again.added) == (1, 0)
        assert state.places.memories_elsewhere() is None
        assert [each for each in examine(state) if each.code.startswith("memory")] == []
    assert move(root, old).records == len(wanted)
    with clawstate.open(root) as state:
        assert state.memory.records() == wanted
        state.memory.add("one more")


def test_a_move_leaves_no_byte_behind(root) -> None:
    """What the memory lay in holds none of its texts any more."""
    keep(root, "zanzibar is a secret")

    move(root, "lancedb")

    assert b"zanzibar" not in (root / "memory/memory.db").read_bytes()
    move(root, "sqlite")
    files = [each for each in (root / "memory/lancedb").rglob("*") if each.is_file()]
    assert [each for each in files if b"zanzibar" in each.read_bytes()] == []
    assert all_texts(root) == {"zanzibar is a secret"}


def test_a_dry_run_writes_nothing(root) -> None:
    """It tells how many records would move."""
    keep(root, "tea", "milk")

    planned = move(root, "lancedb", dry_run=True)

    assert (planned.records, planned.done) == (2, False)
    assert not (root / "memory/lancedb").exists()
    assert all_texts(root) == {"tea", "milk"}


def test_a_setting_that_would_hide_records_is_refused(root) -> None:
    """The engine is not changed by the setting alone while there are records; the error helps."""
    keep(root, "tea")

    with (
        clawstate.open(root) as state,
        pytest.raises(ConfigError, match=r"hide 1 record in .*store migrate memory --to lancedb"),
    ):
        state.config.set("memory.store.type", "lancedb")

    assert all_texts(root) == {"tea"}


def test_no_second_memory_begins_beside_the_first(root) -> None:
    """With a setting that was written by hand, records elsewhere are told, and none is added."""
    keep(root, "tea")
    choose(root, "lancedb")

    with clawstate.open(root) as state:
        with pytest.raises(UnavailableError, match="store migrate memory --to lancedb"):
            state.memory.add("milk")
        (found,) = [each for each in examine(state) if each.code == "memory-elsewhere"]
        assert "1 record," in found.message
        assert "store migrate memory --to lancedb" in found.fix

    assert move(root, "lancedb").records == 1
    keep(root, "milk")
    assert all_texts(root) == {"tea", "milk"}


def test_two_memories_are_not_mixed(root) -> None:
    """Where both engines hold records nothing is moved over the others."""
    keep(root, "tea")
    move(root, "lancedb")
    choose(root, "sqlite")
    with clawstate.open(root) as state, pytest.raises(UnavailableError):
        state.memory.add("milk")
    with clawstate.open(root) as state:
        state.config.set("memory.store.path", str(root / "memory/other.db"), force=True)
    with clawstate.open(root) as state, pytest.raises(UnavailableError):
        state.memory.add("milk")
    with clawstate.open(root) as state:
        state.config.unset("memory.store.path")

    assert move(root, "sqlite").records == 1
    assert all_texts(root) == {"tea"}


@pytest.mark.parametrize("order", [("sqlite", "lancedb"), ("lancedb", "sqlite")])
def test_one_of_two_engines_that_begin_at_once_is_refused(root, tmp_path, order) -> None:
    """Two programs with two engines and an empty directory: one remembers, the other is refused."""
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(opened_with(root, tmp_path, each)) for each in order)
        # The first has looked, and nothing is there again.
        first.memory.delete(first.memory.add("salt"))

        second.memory.add("milk")

        with pytest.raises(UnavailableError, match="open the state again"):
            first.memory.add("tea")
        assert [each.text for each in second.memory.records()] == ["milk"]
    with opened_with(root, tmp_path, order[0]) as again:
        command = f"store migrate memory --to {order[0]}"
        with pytest.raises(UnavailableError, match=command):
            again.memory.add("tea")


def test_processes_of_two_engines_leave_one_memory(root, tmp_path) -> None:
    """Of processes with both engines, begun at once on an empty directory, one engine has all."""
    for engine in ("sqlite", "lancedb"):
        write_config(tmp_path, engine)
    code = (
        "import sys, clawstate\n"
        "with clawstate.open(sys.argv[1]) as state:\n"
        "    sys.stdin.readline()\n"
        "    try:\n"
        "        print(state.memory.add('tea'))\n"
        "    except clawstate.StateError:\n"
        "        print('refused')\n"
    )
    command, pipe = [sys.executable, "-c", code, str(root)], subprocess.PIPE
    running = [
        subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            text=True,
            env={**os.environ, "OPENCLAW_CONFIG_PATH": str(tmp_path / f"{engine}.json")},
        )
        for engine in ("sqlite", "lancedb") * 2
    ]
    for each in running:
        each.stdin.write("go\n")
        each.stdin.flush()
    told = [each.communicate()[0].strip() for each in running]

    acknowledged = {each for each in told if each != "refused"}
    kept = {}
    for engine in ("sqlite", "lancedb"):
        with opened_with(root, tmp_path, engine) as state:
            kept[engine] = {each.id for each in state.memory.records()}
    assert min(map(len, kept.values())) == 0
    assert set().union(*kept.values()) == acknowledged


def test_a_program_that_was_open_before_cannot_write_where_nobody_looks(root) -> None:
    """After a move a memory that was opened before it refuses records."""
    keep(root, "tea")
    with clawstate.open(root) as before:
        before.memory.add("milk")

        move(root, "lancedb")

        with pytest.raises(UnavailableError, match="moved to another engine; open the state again"):
            before.memory.add("salt")
    assert all_texts(root) == {"tea", "milk"}


def test_a_table_of_openclaw_joins_the_records(root) -> None:
    """Records that move to where OpenClaw's plugin has a table stand beside its own; back, too."""
    keep(root, "tea")
    folder = root / "memory/lancedb"
    folder.mkdir(parents=True)
    rows = [plugin_row("f1", "a lobster", [1.0, *[0.0] * 1535])]
    in_table(folder, {"do": "make", "dimensions": 1536}, {"do": "add", "rows": rows})

    move(root, "lancedb")

    assert all_texts(root) == {"tea", "a lobster"}
    assert set(texts_in_table(folder).values()) == {"tea", "a lobster"}
    move(root, "sqlite")
    assert all_texts(root) == {"tea", "a lobster"}
    assert "a lobster" in texts_in_table(folder).values()


MOVER = textwrap.dedent(
    """
    import sys, clawstate
    with clawstate.open(sys.argv[1]) as state:
        print("ready", flush=True)
        state.records.migrate_memory(sys.argv[2], tell=lambda *step: print(step[2], flush=True))
    """
)


STEPS = [
    *(pytest.param(each, marks=pytest.mark.slow) for each in ("looking", "copying", "choosing")),
    *("comparing", "clearing"),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("to", ["lancedb", "sqlite"])
def test_a_move_that_was_killed_is_carried_on(root, step, to) -> None:
    """Killed at any step, no record is lost, and the next move does the rest."""
    old = "sqlite" if to == "lancedb" else "lancedb"
    choose(root, old)
    texts = {f"number {each}" for each in range(200)}
    keep(root, *texts)
    command = [sys.executable, "-c", MOVER, str(root), to]
    mover = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while (line := mover.stdout.readline()).strip() != step:
        assert line
    os.kill(mover.pid, signal.SIGKILL)
    mover.wait()
    mover.stdout.close()

    move(root, to)

    assert all_texts(root) == texts
    with clawstate.open(root) as state:
        assert state.places.memories_elsewhere() is None
        state.memory.add("one more")


def content_of(root, engine) -> tuple[str, int]:
    """Return the digest of all rows of the memory in *engine*, and how many records it has."""
    with clawstate.open(root) as state:
        place = usual_place(state._context, engine)
        part = state._context.backends.database(place.database).part(PART, MIGRATIONS)
        with part.reading() as connection:
            count = connection.execute("SELECT count(*) FROM memories").get
            return memory_moves._digest(connection), count


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(20 if os.environ.get("CLAWSTATE_FULL") == "1" else 2))
def test_moves_that_were_killed_again_and_again_bring_all_there_and_back(root, number) -> None:
    """Whatever is cut off, histories, archive and imports are equal there, and back."""
    chance = random.Random(seed() + number)
    notes = root.parent / "notes.md"
    notes.write_text("# Tea\n\ngreen tea\n")
    with clawstate.open(root) as state:
        keys = state.memory.add_many(
            {"text": f"number {each}", "thread": "t", "metadata": {"n": each}}
            for each in range(100)
        )
        for key in keys[:10]:
            state.memory.update(key, text=f"changed {key}")
        state.memory.supersede(keys[20], "newer")
        state.memory.archive(keys[30:35])
        state.memory.forget([keys[40]])
        import_paths(state.memory, [notes])
    wanted = content_of(root, "sqlite")

    for old, new in (("sqlite", "lancedb"), ("lancedb", "sqlite")):
        for _ in range(3):
            command = [sys.executable, "-c", MOVER, str(root), new]
            mover = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            step = chance.choice(("looking", "copying", "comparing", "choosing", "clearing"))
            while (line := mover.stdout.readline().strip()) and line != step:
                pass
            time.sleep(chance.random() * 0.5)  # the moment of death, not a wait for anything
            mover.kill()
            mover.wait()
            mover.stdout.close()
        move(root, new)
        assert content_of(root, new) == wanted
        assert content_of(root, old)[1] == 0
        rows = in_table(root / "memory/lancedb")["rows"]
        assert len(rows) == (wanted[1] if new == "lancedb" else 0)


def test_status_and_command_line_tell_of_a_move(root) -> None:
    """`store migrate memory` moves, `--dry-run` only tells, `status` names where records are."""
    keep(root, "tea", "milk")

    def run(*words: str) -> dict:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run("store", "migrate", "memory", "--to", "lancedb", "--dry-run")["records"] == 2
    done = run("store", "migrate", "memory", "--to", "lancedb")
    assert (done["to"], done["records"], done["done"]) == ("lancedb", 2, True)
    assert run("status")["memory"]["records"] == 2


@pytest.mark.filterwarnings("ignore:.*its catalogue is gone")
def test_a_damaged_catalogue_is_made_again_from_the_table(root) -> None:
    """`doctor --fix` mends a catalogue that cannot be read, and no record of the table is lost."""
    choose(root, "lancedb")
    keys = keep(root, *(f"number {each}" for each in range(300)))
    catalogue = root / "memory/lancedb/catalogue.db"
    whole = catalogue.read_bytes()
    chance = random.Random(seed())
    for _ in range(40):
        place = chance.randrange(4096, len(whole) - 600)
        whole = whole[:place] + bytes(500) + whole[place + 500 :]
    catalogue.write_bytes(whole)

    with clawstate.open(root) as state:
        list(examine(state, fix=True))

    with clawstate.open(root) as state:
        assert {each.id for each in state.memory.records(limit=1000)} == set(keys)


def test_records_that_wait_are_told(root) -> None:
    """Where LanceDB cannot be used a warning tells that records wait, and `stats` how many."""
    choose(root, "lancedb")
    with clawstate.open(root) as state:
        state.memory.add("tea")
        state.memory._engine._process = shared_process(
            (sys.executable, "-c", "raise SystemExit(3)")
        )
        assert state.memory.stats()["unwritten"] == 1
        with pytest.warns(FallbackWarning, match="wait to be written to the table, and are safe"):
            state.memory.close()


def test_both_places_with_records_are_a_conflict(root) -> None:
    """A move over other records is refused, and tells what to do."""
    choose(root, "lancedb")
    keep(root, "milk")
    with clawstate.open(root) as state:
        database = state._context.backends.database(root / "memory/memory.db")
        engine = memory_moves.SqliteMemory(database, vectors=root / "memory/vectors")
        clawstate.Memory(engine).add("tea")

    with pytest.raises(ConflictError, match="both hold records"):
        move(root, "sqlite")
    assert all_texts(root) == {"milk"}
