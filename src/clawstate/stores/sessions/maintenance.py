"""`SessionMaintenance`: moves old sessions into the archive, and removes old archives for good."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from clawstate.arguments import require_texts
from clawstate.clock import Clock
from clawstate.errors import CorruptError, FallbackWarning, StateError, warn
from clawstate.files.json_text import dump_compact
from clawstate.quantities import number_of
from clawstate.stores.sessions.archive import Archive, Archived
from clawstate.stores.sessions.entry import has_id, is_session_id
from clawstate.stores.sessions.file_sync import FileSync
from clawstate.stores.sessions.index import Index, IndexedEntry, read_entry
from clawstate.stores.sessions.removal import Removal
from clawstate.stores.sessions.selection import (
    Limits,
    MaintenanceSettings,
    Pruned,
    Selection,
    SizedEntry,
    oldest_beyond,
    select,
    select_expired,
)

RemovalHook: TypeAlias = Callable[[frozenset[str]], object]
"""Is told the ids of sessions that are gone for good, maybe more than once."""

_EVERY = 64  # new sessions between two looks


@dataclass(frozen=True, slots=True)
class SessionMaintenance:
    """
    Prunes the sessions of *index*.

    It looks by itself after some new sessions, not after each: so what it costs is spread over
    them. *settings* are asked each time.
    """

    index: Index
    archive: Archive
    file_sync: FileSync
    removal: Removal
    settings: Callable[[], MaintenanceSettings]
    clock: Clock
    on_removed: RemovalHook
    _created: Iterator[int]

    def after_creation(self, key: str) -> None:
        """Do what is due by itself, sparing *key*; never raises a `StateError`."""
        # The first in each process looks as well: programs that make one session would never.
        if next(self._created) % _EVERY:
            return
        with contextlib.suppress(StateError):  # what was asked for is done
            settings = self.settings()
            if settings.enforce:
                self.prune(limits_of(settings), spared={key})
            else:
                self._drop(self._select_expired(self.archive.records()))

    def prune(
        self, limits: Limits, *, spared: Collection[str] = (), dry_run: bool = False
    ) -> Pruned:
        """Remove what *limits* do not allow, and archives that are too old; see `Pruned`."""
        kept = list(self._scan_kept())
        found = {each.key: each for _, each in kept}
        names = {self.index.form.key(each) for each in require_texts("spare", spared)}
        chosen = select((each for each, _ in kept), limits, now=self.clock(), spared=names)
        archived = tuple(self.archive.records())
        before = _bytes(chosen) + _total(archived)
        going = {each.entry.session_key: found[each.entry.session_key] for each in chosen.gone}
        if dry_run:
            archived += tuple(
                self.archive.preview(key, each.document) for key, each in going.items()
            )
        elif going:
            chosen = _only(chosen, self._remove(going))
            archived = tuple(self.archive.records())
        live = sum(each.size for each in chosen.left)
        spent = self._choose_archives(archived, limits, live)
        if not dry_run:
            self._drop(spent)
        after = live + _total(archived) - _total(spent)
        return _report(chosen, dry_run=dry_run, expired=len(spent), before=before, after=after)

    def _scan_kept(self) -> Iterator[tuple[SizedEntry, IndexedEntry]]:
        for found in self.index.scan():
            if not has_id(found.document):
                continue
            # What cannot be read is neither counted nor removed; `check` tells of it.
            with contextlib.suppress(CorruptError):
                entry = read_entry(self.index, found)
                size = len(dump_compact(found.document)) + self.file_sync.size(found.key)
                yield SizedEntry(entry, size), found

    def _remove(self, gone: dict[str, IndexedEntry]) -> set[str]:
        """Remove those of *gone* that nobody changed meanwhile, and return their keys."""

        def without(entries: dict[str, object], _: object) -> tuple[dict[str, object], set[str]]:
            # Chosen without a lock: a session that was used since is not old any more.
            unchanged = {key for key, each in gone.items() if entries.get(key) == each.document}
            left = {key: value for key, value in entries.items() if key not in unchanged}
            return left, unchanged

        done = self.removal.change_all(without, reason="pruned")
        self.file_sync.sync(done)
        return done

    def _choose_archives(
        self, archived: tuple[Archived, ...], limits: Limits, live: int
    ) -> tuple[Archived, ...]:
        too_old = self._select_expired(archived)
        rest = [each for each in archived if each not in too_old]
        if limits.max_disk_bytes is None:
            return too_old
        is_over = live + _total(rest) > limits.max_disk_bytes
        # The sessions that are alive come first; archives get what they leave of the budget.
        room = (limits.high_water if is_over else limits.max_disk_bytes) - live
        return (*too_old, *oldest_beyond(rest, max(0, room)))

    def _drop(self, spent: tuple[Archived, ...]) -> None:
        if spent:
            # A profile that a killed delete left would look as if the index had lost its session.
            self.file_sync.sync({each.session_key for each in spent})
            self.archive.expire(spent)
        self.collect()

    def ended_ids(self) -> frozenset[str]:
        """Return the ids of sessions gone for good that `on_removed` is yet to be told."""
        found = frozenset(filter(is_session_id, self.archive.ended_ids().values()))
        return found - self.known_ids() if found else found

    def collect(self) -> frozenset[str]:
        """
        Tell `on_removed` which sessions are gone for good, and return their ids.

        A session that an entry or another archive still names is none of them. What cannot be done
        now, or is cut off by a kill, is done by the next call.
        """
        spent = self.archive.ended_ids()
        ids = frozenset(filter(is_session_id, spent.values()))
        if spent:
            ids -= self.known_ids()
            try:
                self.on_removed(ids)
            except StateError as error:
                sessions = number_of(len(ids), "session")
                message = f"{error}; the messages of {sessions} go with the next pruning"
                warn(FallbackWarning(message), stacklevel=4)
                # Nothing is forgotten: the notes of what ended stay, and the next call tells them
                # again.
                return frozenset()
            self.archive.forget(spent)
        return ids

    def known_ids(self) -> frozenset[str]:
        """Return the ids of all sessions that are here, or can be restored."""
        documents = (each.document for each in self.index.scan())
        live = (str(each.get("sessionId")) for each in documents if isinstance(each, dict))
        return frozenset((*live, *(each.session_id for each in self.archive.records())))

    def _select_expired(self, archived: Iterable[Archived]) -> tuple[Archived, ...]:
        settings = self.settings()
        return select_expired(
            archived,
            now=self.clock(),
            kept_for=settings.prune_after,
            resets_for=settings.reset_retention,
        )


def maintenance_of(
    index: Index,
    archive: Archive,
    file_sync: FileSync,
    removal: Removal,
    *,
    settings: Callable[[], MaintenanceSettings],
    clock: Clock,
    on_removed: RemovalHook,
) -> SessionMaintenance:
    """Return the maintenance of *index*; its first look is due at once."""
    return SessionMaintenance(
        index, archive, file_sync, removal, settings, clock, on_removed, itertools.count()
    )


def limits_of(settings: MaintenanceSettings) -> Limits:
    """Return the limits that *settings* mean."""
    return Limits(
        settings.prune_after,
        settings.max_entries,
        settings.max_disk_bytes,
        settings.high_water_bytes,
    )


def _report(chosen: Selection, *, dry_run: bool, expired: int, before: int, after: int) -> Pruned:
    return Pruned(
        dry_run=dry_run,
        by_age=tuple(each.entry for each in chosen.by_age),
        by_count=tuple(each.entry for each in chosen.by_count),
        by_size=tuple(each.entry for each in chosen.by_size),
        kept=len(chosen.left),
        expired=expired,
        bytes_before=before,
        bytes_after=after,
    )


def _total(archived: Iterable[Archived]) -> int:
    return sum(each.size for each in archived)


def _bytes(selection: Selection) -> int:
    return sum(each.size for each in (*selection.gone, *selection.left))


def _only(selection: Selection, keys: set[str]) -> Selection:
    """Return *selection* without what was changed meanwhile and so stayed."""
    stayed = tuple(each for each in selection.gone if each.entry.session_key not in keys)

    def of(chosen: tuple[SizedEntry, ...]) -> tuple[SizedEntry, ...]:
        return tuple(each for each in chosen if each.entry.session_key in keys)

    return Selection(
        of(selection.by_age),
        of(selection.by_count),
        of(selection.by_size),
        (*selection.left, *stayed),
    )
