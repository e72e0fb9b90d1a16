from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from clawstate.stores.transcripts.backends.inmemory import InMemoryTranscripts
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts
from clawstate.testing.transcript_machine import transcript_machine
from clawstate.testing.transcript_suite import TranscriptSuite


def sqlite_log(path: Path) -> SqliteTranscripts:
    return SqliteTranscripts(path / "memory" / "memory.db")


# In another process: a second library of SQLite in this one would drop the locks of the first.
RAW = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for sql in (
    "SELECT header FROM transcripts WHERE session_id = ?",
    "SELECT entry FROM messages JOIN transcripts USING (session) WHERE session_id = ?"
    " ORDER BY position",
):
    for (line,) in connection.execute(sql, sys.argv[2:]):
        print(line)
connection.close()
"""


class TestSqlite(TranscriptSuite):
    """Transcripts in SQLite keep every law."""

    def make(self, tmp_path: Path) -> SqliteTranscripts:
        return sqlite_log(tmp_path)

    def raw_lines(self, tmp_path: Path, session_id: str) -> list[str]:
        path = tmp_path / "memory" / "memory.db"
        command = [sys.executable, "-c", RAW, str(path), session_id]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.splitlines()


class TestInMemory(TranscriptSuite):
    """Transcripts in memory keep every law that does not need a disk."""

    def make(self, tmp_path: Path) -> InMemoryTranscripts:  # noqa: ARG002 - there is no file
        return InMemoryTranscripts()


class TestSqliteMachine(transcript_machine(sqlite_log).TestCase):
    """Transcripts in SQLite answer every call as those in memory do."""


def test_memory_promises_nothing_more() -> None:
    """Transcripts in memory are neither durable nor shared."""
    assert InMemoryTranscripts().capabilities == frozenset()
