"""
A victim: a Python program that says what it has done, to be harmed while it does it.

Its script prints these lines, each as a whole and flushed at once by the launcher:

- `WARM` when everything is imported that its runs may share; they are forked from there, so that
  a run takes milliseconds. What the script does before must open no file and start no thread.
- `READY` when faults may begin: system calls before it are no points. Until then it may prepare.
- one line for each operation that was acknowledged, and whatever else the checker wants to know.

`sys.argv[1:]` are the arguments of the run, but only behind `WARM`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import clawstate
from clawstate.errors import InvalidError, UnavailableError

_LAUNCHER = Path(__file__).with_name("launcher.py")
_SOURCES = (Path(clawstate.__file__).parents[1], Path(__file__).parents[1])
_WARM, _READY = "WARM", "READY"
_PATIENCE = 2.0  # seconds that the warm process may take to end


@dataclass(frozen=True)
class Outcome:
    """What a run said in whole lines, what it complained of, and how it ended."""

    lines: tuple[str, ...]
    complaint: str
    status: int | None
    """The exit code, or minus the signal that ended it; `None` if nobody waited for it."""
    injected: int = 0
    """How many calls the fault met."""

    @property
    def killed(self) -> bool:
        """Tell whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL


@dataclass(frozen=True)
class Run:
    """A forked process of a victim, which waits for `go`."""

    pid: int
    said: Path
    complaint: Path

    def go(self) -> None:
        """Let it begin."""
        os.kill(self.pid, signal.SIGUSR1)

    def end(self) -> None:
        """Kill it and every process that it started, if any is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def outcome(self, status: int | None, *, injected: int = 0) -> Outcome:
        """Return what it said, with how it ended."""
        lines = whole_lines(self.said.read_text(encoding="utf-8"))
        return Outcome(lines, self.complaint.read_text(encoding="utf-8"), status, injected)


class Victim:
    """
    A script, given as text or as a path, that can be run again and again.

    The project and the installed packages can be imported by it; the interpreter is the real
    binary, without `site`. *environment* is added to ours, and *prefix* is a command that starts
    the interpreter, for `run` only. Use it as a context manager: it holds a warm process and a
    scratch directory. Several threads may run it at once.
    """

    def __init__(
        self,
        script: str | Path,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float = 20.0,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self._kind = "file" if isinstance(script, Path) else "text"
        self._script = str(script)
        self._prefix = prefix
        self._environment = {**interpreter_environment(), **(environment or {})}
        self.timeout = timeout
        """How many seconds a run may take."""
        self._scratch = Path(tempfile.mkdtemp(prefix="clawstate-victim-"))
        self._turn = threading.Lock()
        self._count = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process and remove the scratch directory."""
        if self._line is not None:
            self._line.close()
        if self._server is not None:
            _finish(self._server)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self, *arguments: str | Path, said: Path | None = None) -> Outcome:
        """
        Run it in a process of its own, unharmed, and return what came of it.

        Its lines go to the existing file *said* if one is given. Raises `UnavailableError` if it
        takes longer than `timeout`.
        """
        with self.scratch("said", "complaint") as (mine, complaint):
            target = said or mine
            with target.open("ab") as out, complaint.open("ab") as err:
                status = self._status(self._command("run", *arguments), out.fileno(), err.fileno())
            lines = whole_lines(target.read_text(encoding="utf-8"))
            return Outcome(lines, complaint.read_text(encoding="utf-8"), status)

    @contextmanager
    def fork(self, *arguments: str | Path) -> Iterator[Run]:
        """Give a process that has loaded everything and waits; it is ended afterwards."""
        with self.scratch("said", "complaint") as (said, complaint):
            request = {
                "arguments": list(map(str, arguments)),
                "said": str(said),
                "complaint": str(complaint),
            }
            run = Run(self._forked(json.dumps(request)), said, complaint)
            try:
                yield run
            finally:
                run.end()

    @contextmanager
    def scratch(self, *names: str) -> Iterator[list[Path]]:
        """Give empty files of these *names*, which are removed afterwards."""
        with self._turn:
            self._count += 1
            paths = [self._scratch / f"{self._count}.{name}" for name in names]
        for path in paths:
            path.touch(0o600)
        try:
            yield paths
        finally:
            for path in paths:
                path.unlink()

    def _command(self, mode: str, *arguments: str | Path) -> list[str]:
        options = ["-S", "-s", "-B", "-P"]
        launcher = [*self._prefix, real_interpreter(), *options, str(_LAUNCHER)]
        return [*launcher, mode, self._kind, self._script, *map(str, arguments)]

    def _status(self, command: list[str], said: int, complaint: int) -> int:
        process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complaint,
            start_new_session=True,
        )
        try:
            return process.wait(self.timeout)
        except subprocess.TimeoutExpired as error:
            raise overdue(self.timeout) from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _forked(self, request: str) -> int:
        with self._turn:
            if self._line is None:
                self._line = self._served()
            self._line.sendall(f"{request}\n".encode())
            return int(_heard(self._line))

    def _served(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            command = self._command(f"serve:{theirs.fileno()}")
            self._server = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        ours.settimeout(self.timeout)
        try:
            _heard(ours)
        except BaseException:
            ours.close()
            raise
        return ours


def real_interpreter() -> str:
    """Return the path of the Python binary, never that of a link or shim in front of it."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def interpreter_environment() -> dict[str, str]:
    """Return our environment, so changed that this project and our packages can be imported."""
    packages = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    path = os.pathsep.join(dict.fromkeys([*map(str, _SOURCES), *packages]))
    fixed = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **fixed}


def whole_lines(said: str) -> tuple[str, ...]:
    """Return the lines of *said* that have an end, without those that only mark a stage."""
    # A last line without its end was cut off by the kill, and acknowledges nothing.
    lines = said[: said.rfind("\n") + 1].splitlines()
    return tuple(line for line in lines if line not in {_WARM, _READY})


def overdue(timeout: float) -> UnavailableError:
    """Return the error that says that a run took too long."""
    return UnavailableError("victim", f"did not end in {timeout:g} s", "look what it waits for")


def _finish(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _heard(line: socket.socket) -> str:
    said = b""
    while not said.endswith(b"\n"):
        try:
            part = line.recv(100)
        except TimeoutError as error:
            raise overdue(line.gettimeout() or 0) from error
        if not part:
            raise InvalidError("victim", "ended before it printed WARM", "print it, and flush")
        said += part
    return said.decode()
