"""`RecordVerbs`: records are kept, fetched by their ids, and changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clawstate.arguments import require_callables, require_text, require_texts
from clawstate.memory import changes, writes
from clawstate.memory.absent import absence_error
from clawstate.memory.contract import Embedded
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service.parts import MemoryParts, Progress
from clawstate.memory.validation import change_record, complete, require_tags
from clawstate.moments import Moment, end_seconds


class RecordVerbs(MemoryParts):
    """Keeps records, and gives and changes those of an id."""

    def add(
        self,
        text: str,
        *,
        source: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        importance: float = 0.7,
        category: str = "other",
        ttl: float | None = None,
        namespace: str = "default",
        thread: str | None = None,
        position: int | None = None,
        title: str | None = None,
        headings: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> str:
        """
        Remember *text* and return its id; it is on disk by then.

        *ttl* is in seconds. *thread* names an ordered run of records (a conversation, a
        document), *position* the place in it; by default the next. *title*, *headings* and *names*
        are what it is asked for by beside its text. Raises `InvalidError`.
        """
        values = {
            "text": text,
            "source": source,
            "tags": tags,
            "metadata": metadata,
            "importance": importance,
            "category": category,
            "ttl": ttl,
            "namespace": namespace,
            "thread": thread,
            "position": position,
            "title": title,
            "headings": headings,
            "names": names,
        }
        return self.add_many([values])[0]

    def add_many(
        self,
        records: Iterable[MemoryRecord | Mapping[str, Any]],
        progress: Progress | None = None,
    ) -> list[str]:
        """
        Remember *records* (or mappings with the names of `add`) and return their ids in order.

        A record with an `id` replaces the one of that id. All are checked before the first is
        written; then they are written in batches, each durable before the next begins. Raises
        `InvalidError` that names the record by its number from 0, `ConflictError` for an id
        that lives in another namespace.
        """
        require_callables(progress=progress)
        now = self._clock()
        ids: list[str] = []
        done = 0
        for count in writes.keep_records(self._engine, self._meanings, complete(records, ids, now)):
            done += count
            if progress is not None:
                progress(done, len(ids))
        self._fill_later()
        return ids

    def get(self, record_id: str, *, as_of: Moment | None = None) -> MemoryRecord | None:
        """
        Return the record, or None when it is not kept or has expired.

        With *as_of* as it was then, of a day at its end; see `search`.
        """
        require_text("id", record_id)
        if as_of is not None:
            return changes.record_at(self._engine, record_id, end_seconds("as_of", as_of))
        return self._engine.get([record_id]).get(record_id)

    def get_many(self, record_ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of the records that are kept and not expired, by id."""
        return self._engine.get([*require_texts("ids", record_ids)])

    def require(self, record_id: str) -> MemoryRecord:
        """
        Return the record; raises `NotFoundError` when it is not kept or has expired.

        The error of one that is archived, or that others took the place of, says so.
        """
        record = self.get(record_id)
        if record is None:
            raise absence_error(self._engine, record_id)
        return record

    def update(
        self, /, record_id: str, *, expected_updated_at: float | None = None, **changes: Any
    ) -> MemoryRecord:
        """
        Change the fields named in *changes* (the names of `add`) and return the new record.

        With *expected_updated_at* the change is made only to that version. Raises
        `NotFoundError`, `InvalidError`, and `ConflictError` for another version.
        """
        kept = writes.update_record(
            self._engine,
            self._meanings,
            lambda: self.require(record_id),
            lambda old: change_record(old, changes, now=self._clock()),
            expected_updated_at=expected_updated_at,
        )
        self._fill_later()
        return kept

    def tag(
        self, record_ids: Sequence[str], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[str]:
        """
        Give the tags *add* to the records and take *remove* from them; return whose tags changed.

        Records that are not kept are left out. What others change meanwhile stays. Raises
        `InvalidError` before anything is done.
        """
        ids = list(dict.fromkeys(require_texts("ids", record_ids)))
        more, less = require_tags(add), set(require_tags(remove))
        changed: list[str] = []
        for record_id in ids:
            # Looked at again by each try: who changes the record meanwhile keeps that change.
            while (old := self.get(record_id)) is not None:
                tags = tuple(each for each in dict.fromkeys((*old.tags, *more)) if each not in less)
                if set(tags) == set(old.tags):
                    break
                new = change_record(old, {"tags": tags}, now=self._clock())
                if self._engine.swap(old, Embedded(new), embedder=None) is not None:
                    changed.append(record_id)
                    break
        return changed
