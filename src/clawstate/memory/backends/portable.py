"""
The rows of a memory as every engine can give and take them: what is kept, not what derives from it.

Each table is a list of tuples with the columns named here, in any order of rows. Numbers stay what
they are, since others refer to them; tags are a JSON list in their order; vectors and subwords are
the bytes that are kept. Indexes of words and vectors, and counts, are made anew from these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

PortableRow: TypeAlias = "tuple[Any, ...]"

META: Final = ("database_id", "embedder", "reembedding")
"""What of `meta` is kept; all else there is of one engine."""

VEIL: Final = "\0"
"""How the name of a namespace begins in which nothing is kept any more."""

_OF_RECORD = (
    *("docno", "id", "scope", "content", "source", "created_at", "updated_at", "expires_at"),
    *("category", "importance", "thread", "position", "metadata", "tags", "fields"),
)

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "meta": ("key", "value"),
    "scopes": ("scope", "namespace"),
    "records": (*_OF_RECORD, "content_hash", "subwords", "embedding"),
    "versions": ("version", *_OF_RECORD, "subwords", "embedding", "began", "ended", "ending"),
    "successors": ("id", "successor"),
    "kept_vectors": ("content_hash", "embedding", "subwords", "kept_at"),
    "reembedded": ("docno", "embedding", "subwords"),
    "imports": ("import", "scope", "source", "fingerprint", "imported_at"),
    "imported": ("import", "memory_id", "forgotten", "passage", "given"),
    "forgotten": ("scope", "digest"),
}


def tags_json(tags: Iterable[str]) -> str:
    """Return *tags* as every engine gives them, in one order."""
    return json.dumps(sorted(tags), ensure_ascii=False)
