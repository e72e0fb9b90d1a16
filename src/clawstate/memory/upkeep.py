"""What is wrong with a memory; and `Upkeep`, which brings its indexes up to date meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from clawstate.errors import LeaseLostError, LockTimeoutError, StateError
from clawstate.health import FIX, Finding
from clawstate.interrupts import Mutex, Signal, load_modules
from clawstate.memory.contract import INDEX, Lend, MemoryEngine
from clawstate.records.contract import Lease

if TYPE_CHECKING:
    from clawstate.records.inmemory import InMemoryBackend

_LOOK_AFTER = 2_000  # added records between two looks
_QUIET = 2.0  # seconds without a write: a bulk load needs the processor itself
_LEASE = "memory-index"
_TTL = 600.0  # seconds that one step of a build takes at most; a holder that died is not waited for


class Upkeep:
    """
    One background thread at most, started by writes and never by searches.

    It only makes derived data, so it may fail, be cancelled or killed at any time. By a lease that
    *lend* gives, one process alone does it: the others would build the same once more.
    """

    def __init__(
        self, engine: MemoryEngine, lend: Lend | None = None, *, quiet: float = _QUIET
    ) -> None:
        self._engine = engine
        self._lend = lend or lend_in_process()
        self._quiet = quiet
        self._mutex = Mutex()
        self._stopping = False
        self._written = Signal()
        self._thread: threading.Thread | None = None
        self._unseen = 0

    def noticed(self, added: int) -> None:
        """Take note that *added* records were written."""
        with self._mutex:
            self._written.give()
            self._unseen += added
            if self._unseen < _LOOK_AFTER or self._stopping:
                return
            if self._thread is None or not self._thread.is_alive():
                # Counted from its start: what is written while it waits for quiet is in what it
                # builds.
                self._unseen = 0
                self._thread = threading.Thread(
                    target=self._run, name="clawstate-upkeep", daemon=True
                )
                self._thread.start()

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Bring the indexes up to date, unless another process is just doing that."""
        if not self._engine.stats()["records"]:
            # Nothing that two could do twice: an empty memory makes no file, and no lease either.
            self._engine.optimize(progress=progress, cancelled=cancelled)
            return
        try:
            lease = self._lend(_LEASE, _TTL, 0.0)
        except LockTimeoutError:
            return
        with lease:
            self._engine.optimize(
                progress=progress,
                cancelled=lambda: _is_lost(lease) or (cancelled is not None and cancelled()),
            )

    def close(self) -> None:
        """End the thread; what it was building is given up or published as far as it came."""
        with self._mutex:
            self._stopping = True
            self._written.give()
            thread = self._thread
        if thread is not None and thread.is_alive():  # not where an interrupt kept it from starting
            thread.join()

    def _run(self) -> None:
        self._written.take(0)  # the write that started this
        while not self._stopping and self._written.take(self._quiet):
            pass
        # Nothing here is owed to anybody: the next write or `optimize` tries again.
        with contextlib.suppress(StateError):
            if not self._stopping and self._engine.needs_optimizing():
                self.optimize(cancelled=lambda: self._stopping)


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


def _is_lost(lease: Lease) -> bool:
    try:
        lease.keep_alive()
    except LeaseLostError:
        return True
    return False


def check_engine(
    engine: MemoryEngine,
    *,
    deep: bool,
    rebuild: Callable[[], None],
    optimize: Callable[[], None],
) -> list[Finding]:
    """Return what is wrong with *engine*; what derives from its records is mended by the two."""
    path = str(getattr(engine, "path", "memory"))

    def rebuilt() -> str:
        rebuild()
        return "built anew"

    def optimized() -> str:
        optimize()
        return "done"

    wrong = engine.check(deep=deep)
    # Whatever else is wrong, an index is never a reason to go back to a backup.
    found = [
        Finding(code, "error", path, message, "restore the newest backup")
        for code, message in wrong
        if code != INDEX
    ]
    found += [
        Finding(code, "warning", path, message, FIX, repair=rebuilt)
        for code, message in wrong
        if code == INDEX
    ]
    if waiting := engine.stats()["waiting"]:
        message = f"{waiting} records wait for their vectors"
        found.append(Finding("memory-waiting", "info", path, message, FIX, repair=optimized))
    if engine.needs_optimizing():
        message = "the vector index is missing or far behind; searches are slower than need be"
        found.append(Finding("memory-slow", "info", path, message, FIX, repair=optimized))
    return found
