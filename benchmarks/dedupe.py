"""Marks of what was handled: a key that is remembered, a new one, and many at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import apsw
import cachetools

import clawstate
from clawstate.files.atomic import write_atomic
from clawstate.stores.dedupe import PersistentDedupe
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "Keys that are new once"
MARKS = 1_000
ROUNDS, NEW, HITS, BATCH = 40, 5, 200, 100
MOST_US, LEAST_TIMES = 5, 10

STATE, OWN, CACHE = "remembered, of a state", "remembered, of a file of one's own", "cachetools"
FILE, SQLITE = "new, in a file", "new, in SQLite"
ATOMIC, COMMIT = "bare durable write of such a file", "bare INSERT and COMMIT"
FILE_MANY, SQLITE_MANY = f"{BATCH} new at once, in a file", f"{BATCH} new at once, in SQLite"
FILE_MET, SQLITE_MET = "met before, in a file", "met before, in SQLite"


def measure(bench: Workbench) -> Figures:
    """Return the times of checks that memory answers, of new keys, and of many at once."""
    root = bench.scratch / "dedupe"
    with (
        clawstate.open(root / "file", store="file") as files,
        clawstate.open(root / "sqlite", store="sqlite") as rows,
        closing(_plain(root / "plain.db")) as plain,
    ):
        stores = files.dedupe, rows.dedupe
        for store in stores:
            store.check_many([_key(number) for number in range(MARKS)])
        return {
            "hits": _hits(files.dedupe, root),
            "new": _new(*stores, plain, root),
            "many": _many(*stores),
            "met": _met(*stores),
        }


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    hits, new = result["hits"], result["new"]
    yield "A key that this process met already"
    yield from table(hits["arms"])
    yield f"  {STATE} takes {hits['arms'][STATE]['median']:.1f} us, target at most {MOST_US}"
    yield told(hits["ratio"], f"{STATE} / {CACHE}")
    yield f"A new key, {MARKS:,} marks before it"
    yield from table(new["arms"])
    yield told(new["engines"], f"{FILE} / {SQLITE}")
    yield f"  target at least {LEAST_TIMES}"
    yield told(new["file"], f"{FILE} / {ATOMIC}")
    yield told(new["sqlite"], f"{SQLITE} / {COMMIT}")
    yield f"{BATCH} new keys with check_many, {MARKS:,} marks before them"
    yield from table(result["many"]["arms"])
    yield "A key that another process met"
    yield from table(result["met"]["arms"])


def _hits(state: PersistentDedupe, root: Path) -> Figures:
    own = PersistentDedupe.in_files(lambda name: root / "own" / f"{name}.json")
    cache: cachetools.TTLCache[str, bool] = cachetools.TTLCache(100, 86_400)
    guard = threading.RLock()
    for store in (state, own):
        store.check_and_record("remembered")
    cache["remembered"] = True
    time.sleep(0.1)  # until the configuration is past doubt

    def get(key: str) -> bool:
        with guard:
            return cache[key]

    arms: dict[str, Arm] = {
        STATE: state.check_and_record,
        OWN: own.check_and_record,
        CACHE: get,
    }
    figures = turns(arms, ["remembered"] * HITS, rounds=ROUNDS)
    return {"arms": figures, "ratio": ratio(figures, STATE, CACHE)}


def _new(
    files: PersistentDedupe, rows: PersistentDedupe, plain: apsw.Connection, root: Path
) -> Figures:
    numbers = count(MARKS)
    text = json.dumps({_key(number): 1_800_000_000_000 for number in range(MARKS)}, indent=2)
    data = text.encode()
    arms: dict[str, Arm] = {
        FILE: lambda _: files.check_and_record(_key(next(numbers))),
        SQLITE: lambda _: rows.check_and_record(_key(next(numbers))),
        ATOMIC: lambda _: write_atomic(root / "plain.json", data),
        COMMIT: lambda _: _insert(plain, _key(next(numbers))),
    }
    figures = turns(arms, range(NEW), rounds=ROUNDS)
    return {
        "arms": figures,
        "engines": ratio(figures, FILE, SQLITE),
        "file": ratio(figures, FILE, ATOMIC),
        "sqlite": ratio(figures, SQLITE, COMMIT),
    }


def _many(files: PersistentDedupe, rows: PersistentDedupe) -> Figures:
    numbers = count(1_000_000)

    def batch() -> list[str]:
        return [_key(next(numbers)) for _ in range(BATCH)]

    arms: dict[str, Arm] = {
        FILE_MANY: lambda _: files.check_many(batch()),
        SQLITE_MANY: lambda _: rows.check_many(batch()),
    }
    return {"arms": turns(arms, range(1), rounds=ROUNDS // 2)}


def _met(files: PersistentDedupe, rows: PersistentDedupe) -> Figures:
    names = [f"met {number}" for number in range(HITS)]

    def again(store: PersistentDedupe) -> Arm:
        store.check_many(names)

        def check(name: str) -> None:
            store.clear_memory()
            store.check_and_record(name)

        return check

    arms: dict[str, Arm] = {FILE_MET: again(files), SQLITE_MET: again(rows)}
    return {"arms": turns(arms, names[:50], rounds=ROUNDS // 4)}


def _key(number: int) -> str:
    return f"telegram:message:{number:08}"


def _plain(path: Path) -> apsw.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.execute("CREATE TABLE m (key TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID")
    return connection


def _insert(plain: apsw.Connection, key: str) -> None:
    plain.execute("BEGIN IMMEDIATE")
    plain.execute("INSERT OR IGNORE INTO m VALUES (?, ?)", (key, 1_800_000_000_000))
    plain.execute("COMMIT")
