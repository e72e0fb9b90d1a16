"""Leases in a state that was unpacked: whoever held them holds nothing there."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import apsw

from clawstate.errors import CorruptError, StateError
from clawstate.files.paths import StatePaths
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.leases import LEASES, without_holder
from clawstate.sqlite.errors import sqlite_errors


def end_leases(root: Path) -> None:
    """
    End all leases in the state directory *root*, which nobody uses yet; their numbers go on.

    They were held while the backup was made, perhaps on another machine: who opens the restored
    state would wait for a holder that has no part in it.
    """
    if (root / LEASES.path).exists():
        files = JsonFilesBackend(root)
        # A damaged file is told by `doctor`, and holds up nobody for longer than its leases last.
        with contextlib.suppress(CorruptError), contextlib.closing(files):
            files.collection(LEASES).change_all(
                lambda old: ({name: without_holder(each) for name, each in old.items()}, None)
            )
    database = StatePaths(root).records_db
    if database.is_file():
        with contextlib.suppress(StateError):
            _end_rows(database)


def _end_rows(path: Path) -> None:
    with (
        sqlite_errors(path),
        contextlib.closing(
            apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        ) as connection,
    ):
        named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'records'"
        if not connection.execute(named).fetchall():
            return
        found = "SELECT tenant, id, body FROM records WHERE kind = ?"
        rows = connection.execute(found, (LEASES.kind,)).fetchall()
        for tenant, name, body in rows:
            with contextlib.suppress(ValueError):
                text = json.dumps(without_holder(json.loads(str(body))), separators=(",", ":"))
                changed = "UPDATE records SET body = ? WHERE tenant = ? AND kind = ? AND id = ?"
                connection.execute(changed, (text, tenant, LEASES.kind, name))
