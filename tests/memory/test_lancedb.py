from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from clawstate.clock import Clock
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.testing.memory_suite import MemoryEngineSuite

# Not imported here: it has threads, which forks of other tests in this process would meet.
if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)

# In another process: a second library of SQLite in this one would drop the locks of the first.
RAW = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(json.dumps(dict(connection.execute("SELECT id, content FROM memories"))))
connection.close()
"""


def lancedb_memory(path: Path, clock: Clock) -> LancedbMemory:
    return LancedbMemory(path / "memory" / "lancedb", clock=clock)


class TestLancedb(MemoryEngineSuite):
    """Memory in LanceDB keeps every law."""

    def make(self, tmp_path: Path, clock: Clock) -> LancedbMemory:
        return lancedb_memory(tmp_path, clock)

    def raw_texts(self, tmp_path: Path) -> dict[str, str]:
        path = tmp_path / "memory" / "lancedb" / "catalogue.db"
        command = [sys.executable, "-c", RAW, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)
