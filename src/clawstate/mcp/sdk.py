"""Tells in our own words that the MCP SDK is missing, which is an extra."""

from __future__ import annotations

from importlib.util import find_spec

from clawstate.errors import MissingExtraError


def require_sdk() -> None:
    """Raise `MissingExtraError` unless the SDK of MCP is installed; nothing is loaded for that."""
    if find_spec("mcp") is None or find_spec("mcp_types") is None:
        raise MissingExtraError("mcp", "the SDK of MCP")
