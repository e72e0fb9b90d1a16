"""The JSON form of backups, and of what was proven or restored of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clawstate.clock import to_iso, to_ms
from clawstate.wire.imports import path_text
from clawstate.wire.members import times

if TYPE_CHECKING:
    from clawstate.backup.manifest import Backup
    from clawstate.backup.restoring import Restored
    from clawstate.backup.schedule import BackupStatus
    from clawstate.backup.verifying import Verification
    from clawstate.state.backup_notes import Schedule


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


def write_status(found: BackupStatus) -> dict[str, Any]:
    """Return whether backups come by themselves, and what there is; ages in milliseconds."""
    last, schedule = found.last, found.schedule
    maker = "systemd" if found.by_timer else "gateway"
    return {
        "schedule": None if schedule is None else schedule_form(schedule),
        "by": None if schedule is None else maker,
        "timer": found.by_timer,
        "folder": None if found.folder is None else path_text(found.folder),
        "path": None if last is None else last.path,
        "lastVerifiedMs": None if last is None else to_ms(last.created),
        "ageMs": None if found.age is None else int(found.age * 1000),
        "nextMs": None if found.next is None else to_ms(found.next),
    }


def schedule_form(schedule: Schedule) -> dict[str, Any]:
    """Return how often backups come by themselves, and where to."""
    return {
        "everyMs": int(schedule.every * 1000),
        "keep": schedule.keep,
        "to": schedule.to,
        "encrypted": schedule.key is not None,
        "secrets": schedule.secrets,
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
