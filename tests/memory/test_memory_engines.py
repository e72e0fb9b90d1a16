from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from clawstate.clock import Clock
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.testing.memory_machine import memory_machine
from clawstate.testing.memory_suite import MemoryEngineSuite


def sqlite_memory(path: Path, clock: Clock) -> SqliteMemory:
    folder = path / "memory"
    return SqliteMemory(folder / "memory.db", vectors=folder / "vectors", clock=clock)


# In another process: a second library of SQLite in this one would drop the locks of the first.
RAW = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(json.dumps(dict(connection.execute("SELECT id, content FROM memories"))))
connection.close()
"""


class TestSqlite(MemoryEngineSuite):
    """Memory in SQLite keeps every law."""

    def make(self, tmp_path: Path, clock: Clock) -> SqliteMemory:
        return sqlite_memory(tmp_path, clock)

    def raw_texts(self, tmp_path: Path) -> dict[str, str]:
        path = tmp_path / "memory" / "memory.db"
        command = [sys.executable, "-c", RAW, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)


class TestInMemory(MemoryEngineSuite):
    """Memory in one process keeps every law that does not need a disk."""

    def make(self, tmp_path: Path, clock: Clock) -> InMemoryMemory:  # noqa: ARG002 - there is no file
        return InMemoryMemory(clock=clock)


class TestSqliteMachine(memory_machine(sqlite_memory).TestCase):
    """Memory in SQLite answers every call as that in one process does."""


def test_one_process_promises_nothing_more() -> None:
    """Memory in one process is neither durable nor shared."""
    assert InMemoryMemory().capabilities == frozenset()
