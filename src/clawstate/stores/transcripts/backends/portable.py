"""
The rows of transcripts as every engine can give and take them: what is kept, not what derives.

Numbers of sessions, positions and blobs stay what they are, since others refer to them. Texts are
as they came; the indexes of words are made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

PortableRow: TypeAlias = "tuple[Any, ...]"

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "transcripts": (
        *("session", "session_id", "header", "messages", "bytes", "leaf"),
        *("created_at", "updated_at"),
    ),
    "message_blobs": ("blob", "sha256", "size", "packed", "data"),
    "messages": (
        *("position", "session", "id", "parent", "type", "role", "timestamp", "entry"),
        *("pieces", "bytes"),
    ),
    "message_pieces": ("position", "number", "place", "blob"),
    "message_turns": ("session", "turn", "digest", "first", "last"),
}
