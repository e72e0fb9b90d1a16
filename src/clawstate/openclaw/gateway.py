"""Whether a gateway of OpenClaw runs on a state directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.errors import StateError
from clawstate.files.json_text import parse_json
from clawstate.files.regular import read_regular

_MOST_BYTES = 1 << 16
_START = 19  # which field of /proc/<pid>/stat it is, counted from the one behind the name


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs, by its process id; *port* 0 if that is not known."""

    pid: int
    port: int = 0


def running_gateway(root: Path) -> Gateway | None:
    """
    Return the gateway that runs on the state directory *root*, by the lock file that it keeps.

    The file is only looked at; one that a killed gateway left names no process that lives.
    """
    for path in _lock_files(root):
        with suppress(StateError):
            raw = read_regular(path, limit=_MOST_BYTES)
            said = parse_json(raw.rstrip(b"\0 \n"), path=path)
            gateway = _living(said) if isinstance(said, dict) else None
            if gateway is not None:
                return gateway
    return None


def _lock_files(root: Path) -> Iterator[Path]:
    with suppress(OSError):
        for folder in sorted((root / "tmp").iterdir()):
            if folder.name.startswith("openclaw-"):
                yield folder / "gateway.state.lock"


def _living(said: dict[str, Any]) -> Gateway | None:
    pid, port, started = said.get("pid"), said.get("port"), said.get("startTime")
    if not isinstance(pid, int) or pid <= 0:
        return None
    now = _start_time(pid)
    if now is None or (isinstance(started, int) and started != now):
        return None
    return Gateway(pid, port if isinstance(port, int) else 0)


def _start_time(pid: int) -> int | None:
    """Return when the process began, in ticks; 0 where it lives and that cannot be told."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return int(text.rpartition(")")[2].split()[_START])
    except (OSError, ValueError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except PermissionError:
        return 0
    except (OSError, OverflowError):
        return None
    return 0
