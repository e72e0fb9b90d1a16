"""The page about the MCP server is what its tools say of themselves."""

from __future__ import annotations

from pathlib import Path

from clawstate.mcp.reference import reference_text

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "mcp.md"


def test_the_page_is_what_the_tools_say() -> None:
    """The reference is made from the schemas of the tools; `make docs` writes it."""
    assert PAGE.read_text() == reference_text()
