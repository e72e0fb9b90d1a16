"""What the MCP server costs: to start, to hold, and beside a call of the library."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clawstate
from timing import Figures
from workbench import Workbench

TITLE = "The MCP server (a client on stdio)"
RECORDS = 10_000
CALLS = 300
STARTS = 8
_IDLE = 20.0  # seconds that it is watched while nobody asks
_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


class Server:
    """A server process on the state in *root*, asked line by line."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clawstate", "--state-dir", str(root), "mcp", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._number = 0
        self.ask("initialize", _HELLO)

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            answer = json.loads(self._process.stdout.readline())
            if answer.get("id") == self._number:  # and no notification
                return answer["result"]

    def search(self, query: str) -> None:
        arguments = {"query": query, "maxResults": 10}
        self.ask("tools/call", {"name": "memory_search", "arguments": arguments})

    def mib(self) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(each.split()[1]) for each in lines if each.startswith("VmRSS")) / 1024

    def processor(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def measure(bench: Workbench) -> Figures:
    """Return what a start, a search and doing nothing take."""
    kept = bench.state(min(RECORDS, max(bench.sizes)))
    questions = [each for group in bench.rounds() for each in group][:CALLS]
    with clawstate.open(kept.root) as state:
        library = _median_ms(lambda query: state.memory.search(query, k=10), questions)
    seconds, mib = [], []
    for _ in range(STARTS):
        server = Server(kept.root)
        seconds.append(server.processor())
        mib.append(server.mib())
        server.close()
    server = Server(kept.root)
    served = _median_ms(server.search, questions)
    held, before = server.mib(), server.processor()
    time.sleep(_IDLE)
    idle = (server.processor() - before) / _IDLE
    server.close()
    return {
        "records": kept.size,
        "start_s": min(seconds),
        "start_mib": min(mib),
        "library_ms": library,
        "served_ms": served,
        "held_mib": held,
        "idle_ms": idle * 1000,
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the lines to print."""
    added = result["served_ms"] - result["library_ms"]
    yield f"start to initialize    {result['start_s']:.2f} s of the processor"
    yield f"memory, started        {result['start_mib']:.0f} MiB"
    yield f"memory, {CALLS} searches   {result['held_mib']:.0f} MiB"
    yield f"search, library        {result['library_ms']:.2f} ms in the median"
    yield f"search, server         {result['served_ms']:.2f} ms, {added:+.2f} ms"
    yield f"idle                   {result['idle_ms']:.1f} ms of the processor in each second"
    yield f"({result['records']} records)"


def _median_ms(call: Callable[[str], object], questions: list[str]) -> float:
    times = []
    for each in questions:
        begin = time.perf_counter()
        call(each)
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000
