"""Where the memory and the transcripts lie, and where they may lie as well."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clawstate.config.settings import MEMORY_ENGINES, MEMORY_PATH, MEMORY_TYPE
from clawstate.errors import ConfigError, CorruptError, StateError, UnavailableError
from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.files.os_errors import os_errors
from clawstate.files.paths import expand_below, is_nameable
from clawstate.interrupts import load_modules
from clawstate.quantities import number_of

if TYPE_CHECKING:
    from clawstate.state.context import Context

CATALOGUE = "catalogue.db"
"""The name of the catalogue of a LanceDB memory, in its directory."""


@dataclass(frozen=True, slots=True)
class MemoryPlace:
    """Where the records of a memory lie: by *engine*, in the file or directory *path*."""

    engine: str
    path: Path

    @property
    def database(self) -> Path:
        """The database of the records, or the catalogue of the table."""
        return self.path / CATALOGUE if self.in_directory else self.path

    @property
    def in_directory(self) -> bool:
        """Whether it is a directory of LanceDB."""
        return self.engine != MEMORY_ENGINES[0]


def memory_place(context: Context) -> MemoryPlace:
    """
    Return where `memory.store` says that the records of the memory lie.

    Raises `ConfigError`. With a configuration that cannot be read it is the usual place.
    """
    engine, chosen = MEMORY_TYPE.default, None
    with suppress(CorruptError, UnavailableError):
        view = context.config.view()
        engine, chosen = MEMORY_TYPE.of(view), MEMORY_PATH.of(view)
    if engine not in MEMORY_ENGINES:
        problem = f"is no engine: take {' or '.join(MEMORY_ENGINES)}"
        raise ConfigError(MEMORY_TYPE.path, problem)
    usual = usual_place(context, engine)
    if not usual.in_directory:
        return replace(usual, path=memory_db(context))
    if chosen is None:
        return usual
    if not is_nameable(chosen):
        raise ConfigError(MEMORY_PATH.path, "holds what no path can", "give the path of a folder")
    path = expand_below(chosen, context.paths.root)
    if os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112 - never raises
        raise ConfigError(MEMORY_PATH.path, f"{path} is no directory", "give the path of a folder")
    return replace(usual, path=path)


def usual_place(context: Context, engine: str) -> MemoryPlace:
    """Return where *engine* keeps the records of the memory unless a path is given."""
    is_usual = engine == MEMORY_TYPE.default
    return MemoryPlace(engine, context.paths.memory_db if is_usual else context.paths.lancedb_dir)


def count_memories(context: Context, place: MemoryPlace) -> int:
    """Return how many records lie at *place*; looks only."""
    if not os.path.isfile(place.database):  # noqa: PTH113 - never raises
        return 0
    load_modules("clawstate.memory.backends.sqlite.schema")
    from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART  # noqa: PLC0415 - rarely

    part = context.backends.database(place.database).part(PART, MIGRATIONS)
    with part.reading() as connection:
        found: int = connection.execute("SELECT coalesce(sum(records), 0) FROM scopes").get
    return found


class Elsewhere(NamedTuple):
    """Records of the memory that lie in `path`, where nobody looks; `both`: others lie here."""

    path: Path
    problem: str
    remedy: str
    both: bool


def find_memories_elsewhere(context: Context, place: MemoryPlace) -> Elsewhere | None:
    """Return which records another engine than that of *place* holds; looks only."""
    for engine in MEMORY_ENGINES:
        other = usual_place(context, engine)
        if engine == place.engine or not (count := count_memories(context, other)):
            continue
        both = count_memories(context, place) > 0
        remedy = f"'clawstate store migrate memory --to {place.engine}' moves them"
        if both:
            remedy = "both hold some: 'clawstate memory export' those of one, and import them"
        problem = f"holds {number_of(count, 'record')}, but memory.store names {place.path}"
        return Elsewhere(other.path, problem, remedy, both)
    return None


def memory_db(context: Context) -> Path:
    """
    Return the database that `memory.store.path` names, by default the one in the state directory.

    Transcripts lie there, and the memory unless it lies in LanceDB. `~` is the home, and a relative
    path begins in the state directory. Raises `ConfigError`. A configuration that cannot be read
    must cost no message: they go to the default place then.
    """
    try:
        view = context.config.view()
    except StateError:
        return context.paths.memory_db
    chosen = MEMORY_PATH.of(view)
    if chosen is None or MEMORY_TYPE.of(view) != MEMORY_TYPE.default:
        return context.paths.memory_db
    if not is_nameable(chosen):
        raise ConfigError(MEMORY_PATH.path, "holds what no path can", "give the path of a file")
    path = expand_below(chosen, context.paths.root)
    # A directory in the usual place is an error only once it is used.
    if path != context.paths.memory_db and os.path.isdir(path):  # noqa: PTH112 - never raises
        raise ConfigError(MEMORY_PATH.path, f"{path} is a directory", "give the path of a file")
    return path


def find_left_behind(context: Context) -> Path | None:
    """Return the database at the default place, if it is there and another place is chosen."""
    usual, chosen = context.paths.memory_db, memory_db(context)
    if not os.path.isfile(usual) or os.path.realpath(usual) == os.path.realpath(chosen):  # noqa: PTH113 - never raises
        return None
    return usual


def move_memory(old: Path, new: Path) -> Path:
    """
    Move the database *old* to *new*, where nothing is, and return what *old* is called now.

    It is copied through SQLite, as it was at one moment, while nobody else writes it; a kill leaves
    it where it was. Raises `UnavailableError`.
    """
    import apsw  # noqa: PLC0415 - rarely needed

    make_private_dir(new.parent)
    copy, aside = new.with_name(f".{new.name}.moving"), old.with_name(f"{old.name}.moved")
    with os_errors(new, "was not written"):
        copy.unlink(missing_ok=True)
        create_private_file(copy)
    try:
        source, target = apsw.Connection(str(old)), apsw.Connection(str(copy))
        try:
            source.execute("BEGIN IMMEDIATE")
            reader = apsw.Connection(str(old), flags=apsw.SQLITE_OPEN_READONLY)
            with target.backup("main", reader, "main") as backup:
                backup.step()
            reader.close()
            target.close()
            with os_errors(new, "was not written"):
                os.link(copy, new)  # never over another one
                copy.unlink()
                old.rename(aside)
        finally:
            source.close()
    except apsw.Error as error:
        problem = f"was not moved: {error}"
        raise UnavailableError(str(old), problem, "end what uses it, and try again") from error
    return aside
