"""The rows of transcripts in PostgreSQL, as other engines give and take them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from psycopg import sql

from clawstate.postgres.bulk import draw_numbers, rows_in_steps
from clawstate.postgres.names import decode_text, encode_text
from clawstate.postgres.transaction import Transaction
from clawstate.stores.transcripts.backends.portable import TABLES, PortableRow
from clawstate.stores.transcripts.backends.postgres import checking, rows
from clawstate.stores.transcripts.backends.postgres.word_search import MARKS, stems_of
from clawstate.stores.transcripts.plain_text import indexed_text

_NUMBERED: Final = {"transcripts": "session", "messages": "position", "message_blobs": "blob"}
_CHANGES = """
SELECT count(*), coalesce(sum(messages), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
    coalesce(max(updated_at), 0), coalesce(max(session), 0),
    (SELECT coalesce(max(position), 0) FROM clawstate.messages WHERE tenant = %(tenant)s)
FROM clawstate.transcripts WHERE tenant = %(tenant)s
"""
_WITH_PIECES = """
SELECT position FROM clawstate.messages
WHERE tenant = %(tenant)s AND pieces > 0 AND position > %(after)s ORDER BY position LIMIT 200
"""


class PostgresTranscriptRows:
    """The rows of the transcripts of one tenant *within* a transaction."""

    tables: Mapping[str, tuple[str, ...]] = TABLES

    def __init__(self, within: Transaction) -> None:
        self._within = within

    def read(self, table: str) -> Iterator[PortableRow]:
        """Give the rows of *table*."""
        listed = ", ".join(f'"{each}"' for each in TABLES[table])
        text = f"SELECT {listed} FROM clawstate.{table} WHERE tenant = %(tenant)s"
        for row in rows_in_steps(self._within, text):
            yield tuple(decode_text(each) if isinstance(each, str) else each for each in row)

    def count(self, table: str) -> tuple[int, int]:
        """Return how many rows *table* has, and about how many bytes."""
        size = " + ".join(f'coalesce(pg_column_size("{each}"), 0)' for each in TABLES[table])
        ((count, size_of_all),) = self._within.rows(
            f"SELECT count(*), coalesce(sum({size}), 0)::bigint FROM clawstate.{table}"
            " WHERE tenant = %(tenant)s"
        )
        return count, size_of_all

    def clear(self) -> None:
        """Remove all rows of all tables."""
        for table in reversed(list(TABLES)):
            self._within.run(f"DELETE FROM clawstate.{table} WHERE tenant = %(tenant)s")
            self._within.go_on()

    def load(self, table: str, rows: Iterable[PortableRow]) -> None:
        """Add *rows* to *table*, which is empty."""
        names = TABLES[table]
        added = {"messages": ("stems", "length"), "message_turns": ("name_hash",)}.get(table, ())
        statement = sql.SQL("COPY clawstate.{} ({}) FROM STDIN").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, ("tenant", *names, *added))),
        )
        highest, number = 0, _NUMBERED.get(table)
        with self._within.connection.cursor().copy(statement) as copy:
            for row in rows:
                kept = (encode_text(each) if isinstance(each, str) else each for each in row)
                copy.write_row((self._within.tenant, *kept, *_more(table, row)))
                if number is not None:
                    highest = max(highest, row[0])
                self._within.go_on()
        if number is not None:
            draw_numbers(self._within, f"clawstate.{table}", number, highest)

    def finish(self) -> None:
        """Note the words of messages with long values, and count all."""
        within, after = self._within, 0
        while found := [row[0] for row in within.rows(_WITH_PIECES, after=after)]:
            for position, message in rows.at(within, found).items():
                words = indexed_text(message.entry)
                checking.put_words(within, position, stems_of(words) if words else None)
            after = found[-1]
            within.go_on()
        checking.recount(within)

    def changes(self) -> str:
        """Return what differs after each change of the transcripts."""
        return str(self._within.rows(_CHANGES)[0])


def _more(table: str, row: PortableRow) -> tuple[Any, ...]:
    """Return the columns that PostgreSQL has more."""
    if table == "message_turns":
        return (hashlib.sha256(row[1].encode(errors="surrogatepass")).digest(),)
    if table != "messages":
        return ()
    entry, pieces = row[7], row[8]
    # Of those with long values the words are known once these are there.
    words = "" if pieces else indexed_text(json.loads(entry))
    stems = stems_of(words) if words else None
    return stems, 0 if stems is None else len(stems) + MARKS
