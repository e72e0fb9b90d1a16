"""The tools of the plugins, as MCP lists and calls them."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from mcp_types import Tool as ToolForm

from clawstate.errors import NotFoundError
from clawstate.mcp.access import may_write
from clawstate.mcp.calls import Calls, Context
from clawstate.plugins.tools import Tool
from clawstate.state import State


class ToolHandlers:
    """Answers `tools/list` and `tools/call` from the tools of the plugins that run."""

    def __init__(self, state: State, calls: Calls, *, read_only: bool) -> None:
        self._state = state
        self._calls = calls
        self._read_only = read_only

    async def list_tools(
        self, context: Context, _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """Return all tools that the caller may use, in one page: there are few."""
        forms = [each.description_form() for each in self._usable(context)]
        return ListToolsResult(tools=[ToolForm.model_validate(each) for each in forms])

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Run a tool in a worker thread; what goes wrong is a result that the model can read."""
        tool = self._require(context, params.name)
        if not tool.is_read_only and not self._may_write(context):
            return _refusal(tool.name, by_server=self._read_only)
        tools = self._state.plugins.tools
        found = await self._calls.run(
            lambda: tools.result(params.name, params.arguments), embeds=True
        )
        return CallToolResult.model_validate(found)

    def names(self) -> tuple[str, ...]:
        """Return the names of all tools that this server offers to whoever may do anything."""
        return tuple(each.name for each in self._all() if each.is_read_only or not self._read_only)

    def _usable(self, context: Context) -> list[Tool]:
        may_write = self._may_write(context)
        return [each for each in self._all() if each.is_read_only or may_write]

    def _all(self) -> list[Tool]:
        tools = self._state.plugins.tools
        return [tools.get(name) for name in tools.names()]

    def _require(self, context: Context, name: str) -> Tool:
        try:
            return self._state.plugins.tools.get(name)
        except NotFoundError:
            # An error of the protocol, as MCP wants it for a tool that does not exist.
            known = ", ".join(each.name for each in self._usable(context)) or "none"
            message = f"Unknown tool: {name}; the tools are {known}"
            raise MCPError(INVALID_PARAMS, message) from None

    def _may_write(self, context: Context) -> bool:
        return not self._read_only and may_write(context)


def _refusal(name: str, *, by_server: bool) -> CallToolResult:
    problem = (
        "this server was started with --read-only"
        if by_server
        else "the token of this client has the scope 'read' alone; its owner can grant 'write'"
    )
    text = f"{name} would change the memory, and {problem}. Nothing was changed: tell the user so."
    return CallToolResult(content=[TextContent(text=text)], is_error=True)
