"""What was read of files, on its way into the memory: many small files in one durable step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from clawstate.errors import InvalidError
from clawstate.importers.merging import (
    Said,
    is_likely_heir,
    merge,
    passage_id,
    said_before,
    was_edited,
)
from clawstate.importers.passages import Item, Problem
from clawstate.importers.reading import Given, Reading, is_of_its_id, says, values_of, with_age
from clawstate.importers.report import Report
from clawstate.memory.file_conflicts import FileConflict
from clawstate.memory.imports import Before
from clawstate.memory.ledger import Finished, Imported
from clawstate.memory.records import MemoryRecord, content_hash
from clawstate.memory.service import Memory
from clawstate.memory.validation import record_from
from clawstate.records.contract import Lease

_PART = 1024  # passages of one file in one durable step
_BATCH = 4096  # passages in one durable step, as of `add_many`
PARTLY = " but for some"
"""Stands behind the fingerprint of a file of which something could not be taken in."""

_FILES = 2048  # files of which the last passages share one


class Writer:
    """Takes readings of files into *memory*, and tells *report* what it did."""

    def __init__(
        self,
        memory: Memory,
        lease: Lease,
        report: Report,
        *,
        namespace: str,
        tags: tuple[str, ...],
        sources: set[str],
        forgotten: bool,
    ) -> None:
        self._memory = memory
        self._imports = memory.imports
        self._lease = lease
        self._report = report
        self._namespace = namespace
        self._tags = tags
        self._sources = sources
        self._forgotten = forgotten
        self._waiting: list[tuple[Reading, Item]] = []
        self._read: list[Reading] = []
        self._said: dict[str, list[Imported]] = {}
        self._others: dict[str, Before] = {}
        self._found: list[FileConflict] = []
        self._open: list[FileConflict] | None = None

    def take(self, reading: Reading, items: Iterable[Item]) -> None:
        """Take what a file says; some of it waits until `write`."""
        self._lease.keep_alive()
        for number, item in enumerate(items, start=1):
            self._waiting.append((reading, item))
            # A long file in shorter steps than many files: what is cut off of it is read again.
            if number % _PART == 0 or len(self._waiting) >= _BATCH:
                self._write_waiting([reading])
        self._read.append(reading)
        if len(self._read) >= _FILES:
            self.write()

    def write(self) -> None:
        """Write what waits, and note the files that were read whole."""
        self._write_waiting(self._read)
        whole = [each for each in self._read if self._is_whole(each)]
        self._read = []
        finished = [self._finish(each) for each in whole]
        if finished:
            # Before: cut off in between, the files are read again, and it comes out the same.
            self._note_conflicts()
            self._report.removed += self._imports.finish_all(finished, namespace=self._namespace)

    def forget(self, source: str) -> None:
        """Forget what the file *source* gave, which is gone, but what somebody changed."""
        self._lease.keep_alive()
        before = self._imports.look([source], namespace=self._namespace)[source]
        present = self._memory.get_many(sorted(before.known))
        left = [key for key, each in present.items() if was_edited(each, said_before(before, key))]
        self._report.left += len(left)
        self._found += [_left(present[key], source) for key in left]
        self._note_conflicts()
        self._report.removed += self._imports.forget(source, namespace=self._namespace, left=left)

    def _note_conflicts(self) -> None:
        found, self._found = self._found, []
        self._imports.conflicts.put(found)

    def _write_waiting(self, readings: Sequence[Reading]) -> None:
        self._lease.keep_alive()
        new = {each.named.source: each for each in readings if each.before is None}
        new |= {each.named.source: each for each, _ in self._waiting if each.before is None}
        if new:
            # From here to `finish` a source counts as not whole: a kill in between has it read
            # again, and ids that come out the same make that cheap.
            known = self._imports.begin_all(list(new), namespace=self._namespace)
            for source, before in known.items():
                new[source].begin(before)
            self._find_strangers([each for each in new.values() if not each.known])
        waiting, self._waiting = self._waiting, []
        # Two lines of a file may give one id; the last counts, as it would if written one by one.
        given = {
            (each.reading.named.source, each.record.id): each for each in self._records(waiting)
        }
        if given:
            self._keep(list(given.values()))

    def _keep(self, given: Sequence[Given]) -> None:
        present = self._memory.get_many([each.record.id for each in given])
        ours = [each for each in given if self._is_ours(each, present.get(each.record.id))]
        left_out = self._find_forgotten(ours, present)
        self._report.forgotten += len(left_out)
        wanted: dict[str, MemoryRecord] = {}
        rows: dict[str, list[Imported]] = self._said
        self._said = {}
        for each in ours:
            record, kept = each.record, present.get(each.record.id)
            source = each.reading.named.source
            noted = rows.setdefault(source, [])
            told = self._said.setdefault(source, [])
            if record.id in left_out:
                # Known to have been there, so that its passage is left out for good.
                noted.append(Imported(record.id, each.digest))
                continue
            # Before the records: a record that is in no note would never be removed with its
            # passage. What the file said of it after them: a kill between the two must not make
            # the old record look like somebody's edit.
            noted.append(Imported(record.id, each.digest))
            told.append(Imported(record.id, each.digest, each.statement.pack()))
            if kept is None:
                wanted[record.id] = with_age(each)
                each.reading.fresh.append(record)
                continue
            changed = list(self._merge(each, kept, noted, told))
            wanted.update({new.id: new for new in changed})
            self._report.kept += not any(new.id == record.id for new in changed)
        self._imports.note_all(rows, namespace=self._namespace)
        self._memory.add_many(list(wanted.values()))
        updated = len(wanted.keys() & present.keys())
        self._report.updated += updated
        self._report.added += len(wanted) - updated

    def _merge(
        self, given: Given, kept: MemoryRecord, noted: list[Imported], told: list[Imported]
    ) -> Iterator[MemoryRecord]:
        """Yield what is to be written where *kept* is there already."""
        record, row = given.record, given.row
        before = None if row is None or row.given is None else Said.unpack(row.given)
        if before is None and given.passage.key is not None and kept.text != record.text:
            # Known by its place in a service: what another export said of it tells who changed it.
            before = self._said_by(kept)
        is_known = given.passage.id is None  # by its text, or by its place in a service
        told_before = before is not None and before.parts["text"] == given.statement.parts["text"]
        if kept.text != record.text and not told_before and was_edited(kept, before, text=True):
            # Both changed: what somebody made of it stays, and what the file says stands beside.
            other = self._beside(given)
            noted.append(Imported(other.id))
            told.append(Imported(other.id, None, given.statement.pack()))
            self._found.append(
                FileConflict(
                    *("edited", record.id, given.reading.named.source, record.namespace),
                    theirs=other.id,
                    follows=True,
                )
            )
            given.reading.seen.add(other.id)
            self._report.left += 1
            if not says(self._memory.get(other.id), other):
                yield other
        elif (beside := self._beside(given).id) in given.reading.known:
            given.reading.seen.add(beside)
        merged = merge(
            record,
            kept,
            before,
            tags=given.passage.tags,
            by_text=is_known,
            sources=self._sources,
        )
        if not says(kept, merged):
            yield merged

    def _said_by(self, record: MemoryRecord) -> Said | None:
        source = record.source
        if source is None:
            return None
        if source not in self._others:
            # One at a time: an export may have given a hundred thousand records.
            self._others = self._imports.look([source], namespace=self._namespace)
        return said_before(self._others[source], record.id)

    def _beside(self, given: Given) -> MemoryRecord:
        record = given.record
        name = passage_id(record.namespace, given.reading.named.source, record.text, 0)
        return replace(record, id=name)

    def _find_forgotten(
        self, given: Sequence[Given], present: Mapping[str, MemoryRecord]
    ) -> set[str]:
        """Return the ids of what somebody forgot, and that is not to be taken in again."""
        if self._forgotten:
            return set()
        missing = [each for each in given if each.record.id not in present]
        known = {each.record.id for each in missing if (row := each.row) and row.is_forgotten}
        asked = [(each.record.id, content_hash(each.record.text)) for each in missing]
        by_namespace: dict[str, list[tuple[str, bytes]]] = {}
        for each, question in zip(missing, asked, strict=True):
            by_namespace.setdefault(each.record.namespace, []).append(question)
        for namespace, questions in by_namespace.items():
            known |= self._imports.were_forgotten(questions, namespace=namespace)
        return known

    def _is_ours(self, given: Given, present: MemoryRecord | None) -> bool:
        if present is None or present.namespace == given.record.namespace:
            return True
        message = f"the id is kept in namespace {present.namespace!r}; give the line another"
        line = given.passage.start_line if given.passage.id is not None else None
        self._problem(given.reading, Problem(given.reading.path, line, message))
        return False

    def _records(self, items: Iterable[tuple[Reading, Item]]) -> Iterator[Given]:
        for reading, item in items:
            if isinstance(item, Problem):
                self._problem(reading, item)
                # A problem of a line leaves the rest readable; one of the file means that it was
                # cut short.
                is_whole = item.is_by_rule or item.line is not None
                reading.was_read_whole = reading.was_read_whole and is_whole
                continue
            try:
                digest, values = values_of(
                    reading, item, namespace=self._namespace, tags=self._tags
                )
                record = record_from(values, now=self._memory.now())
            except InvalidError as error:
                self._problem(reading, Problem(reading.path, item.start_line, str(error)))
                continue
            reading.seen.add(record.id)
            yield Given(reading, record, item, digest)

    def _problem(self, reading: Reading, problem: Problem) -> None:
        self._report.problems.append(problem)
        reading.has_problems = reading.has_problems or not problem.is_by_rule

    def _is_whole(self, reading: Reading) -> bool:
        has_nothing = not reading.seen and reading.has_problems
        if reading.was_read_whole and not has_nothing:
            return True
        self._report.failed.add(reading.path)
        return False  # what it did not get to say has not vanished

    def _finish(self, reading: Reading) -> Finished:
        before = reading.before or Before(frozenset(), frozenset())
        source = reading.named.source
        vanished = reading.known - reading.seen
        present = self._memory.get_many(sorted(vanished)) if vanished else {}
        left: set[str] = set()
        for key, record in present.items():
            said = said_before(before, key)
            is_changed = was_edited(record, said, text=True)
            if said is None:
                is_changed = reading.is_document and not is_of_its_id(reading, record)
            if not is_changed:
                is_changed = said is not None and not self._hand_on(record, said, reading)
            if is_changed:
                left.add(key)
        self._report.left += len(left)
        self._found += [self._left_beside(present[key], reading) for key in sorted(left)]
        strange = self._memory.get_many(sorted(reading.strangers - reading.seen))
        self._found += [_left(each, source) for each in strange.values()]
        self._follow(vanished - left, reading)
        rows = self._said.pop(source, [])
        # What could not be taken in is told at each import: the mark is no fingerprint of the file.
        mark = reading.fingerprint + (PARTLY if reading.has_problems else "")
        return Finished(source, mark, sorted(vanished - left), sorted(left), rows)

    def _find_strangers(self, readings: Sequence[Reading]) -> None:
        """Note records of files that no import is known to have taken in: its notes were lost."""
        by_source = {each.named.source: each for each in readings}
        where, after = {"$source": sorted(by_source)}, None
        while by_source:
            page = self._memory.records(
                where=where, namespace=self._namespace, after=after, limit=_PART
            )
            for each in page:
                by_source[str(each.source)].strangers.add(each.id)
            if len(page) < _PART:
                break
            after = page[-1].id

    def _left_beside(self, record: MemoryRecord, reading: Reading) -> FileConflict:
        """Return the conflict of *record*, which somebody changed, with what the file says now."""
        near = (each for each in reading.fresh if is_likely_heir(record, each))
        at_its_place = (each for each in reading.fresh if _is_at_the_place_of(record, each))
        heir = next(near, None) or next(at_its_place, None)
        if heir is None:
            return _left(record, reading.named.source)
        source = reading.named.source
        return FileConflict("edited", record.id, source, record.namespace, theirs=heir.id)

    def _follow(self, gone: AbstractSet[str], reading: Reading) -> None:
        """Let conflicts with what a file said before go on with what it says now."""
        if self._open is None:
            self._open = self._imports.conflicts.entries(self._namespace)
        theirs = {each.theirs: each for each in self._open if each.theirs in gone}
        mine = self._memory.get_many([each.record for each in theirs.values()])
        self._found += [
            self._left_beside(mine[each.record], reading)
            for each in theirs.values()
            if each.record in mine and not each.follows
        ]
        said = [each for each in self._open if each.kind == "left" and each.record in reading.seen]
        self._imports.conflicts.remove(said)

    def _hand_on(self, old: MemoryRecord, said: Said, reading: Reading) -> bool:
        """Give what somebody added to *old* to the passage that took its place, if one did."""
        added = {tag for tag in old.tags if not Said.of(old, (tag,)).tags & said.tags}
        added -= set(self._tags)
        if not added and not was_edited(old, said):
            return True
        heir = next((each for each in reading.fresh if is_likely_heir(old, each)), None)
        if heir is None:
            # Tags that an import gave are no reason to keep what its file says no more.
            return not was_edited(old, said)
        new = self._memory.get_many([heir.id]).get(heir.id)
        if new is None:
            return True
        metadata = {**old.metadata, **new.metadata}
        tags = tuple(sorted({*new.tags, *added}))
        changed = replace(
            new,
            tags=tags,
            importance=old.importance,
            category=old.category,
            metadata=metadata,
        )
        self._memory.add_many([changed])
        self._report.updated += 1
        return True


def _left(record: MemoryRecord, source: str) -> FileConflict:
    return FileConflict("left", record.id, source, record.namespace)


def _is_at_the_place_of(old: MemoryRecord, new: MemoryRecord) -> bool:
    place = (old.thread, old.position, old.metadata.get("heading"))
    return old.thread is not None and place == (
        *(new.thread, new.position),
        new.metadata.get("heading"),
    )
