"""`create_server`: an opened state as a server of MCP, whatever carries its messages."""

from __future__ import annotations

from typing import Any, Final

from mcp.server.caching import CacheHint
from mcp.server.lowlevel import NotificationOptions, Server

from clawstate.aio.workers import Workers
from clawstate.mcp.instructions import INSTRUCTIONS, READ_ONLY
from clawstate.mcp.tools import ToolHandlers
from clawstate.state import State
from clawstate.version import __version__

_SITE: Final = "https://github.com/clawstate/clawstate"
# Private: what is offered depends on the scopes of the caller.
_LISTS = CacheHint(ttl_ms=60_000, scope="private")


def create_server(state: State, *, read_only: bool = False) -> Server[Any]:
    """
    Return a server of MCP over *state*: protocol 2026-07-28, and older ones by handshake.

    The plugins that the settings choose are started. With *read_only* it offers no tool that
    changes anything. Raises what starting the plugins raises.
    """
    state.plugins.start()
    tools = ToolHandlers(state, Workers(), read_only=read_only)
    return Server(
        "clawstate",
        version=__version__,
        title="clawstate memory",
        description="Long-term memory of a personal AI agent.",
        instructions=INSTRUCTIONS + (READ_ONLY if read_only else ""),
        website_url=_SITE,
        cache_hints={"tools/list": _LISTS, "server/discover": _LISTS},
        on_list_tools=tools.list_tools,
        on_call_tool=tools.call_tool,
    )


NOTIFIED = NotificationOptions()
"""Which lists tell clients of the older protocol when they change."""
