"""The JSON form of plugins, and of the tools that they offer."""

from __future__ import annotations

from typing import Any

from clawstate.plugins.contract import PluginInfo
from clawstate.plugins.tools import Tool
from clawstate.wire.members import Members


def write_plugin_info(info: PluginInfo) -> dict[str, Any]:
    """Return what is known of a plugin."""
    return {
        "id": info.id,
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "kind": info.kind,
        "origin": info.origin,
        "place": info.place,
        "status": info.status,
        "reason": info.reason,
        "tools": list(info.tools),
    }


def read_plugin_info(document: Any) -> PluginInfo:
    """Return the plugin of *document*."""
    told = Members(document, "plugin")
    return PluginInfo(
        id=told.text("id"),
        name=told.text("name"),
        version=told.text("version"),
        description=told.text("description"),
        kind=told.maybe_text("kind"),
        origin=told.text("origin"),
        place=told.text("place"),
        status=told.text("status"),
        reason=told.text("reason"),
        tools=told.texts("tools"),
    )


def write_tool(tool: Tool) -> dict[str, Any]:
    """Return *tool* as a list of tools of MCP has it; what it does cannot be written."""
    return tool.description_form()
