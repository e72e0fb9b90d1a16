"""The rows of transcripts in SQLite, as other engines give and take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import apsw

from clawstate.stores.transcripts.backends.portable import TABLES, PortableRow
from clawstate.stores.transcripts.backends.sqlite import checking

_CHANGES = """
SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(bytes), 0), coalesce(max(updated_at), 0),
    coalesce(max(session), 0), (SELECT coalesce(max(position), 0) FROM messages)
FROM transcripts
"""


class SqliteTranscriptRows:
    """The rows of the transcripts in the running transaction of *connection*."""

    tables: Mapping[str, tuple[str, ...]] = TABLES

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def read(self, table: str) -> Iterator[PortableRow]:
        """Give the rows of *table*."""
        listed = ", ".join(f'"{each}"' for each in TABLES[table])
        rows = self._connection.execute(f"SELECT {listed} FROM {table}")
        if table == "message_blobs":
            for row in rows:
                yield (*row[:3], bool(row[3]), row[4])
        else:
            yield from rows

    def count(self, table: str) -> tuple[int, int]:
        """Return how many rows *table* has, and about how many bytes."""
        size = " + ".join(f'coalesce(length(CAST("{each}" AS BLOB)), 0)' for each in TABLES[table])
        sql = f"SELECT count(*), coalesce(sum({size}), 0) FROM {table}"
        count, size_of_all = self._connection.execute(sql).get
        return int(count), int(size_of_all)

    def load(self, table: str, rows: Iterable[PortableRow]) -> None:
        """Add *rows* to *table*, which is empty."""
        columns = list(TABLES[table])
        if table == "messages":
            columns.append("words")  # marked when the index is made
            rows = ((*row, 0) for row in rows)
        listed = ", ".join(f'"{each}"' for each in columns)
        sql = f"INSERT INTO {table} ({listed}) VALUES ({', '.join('?' * len(columns))})"
        for row in rows:
            self._connection.execute(sql, row)

    def finish(self) -> None:
        """Make the index of words."""
        checking.rebuild_words(self._connection)

    def changes(self) -> str:
        """Return what differs after each change of the transcripts."""
        return str(tuple(self._connection.execute(_CHANGES).fetchone() or ()))
