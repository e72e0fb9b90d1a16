"""A database that is written anew while others read and write."""

from __future__ import annotations

import apsw
import pytest

from clawstate.errors import StateError
from clawstate.sqlite import compaction, open_part

SECRET = "the gate opens at 4417"


def tables(connection):
    connection.execute("CREATE TABLE notes (note TEXT NOT NULL) STRICT")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes.db"


@pytest.fixture
def part(path):
    part = open_part(path, "notes", (tables,), lock_timeout=1.0)
    put(part, *(f"note {number} " + 300 * "x" for number in range(3000)), SECRET)
    with part.writing() as connection:
        connection.execute("DELETE FROM notes WHERE note = ?", (SECRET,))
    yield part
    part.close()


@pytest.fixture
def other(path, part):
    """Open the same file as another program would."""
    other = open_part(path, "notes", (tables,), lock_timeout=1.0)
    yield other
    other.close()


def put(part, *notes):
    with part.writing() as connection:
        connection.executemany("INSERT INTO notes VALUES (?)", ((note,) for note in notes))


def count(part):
    return part.rows("SELECT count(*) FROM notes")[0][0]


def holds(path, secret):
    files = [path, *path.parent.glob(path.name + "-*")]
    return [each.name for each in files if secret.encode() in each.read_bytes()]


@pytest.fixture(params=["small", "large"])
def copied(request, monkeypatch):
    """Copy within the writer lock, as a small file is, or outside of it."""
    if request.param == "large":
        monkeypatch.setattr(compaction, "_SMALL", 0)


def test_nothing_is_left_of_what_was_deleted(part, path, copied) -> None:
    """Neither the file nor its log holds a deleted value, and the others are there."""
    assert holds(path, SECRET)

    assert compaction.rewrite(part, patience=0.0)
    assert compaction.empty_log(part, patience=0.0)

    assert holds(path, SECRET) == []
    assert count(part) == 3000
    assert part.rows("PRAGMA integrity_check") == [("ok",)]
    assert part.rows("PRAGMA journal_mode") == [("wal",)]


def test_writers_go_on_while_a_copy_is_made(part, other, monkeypatch) -> None:
    """What another program writes meanwhile is written at once, and is there afterwards."""
    monkeypatch.setattr(compaction, "_SMALL", 0)
    monkeypatch.setattr(compaction, "_LOOK", 100)
    written = []

    def write():
        if len(written) < 3:
            written.append(f"new {len(written)}")
            put(other, written[-1])
        return False

    assert compaction.rewrite(part, patience=60.0, cancelled=write)

    notes = {row[0] for row in other.rows("SELECT note FROM notes")}
    assert notes >= {"new 0", "new 1", "new 2"}
    assert count(part) == 3003


def test_who_always_writes_is_told_of(part, other, path, monkeypatch) -> None:
    """Where others never leave time for a copy it is given up, and nothing is lost."""
    monkeypatch.setattr(compaction, "_SMALL", 0)
    monkeypatch.setattr(compaction, "_LOOK", 1000)
    written = []

    def write():
        put(other, f"new {len(written)}")
        written.append(1)
        return False

    assert not compaction.rewrite(part, patience=0.0, cancelled=write)

    assert written
    assert count(part) == 3000 + len(written)


def test_a_reader_of_an_older_state_reads_on(part, other, copied) -> None:
    """Who reads since before sees its own state to the end, and the next the new one."""
    with other.reading() as connection:
        assert connection.execute("SELECT count(*) FROM notes").get == 3000
        put(part, "newer")

        assert compaction.rewrite(part, patience=0.0)

        assert connection.execute("SELECT count(*) FROM notes").get == 3000
    assert count(other) == 3001


def test_a_program_that_knows_no_lock_of_ours_loses_nothing(part, path, monkeypatch) -> None:
    """A write by SQLite alone, between the copy and its putting back, is kept."""
    monkeypatch.setattr(compaction, "_SMALL", 0)
    make = compaction._Copy.make

    def made(copy, cancelled):
        done = make(copy, cancelled)
        foreign = apsw.Connection(str(path))
        foreign.execute("INSERT INTO notes VALUES ('from elsewhere')")
        foreign.close()
        return done

    monkeypatch.setattr(compaction._Copy, "make", made)

    assert not compaction.rewrite(part, patience=0.0)

    assert count(part) == 3001


def test_who_commits_next_is_on_disk(part, path, copied) -> None:
    """Connections that write afterwards sync as before: nothing was set on them."""
    assert compaction.rewrite(part, patience=0.0)

    with part.writing() as connection:
        assert connection.pragma("wal_autocheckpoint") == 1000
        connection.execute("COMMIT")
        assert connection.pragma("synchronous") == 2
        connection.execute("BEGIN")


def test_a_copy_may_be_larger_than_sqlite_keeps_by_itself(part, monkeypatch) -> None:
    """The limit of what SQLite keeps in memory is ours: a copy of many GB is no error."""
    monkeypatch.setattr(compaction, "_LARGEST", 1 << 16)

    with pytest.raises(StateError, match="full"):
        compaction.rewrite(part, patience=0.0)

    assert count(part) == 3000
