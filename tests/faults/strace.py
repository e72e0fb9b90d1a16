"""
Kill a victim, or fail its call, at any system call: one fault a run, every call in turn.

A run is forked from the victim's warm process, and strace is attached before it begins, so that
calls are counted from the same place each time. strace counts the calls of each thread and process
on its own: a point is met by whichever makes its call of that name that often first.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from clawstate.errors import UnavailableError
from faults.victim import Outcome, Run, Victim, overdue

_T = TypeVar("_T")
_CALL = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$", re.MULTILINE)
_END = r"^{pid} +\+\+\+ (?:exited with (?P<code>\d+)|killed by (?P<signal>\w+))"
_MARK = "writev(1<"  # how the launcher sends the victim's lines
_READY = '"READY\\n"'

# They have no error that a program could meet, or end the process.
_INFALLIBLE = re.compile(
    r"rt_sig.*|exit.*|brk|mprotect|munmap|madvise|futex|get.*id|restart_syscall"
)


@dataclass(frozen=True)
class SyscallPoint:
    """The system call *call* that a thread makes for the time number *ordinal*, from 1."""

    call: str
    ordinal: int
    text: str = field(default="", compare=False)
    """The call as strace shows it, for a person to read."""

    @property
    def fallible(self) -> bool:
        """Tell whether an error of this call is the victim's to handle."""
        return not _INFALLIBLE.fullmatch(self.call) and not self.text.startswith(_MARK)


@dataclass(frozen=True)
class SyscallFault:
    """What happens to the *call* that a thread makes for the time number *ordinal*."""

    call: str
    error: str = ""
    """The error that it fails with, such as `EIO`; without one SIGKILL ends the process."""
    ordinal: int = 1
    forever: bool = False
    """Whether each later call of that name fares the same."""

    def __str__(self) -> str:
        what = f"error={self.error}" if self.error else "signal=KILL"
        return f"{self.call}:{what}:when={self.ordinal}{'+' if self.forever else ''}"


@cache
def available() -> str | None:
    """Return why this tool cannot work here, or `None` if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-qq", "-o", os.devnull, "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return "strace may not trace processes here"
    return None


def trace(victim: Victim, *arguments: str | Path) -> tuple[SyscallPoint, ...]:
    """
    Run *victim* unharmed and return each of its system calls behind `READY`, in their order.

    Raises `UnavailableError` if it does not end well.
    """
    outcome, log = _traced(victim, arguments, "-e", "trace=all", "-s", "64", "-y")
    if outcome.status != 0:
        raise UnavailableError("victim", f"failed unharmed: {outcome.complaint}", "mend it")
    return tuple(_points(log))


def run_killed(victim: Victim, point: SyscallPoint, *arguments: str | Path) -> Outcome:
    """Run *victim*, which SIGKILL ends as it enters the call of *point*; all its family dies."""
    return run_with(victim, [SyscallFault(point.call, ordinal=point.ordinal)], *arguments)


def run_failing(
    victim: Victim, point: SyscallPoint, error: str, *arguments: str | Path, forever: bool = False
) -> Outcome:
    """
    Run *victim*, whose call of *point* does nothing but fail with *error*, such as `EIO`.

    With *forever* each later call of that name fails as well.
    """
    fault = SyscallFault(point.call, error, ordinal=point.ordinal, forever=forever)
    return run_with(victim, [fault], *arguments)


def run_with(victim: Victim, faults: Sequence[SyscallFault], *arguments: str | Path) -> Outcome:
    """Run *victim* under several *faults*, at most one for each name of a call."""
    calls = ",".join(fault.call for fault in faults)
    options = [option for fault in faults for option in ("-e", f"inject={fault}")]
    return _traced(victim, arguments, "-e", f"trace={calls}", *options)[0]


def spread(work: Callable[[_T], None], items: Iterable[_T], *, workers: int = 2) -> int:
    """
    Call *work* with each of *items*, in several threads at once, and return how many there were.

    The first error is raised when all are done.
    """
    with ThreadPoolExecutor(workers) as pool:
        return sum(1 for _ in pool.map(work, items))


def _traced(
    victim: Victim, arguments: tuple[str | Path, ...], *options: str
) -> tuple[Outcome, str]:
    with victim.scratch("log") as (log,), victim.fork(*arguments) as run:
        with _attached(run, log, *options) as tracer:
            _finish(run, tracer, victim.timeout)
        found = log.read_text(encoding="utf-8", errors="replace")
        return run.outcome(_status(run, found), injected=found.count("(INJECTED)")), found


@contextmanager
def _attached(run: Run, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = ["strace", "-f", "-o", str(log), *options, "-p", str(run.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        try:
            yield tracer
        finally:
            run.end()


def _finish(run: Run, tracer: subprocess.Popen[bytes], timeout: float) -> None:
    said = tracer.stderr.readline() if tracer.stderr else b""
    if b" attached" not in said:
        raise UnavailableError("strace", said.decode().strip() or "ended at once")
    watched = os.pidfd_open(run.pid)
    try:
        run.go()
        if not select.select([watched], [], [], timeout)[0]:
            raise overdue(timeout)
    finally:
        os.close(watched)


def _points(log: str) -> Iterator[SyscallPoint]:
    made: Counter[tuple[str, str]] = Counter()
    found: dict[SyscallPoint, None] = {}
    for match in filter(None, map(_CALL.match, _whole(log))):
        place = match["pid"], match["call"]
        made[place] += 1
        text = f"{match['call']}({match['rest']}"
        found.setdefault(SyscallPoint(match["call"], made[place], text))
        if text.startswith(_MARK) and _READY in text:
            found.clear()
    yield from found


def _whole(log: str) -> Iterator[str]:
    """Yield the lines of *log*, each call that another thread cut in two as one."""
    rest: dict[tuple[str, str], list[str]] = {}
    for match in _RESUMED.finditer(log):
        rest.setdefault((match["pid"], match["call"]), []).append(match["rest"])
    for line in log.splitlines():
        begun = _CALL.match(line)
        if begun is not None and line.endswith(_UNFINISHED):
            ends = rest.get((begun["pid"], begun["call"]))
            yield line.removesuffix(_UNFINISHED) + (ends.pop(0) if ends else "")
        else:
            yield line


def _status(run: Run, log: str) -> int | None:
    match = re.search(_END.format(pid=run.pid), log, re.MULTILINE)
    if match is None:
        return None
    return int(match["code"]) if match["code"] else -signal.Signals[match["signal"]]
