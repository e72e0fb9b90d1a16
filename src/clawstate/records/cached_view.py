"""`CachedView`: the decoded values of a collection, read again only where it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Generic, TypeVar

from clawstate.interrupts import Mutex
from clawstate.records.contract import Collection, Revision, Versioned

V = TypeVar("V")

_FEW = 32  # records that are read one by one rather than all


class CachedView(Generic[V]):
    """
    All records of *collection*, each as what *decode* makes of it. Safe for threads.

    An unchanged collection costs one `version`, whatever its size: one stat, or one row. After a
    change it costs one `changes`, and reading and decoding what moved. Whatever *decode* raises
    reaches the reader, and nothing is held then.
    """

    def __init__(self, collection: Collection, decode: Callable[[Versioned], V]) -> None:
        self._collection = collection
        self._decode = decode
        self._mutex = Mutex()
        self._known: _Known[V] | None = None

    def values(self) -> Mapping[str, V]:
        """
        Return the values by key, in the order of the keys, all of one moment.

        The mapping cannot be changed, and is the same object until a record was.
        """
        version = self._collection.version()
        known = self._known
        if known is not None and known.version == version:
            return known.values
        with self._mutex:
            self._known = fresh = self._read(self._known)
            return fresh.values

    def forget(self) -> None:
        """Hold nothing any more: the next reader has everything decoded again."""
        with self._mutex:
            self._known = None

    def _read(self, known: _Known[V] | None) -> _Known[V]:
        # The version is asked for first: what changes meanwhile is noticed by the next reader.
        version = self._collection.version()
        moved = self._collection.changes(None if known is None else known.cursor)
        if known is None or not moved.complete:
            return self._all(version, moved.cursor, known)
        if not moved.keys:
            return replace(known, version=version, cursor=moved.cursor)
        if len(moved.keys) <= _FEW:
            found = {key: self._collection.get(key) for key in moved.keys}
            if self._collection.version() == version:  # so all of them are of one moment
                return self._some(version, moved.cursor, known, found)
        return self._all(version, moved.cursor, known)

    def _all(self, version: object, cursor: str, known: _Known[V] | None) -> _Known[V]:
        entries = {
            each.key: self._entry(each, None if known is None else known.entries.get(each.key))
            for each in self._collection.scan()
        }
        return _Known.of(version, cursor, entries)

    def _some(
        self, version: object, cursor: str, known: _Known[V], found: Mapping[str, Versioned | None]
    ) -> _Known[V]:
        entries = dict(known.entries)
        for key, record in found.items():
            if record is None:
                entries.pop(key, None)
            else:
                entries[key] = self._entry(record, entries.get(key))
        if not entries.keys() <= known.entries.keys():
            entries = dict(sorted(entries.items(), key=lambda each: each[0]))
        return _Known.of(version, cursor, entries)

    def _entry(self, record: Versioned, known: tuple[Revision, V] | None) -> tuple[Revision, V]:
        if known is not None and known[0] == record.revision:
            return known
        return record.revision, self._decode(record)


@dataclass(frozen=True, slots=True)
class _Known(Generic[V]):
    """What was read of the collection at *cursor*: values with their revisions, by key."""

    version: object
    cursor: str
    entries: dict[str, tuple[Revision, V]]
    values: Mapping[str, V]

    @classmethod
    def of(cls, version: object, cursor: str, entries: dict[str, tuple[Revision, V]]) -> _Known[V]:
        values = {key: value for key, (_, value) in entries.items()}
        return cls(version, cursor, entries, MappingProxyType(values))
