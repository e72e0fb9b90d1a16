"""The noun `mcp`: serve the memory to clients of the Model Context Protocol."""

from __future__ import annotations

import logging
import sys

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.session import Session


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    examples=("clawstate mcp serve --read-only < /dev/null",),
)
def mcp() -> None:
    """
    Serve the memory to clients of the Model Context Protocol (MCP).

    Claude Code, Codex, OpenClaw and other agents start it by themselves, as 'clawstate integrate'
    tells them. Several may run at once, beside this command line.
    """


@mcp.command(absent_ok=True)
@click.option("--read-only", is_flag=True, help="Offer no tool that changes anything.")
@pass_session
def serve(session: Session, /, *, read_only: bool) -> None:
    """
    Serve on standard input and output until the client closes them.

    It speaks the protocol of 2026-07-28 and those before. The log goes to standard error.
    """
    from clawstate.mcp.sdk import require_sdk  # noqa: PLC0415 - see `NOUNS`

    require_sdk()
    _log_to_stderr()
    from clawstate.mcp.server import create_server  # noqa: PLC0415 - takes a second to load
    from clawstate.mcp.stdio import serve_stdio  # noqa: PLC0415

    server = create_server(session.state, read_only=read_only, agent=session.agent)
    if serve_stdio(server):
        raise KeyboardInterrupt


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _Lines(logging.Formatter):
    """One line for each record, and of an error its kind alone: its text may hold a secret."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*."""
        line = f"{record.levelname.lower()}: {record.name}: {record.getMessage()}"
        kind = record.exc_info[0] if record.exc_info else None
        return " ".join(line.split()) + (f" ({kind.__name__})" if kind else "")
