from __future__ import annotations

import sqlite3

import pytest

import clawstate
from clawstate.errors import CorruptError, UnavailableError, VersionError
from clawstate.sqlite import open_part


def first(connection) -> None:
    connection.execute("CREATE TABLE notes (text TEXT) STRICT; INSERT INTO notes VALUES ('first')")


def second(connection) -> None:
    connection.execute("ALTER TABLE notes ADD COLUMN kind TEXT")
    connection.execute("UPDATE notes SET kind = 'old'")


def failing(connection) -> None:
    connection.execute("DROP TABLE notes")
    raise RuntimeError("the migration fails")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes.db"


@pytest.fixture
def opened(path):
    """Open the database with some migrations."""
    databases = []

    def open_with(*migrations):
        databases.append(open_part(path, "notes", migrations))
        return databases[-1]

    yield open_with
    for database in databases:
        database.close()


def make(opened, *migrations):
    database = opened(*migrations)
    with database.writing():
        pass
    database.close()


def rows(database):
    with database.reading() as connection:
        return list(connection.execute("SELECT * FROM notes"))


def test_a_write_makes_the_newest_format(opened) -> None:
    """The first write runs all migrations, in order."""
    make(opened, first, second)

    assert rows(opened(first, second)) == [("first", "old")]


def test_each_migration_runs_once(opened) -> None:
    """Later writes run nothing again."""
    database = opened(first)
    for _ in range(3):
        with database.writing():
            pass

    assert rows(database) == [("first",)]


def test_a_write_raises_an_older_format(opened) -> None:
    """A write to a database of an older format runs only what is missing."""
    make(opened, first)

    make(opened, first, second)

    assert rows(opened(first, second)) == [("first", "old")]


@pytest.mark.parametrize("read", [rows, lambda database: database.rows("SELECT * FROM notes")])
def test_the_first_read_raises_an_older_format(opened, read) -> None:
    """A read of an older format upgrades it first, so that the reader waits for no writer."""
    make(opened, first)

    assert read(opened(first, second)) == [("first", "old")]
    assert read(opened(first, second)) == [("first", "old")]


@pytest.mark.parametrize("read", [rows, lambda database: database.rows("SELECT * FROM notes")])
def test_an_older_format_that_cannot_be_upgraded_is_told(opened, path, read) -> None:
    """Where the upgrade is refused, a read says what is wrong, and changes no byte."""
    make(opened, first)
    before = path.read_bytes()

    with pytest.raises(RuntimeError):
        read(opened(first, failing))
    waiting = open_part(path, "notes", (first, second), lock_timeout=0.01)
    with opened(first).writing(), pytest.raises(UnavailableError, match="older format 1"):
        read(waiting)
    waiting.close()

    assert path.read_bytes() == before


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_newer_format_is_left_alone(opened, path, call) -> None:
    """A database of a newer format raises `VersionError`, and no byte of it changes."""
    make(opened, first, second)
    before = path.read_bytes()

    database = opened(first)
    with pytest.raises(VersionError) as caught:
        rows(database) if call == "read" else make(lambda *_: database)
    database.close()

    assert (caught.value.found, caught.value.supported) == (2, 1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_foreign_database_is_left_alone(opened, path, call, mode) -> None:
    """Somebody else's database raises `CorruptError`, and its tables and mode stay as they are."""
    foreign = sqlite3.connect(path)
    foreign.execute(f"PRAGMA journal_mode = {mode}")
    foreign.execute("CREATE TABLE theirs (a)")
    foreign.commit()
    foreign.close()
    before = path.read_bytes()

    database = opened(first)
    with pytest.raises(CorruptError, match="did not make"):
        rows(database) if call == "read" else make(lambda *_: database)
    database.close()

    assert path.read_bytes() == before


def test_an_empty_file_reads_as_empty(opened, path) -> None:
    """A file of no bytes, as a kill leaves it, reads as empty and is completed by a write."""
    path.touch()
    assert rows(opened(first)) == [("first",)]  # the tables as a fresh database has them
    assert path.read_bytes() == b""

    make(opened, first, second)

    assert rows(opened(first, second)) == [("first", "old")]


def test_a_failing_migration_leaves_the_old_format(opened) -> None:
    """A migration that fails leaves the database as it was, and usable by the older code."""
    make(opened, first)

    with pytest.raises(RuntimeError):
        make(opened, first, failing)

    assert rows(opened(first)) == [("first",)]
    make(opened, first, second)
    assert rows(opened(first, second)) == [("first", "old")]


def test_a_failing_second_step_takes_back_the_first(opened, path) -> None:
    """Of several migrations in one write all are made or none."""
    with pytest.raises(RuntimeError):
        make(opened, first, second, failing)

    assert rows(opened(first)) == [("first",)]  # of an empty database
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    connection.close()


def test_the_memory_of_the_future_is_left_alone(tmp_path, clock) -> None:
    """A `memory.db` of a newer clawstate raises `VersionError` for every verb, and stays."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.memory.add("text")
        path = state.paths.memory_db
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    before = path.read_bytes()

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        for call in (
            lambda: state.memory.add("more"),
            lambda: state.memory.get("x"),
            lambda: state.memory.search("text"),
            lambda: state.memory.search("text", mode="words"),
            state.memory.records,
            lambda: state.memory.delete("x"),
            state.memory.stats,
            state.memory.optimize,
            state.memory.check,
        ):
            with pytest.raises(VersionError, match="99"):
                call()

    assert path.read_bytes() == before
