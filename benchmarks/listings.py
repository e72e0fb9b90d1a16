"""Listings: the newest 50 of many, the first page and the 1,000th, beside raw SQL on one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw

import clawstate
from clawstate.paging import Page
from clawstate.state import State
from clawstate.stores.devices import DEVICES
from sessions import MEMBERS
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "Listings: the newest 50"
ROUNDS, CALLS = 30, 5
PAGE, DEEP = 50, 1_000  # items of a page, and which page is the deep one
FILES = 5_000
TARGET_MS = 5.0
FIRST, LATER = "first page", "page 1,000"
SQL, OFFSET = "raw SQL", "raw SQL, OFFSET"

Lister = Callable[[int, "str | None"], Page[Any]]


def measure(bench: Workbench) -> Figures:
    """Return the times of pages of each store on SQLite, of sessions in a file, and of raw SQL."""
    size = max(bench.sizes)
    with clawstate.open(bench.scratch / "listings", store="sqlite") as state:
        _fill(state, size)
        rival = _rival(bench.scratch / "rival.db", size)
        with clawstate.open(bench.state(size).root) as remembered:
            listers: dict[str, Lister] = {
                "sessions": state.sessions.page,
                "devices": state.devices.page,
                "transcripts": state.transcripts.page,
                "messages": lambda limit, after: state.transcripts.message_page("s", limit, after),
                "memory": remembered.memory.page,
            }
            sqlite = _taken(listers, rival, size)
        rival.close()
    with clawstate.open(bench.scratch / "listed-files", store="file") as state:
        _fill_sessions(state, min(FILES, size))
        files = _taken({"sessions": state.sessions.page}, None, min(FILES, size))
    return {
        "size": size,
        "files_size": min(FILES, size),
        "sqlite": sqlite,
        "file": files,
        "ratios": {
            f"{name}, {page}": ratio(sqlite, f"{name}, {page}", f"{SQL}, {page}")
            for name in listers
            for page in (FIRST, LATER)
        },
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    for engine, size in (("sqlite", result["size"]), ("file", result["files_size"])):
        yield f"{engine}, {PAGE} of {size:,}"
        yield from table(result[engine])
    for what, each in result["ratios"].items():
        yield told(each, f"{what}, to {SQL}")
    ours = (each["median"] for name, each in result["sqlite"].items() if SQL not in name)
    slowest = max(ours) / 1e3
    yield f"  the slowest of ours takes {slowest:.2f} ms (target at most {TARGET_MS:g} ms)"


def _taken(
    listers: dict[str, Lister], rival: apsw.Connection | None, size: int
) -> dict[str, Figures]:
    behind = min(DEEP * PAGE, size // 2)
    arms: dict[str, Arm] = {}
    for name, page in listers.items():
        after = page(behind, None).after
        arms[f"{name}, {FIRST}"] = lambda _, page=page: page(PAGE, None)
        arms[f"{name}, {LATER}"] = lambda _, page=page, after=after: page(PAGE, after)
    if rival is not None:
        at = size - behind
        arms[f"{SQL}, {FIRST}"] = lambda _: _read(rival, "ORDER BY at DESC LIMIT ?", (PAGE,))
        later = "WHERE at < ? ORDER BY at DESC LIMIT ?"
        arms[f"{SQL}, {LATER}"] = lambda _: _read(rival, later, (at, PAGE))
        far = "ORDER BY at DESC LIMIT ? OFFSET ?"
        arms[f"{OFFSET}, {LATER}"] = lambda _: _read(rival, far, (PAGE, behind))
    return turns(arms, range(CALLS), rounds=ROUNDS)


def _read(rival: apsw.Connection, rest: str, bound: tuple[int, ...]) -> list[Any]:
    return [json.loads(body) for (body,) in rival.execute(f"SELECT body FROM items {rest}", bound)]


def _rival(path: Path, size: int) -> apsw.Connection:
    """Return a table as a program of its own would have it: a number with an index, and JSON."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE items (id TEXT PRIMARY KEY, at INTEGER, body TEXT)")
    connection.execute("CREATE INDEX items_at ON items (at)")
    rows = ((key, number, json.dumps(entry)) for number, (key, entry) in enumerate(_sessions(size)))
    with connection:
        connection.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
    return connection


def _sessions(size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(size):
        key = f"agent:main:telegram:direct:{number}"
        own = {"sessionId": f"s-{number}", "updatedAt": 1_770_000_000_000 + number}
        yield key, {**own, **MEMBERS}


def _fill_sessions(state: State, size: int) -> None:
    made = dict(_sessions(size))
    state.sessions.merge(made)


def _fill(state: State, size: int) -> None:
    _fill_sessions(state, size)
    devices = {f"d{number}": _device(number) for number in range(size)}
    state.collection(DEVICES).change_all(lambda _: (devices, None))
    said = [{"role": "user", "content": f"message {number}"} for number in range(size)]
    for start in range(0, size, 10_000):
        state.transcripts.append("s", said[start : start + 10_000])
    # A transcript for each session, made at once: one by one would be a wait for the disk each.
    connection = apsw.Connection(str(state.paths.memory_db))
    rows = ((f"t-{number}", 1_770_000_000_000 + number) for number in range(size))
    with connection:
        connection.executemany(
            "INSERT INTO transcripts (session_id, header, created_at, updated_at)"
            " VALUES (?1, '{}', ?2, ?2)",
            rows,
        )
    connection.close()


def _device(number: int) -> dict[str, Any]:
    at = 1_770_000_000_000 + number
    token = {"hash": "0" * 64, "scopes": ["operator.read"], "createdAtMs": at}
    return {
        "deviceId": f"d{number}",
        "userId": "ada",
        "scopes": ["operator.read"],
        "approvedScopes": ["operator.read"],
        "tokens": {"operator": token},
        "createdAtMs": at,
        "approvedAtMs": at,
    }
