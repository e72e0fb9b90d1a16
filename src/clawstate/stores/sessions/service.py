"""`Sessions`: the one door to the sessions of a state (specification section 3)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from clawstate.arguments import require_callable
from clawstate.errors import InvalidError, NotFoundError
from clawstate.health import Finding
from clawstate.moments import Moment, end_seconds
from clawstate.paging import PAGE, Listing, Page
from clawstate.records.contract import Backend
from clawstate.records.merging import MergeResult
from clawstate.stores.sessions.archive import Archived
from clawstate.stores.sessions.changes import StoreChange
from clawstate.stores.sessions.entry import Document, SessionEntry
from clawstate.stores.sessions.index_opening import index_on
from clawstate.stores.sessions.indexed import LIST
from clawstate.stores.sessions.merging import EntryChange
from clawstate.stores.sessions.past_entries import SessionChange
from clawstate.stores.sessions.routes import OneIndex, Routes
from clawstate.stores.sessions.selection import Pruned

A = TypeVar("A")

LISTING = Listing("sessions")
"""Sessions, the one updated last first."""

_ARCHIVE = Listing("archive")


class Sessions:
    """
    The sessions by their routing keys (specification section 3, decision 13).

    An index is the truth: a call that returned is on disk there. Safe for threads and processes;
    each look sees what others changed. A key is any text of 1 to 1,024 characters. *routes* tell
    in which index it is: there is one, or one for each agent. Limits of a pruning hold for each.
    """

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def __repr__(self) -> str:
        return f"Sessions({self._routes!r})"

    def resolve(self, key: str) -> SessionEntry:
        """
        Return the session of *key*; a new one is on disk before it is returned.

        Nothing is written for one that is there, unless its file has to be put right. Raises
        `CorruptError` for an entry that cannot be used, and what a change of records raises.
        """
        return self._routes.writable(key).resolve(key)

    def get(self, key: str) -> SessionEntry | None:
        """
        Return the session of *key* with all that is kept about it, or `None`.

        Members that stand in its profile only are among its fields. Raises `CorruptError` for an
        entry that cannot be used.
        """
        return self._routes.of(key).get(key)

    def require(self, key: str) -> SessionEntry:
        """Return the session of *key*; raises `NotFoundError`."""
        if (found := self.get(key)) is None:
            raise NotFoundError("session", key, LIST)
        return found

    def entries(self, active_within: float | None = None) -> tuple[SessionEntry, ...]:
        """
        Return the sessions, the one updated last first, as the indexes have them.

        With *active_within* only those updated in as many last seconds. Members of profiles are
        left out; entries that cannot be used are passed over with a `CorruptWarning`. All are read:
        see `page` for the newest of many.
        """
        found = [entry for each in self._routes.every() for entry in each.entries(active_within)]
        return tuple(sorted(found, key=lambda each: (-each.updated_at, each.session_key)))

    def page(
        self, limit: int = PAGE, after: str | None = None, *, active_within: float | None = None
    ) -> Page[SessionEntry]:
        """
        Return a page of what `entries` gives: the *limit* updated last, or those behind *after*.

        It costs the same however many sessions there are, on engines with an index. Raises
        `InvalidError` for a *limit* below 1 and an *after* that no page gave.
        """
        position = LISTING.require_page(limit, after)
        every = [
            each.latest(position, active_within=active_within, first=limit + 1)
            for each in self._routes.every()
        ]
        # Each index gives its own in order, so a page reads a few of each and sorts nothing.
        return LISTING.page(heapq.merge(*every, key=itemgetter(0)), limit)

    def update(self, key: str, change: EntryChange | Mapping[str, Any]) -> SessionEntry:
        """
        Change the entry of *key* and return it; raises `NotFoundError` when there is none.

        *change* is a patch whose members replace those there are, or a pure function from the
        entry, as in the document, to the entry as it shall be (`None`: nothing is written). The
        session id stays unless another is given, the time moves on, and a `model` that changes
        alone takes its `modelProvider` along. Raises `InvalidError` for what cannot be kept, such
        as an entry of more than a mebibyte.
        """
        return self._routes.writable(key).update(key, change)

    def change_all(self, change: StoreChange[A]) -> A:
        """
        Replace all entries at once by what *change* makes of them, and return its answer.

        It is given the entries as in their documents, by key, and returns all that shall be and an
        answer; it is pure, and called again when others were faster. Entries that it removes go to
        the archive first; those it alters follow the rules of `update`. Raises `InvalidError` where
        several agents have sessions in files of their own: no single step changes several files.
        Source: specification section 3, `updateSessionStore()`.
        """
        every = list(self._routes.every())
        # Agents without sessions do not count: one file is changed then, in one step.
        found = every if len(every) == 1 else [each for each in every if each.entries()]
        if len(found) > 1:
            problem = "keeps the sessions of each agent in a file of its own"
            hint = "change one session at a time, or those of one agent"
            raise InvalidError("session.store", problem, hint)
        return (found[0] if found else self._routes.default()).change_all(change)

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

    def merge(
        self, entries: Mapping[str, Any], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """
        Merge *entries* of another program's index, with their ids and times.

        The one updated later stays, or with *replace* theirs. A *dry_run* writes nothing.
        """
        return MergeResult.of(
            index.merge(part, replace=replace, dry_run=dry_run)
            for index, part in self._routes.split(entries)
        )

    def reset(self, key: str) -> SessionEntry:
        """
        Begin the session of *key* anew, with another session id, and return it.

        Settings stay, counters and notes of the old transcript go; the old session is archived.
        Raises `NotFoundError`.
        """
        return self._routes.writable(key).reset(key)

    def delete(self, key: str, *, expect: SessionEntry | None = None) -> bool:
        """
        Take the session of *key* out of the index, into the archive; False if there is none.

        Raises `ConflictError` if it is not as in *expect* any more.
        """
        return self._routes.writable(key).delete(key, expect=expect)

    def restore(self, name: str) -> SessionEntry:
        """
        Bring an archived session back, and return it.

        *name* is a session key, whose newest archive is meant, or the name of an archive. A session
        that has the key by now goes to the archive. Raises `NotFoundError`.
        """
        every = list(self._routes.every())
        # The name of an archive does not tell its agent, so it is looked for in each index.
        for each in every if len(every) > 1 else ():
            if any(name == found.archive for found in each.archived()):
                return each.restore(name)
        return self._routes.of(name).restore(name)

    def archived(self) -> tuple[Archived, ...]:
        """Return what can be restored, the newest first."""
        found = [archived for each in self._routes.every() for archived in each.archived()]
        return tuple(sorted(found, key=lambda each: (-each.at, each.session_key)))

    def archive_page(self, limit: int = PAGE, after: str | None = None) -> Page[Archived]:
        """Return a page of what `archived` gives, as `page` does of the sessions."""
        position = _ARCHIVE.require_page(limit, after)
        every = [each.latest_archived(position, first=limit + 1) for each in self._routes.every()]
        return _ARCHIVE.page(heapq.merge(*every, key=itemgetter(0)), limit)

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
        if not dry_run:
            for index in self._routes.every():
                index.sweep()
        told = [
            each.prune(
                older_than=older_than,
                max_entries=max_entries,
                max_disk_bytes=max_disk_bytes,
                dry_run=dry_run,
                enforce=enforce,
                spare=spare,
            )
            for each in self._routes.every()
        ]
        return _join(told)

    def as_of(self, moment: Moment) -> tuple[SessionEntry, ...]:
        """
        Return the sessions that there were at *moment*, as they were, the one updated last first.

        Seconds, ISO text, date or datetime; of a day its end. It is known for 30 days, or as
        long as `state.history.keepFor` says. What other programs changed is known from our next
        change of the session on. Of sessions that are gone for good nothing is known. Raises
        `InvalidError`.
        """
        at = end_seconds("as_of", moment)
        found = [entry for each in self._routes.every() for entry in each.past().entries(at)]
        return tuple(sorted(found, key=lambda each: (-each.updated_at, each.session_key)))

    def changes(self, since: Moment, until: Moment) -> tuple[SessionChange, ...]:
        """Return what happened to sessions after *since* and by *until*, last first."""
        begin, end = end_seconds("since", since), end_seconds("until", until)
        found = [
            change for each in self._routes.every() for change in each.past().changes(begin, end)
        ]
        return tuple(sorted(found, key=lambda each: (-each.at, each.kind, each.session_id)))

    def put_back(self, key: str, as_of: Moment) -> SessionEntry:
        """
        Make the session of *key* what it was at *as_of*, and return it.

        Its id, too: what has the key now goes to the archive then. That is a change as any other,
        and can be taken back in the same way. Raises `NotFoundError` where it was not there.
        """
        return self._routes.writable(key).put_back(key, end_seconds("as_of", as_of))

    def known_ids(self) -> frozenset[str]:
        """Return the ids of all sessions that are here, or can be restored."""
        return frozenset(found for each in self._routes.every() for found in each.known_ids())

    def ended_ids(self) -> frozenset[str]:
        """Return the ids of sessions that are gone for good, but for their messages."""
        found = frozenset(found for each in self._routes.every() for found in each.ended_ids())
        # A session id may be named in the index of another agent, which its own does not know.
        return found - self.known_ids() if found else found

    def collect(self) -> frozenset[str]:
        """Let go of all that `ended_ids` gives, and return it; each pruning does that by itself."""
        return frozenset(found for each in self._routes.every() for found in each.collect())

    def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be; nothing is changed."""
        return tuple(found for each in self._routes.every() for found in each.check())

    def repair(self) -> tuple[Finding, ...]:
        """Repair what can be repaired without loss, and return what was."""
        return tuple(found for each in self._routes.every() for found in each.repair())


def _join(told: list[Pruned]) -> Pruned:
    def entries(name: str) -> tuple[SessionEntry, ...]:
        return tuple(entry for each in told for entry in getattr(each, name))

    return Pruned(
        dry_run=any(each.dry_run for each in told),
        by_age=entries("by_age"),
        by_count=entries("by_count"),
        by_size=entries("by_size"),
        kept=sum(each.kept for each in told),
        expired=sum(each.expired for each in told),
        bytes_before=sum(each.bytes_before for each in told),
        bytes_after=sum(each.bytes_after for each in told),
    )


def sessions_on(
    backend: Backend,
    root: Path,
    path: PurePosixPath,
    **options: Any,
) -> Sessions:
    """Return the sessions whose only index is that of `index_on`, which see."""
    return Sessions(OneIndex(index_on(backend, root, path, **options)))
