from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import clawstate.errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(clawstate.errors.__file__).parent
MARK = "sched_yield"  # nothing else in a short program calls it

# The marks stand before and after what is examined; the program prints what became of it. The
# whole package is not loaded: thousands of calls would have to be the same in every run.
PROGRAM = """
import os, sys, types
from pathlib import Path
sys.modules["clawstate"] = types.ModuleType("clawstate")
sys.modules["clawstate"].__path__ = [sys.argv[3]]
from clawstate.errors import StateError
from clawstate.files import atomic
path = Path(sys.argv[1])
print("start", flush=True)
os.umask(int(sys.argv[2], 8))
os.sched_yield()
try:
    {action}
except StateError as error:
    outcome = f"{{type(error).__name__}} {{error}}"
else:
    outcome = "done"
os.sched_yield()
os.writev(1, [outcome.encode()])  # a broken write() must not silence it
"""

STRACE = shutil.which("strace")


@dataclass(frozen=True)
class Call:
    """A system call between the marks; *nth* counts its name from the program's start."""

    name: str
    line: str
    nth: int


@dataclass(frozen=True)
class Victim:
    """A real process that runs one line of Python on a path, under strace."""

    action: str
    path: Path
    log: Path
    umask: int = 0o022

    def run(self, *options: str) -> tuple[str, str]:
        """Return its last line, and the trace; *options* are those of strace."""
        done = subprocess.run(
            [STRACE, "-f", "-qq", "-s", "64", "-o", self.log, *options, *self._command()],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("start"), done.stderr
        return done.stdout.splitlines()[-1], self.log.read_text()

    def calls(self) -> list[Call]:
        """Return the calls between the marks of an undisturbed run."""
        outcome, trace = self.run()
        assert outcome == "done"
        return list(_between_marks(trace))

    def _command(self) -> list[str]:
        program = PROGRAM.format(action=self.action)
        # The venv's python can be a shell script, whose calls would be counted too.
        python = os.path.realpath(sys.executable)
        return [python, "-S", "-c", program, str(self.path), oct(self.umask), str(PACKAGE)]

    def _environment(self) -> dict[str, str]:
        return {
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PATH": os.environ["PATH"],
        }


def _between_marks(trace: str) -> Iterator[Call]:
    counts: dict[str, int] = {}
    marks = 0
    for line in trace.splitlines():
        match = re.match(r"(?:\d+\s+)?(\w+)\(", line)
        if match is None:
            continue
        name = match[1]
        counts[name] = counts.get(name, 0) + 1
        marks += name == MARK
        if marks == 1 and name != MARK:
            yield Call(name, line, counts[name])


@pytest.fixture
def victim(tmp_path: Path) -> Callable[..., Victim]:
    """Return a maker of victims whose path lies in an own directory."""
    if STRACE is None:
        pytest.skip("strace is not installed")
    room = tmp_path / "state"
    room.mkdir()

    def make(action: str, *, name: str = "a.json", umask: int = 0o022) -> Victim:
        return Victim(action, room / name, tmp_path / "trace", umask)

    return make
