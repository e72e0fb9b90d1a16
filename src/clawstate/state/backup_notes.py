"""`BackupNotes`: which backups of a state were made and verified, and how often that is to be."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from clawstate.clock import from_ms, to_ms
from clawstate.errors import CorruptError, NotFoundError
from clawstate.files.atomic import write_atomic
from clawstate.files.json_text import dump_pretty, parse_json_file
from clawstate.files.lock import FileLock
from clawstate.files.paths import StatePaths
from clawstate.files.regular import read_regular

_LIMIT = 1 << 20
_KEPT = 200


@dataclass(frozen=True, slots=True)
class BackupNote:
    """
    A backup that was made: its *path*, when (seconds since the epoch), the *digest* of its archive.

    *verified* is when it was last restored and asked, `None` if it never was.
    """

    path: str
    created: float
    digest: str
    verified: float | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    Backups that are made by themselves: *every* so many seconds, into the directory *to*.

    *keep* is a policy such as `7d,4w`; *key* encrypts them, `None` for none.
    """

    every: float
    keep: str
    to: str
    key: str | None = None
    secrets: bool = True


@dataclass(frozen=True, slots=True)
class _Notes:
    state: str
    backups: tuple[BackupNote, ...] = ()
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class BackupNotes:
    """The notes in `state/backups.json` below *paths*; without one nothing was ever backed up."""

    paths: StatePaths
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        """Find the place."""
        object.__setattr__(self, "path", self.paths.root / "state" / "backups.json")

    def state_id(self) -> str:
        """Return what tells this state from others in its backups, made when first asked for."""
        return self._change(lambda notes: notes).state

    def backups(self) -> tuple[BackupNote, ...]:
        """Return what was made, the oldest first; raises `CorruptError`."""
        found = self._read()
        return () if found is None else found.backups

    def known_state(self) -> str | None:
        """Return the id of the state, `None` where no backup was ever made."""
        found = self._read()
        return None if found is None else found.state

    def last_verified(self) -> BackupNote | None:
        """Return the newest backup that was verified; raises `CorruptError`."""
        verified = [each for each in self.backups() if each.verified is not None]
        return max(verified, key=lambda each: each.created, default=None)

    def schedule(self) -> Schedule | None:
        """Return how often backups are to be made; raises `CorruptError`."""
        found = self._read()
        return None if found is None else found.schedule

    def note_created(self, path: Path, *, created: float, digest: str) -> None:
        """Note a backup."""
        made = BackupNote(str(path.absolute()), created, digest)

        def add(notes: _Notes) -> _Notes:
            others = tuple(each for each in notes.backups if each.path != made.path)
            return replace(notes, backups=(*others, made)[-_KEPT:])

        self._change(add)

    def note_verified(self, digest: str, *, at: float) -> None:
        """Note that the backup with *digest* was verified, if it is one of this state's."""

        def mark(notes: _Notes) -> _Notes:
            marked = (
                replace(each, verified=at) if each.digest == digest else each
                for each in notes.backups
            )
            return replace(notes, backups=tuple(marked))

        if any(each.digest == digest for each in self.backups()):
            self._change(mark)

    def forget(self, path: Path) -> None:
        """Forget the backup at *path*, which was removed."""
        gone = str(path.absolute())
        self._change(
            lambda notes: replace(
                notes, backups=tuple(each for each in notes.backups if each.path != gone)
            )
        )

    def set_schedule(self, schedule: Schedule | None) -> None:
        """Note how often backups are to be made, or that none are."""
        self._change(lambda notes: replace(notes, schedule=schedule))

    def _change(self, change: Callable[[_Notes], _Notes]) -> _Notes:
        with FileLock(self.path) as lock:
            found = self._read()
            old = _Notes(secrets.token_hex(8)) if found is None else found
            new = change(old)
            if new != found:
                text = dump_pretty(_document(new)) + "\n"
                write_atomic(self.path, text.encode(), fence=lock.confirm)
        return new

    def _read(self) -> _Notes | None:
        try:
            raw = read_regular(self.path, limit=_LIMIT)
        except NotFoundError:
            return None
        found = parse_json_file(raw, path=self.path)
        try:
            return _notes(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            hint = "move it away: backups are made anew, and none is lost"
            raise CorruptError(str(self.path), "holds no notes of backups", hint) from error


def _document(notes: _Notes) -> dict[str, Any]:
    backups = [
        {
            "path": each.path,
            "createdMs": to_ms(each.created),
            "digest": each.digest,
            "verifiedMs": None if each.verified is None else to_ms(each.verified),
        }
        for each in notes.backups
    ]
    schedule = None if notes.schedule is None else asdict(notes.schedule)
    return {"version": 1, "state": notes.state, "backups": backups, "schedule": schedule}


def _notes(found: Any) -> _Notes:
    backups = tuple(
        BackupNote(
            str(each["path"]),
            from_ms(each["createdMs"]),
            str(each["digest"]),
            None if each.get("verifiedMs") is None else from_ms(each["verifiedMs"]),
        )
        for each in found["backups"]
    )
    schedule = found.get("schedule")
    return _Notes(str(found["state"]), backups, None if schedule is None else Schedule(**schedule))
