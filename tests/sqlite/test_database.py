from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

import clawstate
from clawstate.errors import (
    ClosedError,
    CorruptError,
    InvalidError,
    LockTimeoutError,
    UnavailableError,
)
from clawstate.sqlite import open_part

SOURCE = Path(clawstate.__file__).parents[1]


def make_table(connection) -> None:
    connection.execute("CREATE TABLE notes (text TEXT NOT NULL) STRICT")


MIGRATIONS = (make_table,)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "notes.db"


@pytest.fixture
def database(path):
    database = open_part(path, "notes", MIGRATIONS, lock_timeout=5.0)
    yield database
    database.close()


def write(database, *texts):
    with database.writing() as connection:
        connection.executemany("INSERT INTO notes VALUES (?)", [(text,) for text in texts])


def add_and_fail(connection):
    connection.execute("INSERT INTO notes VALUES ('b')")
    raise ZeroDivisionError


def texts(database):
    with database.reading() as connection:
        return [row[0] for row in connection.execute("SELECT text FROM notes ORDER BY rowid")]


def test_reading_makes_nothing(database, tmp_path) -> None:
    """Until the first write every read finds the tables empty, and no file appears."""
    assert texts(database) == []
    assert not database.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_read(database, path) -> None:
    """A committed write is seen by every later read, also of another object."""
    write(database, "a", "b")

    assert texts(database) == ["a", "b"]
    other = open_part(path, "notes", MIGRATIONS)
    assert texts(other) == ["a", "b"]
    other.close()


def test_a_failed_write_leaves_nothing(database) -> None:
    """An error inside the block takes back all of it."""
    write(database, "a")

    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        add_and_fail(connection)

    assert texts(database) == ["a"]
    write(database, "c")
    assert texts(database) == ["a", "c"]


@pytest.mark.parametrize("kind", ["reading", "writing"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_statement_that_was_cut_off_is_in_nobody_s_way(database, path, kind, error) -> None:
    """What a kept error keeps of a half read statement, the next reader and writer do not see."""
    write(database, *map(str, range(1000)))
    other = open_part(path, "notes", MIGRATIONS)

    def cut_off() -> None:
        with getattr(database, kind)() as connection:
            rows = connection.execute("SELECT text FROM notes")
            next(rows)
            raise error

    with pytest.raises(error) as kept:
        cut_off()
    write(other, "of another")
    write(database, "of this one")

    for each in (database, other):
        assert texts(each)[-2:] == ["of another", "of this one"]
        assert each.rows("SELECT count(*) FROM notes") == [(1002,)]
    assert kept.value.__traceback__ is not None
    other.close()


def test_a_failed_first_write_leaves_an_empty_database(database) -> None:
    """A first write that fails leaves what reads as empty and can be written."""
    with pytest.raises(ZeroDivisionError), database.writing():
        _ = 1 / 0

    assert texts(database) == []
    write(database, "a")
    assert texts(database) == ["a"]


def test_a_reader_sees_one_state(database) -> None:
    """A read that is under way does not see what is committed meanwhile; the next one does."""
    write(database, "a")

    with database.reading() as connection:
        before = connection.execute("SELECT count(*) FROM notes").get
        write(database, "b")
        after = connection.execute("SELECT count(*) FROM notes").get

    assert (before, after) == (1, 1)
    assert texts(database) == ["a", "b"]


def test_one_statement_needs_no_transaction(database) -> None:
    """`rows` returns what one statement finds: nothing before the first write, and all after it."""
    before = database.rows("SELECT text FROM notes")
    write(database, "a", "b")

    found = database.rows("SELECT text FROM notes WHERE text > ?", ("a",))

    assert (before, found) == ([], [("b",)])
    with pytest.raises(UnavailableError):
        database.rows("INSERT INTO notes VALUES ('c')")
    assert texts(database) == ["a", "b"]


def test_readers_cannot_write(database) -> None:
    """A reading connection refuses to change the database."""
    write(database, "a")

    with pytest.raises(UnavailableError), database.reading() as connection:
        connection.execute("INSERT INTO notes VALUES ('b')")

    assert texts(database) == ["a"]


def test_commits_are_durable(database) -> None:
    """Writing connections keep a write-ahead log and sync it at every commit."""
    with database.writing() as connection:
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids="{:03o}".format)
def test_all_files_are_private(database, path, mask) -> None:
    """Database, log, shared memory and gate are 0600 and directories 0700 under any umask."""
    before = os.umask(mask)
    try:
        write(database, "a")
        with database.reading():
            files = sorted(path.parent.iterdir())
            modes = [stat.S_IMODE(each.stat().st_mode) for each in files]
    finally:
        os.umask(before)

    assert {each.name for each in files} >= {path.name + end for end in ("", "-shm", "-wal")}
    assert set(modes) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_threads_share_a_database(database) -> None:
    """Threads that write and read at once lose nothing."""

    def work(name):
        for number in range(25):
            write(database, f"{name} {number}")
            assert f"{name} {number}" in texts(database)

    failures = []

    def guarded(name):
        try:
            work(name)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(set(texts(database))) == 100


def test_reads_nest(database) -> None:
    """A read inside a read, and a read inside a write, work."""
    write(database, "a")

    with database.reading(), database.writing() as connection:
        connection.execute("INSERT INTO notes VALUES ('b')")
        assert texts(database) == ["a"]


def test_a_foreign_writer_is_named(database, path, monkeypatch) -> None:
    """A program that holds the database without the gate leads to `LockTimeoutError`."""
    monkeypatch.setattr("clawstate.sqlite.connections.BUSY_MS", 20)
    write(database, "a")
    foreign = apsw.Connection(str(path))
    foreign.execute("BEGIN IMMEDIATE")
    try:
        database.close()
        patient = open_part(path, "notes", MIGRATIONS)
        with pytest.raises(LockTimeoutError, match="another program"):
            write(patient, "b")
        patient.close()
    finally:
        foreign.close()


def test_nothing_works_after_closing(database) -> None:
    """A closed database raises `ClosedError`, and can be closed again."""
    write(database, "a")
    database.close()
    database.close()

    with pytest.raises(ClosedError):
        texts(database)
    with pytest.raises(ClosedError):
        write(database, "b")


def test_closing_leaves_one_file(database, path) -> None:
    """After a clean end only the database is left, and the empty files of its gate."""
    write(database, "a")
    texts(database)

    database.close()

    sizes = {each.name: each.stat().st_size for each in path.parent.iterdir()}
    assert sizes.pop("notes.db")
    assert set(sizes.values()) == {0}
    assert not sizes.keys() & {"notes.db-wal", "notes.db-shm"}


def test_a_read_that_outlives_closing_ends_well(database) -> None:
    """A read under way while the database is closed goes on to its end."""
    write(database, "a")

    with database.reading() as connection:
        database.close()
        assert connection.execute("SELECT count(*) FROM notes").get == 1


def test_a_deleted_database_reads_as_empty(database, path) -> None:
    """When the files are taken away under an open database, it is empty and can be written."""
    write(database, "a")
    texts(database)
    for each in path.parent.iterdir():
        each.unlink()

    assert texts(database) == []
    write(database, "b")

    assert texts(database) == ["b"]


@pytest.mark.parametrize("obstacle", ["directory", "link", "pipe", "second name"])
def test_what_is_no_file_of_ours_is_refused(path, tmp_path, obstacle) -> None:
    """A write to anything but a regular file with one name raises, and changes nothing."""
    path.parent.mkdir()
    target = tmp_path / "target"
    if obstacle == "directory":
        path.mkdir()
    elif obstacle == "link":
        path.symlink_to(target)
    elif obstacle == "pipe":
        os.mkfifo(path)
    else:
        target.touch()
        path.hardlink_to(target)
    database = open_part(path, "notes", MIGRATIONS)

    with pytest.raises((InvalidError, UnavailableError), match=r"notes\.db"):
        write(database, "a")

    database.close()
    assert not target.exists() or target.read_bytes() == b""


@pytest.mark.parametrize("content", [b"hello\n", b"\0" * 8192, b"SQLite format 3\0", b"x" * 5000])
def test_what_is_no_database_is_refused(path, content) -> None:
    """A file that is no database raises `CorruptError` for reads and writes, and stays."""
    path.parent.mkdir()
    path.write_bytes(content)
    database = open_part(path, "notes", MIGRATIONS)

    with pytest.raises(CorruptError, match=r"notes\.db"):
        texts(database)
    with pytest.raises(CorruptError, match=r"notes\.db"):
        write(database, "a")

    database.close()
    assert path.read_bytes() == content


def test_a_directory_that_is_a_file_is_refused(tmp_path) -> None:
    """A file in the place of the directory raises a `StateError` for reads and writes."""
    (tmp_path / "deep").touch()
    database = open_part(tmp_path / "deep" / "notes.db", "notes", MIGRATIONS)

    with pytest.raises((InvalidError, UnavailableError)):
        texts(database)
    with pytest.raises((InvalidError, UnavailableError)):
        write(database, "a")

    database.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_in_a_read_keeps_off(database) -> None:
    """A child that was forked inside a read leaves it without an error, and may not use it."""
    write(database, "a")

    with database.reading() as connection:
        child = os.fork()
        assert child == 0 or connection.execute("SELECT count(*) FROM notes").get == 1
    if child == 0:
        with pytest.raises(UnavailableError, match="forked"):
            texts(database)
        os._exit(0)

    assert os.waitpid(child, 0)[1] == 0
    assert texts(database) == ["a"]


def test_another_process_waits_its_turn(database, path) -> None:
    """A process that cannot write in time gets `LockTimeoutError`, and reads meanwhile."""
    write(database, "a")
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]); import test_database as t\n"
        "database = t.open_part(t.Path(sys.argv[1]), 'notes', t.MIGRATIONS, lock_timeout=0.05)\n"
        "assert t.texts(database) == ['a']\n"
        "try:\n    t.write(database, 'b')\n"
        "except t.LockTimeoutError as error:\n    print(error.path)\n"
    )
    here = str(Path(__file__).parent)

    with database.writing():
        run = subprocess.run(
            [sys.executable, "-c", program, path, here],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )

    assert run.stdout == f"{path}.gate\n"
    assert LockTimeoutError.code == "locked"
