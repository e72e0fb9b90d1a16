"""The JSON form of backups, and of what was proven or restored of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clawstate.clock import to_iso
from clawstate.wire.imports import path_text
from clawstate.wire.members import times

if TYPE_CHECKING:
    from clawstate.backup.manifest import Backup
    from clawstate.backup.restoring import Restored
    from clawstate.backup.verifying import Verification


def write_backup(backup: Backup) -> dict[str, Any]:
    """Return what a backup is; of an encrypted one the state is not known."""
    return {
        "path": path_text(backup.path),
        "created": to_iso(backup.created),
        **times(created=backup.created, verified=backup.verified),
        "state": backup.state or None,
        "bytes": backup.size,
        "encrypted": backup.encrypted,
        "secrets": backup.secrets,
        "digest": backup.digest or None,
    }


def write_verification(found: Verification) -> dict[str, Any]:
    """Return what was counted and asked."""
    return {
        "path": path_text(found.path),
        "created": to_iso(found.created),
        **times(created=found.created),
        "digest": found.digest,
        "files": found.files,
        "bytes": found.size,
        "rows": found.rows,
        "reads": found.reads,
        "searches": found.searches,
        "damaged": list(found.damaged),
    }


def write_restored(done: Restored) -> dict[str, Any]:
    """Return where the state is now, and where the one is that was there before."""
    return {
        "path": path_text(done.path),
        "created": to_iso(done.created),
        **times(created=done.created),
        "files": done.files,
        "bytes": done.size,
        "kept": None if done.kept is None else path_text(done.kept),
        "moved": list(done.moved),
    }
