"""`Sessions`: the one door to the sessions of a state (specification section 3)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from clawstate.arguments import require_callable, require_seconds, require_text
from clawstate.clock import Clock, system_clock
from clawstate.errors import CorruptError, CorruptWarning, NotFoundError, warn
from clawstate.health import Finding
from clawstate.records.adoption import Adopted
from clawstate.records.contract import DELETE, Mark
from clawstate.stores.sessions.adoption import adopting
from clawstate.stores.sessions.archive import Archive, Archived
from clawstate.stores.sessions.changes import Changes, StoreChange
from clawstate.stores.sessions.entry import (
    Document,
    SessionEntry,
    has_id,
    require_stored_id,
)
from clawstate.stores.sessions.health import Health
from clawstate.stores.sessions.index import Found, Index
from clawstate.stores.sessions.merging import EntryChange, as_change
from clawstate.stores.sessions.mirror import NOTHING, Mirror
from clawstate.stores.sessions.reading import has_wrong_file, read_entry
from clawstate.stores.sessions.removal import Removal
from clawstate.stores.sessions.selection import Limits, Maintenance, Pruned
from clawstate.stores.sessions.upkeep import Gone, limits_of, upkeep_of

A = TypeVar("A")

_LIST = "'clawstate sessions list' shows which there are"


class Sessions:
    """
    The sessions by their routing keys (specification section 3, decisions 7 and 8).

    The index is the truth: a call that returned is on disk there. Safe for threads and processes;
    each look sees what others changed. A key is any text of 1 to 1,024 characters. *gone* is told
    which sessions can no longer be restored, so that their messages can go.
    """

    def __init__(
        self,
        index: Index,
        archive: Archive,
        mirror: Mirror,
        *,
        settings: Callable[[], Maintenance] = Maintenance,
        clock: Clock = system_clock,
        gone: Gone = lambda _ids: None,
    ) -> None:
        self._index = index
        self._archive = archive
        self._mirror = mirror
        self._clock = clock
        self._settings = settings
        self._changes = Changes(index.form, clock)
        self._removal = Removal(index, archive, mirror)
        self._upkeep = upkeep_of(
            index, archive, mirror, self._removal, settings=settings, clock=clock, gone=gone
        )
        self._health = Health(index, archive, mirror, clock=clock)

    def __repr__(self) -> str:
        return f"Sessions({str(self._index.collection.shape.path)!r})"

    def resolve(self, key: str) -> SessionEntry:
        """
        Return the session of *key*; a new one is on disk before it is returned.

        Nothing is written for one that is there, unless its file has to be put right. Raises
        `CorruptError` for an entry that cannot be used, and what a change of records raises.
        """
        found = self._index.find(key)
        if found is not None and has_id(found.document) and not has_wrong_file(self._index, found):
            return self._completed(found)
        lost = None
        if found is None:
            self._recover()
            lost = self._mirror.orphan(key)
        name, session_id = self._index.form.key(key), str(uuid.uuid4())
        change = self._changes.creating(name, session_id, lost=lost)
        entry = self._changed(name, self._index.update(key, change))
        if entry.session_id == session_id:
            self._upkeep.after_creation(name)
        return entry

    def get(self, key: str) -> SessionEntry | None:
        """
        Return the session of *key* with all that is kept about it, or `None`.

        Members that stand in its profile only are among its fields. Raises `CorruptError` for an
        entry that cannot be used.
        """
        found = self._index.find(key)
        if found is not None:
            return self._completed(found) if has_id(found.document) else None
        lost = self._mirror.orphan(key)
        return None if lost is None else read_entry(self._index, Found(key, lost, ""))

    def require(self, key: str) -> SessionEntry:
        """Return the session of *key*; raises `NotFoundError`."""
        return _required(key, self.get(key))

    def entries(self, active_within: float | None = None) -> tuple[SessionEntry, ...]:
        """
        Return the sessions, the one updated last first, as the index has them.

        With *active_within* only those updated in as many last seconds. Members of profiles are
        left out; entries that cannot be used are passed over with a `CorruptWarning`.
        """
        since = None
        if active_within is not None:
            since = self._clock() - require_seconds("active_within", active_within)
        found: list[SessionEntry] = []
        for each in self._scanned():
            try:
                entry = read_entry(self._index, each)
            except CorruptError as error:
                warn(CorruptWarning(f"{error}; it is passed over"), stacklevel=2)
                continue
            if since is None or entry.updated_at >= since:
                found.append(entry)
        return tuple(sorted(found, key=lambda each: (-each.updated_at, each.session_key)))

    def update(self, key: str, change: EntryChange | Mapping[str, Any]) -> SessionEntry:
        """
        Change the entry of *key* and return it; raises `NotFoundError` when there is none.

        *change* is a patch whose members replace those there are, or a pure function from the
        entry, as in the document, to the entry as it shall be (`None`: nothing is written). The
        session id stays unless another is given, the time moves on, and a `model` that changes
        alone takes its `modelProvider` along. Raises `InvalidError` for what cannot be kept, such
        as an entry of more than a mebibyte.
        """
        name = self._index.form.key(key)
        apply = self._changes.updating(name, as_change(change))
        self._reclaim(key)
        document = self._removal.update(key, apply, reason="replaced")
        if document is None or not has_id(document):
            raise NotFoundError("session", key, "make it with sessions.resolve(key)")
        return self._changed(name, document)

    def change_all(self, change: StoreChange[A]) -> A:
        """
        Replace all entries at once by what *change* makes of them, and return its answer.

        It is given the entries as in their documents, by key, and returns all that shall be and an
        answer; it is pure, and called again when others were faster. Entries that it removes go to
        the archive first; those it alters follow the rules of `update`. Source: specification
        section 3, `updateSessionStore()`.
        """
        touched: set[str] = set()
        self._recover()
        answer = self._removal.change_all(
            self._changes.replacing(change, touched), reason="deleted"
        )
        if touched:
            self._mirror.reflect(touched)
        return answer

    def update_store(self, mutator: Callable[[dict[str, Document]], A]) -> A:
        """
        Let *mutator* alter all entries in place, in one step, and return what it returns.

        Otherwise as `change_all`: it may be called again, with the entries as they are then.
        """
        require_callable("mutator", mutator)

        def change(entries: dict[str, Document]) -> tuple[Mapping[str, Document], A]:
            answer = mutator(entries)
            return entries, answer

        return self.change_all(change)

    def adopt(
        self, entries: Mapping[str, Any], *, replace: bool = False, dry_run: bool = False
    ) -> Adopted:
        """
        Take over *entries* of another program's index, with their ids and times; tell which.

        The one updated later stays, or with *replace* theirs. A *dry_run* only tells.
        """
        rule = adopting(entries, self._index, self._archive, replace=replace)
        if dry_run:
            return rule({each.key: each.document for each in self._index.scan()})[1]
        self._recover()
        answer = self._removal.change_all(rule, reason="replaced")
        if moved := (*answer.new, *answer.changed):
            self._mirror.reflect(moved)
        return answer

    def reset(self, key: str) -> SessionEntry:
        """
        Begin the session of *key* anew, with another session id, and return it.

        Settings stay, counters and notes of the old transcript go; the old session is archived.
        Raises `NotFoundError`.
        """
        name = self._index.form.key(key)
        self._reclaim(key)
        apply = self._changes.resetting(name, str(uuid.uuid4()))
        document = self._removal.update(key, apply, reason="reset")
        return _required(key, None if document is None else self._changed(name, document))

    def delete(self, key: str) -> bool:
        """Take the session of *key* out of the index, into the archive; False if there is none."""
        self._reclaim(require_text("key", key))
        seen: list[bool] = []

        def apply(old: Any | None) -> Mark:
            seen.append(old is not None)
            return DELETE

        self._removal.update(key, apply, reason="deleted")
        if seen[-1]:
            self._mirror.reflect([self._index.form.key(key)])
        return seen[-1]

    def restore(self, name: str) -> SessionEntry:
        """
        Bring an archived session back, and return it.

        *name* is a session key, whose newest archive is meant, or the name of an archive. A session
        that has the key by now goes to the archive. Raises `NotFoundError`.
        """
        archived = self._archive.require(name, self._index.form.key(name))
        key = self._index.form.key(archived.session_key)
        apply = self._changes.restoring(key, archived)
        document = self._removal.update(key, apply, reason="replaced")
        entry = self._changed(key, document, archived.profile)
        self._archive.drop([archived.archive])
        return entry

    def archived(self) -> tuple[Archived, ...]:
        """Return what can be restored, the newest first."""
        found = [each for each in self._archive.records() if not self._health.is_live(each)]
        return tuple(sorted(found, key=lambda each: (-each.at, each.session_key)))

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
        """
        Remove sessions into the archive, and archives that are too old for good; tell which.

        The limits are in seconds, sessions and bytes. Without any, those of `session.maintenance`
        count; its mode `warn` removes nothing and tells what it would, unless *enforce*. Sessions
        whose keys are in *spare* stay. Raises `InvalidError` for a negative limit.
        """
        limits = Limits(older_than, max_entries, max_disk_bytes)
        if not limits.any_given:
            settings = self._settings()
            limits = limits_of(settings)
            dry_run = dry_run or not (enforce or settings.enforce)
        return self._upkeep.prune(limits, spared=spare, dry_run=dry_run)

    def named(self) -> frozenset[str]:
        """Return the ids of all sessions that are here, or can be restored."""
        return self._upkeep.named()

    def ended(self) -> frozenset[str]:
        """Return the ids of sessions that are gone for good, but for their messages."""
        return self._upkeep.ended()

    def collect(self) -> frozenset[str]:
        """Let go of all that `ended` gives, and return it; each pruning does that by itself."""
        return self._upkeep.collect()

    def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be; nothing is changed."""
        return self._health.check()

    def repair(self) -> tuple[Finding, ...]:
        """Mend what loses nothing, and return what was mended."""
        return tuple(each.finding(None) for each in self._health.repair())

    def _completed(self, found: Found) -> SessionEntry:
        require_stored_id(found.key, found.document)
        return read_entry(self._index, found, self._mirror.own_members(found))

    def _changed(
        self, name: str, document: Any, extra: Mapping[str, Any] = NOTHING
    ) -> SessionEntry:
        self._mirror.reflect([name], extra)
        own = self._mirror.peek([name]).get(name, NOTHING)
        return read_entry(self._index, Found(name, document, ""), own)

    def _scanned(self) -> list[Found]:
        found = [each for each in self._index.scan() if has_id(each.document)]
        return found or [Found(key, entry, "") for key, entry in self._mirror.orphans()]

    def _reclaim(self, key: str) -> None:
        """Make sure that a session whose entry was lost is in the index again."""
        if not self._mirror.has_profiles or self._index.find(key) is not None:
            return
        if self._mirror.orphan(key) is not None:
            self.resolve(key)

    def _recover(self) -> None:
        if self._mirror.has_profiles and self._index.count() == 0:
            self._health.rebuild()


def _required(key: str, found: SessionEntry | None) -> SessionEntry:
    if found is None:
        raise NotFoundError("session", key, _LIST)
    return found
