"""What an upgrade of a database leaves behind it, and how it is taken back."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import apsw
import pytest

import clawstate
from clawstate.errors import CorruptError, UnavailableError
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.sqlite import Database
from clawstate.sqlite.salvage import UPGRADED as FOLDER
from clawstate.sqlite.upgrades import kept_formats

FIXTURES = Path(__file__).parents[1] / "memory"
FORMATS = sorted(int(each.name.split("_")[1].split(".")[0]) for each in FIXTURES.glob("format_*"))
OLDER = [each for each in FORMATS if each < len(MIGRATIONS)]


def put(root: Path, number: int) -> Path:
    path = root / "memory" / "memory.db"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(gzip.decompress((FIXTURES / f"format_{number}.db.gz").read_bytes()))
    return path


def test_there_is_a_state_of_every_format() -> None:
    """Each format that was ever released is tried, as its own release wrote it."""
    assert set(range(1, len(MIGRATIONS))) <= set(FORMATS)


@pytest.mark.parametrize("number", FORMATS)
def test_a_state_of_every_format_opens(tmp_path: Path, number: int) -> None:
    """A state of any release is read and written; what it was is kept, and rows answer the same."""
    path = put(tmp_path, number)
    before = rows_of(path)

    with clawstate.open(tmp_path) as state:
        assert list(state.memory.check(deep=True)) == [] or number == 1
        state.memory.add("Grace takes coffee")
        assert state.memory.search("Grace coffee")[0].record.text == "Grace takes coffee"

    kept = kept_formats(path)
    if number < len(MIGRATIONS):
        assert [(each.part, each.old, each.new) for each in kept] == [
            (PART, number, len(MIGRATIONS))
        ]
        assert kept[0].asked >= 7
        assert rows_of(kept[0].path) == before
        assert kept[0].path.stat().st_mode & 0o777 == 0o600
    else:
        assert not (path.parent / FOLDER).exists()


def rows_of(path: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.execute("SELECT id, content FROM memories ORDER BY docno").fetchall()
    connection.close()
    return found


def test_a_migration_that_changes_an_answer_is_taken_back(tmp_path: Path) -> None:
    """Where a row says something else after a migration, the database stays as it was."""
    path = tmp_path / "some.db"
    make = "CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)"
    with Database(path).part("notes", [lambda c: c.execute(make)]).writing() as connection:
        connection.execute("INSERT INTO notes VALUES (1, 'tea'), (2, 'coffee')")

    def spoil(connection: apsw.Connection) -> None:
        connection.execute("UPDATE notes SET text = 'gone' WHERE number = 2")

    newer = Database(path).part("notes", [lambda c: c.execute(make), spoil])
    with pytest.raises(CorruptError, match="answers otherwise"), newer.writing():
        pass

    old = Database(path).part("notes", [lambda c: c.execute(make)])
    assert old.rows("SELECT text FROM notes") == [("tea",), ("coffee",)]
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_without_room_nothing_is_upgraded(tmp_path: Path, monkeypatch) -> None:
    """Where the copy does not fit, the upgrade is refused, and says how much it takes."""
    path = put(tmp_path, OLDER[0])
    before = path.read_bytes()
    small = os.statvfs_result((4096, 4096, 100, 1, 1, 10, 10, 10, 0, 255))
    monkeypatch.setattr("shutil.os.statvfs", lambda _: small)

    with clawstate.open(tmp_path) as state, pytest.raises(UnavailableError):
        state.memory.search("tea")

    assert rows_of(path)
    assert before[:100] == path.read_bytes()[:100]


def test_an_upgrade_is_taken_back(tmp_path: Path) -> None:
    """The database is as it was before, what came since is told, exported and kept."""
    path = put(tmp_path, OLDER[-1])
    before = rows_of(path)
    with clawstate.open(tmp_path) as state:
        state.memory.add_many([{"id": "coffee", "text": "Grace takes coffee", "tags": ["drinks"]}])
        (kept,) = state.records.upgrades()
        since = {each.table: each for each in state.records.written_since(kept)}
        lines = state.records.lines_since(kept)
        aside = state.records.roll_back(kept)

    assert (since["memories"].added, since["memories"].removed) == (1, 0)
    assert [(each["id"], each["text"], each["tags"]) for each in lines] == [
        ("coffee", "Grace takes coffee", ["drinks"])
    ]
    assert rows_of(path) == before
    assert len(rows_of(aside)) == len(before) + 1


def test_a_receipt_names_the_copy_from_before(tmp_path: Path) -> None:
    """While the copy from before an upgrade is there, no receipt says that all bytes are gone."""
    put(tmp_path, OLDER[-1])

    with clawstate.open(tmp_path) as state:
        record = state.memory.records()[0]
        receipt = state.memory.forget([record.id])

    assert not receipt.gone
    assert FOLDER in str(receipt.waits_for)
