"""A client of our MCP server on stdio, made with the SDK; and the bare process beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

_NOWHERE = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the tests
MODES = ("auto", "legacy")
"""The protocol of 2026-07-28, and those before it."""

HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def command(root: Path, *options: str) -> list[str]:
    """Return the command that serves the state in *root*."""
    return [
        *(sys.executable, "-W", "ignore", "-m", "clawstate", "--state-dir", str(root)),
        *("mcp", "serve", *options),
    ]


@asynccontextmanager
async def connected(root: Path, *options: str, mode: str = "auto") -> AsyncIterator[Client]:
    """Give a client of a server process on the state in *root*."""
    program, *arguments = command(root, *options)
    server = StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
    async with Client(stdio_client(server, errlog=_NOWHERE), mode=mode) as client:
        yield client


@contextmanager
def started(root: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server and give its process, which is ended behind the block."""
    process = subprocess.Popen(
        command(root, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(name: str, arguments: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """Return the message that calls a tool."""
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def lines(*messages: Any) -> bytes:
    """Return *messages* as the wire has them; one that is text goes as it is."""
    texts = (each if isinstance(each, str) else json.dumps(each) for each in messages)
    return "".join(f"{each}\n" for each in texts).encode()
