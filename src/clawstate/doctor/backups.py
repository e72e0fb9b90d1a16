"""Whether backups are as old as their schedule allows."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.clock import to_iso
from clawstate.health import Finding
from clawstate.state import State

_LATE = 2  # times the interval: one may be missed, as on a day without the machine


def check(state: State) -> Iterator[Finding]:
    """Look whether a backup that was verified is there, where a schedule says so."""
    notes = state.backup_notes
    schedule = notes.schedule()
    if schedule is None:
        return
    last = notes.last_verified()
    remedy = "run 'clawstate backup run --now', which says why it fails"
    if last is None:
        message = "backups are to be made, and none was verified yet"
        yield Finding("backup-late", "warning", schedule.to, message, remedy)
    elif state.clock() - last.created > _LATE * schedule.every:
        message = f"the last backup that was verified is of {to_iso(last.created)}"
        yield Finding("backup-late", "warning", schedule.to, message, remedy)
