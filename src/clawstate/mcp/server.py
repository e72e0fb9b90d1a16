"""`create_server`: an opened state as a server of MCP, whatever carries its messages."""

from __future__ import annotations

from typing import Any, Final

from mcp.server.caching import CacheHint
from mcp.server.lowlevel import NotificationOptions, Server
from mcp_types import NotificationParams

from clawstate.mcp.announce import Announcer
from clawstate.mcp.calls import Calls
from clawstate.mcp.completion import CompletionHandlers
from clawstate.mcp.instructions import INSTRUCTIONS, READ_ONLY
from clawstate.mcp.prompts import PromptHandlers
from clawstate.mcp.resources import ResourceHandlers
from clawstate.mcp.tools import ToolHandlers
from clawstate.state import State
from clawstate.version import __version__

_SITE: Final = "https://github.com/clawstate/clawstate"
# Private: what is offered, and what is kept, depends on the caller.
_LISTS = CacheHint(ttl_ms=60_000, scope="private")
_KEPT = CacheHint(ttl_ms=0, scope="private")

NOTIFIED: Final = NotificationOptions(tools_changed=True, resources_changed=True)
"""Which lists tell clients of the older protocols when they change."""


def create_server(
    state: State, *, read_only: bool = False, agent: str | None = None
) -> Server[Any]:
    """
    Return a server of MCP over *state*: protocol 2026-07-28, and older ones by handshake.

    The plugins that the settings choose are started. With *read_only* it offers nothing that
    changes anything; the sessions are those of *agent*, or of all. Raises what starting the plugins
    raises.
    """
    state.plugins.start()
    calls = Calls()
    tools = ToolHandlers(state, calls, read_only=read_only)
    resources = ResourceHandlers(state, calls, agent=agent)
    prompts = PromptHandlers(state, calls, read_only=read_only)
    announcer = Announcer(state, calls, tools)
    server = Server(
        "clawstate",
        version=__version__,
        title="clawstate memory",
        description="Long-term memory of a personal AI agent.",
        instructions=INSTRUCTIONS + (READ_ONLY if read_only else ""),
        website_url=_SITE,
        lifespan=announcer.lifespan,
        cache_hints={
            "server/discover": _LISTS,
            "tools/list": _LISTS,
            "prompts/list": _LISTS,
            "resources/templates/list": _LISTS,
            "resources/list": _KEPT,
            "resources/read": _KEPT,
        },
        on_list_tools=tools.list_tools,
        on_call_tool=tools.call_tool,
        on_list_resources=resources.list_resources,
        on_list_resource_templates=resources.list_templates,
        on_read_resource=resources.read,
        on_subscribe_resource=announcer.subscribe,
        on_unsubscribe_resource=announcer.unsubscribe,
        on_subscriptions_listen=announcer.listen,
        on_list_prompts=prompts.list_prompts,
        on_get_prompt=prompts.get,
        on_completion=CompletionHandlers(state, calls, agent=agent).complete,
    )
    server.add_notification_handler(
        "notifications/initialized", NotificationParams, announcer.welcome
    )
    return server
