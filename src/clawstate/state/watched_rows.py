"""Which rows of a state the chain of changes watches, and where its key comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clawstate.encryption.sources import KeySource
from clawstate.errors import CorruptError, UnavailableError
from clawstate.sqlite.audit_chain import AuditChain

WATCHED = {
    "memories": """
        SELECT m.docno, m.id, m.scope, m.content, m.source, m.timestamp, m.updated_at,
            m.expires_at, m.category, m.importance, m.thread, m.position, m.metadata, m.fields,
            (SELECT group_concat(tag, char(0)) FROM
                (SELECT tag FROM tags WHERE memory_id = m.id ORDER BY tag))
        FROM memories m WHERE m.docno = ?
    """,
    "scopes": "SELECT scope, namespace FROM scopes WHERE scope = ?",
    "messages": """
        SELECT position, session, id, parent, type, role, timestamp, entry FROM messages
        WHERE position = ?
    """,
    "transcripts": "SELECT session, session_id FROM transcripts WHERE session = ?",
}
"""What is watched, by table: what people keep, and nothing that is derived from it."""


def key_of_source(document: Mapping[str, Any]) -> bytes:
    """Return the key that *document* of a source stands for; raises `UnavailableError`."""
    try:
        return KeySource.read(dict(document), path=Path("audit")).key(lambda: None)
    except CorruptError as error:
        hint = "restore the newest backup"
        raise UnavailableError("audit", "names no source of its key", hint) from error


def chain_of_state() -> AuditChain:
    """Return what chains the changes of the memory of a state."""
    return AuditChain(key_of_source, WATCHED, counted={"scopes": 1, "transcripts": 1})
