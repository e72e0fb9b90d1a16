"""
A directory shown at a second place, where its operations fail, or write too little, on demand.

It is served by a process of its own, which ends with the block that started it, or with us.
Needs mfusepy and libfuse3.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clawstate.errors import UnavailableError
from faults.victim import interpreter_environment, real_interpreter

_LIBRARY = "libfuse3.so.3"
_PATIENCE = 2.0  # seconds that a server may take to end


@cache
def available() -> str | None:
    """Return why this tool cannot work here, or `None` if it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if find_spec("mfusepy") is None:
        return "mfusepy is not installed"
    if shutil.which("fusermount3") is None:
        return "fuse3 is not installed"
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return f"{_LIBRARY} is not installed"
    return None


class Server:
    """A FUSE process of ours, which answers requests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **request: Any) -> Mapping[str, Any]:
        """Return the answer to *request*. Raises `UnavailableError` if the process has ended."""
        if self._process.stdin is None:
            raise UnavailableError("the FUSE process", "has no input")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: Mapping[str, Any] = json.loads(self.heard())
        return answer

    def heard(self) -> str:
        """Return the next line that it says."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise UnavailableError("the FUSE process", "has ended", "read what it printed")
        return line


class FaultControl:
    """Sets the faults of a mounted directory; they are counted from the last `heal`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def fail(
        self,
        operation: str,
        error: str,
        *,
        ordinal: int = 1,
        forever: bool = False,
        late: bool = False,
    ) -> None:
        """
        Let call number *ordinal* of *operation* fail with *error*, such as `ENOSPC`.

        Operations are named as FUSE does: `create`, `write`, `fsync`, `fsyncdir`, `rename`, and
        so on. With *forever* all later ones fail as well; with *late* each is done nevertheless.
        """
        fault = {"error": error, "ordinal": ordinal, "forever": forever, "late": late}
        self._set(operation, fault)

    def shorten(self, length: int, *, ordinal: int = 1, forever: bool = False) -> None:
        """Let `write` number *ordinal*, or all from there, take at most *length* bytes."""
        self._set("write", {"length": length, "ordinal": ordinal, "forever": forever})

    def heal(self) -> None:
        """Forget all faults and counts."""
        self._server.ask(verb="heal")

    def calls(self) -> Mapping[str, int]:
        """Return how often each operation was called since the last `heal`."""
        calls: Mapping[str, int] = self._server.ask(verb="tell")["calls"]
        return calls

    def met(self) -> int:
        """Return how many calls met a fault since the last `heal`."""
        return int(self._server.ask(verb="tell")["met"])

    def _set(self, operation: str, fault: Mapping[str, object]) -> None:
        self._server.ask(verb="fail", fault={"operation": operation, **fault})


@contextmanager
def faulty_mount(backing: Path, mountpoint: Path) -> Iterator[FaultControl]:
    """
    Show the directory *backing* at *mountpoint*, with the control of its faults.

    Raises `UnavailableError` if it cannot be mounted.
    """
    with serving("passthrough.py", str(backing), str(mountpoint), mountpoint=mountpoint) as server:
        yield FaultControl(server)


@contextmanager
def serving(program: str, *arguments: str, mountpoint: Path) -> Iterator[Server]:
    """Run *program* of this package, which mounts at *mountpoint*, until the block ends."""
    environment = {**interpreter_environment(), "FUSE_LIBRARY_PATH": _LIBRARY}
    command = [real_interpreter(), "-S", "-s", "-B", "-P", str(Path(__file__).with_name(program))]
    with subprocess.Popen(
        [*command, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # whoever ends our group leaves it to the end of its input
    ) as process:
        try:
            server = Server(process)
            server.heard()
            yield server
        finally:
            _unmount(mountpoint)
            _finish(process)


def _unmount(mountpoint: Path) -> None:
    """Take the mount away at once, also from an ordinary user and from files that are open."""
    command = ["fusermount3", "-u", "-z", "-q", str(mountpoint)]
    subprocess.run(command, capture_output=True, check=False)


def _finish(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
