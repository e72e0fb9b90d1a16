"""The MCP server: an agent of any make searches, reads and keeps memories by its own protocol."""
