"""The index: which session belongs to a key, on whatever engine it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from clawstate.paging import Position
from clawstate.records.cached_view import CachedView
from clawstate.records.contract import DELETE, Collection, Mark, Revision
from clawstate.records.listing import latest
from clawstate.stores.sessions.entry import (
    NOTHING,
    Document,
    SessionEntry,
    entry_of,
    is_session_id,
    require_stored_id,
    updated_ms,
)
from clawstate.stores.sessions.index_format import IndexFormat

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class IndexedEntry:
    """An entry as it was found: `document` is the finder's own, and may be no object at all."""

    key: str
    document: Any
    revision: Revision


def is_usable(found: IndexedEntry) -> bool:
    """Tell whether *found* is an entry with a session id that can be used."""
    document = found.document
    return isinstance(document, dict) and is_session_id(document.get("sessionId"))


class Index:
    """The entries of *collection*, under keys as *form* spells them."""

    def __init__(self, collection: Collection, form: IndexFormat) -> None:
        self.collection = collection
        self.form = form
        self._spellings = _Spellings(collection, form) if form.folds_keys else None

    def find(self, key: str) -> IndexedEntry | None:
        """Return the entry of *key*; of several spellings the one updated last."""
        found = [each for name in self._names(key) if (each := self.collection.get(name))]
        if not found:
            return None
        # Of equals the spelling that was asked for, so the answer does not hang on the order of the
        # file.
        newest = max(found, key=lambda each: (updated_ms(each.value), each.key == key))
        return self._found(self.form.key(key), newest.value, newest.revision)

    def scan(self) -> Iterator[IndexedEntry]:
        """Give all entries; of several spellings of a key the one updated last."""
        if self._spellings is None:
            for each in self.collection.scan():
                yield IndexedEntry(each.key, each.value, each.revision)
            return
        newest: dict[str, IndexedEntry] = {}
        for each in self.collection.scan():
            key = self.form.key(each.key)
            known = newest.get(key)
            if known is None or updated_ms(known.document) < updated_ms(each.value):
                newest[key] = self._found(key, each.value, each.revision)
        yield from newest.values()

    def latest(
        self, after: Position | None, *, first: int
    ) -> Iterator[tuple[Position, IndexedEntry]]:
        """Give the entries behind *after*, the one updated last first, as `scan` does."""
        for position, each in latest(self.collection, after, first=first):
            if self._spellings is None:
                yield position, IndexedEntry(each.key, each.value, each.revision)
            elif (found := self._newest_spelling(each.key)) is not None:
                yield position, found

    def _newest_spelling(self, name: str) -> IndexedEntry | None:
        """Return the entry called *name*, unless another spelling of its key was updated later."""
        found = {each: self.collection.get(each) for each in self._names(name)}
        known = [each for each in found.values() if each is not None]
        key = self.form.key(name)
        newest = max(
            known, key=lambda each: (updated_ms(each.value), each.key == key), default=None
        )
        if newest is None or newest.key != name:
            return None
        return self._found(key, newest.value, newest.revision)

    def count(self) -> int:
        """Return how many entries there are, each spelling counted."""
        return self.collection.count()

    def update(self, key: str, change: Callable[[Any | None], Any | Mark]) -> Any | None:
        """Put what *change* makes of the entry of *key*, and return it; see `Collection.update`."""
        name, names = self.form.key(key), self._names(key)
        # One spelling, the usual case: a change of one record, and not of the whole index.
        if set(names) <= {name}:
            kept = self.collection.update(name, lambda old: change(self._migrate(old)))
            return None if kept is None else kept.value

        def fold(records: dict[str, Any]) -> tuple[Mapping[str, Any], Any | None]:
            old = _newest(records, names)
            new = change(self._migrate(old))
            # All spellings go in the same step as the new one comes: a kill leaves either.
            rest = {each: value for each, value in records.items() if each not in names}
            return (rest, None) if new is DELETE else ({**rest, name: new}, new)

        return self.collection.change_all(fold)

    def change_all(self, change: Callable[[dict[str, Any]], tuple[Mapping[str, Any], A]]) -> A:
        """Replace all entries at once by what *change* makes of them; see `Collection`."""

        def fold(records: dict[str, Any]) -> tuple[Mapping[str, Any], A]:
            return change({key: self._migrate(value) for key, value in self._fold(records)})

        return self.collection.change_all(fold)

    def _fold(self, records: dict[str, Any]) -> Iterable[tuple[str, Any]]:
        if self._spellings is None:
            return records.items()
        names: dict[str, list[str]] = {}
        for each in records:
            names.setdefault(self.form.key(each), []).append(each)
        return [(key, _newest(records, spelled)) for key, spelled in names.items()]

    def _names(self, key: str) -> list[str]:
        return [key] if self._spellings is None else self._spellings.of(key)

    def _found(self, key: str, document: Any, revision: Revision) -> IndexedEntry:
        return IndexedEntry(key, self._migrate(document), revision)

    def _migrate(self, document: Any) -> Any:
        return self.form.migrate(document) if isinstance(document, dict) else document


class _Spellings:
    """Which keys of the collection are one for a form that folds them."""

    def __init__(self, collection: Collection, form: IndexFormat) -> None:
        self._form = form
        self._view = CachedView(collection, lambda _: None)
        self._names: tuple[Mapping[str, None], dict[str, list[str]]] = ({}, {})

    def of(self, key: str) -> list[str]:
        name = self._form.key(key)
        # The view gives the same object while nothing changed, so identity tells that.
        keys = self._view.values()
        known, names = self._names
        if known is not keys:
            names = {}
            for each in keys:
                names.setdefault(self._form.key(each), []).append(each)
            self._names = keys, names
        return names.get(name, []) or [name]


def _newest(records: Mapping[str, Any], names: Iterable[str]) -> Any | None:
    found: list[Document] = [records[name] for name in names if name in records]
    return max(found, key=updated_ms) if found else None


def read_entry(
    index: Index, found: IndexedEntry, extra: Mapping[str, Any] = NOTHING
) -> SessionEntry:
    """Return the entry that was *found*; raises `CorruptError` for one that cannot be used."""
    require_stored_id(found.key, found.document)
    file = index.form.session_file(found.key, found.document)
    return entry_of(found.key, found.document, session_file=file, extra=extra)


def has_wrong_file(index: Index, found: IndexedEntry) -> bool:
    """Tell whether the entry that was *found* names another file than its own, or none."""
    if not is_usable(found):
        return False
    right = index.form.session_file(found.key, found.document)
    return bool(found.document.get("sessionFile") != right)
