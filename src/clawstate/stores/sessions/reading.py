"""An entry of the index as people and programs get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.stores.sessions.entry import SessionEntry, entry_of, require_stored_id
from clawstate.stores.sessions.index import Found, Index, is_usable
from clawstate.stores.sessions.mirror import NOTHING


def read_entry(index: Index, found: Found, extra: Mapping[str, Any] = NOTHING) -> SessionEntry:
    """Return the entry that was *found*; raises `CorruptError` for one that cannot be used."""
    require_stored_id(found.key, found.document)
    file = index.form.session_file(found.key, found.document)
    return entry_of(found.key, found.document, session_file=file, extra=extra)


def has_wrong_file(index: Index, found: Found) -> bool:
    """Tell whether the entry that was *found* names another file than its own, or none."""
    if not is_usable(found):
        return False
    right = index.form.session_file(found.key, found.document)
    return bool(found.document.get("sessionFile") != right)
