"""`Entry`: how a client starts our server."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clawstate.files.paths import resolve_state_dir

NAME: Final = "clawstate"
"""The name of our server in every client."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The program and its arguments, by absolute paths: a client may not know our PATH."""

    command: str
    args: tuple[str, ...]

    def document(self, *, typed: bool) -> dict[str, Any]:
        """Return it as clients keep it; *typed* with the member `type`, which some ask for."""
        kind = {"type": "stdio"} if typed else {}
        return {**kind, "command": self.command, "args": list(self.args)}


def this_entry(
    *,
    state_dir: str | None = None,
    store: str | None = None,
    agent: str | None = None,
    read_only: bool = False,
) -> Entry:
    """Return what starts this clawstate on the state that it would use itself."""
    root = Path(state_dir).expanduser().absolute() if state_dir else resolve_state_dir().absolute()
    program = Path(sys.executable).with_name("clawstate")
    # Without the script of the package, as from a source tree, the interpreter runs it.
    start = [str(program)] if os.access(program, os.X_OK) else [sys.executable, "-m", "clawstate"]
    options: list[str] = []
    # A client starts it with an environment of its own, in which nothing need name the directory.
    if root != Path.home() / ".openclaw":
        options += ["--state-dir", str(root)]
    options += ["--store", store] if store else []
    options += ["--agent", agent] if agent else []
    verb = ["mcp", "serve", *(["--read-only"] if read_only else [])]
    return Entry(start[0], (*start[1:], *options, *verb))
