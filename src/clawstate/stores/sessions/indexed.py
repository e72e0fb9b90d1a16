"""`IndexedSessions`: the sessions of one index, with archive and profiles."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from operator import itemgetter
from typing import Any, TypeVar

from clawstate.arguments import require_kind, require_seconds, require_text
from clawstate.clock import Clock, system_clock, to_ms
from clawstate.errors import ConflictError, CorruptError, CorruptWarning, NotFoundError, warn
from clawstate.files.json_text import is_same_json
from clawstate.health import Finding
from clawstate.paging import Position
from clawstate.records.contract import DELETE, Mark
from clawstate.records.merging import MergeResult
from clawstate.records.rules import position_of
from clawstate.stores.sessions.archive import Archive, Archived
from clawstate.stores.sessions.changes import EntryChanges, StoreChange
from clawstate.stores.sessions.entry import (
    NOTHING,
    SessionEntry,
    has_id,
    require_stored_id,
)
from clawstate.stores.sessions.file_sync import FileSync
from clawstate.stores.sessions.health import Health
from clawstate.stores.sessions.index import Index, IndexedEntry, has_wrong_file, read_entry
from clawstate.stores.sessions.maintenance import RemovalHook, limits_of, maintenance_of
from clawstate.stores.sessions.merging import EntryChange, as_change, merge_entries
from clawstate.stores.sessions.past import SessionPast
from clawstate.stores.sessions.past_entries import PastEntries
from clawstate.stores.sessions.removal import Removal
from clawstate.stores.sessions.selection import Limits, MaintenanceSettings, Pruned

A = TypeVar("A")

LIST = "'clawstate sessions list' shows which there are"


class IndexedSessions:
    """
    The sessions of one *index*, which is the truth; see `Sessions`.

    *on_removed* is told which sessions can no longer be restored, so that their messages can go.
    """

    def __init__(
        self,
        index: Index,
        archive: Archive,
        file_sync: FileSync,
        *,
        settings: Callable[[], MaintenanceSettings] = MaintenanceSettings,
        clock: Clock = system_clock,
        on_removed: RemovalHook = lambda _ids: None,
        past: SessionPast | None = None,
    ) -> None:
        self._past = past
        self._index = index
        self._archive = archive
        self._file_sync = file_sync
        self._clock = clock
        self._settings = settings
        self._changes = EntryChanges(index.form, clock)
        self._removal = Removal(index, archive, file_sync, past)
        self._maintenance = maintenance_of(
            index,
            archive,
            file_sync,
            self._removal,
            settings=settings,
            clock=clock,
            on_removed=_and_forget(on_removed, past),
        )
        self._health = Health(index, archive, file_sync, clock=clock)

    def __repr__(self) -> str:
        return f"IndexedSessions({str(self._index.collection.spec.path)!r})"

    def resolve(self, key: str) -> SessionEntry:
        """Return the session of *key*; a new one is on disk before it is returned."""
        found = self._index.find(key)
        if found is not None and has_id(found.document) and not has_wrong_file(self._index, found):
            return self._complete(found)
        # Only where the index has nothing: then the profile may still know the session.
        lost = None
        if found is None:
            self._recover()
            lost = self._file_sync.find_unindexed(key)
        name, session_id = self._index.form.key(key), str(uuid.uuid4())
        change = self._changes.creation(name, session_id, lost=lost)
        document = self._index.update(key, change)
        entry = self._read_back(name, document)
        # Another process may have made the session first; then it looks after what is due.
        if entry.session_id == session_id:
            self._note(name, None, document)
            self._maintenance.after_creation(name)
        return entry

    def get(self, key: str) -> SessionEntry | None:
        """Return the session of *key* with all that is kept about it, or `None`."""
        found = self._index.find(key)
        if found is not None:
            return self._complete(found) if has_id(found.document) else None
        lost = self._file_sync.find_unindexed(key)
        return None if lost is None else read_entry(self._index, IndexedEntry(key, lost, ""))

    def entries(self, active_within: float | None = None) -> tuple[SessionEntry, ...]:
        """Return the sessions in any order; see `Sessions.entries`."""
        since = self._since(active_within)
        found: list[SessionEntry] = []
        for each in self._scan():
            try:
                entry = read_entry(self._index, each)
            except CorruptError as error:
                # One bad entry must not hide all others.
                warn(CorruptWarning(f"{error}; it is passed over"), stacklevel=3)
                continue
            if since is None or entry.updated_at >= since:
                found.append(entry)
        return tuple(found)

    def latest(
        self, after: Position | None, *, active_within: float | None, first: int
    ) -> Iterator[tuple[Position, SessionEntry]]:
        """Give the entries behind *after*, each with its position; about *first* are wanted."""
        since = self._since(active_within)
        least = -math.inf if since is None else to_ms(since)
        for position, each in self._latest(after, first=first):
            # Positions are by time, so everything behind this one is older still.
            if -position[0] < least:
                return
            if not has_id(each.document):
                continue
            try:
                yield position, read_entry(self._index, each)
            except CorruptError as error:
                warn(CorruptWarning(f"{error}; it is passed over"), stacklevel=2)

    def update(self, key: str, change: EntryChange | Mapping[str, Any]) -> SessionEntry:
        """Change the entry of *key*, and return it; see `Sessions.update`."""
        name = self._index.form.key(key)
        apply = self._changes.update_of(name, as_change(change))
        # Or the update would say "no such session" of one whose profile is there.
        self._reclaim(key)
        document = self._removal.update(key, apply, reason="replaced")
        if document is None or not has_id(document):
            raise NotFoundError("session", key, "make it with sessions.resolve(key)")
        return self._read_back(name, document)

    def change_all(self, change: StoreChange[A]) -> A:
        """Replace all entries at once by what *change* makes of them; see `Sessions`."""
        touched: set[str] = set()
        self._recover()
        answer = self._removal.change_all(
            self._changes.replacement(change, touched), reason="deleted"
        )
        if touched:
            # After the index is durable, and from what it says then: a kill in between leaves stale
            # profiles, which the next look writes anew.
            self._file_sync.sync(touched)
        return answer

    def merge(
        self, entries: Mapping[str, Any], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """Merge *entries* of another program's index; see `Sessions.merge`."""
        form, spec = self._index.form, self._index.collection.spec
        held = self._archive.holds

        def merge(ours: dict[str, Any], _: object = None) -> tuple[dict[str, Any], MergeResult]:
            return merge_entries(ours, entries, form, spec, replace=replace, is_archived=held)

        if dry_run:
            return merge({each.key: each.document for each in self._index.scan()})[1]
        self._recover()
        result = self._removal.change_all(merge, reason="replaced")
        if moved := (*result.new, *result.changed):
            self._file_sync.sync(moved)
        return result

    def reset(self, key: str) -> SessionEntry:
        """Begin the session of *key* anew, with another session id, and return it."""
        name = self._index.form.key(key)
        self._reclaim(key)
        apply = self._changes.reset_of(name, str(uuid.uuid4()))
        document = self._removal.update(key, apply, reason="reset")
        return _require(key, None if document is None else self._read_back(name, document))

    def delete(self, key: str, *, expect: SessionEntry | None = None) -> bool:
        """Take the session of *key* out of the index, into the archive; see `Sessions.delete`."""
        if expect is not None:
            require_kind("expect", expect, SessionEntry)
        self._reclaim(require_text("key", key))
        # A change may be applied several times; what the last one saw is what happened.
        seen: list[bool] = []

        def apply(old: Any | None) -> Mark:
            if expect is not None:
                self._require_expected(key, old, expect)
            seen.append(old is not None)
            return DELETE

        self._removal.update(key, apply, reason="deleted")
        if seen[-1]:
            self._file_sync.sync([self._index.form.key(key)])
        return seen[-1]

    def restore(self, name: str) -> SessionEntry:
        """Bring the archived session *name* back, and return it; see `Sessions.restore`."""
        archived = self._archive.require(name, self._index.form.key(name))
        key = self._index.form.key(archived.session_key)
        apply = self._changes.restoration(key, archived)
        document = self._removal.update(key, apply, reason="replaced")
        entry = self._read_back(key, document, archived.profile)
        # Last: a kill before leaves the archive of a session that is there, which counts for
        # nothing.
        self._archive.drop([archived.archive])
        return entry

    def archived(self) -> tuple[Archived, ...]:
        """Return what can be restored, in any order."""
        return tuple(each for each in self._archive.records() if not self._health.is_live(each))

    def latest_archived(
        self, after: Position | None, *, first: int
    ) -> Iterator[tuple[Position, Archived]]:
        """Give what can be restored behind *after*, each with its position."""
        found = self._archive.latest(after, first=first)
        return (each for each in found if not self._health.is_live(each[1]))

    def prune(
        self,
        *,
        older_than: float | None = None,
        max_entries: int | None = None,
        max_disk_bytes: int | None = None,
        dry_run: bool = False,
        enforce: bool = False,
        spare: Collection[str] = (),
    ) -> Pruned:
        """Remove sessions into the archive, and archives for good; see `Sessions.prune`."""
        limits = Limits(older_than, max_entries, max_disk_bytes)
        # Limits that the caller named are meant now, whatever the mode of maintenance.
        if not limits.any_given:
            settings = self._settings()
            limits = limits_of(settings)
            dry_run = dry_run or not (enforce or settings.enforce)
        return self._maintenance.prune(limits, spared=spare, dry_run=dry_run)

    def past(self) -> PastEntries:
        """Return the entries as they were, for as long as that is kept."""
        lives = {} if self._past is None else self._past.lives()
        return PastEntries(self._index, lives)

    def put_back(self, key: str, moment: float) -> SessionEntry:
        """Make the entry of *key* what it was at *moment*; see `Sessions.put_back`."""
        name = self._index.form.key(key)
        then = self.past().document(name, moment)
        if then is None:
            hint = "'clawstate diff --since' tells what there was, and when"
            raise NotFoundError("session of that moment", key, hint)
        found = self._index.find(key)
        if found is None or not has_id(found.document):
            document = self._index.update(
                key, self._changes.creation(name, then["sessionId"], lost=then)
            )
            self._note(name, None, document)
            return self._read_back(name, document)
        return self.update(key, lambda _: then)

    def sweep(self) -> None:
        """Let go of what entries were longer ago than is kept."""
        if self._past is not None:
            self._past.sweep()

    def known_ids(self) -> frozenset[str]:
        """Return the ids of all sessions that are here, or can be restored."""
        return self._maintenance.known_ids()

    def ended_ids(self) -> frozenset[str]:
        """Return the ids of sessions that are gone for good, but for their messages."""
        return self._maintenance.ended_ids()

    def collect(self) -> frozenset[str]:
        """Let go of all that `ended_ids` gives, and return it; each pruning does that by itself."""
        return self._maintenance.collect()

    def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be; nothing is changed."""
        return self._health.check()

    def repair(self) -> tuple[Finding, ...]:
        """Repair what can be repaired without loss, and return what was."""
        return tuple(each.finding(None) for each in self._health.repair())

    def _require_expected(self, key: str, document: Any | None, expect: SessionEntry) -> None:
        """Raise `ConflictError` unless *document*, of the index, is what the caller saw."""
        name = self._index.form.key(key)
        is_there = document is not None and has_id(document)
        now = read_entry(self._index, IndexedEntry(name, document, "")) if is_there else None
        # The profile has members of its own beside those of the index: a change of these shows here
        # by its time.
        if (
            now is None
            or (now.session_id, now.updated_at) != (expect.session_id, expect.updated_at)
            or any(not is_same_json(expect.fields.get(k), v) for k, v in now.fields.items())
        ):
            raise ConflictError("session", key)

    def _complete(self, found: IndexedEntry) -> SessionEntry:
        require_stored_id(found.key, found.document)
        return read_entry(self._index, found, self._file_sync.own_members(found))

    def _read_back(
        self, name: str, document: Any, extra: Mapping[str, Any] = NOTHING
    ) -> SessionEntry:
        # Then read back what the profile has besides, so the answer is what `get` would give.
        self._file_sync.sync([name], extra)
        own = self._file_sync.peek([name]).get(name, NOTHING)
        return read_entry(self._index, IndexedEntry(name, document, ""), own)

    def _note(self, name: str, old: Any, new: Any) -> None:
        if self._past is not None:
            self._past.note({name: (old, new)})

    def _since(self, active_within: float | None) -> float | None:
        if active_within is None:
            return None
        return self._clock() - require_seconds("active_within", active_within)

    def _latest(
        self, after: Position | None, *, first: int
    ) -> Iterator[tuple[Position, IndexedEntry]]:
        each = None
        for each in self._index.latest(after, first=first):
            yield each
        if each is not None or not self._file_sync.has_profiles or self._index.count():
            return
        # The index was lost: the profiles tell which sessions there are.
        spec = self._index.collection.spec
        lost = [IndexedEntry(key, entry, "") for key, entry in self._file_sync.scan_unindexed()]
        placed = ((position_of(spec, found.key, found.document), found) for found in lost)
        behind = (pair for pair in placed if after is None or pair[0] > after)
        yield from sorted(behind, key=itemgetter(0))

    def _scan(self) -> list[IndexedEntry]:
        found = [each for each in self._index.scan() if has_id(each.document)]
        # Reading repairs nothing, but an index that was lost is not "no sessions" either.
        return found or [
            IndexedEntry(key, entry, "") for key, entry in self._file_sync.scan_unindexed()
        ]

    def _reclaim(self, key: str) -> None:
        """Make sure that a session whose entry was lost is in the index again."""
        if not self._file_sync.has_profiles or self._index.find(key) is not None:
            return
        if self._file_sync.find_unindexed(key) is not None:
            self.resolve(key)

    def _recover(self) -> None:
        # Before a change of all: it would take the lost sessions for deleted ones.
        if self._file_sync.has_profiles and self._index.count() == 0:
            self._health.rebuild()


def _require(key: str, found: SessionEntry | None) -> SessionEntry:
    if found is None:
        raise NotFoundError("session", key, LIST)
    return found


def _and_forget(on_removed: RemovalHook, past: SessionPast | None) -> RemovalHook:
    def forget(session_ids: frozenset[str]) -> object:
        if past is not None:
            past.forget(session_ids)
        return on_removed(session_ids)

    return forget
