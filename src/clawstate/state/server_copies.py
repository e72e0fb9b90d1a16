"""A copy of what a state keeps on its server, as it was at one moment, in files of SQLite."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

from clawstate.clock import to_ms
from clawstate.files.json_text import parse_json
from clawstate.memory.backends.sqlite.portable import SqliteMemoryRows
from clawstate.memory.backends.sqlite.schema import MIGRATIONS as MEMORY
from clawstate.memory.backends.sqlite.schema import PART as MEMORY_PART
from clawstate.postgres.bulk import rows_in_steps
from clawstate.postgres.names import decode_text
from clawstate.records.contract import CollectionSpec
from clawstate.records.layouts import MapLayout
from clawstate.records.sqlite import SqliteBackend
from clawstate.sqlite import Database
from clawstate.state.record_places import record_places
from clawstate.state.server_memory import memory_server
from clawstate.state.server_rows import RowsInside, ServerRows
from clawstate.state.whole_copy import Counted, amount_of, copy_rows
from clawstate.stores.transcripts.backends.sqlite.portable import SqliteTranscriptRows
from clawstate.stores.transcripts.backends.sqlite.schema import MIGRATIONS as TRANSCRIPTS
from clawstate.stores.transcripts.backends.sqlite.schema import PART as TRANSCRIPTS_PART

if TYPE_CHECKING:
    from clawstate.state.context import Context

Tell: TypeAlias = "Callable[[int, int, str], None]"

_ROW = Path("row")
_HAS_RECORDS = "SELECT to_regclass('clawstate.records') IS NOT NULL"
_RECORDS = """
SELECT kind, id || rest, body FROM clawstate.records WHERE tenant = %(tenant)s
    AND kind NOT LIKE 'moved:%%' AND kind NOT LIKE 'damaged:%%' AND kind <> 'leases'
ORDER BY kind
"""


class ServerCopy:
    """
    The records, and where they lie there memory and transcripts, of the moment when this was made.

    It holds a connection until `close`; others go on writing. Raises `UnavailableError`.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._opened = ExitStack()
        rows = ServerRows(context, context.backends.choice)
        try:
            self._rows: RowsInside = self._opened.enter_context(rows.reading())
            self._has_records = bool(self._rows.within.one(_HAS_RECORDS))  # the moment is now
        except BaseException:
            self._opened.close()
            raise

    def write(self, folder: Path, tell: Tell = lambda *_: None) -> tuple[Path, ...]:
        """
        Write the databases into *folder*, laid out as a state directory, and return them.

        Every row of memory and transcripts is compared with what the server has.
        """
        paths = self._context.paths
        made = []
        if self._has_records:
            target = folder / paths.records_db.relative_to(paths.root)
            self._write_records(target)
            made.append(target)
        if memory_server(self._context) is not None:
            target = folder / paths.memory_db.relative_to(paths.root)
            self._write_memory(target, tell)
            made.append(target)
        return tuple(made)

    def close(self) -> None:
        """Let the server go; harmless when that is done."""
        self._opened.close()

    def _write_records(self, target: Path) -> None:
        specs = {each.spec.kind: each.spec for each in record_places(self._context)}
        specs |= self._context.specs
        kinds: dict[str, dict[str, Any]] = {}
        for kind, key, body in rows_in_steps(self._rows.within, _RECORDS):
            held = kinds.setdefault(decode_text(kind), {})
            held[decode_text(key)] = parse_json(body, path=_ROW)
        backend = SqliteBackend(target, tenant=self._context.backends.tenant)
        try:
            for kind, records in kinds.items():
                spec = specs.get(kind)
                if spec is None:
                    spec = CollectionSpec(kind, PurePosixPath("unknown"), MapLayout())
                backend.collection(spec).change_all(_put(records))
        finally:
            backend.close()

    def _write_memory(self, target: Path, tell: Tell) -> None:
        rows = self._rows
        counted = Counted(tell, amount_of((rows.memory, rows.transcripts)).rows)
        now_ms = to_ms(self._context.clock())
        database = Database(target)
        try:
            with database.part(MEMORY_PART, MEMORY).writing() as connection:
                copy_rows(rows.memory, SqliteMemoryRows(connection, now_ms=now_ms), counted)
            with database.part(TRANSCRIPTS_PART, TRANSCRIPTS).writing() as connection:
                copy_rows(rows.transcripts, SqliteTranscriptRows(connection), counted)
        finally:
            database.close()


def _put(new: dict[str, Any]) -> Callable[[dict[str, Any]], tuple[dict[str, Any], None]]:
    return lambda _: (new, None)
