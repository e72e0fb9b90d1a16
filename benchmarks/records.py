"""Records: what an engine's calls cost as a collection grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

import apsw

import bare
from clawstate.records.json_files import JsonFileCollection, JsonFilesBackend
from clawstate.records.sqlite import SqliteBackend, SqliteCollection
from devices import SECTION, SHAPE, SMALL, device, fill, key, used
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "Records, as a collection grows"
ROUNDS, CALLS = 60, 2
READS = 20
PAGE = 50
MOST_JSON = 10_000
TARGET = 1.5

UPDATE, GET, SCAN, COUNT = "update", "get", f"scan, page of {PAGE}", "count"
BARE_UPDATE, BARE_GET = "bare UPDATE and COMMIT", "bare SELECT and json"
WARM, COLD, BARE = "update", "update, file read anew", "bare system calls + json"


def measure(bench: Workbench) -> Figures:
    """Return the times of calls of both engines, by how many records there are."""
    least, most = min(bench.sizes), max(bench.sizes)
    files = [SMALL, *(size for size in bench.sizes if size <= MOST_JSON)]
    return {
        "sqlite": _sqlite(bench.scratch, least, most),
        "json": {size: _json(bench.scratch / f"json-{size}", size) for size in files},
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    sqlite = result["sqlite"]
    for size, figures in sqlite["sizes"].items():
        yield f"SQLite, {int(size):,} records"
        yield from table(figures)
    sizes = " / ".join(f"{int(size):,}" for size in reversed(sqlite["sizes"]))
    for call, each in sqlite["growth"].items():
        yield told(each, f"{call}, {sizes} records", TARGET if call == UPDATE else None)
    for call, each in sqlite["bare"].items():
        yield told(each, call)
    for size, found in result["json"].items():
        yield f"JSON file, {int(size):,} records, {found['bytes']:,} bytes"
        yield from table(found["arms"])
        yield told(found["ratio"], f"{WARM} / {BARE}")


def _sqlite(scratch: Path, least: int, most: int) -> Figures:
    backends = {size: SqliteBackend(scratch / f"records-{size}.db") for size in (least, most)}
    collections = {size: backend.collection(SHAPE) for size, backend in backends.items()}
    for size, collection in collections.items():
        fill(collection, size)
        _empty_log(scratch / f"records-{size}.db")
    with closing(_plain(scratch / "plain.db", most)) as plain:
        _empty_log(scratch / "plain.db")
        figures = _turns(collections, plain)
    for backend in backends.values():
        backend.close()
    pairs = {
        f"update / {BARE_UPDATE}": ((UPDATE, most), (BARE_UPDATE, most)),
        f"get / {BARE_GET}": ((GET, most), (BARE_GET, most)),
    }
    return {
        "sizes": {
            size: {call: each for (call, of), each in figures.items() if of == size}
            for size in (least, most)
        },
        "growth": {
            call: _ratio(figures, (call, most), (call, least))
            for call in (UPDATE, GET, SCAN, COUNT)
        },
        "bare": {name: _ratio(figures, *pair) for name, pair in pairs.items()},
    }


def _empty_log(path: Path) -> None:
    # A commit into a log that a large one made long is cheaper than one that makes it longer.
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # opens the log
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


Which = tuple[str, int]


def _turns(
    collections: dict[int, SqliteCollection], plain: apsw.Connection
) -> dict[Which, Figures]:
    writes: dict[Which, Arm] = {}
    reads: dict[Which, Arm] = {}
    counts: dict[Which, Arm] = {}
    for size, collection in collections.items():
        update, get, scan, count = _calls(collection, cycle(_spread(size)))
        writes[UPDATE, size] = update
        reads[GET, size] = get
        reads[SCAN, size] = scan
        counts[COUNT, size] = count
    size = max(collections)
    names = cycle(_spread(size))
    writes[BARE_UPDATE, size] = lambda _: _bare_update(plain, next(names))
    reads[BARE_GET, size] = lambda _: _bare_get(plain, next(names))
    return {
        **_taken(writes, CALLS, ROUNDS),
        **_taken(reads, READS, ROUNDS),
        **_taken(counts, 1, ROUNDS // 2),
    }


def _calls(collection: SqliteCollection, names: Iterator[str]) -> tuple[Arm, ...]:
    return (
        lambda _: collection.update(next(names), used),
        lambda _: collection.get(next(names)),
        lambda _: list(collection.scan(after=next(names), limit=PAGE)),
        lambda _: collection.count(),
    )


def _taken(arms: dict[Which, Arm], calls: int, rounds: int) -> dict[Which, Figures]:
    named = {f"{call} {size}": arm for (call, size), arm in arms.items()}
    figures = turns(named, range(calls), rounds=rounds)
    return {(call, size): figures[f"{call} {size}"] for call, size in arms}


def _ratio(figures: dict[Which, Figures], ours: Which, rival: Which) -> Figures:
    return ratio({"ours": figures[ours], "rival": figures[rival]}, "ours", "rival")


def _spread(size: int) -> list[str]:
    # Far apart, so that a large collection does not profit from a few pages that are at hand.
    return [key(number * 7919 % size) for number in range(min(size, 2_000))]


def _plain(path: Path, size: int) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.execute("CREATE TABLE r (id TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID")
    with connection:
        connection.executemany(
            "INSERT INTO r VALUES (?, ?)",
            ((key(number), json.dumps(device(number))) for number in range(size)),
        )
    return connection


def _bare_update(plain: apsw.Connection, name: str) -> None:
    plain.execute("BEGIN IMMEDIATE")
    text = json.dumps(used(_bare_get(plain, name)))
    plain.execute("UPDATE r SET body = ? WHERE id = ?", (text, name))
    plain.execute("COMMIT")


def _bare_get(plain: apsw.Connection, name: str) -> object:
    return json.loads(plain.execute("SELECT body FROM r WHERE id = ?", (name,)).get)


def _json(root: Path, size: int) -> Figures:
    warm, cold, fast = (root / name for name in ("warm", "cold", "bare"))  # a folder each
    for folder in (warm, cold, fast):
        fill(_collection(folder), size)
    collection, path = _collection(warm), str(fast / SHAPE.path)
    names = cycle(_spread(size))
    arms: dict[str, Arm] = {
        WARM: lambda _: collection.update(next(names), used),
        COLD: lambda _: _collection(cold).update(next(names), used),
        BARE: lambda _: bare.update(path, lambda old: _changed(old, next(names))),
    }
    figures = turns(arms, range(CALLS), rounds=max(10, ROUNDS // (1 + size // 500)))
    return {
        "bytes": (warm / SHAPE.path).stat().st_size,
        "arms": figures,
        "ratio": ratio(figures, WARM, BARE),
    }


def _collection(root: Path) -> JsonFileCollection:
    return JsonFilesBackend(root).collection(SHAPE)


def _changed(old: bytes, name: str) -> bytes:
    document = json.loads(old)
    document[SECTION][name] = used(document[SECTION][name])
    return json.dumps(document, indent=2).encode()
