"""`Records`: in which engine the records of a state lie, what lies elsewhere, and moving them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clawstate.config.settings import STORE
from clawstate.interrupts import load_modules
from clawstate.openclaw.owner import Era
from clawstate.records.json_files import JsonFilesBackend
from clawstate.state.backends import catalogue
from clawstate.state.engines import SQLITE, find_engine
from clawstate.state.left_behind import (
    LeftBehind,
    find_left_behind,
    find_taken_over,
    has_key_pair_there,
    taken_over_sentence,
)
from clawstate.state.setting_guards import NO_FILES

if TYPE_CHECKING:
    from clawstate.health import Finding
    from clawstate.records.contract import Lease
    from clawstate.sqlite.upgrades import KeptFormat
    from clawstate.state.context import Context
    from clawstate.state.memory_moves import MemoryMigration
    from clawstate.state.moved_records import Aside, Summary
    from clawstate.state.own_server import ServerStatus
    from clawstate.state.record_conflicts import Replaced
    from clawstate.state.record_moves import Migration, Tell
    from clawstate.state.retired import Retired
    from clawstate.state.server_copies import ServerCopy
    from clawstate.state.upgrades import WrittenSince

T = TypeVar("T")


class Records:
    """
    What is not a part's own: the engine of all records, and what of them lies where nobody looks.

    Each method loads what it needs: most programs call none of them.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def check(self, *, deep: bool = True) -> Iterator[Finding]:
        """
        Give what is wrong with documents and rows of records, each with a repair that loses none.

        *deep* reads every row and compares the indexes.
        """
        context = self._context
        # Without the rules of who may write where: a damaged file is mended where it lies.
        yield from JsonFilesBackend(context.paths.root, catalogue=catalogue).check(deep=deep)
        if context.backends.has_rows:
            yield from context.backends.rows().check(deep=deep)
        if context.backends.has_server:
            yield from context.backends.records().check(deep=deep)

    def keeps_files(self, choice: str | None = None) -> bool | None:
        """
        Tell whether the engine *choice*, by default that of the state, keeps records in files.

        `None` where *choice* is the path of a file, as `session.store` may be.
        """
        if choice is None:
            return self._context.backends.engine.in_files
        engine = find_engine(choice)
        if engine is None:
            return False if "://" in choice else None
        return engine.in_files

    def lease(self, name: str, ttl: float, *, wait: float = 0.0) -> Lease:
        """Return the lease *name* of this state, held for *ttl* seconds; see `Backend.lease`."""
        return self._context.backends.records().lease(name, ttl, wait=wait)

    def pause_writers(self, work: Callable[[], T]) -> T:
        """
        Return what *work* returns, called while no program of ours writes in the state.

        All parts stand still then, and readers go on. *work* must not write there, and be short.
        Raises `LockTimeoutError`.
        """
        load_modules("clawstate.state.pause")
        from clawstate.state.pause import pause_writers  # noqa: PLC0415 - see the class

        return pause_writers(self._context, work)

    def upgrades(self) -> list[KeptFormat]:
        """Return what is kept of databases from before upgrades, the oldest first."""
        load_modules("clawstate.state.upgrades")
        from clawstate.state.upgrades import upgrades_of  # noqa: PLC0415 - see the class

        return upgrades_of(self._context)

    def written_since(self, kept: KeptFormat) -> list[WrittenSince]:
        """Return how much was written since *kept* was copied; nothing is changed."""
        from clawstate.state.upgrades import written_since  # noqa: PLC0415 - see the class

        return written_since(kept)

    def lines_since(self, kept: KeptFormat) -> list[dict[str, Any]]:
        """Return what came or changed since *kept* was copied, as `memory import` takes it."""
        from clawstate.state.upgrades import lines_since  # noqa: PLC0415 - see the class

        return list(lines_since(kept))

    def roll_back(self, kept: KeptFormat) -> Path:
        """
        Put *kept* in the place of its database; return where what was there is kept.

        The next use by this version raises the format again. Raises `NotFoundError`,
        `LockTimeoutError`, `CorruptError`.
        """
        load_modules("clawstate.state.upgrades")
        from clawstate.state.upgrades import roll_back  # noqa: PLC0415 - see the class

        return roll_back(self._context, kept)

    def summary(self) -> Summary:
        """Return how many records lie where; only looks."""
        load_modules("clawstate.state.moved_records")
        from clawstate.state.moved_records import summarise  # noqa: PLC0415 - see the class

        return summarise(self._context)

    def migrate(
        self,
        to: str,
        *,
        dry_run: bool = False,
        drop_source: bool = False,
        records_only: bool = False,
        tell: Tell = lambda *_: None,
    ) -> Migration:
        """
        Move all records to the engine *to*, and keep them there from now on.

        That is `file`, `sqlite` or an address `postgresql://...`. To and from a server memory and
        transcripts go along unless *records_only*: open the state again to use them. What they lay
        in stays until *drop_source* or `clean`. A *dry_run* only looks.

        Raises `InvalidError` for what must not be, `CorruptError` for records that cannot be read,
        `ConflictError` where both places hold memories, `UnavailableError` and `LockTimeoutError`;
        nothing is lost at any point. *tell* is told how much is done, of how much, and what.
        """
        if records_only and not drop_source:
            load_modules("clawstate.state.record_moves")
            from clawstate.state.record_moves import migrate  # noqa: PLC0415 - see the class

            return migrate(self._context, to, dry_run=dry_run, tell=tell)
        load_modules("clawstate.state.whole_moves")
        from clawstate.state.whole_moves import migrate_all  # noqa: PLC0415 - see the class

        return migrate_all(
            self._context,
            to,
            dry_run=dry_run,
            drop_source=drop_source,
            records_only=records_only,
            tell=tell,
        )

    def migrate_memory(
        self,
        to: str,
        *,
        dry_run: bool = False,
        drop_source: bool = False,
        tell: Tell = lambda *_: None,
    ) -> MemoryMigration:
        """
        Move the memory to the engine *to*, and keep it there from now on.

        That is `sqlite`, `lancedb` or the address that `state.store` names; transcripts move along
        to and from a server, and what they lay in stays until *drop_source* or `clean`.

        Raises `InvalidError` for another engine, `ConflictError` where both places hold records,
        `MissingExtraError` without LanceDB, `UnavailableError` and `LockTimeoutError`; nothing is
        lost at any point. A *dry_run* only looks. Open the state again to use the memory.
        """
        load_modules("clawstate.state.memory_moves")
        from clawstate.state.memory_moves import migrate_memory  # noqa: PLC0415 - see the class

        return migrate_memory(
            self._context, to, dry_run=dry_run, drop_source=drop_source, tell=tell
        )

    def copy_server(self) -> ServerCopy | None:
        """
        Return what lies on the server of the state, as of this moment; None where there is none.

        It is to be closed. Raises `UnavailableError`.
        """
        if not self._context.backends.has_server:
            return None
        load_modules("clawstate.state.server_copies")
        from clawstate.state.server_copies import ServerCopy  # noqa: PLC0415 - see the class

        return ServerCopy(self._context)

    def leave_server(self) -> None:
        """
        Let the records be those in this directory from now on, whatever lies on a server.

        For a copy of a state, which was made with what lay there. Nothing is moved.
        """
        with self._context.backends.moving():
            self._context.config.set(STORE.path, SQLITE)

    def start_server(self) -> ServerStatus:
        """
        Start a PostgreSQL server of this state's own, unless it runs; it outlives this process.

        Raises `UnavailableError` where none is installed or it does not start, `MissingExtraError`.
        """
        load_modules("clawstate.state.own_server")
        from clawstate.state.own_server import start_server  # noqa: PLC0415 - see the class

        return start_server(self._context)

    def stop_server(self) -> bool:
        """Stop that server, whose clients are sent away; False if it did not run."""
        load_modules("clawstate.state.own_server")
        from clawstate.state.own_server import stop_server  # noqa: PLC0415 - see the class

        return stop_server(self._context)

    def server_status(self) -> ServerStatus:
        """Return whether that server runs, and where; only looks."""
        load_modules("clawstate.state.own_server")
        from clawstate.state.own_server import server_status  # noqa: PLC0415 - see the class

        return server_status(self._context)

    def restore(self, name: str) -> Replaced:
        """Put back the record *name*, which gave way to another; raises `NotFoundError`."""
        load_modules("clawstate.state.record_conflicts")
        from clawstate.state.record_conflicts import put_back  # noqa: PLC0415 - see the class

        return put_back(self._context, name)

    def aside(self) -> Aside:
        """Return what is kept of records that were moved; only looks."""
        load_modules("clawstate.state.moved_records")
        from clawstate.state.moved_records import find_aside  # noqa: PLC0415 - see the class

        return find_aside(self._context)

    def clean(self) -> Aside:
        """Remove what `aside` finds for good, and return what that was."""
        load_modules("clawstate.state.moved_records")
        from clawstate.state.moved_records import remove_aside  # noqa: PLC0415 - see the class

        return remove_aside(self._context)

    def left_behind(self) -> LeftBehind:
        """Return what lies in the engine that is not the chosen one; only looks."""
        return find_left_behind(self._context)

    def taken_over(self) -> tuple[str, ...]:
        """Return the stores whose records an upgrade of OpenClaw took out of shared files."""
        return find_taken_over(self._context)

    def taken_over_sentence(self, stores: tuple[str, ...]) -> str:
        """Return what became of *stores*, and what to do."""
        return taken_over_sentence(self._context, stores)

    def has_key_pair_there(self) -> bool:
        """Tell whether the key pair of this device lies in the database of OpenClaw."""
        return has_key_pair_there(self._context)

    def passed_over(self) -> tuple[str, str] | None:
        """Return why the engine that was asked for is not used, and what to do, if that is so."""
        if self._context.owner.era is not Era.SQLITE:
            return None
        written = self._context.config.view().loaded.resolved.get("state")
        chosen = find_engine(str(written.get("store"))) if isinstance(written, dict) else None
        if chosen is None or not chosen.in_files:
            return None
        why, remedy = NO_FILES
        return f"state.store: {why}", remedy

    def retired_files(self) -> Iterator[Retired]:
        """Give our files in places that a newer OpenClaw no longer reads, and is hindered by."""
        load_modules("clawstate.state.retired")
        from clawstate.state.retired import retired_files  # noqa: PLC0415 - see the class

        return iter(retired_files(self._context))

    def move_away(self, retired: Retired) -> str:
        """Take over what is in *retired*, put the file out of the way, and return what was done."""
        load_modules("clawstate.state.retired")
        from clawstate.state.retired import move_away  # noqa: PLC0415 - see the class

        return move_away(self._context, retired)
