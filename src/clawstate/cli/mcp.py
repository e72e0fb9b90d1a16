"""The noun `mcp`: serve the memory to clients of the Model Context Protocol."""

from __future__ import annotations

import logging
import sys

import click

from clawstate.cli.command import CONTEXT, Group, pass_session
from clawstate.cli.session import Session

_PORT = 18790


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
@click.option("--http", is_flag=True, help="Serve over HTTP on this machine, with a token.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    metavar="N",
    help="The TCP port for --http, 0 for any that is free.",
)
@pass_session
def serve(session: Session, /, *, read_only: bool, http: bool, port: int) -> None:
    """
    Serve on standard input and output until the client closes them.

    It speaks the protocol of 2026-07-28 and those before. The log goes to standard error. Over HTTP
    a client needs the token that state/gateway-token holds, which is the gateway's as well.
    """
    from clawstate.mcp.sdk import require_sdk  # noqa: PLC0415 - see `NOUNS`

    require_sdk()
    _log_to_stderr()
    from clawstate.mcp.server import create_server  # noqa: PLC0415 - takes a second to load
    from clawstate.mcp.stdio import serve_stdio  # noqa: PLC0415

    if http:
        _serve_http(session, port=port, read_only=read_only)
        return
    server = create_server(session.state, read_only=read_only, agent=session.agent)
    if serve_stdio(server):
        raise KeyboardInterrupt


def _serve_http(session: Session, *, port: int, read_only: bool) -> None:
    from clawstate.gateway.tokens import owner_token, token_path  # noqa: PLC0415 - see `NOUNS`
    from clawstate.mcp.loopback import serve_http  # noqa: PLC0415

    path = token_path(session.state.paths)

    def ready(url: str) -> None:
        told = (f"listening at {url}", f"its token is in {path}")
        session.output.emit({"url": url, "tokenFile": str(path)}, *told)

    serve_http(
        session.state,
        port=port,
        token=owner_token(path),
        ready=ready,
        read_only=read_only,
        agent=session.agent,
    )


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
