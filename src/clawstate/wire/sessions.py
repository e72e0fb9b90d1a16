"""The JSON form of sessions: entries, what was archived of them, what a pruning did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clawstate.clock import to_ms
from clawstate.wire.members import Members, beside, times

if TYPE_CHECKING:
    from clawstate.state import State
    from clawstate.state.openclaw_view import OpenClawSession
    from clawstate.stores.sessions.archive import Archived
    from clawstate.stores.sessions.entry import SessionEntry
    from clawstate.stores.sessions.selection import Pruned

OWNER = "openclaw"
"""The member `owner` of what belongs to an OpenClaw in the same directory."""

_OWN = ("key", "sessionId", "sessionKey", "sessionFile", "updatedAt", "updatedAtMs")


def write_entry(entry: SessionEntry) -> dict[str, Any]:
    """Return *entry* as it is kept, with its key and time as in lists."""
    return beside(_own(entry), entry.fields)


def _own(entry: SessionEntry) -> dict[str, Any]:
    return {
        "key": entry.session_key,
        **times(updatedAt=entry.updated_at),
        "sessionId": entry.session_id,
        "sessionKey": entry.session_key,
        # Null where there is none: an empty text would look like a name.
        "sessionFile": entry.session_file or None,
        "updatedAt": to_ms(entry.updated_at),
    }


def read_entry(document: Any) -> SessionEntry:
    """Return the entry of *document*."""
    from clawstate.stores.sessions.entry import SessionEntry  # noqa: PLC0415 - written without it

    told = Members(document, "session")
    return SessionEntry(
        told.text("sessionKey"),
        told.text("sessionId"),
        told.maybe_text("sessionFile") or "",
        told.moment("updatedAt"),
        told.foreign(*_OWN),
    )


def entry_brief(entry: SessionEntry) -> dict[str, Any]:
    """Return *entry* as a list has it: without what programs noted about it, its label apart."""
    label = entry.fields.get("label")
    return {
        "key": entry.session_key,
        "sessionId": entry.session_id,
        "sessionFile": entry.session_file or None,
        **({"label": label} if label and isinstance(label, str) else {}),
        "updatedAt": to_ms(entry.updated_at),
        **times(updatedAt=entry.updated_at),
    }


def entry_as_kept(state: State, entry: SessionEntry) -> SessionEntry:
    """Return *entry* without the file that it would have, where sessions lie in rows."""
    in_rows = state.records.keeps_files(state.places.sessions()) is False
    return replace(entry, session_file="") if in_rows else entry


def write_openclaw_session(found: OpenClawSession) -> dict[str, Any]:
    """Return all of *found*, and whose it is."""
    # Its sessions lie in rows, so there is no file to name.
    own = {**_own(found.entry), "sessionFile": None}
    whose = {"owner": OWNER, "agent": found.agent}
    told = beside({**own, **whose}, found.entry.fields)
    return {**{name: each for name, each in told.items() if name not in whose}, **whose}


def openclaw_brief(found: OpenClawSession) -> dict[str, Any]:
    """Return *found* as a list has it, and whose it is."""
    whose = {"sessionFile": None, "owner": OWNER, "agent": found.agent}
    return {**entry_brief(found.entry), **whose}


def write_archived(archived: Archived) -> dict[str, Any]:
    """Return which session *archived* is, and when and why it went."""
    return {
        "archive": archived.archive,
        "key": archived.session_key,
        "sessionId": archived.session_id,
        "reason": archived.reason,
        "archivedAt": to_ms(archived.at),
        **times(archivedAt=archived.at),
    }


def write_pruned(pruned: Pruned) -> dict[str, Any]:
    """Return the keys that went, how many for each reason, and what is left."""
    return {
        "dryRun": pruned.dry_run,
        "removed": [each.session_key for each in pruned.removed],
        "byAge": len(pruned.by_age),
        "byCount": len(pruned.by_count),
        "bySize": len(pruned.by_size),
        "kept": pruned.kept,
        "expired": pruned.expired,
        "bytesBefore": pruned.bytes_before,
        "bytesAfter": pruned.bytes_after,
    }
