"""The reference of the MCP server, rendered from the schemas of its tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clawstate.mcp.prompts import RECALL, REMEMBER
from clawstate.plugins.memory_tools import memory_tools
from clawstate.plugins.tools import Tool
from clawstate.state import open_state

_TOP = """\
# MCP

Written by `make docs` from the schemas of the tools; a test compares the two. How to use them:
[serve the memory to agents](../how-to/mcp.md). Plugins that run add tools of their own, which
`tools/list` describes in the same way.
"""


def reference_text() -> str:
    """Return the page: every tool with what it takes and gives, and the prompts."""
    with open_state(Path("/nonexistent")) as state:
        tools = sorted(memory_tools(state), key=lambda each: each.name)
    lines = [line for each in tools for line in _tool(each)]
    return "\n".join([_TOP, *lines, *_prompts()]) + "\n"


def _tool(tool: Tool) -> Iterator[str]:
    yield f"\n## `{tool.name}`\n"
    yield tool.description
    yield f"\n{_effect(tool)}\n"
    yield from _members(tool.input_schema, "argument")
    others = sorted({f"`{other}` for `{name}`" for other, name in tool.aliases.items()})
    if others:
        yield f"\nAlso taken: {', '.join(others)}."
    if tool.output_schema is not None:
        yield ""
        yield from _members(tool.output_schema, "gives")


def _effect(tool: Tool) -> str:
    if tool.is_read_only:
        return "Reads only."
    return "What it removes does not come back." if tool.is_destructive else "Changes the memory."


def _members(schema: Mapping[str, Any], what: str) -> Iterator[str]:
    yield f"| {what} | type | meaning |\n|---|---|---|"
    needed = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        shown = f"`{name}`" + (" (required)" if name in needed else "")
        told = [each.get("description", ""), *_bounds(each)]
        yield f"| {shown} | {_kind(each)} | {' '.join(part for part in told if part)} |"


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    if "minimum" in schema and "maximum" in schema:
        yield f"From {schema['minimum']} to {schema['maximum']}."
    if "default" in schema:
        yield f"By default {schema['default']}."


def _prompts() -> Iterator[str]:
    yield "\n## Prompts\n\n| prompt | takes | what it does |\n|---|---|---|"
    for each in (RECALL, REMEMBER):
        taken = ", ".join(
            f"`{one.name}`" + (" (required)" if one.required else "")
            for one in each.arguments or ()
        )
        yield f"| `{each.name}` | {taken or 'nothing'} | {each.description} |"


if __name__ == "__main__":
    sys.stdout.write(reference_text())
