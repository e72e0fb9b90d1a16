"""Checks of the sessions, and the repairs that lose nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from clawstate.clock import Clock, to_ms
from clawstate.errors import CorruptError, StateError
from clawstate.health import Finding, Severity
from clawstate.stores.sessions.archive import Archive, Archived
from clawstate.stores.sessions.entry import has_id, updated_ms
from clawstate.stores.sessions.file_sync import FileSync, ProfileSync, is_ahead
from clawstate.stores.sessions.index import Index, IndexedEntry, has_wrong_file, is_usable

_FIX = "run 'clawstate doctor --fix'"
_LOOK = "look at it, then move it away"
_QUARANTINED = "'clawstate doctor --fix' moves it aside and writes it anew from the index"

Code = Literal["damaged", "unusable", "outside", "missing", "stale", "ahead", "orphan", "leftover"]
_SEVERITIES: dict[Code, Severity] = {
    "damaged": "error",
    "unusable": "error",
    "ahead": "error",
    "orphan": "error",
    "outside": "warning",
    "missing": "info",
    "stale": "info",
    "leftover": "info",
}


@runtime_checkable
class Repairable(Protocol):
    """A collection in a file of its own, which can be damaged as a whole."""

    def damage(self) -> CorruptError | None:
        """Return why it cannot be read."""

    def repair(self) -> Path | None:
        """Move it aside and restore its last good state."""


@dataclass(frozen=True, slots=True)
class Health:
    """Looks after *index*, *archive* and *file_sync*."""

    index: Index
    archive: Archive
    file_sync: FileSync
    clock: Clock

    def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be; nothing is changed."""
        repairing = _Repairing(self.repair)
        return tuple(
            each.finding(partial(repairing.outcome, each) if each.can_repair else None)
            for each in self.problems()
        )

    def problems(self) -> tuple[SessionProblem, ...]:
        """Return what is not as it should be, by session."""
        # Nothing else can be told while the index cannot be read.
        if (damage := self._damage()) is not None:
            return (SessionProblem("damaged", None, damage.path, str(damage), _FIX),)
        found = list(self.index.scan())
        return (*self._of_entries(found), *self._orphans(), *self._of_profiles(found))

    def repair(self) -> tuple[SessionProblem, ...]:
        """Repair what can be repaired without loss, and return what is no longer wrong."""
        before = self.problems()
        collection = self.index.collection
        if self._damage() is not None and isinstance(collection, Repairable):
            # Problems that only show once the index can be read are among those that are mended
            # now.
            collection.repair()
            before = (*before, *(each for each in self.problems() if each not in before))
        self.rebuild()
        if isinstance(self.file_sync, ProfileSync) and self.file_sync.files.folder.is_dir():
            self._repair_profiles(self.file_sync, [each for each in before if each.can_repair])
        # Last, since bringing entries back makes more archives void.
        self._drop_void()
        left = self.problems()
        return tuple(each for each in before if each not in left)

    def rebuild(self) -> int:
        """Put sessions that only their profiles know back into the index; return how many."""
        lost = dict(self.file_sync.scan_unindexed())
        if not lost:
            return 0

        def change(entries: dict[str, Any]) -> tuple[dict[str, Any], int]:
            # Asked again under the lock: somebody may have made the session since.
            missing = {key: each for key, each in lost.items() if key not in entries}
            return {**entries, **missing}, len(missing)

        return self.index.change_all(change)

    def is_live(self, archived: Archived) -> bool:
        """Tell whether the session that was *archived* is in the index."""
        found = self.index.find(archived.session_key)
        document = None if found is None else found.document
        return isinstance(document, dict) and document.get("sessionId") == archived.session_id

    def _damage(self) -> CorruptError | None:
        collection = self.index.collection
        return collection.damage() if isinstance(collection, Repairable) else None

    def _of_entries(self, found: list[IndexedEntry]) -> Iterator[SessionProblem]:
        path = str(self.index.collection.spec.path)
        for each in found:
            document = each.document
            if not has_id(document):
                continue
            if not is_usable(each):
                message = f"the session {each.key!r} has no usable sessionId"
                remedy = "run 'clawstate sessions reset' or 'delete' with its key"
                yield SessionProblem("unusable", each.key, path, message, remedy, can_repair=False)
                continue
            if document.get("sessionFile") is not None and has_wrong_file(self.index, each):
                message = f"the session {each.key!r} names another file than its own; not used"
                remedy = "goes with the next change of the session"
                yield SessionProblem("outside", each.key, path, message, remedy, can_repair=False)

    def _orphans(self) -> Iterator[SessionProblem]:
        if not isinstance(self.file_sync, ProfileSync):
            return
        for key, _ in self.file_sync.scan_unindexed():
            path = str(self.file_sync.files.path(key))
            message = f"the index has lost the session {key!r}, its profile is there"
            remedy = "'clawstate doctor --fix' puts it back into the index"
            yield SessionProblem("orphan", key, path, message, remedy)

    def _of_profiles(self, found: list[IndexedEntry]) -> Iterator[SessionProblem]:
        if not isinstance(self.file_sync, ProfileSync):
            return
        known = {each.key: each for each in found if is_usable(each)}
        for key, each in known.items():
            if (problem := self._of_profile(self.file_sync, key, each)) is not None:
                yield problem
        expected = {self.file_sync.files.path(key) for key in known}
        for path in self.file_sync.files.files():
            if path not in expected:
                yield from self._of_stranger(self.file_sync, path)

    def _of_profile(
        self, file_sync: ProfileSync, key: str, found: IndexedEntry
    ) -> SessionProblem | None:
        path = str(file_sync.files.path(key))
        try:
            profile = file_sync.files.read(key)
        except StateError as error:
            return SessionProblem("damaged", key, path, str(error), _QUARANTINED)
        remedy = "goes with the next look at the session"
        if profile is None:
            return SessionProblem(
                "missing", key, path, f"the session {key!r} has no profile", remedy
            )
        if is_ahead(profile, found.document):
            message = f"the profile of {key!r} is newer than the index, which lost an update"
            return SessionProblem("ahead", key, path, message, _FIX)
        if file_sync.is_stale(profile, found):
            message = f"the profile of {key!r} does not say what the index says"
            return SessionProblem("stale", key, path, message, remedy)
        return None

    def _of_stranger(self, file_sync: ProfileSync, path: Path) -> Iterator[SessionProblem]:
        try:
            profile = file_sync.files.read_file(path)
        except StateError as error:
            yield SessionProblem("damaged", None, str(path), str(error), _LOOK, can_repair=False)
            return
        key = None if profile is None else profile.key
        if profile is not None and key is not None and file_sync.files.path(key) == path:
            if self.archive.holds(key, profile.entry) and self.index.find(key) is None:
                message = f"the session {key!r} was deleted, its profile is left"
                yield SessionProblem("leftover", key, str(path), message, _FIX)
        elif profile is not None:
            message = "is no profile of a session"
            yield SessionProblem("damaged", None, str(path), message, _LOOK, can_repair=False)

    def _repair_profiles(self, file_sync: ProfileSync, problems: list[SessionProblem]) -> None:
        keys = {each.key for each in problems if each.key is not None}
        for each in problems:
            if each.code == "ahead" and each.key is not None:
                self._bring_forward(file_sync, each.key)
        # One lock for all of it: readers write profiles too, when they find them stale.
        with file_sync.files.lock(patient=True) as lock:
            file_sync.files.sweep()
            for each in problems:
                if each.code == "damaged" and Path(each.path).parent == file_sync.files.folder:
                    file_sync.files.quarantine(Path(each.path), fence=lock.confirm)
            file_sync.sync_locked(keys, fence=lock.confirm)

    def _bring_forward(self, file_sync: ProfileSync, key: str) -> None:
        profile = file_sync.files.read(key)
        # Such a time would stay ahead of every update to come.
        if profile is None or updated_ms(profile.entry) > to_ms(self.clock()):
            return  # a time to come is rather an accident than an update

        def change(old: Any | None) -> Any:
            return profile.entry if isinstance(old, dict) and is_ahead(profile, old) else old

        self.index.update(key, change)

    def _drop_void(self) -> None:
        """Forget archives of sessions that never left the index, because a writer was killed."""
        self.archive.drop([each.archive for each in self.archive.records() if self.is_live(each)])


class _Repairing:
    """What a repair mended: all that can be, when it is first asked for one problem."""

    def __init__(self, repair: Callable[[], tuple[SessionProblem, ...]]) -> None:
        self._repair = repair
        self._mended: tuple[SessionProblem, ...] | None = None

    def outcome(self, problem: SessionProblem) -> str:
        """Return that *problem* was mended, or what to do about it."""
        if self._mended is None:
            self._mended = self._repair()
        return "mended" if problem in self._mended else problem.remedy


@dataclass(frozen=True, slots=True)
class SessionProblem:
    """
    One thing that is wrong, with the session *key* where one is known.

    - `damaged`: the index, or a profile, cannot be read.
    - `unusable`: an entry has a session id that could lead out of the directory, or is no object.
    - `outside`: an entry names a file that is not its own; the right one is used instead.
    - `missing`, `stale`: a profile is not there, or older than the entry; the index counts.
    - `ahead`: a profile is newer than the index, which therefore lost an update.
    - `orphan`: a profile has no entry, because the index was lost or replaced.
    - `leftover`: a profile of a session that was deleted.
    """

    code: Code
    key: str | None
    path: str
    message: str
    remedy: str
    can_repair: bool = True

    def finding(self, repair: Callable[[], str] | None) -> Finding:
        """Return what people are told; *repair* mends it."""
        return Finding(
            *(f"session-{self.code}", _SEVERITIES[self.code], self.path, self.message),
            fix=self.remedy,
            repair=repair,
        )
