"""The parts of one file: one `Database` in a process, and files that were made before names."""

from __future__ import annotations

import gc
import hashlib
import sqlite3
import subprocess
import sys
import threading

import pytest

import clawstate
from clawstate.errors import ClosedError, CorruptError, UnavailableError
from clawstate.memory.backends.sqlite.schema import MIGRATIONS
from clawstate.sqlite import Database

FORMAT = len(MIGRATIONS)  # of memory
LOBSTER = {"role": "user", "content": "hello lobster"}


def of(path):
    """Return the `Database` objects of this process for *path* that are not closed."""
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, Database)]
    return [each for each in found if each.path == path and not each._guard.closed]


def query(path, *statements):
    """Run *statements* in another process, whose library of SQLite drops no lock of this one."""
    script = (
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n"
        "rows = [c.execute(each).fetchall() for each in sys.argv[2:]]\n"
        "c.commit(); c.close(); print(rows)"
    )
    command = [sys.executable, "-c", script, str(path), *statements]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def unname(path):
    """Make the file at *path* one of the first release, which gave its first part no name."""
    connection = sqlite3.connect(path)
    rest = connection.execute("SELECT part FROM clawstate_parts WHERE part = 'transcripts'")
    if rest.fetchone():
        connection.execute("DELETE FROM clawstate_parts WHERE part IN ('memory', 'records')")
    else:
        connection.execute("DROP TABLE clawstate_parts")
        connection.execute("DROP TABLE IF EXISTS clawstate_changes")
    connection.commit()
    connection.close()


def digest(root):
    """Return what every file below *root* holds, but for what SQLite keeps beside a database."""
    files = [each for each in sorted(root.rglob("*.db")) if each.is_file()]
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


@pytest.fixture
def old(tmp_path):
    """Return a state whose databases are as the first release made them."""
    root = tmp_path / "old"
    with clawstate.open(root, store="sqlite") as state:
        state.memory.add("a blue lobster")
        state.dedupe.check_and_record("seen", namespace="n")
        state.sessions.resolve("main")
    unname(root / "memory" / "memory.db")
    unname(root / "state" / "records.db")
    return root


def test_all_parts_use_one_database(tmp_path) -> None:
    """Memory, transcripts and the removal of sessions open a file once; so do all records."""
    with clawstate.open(tmp_path / "s", store="sqlite") as state:
        state.memory.add("a blue lobster")
        entry = state.sessions.resolve("main")
        state.transcripts.append(entry.session_id, LOBSTER)
        state.dedupe.check_and_record("seen", namespace="n")
        state.sessions.delete("main")
        state.sessions.prune(older_than=0, enforce=True)

        shared = of(state.paths.memory_db)
        rows = of(state.paths.records_db)
        writers = {each._writers for each in (*shared, *rows)}

    assert (len(shared), len(rows), len(writers)) == (1, 1, 2)
    assert of(state.paths.memory_db) == of(state.paths.records_db) == []


def test_connections_are_shared(tmp_path) -> None:
    """A process that uses two parts in turn does so by the same connections."""
    both = {"memory", "transcripts"}
    with clawstate.open(tmp_path / "s") as state:
        for number in range(5):
            state.memory.add(f"lobster {number}")
            state.transcripts.append("s", LOBSTER)
            state.memory.search("lobster", mode="words")
            state.transcripts.search("lobster")
        (database,) = of(state.paths.memory_db)

        assert database._writer.known == both
        assert both in [each.known for each in database._idle]


def test_closing_a_part_ends_it_alone(tmp_path) -> None:
    """A closed part refuses calls while the others go on; the state closes them all."""
    with clawstate.open(tmp_path / "s") as state:
        memory, transcripts = state.memory, state.transcripts
        memory.add("a blue lobster")
        transcripts.append("s", LOBSTER)

        transcripts.close()
        with pytest.raises(ClosedError):
            transcripts.messages("s")
        memory.add("a red lobster")
        assert len(memory.search("lobster", mode="words")) == 2

    with pytest.raises(ClosedError):
        memory.add("more")
    assert not [each for each in state.paths.memory_dir.iterdir() if each.name.endswith("-wal")]


def test_one_file_under_two_names_is_one_database(tmp_path) -> None:
    """A database that a link leads to is the same one."""
    with clawstate.open(tmp_path / "s") as state:
        state.memory.add("a blue lobster")
        link = tmp_path / "link.db"
        link.symlink_to(state.paths.memory_db)
        databases = state._context.backends

        assert databases.database(link) is databases.database(state.paths.memory_db)


def test_threads_of_all_parts_write_at_once(tmp_path) -> None:
    """Threads that write memory, transcripts and removals at once lose nothing and never wait."""
    with clawstate.open(tmp_path / "s") as state:
        ids = [state.sessions.resolve(f"k{n}").session_id for n in range(10)]
        failures = []

        def work(change):
            try:
                for number in range(10):
                    change(number)
            except BaseException as error:  # noqa: BLE001 - told by the main thread
                failures.append(error)

        changes = (
            lambda n: state.memory.add(f"lobster {n}"),
            lambda _: state.transcripts.append("kept", LOBSTER),
            lambda n: (state.transcripts.append(ids[n], LOBSTER), state.sessions.delete(f"k{n}")),
        )
        threads = [threading.Thread(target=work, args=(each,)) for each in changes]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)

        assert failures == []
        assert state.transcripts.count("kept") == 10
        assert state.memory.stats()["records"] == 10


def test_a_state_of_the_first_release_is_read_as_it_is(old) -> None:
    """Databases without names of parts are read whole, and no byte of them changes."""
    before = digest(old)

    with clawstate.open(old, store="sqlite") as state:
        found = [each.text for each in state.memory.records()]
        messages = state.transcripts.sessions()
        assert state.sessions.get("main") is not None

    assert (found, len(messages)) == (["a blue lobster"], 0)
    assert digest(old) == before


def test_the_next_write_names_the_part(old) -> None:
    """A write of any part names the one that had none, and notes its format for that release."""
    with clawstate.open(old, store="sqlite") as state:
        state.transcripts.append("s", LOBSTER)
        assert state.dedupe.check_and_record("seen", namespace="n") is False
        assert state.dedupe.check_and_record("new", namespace="n") is True
        state.memory.add("a red lobster")
        assert len(state.memory.search("lobster", mode="words")) == 2

    parts, version = "SELECT part, format FROM clawstate_parts ORDER BY 1", "PRAGMA user_version"
    assert query(old / "memory" / "memory.db", parts, version) == (
        f"[[('changes', 1), ('memory', {FORMAT}), ('transcripts', 1)], [({FORMAT},)]]"
    )
    assert query(old / "state" / "records.db", parts, version) == "[[('records', 1)], [(1,)]]"


@pytest.mark.parametrize("version", [0, 1, 5])
def test_a_foreign_database_is_nobodys_unnamed_part(tmp_path, version) -> None:
    """A number in `user_version` does not make somebody else's database ours."""
    root = tmp_path / "s"
    for name in ("memory/memory.db", "state/records.db"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        query(root / name, "CREATE TABLE theirs (a)", f"PRAGMA user_version = {version}")
    before = digest(root)

    with clawstate.open(root, store="sqlite") as state:
        calls = (
            lambda: state.memory.add("x"),
            lambda: state.memory.get("x"),
            lambda: state.transcripts.append("s", LOBSTER),
            lambda: state.sessions.resolve("main"),
            lambda: state.sessions.get("main"),
        )
        for call in calls:
            with pytest.raises(CorruptError, match="did not make"):
                call()

    assert digest(root) == before


def test_records_and_memory_can_share_a_file(tmp_path) -> None:
    """`memory.store.path` may name the database of the records: each part keeps its own format."""
    with clawstate.open(tmp_path / "s", store="sqlite") as state:
        state.config.set("memory.store.path", "state/records.db")
        state.sessions.resolve("main")
        state.memory.add("a blue lobster")
        state.transcripts.append("s", LOBSTER)

        assert len(of(state.paths.records_db)) == 1

    with clawstate.open(tmp_path / "s", store="sqlite") as state:
        assert len(state.memory.search("lobster", mode="words")) == 1
        assert state.sessions.get("main") is not None
        assert state.transcripts.count("s") == 1


def test_a_full_lock_of_one_part_is_told_to_the_other(tmp_path) -> None:
    """A writer that waits in vain for one of another part gets the error of the time limit."""
    with clawstate.open(tmp_path / "s", lock_timeout=0.05) as state:
        state.memory.add("a blue lobster")
        state.transcripts.append("s", LOBSTER)
        (database,) = of(state.paths.memory_db)
        held, left = threading.Event(), threading.Event()

        def hold():
            with database._writers.hold():
                held.set()
                left.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        try:
            for call in (
                lambda: state.memory.add("more"),
                lambda: state.transcripts.append("s", LOBSTER),
            ):
                with pytest.raises((TimeoutError, UnavailableError)):
                    call()
            assert state.transcripts.count("s") == 1
        finally:
            left.set()
            thread.join()
