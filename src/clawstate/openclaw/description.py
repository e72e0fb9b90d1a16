"""The OpenClaw that a directory belongs to, and whether its gateway runs; read live, on request."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.errors import StateError
from clawstate.files.json_text import parse_json
from clawstate.files.regular import read_regular
from clawstate.json5.parse import parse_json5
from clawstate.openclaw.owner import Era, Owner, state_database
from clawstate.openclaw.reading import read_schemas, read_sessions
from clawstate.openclaw.schema import Role

_MOST_BYTES = 16 << 20

_MOST_LOCK_BYTES = 1 << 16
_START = 19  # which field of /proc/<pid>/stat it is, counted from the one behind the name


@dataclass(frozen=True, slots=True)
class Description:
    """
    What the OpenClaw of *owner* is.

    *version* is empty where it is not known, *schemas* the numbers of the database of the state and
    of agents, *sessions* how many its databases hold, *gateway* the process id of the gateway that
    runs here. *problems* tell what could not be read.
    """

    owner: Owner
    version: str = ""
    schemas: tuple[int, ...] = ()
    agents: tuple[str, ...] = ()
    sessions: int | None = None
    gateway: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        if self.owner.era is Era.NOBODY:
            return "no OpenClaw uses this directory"
        era = "SQLite era" if self.owner.era is Era.SQLITE else "file era"
        told = [era]
        if self.schemas:
            told.append(f"schemas {'/'.join(map(str, self.schemas))}")
        if self.gateway is not None:
            told.append(f"gateway running as pid {self.gateway}")
        elif self.owner.era is Era.SQLITE:
            told.append("no gateway running")
        return f"{self.name} ({', '.join(told)})"

    @property
    def name(self) -> str:
        """What it is called: `OpenClaw 2026.9.6`, or without a version that is not known."""
        return f"OpenClaw {self.version}".rstrip()


def describe(owner: Owner) -> Description:
    """Return what the files and databases of *owner* say; nothing of it is changed."""
    if owner.era is Era.NOBODY:
        return Description(owner)
    if owner.era is Era.FILES:
        return Description(owner, _configured_version(owner.root), agents=tuple(_agents(owner)))
    found = read_schemas(owner.root)
    state = found.by_path.get(state_database(owner.root))
    numbers = [] if state is None else [state.version]
    of_agents = [each for each in found.by_path.values() if each.role is Role.AGENT]
    if of_agents:
        numbers.append(max(each.version for each in of_agents))
    programs = [each.program for each in found.by_path.values() if each.program]
    sessions = read_sessions(owner.root)
    gateway = running_gateway(owner.root)
    newest = max(programs, key=_numbers_of, default="")
    return Description(
        owner,
        state.program if state is not None and state.program else newest,
        tuple(numbers),
        tuple(sorted({each.agent for each in of_agents if each.agent})),
        sum(len(each) for each in sessions.by_agent.values()),
        None if gateway is None else gateway.pid,
        tuple(dict.fromkeys(str(each) for each in (*found.problems, *sessions.problems))),
    )


def _numbers_of(version: str) -> list[int]:
    # As text, 2026.9.6 would come behind 2026.10.1.
    return [int(each) for each in re.findall(r"[0-9]{1,9}", version)]


def _configured_version(root: Path) -> str:
    """Return the version that OpenClaw of the file era leaves in its configuration."""
    path = root / "openclaw.json"
    with suppress(StateError):
        found: Any = parse_json5(read_regular(path, limit=_MOST_BYTES), path=path)
        meta = found.get("meta") if isinstance(found, dict) else None
        version = meta.get("lastTouchedVersion") if isinstance(meta, dict) else None
        if isinstance(version, str):
            return version
    return ""


def _agents(owner: Owner) -> Iterator[str]:
    with suppress(OSError):
        yield from sorted(each.name for each in os.scandir(owner.root / "agents") if each.is_dir())


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
            raw = read_regular(path, limit=_MOST_LOCK_BYTES)
            said = parse_json(raw.rstrip(b"\0 \n"), path=path)
            gateway = _alive_gateway(said) if isinstance(said, dict) else None
            if gateway is not None:
                return gateway
    return None


def _lock_files(root: Path) -> Iterator[Path]:
    with suppress(OSError):
        for folder in sorted((root / "tmp").iterdir()):
            if folder.name.startswith("openclaw-"):
                yield folder / "gateway.state.lock"


def _alive_gateway(said: dict[str, Any]) -> Gateway | None:
    pid, port, started = said.get("pid"), said.get("port"), said.get("startTime")
    if not isinstance(pid, int) or pid <= 0:
        return None
    now = _start_time(pid)
    # The number of a gateway that was killed may be that of another process by now.
    if now is None or (isinstance(started, int) and now and started != now):
        return None
    return Gateway(pid, port if isinstance(port, int) else 0)


def _start_time(pid: int) -> int | None:
    """Return when the process began, in ticks; 0 if it runs and the time is unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        # proc_pid_stat(5): the name of the program stands in brackets, and may hold blanks and
        # brackets.
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
