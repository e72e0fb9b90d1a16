"""What is wrong with a memory, and leases for one that is of no state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clawstate.health import FIX, Finding
from clawstate.interrupts import load_modules
from clawstate.memory.contract import INDEX, Lend, MemoryEngine
from clawstate.memory.forgetting import Compaction
from clawstate.quantities import number_of
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
    waiting = engine.stats()["waiting"]
    if isinstance(waiting, int) and waiting:
        one, many = "record waits for its vector", "records wait for their vectors"
        message = number_of(waiting, one, many)
        found.append(Finding("memory-waiting", "info", path, message, FIX, repair=run_optimize))
    if forgotten := engine.uncompacted():
        before = number_of(forgotten, "record")
        message = f"the file still holds bytes of {before} forgotten, changed or embedded anew"
        found.append(Finding("memory-forgotten", "info", path, message, FIX, repair=run_compact))
    if (begun := engine.replacement.begun()) is not None:
        having = number_of(begun.done, "record has", "records have")
        message = f"{having} a vector of {begun.embedder.model}, by which nothing is searched yet"
        hint = "'clawstate memory reembed' goes on; with --discard it drops what was begun"
        found.append(Finding("memory-reembed", "info", path, message, hint))
    if engine.needs_optimizing():
        message = "the vector index lacks records; opening takes longer than need be"
        found.append(Finding("memory-slow", "info", path, message, FIX, repair=run_optimize))
    return found
