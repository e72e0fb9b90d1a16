"""What is wrong with a memory, and leases for one that is of no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from clawstate.errors import FallbackWarning, silent
from clawstate.health import FIX, Finding, Severity
from clawstate.interrupts import load_modules
from clawstate.memory.contract import INDEX, Lend, MemoryEngine
from clawstate.memory.embedders import name_of
from clawstate.memory.forgetting import Compaction
from clawstate.memory.meanings import Meanings
from clawstate.memory.writes import embed_waiting
from clawstate.quantities import number_of
from clawstate.records.contract import Lease

if TYPE_CHECKING:
    from clawstate.records.inmemory import InMemoryBackend

EMBEDDER_SETTING: Final = "memory.store.vector.embedder"
"""The setting that names the embedder of a new memory."""


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
    meanings: Meanings,
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

    def embed() -> str:
        # First, since `optimize` only warns where the embedder fails.
        with silent(FallbackWarning):  # whoever repairs is told by the error
            failed = embed_waiting(engine, meanings)
        if failed is not None:
            raise failed
        return run_optimize()

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
    found += _check_vectors(engine, meanings, path, embed)
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
        message = (
            "an index lacks records: searches are slower, or find inflected forms of few words"
        )
        found.append(Finding("memory-slow", "info", path, message, FIX, repair=run_optimize))
    return found


def _check_vectors(
    engine: MemoryEngine, meanings: Meanings, path: str, embed: Callable[[], str]
) -> Iterator[Finding]:
    """Yield why records have no vector, or none of the embedder that the configuration names."""
    kept = engine.embedder()
    waiting = engine.stats()["waiting"]
    if not meanings.by_meaning or not (kept or waiting):
        return
    count = waiting if isinstance(waiting, int) else 0
    wait = number_of(count, "record waits for its vector", "records wait for their vectors")
    if (error := meanings.obstacle()) is not None:
        left = f", and {wait}" if count else ""
        message = f"searches go by words alone{left}: {error.what}: {error.problem}"
        # An embedder of the caller's own is none that a command could have.
        is_ours = kept is None or name_of(kept) is not None
        if is_ours or count:
            severity: Severity = "warning" if is_ours else "info"
            yield Finding("memory-embedder", severity, path, message, error.hint)
        return
    if count:
        yield Finding("memory-waiting", "info", path, wait, FIX, repair=embed)
    choice = meanings.choice
    is_chosen = choice.is_set and meanings.given is None and engine.replacement.begun() is None
    if is_chosen and kept is not None and (name := name_of(kept)) not in {None, choice.name}:
        message = f"{choice.name} is asked for, and the vectors are of {kept.model}"
        hint = f"run 'clawstate memory reembed', or set {EMBEDDER_SETTING} to {name}"
        yield Finding("memory-setting", "info", path, message, hint)
