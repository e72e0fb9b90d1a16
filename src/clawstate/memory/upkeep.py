"""What is wrong with a memory, its usable embedder, and leases for one that is of no state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clawstate.errors import EmbeddingError, FallbackWarning, warn
from clawstate.health import FIX, Finding
from clawstate.interrupts import load_modules
from clawstate.memory.contract import INDEX, Embedder, Lend, MemoryEngine
from clawstate.memory.embedders import EmbedderChoice
from clawstate.memory.forgetting import Compaction
from clawstate.records.contract import Lease

if TYPE_CHECKING:
    from clawstate.records.inmemory import InMemoryBackend


def lend_in_process() -> Lend:
    """Return leases among the threads of this process, for a memory that is of no state."""
    backends: list[InMemoryBackend] = []

    def lend(name: str, ttl: float, wait: float) -> Lease:
        if not backends:
            load_modules("clawstate.records.inmemory")
            from clawstate.records.inmemory import InMemoryBackend  # noqa: PLC0415 - once needed

            backends.append(InMemoryBackend())
        return backends[0].lease(name, ttl, wait=wait)

    return lend


def usable_embedder(
    engine: MemoryEngine, given: Embedder | None, choice: EmbedderChoice
) -> Embedder | None:
    """Return *given*, or that of *choice*, if *engine* keeps vectors of it or none; else warn."""
    kept = engine.embedder()
    try:
        embedder = given or choice.for_memory(kept)
        identity = embedder.identity
    except EmbeddingError as error:
        warn(FallbackWarning(f"searching by words only: {error}"), stacklevel=4)
        return None
    # Cosines between vectors of two models mean nothing (decision 3).
    if kept is not None and kept != identity:
        message = (
            f"searching by words only: this memory keeps vectors of {kept.model}, "
            f"which those of {identity.model} cannot be compared with; "
            "open it with the embedder it was made with"
        )
        warn(FallbackWarning(message), stacklevel=4)
        return None
    return embedder


def check_engine(
    engine: MemoryEngine,
    rebuild: Callable[[], None],
    optimize: Callable[[], None],
    compact: Callable[[], Compaction],
    *,
    deep: bool,
) -> list[Finding]:
    """Return what is wrong with *engine*; what derives from its records is mended by the others."""
    path = str(getattr(engine, "path", "memory"))

    def repair_index() -> str:
        rebuild()
        return "built anew"

    def run_optimize() -> str:
        optimize()
        return "done"

    def run_compact() -> str:
        done = compact()
        return "done" if done.complete else f"waits for {done.waits_for}"

    wrong = engine.check(deep=deep)
    # Whatever else is wrong, an index is never a reason to go back to a backup.
    found = [
        Finding(code, "error", path, message, "restore the newest backup")
        for code, message in wrong
        if code != INDEX
    ]
    found += [
        Finding(code, "warning", path, message, FIX, repair=repair_index)
        for code, message in wrong
        if code == INDEX
    ]
    if waiting := engine.stats()["waiting"]:
        message = f"{waiting} records wait for their vectors"
        found.append(Finding("memory-waiting", "info", path, message, FIX, repair=run_optimize))
    if forgotten := engine.uncompacted():
        message = f"bytes of {forgotten} forgotten or changed records are still in the file"
        found.append(Finding("memory-forgotten", "info", path, message, FIX, repair=run_compact))
    if engine.needs_optimizing():
        message = "the vector index lacks records; opening takes longer than need be"
        found.append(Finding("memory-slow", "info", path, message, FIX, repair=run_optimize))
    return found
