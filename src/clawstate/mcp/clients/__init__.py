"""Clients of MCP: where each keeps its servers, and putting ours among them and out again."""
