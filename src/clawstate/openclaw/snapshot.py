"""`Snapshot`: the rows of one database of OpenClaw, as they were at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from clawstate.errors import CorruptError, VersionError
from clawstate.files.json_text import parse_json
from clawstate.openclaw.schema import NEWEST, READ, Role, Schema, is_derived
from clawstate.sqlite.errors import sqlite_errors
from clawstate.sqlite.foreign import reading

_UPDATE = "upgrade clawstate; until then this state of OpenClaw cannot be read"

_SECTIONS = ("profiles", "order", "lastGood", "usageStats")


class Snapshot:
    """
    The tables of the database *path*, of which *schema* says what it is.

    A table or column that is not there is taken for empty: OpenClaw adds some without a new number.
    """

    def __init__(self, path: Path, connection: apsw.Connection, schema: Schema) -> None:
        self.path = path
        self.schema = schema
        self._connection = connection

    def rows(
        self, table: str, columns: Sequence[str], *, where: str = "", given: Sequence[Any] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Yield *columns* of *table*; *where* is what follows its name, *given* its bindings."""
        found = self.columns(table)
        if not found:
            return
        # Releases with one schema number differ in columns (decision 28), so none is taken for
        # granted.
        wanted = ", ".join(each if each in found else f"NULL AS {each}" for each in columns)
        with sqlite_errors(self.path):
            yield from self._connection.execute(f"SELECT {wanted} FROM {table} {where}", given)

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of *table*, none if it is not there."""
        with sqlite_errors(self.path):
            found = self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
            return frozenset(name for (name,) in found)

    def json(self, text: Any, table: str, key: str) -> Any:
        """Return what the JSON *text* of a row says; raises `CorruptError` without its content."""
        place = self.place(table, key)
        if not isinstance(text, str):
            raise CorruptError(str(place), "is no text", "let OpenClaw's doctor look at it")
        return parse_json(text, path=place)

    def object(self, text: Any, table: str, key: str) -> dict[str, Any]:
        """Return the object that *text* is; raises `CorruptError`."""
        value = self.json(text, table, key)
        if not isinstance(value, dict):
            place = self.place(table, key)
            raise CorruptError(str(place), "is no JSON object", "let OpenClaw's doctor look at it")
        return value

    def place(self, table: str, key: str) -> Path:
        """Return how a row is called in a message."""
        return self.path / table / key

    def skipped_tables(self) -> dict[str, int]:
        """Return the tables with rows that are neither read nor derived, with their numbers."""
        found: dict[str, int] = {}
        with sqlite_errors(self.path):
            for table in self._tables():
                if table not in READ[self.schema.role] and not is_derived(table):
                    quoted = '"' + table.replace('"', '""') + '"'
                    count = self._connection.execute(f"SELECT count(*) FROM {quoted}").get
                    if count:
                        found[table] = int(count)
        return found

    def unknown_columns(self) -> tuple[str, ...]:
        """Return the columns of tables that are read which no known schema has."""
        known = READ[self.schema.role]
        return tuple(
            f"{table}.{column}"
            for table in sorted(known)
            for column in sorted(self.columns(table) - known[table])
        )

    def _tables(self) -> list[str]:
        # What a virtual table holds is in others, and its module may not be here.
        sql = (
            "SELECT name FROM sqlite_schema WHERE type = 'table' "
            "AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
        )
        return [name for (name,) in self._connection.execute(sql)]


@contextmanager
def snapshot(path: Path, role: Role) -> Iterator[Snapshot]:
    """
    Lend what the database *path* holds, read in one transaction and by SQLite alone.

    Raises `VersionError` for a schema number that is too new, which names both, `CorruptError` for
    a database that is not OpenClaw's of that *role*, and what `clawstate.sqlite.foreign` raises.
    """
    with reading(path) as connection:
        yield Snapshot(path, connection, _schema(connection, path, role))


def _schema(connection: apsw.Connection, path: Path, role: Role) -> Schema:
    if not _has(connection, "schema_meta"):
        raise CorruptError(str(path), "is no database of OpenClaw", "name the one that is")
    sql = (
        "SELECT role, schema_version, app_version, agent_id FROM schema_meta "
        "WHERE meta_key = 'primary'"
    )
    row = connection.execute(sql).fetchone()
    found, marker, program, agent = row or (None, 0, None, None)
    if found != role.value:
        problem = f"is no database of OpenClaw of the role {role.value!r}"
        raise CorruptError(str(path), problem, "name the one that is")
    # The highest counts: OpenClaw applies a schema before it publishes its number (decision 28).
    version = max(int(connection.pragma("user_version")), _whole(marker), _content(connection))
    # OpenClaw adds tables and columns without a new number; a new number means that what is read
    # here has moved (decision 028).
    if version > NEWEST[role]:
        raise VersionError(str(path), version, NEWEST[role], _UPDATE)
    return Schema(role, version, str(program or ""), str(agent or ""))


def _content(connection: apsw.Connection) -> int:
    """Return the number of a schema that is applied but not published yet, else 0."""
    if not _has(connection, "config_machine_state"):
        return 0
    sql = "SELECT value_json FROM config_machine_state WHERE state_key = ?"
    text = connection.execute(sql, ("state.schema.contentVersion",)).get
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def _has(connection: apsw.Connection, table: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM pragma_table_info(?)", (table,)).fetchone())


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def merge_documents(*documents: Mapping[str, Any]) -> dict[str, Any]:
    """Return one `auth-profiles.json` of *documents*, in which a later one counts for more."""
    found: dict[str, Any] = {"version": 1, "profiles": {}}
    for document in documents:
        for name, value in document.items():
            if name in _SECTIONS and isinstance(value, Mapping):
                found[name] = {**found.get(name, {}), **value}
            else:
                found[name] = value
    return found
