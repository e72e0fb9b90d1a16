"""Who has a port: asked of the system, as far as it tells."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LISTENS: Final = "0A"  # the state of a socket in /proc/net/tcp
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_MOST_TRIED: Final = 100
_LAST_PORT: Final = 65_535
_LONGEST: Final = 60  # characters of a command that are shown


def describe_holder(port: int) -> str:
    """Return who listens at *port*, for a sentence: its name and process id if they can be seen."""
    found = next(_processes({*_inodes(port)}), None)
    if found is None:
        return "another program, which this user cannot see"
    pid, command = found
    if "clawstate" in command:
        return f"another clawstate gateway (process {pid})"
    if "openclaw" in command or "clawdbot" in command:
        return f"the gateway of OpenClaw (process {pid})"
    return f"{command[:_LONGEST]!r} (process {pid})"


def free_port(first: int) -> int:
    """Return a port from *first* on that nobody has."""
    for port in range(first, min(first + _MOST_TRIED, _LAST_PORT + 1)):
        with suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            return port
    return first


def _inodes(port: int) -> Iterator[str]:
    """Yield the sockets that listen at *port*, by their inodes."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _processes(inodes: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the processes that have one of *inodes* open, with what they were started as."""
    if not inodes:
        return
    for folder in Path("/proc").glob("[0-9]*"):
        # Those of other users cannot be looked into, and others end meanwhile.
        with suppress(OSError):
            held = (_SOCKET.fullmatch(os.readlink(each)) for each in (folder / "fd").iterdir())  # noqa: PTH115 - no path
            if any(each is not None and each[1] in inodes for each in held):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                yield int(folder.name), b" ".join(words).decode(errors="replace").strip()
