from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from clawstate.errors import CorruptError, VersionError
from clawstate.sqlite import open_part
from soundness import damage_of


def make_owner(connection) -> None:
    connection.execute("CREATE TABLE owners (text TEXT) STRICT")


def make_guest(connection) -> None:
    connection.execute("CREATE TABLE guests (text TEXT) STRICT")


def grow_guest(connection) -> None:
    connection.execute("ALTER TABLE guests ADD COLUMN kind TEXT")


def refuse(connection) -> None:
    connection.execute("CREATE TABLE half (text TEXT) STRICT")
    raise RuntimeError("the migration fails")


# Another process: a second library of SQLite in this one would drop its locks.
STRANGER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM guests").fetchone()[0])
connection.close()
"""

TABLES = {"owner": "owners", "guest": "guests", "other": "others"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shared.db"


@pytest.fixture
def opened(path):
    """Open one part of the database, as another process would: the owner, or a guest in it."""
    databases = []

    def opened_part(name, *migrations):
        usual = (make_owner,) if name == "owner" else (make_guest,)
        databases.append(open_part(path, name, migrations or usual, lock_timeout=10))
        return databases[-1]

    yield opened_part
    for database in databases:
        database.close()


def write(database, table, text="a"):
    with database.writing() as connection:
        connection.execute(f"INSERT INTO {table} (text) VALUES (?)", (text,))


def count(database, table):
    with database.reading() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").get


@pytest.mark.parametrize("order", [("owner", "guest"), ("guest", "owner")], ids="-".join)
def test_either_part_makes_the_file(opened, order) -> None:
    """Whichever part is written first, the other is empty until it is written, and then there."""
    first, second = order
    write(opened(first), TABLES[first])

    late = opened(second)
    assert count(late, TABLES[second]) == 0

    write(late, TABLES[second])
    assert count(late, TABLES[second]) == 1
    assert count(opened(first), TABLES[first]) == 1


@pytest.mark.parametrize("order", [("owner", "guest"), ("guest", "owner")], ids="-".join)
def test_reading_a_missing_part_changes_nothing(opened, path, order) -> None:
    """A read of a part that is not there changes no byte of the file."""
    first, second = order
    maker = opened(first)
    write(maker, TABLES[first])
    maker.close()
    before = path.read_bytes()

    reader = opened(second)
    count(reader, TABLES[second])
    reader.close()

    assert path.read_bytes() == before


def test_three_parts_have_formats_of_their_own(opened, path) -> None:
    """Each part has its own format number."""
    write(opened("owner"), "owners")
    write(opened("guest", make_guest, grow_guest), "guests")
    write(opened("other", lambda c: c.execute("CREATE TABLE others (text TEXT) STRICT")), "others")

    connection = sqlite3.connect(path)
    formats = dict(connection.execute("SELECT part, format FROM clawstate_parts"))
    connection.close()
    assert formats == {"owner": 1, "guest": 2, "other": 1}


def test_a_part_is_migrated_by_itself(opened) -> None:
    """Whoever comes first raises the format of its own part alone, reading or writing."""
    write(opened("guest"), "guests")
    write(opened("owner"), "owners")
    newer = opened("guest", make_guest, grow_guest)

    assert count(newer, "guests") == 1
    write(newer, "guests")

    assert count(newer, "guests") == 2
    assert count(opened("owner"), "owners") == 1


@pytest.mark.parametrize("newer", ["owner", "guest"])
def test_a_newer_part_does_not_hinder_the_other(opened, newer) -> None:
    """A part of a newer clawstate raises `VersionError` for itself; the other goes on."""
    write(opened("owner"), "owners")
    write(opened("guest"), "guests")
    make = make_owner if newer == "owner" else make_guest
    write(opened(newer, make, lambda _: None), TABLES[newer])
    other = "guest" if newer == "owner" else "owner"

    write(opened(other), TABLES[other])

    assert count(opened(other), TABLES[other]) == 2
    for call in (count, write):
        with pytest.raises(VersionError) as caught:
            call(opened(newer), TABLES[newer])
        assert (caught.value.found, caught.value.supported) == (2, 1)


@pytest.mark.parametrize("call", [count, write])
@pytest.mark.parametrize("part", ["owner", "guest"])
@pytest.mark.parametrize("version", [0, 1, 7])
def test_a_foreign_database_is_left_alone(opened, path, call, part, version) -> None:
    """Somebody else's database is refused by every part, and no byte of it changes."""
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE theirs (a)")
    foreign.execute(f"PRAGMA user_version = {version}")
    foreign.commit()
    foreign.close()
    before = path.read_bytes()

    database = opened(part)
    with pytest.raises(CorruptError, match="did not make"):
        call(database, TABLES[part])
    database.close()

    assert path.read_bytes() == before


def test_a_failing_part_leaves_the_others(opened, path) -> None:
    """A first migration that fails leaves neither tables nor a format, and the file usable."""
    write(opened("owner"), "owners")

    with pytest.raises(RuntimeError), opened("guest", refuse).writing():
        pass

    connection = sqlite3.connect(path)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    connection.close()
    assert names == {"owners", "clawstate_parts"}
    write(opened("guest"), "guests")
    assert count(opened("owner"), "owners") == 1


def test_threads_write_both_parts(opened) -> None:
    """Threads that write two parts through two objects lose nothing, and none waits for ever."""
    parts = {name: opened(name) for name in ("owner", "guest")}
    failures = []

    def work(name):
        try:
            for _ in range(25):
                write(parts[name], TABLES[name])
                count(parts[name], TABLES[name])
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in [*parts, *parts]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [count(parts[name], TABLES[name]) for name in parts] == [50, 50]


def test_closing_one_part_keeps_the_other(opened, path) -> None:
    """When one object closes, the other's locks hold: nobody removes the log under it."""
    first, second = opened("owner"), opened("guest")
    write(first, "owners")
    write(second, "guests")

    first.close()
    write(second, "guests")
    run = subprocess.run(
        [sys.executable, "-c", STRANGER, path], capture_output=True, text=True, check=True
    )
    write(second, "guests")

    assert run.stdout == "2\n"
    assert count(opened("guest"), "guests") == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_both_parts_survive_a_fork(opened) -> None:
    """Parent and child both go on with both parts after a fork."""
    parts = {name: opened(name) for name in ("owner", "guest")}
    for name, database in parts.items():
        write(database, TABLES[name])

    child = os.fork()
    if child == 0:
        code = 1
        try:
            for name, database in parts.items():
                write(database, TABLES[name])
            code = 0
        finally:
            os._exit(code)
    for name, database in parts.items():
        write(database, TABLES[name])
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert [count(parts[name], TABLES[name]) for name in parts] == [3, 3]


def test_a_part_reads_while_the_other_writes(opened) -> None:
    """A long write of one part keeps no reader of the other waiting."""
    owner, guest = opened("owner"), opened("guest")
    write(guest, "guests")

    with owner.writing() as connection:
        connection.execute("INSERT INTO owners VALUES ('b')")
        seen = count(guest, "guests"), count(opened("owner"), "owners")

    assert seen == (1, 0)


def test_the_memory_does_not_mind_its_guest(state) -> None:
    """Memory and transcripts share a file, and each finds itself sound beside the other."""
    state.transcripts.append("s", {"role": "user", "content": "hello lobster"})
    assert state.memory.search("lobster", mode="words") == []
    assert damage_of(state.memory) == []
    state.memory.add("a blue lobster")

    for _ in range(30):
        state.transcripts.append("s", {"role": "user", "content": "hello again lobster"})
        state.memory.add("one more lobster")
    found = state.memory.check(), state.transcripts.check(deep=True)

    assert found == ([], [])
    assert len(state.memory.search("lobster", mode="words", k=50)) == 31
    assert len(state.transcripts.search("lobster", limit=50)) == 31
    assert state.paths.memory_db == state.transcripts.path
