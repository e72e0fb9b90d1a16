"""
A pid that comes back on demand, and a clock that jumps.

Pids come back in a pid namespace, where the kernel's counter may be set. Clocks jump by
libfaketime: only the wall clock, as after a correction, never the monotonic one.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from faults.victim import Outcome, Victim

_UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


@cache
def available() -> str | None:
    """Return why no pid namespace can be made here, or `None` if one can."""
    if shutil.which(_UNSHARE[0]) is None:
        return "unshare is not installed"
    if subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode:
        return "this user may make no pid namespace"
    return None


@cache
def clock_available() -> str | None:
    """Return why no clock can jump here, or `None` if one can."""
    return None if _faketime() else "libfaketime is not installed"


def in_pid_namespace(script: str | Path, *arguments: str | Path, timeout: float = 20.0) -> Outcome:
    """
    Run *script* as the first process of a pid namespace with its own `/proc`.

    It ends every other process of the namespace with it. Needs root.
    """
    with Victim(script, timeout=timeout, prefix=_UNSHARE) as victim:
        return victim.run(*arguments)


def set_next_pid(pid: int) -> None:
    """
    Let the next process or thread of this pid namespace get *pid*, if that is free.

    Only for scripts inside `in_pid_namespace`: elsewhere others take pids at the same time.
    """
    _LAST_PID.write_text(str(pid - 1), encoding="ascii")


def faketime_env(file: Path) -> dict[str, str]:
    """
    Return the environment in which a victim's wall clock obeys *file*, as `jump` writes it.

    The file must exist before the victim starts.
    """
    return {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def jump(file: Path, seconds: float) -> None:
    """Set the wall clock of the victims that obey *file* to *seconds* after the true time."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(f"{seconds:+.6f}", encoding="ascii")
    new.replace(file)  # a victim must never read half a number


@cache
def _faketime() -> Path | None:
    patterns = ("*/faketime/libfaketime.so.1", "faketime/libfaketime.so.1")
    places = (Path(each) for each in _LIBRARIES)
    return next((file for place in places for each in patterns for file in place.glob(each)), None)
