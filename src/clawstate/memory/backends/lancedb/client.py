"""`TableProcess` and `Session`: the program's side of the process that works on the table."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from clawstate.errors import (
    CorruptError,
    LockTimeoutError,
    MissingExtraError,
    StateError,
    UnavailableError,
)
from clawstate.interrupts import Mutex, Use, hold, let_go
from clawstate.memory.backends.lancedb.messages import Message, receive, send
from clawstate.memory.backends.lancedb.stamp import CATALOGUE, table_dir

WORKER: tuple[str, ...] = (sys.executable, "-P", "-m", "clawstate.memory.backends.lancedb.worker")
"""The command of the process."""

_PATIENCE = 5.0  # seconds that the process may take to end
_ELSEWHERE = "keep memory in SQLite instead: 'clawstate store migrate memory --to sqlite'"


@dataclass(frozen=True, slots=True)
class About:
    """
    The table as a session sees it.

    `stamp` is None where there is no table, and empty where somebody else changed it meanwhile;
    `marked`: it has the columns in which we keep what OpenClaw's plugin has no column for; `ours`:
    clawstate made it.
    """

    stamp: str | None
    dimensions: int = 0
    ours: bool = True
    marked: bool = False
    rows: int = 0
    fragments: int = 0
    removed: int = 0


class TableProcess:
    """The process, which is started when it is first needed; one for all engines of a program."""

    def __init__(self, command: Sequence[str] = WORKER) -> None:
        self._command = tuple(command)
        self._mutex = Mutex()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._is_free = False
        atexit.register(self.end)

    def session(self, folder: Path, *, patience: float, known: str | None = None) -> Session:
        """
        Have the table of *folder* to ourselves for a `with` block, after *patience* s at most.

        *known* is the stamp of the version to go back to if a newer one was torn by a power cut.

        Raises `LockTimeoutError`, `MissingExtraError` without LanceDB, `UnavailableError` where it
        cannot be loaded or used, `CorruptError` for a table that holds no memories.
        """
        return Session(self, self._mutex, folder, patience, known)

    def streams(self) -> subprocess.Popen[bytes]:
        """Return the running process, started now if there is none."""
        process = self._process
        if process is not None and (self._owner != os.getpid() or process.poll() is not None):
            self._forget()
            process = None
        if process is not None and not self._is_free:
            # Cut off while it was started, or in a session: what it answers next is no answer to
            # the next question.
            self.kill(process)
            process = None
        self._is_free = False
        if process is None:
            # Not in the group of the program: what a terminal sends to that is not for it.
            self._process = process = subprocess.Popen(  # noqa: S603 - ours
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._owner = os.getpid()
            self._require_loaded(process)
        return process

    def give_back(self, process: subprocess.Popen[bytes]) -> None:
        """Let the next session have *process*, which has answered all."""
        if self._process is process:
            self._is_free = True

    def end(self) -> None:
        """End the process."""
        process = self._process
        if process is None or self._owner != os.getpid():
            self._process = None
            return
        self._close_pipes(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        if process.poll() is None:
            process.kill()
            process.wait()
        self._process = None

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End *process* at once: nobody knows what it would answer next."""
        if self._process is process:
            if self._owner == os.getpid():
                process.kill()
            self.end()

    def _require_loaded(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            answer, _ = receive(process.stdout)
        except (EOFError, json.JSONDecodeError, UnicodeDecodeError, MemoryError, OverflowError):
            self.end()
            raise UnavailableError("LanceDB", _end_of(process), _ELSEWHERE) from None
        if "error" in answer:
            self.end()
            if answer["error"] == "absent":
                raise MissingExtraError("lancedb", "LanceDB")
            raise UnavailableError("LanceDB", answer["problem"], _ELSEWHERE)

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._close_pipes(process)

    @staticmethod
    def _close_pipes(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Session:
    """A `with` block in which nobody else of ours works on the table; see `TableProcess`."""

    def __init__(
        self,
        table: TableProcess,
        mutex: Mutex,
        folder: Path,
        patience: float,
        known: str | None,
    ) -> None:
        self._table = table
        self._mutex = mutex
        self._folder = folder
        self._patience = patience
        self._known = known
        self._process: subprocess.Popen[bytes] | None = None
        self._talking = False
        self._ending = Mutex()
        self.about = About(None)

    def __enter__(self) -> Self:
        self._use = Use()
        self.thread = self._use.thread
        hold(self)
        try:
            self._keep_threads_out()
            self._process = self._table.streams()
            folder, patience = str(self._folder), self._patience
            self._ask({"folder": folder, "patience": patience, "known": self._known})
        except BaseException:
            self._finish()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Let go of the table, after an interrupt."""
        self._end()

    def scan(self) -> Iterator[tuple[Message, bytes]]:
        """Yield the rows of the table in columns, and their vectors as one run of float32."""
        for answer, blob in self._answers({"do": "scan"}):
            if "rows" in answer:
                yield answer["rows"], blob

    def look_again(self) -> None:
        """Let `about` tell of the table as it is after an error."""
        self._ask({"do": "open"})

    def write(self, remove: Sequence[str], rows: Message, vectors: bytes) -> None:
        """Put *rows* in the place of those of the same ids, and *remove* others."""
        self._ask({"do": "write", "remove": list(remove), "rows": rows}, vectors)

    def search(self, vector: bytes, count: int) -> list[str] | None:
        """
        Return the ids of *count* rows that are near to *vector* (float32), by the index.

        None where there is no index, or where the vectors of the table are not all ours.
        """
        found: list[str] | None = None
        for answer, _ in self._answers({"do": "search", "count": count}, vector):
            found = answer["ids"]
        return found

    def create(self, dimensions: int) -> None:
        """Make the table anew, without rows."""
        self._ask({"do": "create", "dimensions": dimensions})

    def optimize(self, *, index_from: int) -> None:
        """Merge small files, drop old versions, and index the vectors of so many rows or more."""
        self._ask({"do": "optimize", "index_from": index_from})

    def clear(self, *, index_from: int) -> None:
        """Write the table anew, so that no file holds what was removed from it."""
        self._ask({"do": "clear", "index_from": index_from})

    def _keep_threads_out(self) -> None:
        if not self._mutex.take(self._use.frame, patience=self._patience, reentrant=False):
            hint = "a thread of this program works on it"
            raise LockTimeoutError(str(self._folder), self._patience, hint)

    def _ask(self, message: Message, blob: bytes = b"") -> None:
        for _ in self._answers(message, blob):
            pass

    def _answers(self, message: Message, blob: bytes = b"") -> Iterator[tuple[Message, bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise UnavailableError("LanceDB", "its process has ended", "try again")
        self._talking = True  # until all was answered, what comes next is no answer to another
        try:
            send(process.stdin, message, blob)
            while True:
                answer, run = receive(process.stdout)
                if not answer.get("more"):
                    break
                yield answer, run
        except (EOFError, OSError, ValueError):
            problem = f"its process ended ({_end_of(process)})"
            raise UnavailableError("LanceDB", problem, "try again") from None
        self._talking = False
        if "error" in answer:
            raise self._error(answer)
        if answer:
            known = About.__dataclass_fields__
            self.about = About(**{name: answer[name] for name in known if name in answer})

    def _error(self, answer: Message) -> StateError:
        kind, path = answer["error"], str(table_dir(self._folder))
        if kind == "locked":
            return LockTimeoutError(path, self._patience, "another process works on it; try again")
        if kind == "foreign":
            hint = "name another directory in memory.store.path"
            return CorruptError(path, answer["problem"], hint)
        remedy = "check space and permissions, try again"
        if (self._folder / CATALOGUE).exists():
            # Without it, what lies in the table lies nowhere else.
            remedy += "; a damaged table is written anew once you have moved it away"
        return UnavailableError(path, answer["problem"], remedy)

    def _finish(self) -> None:
        self._end()
        let_go(self)

    def _end(self) -> None:
        with self._ending:
            process, self._process = self._process, None
            if process is not None:
                self._end_of_session(process)
            self._mutex.give(self._use.frame)

    def _end_of_session(self, process: subprocess.Popen[bytes]) -> None:
        if not self._talking:
            self._process = process
            with contextlib.suppress(StateError):
                self._ask({"do": "end"})
            self._process = None
        if self._talking:
            self._table.kill(process)
        else:
            self._table.give_back(process)


def _end_of(process: subprocess.Popen[bytes]) -> str:
    """Return how *process* ended, for people."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    code = process.returncode
    if code is None or code >= 0:
        return f"ended with status {code} when it was loaded"
    name = signal.Signals(-code).name
    if -code == signal.SIGILL:
        return f"ended by {name}: it needs a processor with AVX2"
    return f"ended by {name}"


_shared: dict[tuple[str, ...], TableProcess] = {}


def shared_process(command: Sequence[str] = WORKER) -> TableProcess:
    """Return the process of this program that *command* starts."""
    return _shared.setdefault(tuple(command), TableProcess(command))
