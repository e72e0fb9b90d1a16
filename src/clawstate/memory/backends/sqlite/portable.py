"""The rows of a memory in SQLite, as other engines give and take them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import apsw

from clawstate.memory.backends.portable import META, TABLES, PortableRow, tags_json
from clawstate.memory.backends.sqlite import subwords, upkeep, word_index, writing

_RECORD = (
    "m.docno, m.id, m.scope, m.content, m.source, m.timestamp, m.updated_at, m.expires_at,"
    " m.category, m.importance, m.thread, m.position, m.metadata, {tags}, m.fields"
)
_TAGS = "(SELECT json_group_array(t.tag) FROM tags t WHERE t.memory_id = m.id)"
_META = ", ".join(f"'{each}'" for each in META)
_READ: Final = {
    "meta": f"SELECT key, value FROM meta WHERE key IN ({_META})",
    "scopes": "SELECT scope, namespace FROM scopes",
    "records": f"SELECT {_RECORD.format(tags=_TAGS)}, content_hash, subwords, embedding"
    " FROM memories m ORDER BY docno",
    "versions": f"SELECT version, {_RECORD.format(tags='m.tags')}, subwords, embedding, began,"
    " ended, ending FROM versions m ORDER BY version",
    "successors": "SELECT id, successor FROM successors",
    "kept_vectors": "SELECT content_hash, embedding, subwords, kept_at FROM embedding_cache",
    "reembedded": "SELECT docno, embedding, subwords FROM reembedded ORDER BY docno",
    "imports": "SELECT import, scope, source, fingerprint, imported_at FROM imports",
    "imported": "SELECT import, memory_id, forgotten, passage, given FROM imported",
    "forgotten": "SELECT scope, digest FROM forgotten",
}
_HELD: Final = {"records": "memories", "kept_vectors": "embedding_cache"}
_COLUMNS: Final = {"created_at": "timestamp"}
_COUNT_SCOPES = """
UPDATE scopes SET records = (SELECT count(*) FROM memories m WHERE m.scope = scopes.scope)
"""


class SqliteMemoryRows:
    """The rows of the memory in the running transaction of *connection*."""

    tables: Mapping[str, tuple[str, ...]] = TABLES

    def __init__(self, connection: apsw.Connection, *, now_ms: int = 0) -> None:
        self._connection = connection
        self._now_ms = now_ms

    def read(self, table: str) -> Iterator[PortableRow]:
        """Give the rows of *table*."""
        rows = self._connection.execute(_READ[table])
        names = TABLES[table]
        if "tags" in names:
            place = names.index("tags")
            for row in rows:
                yield (*row[:place], tags_json(json.loads(str(row[place]))), *row[place + 1 :])
        elif table == "imported":
            for row in rows:
                yield (*row[:2], bool(row[2]), *row[3:])
        else:
            yield from rows

    def count(self, table: str) -> tuple[int, int]:
        """Return how many rows *table* has, and about how many bytes."""
        columns = [_COLUMNS.get(each, each) for each in TABLES[table] if each != "tags"]
        size = " + ".join(f'coalesce(length(CAST("{each}" AS BLOB)), 0)' for each in columns)
        where = f"WHERE key IN ({_META})" if table == "meta" else ""
        sql = f"SELECT count(*), coalesce(sum({size}), 0) FROM {_HELD.get(table, table)} {where}"
        count, size_of_all = self._connection.execute(sql).get
        return int(count), int(size_of_all)

    def load(self, table: str, rows: Iterable[PortableRow]) -> None:
        """Add *rows* to *table*, which is empty."""
        names = TABLES[table]
        if table == "meta":
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
        elif table == "records":
            self._load_records(rows)
        else:
            self._insert(table, [_COLUMNS.get(each, each) for each in names], rows)

    def finish(self) -> None:
        """Make the indexes of words and vectors, and the counts."""
        connection = self._connection
        connection.execute(_COUNT_SCOPES)
        word_index.rebuild(connection)
        subwords.recount(connection)
        upkeep.mend_vectors(connection, anew=True)
        writing.touch(connection, now_ms=self._now_ms)

    def changes(self) -> str:
        """Return what differs after each change of the memory."""
        sql = "SELECT value FROM meta WHERE key = 'changes'"
        return str(self._connection.execute(sql).get)

    def _load_records(self, rows: Iterable[PortableRow]) -> None:
        names = TABLES["records"]
        key, place = names.index("id"), names.index("tags")
        columns = [_COLUMNS.get(each, each) for each in names if each != "tags"]

        def without_tags() -> Iterator[PortableRow]:
            for row in rows:
                tags = json.loads(row[place])
                self._connection.executemany(
                    "INSERT INTO tags VALUES (?, ?)", ((row[key], each) for each in tags)
                )
                yield (*row[:place], *row[place + 1 :])

        self._insert("memories", columns, without_tags())

    def _insert(self, table: str, columns: list[str], rows: Iterable[PortableRow]) -> None:
        listed = ", ".join(f'"{each}"' for each in columns)
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({listed}) VALUES ({marks})"
        for row in rows:
            self._connection.execute(sql, row)
