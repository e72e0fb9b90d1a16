"""Transcripts: what appending, paging and searching cost as a session grows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import apsw

import clawstate
from clawstate.stores.transcripts import Transcripts
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "Transcripts, as a session grows"
ROUNDS, CALLS, PAGE, QUERIES = 60, 2, 50, 40
TARGET = 1.5
SESSION = "grown"

APPEND, TURN = "append", "append a turn of 4"
FIRST, MIDDLE, LAST = f"first {PAGE}", f"{PAGE} in the middle", f"last {PAGE}"
BARE = "bare INSERT and COMMIT"
JSONL, JSONL_LAST = "JSON Lines: append, fsync", f"JSON Lines: parse all, last {PAGE}"


def measure(bench: Workbench) -> Figures:
    """Return the times of calls by how many messages the session has."""
    least, most = min(bench.sizes), max(bench.sizes)
    texts = bench.texts(most)
    states = {
        size: _filled(bench.scratch / f"transcripts-{size}", texts, size) for size in (least, most)
    }
    stores = {size: state.transcripts for size, state in states.items()}
    plain = _plain(bench.scratch / "plain-messages.db", texts, most)
    lines = _jsonl(bench.scratch / "transcript.jsonl", texts, most)
    figures = {
        "most": most,
        "least": least,
        "appends": _appends(stores, plain, lines, texts, least, most),
        "pages": _pages(stores, lines, least, most),
        "search": _searches(stores[most], texts),
        "bytes": {
            "database": (bench.scratch / f"transcripts-{most}/memory/memory.db").stat().st_size,
            "lines": lines.stat().st_size,
        },
    }
    plain.close()
    for state in states.values():
        state.transcripts.close()
        state.close()
    return figures


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    least, most = result["least"], result["most"]
    for part in ("appends", "pages", "search"):
        yield from table(result[part]["arms"])
    appends, pages = result["appends"], result["pages"]
    yield told(appends["growth"], f"append, {most:,} / {least:,} messages", TARGET)
    yield told(appends["bare"], f"append / {BARE}")
    yield told(appends["jsonl"], f"append / {JSONL}")
    yield told(pages["growth"], f"{LAST}, {most:,} / {least:,} messages", TARGET)
    yield told(pages["middle"], f"{MIDDLE} / {LAST}", TARGET)
    yield told(pages["first"], f"{FIRST} / {LAST}", TARGET)
    yield told(pages["jsonl"], f"{LAST} / {JSONL_LAST}")
    sizes = result["bytes"]
    yield f"  {sizes['database']:,} bytes with words, {sizes['lines']:,} as JSON Lines"


def _filled(root: Path, texts: list[str], size: int) -> clawstate.State:
    state = clawstate.open(root)
    for start in range(0, size, 1_000):
        turn = [_message(texts, number) for number in range(start, min(start + 1_000, size))]
        state.transcripts.append(SESSION, turn)
    _empty_log(state.paths.memory_db)
    return state


def _message(texts: list[str], number: int) -> dict[str, Any]:
    role = "assistant" if number % 2 else "user"
    text = f"{texts[number % len(texts)]} ({number})"
    return {"role": role, "content": [{"type": "text", "text": text}], "timestamp": number}


def _empty_log(path: Path) -> None:
    # A commit into a log that a large one made long is cheaper than one that makes it longer.
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # opens the log
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _appends(  # noqa: PLR0917 - called once
    stores: dict[int, Transcripts],
    plain: apsw.Connection,
    jsonl: Path,
    texts: list[str],
    least: int,
    most: int,
) -> Figures:
    number = count(most)
    few, many = f"{APPEND}, {least:,}", f"{APPEND}, {most:,}"
    turn = f"{TURN}, {most:,}"

    def message(_: object = None) -> dict[str, Any]:
        return _message(texts, next(number))

    arms: dict[str, Arm] = {
        few: lambda _: stores[least].append(SESSION, [message()]),
        many: lambda _: stores[most].append(SESSION, [message()]),
        turn: lambda _: stores[most].append(SESSION, [message() for _ in range(4)]),
        BARE: lambda _: _bare_insert(plain, message()),
        JSONL: lambda _: _append_line(jsonl, message()),
    }
    figures = turns(arms, range(CALLS), rounds=ROUNDS)
    return {
        "arms": figures,
        "growth": ratio(figures, many, few),
        "bare": ratio(figures, many, BARE),
        "jsonl": ratio(figures, many, JSONL),
    }


def _pages(stores: dict[int, Transcripts], jsonl: Path, least: int, most: int) -> Figures:
    store = stores[most]
    ids = [message.id for message in store.messages(SESSION)]
    middle, early = ids[len(ids) // 2], ids[PAGE]
    few, many = f"{LAST}, {least:,}", f"{LAST}, {most:,}"
    arms: dict[str, Arm] = {
        few: lambda _: stores[least].messages(SESSION, limit=PAGE),
        many: lambda _: store.messages(SESSION, limit=PAGE),
        MIDDLE: lambda _: store.messages(SESSION, limit=PAGE, before=middle),
        FIRST: lambda _: store.messages(SESSION, limit=PAGE, before=early),
    }
    figures = turns(arms, range(10), rounds=ROUNDS)
    slow: dict[str, Arm] = {
        many: arms[many],
        JSONL_LAST: lambda _: [json.loads(line) for line in jsonl.read_bytes().splitlines()][
            -PAGE:
        ],
    }
    parsed = turns(slow, range(1), rounds=5)
    return {
        "arms": {**figures, JSONL_LAST: parsed[JSONL_LAST]},
        "growth": ratio(figures, many, few),
        "middle": ratio(figures, MIDDLE, many),
        "first": ratio(figures, FIRST, many),
        "jsonl": ratio(parsed, many, JSONL_LAST),
    }


def _searches(store: Transcripts, texts: list[str]) -> Figures:
    words = [text.split() for text in texts if len(text.split()) > 12]
    queries = [" ".join(each[2:5]) for each in words[:QUERIES]]
    questions = [" ".join(each[2:12]) + " whatever" for each in words[:QUERIES]]
    arms: dict[str, Arm] = {
        "search, 3 words": lambda _: [store.search(each) for each in queries],
        "search, 11 words, not all in one": lambda _: [store.search(each) for each in questions],
        "search, 3 words, one session": lambda _: [store.search(each, SESSION) for each in queries],
    }
    figures = turns(arms, range(1), rounds=3)
    return {"arms": {name: _each(figure) for name, figure in figures.items()}}


def _each(figure: Figures) -> Figures:
    names = ("median", "low", "high", "processor")
    return {name: round(figure[name] / QUERIES, 2) for name in names}


def _plain(path: Path, texts: list[str], size: int) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.execute("CREATE TABLE m (n INTEGER PRIMARY KEY, session TEXT, entry TEXT)")
    with connection:
        connection.executemany(
            "INSERT INTO m (session, entry) VALUES (?, ?)",
            ((SESSION, json.dumps(_message(texts, number))) for number in range(size)),
        )
    _empty_log(path)
    return connection


def _bare_insert(plain: apsw.Connection, message: dict[str, Any]) -> None:
    plain.execute("BEGIN IMMEDIATE")
    plain.execute("INSERT INTO m (session, entry) VALUES (?, ?)", (SESSION, json.dumps(message)))
    plain.execute("COMMIT")


def _jsonl(path: Path, texts: list[str], size: int) -> Path:
    with path.open("w") as out:
        out.writelines(json.dumps(_message(texts, number)) + "\n" for number in range(size))
    return path


def _append_line(path: Path, message: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.write(descriptor, (json.dumps(message) + "\n").encode())
    os.fsync(descriptor)
    os.close(descriptor)
