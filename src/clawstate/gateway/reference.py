"""The reference of the HTTP operations, rendered from the OpenAPI document."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clawstate.gateway.address import PORT, Address
from clawstate.gateway.answers import STATUSES
from clawstate.gateway.app import create_app
from clawstate.gateway.journal import Journal
from clawstate.state import open_state

_TOP = """\
# HTTP

Written by `make docs` from the OpenAPI document, which `/api/v1/openapi.json` gives in full; a test
compares the two.

Beside these operations stand `/health`, open to anybody, `/metrics` for Prometheus, the WebSocket
`/ws`, and `/mcp`, the MCP server. How to use them: [serve a state over HTTP](../how-to/gateway.md).
"""


def reference_text() -> str:
    """Return the page: every operation by its noun, what it takes and answers, and the errors."""
    with open_state(Path("/nonexistent")) as state:
        address = Address("localhost", PORT, names=("localhost",))
        document = create_app(state, address, "", Journal(state.clock, sys.stderr)).openapi()
    return "\n".join([_TOP, *_errors(), *_nouns(document)]) + "\n"


def _errors() -> Iterator[str]:
    yield "## Errors\n"
    yield '`{"error": {"type": ..., "message": ...}}`, with these types and statuses:\n'
    by_status: dict[int, list[str]] = {}
    for kind, status in STATUSES.items():
        by_status.setdefault(status, []).append(f"`{kind}`")
    yield "| status | types |\n|---|---|"
    for status, kinds in sorted(by_status.items()):
        yield f"| {status} | {', '.join(kinds)} |"


def _nouns(document: Mapping[str, Any]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            (noun,) = operation["tags"]
            found.setdefault(noun, []).extend(_operation(method.upper(), path, operation))
    for noun, lines in found.items():
        yield f"\n## `{noun}`"
        yield from lines


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### `{method} {path}`\n"
    yield operation["description"]
    scope = operation["x-scope"]
    yield f"\nScope: `{scope}`. Takes {_body(operation)}; answers {_answer(operation)}."
    parameters = [each for each in operation.get("parameters", ()) if each["in"] != "path"]
    if parameters:
        yield "\n| parameter | in | meaning |\n|---|---|---|"
        for each in parameters:
            name = f"`{each['name']}`" + (" (required)" if each.get("required") else "")
            yield f"| {name} | {each['in']} | {each.get('description', '')} |"


def _body(operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    for media, told in content.items():
        return _shape(told["schema"]) if media.endswith("json") else f"`{media}`"
    return "no body"


def _answer(operation: Mapping[str, Any]) -> str:
    status, told = next(iter(operation["responses"].items()))
    for media, content in told.get("content", {}).items():
        shape = _shape(content["schema"]) if media.endswith("json") else f"`{media}`"
        return f"{status} with {shape}"
    return str(status)


def _shape(schema: Mapping[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f"`{name}`" if name else "an object"


if __name__ == "__main__":
    sys.stdout.write(reference_text())
