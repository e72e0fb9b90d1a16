"""The free space of a database, overwritten page by page while others use it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import apsw
import pytest

from clawstate.errors import CorruptError
from clawstate.sqlite import free_space, open_part
from clawstate.sqlite.compaction import empty_log

LETTERS = "bcdfghklmnprstvwxz"
WORD = re.compile(f"(?=([{LETTERS}]{{10}}))".encode())


def tables(connection):
    connection.execute(
        """
        CREATE TABLE notes (
            number INTEGER PRIMARY KEY, name TEXT UNIQUE, text TEXT, data BLOB
        ) STRICT;
        CREATE INDEX notes_text ON notes (text);
        CREATE TABLE names (name TEXT, text TEXT, PRIMARY KEY (name, text)) STRICT, WITHOUT ROWID;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID;
        """
    )


class Notes:
    """Notes of words that are added, edited and removed."""

    def __init__(self, part, seed):
        self.part = part
        self.random = random.Random(seed)
        self.kept = {}
        self.written = set()

    def word(self):
        word = "".join(self.random.choices(LETTERS, k=10))
        self.written.add(word.encode())
        return word

    def text(self):
        return " ".join(self.word() for _ in range(self.random.choice([1, 1, 3, 20, 90, 400])))

    def add(self, count):
        with self.part.writing() as connection:
            for _ in range(count):
                self._put(connection, self.word(), self.text())

    def edit(self, count):
        with self.part.writing() as connection:
            for name in self._some(count):
                self._drop(connection, name)
                self._put(connection, name, self.text())

    def remove(self, count):
        with self.part.writing() as connection:
            for name in self._some(count):
                self._drop(connection, name)

    def require_whole(self):
        with self.part.reading() as connection:
            assert connection.pragma("integrity_check") == "ok"
            assert dict(connection.execute("SELECT name, text FROM notes")) == self.kept

    def traces(self):
        """Return the words that stand in a file, and in no note."""
        present = {each for pair in self.kept.items() for each in " ".join(pair).encode().split()}
        path = self.part.path
        data = b"".join(each.read_bytes() for each in path.parent.glob(path.name + "*"))
        return {each for each in WORD.findall(data) if each in self.written} - present

    def _some(self, count):
        return self.random.sample(sorted(self.kept), min(count, len(self.kept)))

    def _put(self, connection, name, text):
        self.kept[name] = text
        data = self.random.randbytes(self.random.choice([9, 300, 6000]))
        connection.execute("INSERT INTO notes VALUES (NULL, ?, ?, ?)", (name, text, data))
        connection.execute("INSERT INTO names VALUES (?, ?)", (name, text[:900]))

    def _drop(self, connection, name):
        del self.kept[name]
        connection.execute("DELETE FROM notes WHERE name = ?", (name,))
        connection.execute("DELETE FROM names WHERE name = ?", (name,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes.db"


@pytest.fixture
def part(path):
    part = open_part(path, "notes", (tables,))
    yield part
    part.close()


@pytest.fixture(params=range(4))
def notes(request, part):
    """Give notes of which many were edited and removed."""
    notes = Notes(part, request.param)
    for _ in range(12):
        notes.add(30)
        notes.edit(8)
        notes.remove(notes.random.randrange(25))
    assert empty_log(part, patience=5.0)
    return notes


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(free_space, "_SLICE", 40)


def overwrite(part, *, patience=20.0, **settings):
    return free_space.overwrite_free_space(part, note, patience=patience, **settings)


def note(connection, page):
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('page', ?)", (str(page),))


def test_nothing_of_what_was_removed_is_left(part, notes):
    """Edited, removed, in indexes, in long texts, in pages that are free: none of it is left."""
    assert notes.traces()

    assert overwrite(part)

    assert empty_log(part, patience=5.0)
    assert notes.traces() == set()
    notes.require_whole()


def test_it_goes_on_as_any_database(part, notes):
    """Afterwards free pages are used again, and what is removed then can be overwritten."""
    assert overwrite(part)

    notes.add(60)
    notes.remove(50)
    assert overwrite(part)

    assert empty_log(part, patience=5.0)
    assert notes.traces() == set()
    notes.require_whole()


def test_what_others_write_between_two_slices_brings_nothing_back(part, notes):
    """Another connection that knew the pages before moves rows about meanwhile."""
    other = Notes(open_part(part.path, "notes", (tables,)), 99)
    other.kept, before = notes.kept, notes.traces()

    def write():
        other.edit(1)
        other.add(other.random.randrange(4))
        return False

    assert overwrite(part, cancelled=write)

    assert empty_log(part, patience=5.0)
    assert before
    assert notes.traces() & before == set()
    notes.require_whole()
    other.part.close()


def test_a_reader_of_an_older_state_is_waited_for(part, notes):
    """Its pages lie in the log: nothing is overwritten before it has ended, and that is told."""
    with part.reading() as reader:
        reader.execute("SELECT count(*) FROM notes").get  # noqa: B018 - begins to read
        notes.add(1)
        assert not overwrite(part, patience=0.0)
        assert reader.pragma("integrity_check") == "ok"

    assert overwrite(part)


def test_cancelled_it_may_begin_anew(part, notes):
    """What was overwritten by then is no loss."""
    looks = iter([False, False, True])

    assert not overwrite(part, cancelled=lambda: next(looks))
    notes.require_whole()
    assert overwrite(part)

    assert empty_log(part, patience=5.0)
    assert notes.traces() == set()


def test_a_damaged_page_is_told_and_nothing_is_written_over(part, notes):
    """A page whose head makes no sense raises `CorruptError`, and stays as it is."""
    with part.reading() as connection:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'notes_text'"
        place = (connection.execute(sql).get - 1) * 4096
    with part.path.open("r+b") as file:
        file.seek(place + 5)
        file.write(b"\xff\xf0")
    before = part.path.read_bytes()[place : place + 4096]

    with pytest.raises(CorruptError):
        overwrite(part)

    assert part.path.read_bytes()[place : place + 4096] == before


_KILLED = """
import os, sys
from pathlib import Path
from clawstate.sqlite import free_space, open_part
free_space._SLICE = 8
part = open_part(Path(sys.argv[1]), "notes", (lambda connection: None,))
print("open", flush=True)
def note(connection, page):
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('page', ?)", (str(page),))
while True:
    free_space.overwrite_free_space(part, note, patience=9.0)
"""


def test_killed_anywhere_it_leaves_the_same_rows(part, notes):
    """The next one does all of it."""
    for _ in range(5):
        command = [sys.executable, "-c", _KILLED, os.fspath(part.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
            program.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(notes.random.random() / 10)
            program.kill()
        notes.require_whole()

    assert overwrite(part)

    assert empty_log(part, patience=5.0)
    assert notes.traces() == set()


def test_a_file_with_a_rollback_journal_is_not_for_it(path):
    """There is no log by whose emptiness it is known that nobody reads other pages."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "delete")
    assert not free_space.is_overwritable(connection)
    connection.pragma("journal_mode", "wal")
    assert free_space.is_overwritable(connection)
    connection.close()
