"""What is read of a database by its pages is what SQLite reads of it."""

from __future__ import annotations

import math
import random
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from clawstate.sqlite.page_file import PageFile
from clawstate.sqlite.page_tables import PageTables, shape, values_of

TABLES = """
CREATE TABLE numbered (
    number INTEGER PRIMARY KEY, text TEXT NOT NULL, score REAL, data BLOB
) STRICT;
CREATE INDEX numbered_text ON numbered (text);
CREATE TABLE keyed (
    one TEXT NOT NULL, value INTEGER NOT NULL, other TEXT NOT NULL, PRIMARY KEY (other, one)
) STRICT, WITHOUT ROWID;
"""


def fill(path: Path, size: int, seed: int) -> None:
    drawn = random.Random(seed)
    texts = ("", "short", "ümläut und 漢字 ", "long " * 400, "x" * 9000)
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("page_size", size)
        connection.execute(TABLES)
        with connection:
            for _ in range(400):
                number = drawn.choice([drawn.randint(-(1 << 62), 1 << 62), drawn.randint(-9, 9999)])
                score = drawn.choice([None, 0.0, -1.5, 3.0, math.pi, 1e300])
                data = drawn.choice([None, b"", drawn.randbytes(drawn.randint(0, 3 * size))])
                row = number, drawn.choice(texts), score, data
                connection.execute("INSERT OR IGNORE INTO numbered VALUES (?, ?, ?, ?)", row)
                row = f"k{drawn.random()}", drawn.randint(-300, 300), drawn.choice(texts)
                connection.execute("INSERT INTO keyed VALUES (?, ?, ?)", row)
            # Rows from before a column was added have one value less.
            connection.execute("ALTER TABLE numbered ADD COLUMN kind TEXT NOT NULL DEFAULT 'none'")
            connection.execute("INSERT INTO numbered VALUES (123456, 'new', 1, x'00', 'some')")


def by_sql(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(apsw.Connection(str(path))) as connection:
        return {
            each: sorted(
                connection.execute(f"SELECT * FROM {each}").fetchall(), key=lambda row: row[:1]
            )
            for each in ("numbered", "keyed")
        }


def by_pages(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(apsw.Connection(":memory:")) as made, PageFile(path) as file:
        made.execute(TABLES)
        made.execute("ALTER TABLE numbered ADD COLUMN kind TEXT NOT NULL DEFAULT 'none'")
        tables = PageTables(file)
        tables.assign(made)
        found = {}
        for name in ("numbered", "keyed"):
            order = [row[1] for row in made.execute(f"PRAGMA table_info({name})")]
            rows = [
                {"kind": "none"} | dict(zip(names, row, strict=True))
                for names, row in tables.rows(name, shape(made, name))
            ]
            listed = (tuple(row[each] for each in order) for row in rows)
            found[name] = sorted(listed, key=lambda row: row[:1])
        return found


def lose(path: Path, begin: int, end: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(bytes(end - begin))


@pytest.mark.parametrize("size", [512, 1024, 4096, 65_536])
@pytest.mark.parametrize("lost", ["nothing", "header", "list"])
def test_rows_are_those_that_sqlite_reads(tmp_path: Path, size: int, lost: str) -> None:
    """Numbers, texts, bytes, long values, keys and added columns are read as SQLite reads them."""
    path = tmp_path / "one.db"
    fill(path, size, seed=size)
    wanted = by_sql(path)
    if lost != "nothing":
        lose(path, 0, 100 if lost == "header" else size)

    assert by_pages(path) == wanted


def test_the_log_counts_up_to_its_last_whole_transaction(tmp_path: Path) -> None:
    """Pages of the log are read, but none of a transaction that is cut off or damaged."""
    path, copy = tmp_path / "one.db", tmp_path / "two.db"
    fill(path, 4096, seed=1)
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("journal_mode", "wal")
        connection.pragma("wal_autocheckpoint", 0)
        connection.execute("INSERT INTO keyed VALUES ('in the log', 1, 'whole')")
        log = path.with_name("one.db-wal")
        whole = log.stat().st_size
        wanted = by_sql(path)
        connection.execute("INSERT INTO keyed VALUES ('in the log', 2, 'cut off')")
        copy.write_bytes(path.read_bytes())
        damaged = bytearray(log.read_bytes())
        damaged[whole + 24 + 100] ^= 1
        copy.with_name("two.db-wal").write_bytes(damaged)

        assert by_pages(path) == by_sql(path)
    assert by_pages(copy) == wanted


@pytest.mark.parametrize("seed", range(40))
def test_noise_is_no_row(seed: int) -> None:
    """Bytes that are no row raise one of the errors that are told, and nothing else."""
    payload = random.Random(seed).randbytes(40)
    try:
        values_of(payload)
    except (ValueError, IndexError):  # `OddPageError` and `UnicodeDecodeError` are values' errors
        return
