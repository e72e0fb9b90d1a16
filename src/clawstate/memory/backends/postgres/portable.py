"""The rows of a memory in PostgreSQL, as other engines give and take them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from psycopg import sql

from clawstate.memory.backends.portable import META, TABLES, VEIL, PortableRow, tags_json
from clawstate.memory.backends.postgres import counts, folds, vectors, words
from clawstate.memory.backends.postgres.conditions import facts_text
from clawstate.memory.backends.postgres.rows import tags_text
from clawstate.memory.backends.postgres.writing import VEIL as VEIL_HERE
from clawstate.memory.records import content_hash
from clawstate.postgres.bulk import draw_numbers, rows_in_steps
from clawstate.postgres.transaction import Transaction

_HELD: Final = {each: f"memory_{each}" for each in TABLES}
# What an engine gives out numbers by: they go on behind those that came.
_NUMBERED: Final = {
    "memory_records": "docno",
    "memory_versions": "version",
    "memory_scopes": "scope",
    "memory_imports": "import",
}
_NEW_EPOCH = """
UPDATE clawstate.memory_totals SET epoch = greatest(epoch + 1, %(now)s) WHERE tenant = %(tenant)s
"""
_CHANGES = """
SELECT coalesce((SELECT changes FROM clawstate.memory_totals WHERE tenant = %(tenant)s), 0)
    + (SELECT count(*) FROM clawstate.memory_tail WHERE tenant = %(tenant)s)
"""


class PostgresMemoryRows:
    """The rows of one memory *within* a transaction; to load them it has to be alone."""

    tables: Mapping[str, tuple[str, ...]] = TABLES

    def __init__(self, within: Transaction, *, now_ms: int = 0) -> None:
        self._within = within
        self._now_ms = now_ms

    def read(self, table: str) -> Iterator[PortableRow]:
        """Give the rows of *table*."""
        names = TABLES[table]
        where = "AND key = ANY(%(meta)s::text[])" if table == "meta" else ""
        listed = ", ".join(f'"{each}"' for each in names)
        text = f"SELECT {listed} FROM clawstate.{_HELD[table]} WHERE tenant = %(tenant)s {where}"
        give = _give(names)
        for row in rows_in_steps(self._within, text, meta=list(META)):
            yield give(row)

    def count(self, table: str) -> tuple[int, int]:
        """Return how many rows *table* has, and about how many bytes."""
        where = "AND key = ANY(%(meta)s::text[])" if table == "meta" else ""
        size = " + ".join(f'coalesce(octet_length("{each}"::text), 0)' for each in _sizes_of(table))
        ((count, size_of_all),) = self._within.rows(
            f"SELECT count(*), coalesce(sum({size}), 0)::bigint FROM clawstate.{_HELD[table]}"
            f" WHERE tenant = %(tenant)s {where}",
            meta=list(META),
        )
        return count, size_of_all

    def clear(self) -> None:
        """Remove all rows of all tables, and what derives from them."""
        vectors.clear(self._within)
        # With what they note of it: a memory that went away holds nothing and counts nothing.
        folds.clear(self._within)
        for each in (*TABLES, "subwords"):
            where = "AND key <> 'database_id'" if each == "meta" else ""
            self._within.run(
                f"DELETE FROM clawstate.memory_{each} WHERE tenant = %(tenant)s {where}"
            )
            self._within.go_on()

    def load(self, table: str, rows: Iterable[PortableRow]) -> None:
        """Add *rows* to *table*, which is empty."""
        held, names = _HELD[table], TABLES[table]
        if table == "meta":
            put = """
                INSERT INTO clawstate.memory_meta VALUES (%(tenant)s, %(key)s, %(value)s)
                ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value
            """
            for key, value in rows:
                self._within.run(put, key=key, value=value)
            return
        take, added = _take(table)
        statement = sql.SQL("COPY clawstate.{} ({}) FROM STDIN").format(
            sql.Identifier(held),
            sql.SQL(", ").join(map(sql.Identifier, ("tenant", *names, *added))),
        )
        highest, number = 0, _NUMBERED.get(held)
        with self._within.connection.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row((self._within.tenant, *take(row)))
                if number is not None:
                    highest = max(highest, row[0])
                self._within.go_on()
        if number is not None:
            draw_numbers(self._within, f"clawstate.{held}", number, highest)

    def finish(self) -> None:
        """Make the indexes of words and vectors, and the counts, anew."""
        within = self._within
        folds.rebuild(within)
        counts.recount(within)
        vectors.rebuild(within)
        # Whoever knew an earlier memory of the same name must not take this one for it.
        within.run(_NEW_EPOCH, now=self._now_ms)
        words.touch(within, now_ms=self._now_ms)

    def changes(self) -> str:
        """Return what differs after each change of the memory."""
        return str(self._within.one(_CHANGES))


def _sizes_of(table: str) -> list[str]:
    # Half the length of bytes as text is near enough for who asks before a move.
    return [each for each in TABLES[table] if each not in {"docno", "scope", "version", "import"}]


def _give(names: tuple[str, ...]) -> Callable[[PortableRow], PortableRow]:
    if "tags" in names:
        place = names.index("tags")
        return lambda row: (*row[:place], tags_json(row[place]), *row[place + 1 :])
    if names == TABLES["scopes"]:
        return lambda row: (row[0], _rename(row[1], VEIL_HERE, VEIL))
    return lambda row: row


def _take(table: str) -> tuple[Callable[[PortableRow], PortableRow], tuple[str, ...]]:
    """Return what makes a row of ours of one of *table*, and the columns that it has more."""
    names = TABLES[table]
    if table == "scopes":
        return lambda row: (row[0], _rename(row[1], VEIL, VEIL_HERE)), ()
    if table == "imports":
        source = names.index("source")
        return lambda row: (*row, content_hash(row[source])), ("source_hash",)
    if "tags" not in names:
        return lambda row: row, ()
    place, metadata, text = (names.index(each) for each in ("tags", "metadata", "content"))

    def take(row: PortableRow) -> PortableRow:
        tags = tags_text(tuple(json.loads(row[place])))
        facts = facts_text(json.loads(row[metadata]))
        more: tuple[Any, ...] = (facts,)
        if table == "versions":
            more = (facts, content_hash(row[text]))
        return (*row[:place], tags, *row[place + 1 :], *more)

    return take, ("facts", "content_hash") if table == "versions" else ("facts",)


def _rename(name: str, old: str, new: str) -> str:
    return new + name[len(old) :] if name.startswith(old) else name
