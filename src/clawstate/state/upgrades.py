"""What the databases of a state were before their formats were raised, and bringing that back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from clawstate.clock import from_ms, to_iso
from clawstate.sqlite.errors import sqlite_errors
from clawstate.sqlite.upgrades import KeptFormat, bring_back, kept_formats
from clawstate.state.context import Context
from clawstate.state.pause import databases

_TABLES = {"memories": "id", "messages": "position", "records": "id"}
"""The tables of what people keep, and by what a row is known."""


@dataclass(frozen=True, slots=True)
class WrittenSince:
    """How many rows of a *table* came, changed or went since a copy was made."""

    table: str
    added: int
    changed: int
    removed: int


def upgrades_of(context: Context) -> list[KeptFormat]:
    """Return what is kept from before upgrades, the oldest first."""
    found = [each for path in databases(context) for each in kept_formats(path)]
    return sorted(found, key=lambda each: each.at)


def roll_back(context: Context, kept: KeptFormat) -> Path:
    """Put *kept* back, and return where what was in its place is kept now."""
    part = context.backends.database(kept.database).part(kept.part, ())
    return bring_back(part, kept)


def written_since(kept: KeptFormat) -> list[WrittenSince]:
    """Return what was written since *kept* was copied, by table; nothing is changed."""
    found = []
    with sqlite_errors(kept.database), contextlib.closing(_both(kept)) as connection:
        for table, key in _tables(connection):
            same = " AND ".join(
                f'n."{each}" IS o."{each}"' for each in _columns(connection, table) if each != key
            )
            counts = [
                (
                    f"SELECT count(*) FROM main.{table} WHERE {key} NOT IN"
                    f" (SELECT {key} FROM old.{table})"
                ),
                (
                    f"SELECT count(*) FROM main.{table} n JOIN old.{table} o USING ({key})"
                    f" WHERE NOT ({same})"
                ),
                (
                    f"SELECT count(*) FROM old.{table} WHERE {key} NOT IN"
                    f" (SELECT {key} FROM main.{table})"
                ),
            ]
            added, changed, removed = (int(connection.execute(each).get) for each in counts)
            found.append(WrittenSince(table, added, changed, removed))
    return found


def lines_since(kept: KeptFormat) -> Iterator[dict[str, Any]]:
    """
    Yield what came or changed since *kept* was copied: records as `memory import` takes them.

    Messages are given as entries, each with its session. Other records may be secrets, and are left
    out.
    """
    with sqlite_errors(kept.database), contextlib.closing(_both(kept)) as connection:
        tables = dict(_tables(connection))
        if "memories" in tables:
            yield from _records(connection)
        if "messages" in tables:
            sql = """
                SELECT t.session_id, m.entry FROM main.messages m
                JOIN main.transcripts t ON t.session = m.session
                WHERE m.position NOT IN (SELECT position FROM old.messages) ORDER BY m.position
            """
            for session_id, entry in connection.execute(sql):
                yield {"sessionId": session_id, "entry": json.loads(str(entry))}


def _records(connection: apsw.Connection) -> Iterator[dict[str, Any]]:
    sql = """
        SELECT n.id, n.content, s.namespace, n.source, n.category, n.importance, n.metadata,
            n.timestamp, (SELECT json_group_array(tag) FROM main.tags WHERE memory_id = n.id)
        FROM main.memories n JOIN main.scopes s ON s.scope = n.scope
        LEFT JOIN old.memories o ON o.id = n.id
        WHERE o.id IS NULL OR o.content <> n.content OR o.metadata <> n.metadata ORDER BY n.docno
    """
    for row in connection.execute(sql):
        key, text, namespace, source, category, importance, metadata, made, tags = row
        yield {
            "id": key,
            "text": text,
            "namespace": namespace,
            "tags": json.loads(str(tags)),
            "metadata": json.loads(str(metadata)),
            "category": category,
            "importance": importance,
            "createdAt": to_iso(from_ms(int(str(made)))),
            **({} if source is None else {"source": source}),
        }


def _both(kept: KeptFormat) -> apsw.Connection:
    """Return a connection to the database, with the copy attached as `old`; only to read."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(str(kept.database))}?mode=rw", flags=flags)
    connection.pragma("query_only", 1)
    connection.pragma("temp_store", 2)
    connection.execute("ATTACH ? AS old", (f"file:{quote(str(kept.path))}?mode=ro",))
    return connection


def _tables(connection: apsw.Connection) -> list[tuple[str, str]]:
    sql = (
        "SELECT name FROM main.sqlite_schema WHERE type = 'table'"
        " INTERSECT SELECT name FROM old.sqlite_schema WHERE type = 'table'"
    )
    there = {str(name) for (name,) in connection.execute(sql)}
    return [(name, key) for name, key in _TABLES.items() if name in there]


def _columns(connection: apsw.Connection, table: str) -> list[str]:
    """Return the columns of plain values that *table* has on both sides."""
    sql = """
        SELECT name FROM pragma_table_info(?1, 'main') WHERE type <> 'BLOB' AND name <> 'docno'
        INTERSECT SELECT name FROM pragma_table_info(?1, 'old')
    """
    return [str(name) for (name,) in connection.execute(sql, (table,))]
