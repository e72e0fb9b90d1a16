"""`LancedbMemory`: the `MemoryEngine` whose records and vectors are in a LanceDB table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import apsw

from clawstate.clock import Clock, system_clock
from clawstate.errors import (
    ClosedError,
    FallbackWarning,
    LockTimeoutError,
    MissingExtraError,
    StateError,
    warn,
)
from clawstate.files.atomic import make_private_dir
from clawstate.files.unchanged import is_settled, numbers_of
from clawstate.interrupts import Mutex, load_modules
from clawstate.memory.backends.lancedb import outbox
from clawstate.memory.backends.lancedb.client import WORKER, About, Session, shared_process
from clawstate.memory.backends.lancedb.intake import take_in
from clawstate.memory.backends.lancedb.later import Later
from clawstate.memory.backends.lancedb.rows import read_rows
from clawstate.memory.backends.lancedb.stamp import (
    CATALOGUE,
    MAKING,
    inode_of,
    newest_stamp,
    size_of,
    table_dir,
    versions_dir,
)
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.backends.sqlite.reading import FindNearest
from clawstate.memory.backends.sqlite.rows import stored_embedder
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.forgetting import Compaction
from clawstate.memory.versions import USUAL_VERSIONS, VersionLimits
from clawstate.sqlite import Database, Part

_LOST = (
    "its catalogue is gone and was made anew from it; lost are what the table did not have yet, the"
    " histories of records, the archive, the notes of imports and the marks of what was forgotten"
)
_LIBRARY = "lancedb"
_FLUSH = 8_192  # records of this program that wait for the table before it writes them to it
_ROWS = 4_096  # rows that are written in one go, of short vectors
_VECTOR_BYTES = 16 << 20
_FRAGMENTS = 32  # files of the table above which they are merged
_INDEX_FROM = 10_000
_NO_INDEX = 1 << 62
_USUAL_DIMENSIONS = 1_536  # of OpenClaw's plugin, while there is no vector yet


class LancedbMemory(SqliteMemory):
    """
    Records and vectors in the LanceDB table `memories` of *folder*, for all who read LanceDB.

    Beside it the catalogue, a database of `SqliteMemory`, has what makes it safe and fast: a change
    is on disk there when its call returns, and searches are answered from there. The table is
    written in batches from the outbox. What other programs change in the table is taken in before
    the next reading; a catalogue that is not there is made from the table (decision 46).

    *database* is the catalogue where the state has it open already; *before* and *versions* as in
    `SqliteMemory`; *worker* the command of the process that works on the table. With *leaves* the
    table is written by a process of its own once this program has closed the memory. With *asks*
    searches have the index of the table propose what is near.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: Database | None = None,
        clock: Clock = system_clock,
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
        before: Callable[[bool], object] = lambda _: None,
        versions: VersionLimits = USUAL_VERSIONS,
        worker: Sequence[str] = WORKER,
        leaves: bool = False,
        asks: bool = False,
    ) -> None:
        self.folder = folder
        own = None
        if database is None:
            own = database = Database(
                folder / CATALOGUE, lock_timeout=lock_timeout, present=present
            )
        self._to_close = own
        self._catalogue: Part = database.part(outbox.PART, outbox.MIGRATIONS)
        self._records: Part = database.part(PART, MIGRATIONS)
        self._process = shared_process(worker)
        self._patience = lock_timeout
        self._looking = Mutex()
        self._seen: tuple[object, int] | None = None
        self._refused: str | None = None
        self._ready = 0  # the inode of the catalogue that has an outbox
        self._written = 0
        self._wrote = False
        self._leaves = leaves
        self._asks = asks
        self._answers = {"asked": 0, "scanned": 0}
        self._before = before
        super().__init__(
            database,
            vectors=folder / "vectors",
            clock=clock,
            before=self._before_use,
            versions=versions,
        )

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """Keep *records*, all or none."""
        super().upsert(records, embedder=embedder)
        self._written += len(records)
        if self._written >= _FLUSH:
            self._flush_quietly(patience=0.0)

    def flush(self) -> None:
        """
        Write what waits in the outbox to the table.

        Raises what `TableProcess.session` raises; all that waits is safe, and waits on.
        """
        if self._database.exists() and self._waiting_count():
            with self._session(self._patience) as session:
                self._flush(session)

    def require_table(self) -> None:
        """Raise what `TableProcess.session` raises if the table cannot be worked on."""
        make_private_dir(self.folder)
        with self._session(self._patience):
            self._require_outbox()

    def leave_table(self) -> None:
        """
        Remove what of the table clawstate made, once the records lie elsewhere.

        A table that is another program's stays as it is.
        """
        with self._session(self._patience) as session:
            is_others = session.about.stamp is not None and not session.about.ours
            if not is_others:
                self._write(session)
                session.clear(index_from=_INDEX_FROM)
            # What lies there then is taken in as a whole by whoever comes back.
            with self._catalogue.writing() as connection:
                outbox.start_anew(connection)

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Bring the indexes of the catalogue up to date, and the table, its files and its index."""
        super().optimize(progress=progress, cancelled=cancelled)
        if not self._database.exists() or (cancelled is not None and cancelled()):
            return
        with self._session(self._patience) as session:
            self._flush(session)
            session.optimize(index_from=_INDEX_FROM)
            self._note(session.about)

    def uncompacted(self) -> int:
        """Return how many changes left bytes behind, in the catalogue or in the table."""
        with self._catalogue.reading() as connection:
            removed = outbox.count_removed(connection)
        return max(super().uncompacted(), removed)

    def compact(
        self,
        *,
        patience: float,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Compaction:
        """Clear what forgotten and changed records left in the table, then in the catalogue."""
        before = size_of(self.folder)
        if not self._database.exists() or (cancelled is not None and cancelled()):
            return super().compact(patience=patience, progress=progress, cancelled=cancelled)
        try:
            self._clear_table(patience)
        except StateError as error:
            after, reason = size_of(self.folder), f"LanceDB: {error}"
            return Compaction(0, before, after, complete=False, waits_for=reason)
        done = super().compact(patience=patience, progress=progress, cancelled=cancelled)
        return replace(done, before=before, after=size_of(self.folder))

    def stats(self) -> dict[str, object]:
        """Return counts and sizes."""
        told = {"vector_searches": dict(self._answers)} if self._asks else {}
        return {**super().stats(), "unwritten": self._waiting_count(), **told}

    def close(self) -> None:
        """Write what this program changed to the table, and end the use of the catalogue."""
        # What was forgotten is cleared before anybody is told that it is done.
        if self._wrote and not (self._leaves and not self._forgotten and self._leave()):
            self._flush_quietly(patience=self._patience)
        super().close()
        self._wrote = False
        if self._to_close is not None:
            self._to_close.close()

    def has_left(self) -> bool:
        """Tell whether anything waits that a program left to a process that writes it later."""
        if not self._database.exists():
            return False
        with self._catalogue.reading() as connection:
            return outbox.has_left(connection)

    def _leave(self) -> bool:
        """Leave what waits to a process that nobody waits for; tell whether there is one."""
        try:
            if not self._database.exists() or not self._waiting_count():
                return True
            with self._catalogue.writing() as connection:
                has_failed = outbox.has_left(connection)
                outbox.leave(connection)
            later = Later(self.folder)
        except (StateError, OSError):
            return False
        try:
            # What was left before and still waits could not be written: somebody has to be told.
            return later.is_running or (not has_failed and later.start())
        finally:
            later.close()

    def _flush_quietly(self, *, patience: float) -> None:
        """Write the outbox to the table; what fails is told, and done by whoever writes next."""
        self._written = 0
        try:
            if not self._database.exists() or not self._waiting_count():
                return
            with self._session(patience) as session:
                self._flush(session)
        except (LockTimeoutError, ClosedError):
            pass  # whoever works on the table writes all that waits; a closed memory was written
        except StateError as error:
            self._tell(f"records wait to be written to the table, and are safe: {error}")

    def _flush(self, session: Session) -> None:
        """Write all that waits to the table of *session*, and merge its files if there are many."""
        take_in(session, self._catalogue, self._clock)
        self._write(session)

    def _write(self, session: Session) -> None:
        self._require_table(session)
        while True:
            about = session.about
            limit = min(_ROWS, max(64, _VECTOR_BYTES // (4 * about.dimensions + 1)))
            with self._catalogue.reading() as connection:
                entries = outbox.next_entries(connection, limit)
                ids = [entry.id for entry in entries]
                gone, rows, vectors = read_rows(
                    connection, ids, dimensions=about.dimensions, ours=about.ours
                )
            if not entries:
                break
            session.write(gone, rows, vectors)
            # On disk by now, as the process says: only then it need not be written any more.
            self._note(session.about, entries)
        if session.about.fragments > _FRAGMENTS:
            session.optimize(index_from=_NO_INDEX)
            self._note(session.about)

    def _require_table(self, session: Session) -> None:
        """Make the table if there is none, and anew where its vectors are of another length."""
        about = session.about
        with self._catalogue.reading() as connection:
            embedder, waits = stored_embedder(connection), outbox.count(connection)
        wanted = _USUAL_DIMENSIONS if embedder is None else embedder.dimensions
        is_unfit = about.ours and embedder is not None and about.dimensions != wanted
        if about.stamp is not None and not is_unfit:
            return
        if about.stamp is not None or waits:
            with self._catalogue.writing() as connection:
                outbox.mark_all(connection)
                outbox.note(connection, outbox.STAMP, MAKING)
            session.create(wanted)

    def _clear_table(self, patience: float) -> None:
        with self._catalogue.reading() as connection:
            is_clean = not outbox.count_removed(connection) and not outbox.count(connection)
        if is_clean:
            return
        with self._session(patience) as session:
            self._flush(session)
            session.clear(index_from=_INDEX_FROM)
            with self._catalogue.writing() as connection:
                outbox.note_stamp(connection, session.about.stamp, marked=session.about.marked)
                outbox.note(connection, outbox.REMOVED, "0")

    def _note(self, about: About, entries: Sequence[outbox.Entry] = ()) -> None:
        with self._catalogue.writing() as connection:
            outbox.settle(connection, entries)
            outbox.note_stamp(connection, about.stamp, marked=about.marked)
            if entries:
                outbox.add_removed(connection, about.removed)

    def _waiting_count(self) -> int:
        with self._catalogue.reading() as connection:
            return outbox.count(connection)

    def _session(self, patience: float) -> Session:
        return self._process.session(self.folder, patience=patience, known=self._known())

    def _known(self) -> str | None:
        if not self._catalogue.exists():
            return None
        with self._catalogue.reading() as connection:
            return outbox.find_note(connection, outbox.STAMP)

    def _before_use(self, writes: bool) -> None:  # noqa: FBT001 - of a callback
        self._before(writes)
        if writes:
            self._wrote = True
            self._require_outbox()
        elif self._seen != self._numbers():
            with self._looking:
                self._look()

    def _require_outbox(self) -> None:
        """Make the tables of the outbox, without which a write would be seen by nobody else."""
        if (inode := inode_of(self.path)) and inode == self._ready:
            return
        # What is kept here alone would be no memory in LanceDB; one that is there goes on.
        if not inode and importlib.util.find_spec(_LIBRARY) is None:
            raise MissingExtraError("lancedb", "LanceDB")
        # Its own tables first: the triggers hang on those.
        with self._records.writing():
            pass
        with self._catalogue.writing():
            pass
        self._ready = inode_of(self.path)

    def _look(self) -> None:
        """Take in what others changed in the table, if that is so."""
        numbers = self._numbers()
        stamp = newest_stamp(self.folder)
        is_there = self._catalogue.exists()
        noted = None
        if is_there:
            with self._catalogue.reading() as connection:
                noted = outbox.find_note(connection, outbox.STAMP)
        # A table that is gone is written anew with the next change; its records are all here.
        if stamp not in {None, noted} and (not is_there or stamp != self._refused):
            try:
                self._take_in(patience=0.0 if is_there else self._patience)
            except LockTimeoutError:
                if not is_there:
                    raise
                return  # whoever works on it takes it in; the next reading looks again
            except StateError as error:
                if not is_there:
                    raise
                self._refused = stamp
                self._tell(f"what other programs changed in it is not found: {error}")
        versions = numbers_of(str(versions_dir(self.folder)))
        if (versions is None or is_settled(versions)) and numbers == self._numbers():
            self._seen = numbers

    def _take_in(self, *, patience: float) -> None:
        make_private_dir(self.folder)
        is_new = not self._catalogue.exists()
        with self._session(patience) as session:
            self._require_outbox()
            take_in(session, self._catalogue, self._clock)
            is_lost = is_new and session.about.marked
        self._fold_words()
        if is_lost:
            self._tell(_LOST)

    def _nearest_in(self, connection: apsw.Connection) -> FindNearest:
        if not self._asks:
            return super()._nearest_in(connection)
        load_modules("clawstate.memory.backends.lancedb.asking")
        from clawstate.memory.backends.lancedb.asking import AskedTable  # noqa: PLC0415 - numpy

        return lambda database_id, embedder: AskedTable(
            self._nearest_search(database_id, embedder), connection, self._session, self._answers
        )

    def _numbers(self) -> tuple[object, int]:
        return numbers_of(str(versions_dir(self.folder))), inode_of(self.path)

    def _tell(self, problem: str) -> None:
        warn(FallbackWarning(f"{table_dir(self.folder)}: {problem}"), stacklevel=4)
