"""The storage of a Matrix client: its verbs against the least that a durable write can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import apsw

import bare
import clawstate
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "The storage of a Matrix client"
VALUES = 10_000
ROUNDS, CALLS = 120, 2
COUNTED = 200  # calls whose bytes are counted
TARGET = 1.3
LOGIN = {"homeserver": "https://h.org", "user_id": "@bot:h.org", "access_token": "token"}

TOKEN, BARE = "set_sync_token, file", "bare system calls + json"
ROW, BARE_ROW = "store_value of 10,000, rows", "bare transaction of one row"


def measure(bench: Workbench) -> Figures:
    """Return the times of a new sync token in a file, and of one of many values in rows."""
    with (
        clawstate.open(bench.scratch / "files", store="file") as files,
        clawstate.open(bench.scratch / "rows", store="sqlite") as rows,
    ):
        token, row = files.matrix(**LOGIN), rows.matrix(**LOGIN).storage
        token.storage.set_sync_token("s0")
        many = {f"value/{n}": "x" * 100 for n in range(VALUES)}
        row._records.change_all(lambda _: (many, None))  # noqa: SLF001 - at once
        text = str(bench.scratch / "bare.json")
        bare.replace(text, token.storage_path.read_bytes())
        # Of their own: what is equal to what is there is not written.
        number = count(1)
        arms: dict[str, Arm] = {
            TOKEN: lambda _: token.storage.set_sync_token(f"s{next(number)}"),
            BARE: lambda _: bare.update(text, lambda old: _changed(old, next(number))),
            ROW: lambda _: row.store_value(*_value(next(number))),
            BARE_ROW: _bare_row(str(bench.scratch / "bare.db"), number),
        }
        found = turns(arms, range(CALLS), rounds=ROUNDS)
        written = {name: _bytes_of(arm) for name, arm in arms.items()}
    ratios = {
        f"{TOKEN} / {BARE}": ratio(found, TOKEN, BARE),
        f"{ROW} / {BARE_ROW}": ratio(found, ROW, BARE_ROW),
    }
    return {"arms": found, "ratios": ratios, "bytes": written}


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    yield from table(result["arms"])
    for name, each in result["ratios"].items():
        yield told(each, name, TARGET)
    for name, number in result["bytes"].items():
        yield f"  {name}: {number:,} bytes written for a call"


def _bytes_of(arm: Arm) -> int:
    """Return how many bytes a call of *arm* writes, the mean of many."""
    before = _written()
    for _ in range(COUNTED):
        arm(None)
    return (_written() - before) // COUNTED


def _written() -> int:
    found = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(found["wchar"])


def _changed(old: bytes, number: int) -> bytes:
    return json.dumps({**json.loads(old), "syncToken": f"s{number}"}, indent=2).encode()


def _value(number: int) -> tuple[str, str]:
    return str(number % VALUES), f"{number}" * 20


def _bare_row(path: str, number: Iterator[int]) -> Arm:
    connection = apsw.Connection(path)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT)")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO kept VALUES (?, ?)", ((str(n), "x" * 100) for n in range(VALUES))
    )
    connection.execute("COMMIT")

    def change(_: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        row = _value(next(number))[::-1]
        connection.execute("UPDATE kept SET value = ? WHERE name = ?", row)
        connection.execute("COMMIT")

    return change
