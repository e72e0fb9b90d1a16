"""The memory of a state, wired to its database and its settings."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clawstate.config.settings import (
    MEMORY_EMBEDDER,
    MEMORY_THREADS,
    MEMORY_TYPE,
    MEMORY_VECTORS,
    MEMORY_VERSIONS,
    QUERY_ENTRIES,
    QUERY_TTL,
)
from clawstate.config.unsupported import require_supported
from clawstate.errors import CorruptError, UnavailableError
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.embedders import DEFAULT_CHOICE, EmbedderChoice
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.service import Memory
from clawstate.memory.versions import MOST_VERSIONS
from clawstate.state.context import Context
from clawstate.state.memory_place import memory_db

if TYPE_CHECKING:
    from clawstate.memory.contract import Embedder


def open_memory(context: Context, embedder: Embedder | None = None) -> Memory:
    """
    Return the memory of the state on *context*; nothing is made before the first record.

    Place, cache and whether it searches by meaning are those of the configuration of now. Raises
    `ConfigError` for an engine or an embedder that this version does not have; an *embedder* that
    is given stands in for the one of the configuration.
    """
    cache, by_meaning, choice = QueryCache(), True, DEFAULT_CHOICE
    versions = MOST_VERSIONS
    with suppress(CorruptError, UnavailableError):  # what cannot be read asks for nothing
        view = context.config.view()
        if embedder is None or MEMORY_TYPE.of(view) != MEMORY_TYPE.default:
            require_supported(view.loaded.resolved, "memory")
        if not view.waits("caches.query"):  # for what it costs, nobody must do without the memory
            ttl, entries = QUERY_TTL.of(view), QUERY_ENTRIES.of(view)
            cache = QueryCache(size=entries if ttl else 0, ttl=ttl or None)
        versions = MEMORY_VERSIONS.of(view)
        by_meaning = MEMORY_VECTORS.of(view)
        choice = EmbedderChoice(MEMORY_EMBEDDER.of(view), MEMORY_THREADS.of(view))
    path = memory_db(context)
    database = context.backends.database(path)
    backend = SqliteMemory(
        database, vectors=path.parent / "vectors", clock=context.clock, versions=versions
    )
    return Memory(
        backend,
        embedder=embedder,
        clock=context.clock,
        cache=cache,
        by_meaning=by_meaning,
        choice=choice,
        lend=lambda name, ttl, wait: context.backends.records().lease(name, ttl, wait=wait),
    )
