"""Secrets in the databases in which OpenClaw keeps its state since 2026.7, in the clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import apsw

from clawstate.doctor.audit.credentials import survey_profile
from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.errors import StateError
from clawstate.files.json_text import parse_json
from clawstate.json5.key_path import format_key_path, get_at
from clawstate.openclaw.owner import AGENT_DATABASE, STATE_DATABASE
from clawstate.secret_rules import is_secret, is_sensitive
from clawstate.secrets.redaction import literal_secrets
from clawstate.sqlite.errors import sqlite_errors
from clawstate.sqlite.foreign import reading

# What people and models said, and what is derived from it: searched for known secrets only.
_CONTENT = (
    *("transcript_", "session_", "memory_", "trajectory_", "acp_", "audit_", "diagnostic_"),
    *("task_", "flow_", "sqlite_", "standing_intents", "message_", "meeting_", "capture_"),
)
_PROFILES = {
    "config_machine_state": "value_json",
    "auth_profile_store": "store_json",
    "auth_profile_stores": "store_json",
}
_STORE = "secret_store_entries"
_JSON = "_json"
_PRIVATE = "private_key"


def is_openclaw_database(place: str) -> bool:
    """Tell whether OpenClaw keeps its state in the database at *place*, by its name."""
    return place == STATE_DATABASE or place.endswith(AGENT_DATABASE.rpartition("/")[2])


def survey_openclaw(survey: Survey, path: Path) -> None:
    """Look at the rows of OpenClaw's database *path*, whatever its schema; only SQLite opens it."""
    with reading(path) as connection, sqlite_errors(path):
        for table in _tables(connection):
            for row in _rows(connection, table):
                _survey_row(survey, path, row)
    survey.scanned.add(path)


@dataclass(frozen=True, slots=True)
class _Row:
    """The texts of a row of *table* by column; *key* says which row it is."""

    table: str
    key: str
    texts: Mapping[str, str]

    def place(self, column: str) -> str:
        return f"{self.table}[{self.key}].{column}"


def _survey_row(survey: Survey, path: Path, row: _Row) -> None:
    if row.table == _STORE:
        _survey_stored(survey, path, row)
        return
    for column, text in row.texts.items():
        spot = Spot(path, row.place(column), f"{row.table}[{row.key}]")
        if column.endswith(_JSON):
            _survey_document(survey, spot, text, is_profiles=_PROFILES.get(row.table) == column)
        elif column.startswith(_PRIVATE):
            survey.clear_text(text, spot, what="a private key")
        elif is_sensitive((column,)):
            survey.clear_text(text, spot, what="a token")


def _survey_stored(survey: Survey, path: Path, row: _Row) -> None:
    value, name = row.texts.get("value", ""), row.texts.get("name", "")
    is_variable = row.texts.get("kind") == "env"
    if value and (not is_variable or is_secret(("env", name), value)):
        survey.clear_text(value, Spot(path, row.place("value"), name), what="a stored secret")


def _survey_document(survey: Survey, spot: Spot, text: str, *, is_profiles: bool) -> None:
    try:
        document = parse_json(text, path=spot.file)
    except StateError:
        return  # no JSON: it is searched for known secrets all the same
    profiles = document.get("profiles") if is_profiles and isinstance(document, dict) else None
    for name, profile in (profiles if isinstance(profiles, dict) else {}).items():
        at = Spot(spot.file, f"{spot.where}.profiles.{name}", name, profile_id=name)
        survey_profile(survey, at, profile, agent_id="", sealer=None)
    if isinstance(profiles, dict):
        document = {key: each for key, each in document.items() if key != "profiles"}
    for where in literal_secrets(document):
        value = get_at(document, where)
        if isinstance(value, str):
            survey.clear_text(value, spot.at(format_key_path(where)), what="a secret")


def _tables(connection: apsw.Connection) -> list[str]:
    sql = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' "
        "AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    )
    return [name for (name,) in connection.execute(sql) if not name.startswith(_CONTENT)]


def _rows(connection: apsw.Connection, table: str) -> Iterator[_Row]:
    sql = "SELECT name, pk FROM pragma_table_info(?) ORDER BY pk"
    info = [(str(name), place) for name, place in connection.execute(sql, (table,))]
    keys = [name for name, place in info if place]
    names = [name for name, _ in info]
    wanted = [name for name in names if table == _STORE or _may_be_secret(name)]
    if not wanted:
        return
    shown = [name for name in keys if not is_sensitive((name,))]
    columns = ", ".join(f'"{each}"' for each in (*shown, *wanted))
    quoted = table.replace('"', '""')
    for row in connection.execute(f'SELECT {columns} FROM "{quoted}"'):
        texts = {
            name: value
            for name, value in zip(wanted, row[len(shown) :], strict=True)
            if isinstance(value, str) and value.strip()
        }
        if texts:
            yield _Row(table, "/".join(str(each) for each in row[: len(shown)] if each), texts)


def _may_be_secret(column: str) -> bool:
    return column.endswith(_JSON) or column.startswith(_PRIVATE) or is_sensitive((column,))
