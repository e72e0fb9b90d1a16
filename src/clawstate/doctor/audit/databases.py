"""Secrets in SQLite databases, which only SQLite opens (decision 17), to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from clawstate.doctor.audit.credentials import survey_profile
from clawstate.doctor.audit.known import KnownSecret
from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.sqlite.faults import translated
from clawstate.stores.auth.codec import TYPES, type_of
from clawstate.stores.auth.contract import Sealer

_BUSY_MS = 5_000


def survey_records(survey: Survey, path: Path, sealer: Sealer | None) -> None:
    """Look at the credentials among the records of the database *path*."""
    with translated(path), _opened(path) as connection:
        if "records" not in _tables(connection):
            return
        survey.scanned.add(path)
        found = connection.execute("SELECT kind, id, body FROM records WHERE kind LIKE 'auth%'")
        for kind, name, body in found:
            record = json.loads(body)
            if not isinstance(record, dict) or type_of(record) not in TYPES:
                continue
            profile_id = name.partition("/")[2] or name
            spot = Spot(path, f"{kind}/{name}", profile_id, profile_id=profile_id)
            agent_id = kind.partition(":")[2]
            survey_profile(survey, spot, record, agent_id=agent_id, sealer=sealer)


def search_database(path: Path, wanted: Sequence[KnownSecret]) -> Iterator[tuple[KnownSecret, str]]:
    """Yield which of *wanted* the database holds, and in which column, once each."""
    seen: set[tuple[int, str]] = set()
    with translated(path), _opened(path) as connection:
        for table in _tables(connection):
            names = _columns(connection, table)
            for row in connection.execute(f"SELECT * FROM {_quoted(table)}"):
                for name, secret in _in_row(names, row, wanted):
                    where = f"{table}.{name}"
                    if (id(secret), where) not in seen:
                        seen.add((id(secret), where))
                        yield secret, where


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    # A promise not to change anything makes no file beside the database; but it must not be given
    # where somebody may be writing, which the log tells.
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(str(path))}?{how}", flags=flags)
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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _in_row(
    names: Sequence[str], row: Sequence[object], wanted: Sequence[KnownSecret]
) -> Iterator[tuple[str, KnownSecret]]:
    for name, value in zip(names, row, strict=False):
        if isinstance(value, str):
            raw = value.encode("utf-8", "surrogatepass")
        elif isinstance(value, bytes):
            raw = value
        else:
            continue
        for secret in wanted:
            if any(form in raw for form in secret.forms()):
                yield name, secret
