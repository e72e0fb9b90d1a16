"""`State`: one opened state directory, and the only place where its parts are wired together."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clawstate.clock import Clock, system_clock
from clawstate.config.service import Config
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths, resolve_state_dir
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.service import Memory

if TYPE_CHECKING:
    from clawstate.memory.contract import Embedder


class State:
    """
    Everything that an agent must not lose, in the directory `paths.root`.

    Opening reads and creates nothing; the first write makes what it needs. Close it, or use it
    in a `with` block.
    """

    def __init__(
        self,
        root: Path,
        *,
        embedder: Embedder | None = None,
        clock: Clock = system_clock,
        lock_timeout: float = 30.0,
    ) -> None:
        self.paths = StatePaths(root)
        backend = SqliteMemory(
            self.paths.memory_db,
            vectors=self.paths.memory_dir / "vectors",
            clock=clock,
            lock_timeout=lock_timeout,
        )
        self.memory = Memory(backend, embedder=embedder, clock=clock)
        self.config = Config(self.paths, clock=clock, lock=LockOptions(timeout=lock_timeout))

    def close(self) -> None:
        """Release files and threads; a later call raises `ClosedError`."""
        self.memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"State({str(self.paths.root)!r})"


def open_state(
    path: str | os.PathLike[str] | None = None,
    *,
    embedder: Embedder | None = None,
    clock: Clock = system_clock,
    lock_timeout: float = 30.0,
) -> State:
    """
    Open the state in the directory *path*: by default `$OPENCLAW_STATE_DIR`, else `~/.openclaw`.

    *embedder* turns text into vectors (default: the local model). *lock_timeout* is how long a
    write waits for other writers, in seconds.
    """
    root = resolve_state_dir() if path is None else Path(path).expanduser().absolute()
    return State(root, embedder=embedder, clock=clock, lock_timeout=lock_timeout)
