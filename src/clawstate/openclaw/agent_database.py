"""The rows of an agent's database as the documents that OpenClaw kept in files before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clawstate.errors import CorruptError, UnavailableError
from clawstate.openclaw.schema import SESSIONS_SINCE
from clawstate.openclaw.snapshot import Snapshot, merge_documents

# Made anew by OpenClaw for each turn, and by far the largest part of an entry.
_DROPPED = frozenset({"skillsSnapshot", "systemPromptReport"})

_NOTES = {
    "memory_index_chunk_provenance": ("origin_class", "session_kind", "observed_at"),
    "memory_index_chunk_recall_metadata": ("importance", "triggers", "project_key"),
}


@dataclass(frozen=True, slots=True)
class Sessions:
    """The *entries* of sessions by key, and of those that cannot be read the keys, and why."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the file *path* in a memory index, of its lines from *start* to *end*."""

    path: str
    source: str
    start: int
    end: int
    text: str
    at_ms: int
    metadata: Mapping[str, Any] = field(default_factory=dict)


class AgentDatabase:
    """What a snapshot of the database of one agent holds."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def credentials(self) -> dict[str, Any]:
        """Return what this agent has beyond what is shared, as `auth-profiles.json`, or `{}`."""
        found = [
            self.snapshot.object(text, table, str(key))
            for table, name, column in (
                ("auth_profile_store", "store_key", "store_json"),
                ("auth_profile_state", "state_key", "state_json"),
            )
            for key, text in self.snapshot.rows(
                table, (name, column), where=f"WHERE {name} = 'primary'"
            )
        ]
        return merge_documents(*found) if found else {}

    def sessions(self) -> Sessions:
        """
        Return the sessions, without what OpenClaw makes anew for each turn.

        Raises `UnavailableError` for a schema whose names of tables are not documented.
        """
        self._require_sessions()
        found = Sessions()
        table = "session_nodes"
        columns = ("session_key", "current_session_id", "entry_json", "entry_valid", "updated_at")
        for key, session_id, text, valid, updated in self.snapshot.rows(
            table, columns, where="ORDER BY session_key"
        ):
            if valid is not None and valid < 0:
                found.unreadable[str(key)] = "OpenClaw itself found it damaged"
                continue
            try:
                entry = self.snapshot.object(text, table, str(key))
            # One damaged entry must not hide all others.
            except CorruptError as error:
                found.unreadable[str(key)] = error.problem
                continue
            kept = {name: value for name, value in entry.items() if name not in _DROPPED}
            # The columns repeat what entries hold, and stand in for what one lacks.
            kept.setdefault("sessionId", session_id)
            kept.setdefault("updatedAt", updated)
            found.entries[str(key)] = kept
        return found

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks of the memory index by file and line, without their vectors."""
        notes = self._notes()
        columns = ("id", "path", "source", "start_line", "end_line", "text", "updated_at")
        for name, path, source, start, end, text, at in self.snapshot.rows(
            "memory_index_chunks", columns, where="ORDER BY path, start_line, end_line, id"
        ):
            if isinstance(path, str) and isinstance(text, str):
                yield Chunk(
                    path,
                    str(source or "memory"),
                    whole_number(start),
                    whole_number(end),
                    text,
                    whole_number(at),
                    notes.get(str(name), {}),
                )

    def forgotten(self) -> frozenset[str]:
        """Return the keys of memories whose sessions the user made OpenClaw forget."""
        sessions = {
            str(name)
            for (name,) in self.snapshot.rows("memory_session_tombstones", ("session_id",))
        }
        origins = self.snapshot.rows("memory_entry_origins", ("entry_key", "session_id"))
        return frozenset(str(key) for key, session in origins if session in sessions)

    def _require_sessions(self) -> None:
        version = self.snapshot.schema.version
        if version < SESSIONS_SINCE and not self.snapshot.columns("session_nodes"):
            problem = (
                f"has schema {version}, which keeps sessions in other tables than those that are "
                f"read, of schema {SESSIONS_SINCE} and later"
            )
            hint = "update OpenClaw and start it once, then repeat"
            raise UnavailableError(str(self.snapshot.path), problem, hint)

    def _notes(self) -> dict[str, dict[str, Any]]:
        """Return what is known of chunks beyond their text, by their ids."""
        found: dict[str, dict[str, Any]] = {}
        for table, columns in _NOTES.items():
            for chunk, *values in self.snapshot.rows(table, ("chunk_id", *columns)):
                said = zip(columns, values, strict=True)
                known = {name: value for name, value in said if value is not None}
                found.setdefault(str(chunk), {}).update(known)
        return found


def whole_number(value: object) -> int:
    """Return *value* as a whole number, or 0."""
    return int(value) if isinstance(value, int | float) else 0
