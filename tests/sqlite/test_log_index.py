"""Databases that are read where the index of their log has no room or no place."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import UnavailableError
from clawstate.sqlite import open_part
from small_disk import KINDS, run, small_disk

SOURCE = Path(clawstate.__file__).parents[1]
WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from clawstate.sqlite import open_part

def make_table(connection):
    connection.execute("CREATE TABLE notes (text TEXT NOT NULL) STRICT")

database = open_part(Path(sys.argv[1]), "notes", (make_table,))
with database.writing() as connection:
    connection.execute("INSERT INTO notes VALUES ('a')")
os._exit(9)
"""
READ = """
import sys
from pathlib import Path
from clawstate.sqlite import open_part

def make_table(connection):
    connection.execute("CREATE TABLE notes (text TEXT NOT NULL) STRICT")

database = open_part(Path(sys.argv[1]), "notes", (make_table,))
print(database.rows("SELECT text FROM notes"))
with database.reading() as connection:
    print(connection.execute("SELECT count(*) FROM notes").fetchall())
"""


def make_table(connection) -> None:
    connection.execute("CREATE TABLE notes (text TEXT NOT NULL) STRICT")


def opened(path):
    return open_part(path, "notes", (make_table,), lock_timeout=5.0)


def add(path, text):
    database = opened(path)
    with database.writing() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))
    database.close()


def program(text, path):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run(
        [sys.executable, "-c", text, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(params=KINDS)
def disk(request, tmp_path):
    """Give a small file system of its own."""
    with small_disk(request.param, tmp_path) as place:
        yield place


def read_and_meanwhile(database, work):
    with database.reading() as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("a",)]
        work()


def fill(disk, left):
    descriptor = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while True:
            os.write(descriptor, bytes(1024))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - left))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("left", [0, 8192, 16384])
def test_a_full_disk_is_read(disk, left):
    """What is there is read however little is free, by a program that lives on."""
    path = disk / "notes.db"
    add(path, "a")
    fill(disk, left)

    found = program(READ, path)

    assert (found.returncode, found.stdout) == (0, "[('a',)]\n[(1,)]\n"), found.stderr


@pytest.mark.parametrize("left", [0, 8192, 16384])
def test_the_log_of_a_killed_writer_is_read_on_a_full_disk(disk, left):
    """What was committed and lies in the log only is read as well, and is not lost by it."""
    path = disk / "notes.db"
    add(path, "z")
    assert program(WRITE_AND_DIE, path).returncode == 9
    fill(disk, left)

    found = program(READ, path)

    assert (found.returncode, found.stdout) == (0, "[('z',), ('a',)]\n[(2,)]\n"), found.stderr
    (disk / "ballast").unlink()
    assert opened(path).rows("SELECT text FROM notes") == [("z",), ("a",)]


@pytest.mark.parametrize("left", [0, 8192, 16384])
def test_a_writer_on_a_full_disk_is_told(disk, left):
    """A write without room is refused in words, ends no process, and loses nothing."""
    path = disk / "notes.db"
    add(path, "a")
    fill(disk, left)

    with pytest.raises(UnavailableError, match="disk is full"):
        add(path, "b" * 100_000)

    (disk / "ballast").unlink()
    assert opened(path).rows("SELECT text FROM notes") == [("a",)]


def test_a_read_only_disk_is_read(disk):
    """A file system that is mounted read-only is read, and a write there is refused."""
    path = disk / "notes.db"
    add(path, "a")
    run("mount", "-o", "remount,ro", str(disk))

    database = opened(path)

    assert database.rows("SELECT text FROM notes") == [("a",)]
    with pytest.raises(UnavailableError), database.writing():
        pass
    database.close()


def test_an_older_format_on_a_read_only_disk_is_refused(disk):
    """Where a format cannot be raised, a read says so with a remedy, and changes no byte."""
    path = disk / "notes.db"
    add(path, "a")
    before = path.read_bytes()
    run("mount", "-o", "remount,ro", str(disk))

    def grow(connection) -> None:
        connection.execute("ALTER TABLE notes ADD COLUMN kind TEXT")

    database = open_part(path, "notes", (make_table, grow), lock_timeout=5.0)
    with pytest.raises(UnavailableError, match=r"older format 1.*where it can be written"):
        database.rows("SELECT text FROM notes")
    with pytest.raises(UnavailableError, match="older format 1"), database.reading():
        pass
    database.close()

    assert path.read_bytes() == before


@pytest.mark.parametrize("disk", ["ext4 1024"], indirect=True)
def test_what_was_written_while_it_was_read_does_not_count(disk):
    """A file that was taken to be whole and that somebody wrote meanwhile gives no answer."""
    path = disk / "notes.db"
    add(path, "a")
    fill(disk, 0)
    database = opened(path)

    with pytest.raises(UnavailableError, match="written while"):
        read_and_meanwhile(database, lambda: ((disk / "ballast").unlink(), add(path, "b")))

    assert database.rows("SELECT text FROM notes") == [("a",), ("b",)]
    database.close()
