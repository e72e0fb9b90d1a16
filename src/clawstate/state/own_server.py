"""The PostgreSQL server of a state's own, for whoever has none."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.errors import StateError
from clawstate.postgres import require_driver
from clawstate.postgres.connection import is_direct
from clawstate.postgres.local_server import LocalServer
from clawstate.postgres.notices import POOLER

if TYPE_CHECKING:
    from clawstate.state.context import Context


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """
    Whether the server of a state's own runs, as process *pid*, and its *address*.

    All of it lies in *home*. The address names the file with the password, and not that itself;
    it is empty until the server was started once.
    """

    running: bool
    address: str
    home: Path
    pid: int | None = None
    notices: str = ""
    """How a process hears of changes of another through the address that the state uses."""


def server_status(context: Context) -> ServerStatus:
    """Return whether the server runs; only looks."""
    server = _server(context)
    pid = server.pid()
    address = server.url() if server.is_made else ""
    return ServerStatus(pid is not None, address, server.home, pid, _notices(context))


def _notices(context: Context) -> str:
    with suppress(StateError):  # a server that is away is told by other means
        if context.backends.has_server:
            database = context.backends.server_database(context.backends.choice)
            return "told by the server" if database.attempt(is_direct) else f"by looking: {POOLER}"
    return ""


def start_server(context: Context) -> ServerStatus:
    """
    Start the server unless it runs, and return where it is; it outlives this process.

    Raises `UnavailableError` where none is installed, or it does not start; `MissingExtraError`.
    """
    require_driver()
    _server(context).start()
    return server_status(context)


def stop_server(context: Context) -> bool:
    """Stop the server, whose clients are sent away; False if it did not run."""
    return _server(context).stop()


def _server(context: Context) -> LocalServer:
    root = context.paths.root
    if os.geteuid() != 0:
        return LocalServer(root / "postgres")
    # As root it runs as another user, who cannot pass a directory that is root's alone.
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return LocalServer(Path("/var/lib") / f"clawstate-{name}")
