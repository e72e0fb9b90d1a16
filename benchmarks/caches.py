"""Caches: a record that is read again, and recent values in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cachetools

from clawstate.caches.ttl import TTLCache
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.sqlite import SqliteBackend
from devices import SECTION, SHAPE, SMALL, device, fill, key
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "What is read again"
ROUNDS = 60
VALUES = 1_000
AGE = 600.0  # seconds
MOST_US, MOST_TIMES = 10, 2

GET, SQLITE, LOADED, PLAIN = (
    "Collection.get, JSON",
    "Collection.get, SQLite",
    "json.load each time",
    "plain dict",
)
OURS, BARE, LOCKED = "clawstate TTLCache", "cachetools, bare", "cachetools in RLock"


def measure(bench: Workbench) -> Figures:
    """Return the times of reading a record again, and of two caches."""
    return {"record": _record(bench.scratch), "get": _hits(), "put": _puts()}


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    record = result["record"]
    yield f"One of {SMALL} records in an unchanged file of {record['bytes']:,} bytes read again"
    yield from table(record["arms"])
    yield f"  {GET} takes {record['arms'][GET]['median']:.1f} us, target at most {MOST_US}"
    yield told(record["ratio"], f"{GET} / {LOADED}")
    for verb in ("get", "put"):
        yield f"{verb} in a cache of {VALUES:,} values" + (", all found" if verb == "get" else "")
        yield from table(result[verb]["arms"])
        yield told(result[verb]["bare"], f"{OURS} / {BARE}", MOST_TIMES)
        yield told(result[verb]["locked"], f"{OURS} / {LOCKED}")


def _record(scratch: Path) -> Figures:
    files = JsonFilesBackend(scratch / "settled")
    rows = SqliteBackend(scratch / "settled.db")
    kept, stored = files.collection(SHAPE), rows.collection(SHAPE)
    for collection in (kept, stored):
        fill(collection, SMALL)
    path = scratch / "settled" / SHAPE.path
    plain = {key(number): device(number) for number in range(SMALL)}

    def load(name: str) -> Any:
        with path.open("rb") as file:
            return json.load(file)[SECTION][name]

    time.sleep(0.1)  # until the time of its last change is past doubt
    arms: dict[str, Arm] = {
        GET: kept.get,
        SQLITE: stored.get,
        LOADED: load,
        PLAIN: plain.__getitem__,
    }
    figures = turns(arms, [key(number) for number in range(SMALL)] * 4, rounds=ROUNDS)
    rows.close()
    return {
        "bytes": path.stat().st_size,
        "arms": figures,
        "ratio": ratio(figures, GET, LOADED),
    }


def _hits() -> Figures:
    keys = [key(number) for number in range(VALUES)]
    ours, bare, locked = _caches()
    for each in keys:
        ours.put(each, each)
        bare[each] = locked[each] = each
    guard = threading.RLock()

    def get(name: str) -> object:
        with guard:
            return locked[name]

    return _compared({OURS: ours.get, BARE: bare.__getitem__, LOCKED: get}, keys)


def _puts() -> Figures:
    # More than there is room for, each twice: one is new and makes another leave, one is known.
    keys = [key(number // 2) for number in range(4 * VALUES)]
    ours, bare, locked = _caches()
    guard = threading.RLock()

    def put(name: str) -> None:
        with guard:
            locked[name] = name

    arms: dict[str, Arm] = {
        OURS: lambda name: ours.put(name, name),
        BARE: lambda name: bare.__setitem__(name, name),
        LOCKED: put,
    }
    return _compared(arms, keys)


def _caches() -> tuple[TTLCache[str, str], Any, Any]:
    return (
        TTLCache(VALUES, AGE),
        cachetools.TTLCache(VALUES, AGE),
        cachetools.TTLCache(VALUES, AGE),
    )


def _compared(arms: dict[str, Arm], keys: list[str]) -> Figures:
    figures = turns(arms, keys, rounds=ROUNDS)
    return {
        "arms": figures,
        "bare": ratio(figures, OURS, BARE),
        "locked": ratio(figures, OURS, LOCKED),
    }
