"""What `agent-memory-integrity` needs to know of our memory: its rows, and how it is asked."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from agmi.adapters.base import MemoryAdapter, Record

import clawstate

MINE, OTHER = "user-a", "user-b"
COLUMNS = ("docno", "id", "scope", "content", "source", "timestamp")


class ClawstateAdapter(MemoryAdapter):
    """The memory with a chain whose key and head lie outside of what the attacker has."""

    name = "clawstate"
    detection_point = "audit"
    supports_replay = supports_metadata = supports_snapshot = True

    def setup(self) -> None:
        self._outside = tempfile.TemporaryDirectory()
        self._inside = tempfile.TemporaryDirectory()
        self._root = Path(self._inside.name) / "state"
        with clawstate.open(self._root) as state:
            state.memory.add("the first", namespace="nobody")
            folder = Path(self._outside.name)
            state.audit.turn_on(f"file:{folder / 'key'}", head=folder / "head")

    def teardown(self) -> None:
        self._outside.cleanup()
        self._inside.cleanup()

    def seed(self, n: int) -> None:
        self._add(MINE, [f"seed {number}" for number in range(n)])

    def seed_other(self, n: int) -> None:
        self._add(OTHER, [f"other {number}" for number in range(n)])

    def append_genuine(self) -> None:
        self._add(MINE, ["one more"])

    def reload(self) -> None:
        """Nothing is kept open between two calls."""

    def verify(self) -> bool:
        with clawstate.open(self._root) as state:
            report = state.audit.verify()
        self.verify_detail = None if report.broken is None else report.broken.problem
        return report.holds

    def read_all_raw(self) -> list[Record]:
        return self._rows(MINE)

    def read_other_raw(self) -> list[Record]:
        return self._rows(OTHER)

    def write_raw(self, record: Record) -> None:
        fields, target = record.fields, self._docno(record.seq)
        if target is not None:
            self._change(
                "UPDATE memories SET content = ? WHERE docno = ?", fields["content"], target
            )
            return
        self._change(
            "INSERT INTO memories SELECT (SELECT max(docno) + 1 FROM memories), 'forged', scope, ?,"
            " source, timestamp, updated_at, expires_at, category, importance, thread, position,"
            " metadata, content_hash, subwords, embedding, fields FROM memories WHERE docno = ?",
            fields["content"],
            fields["docno"],
        )

    def delete_raw(self, seq: int) -> None:
        self._change("DELETE FROM memories WHERE docno = ?", self._docno(seq))

    def replay_onto(self, victim_seq: int, donor: Record) -> None:
        text, target = donor.fields["content"], self._docno(victim_seq)
        self._change("UPDATE memories SET content = ? WHERE docno = ?", text, target)

    def read_meta(self, seq: int) -> dict:
        fields = self.read_all_raw()[seq].fields
        return {"source": fields["source"], "timestamp": fields["timestamp"]}

    def write_meta(self, seq: int, meta: dict) -> None:
        source = "somebody trusted" if len(meta) > 2 else meta["source"]
        self._change("UPDATE memories SET source = ? WHERE docno = ?", source, self._docno(seq))

    def snapshot_store(self) -> object:
        return self._copy_store(self._root)

    def restore_store(self, token: object) -> None:
        self._restore_store(str(token), self._root)

    def mutate_payload(self, record: Record) -> Record:
        record.fields["content"] += ", and something else"
        return record

    def identity_of(self, record: Record) -> str:
        return str(record.fields["id"])

    def payload_of(self, record: Record) -> str:
        return str(record.fields["content"])

    def owner_of(self, record: Record) -> str:
        return str(record.fields["scope"])

    def _add(self, namespace: str, texts: list[str]) -> None:
        with clawstate.open(self._root) as state:
            for text in texts:
                state.memory.add(text, namespace=namespace)

    def _rows(self, namespace: str) -> list[Record]:
        sql = (
            "SELECT m.docno, m.id, m.scope, m.content, m.source, m.timestamp FROM memories m"
            " JOIN scopes s ON s.scope = m.scope WHERE s.namespace = ? ORDER BY m.docno"
        )
        connection = self._open()
        rows = connection.execute(sql, (namespace,)).fetchall()
        connection.close()
        return [Record(seq, dict(zip(COLUMNS, row, strict=True))) for seq, row in enumerate(rows)]

    def _docno(self, seq: int) -> int | None:
        rows = self.read_all_raw()
        return rows[seq].fields["docno"] if seq < len(rows) else None

    def _change(self, sql: str, *values: object) -> None:
        connection = self._open()
        connection.execute(sql, values)
        connection.commit()
        connection.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._root / "memory" / "memory.db")
