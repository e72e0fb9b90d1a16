"""`InMemoryImports`: the notes of imports of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from clawstate.interrupts import Mutex
from clawstate.memory.backends.inmemory.reading import Row
from clawstate.memory.ledger import Finished, Imported

_Key = tuple[str, str]  # a namespace, and a source or something forgotten


class InMemoryImports:
    """The `ImportLedger` of a process."""

    def __init__(
        self,
        rows: Callable[[], Mapping[str, Row]],
        forget: Callable[[Iterable[str]], int],
        ended: Callable[[Sequence[str]], Iterable[Row]],
        mutex: Mutex,
    ) -> None:
        self._rows = rows
        self._forget = forget
        self._ended = ended
        self._mutex = mutex
        self._marks: dict[_Key, str | None] = {}
        self._given: dict[_Key, dict[str, Imported]] = {}
        self._forgotten: set[tuple[str, str | bytes]] = set()

    def all_sources(self) -> set[_Key]:
        """Return the namespaces and names of the sources."""
        return set(self._marks)

    def marks(self, namespace: str) -> dict[str, str]:
        """Return the sources imported whole, each with its fingerprint."""
        self._rows()
        marks = ((where, mark) for where, mark in self._marks.items() if where[0] == namespace)
        return {source: mark for (_, source), mark in marks if mark is not None}

    def sources(self, namespace: str) -> set[str]:
        """Return the sources that are noted, whole or not."""
        self._rows()
        return {source for where, source in self.all_sources() if where == namespace}

    def look(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """Return what `begin` would, and note nothing."""
        with self._mutex:
            return {each: self._read_known((namespace, each)) for each in sources}

    def sources_of(self, namespace: str, passages: Sequence[bytes]) -> dict[str, int]:
        """Return the sources that gave *passages*, and how many of them each."""
        wanted = set(passages)
        counts = {
            source: sum(each.passage in wanted for each in given.values())
            for (where, source), given in self._given.items()
            if where == namespace
        }
        return {source: count for source, count in counts.items() if count}

    def begin(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """Note that *sources* are being imported; return what each gave before."""
        with self._mutex:
            return {each: self._begin((namespace, each)) for each in sources}

    def note(self, namespace: str, given: Mapping[str, Sequence[Imported]]) -> None:
        """Note what comes from each source."""
        with self._mutex:
            for source, rows in given.items():
                self._note((namespace, source), rows)

    def finish(self, namespace: str, finished: Sequence[Finished]) -> int:
        """Note sources as imported and forget what vanished from them, in one step."""
        with self._mutex:
            gone: list[str] = []
            for each in finished:
                key = (namespace, each.source)
                self._note(key, each.rows)
                self._marks[key] = each.fingerprint
                for record_id in (*each.vanished, *each.left):
                    self._given[key].pop(record_id, None)
                gone += set(each.vanished) - self.claimed_ids()
            return self._forget(gone)

    def forget(self, namespace: str, source: str, left: Sequence[str] = ()) -> int:
        """Take away the note of *source* and what it alone gave but *left*, in one step."""
        with self._mutex:
            key = (namespace, source)
            self._mark_forgotten(key)
            given = self._given.get(key, {}).values()
            self._forgotten |= {(namespace, each.id) for each in given if self._is_gone(each)}
            self._marks.pop(key, None)
            ids = self._given.pop(key, {}).keys() - set(left)
            return self._forget(ids - self.claimed_ids())

    def rename(self, namespace: str, old: str, new: str) -> None:
        """Note that what came from *old* comes from *new*."""
        with self._mutex:
            self._mark_forgotten((namespace, old))
            if (namespace, new) not in self._marks:
                self._marks.pop((namespace, old), None)
                self._marks[namespace, new] = None
                self._given[namespace, new] = self._given.pop((namespace, old), {})

    def were_forgotten(self, namespace: str | None, given: Sequence[tuple[str, bytes]]) -> set[str]:
        """Return the ids of those of *given* that were forgotten."""
        self._rows()
        found = {what for where, what in self._forgotten if namespace in {None, where}}
        return {record_id for record_id, text in given if record_id in found or text in found}

    def count_of(self, record_id: str) -> int:
        """Return how many sources are noted to have given *record_id*."""
        return sum(record_id in given for given in self._given.values())

    def note_forgotten(self, ids: Iterable[str]) -> None:
        """Keep in mind that *ids* are forgotten for good."""
        wanted = list(ids)
        kept = [row for each in wanted if (row := self._rows().get(each)) is not None]
        for row in (*kept, *self._ended(wanted)):
            namespace = row.record.namespace
            self._forgotten |= {(namespace, row.record.id), (namespace, row.digest)}

    def drop_forgotten(self) -> None:
        """Forget the notes of whole sources that have no record left; their ids stay forgotten."""
        kept = self._rows()
        for key, given in list(self._given.items()):
            if self._marks.get(key) is not None and given and not given.keys() & kept.keys():
                self._forgotten |= {(key[0], each) for each in given}
                del self._given[key], self._marks[key]

    def _begin(self, key: _Key) -> list[Imported]:
        self._mark_forgotten(key)
        self._marks[key] = None
        self._given.setdefault(key, {})
        return self._read_known(key)

    def _read_known(self, key: _Key) -> list[Imported]:
        kept, is_whole = self._rows(), self._marks.get(key) is not None
        return [
            replace(each, is_forgotten=(each.is_forgotten or is_whole) and each.id not in kept)
            for each in self._given.get(key, {}).values()
        ]

    def _mark_forgotten(self, key: _Key) -> None:
        kept = self._rows()
        if self._marks.get(key) is not None:
            given = self._given.get(key, {})
            gone = {
                each: replace(given[each], is_forgotten=True) for each in given if each not in kept
            }
            given.update(gone)

    def _is_gone(self, row: Imported) -> bool:
        return row.is_forgotten and row.id not in self._rows()

    def _note(self, key: _Key, rows: Sequence[Imported]) -> None:
        kept, claimed = self._rows(), self.claimed_ids()
        self._marks.setdefault(key, None)
        given = self._given.setdefault(key, {})
        for each in rows:
            if (old := given.get(each.id)) is not None:
                passage, said = each.passage or old.passage, each.given or old.given
                given[each.id] = replace(old, passage=passage, given=said)
            elif each.id not in kept or each.id in claimed:
                given[each.id] = replace(each, is_forgotten=False)

    def claimed_ids(self) -> set[str]:
        """Return the ids that sources gave."""
        return {each for given in self._given.values() for each in given}
