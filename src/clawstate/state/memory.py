"""The memory of a state, wired to its database and its settings."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.config.settings import (
    HISTORY_FOR,
    MEMORY_ENGINES,
    MEMORY_INDEX,
    MEMORY_VECTORS,
    MEMORY_VERSIONS,
    QUERY_ENTRIES,
    QUERY_TTL,
    VECTOR_INDEXES,
)
from clawstate.errors import CorruptError, UnavailableError
from clawstate.interrupts import load_modules
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.memory.embedders import DEFAULT_CHOICE
from clawstate.memory.file_conflicts import FILE_CONFLICTS
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.service import Memory
from clawstate.memory.versions import USUAL_VERSIONS, VersionLimits
from clawstate.state.context import Context
from clawstate.state.embedding import embedder_choice
from clawstate.state.ending import ends_soon
from clawstate.state.memory_place import (
    MemoryPlace,
    find_memories_elsewhere,
    memory_place,
    usual_place,
)
from clawstate.state.server_memory import FeedNote, memory_server

if TYPE_CHECKING:
    from clawstate.memory.contract import Embedder, MemoryEngine
    from clawstate.memory.retention import RetentionPolicy
    from clawstate.records.contract import Collection

_PATIENCE = 1.0  # seconds: a person waits for it


def open_memory(context: Context, embedder: Embedder | None = None) -> Memory:
    """
    Return the memory of the state on *context*; nothing is made before the first record.

    Place, cache and whether it searches by meaning are those of the configuration of now. Raises
    `ConfigError` for an engine or an embedder that this version does not have; an *embedder* that
    is given stands in for the one of the configuration.
    """
    cache, by_meaning, choice = QueryCache(), True, DEFAULT_CHOICE
    versions, index = USUAL_VERSIONS, VECTOR_INDEXES[0]
    with suppress(CorruptError, UnavailableError):  # what cannot be read asks for nothing
        view = context.config.view()
        if not view.waits("caches.query"):  # for what it costs, nobody must do without the memory
            ttl, entries = QUERY_TTL.of(view), QUERY_ENTRIES.of(view)
            cache = QueryCache(size=entries if ttl else 0, ttl=ttl or None)
        versions = VersionLimits(MEMORY_VERSIONS.of(view), HISTORY_FOR.of(view))
        by_meaning = MEMORY_VECTORS.of(view)
        index = MEMORY_INDEX.of(view)
        choice = embedder_choice(context, view)
    return Memory(
        _engine(context, versions, asks=index == VECTOR_INDEXES[1]),
        embedder=embedder,
        clock=context.clock,
        cache=cache,
        by_meaning=by_meaning,
        choice=choice,
        inbox=lambda: _inbox(context),
        conflicts=lambda: context.backends.records().collection(FILE_CONFLICTS),
        lend=lambda name, ttl, wait: context.backends.records().lease(name, ttl, wait=wait),
        clear_inbox=lambda: _clear_deleted(context),
        set_aside=lambda: _set_aside(context),
        # Read when it is needed: a slip in it must not keep anybody from the memory.
        policy=lambda: _policy(context),
        places=context.paths.memory_dir / "map.places",
    )


def _inbox(context: Context) -> Collection:
    from clawstate.memory.capture.inbox import INBOX  # noqa: PLC0415 - who captures has loaded it

    return context.backends.records().collection(INBOX)


def _policy(context: Context) -> RetentionPolicy | None:
    load_modules("clawstate.state.retention")
    from clawstate.state.retention import retention_policy  # noqa: PLC0415 - seldom asked for

    return retention_policy(context.config.view())


def _clear_deleted(context: Context) -> bool:
    backends = context.backends
    if backends.engine.in_files:  # these are written anew with each change
        return True
    rows = backends.chosen_server() if backends.has_server else backends.chosen_rows()
    return rows.clear_deleted(patience=_PATIENCE)


def _set_aside(context: Context) -> Path | None:
    """Return where memories lie that were moved to another engine, and still hold their texts."""
    folder = context.paths.root / "state" / "set-aside"
    inside = context.paths.memory_dir.name
    return next((each.parent for each in sorted(folder.glob(f"*/{inside}"))), None)


def _engine(context: Context, versions: VersionLimits, *, asks: bool) -> MemoryEngine:
    if (server := memory_server(context)) is not None:
        load_modules("clawstate.memory.backends.postgres")
        from clawstate.memory.backends.postgres import PostgresMemory  # noqa: PLC0415 - few have it

        tenant = context.backends.tenant
        note = FeedNote(server, tenant)
        return PostgresMemory(
            server, tenant=tenant, clock=context.clock, versions=versions, note=note
        )
    place = memory_place(context)
    database = context.backends.database(place.database)
    before = _Guard(context, place)
    if not place.in_directory:
        vectors = place.path.parent / "vectors"
        return SqliteMemory(
            database, vectors=vectors, clock=context.clock, versions=versions, before=before
        )
    load_modules("clawstate.memory.backends.lancedb")
    from clawstate.memory.backends.lancedb import LancedbMemory  # noqa: PLC0415 - few have it

    patience = context.backends.locks().patience()
    return LancedbMemory(
        place.path,
        database=database,
        clock=context.clock,
        lock_timeout=patience,
        versions=versions,
        before=before,
        leaves=ends_soon(),
        asks=asks,
    )


class _Guard:
    """Refuses the first record of an empty memory while another one is in use, or about to be."""

    def __init__(self, context: Context, place: MemoryPlace) -> None:
        self._context = context
        self._place = place
        self._passed = False

    def __call__(self, writes: bool) -> None:  # noqa: FBT001 - of a callback
        if self._passed or not writes or self._context.backends.is_moving:
            return
        found = find_memories_elsewhere(self._context, self._place)
        if found is not None and not found.both:
            raise UnavailableError(str(found.path), found.problem, found.remedy)
        if found is None:
            self._claim()
        self._passed = True

    def _claim(self) -> None:
        """Keep programs that have the other engine open from beginning a second memory there."""
        place, backends = self._place, self._context.backends
        database = backends.database(place.database)
        # Without LanceDB nothing is made: the engine tells that it is not installed.
        if place.in_directory and not database.exists() and not find_spec("lancedb"):
            return
        load_modules("clawstate.state.memory_claim")
        from clawstate.state.memory_claim import claim  # noqa: PLC0415 - once needed

        other = usual_place(self._context, next(e for e in MEMORY_ENGINES if e != place.engine))
        claim(
            database.part(PART, MIGRATIONS),
            backends.database(other.database).part(PART, MIGRATIONS),
            f"'clawstate store migrate memory --to {place.engine}' moves what is there",
        )
