"""Moving the memory of a state from one engine to the other, whole, so that nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from clawstate.config.settings import MEMORY_ENGINES, MEMORY_PATH, MEMORY_TYPE
from clawstate.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from clawstate.interrupts import load_modules
from clawstate.memory.backends.sqlite import SqliteMemory, writing
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.sqlite.migrations import PartFormat
from clawstate.state.engines import engine_of, find_engine, shown_choice
from clawstate.state.memory_claim import CLOSE, OPEN, is_moved
from clawstate.state.memory_place import MemoryPlace, count_memories, memory_place, usual_place
from clawstate.state.server_memory import memory_server
from clawstate.state.server_moves import Moved, ServerMove

if TYPE_CHECKING:
    from clawstate.memory.backends.lancedb import LancedbMemory
    from clawstate.sqlite import Part
    from clawstate.state.context import Context

Tell = Callable[[int, int, str], None]
"""Is told how many steps are done, of how many, and which is next."""

_MARK = "moving_from"
_STEPS = ("looking", "copying", "comparing", "choosing", "clearing")
_ROWS = 1_000
_BOTH = (
    "both hold records: 'clawstate memory export' those of one, 'clawstate memory forget' them"
    " there, and 'clawstate memory import' them into the other"
)


@dataclass(frozen=True, slots=True)
class MemoryMigration:
    """
    What a move of the memory did, or would do where it only looked.

    So many `records`, and all that is noted beside them, lay in `source` and lie in `target` of the
    engine `to`; to and from a server with so many `messages` of transcripts, all in about so many
    `bytes`. `done`: it was not only looked.
    """

    to: str
    source: Path | str
    target: Path | str
    records: int
    done: bool
    messages: int = 0
    bytes: int = 0


def migrate_memory(
    context: Context,
    to: str,
    *,
    dry_run: bool = False,
    drop_source: bool = False,
    tell: Tell = lambda *_: None,
) -> MemoryMigration:
    """
    Move the memory to the engine *to*, and choose it from now on.

    That is `sqlite`, `lancedb` or the address that `state.store` names; transcripts move along to
    and from a server. Every row is copied in one transaction and compared with its source before
    the setting changes. Between engines of this machine what it lay in is emptied last; on a server
    and of one it stays, until *drop_source* or `store clean` removes it. Killed at any point,
    nothing is lost, and the next call does the rest. Raises `InvalidError` for another engine,
    `ConflictError` where both places hold records, `MissingExtraError` without LanceDB,
    `UnavailableError`, `LockTimeoutError`.
    """
    address = _address_of(context, to)
    if address is None and to not in MEMORY_ENGINES:
        raise InvalidError("engine", f"memory can be moved to {' or '.join(MEMORY_ENGINES)}")
    with context.backends.moving():
        if address is not None:
            return _to_server(context, address, tell, dry_run=dry_run, drop_source=drop_source)
        if memory_server(context) is not None:
            found = _from_server(context, tell, dry_run=dry_run, drop_source=drop_source)
            if dry_run or to == MEMORY_ENGINES[0]:
                return replace(found, to=to)
        return _Move(context, to, tell).run(dry_run=dry_run)


def look_at_server(context: Context, address: str) -> MemoryMigration:
    """Return what `migrate_memory` would move to *address*, where no records lie yet."""
    moved = ServerMove(context, address, lambda *_: None).to_server(dry_run=True)
    return _migration_of(shown_choice(address), moved, dry_run=True)


def _address_of(context: Context, to: str) -> str | None:
    """Return the address of the server that *to* names; raises `InvalidError` for another one."""
    if find_engine(to) is None or not engine_of(to).schemes:
        return None
    chosen = context.backends.choice
    if shown_choice(chosen) != shown_choice(to):
        problem = f"records lie in {shown_choice(chosen)}, and the memory goes where they are"
        hint = f"'clawstate store migrate --to {shown_choice(to)}' moves all"
        raise InvalidError("engine", problem, hint)
    return chosen


def _to_server(
    context: Context, address: str, tell: Tell, *, dry_run: bool, drop_source: bool
) -> MemoryMigration:
    if memory_place(context).in_directory:
        # By way of the database of this machine: each of the two steps is whole in itself.
        found = _Move(context, MEMORY_ENGINES[0], tell).run(dry_run=dry_run)
        if dry_run:
            return replace(found, to=shown_choice(address), target=shown_choice(address))
    move = ServerMove(context, address, tell)
    moved = move.to_server(dry_run=dry_run, drop_source=drop_source)
    return _migration_of(shown_choice(address), moved, dry_run=dry_run)


def _from_server(
    context: Context, tell: Tell, *, dry_run: bool, drop_source: bool
) -> MemoryMigration:
    move = ServerMove(context, context.backends.choice, tell)
    moved = move.to_file(dry_run=dry_run)
    if drop_source and not dry_run:
        move.drop_server_rows()
    return _migration_of(MEMORY_ENGINES[0], moved, dry_run=dry_run)


def _migration_of(to: str, moved: Moved, *, dry_run: bool) -> MemoryMigration:
    amount = moved.amount
    return MemoryMigration(
        to,
        moved.source,
        moved.target,
        amount.records,
        not dry_run,
        messages=amount.messages,
        bytes=amount.size,
    )


class _Move:
    def __init__(self, context: Context, to: str, tell: Tell) -> None:
        self._context = context
        self._tell = tell
        chosen = memory_place(context)
        self._is_chosen = chosen.engine == to
        other = next(each for each in MEMORY_ENGINES if each != to)
        self.source = usual_place(context, other) if self._is_chosen else chosen
        self.target = chosen if self._is_chosen else usual_place(context, to)

    def run(self, *, dry_run: bool) -> MemoryMigration:
        self._step(0)
        self._look()
        count, there = (count_memories(self._context, each) for each in (self.source, self.target))
        mark = self._find_mark()
        is_resumed = mark is not None and self._is_chosen
        # What was moved already is empty: it must not take the place of what lies there now.
        is_due = self._is_open(self.source) and (count > 0 or not there)
        if count and there and (mark is None or (is_resumed and mark != self._changes())):
            raise ConflictError("memory", str(self.target.path), _BOTH)
        if not dry_run:
            if is_due:
                self._move(is_resumed=is_resumed)
            elif mark is not None:
                self._clear()
            self._choose()
        return MemoryMigration(
            self.target.engine, self.source.path, self.target.path, count, done=not dry_run
        )

    def _move(self, *, is_resumed: bool) -> None:
        """Copy, compare, choose and empty the source, while nobody writes to that."""
        self._require_engine()
        with self._part(self.source).writing() as source:
            if not is_resumed:  # then the target is the truth already, and may have changed since
                self._step(1)
                self._copy(source)
            self._step(3)
            self._choose()
            self._step(4)
            source.execute(OPEN)
            _empty(source)
            writing.count(source, writing.REWRITTEN)  # bytes of it are left in the file
            source.execute(CLOSE)
        self._clear()

    def _copy(self, source: apsw.Connection) -> None:
        with self._part(self.target).writing() as target:
            target.execute(OPEN)
            _replace_rows(source, target)
            self._step(2)
            if _digest(target) != _digest(source):
                problem = "does not hold the rows that were copied"
                raise UnavailableError(str(self.target.path), problem, "nothing changed; try again")
            sql = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
            target.execute(sql, (_MARK, _count_changes(source)))

    def _clear(self) -> None:
        """Bring the table in step with the records, and leave no byte of them in the source."""
        with contextlib.closing(self._engine(self.target)) as engine:
            engine.optimize()
        if self.source.in_directory:
            with contextlib.closing(self._lancedb(self.source)) as table:
                table.leave_table()
        # The engine of the catalogue alone: that of the table would take in what is there.
        with contextlib.closing(self._sqlite(self.source)) as emptied:
            emptied.compact(patience=5.0)
        with self._part(self.target).writing() as connection:
            connection.execute("DELETE FROM meta WHERE key = ?", (_MARK,))

    def _look(self) -> None:
        """Take in what other programs changed in a table that is to be moved."""
        if self.source.in_directory:
            with contextlib.closing(self._engine(self.source)) as engine:
                engine.stats()

    def _require_engine(self) -> None:
        """Raise unless the engine can be used, before anything changes."""
        for place in (self.source, self.target):
            if place.in_directory:
                with contextlib.closing(self._lancedb(place)) as engine:
                    engine.require_table()

    def _choose(self) -> None:
        if memory_place(self._context).engine == self.target.engine:
            return
        config = self._context.config
        # A path is that of the other engine. It goes first: cut off here, the records lie where the
        # setting that is left says, or are found elsewhere and said to be.
        with contextlib.suppress(NotFoundError):
            config.unset(MEMORY_PATH.path, force=True)
        config.set(MEMORY_TYPE.path, self.target.engine, force=True)
        if memory_place(self._context) != self.target:
            problem = f"still names {memory_place(self._context).path}"
            raise UnavailableError("memory.store", problem, "nothing was moved; see 'config get'")

    def _find_mark(self) -> str | None:
        if not self._part(self.target).exists():
            return None
        with self._part(self.target).reading() as connection:
            found: str | None = connection.execute(
                "SELECT value FROM meta WHERE key = ?", (_MARK,)
            ).get
        return found

    def _is_open(self, place: MemoryPlace) -> bool:
        """Tell whether there is a memory at *place* that was not moved away."""
        return self._part(place).exists() and not is_moved(self._part(place))

    def _changes(self) -> str:
        with self._part(self.source).reading() as connection:
            return _count_changes(connection)

    def _part(self, place: MemoryPlace) -> Part:
        return self._context.backends.database(place.database).part(PART, MIGRATIONS)

    def _engine(self, place: MemoryPlace) -> SqliteMemory:
        return self._lancedb(place) if place.in_directory else self._sqlite(place)

    def _sqlite(self, place: MemoryPlace) -> SqliteMemory:
        database = self._context.backends.database(place.database)
        vectors = place.path.parent / "vectors"
        return SqliteMemory(database, vectors=vectors, clock=self._context.clock)

    def _lancedb(self, place: MemoryPlace) -> LancedbMemory:
        load_modules("clawstate.memory.backends.lancedb")
        from clawstate.memory.backends.lancedb import LancedbMemory  # noqa: PLC0415 - few have it

        database = self._context.backends.database(place.database)
        return LancedbMemory(place.path, database=database, clock=self._context.clock)

    def _step(self, number: int) -> None:
        self._tell(number, len(_STEPS), _STEPS[number])


def _count_changes(connection: apsw.Connection) -> str:
    return str(connection.execute("SELECT value FROM meta WHERE key = 'changes'").get)


def _tables() -> tuple[list[str], apsw.Connection]:
    """Return the names of the tables of a memory, and a database in which they are new."""
    fresh = apsw.Connection(":memory:")
    PartFormat(Path(":memory:"), PART, MIGRATIONS).migrate(fresh)
    sql = """
        SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
            AND name <> 'clawstate_parts' ORDER BY rowid
    """
    return [str(name) for (name,) in fresh.execute(sql)], fresh


def _replace_rows(source: apsw.Connection, target: apsw.Connection) -> None:
    """Put the rows of all tables of *source* in the place of those of *target*."""
    names, fresh = _tables()
    fresh.close()
    target.pragma("defer_foreign_keys", 1)
    for name in reversed(names):
        target.execute(f'DELETE FROM "{name}"')
    for name in names:
        _copy_rows(source, target, name)
    # The numbers of records are never given out again.
    sql = "SELECT seq FROM sqlite_sequence WHERE name = 'memories'"
    if (newest := source.execute(sql).get) is not None:
        target.execute("DELETE FROM sqlite_sequence WHERE name = 'memories'")
        target.execute("INSERT INTO sqlite_sequence VALUES ('memories', ?)", (newest,))


def _copy_rows(source: apsw.Connection, target: apsw.Connection, name: str) -> None:
    columns = [row[1] for row in source.execute(f'PRAGMA table_info("{name}")')]
    listed = ", ".join(f'"{each}"' for each in columns)
    marks = ", ".join("?" * len(columns))
    rows = source.execute(f'SELECT {listed} FROM "{name}"')
    target.executemany(f'INSERT INTO "{name}" ({listed}) VALUES ({marks})', rows)


def _empty(connection: apsw.Connection) -> None:
    """Make the tables what they are in a new memory."""
    _, fresh = _tables()
    try:
        _replace_rows(fresh, connection)
    finally:
        fresh.close()


def _digest(connection: apsw.Connection) -> str:
    """Return the SHA-256 of all rows of the memory, whatever order they lie in."""
    names, fresh = _tables()
    fresh.close()
    whole = hashlib.sha256()
    for name in names:
        total, count = 0, 0
        for row in _rows(connection, name):
            text = json.dumps([_plain(each) for each in row]).encode()
            total ^= int.from_bytes(hashlib.sha256(text).digest())
            count += 1
        whole.update(f"{name} {count} {total:064x}\n".encode())
    return whole.hexdigest()


def _rows(connection: apsw.Connection, name: str) -> Iterator[tuple[Any, ...]]:
    where = f" WHERE key <> '{_MARK}'" if name == "meta" else ""
    columns = sorted(row[1] for row in connection.execute(f'PRAGMA table_info("{name}")'))
    listed = ", ".join(f'"{each}"' for each in columns)
    yield from connection.execute(f'SELECT {listed} FROM "{name}"{where}')


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
