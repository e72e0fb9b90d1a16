"""Moving memory and transcripts between this machine and a server, whole (decision 079)."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.errors import ConflictError, UnavailableError
from clawstate.files.atomic import make_private_dir
from clawstate.files.os_errors import os_errors
from clawstate.interrupts import load_modules
from clawstate.memory.backends.sqlite.portable import SqliteMemoryRows
from clawstate.memory.backends.sqlite.schema import MIGRATIONS as MEMORY
from clawstate.memory.backends.sqlite.schema import PART as MEMORY_PART
from clawstate.sqlite import Database
from clawstate.sqlite.merged import merge_log
from clawstate.state.memory_place import memory_db
from clawstate.state.record_conflicts import aside_folder
from clawstate.state.whole_copy import Amount, Counted, Tell, amount_of, copy_rows, stamp_of
from clawstate.stores.transcripts.backends.sqlite.portable import SqliteTranscriptRows
from clawstate.stores.transcripts.backends.sqlite.schema import MIGRATIONS as TRANSCRIPTS
from clawstate.stores.transcripts.backends.sqlite.schema import PART as TRANSCRIPTS_PART

if TYPE_CHECKING:
    import apsw

    from clawstate.state.context import Context
    from clawstate.state.server_rows import RowsInside, ServerRows

_STAGE = ".arriving"
_ATTEMPTS = 3  # each time somebody wrote meanwhile
_BOTH = (
    "both hold records: 'clawstate memory export' those of one, 'clawstate memory forget' them"
    " there, and 'clawstate memory import' them into the other"
)
# A program that has them open from before would go on writing where nobody looks.
_REFUSALS = {
    "memory_moved": "INSERT ON memories",
    "memory_moved_meta": "INSERT ON meta WHEN NEW.key = 'changes'",
    "memory_moved_update": "UPDATE ON meta WHEN NEW.key = 'changes'",
    "memory_moved_imports": "INSERT ON imported",
    "transcripts_moved": "INSERT ON messages",
    "transcripts_moved_new": "INSERT ON transcripts",
    "transcripts_moved_gone": "DELETE ON transcripts",
}
_TOLD = "moved to another engine; open the state again"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved, or would be: how much, out of what, and where to."""

    amount: Amount
    source: Path | str
    target: Path | str


class ServerMove:
    """The moves of the memory and the transcripts of one state to and from its server."""

    def __init__(self, context: Context, address: str, tell: Tell) -> None:
        load_modules("clawstate.state.server_rows")
        from clawstate.state.server_rows import ServerRows  # noqa: PLC0415 - few have a server

        self._context = context
        self._tell = tell
        self._path = memory_db(context)
        self.server: ServerRows = ServerRows(context, address)

    def to_server(self, *, dry_run: bool = False, drop_source: bool = False) -> Moved:
        """
        Move what lies in the database of this machine to the server.

        Everything is copied in one transaction and compared. Then the database here refuses
        changes, the copy is opened, and the file is put aside, which is the step that all programs
        of this machine notice. Raises `ConflictError` where the server has records of others.
        """
        amount, place = self._amount_here(), self.server.place
        is_there = self.server.note() is None and self.server.has_rows()
        if is_there and not self._is_closed() and (amount.records or amount.messages):
            raise ConflictError("memory", self.server.place, _BOTH)
        if not dry_run and os.path.lexists(self._path):
            # Closed it was copied whole already. Empty it joins what others keep there.
            if not (self._is_closed() and self.server.has_rows()) and not is_there:
                self._copy_to_server(amount)
            self._tell(1, 1, "closing")
            self._close(None)
            self._tell(1, 1, "opening")
            self.server.open()
            self._tell(1, 1, "clearing")
            self._put_aside(drops=drop_source)
        return Moved(amount, self._path, place)

    def to_file(self, *, dry_run: bool = False) -> Moved:
        """
        Move what lies on the server to a database of this machine.

        It is made beside its place, compared, and gets its name once the server refuses changes.
        The rows on the server stay until they are dropped.
        """
        amount, place = self.server.amount(), self.server.place
        if dry_run or not amount.rows:
            return Moved(amount, place, self._path)
        note = self.server.note()
        if note is not None and note != self._here():
            raise ConflictError("memory", self.server.place, f"it is {note}; move it from there")
        staged = self._stage / self._path.name
        if note is None or not staged.exists():
            self._copy_from_server(amount, staged)
        self._tell(1, 1, "opening")
        with os_errors(self._path, "was not written"):
            make_private_dir(self._path.parent)
            os.link(staged, self._path)  # never over another one
            shutil.rmtree(self._stage)
        return Moved(amount, place, self._path)

    def drop_server_rows(self) -> None:
        """Remove from the server what was moved away from it."""
        if self.server.note() is not None:
            self.server.drop()

    @property
    def _stage(self) -> Path:
        return self._path.parent / _STAGE

    def _here(self) -> str:
        return f"moved to {self._path} on {socket.gethostname()}"

    def _amount_here(self) -> Amount:
        if not os.path.lexists(self._path):
            return Amount()
        with self._reading() as (memory, transcripts):
            return amount_of((memory, transcripts))

    def _copy_to_server(self, amount: Amount) -> None:
        self._reopen()
        for _ in range(_ATTEMPTS):
            with self._reading() as (memory, transcripts):
                stamps = stamp_of(memory), stamp_of(transcripts)
            counted = Counted(self._tell, amount.rows)

            def copy(rows: RowsInside, counted: Counted = counted) -> None:
                if rows.refusal() is None and rows.is_held():  # by somebody who was faster
                    raise ConflictError("memory", self.server.place, _BOTH)
                rows.clear()
                with self._reading() as (here, messages):
                    copy_rows(here, rows.memory, counted)
                    copy_rows(messages, rows.transcripts, counted)
                rows.note("on the way to this server")

            self.server.change(copy)
            if self._close(stamps):
                return
        self.server.drop()
        problem = "was changed each time it was copied"
        raise UnavailableError(str(self._path), problem, "end what writes it, and try again")

    def _copy_from_server(self, amount: Amount, staged: Path) -> None:
        for _ in range(_ATTEMPTS):
            with os_errors(self._stage, "was not made"):
                shutil.rmtree(self._stage, ignore_errors=True)
                make_private_dir(self._stage)
            counted = Counted(self._tell, amount.rows)
            with self.server.reading() as rows:
                stamps = stamp_of(rows.memory), stamp_of(rows.transcripts)
                self._fill(staged, rows, counted)

            self._tell(1, 1, "closing")

            def close(rows: RowsInside, stamps: tuple[str, str] = stamps) -> bool:
                is_same = (stamp_of(rows.memory), stamp_of(rows.transcripts)) == stamps
                if is_same:
                    rows.note(self._here())
                return is_same

            if self.server.change(close):
                return
        shutil.rmtree(self._stage, ignore_errors=True)
        problem = "was changed each time it was copied"
        raise UnavailableError(self.server.place, problem, "end what writes it, and try again")

    def _fill(self, staged: Path, rows: RowsInside, counted: Counted) -> None:
        now_ms = int(self._context.clock() * 1000)
        database = Database(staged, lock_timeout=30.0)
        try:
            with database.part(MEMORY_PART, MEMORY).writing() as connection:
                copy_rows(rows.memory, SqliteMemoryRows(connection, now_ms=now_ms), counted)
            with database.part(TRANSCRIPTS_PART, TRANSCRIPTS).writing() as connection:
                copy_rows(rows.transcripts, SqliteTranscriptRows(connection), counted)
        finally:
            database.close()
        merge_log(staged)

    def _close(self, stamps: tuple[str, str] | None) -> bool:
        """Let nobody change the database here any more, if its *stamps* are still these."""
        with self._writing() as (memory, transcripts, connection):
            if stamps is not None and (stamp_of(memory), stamp_of(transcripts)) != stamps:
                return False
            for name, when in _REFUSALS.items():
                told = "transcripts were" if name.startswith("transcripts") else "memory was"
                connection.execute(
                    f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {when} BEGIN"
                    f" SELECT RAISE(ABORT, 'the {told} {_TOLD}'); END"
                )
        return True

    def _reopen(self) -> None:
        if self._is_closed():
            with self._writing() as (*_, connection):
                for name in _REFUSALS:
                    connection.execute(f"DROP TRIGGER IF EXISTS {name}")

    def _is_closed(self) -> bool:
        if not os.path.lexists(self._path):
            return False
        sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'transcripts_moved'"
        part = self._database().part(TRANSCRIPTS_PART, TRANSCRIPTS)
        return bool(part.rows(sql)[0][0])

    def _put_aside(self, *, drops: bool) -> None:
        """Move the closed database of this machine out of the way, with all that is in its log."""
        merge_log(self._path)
        # Whoever waits to write makes no new file in its place, see `BackendRegistry.database`.
        with self._database().part(MEMORY_PART, MEMORY).alone():
            self._unname(drops=drops)
        for suffix in ("-wal", "-shm"):  # nothing is left in them
            with suppress(FileNotFoundError), os_errors(self._path, "was not moved away"):
                self._path.with_name(self._path.name + suffix).unlink()

    def _unname(self, *, drops: bool) -> None:
        if drops:
            with os_errors(self._path, "was not removed"):
                self._path.unlink()
            return
        target = aside_folder(self._context) / "memory" / self._path.name
        with os_errors(self._path, "was not moved away"):
            make_private_dir(target.parent)
            try:
                self._path.rename(target)
            except OSError:  # on another disk
                stamp = target.parent.parent.name
                self._path.rename(self._path.with_name(f"{self._path.name}.moved-{stamp}"))

    @contextmanager
    def _reading(self) -> Iterator[tuple[SqliteMemoryRows, SqliteTranscriptRows]]:
        database = self._database()
        with (
            database.part(MEMORY_PART, MEMORY).reading() as memory,
            database.part(TRANSCRIPTS_PART, TRANSCRIPTS).reading() as transcripts,
        ):
            yield SqliteMemoryRows(memory), SqliteTranscriptRows(transcripts)

    @contextmanager
    def _writing(
        self,
    ) -> Iterator[tuple[SqliteMemoryRows, SqliteTranscriptRows, apsw.Connection]]:
        database = self._database()
        # Both parts are made by then, so one transaction may speak of both.
        for part in ((MEMORY_PART, MEMORY), (TRANSCRIPTS_PART, TRANSCRIPTS)):
            with database.part(*part).writing():
                pass
        with database.part(MEMORY_PART, MEMORY).writing() as connection:
            yield SqliteMemoryRows(connection), SqliteTranscriptRows(connection), connection

    def _database(self) -> Database:
        return self._context.backends.database(self._path)
