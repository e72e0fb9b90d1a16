"""Secrets in SQLite databases, which only SQLite opens (decision 2), to read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import apsw

from clawstate.doctor.audit.credentials import survey_profile
from clawstate.doctor.audit.known import KnownSecret
from clawstate.doctor.audit.matrix import spec_of_kind, survey_matrix
from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.errors import InvalidError
from clawstate.sqlite.errors import sqlite_errors
from clawstate.stores.auth.credentials import TYPES, type_of

if TYPE_CHECKING:
    from clawstate.encryption.sealer import FieldSealer

_BUSY_MS = 5_000


_CREDENTIALS = (
    "SELECT kind, id, body FROM records WHERE kind LIKE 'auth%' OR kind LIKE 'moved:auth%'"
    " OR kind LIKE 'matrix-%' OR kind LIKE 'moved:matrix-%'"
)


def survey_records(survey: Survey, path: Path, sealer: FieldSealer | None) -> None:
    """Look at the credentials among the records of the database *path*."""
    with sqlite_errors(path), _open(path) as connection:
        if "records" not in _tables(connection):
            return
        survey.scanned.add(path)
        found = connection.execute(_CREDENTIALS)
        for kind, name, body in found:
            record = json.loads(body) if isinstance(body, str | bytes) else None
            if not isinstance(record, dict):
                continue
            if not isinstance(kind, str) or not isinstance(name, str):
                continue  # of another program, whose table has the same name
            if (spec := spec_of_kind(kind)) is not None:
                spot = Spot(path, f"{kind}/{name}", spec.kind)
                survey_matrix(survey, spot, record, spec=spec, sealer=sealer)
                continue
            if type_of(record) not in TYPES:
                continue
            profile_id = name.partition("/")[2] or name
            spot = Spot(path, f"{kind}/{name}", profile_id, profile_id=profile_id)
            agent_id = kind.removeprefix("moved:").partition(":")[2]
            survey_profile(survey, spot, record, agent_id=agent_id, sealer=sealer)


def search_database(path: Path, wanted: Sequence[KnownSecret]) -> Iterator[tuple[KnownSecret, str]]:
    """Yield which of *wanted* the rows of the database hold, and in which column, once each."""
    seen: set[tuple[int, str]] = set()
    with sqlite_errors(path), _open(path) as connection:
        for secret, where in _in_rows(connection, wanted):
            if (id(secret), where) not in seen:
                seen.add((id(secret), where))
                yield secret, where


@contextmanager
def open_pages(path: Path) -> Iterator[Pages]:
    """Give all bytes of the database; raises `StateError`."""
    flags = [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0]
    try:
        with sqlite_errors(path):
            file = apsw.VFSFile("", str(path), flags)
    except UnicodeEncodeError as error:
        problem = "has a name that is no UTF-8, so that its free pages cannot be searched"
        raise InvalidError(str(path), problem, "rename it") from error
    try:
        with sqlite_errors(path):
            yield Pages(file)
    finally:
        file.xClose()


class Pages:
    """
    The bytes of a database from its beginning, read by SQLite's own file.

    To close any other would drop the locks that SQLite holds on it in this process.
    """

    def __init__(self, file: apsw.VFSFile) -> None:
        self._file = file
        self._left = file.xFileSize()
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes, fewer at the end."""
        count = min(size, self._left)
        data = self._file.xRead(count, self._at) if count else b""
        self._at += count
        self._left -= count
        return data


def _in_rows(
    connection: apsw.Connection, wanted: Sequence[KnownSecret]
) -> Iterator[tuple[KnownSecret, str]]:
    # As bytes: another program may have written text that is no UTF-8.
    for table in _tables(connection):
        names = _columns(connection, table)
        if not names:
            continue
        columns = ", ".join(f"CAST({_quote(each)} AS BLOB)" for each in names)
        for row in connection.execute(f"SELECT {columns} FROM {_quote(table)}"):
            for name, secret in _in_row(names, row, wanted):
                yield secret, f"{table}.{name}"


@contextmanager
def _open(path: Path) -> Iterator[apsw.Connection]:
    # A promise not to change anything makes no file beside the database; but it must not be given
    # where somebody may be writing, which the log tells.
    log, is_logged = path.with_name(f"{path.name}-wal"), False
    with suppress(FileNotFoundError):
        is_logged = log.stat().st_size > 0
    how = "mode=ro" if is_logged else "immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(os.fsencode(path))}?{how}", flags=flags)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute("BEGIN")
        yield connection
    finally:
        connection.close()


def _tables(connection: apsw.Connection) -> list[str]:
    """Return the tables that hold rows of their own; what indexes hold is in one of these too."""
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return [name for (name,) in found]


def _columns(connection: apsw.Connection, table: str) -> list[str]:
    return [
        name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    ]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _in_row(
    names: Sequence[str], row: Sequence[object], wanted: Sequence[KnownSecret]
) -> Iterator[tuple[str, KnownSecret]]:
    values = [value if isinstance(value, bytes) else b"" for value in row]
    whole = b"\n".join(values)
    for secret in wanted:
        if any(form in whole for form in secret.forms()):  # seldom, so that a row is looked at once
            for name, value in zip(names, values, strict=True):
                if any(form in value for form in secret.forms()):
                    yield name, secret
