"""Leaving the index: archived first, then removed, so that a kill between the two loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from clawstate.errors import ConflictError
from clawstate.files.json_text import is_same_json
from clawstate.records.contract import DELETE, Mark
from clawstate.stores.sessions.archive import Archive, Reason
from clawstate.stores.sessions.entry import EntryCopy, has_id
from clawstate.stores.sessions.file_sync import FileSync
from clawstate.stores.sessions.index import Index
from clawstate.stores.sessions.past import Moved, SessionPast

A = TypeVar("A")

_ATTEMPTS = 50  # each time somebody else was faster


class Removal:
    """Changes of *index* after which sessions may be gone, each of them in the archive by then."""

    def __init__(
        self, index: Index, archive: Archive, file_sync: FileSync, past: SessionPast | None = None
    ) -> None:
        self._index = index
        self._archive = archive
        self._file_sync = file_sync
        self._past = past

    def update(
        self, key: str, change: Callable[[Any | None], Any | Mark], *, reason: Reason
    ) -> Any | None:
        """Put what *change*, which alters nothing, makes of the entry; see `Index.update`."""
        name = self._index.form.key(key)
        moved: dict[str, Moved] = {}

        def run(safe: Mapping[str, Any]) -> Any | None:
            # Judged inside the change, on what is there at that moment: entries that are about to
            # go and are not in the archive as they are abort it. They are archived, and it is tried
            # again.
            def checked_change(old: Any | None) -> Any | Mark:
                before = EntryCopy(old)
                new = change(old)
                _require_safe({name: old}, {} if new is DELETE else {name: new}, safe)
                # Applied again after a conflict; its last application is what happened.
                moved[name] = before.value(), None if new is DELETE else new
                return new

            return self._index.update(key, checked_change)

        done = self._run_and_archive(run, name, reason)
        self._note(moved)
        return done

    def change_all(
        self,
        change: Callable[[dict[str, Any], Mapping[str, EntryCopy]], tuple[Mapping[str, Any], A]],
        *,
        reason: Reason,
    ) -> A:
        """
        Replace all entries by what *change* makes of them; see `Index.change_all`.

        It is given them twice: to alter, however deep, and as they were.
        """
        moved: dict[str, Moved] = {}

        def run(safe: Mapping[str, Any]) -> A:
            def checked_change(old: dict[str, Any]) -> tuple[Mapping[str, Any], A]:
                before = {key: EntryCopy(each) for key, each in old.items()}
                new, answer = change(old, before)
                # Only what may have gone: to copy all of them takes longer than the change.
                gone = {
                    key: each.value()
                    for key, each in before.items()
                    if not each.is_session or _session(new.get(key)) != each.session_id
                }
                _require_safe(gone, new, safe)
                moved.clear()
                if self._past is not None:
                    moved.update(_find_moves(before, new))
                return new, answer

            return self._index.change_all(checked_change)

        done = self._run_and_archive(run, "*", reason)
        self._note(moved)
        return done

    def _note(self, moved: Mapping[str, Moved]) -> None:
        if self._past is not None:
            self._past.note(moved)

    def _run_and_archive(
        self, run: Callable[[Mapping[str, Any]], A], key: str, reason: Reason
    ) -> A:
        safe: dict[str, Any] = {}
        for _ in range(_ATTEMPTS):
            try:
                return run(safe)
            except _UnsafeError as found:
                entries = found.entries
            # Outside of the change: no lock of the index is held while that of the archive is
            # taken.
            self._archive.keep(entries, self._file_sync.peek(entries), reason)
            safe.update(entries)
        raise ConflictError("session", key)


def _find_moves(
    before: Mapping[str, EntryCopy], new: Mapping[str, Any]
) -> Iterator[tuple[str, Moved]]:
    for key, each in before.items():
        if key not in new:
            yield key, (each.value(), None)
        elif not each.is_same(new[key]):
            yield key, (each.value(), new[key])
    for key, value in new.items():
        if key not in before:
            yield key, (None, value)


class _UnsafeError(Exception):
    """Sessions that would be gone without being in the archive."""

    def __init__(self, entries: dict[str, Any]) -> None:
        super().__init__()
        self.entries = entries


def _require_safe(old: Mapping[str, Any], new: Mapping[str, Any], safe: Mapping[str, Any]) -> None:
    unsafe = {
        key: value
        for key, value in old.items()
        if value is not None
        and has_id(value)
        and _session(new.get(key)) != _session(value)
        # Archived, but changed since: the archive would bring back an older state.
        and (key not in safe or not is_same_json(safe[key], value))
    }
    if unsafe:
        raise _UnsafeError(unsafe)


def _session(document: Any) -> Any:
    return document.get("sessionId") if isinstance(document, dict) else document
