"""
Bringing files into a memory, so that the memory follows them.

What a file says twice unchanged is written once: a passage's id comes from its namespace, source
and text. A file's fingerprint is noted after its last passage, so an import that was cut off is
read again and adds only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from clawstate.clock import from_ms, is_moment, to_ms
from clawstate.errors import InvalidError, UnavailableError
from clawstate.files.json_text import is_same_json
from clawstate.importers.discover import Found, Kind, detect, discover, problem_of, read_passages
from clawstate.importers.front_matter import date_in_name
from clawstate.importers.json_values import has_half_pair, moment
from clawstate.importers.lines import open_regular, unreadable
from clawstate.importers.passages import Passage, Problem
from clawstate.memory.records import MemoryRecord, fields_text
from clawstate.memory.service import Memory
from clawstate.memory.validation import MAX_NAMES, fitting_name, record_from
from clawstate.records.contract import Lease

_READER = "2"  # moves when passages are cut otherwise, so that unchanged files are read again
_BATCH = 1024
_BLOCK = 1 << 20
_DOCUMENTS = {Kind.MARKDOWN, Kind.TEXT}

Progress = Callable[[int, int, str], None]
"""Is told how many bytes of how many are done, and the file at hand."""


@dataclass(slots=True)
class Report:
    """
    What an import did: counts of files and records, and what could not be taken in.

    `failed` are the files that were refused, were not read to their end, or gave nothing but
    problems; `files` counts those of them that could be opened.
    """

    files: int = 0
    skipped: int = 0
    added: int = 0
    updated: int = 0
    kept: int = 0
    removed: int = 0
    forgotten: int = 0
    problems: list[Problem] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)

    def fail(self, problem: Problem) -> None:
        """Note that a file could not be taken, and why."""
        self.problems.append(problem)
        if not problem.is_by_rule:
            self.failed.add(problem.path)


def import_paths(
    memory: Memory,
    paths: Sequence[Path],
    *,
    namespace: str = "default",
    tags: Sequence[str] = (),
    kind: Kind | None = None,
    progress: Progress | None = None,
) -> Report:
    """
    Import the files that *paths* name or hold into *namespace*, each record with *tags*.

    Files that are as they were are skipped, records of passages that vanished are removed, also
    those of files that vanished from an imported folder. Records that were forgotten on purpose
    stay forgotten. Imports into one namespace wait for each other. Raises `NotFoundError` for a
    path that does not exist, `LockTimeoutError` and `LeaseLostError` if another import is at work;
    everything else that is wrong with a file is a problem in the report.
    """
    # A source is known by its path, so each way of naming it must give the same one.
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - without "..", links kept
    found = list(discover(absolute))  # before anything is written: a path may not exist
    with memory.imports.alone(namespace) as lease:
        importer = _Importer(memory, lease, namespace=namespace, tags=tuple(tags), kind=kind)
        importer.take_all(found, progress)
        importer.sweep(absolute, {str(each.path) for each in found if isinstance(each, Found)})
    return importer.report


class _Importer:
    def __init__(
        self,
        memory: Memory,
        lease: Lease,
        *,
        namespace: str,
        tags: tuple[str, ...],
        kind: Kind | None,
    ) -> None:
        self.report = Report()
        self._memory = memory
        self._lease = lease
        self._namespace = namespace
        self._tags = tags
        self._kind = kind
        self._marks = memory.imports.fingerprints(namespace)

    def take_all(self, found: Sequence[Found | Problem], progress: Progress | None) -> None:
        """Bring what the files that were *found* say into the memory."""
        files = [each for each in found if isinstance(each, Found)]
        for each in found:
            if isinstance(each, Problem):
                self.report.fail(each)
        # Of all files before the first, so that progress can tell how far it is.
        sizes = [_size(each.path) for each in files]
        done, total = 0, sum(sizes)
        for file, size in zip(files, sizes, strict=True):
            if progress is not None:
                progress(done, total, file.path.name)
            self._lease.keep_alive()
            self.take(file.path)
            done += size
        if progress is not None:
            progress(total, total, "")

    def take(self, path: Path) -> None:
        """Bring what *path* says into the memory, and out of it what it says no more."""
        if has_half_pair(str(path)):
            self.report.fail(Problem(path, None, "has a name that is not UTF-8; rename it"))
            return
        try:
            kind = self._kind or detect(path)
            fingerprint = _fingerprint(path, kind, self._tags)
        except UnavailableError as error:
            self.report.fail(problem_of(path, error))
            return
        self.report.files += 1
        # By content and not by time: a restored or copied file looks new, and one that was edited
        # quickly looks old (decision 007).
        if self._marks.get(str(path)) == fingerprint:
            self.report.skipped += 1
            return
        file = _File(
            self._memory,
            self._lease,
            path,
            kind,
            namespace=self._namespace,
            tags=self._tags,
            report=self.report,
        )
        file.take(fingerprint)

    def sweep(self, paths: Iterable[Path], found: set[str]) -> None:
        """Forget the files that were imported from below *paths* and are gone."""
        folders = [path for path in paths if path.is_dir()]
        # Also sources without a fingerprint: a file may vanish after its import was cut off.
        for source in self._memory.imports.sources(self._namespace) - found:
            path = Path(source)
            # Only below folders that were named and are there: a missing one says nothing of its
            # files.
            if any(path.is_relative_to(folder) for folder in folders) and not _exists(path):
                self.report.removed += self._memory.imports.forget(
                    source, namespace=self._namespace
                )


class _File:
    """One file on its way into the memory."""

    def __init__(
        self,
        memory: Memory,
        lease: Lease,
        path: Path,
        kind: Kind,
        *,
        namespace: str,
        tags: tuple[str, ...],
        report: Report,
    ) -> None:
        self._memory = memory
        self._lease = lease
        self._namespace = namespace
        self._path = path
        self._source = str(path)
        self._kind = kind
        self._tags = tags
        self._report = report
        self._seen: set[str] = set()
        self._copies: Counter[str] = Counter()
        self._lines: dict[str, int | None] = {}
        is_document = kind in _DOCUMENTS
        self._names = _names_of(path) if is_document else ()
        self._named_at = date_in_name(path.name) if is_document else None
        self._changed_at = _changed_at(path) if is_document else 0.0
        self._was_read_whole = True

    def take(self, fingerprint: str) -> None:
        problems = len(self._report.problems)
        # From here to `finish` the source counts as not whole: a kill in between has it read again,
        # and ids that come out the same make that cheap.
        before = self._memory.imports.begin(self._source, namespace=self._namespace)
        records = self._records()
        # Two lines of a file may give one id; within a batch the last counts, as it would over two.
        while batch := list({each.id: each for each in islice(records, _BATCH)}.values()):
            self._lease.keep_alive()
            self._seen.update(record.id for record in batch)
            # A record that the user forgot stays so as long as its passage stays the same.
            self._keep([each for each in batch if each.id not in before.forgotten])
            self._report.forgotten += sum(each.id in before.forgotten for each in batch)
        has_nothing = not self._seen and len(self._report.problems) > problems
        if not self._was_read_whole or has_nothing:
            self._report.failed.add(self._path)
            return  # what it did not get to say has not vanished
        vanished = sorted(before.known - self._seen)
        self._report.removed += self._memory.imports.finish(
            self._source, fingerprint=fingerprint, vanished=vanished, namespace=self._namespace
        )

    def _keep(self, batch: Sequence[MemoryRecord]) -> None:
        present = self._memory.get_many([record.id for record in batch])
        batch = [each for each in batch if self._is_ours(each, present.get(each.id))]
        wanted = [
            # Of new passages alone: each edit of a file moves its time, and they are no younger.
            record
            if record.created_at or record.id in present
            else replace(record, created_at=self._changed_at)
            for record in batch
            if not _says(present.get(record.id), record)
        ]
        # Before the records: a record that is in no note would never be removed with its passage.
        self._memory.imports.note(
            self._source, [record.id for record in batch], namespace=self._namespace
        )
        self._memory.add_many(wanted)
        updated = sum(record.id in present for record in wanted)
        self._report.updated += updated
        self._report.added += len(wanted) - updated
        self._report.kept += len(batch) - len(wanted)

    def _is_ours(self, record: MemoryRecord, present: MemoryRecord | None) -> bool:
        if present is None or present.namespace == record.namespace:
            return True
        message = f"the id is kept in namespace {present.namespace!r}; give the line another"
        line = self._lines.get(record.id)
        self._report.problems.append(Problem(self._path, line, message))
        return False

    def _records(self) -> Iterator[MemoryRecord]:
        for item in read_passages(self._path, kind=self._kind):
            if isinstance(item, Problem):
                self._report.problems.append(item)
                # A problem of a line leaves the rest readable; one of the file means that it was
                # cut short.
                self._was_read_whole = self._was_read_whole and item.line is not None
                continue
            try:
                record = record_from(self._values(item), now=self._memory.now())
                if item.id is not None:
                    self._lines[record.id] = item.start_line
                yield record
            except InvalidError as error:
                problem = Problem(self._path, item.start_line, str(error))
                self._report.problems.append(problem)

    def _values(self, passage: Passage) -> dict[str, Any]:
        metadata = dict(passage.metadata)
        own = self._own_fields(passage.own)
        where = {
            "heading": passage.heading or None,
            "start_line": passage.start_line,
            "end_line": passage.end_line,
        }
        if passage.id is None:
            metadata.update({name: value for name, value in where.items() if value is not None})
        namespace = passage.namespace or self._namespace
        thread = passage.thread
        if thread is None and self._kind is not Kind.JSON_LINES:
            # A document is one run of passages, in which neighbours explain each other.
            thread = self._source
        return {
            "id": passage.id or self._id(namespace, passage.text),
            "text": passage.text,
            "title": fitting_name(passage.title or "") or None,
            "headings": _fitting(passage.headings),
            "names": _fitting((*passage.names, *self._names)),
            "source": self._source,
            "tags": (*self._tags, *passage.tags),
            "metadata": metadata,
            "importance": passage.importance,
            "category": passage.category,
            "namespace": namespace,
            "thread": thread,
            "position": passage.position if thread is not None else None,
            "created_at": self._named_at if passage.created_at is None else passage.created_at,
            **own,
        }

    def _own_fields(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a line says of fields that a passage does not have."""
        own = {name: told[name] for name in ("source", "ttl") if name in told}
        for name in ("updated", "expires"):
            for key in (f"{name}At", f"{name}_at"):
                if key in told:
                    own[f"{name}_at"] = moment(told[key])
        return own

    def _id(self, namespace: str, text: str) -> str:
        name = f"{namespace}\0{text}"
        self._copies[name] += 1
        return passage_id(namespace, self._source, text, self._copies[name])


def passage_id(namespace: str, source: str, text: str, copy: int) -> str:
    """
    Return the id of a passage: the same at every import (decision 007).

    Equal passages of a source are told apart by their order, so that one of them may vanish.
    """
    # UUID version 8 (RFC 9562): its bits are the program's to fill.
    name = "\0".join((namespace, source, text, str(copy))).encode(errors="replace")
    digits = hashlib.blake2b(name, digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _says(present: MemoryRecord | None, record: MemoryRecord) -> bool:
    """Tell whether *present* holds all that *record*, read from a file, would say."""
    return present is not None and (
        (not record.created_at or to_ms(record.created_at) == to_ms(present.created_at))
        and present.text == record.text
        and fields_text(present) == fields_text(record)
        and present.source == record.source
        and set(present.tags) == set(record.tags)
        and is_same_json(present.metadata, record.metadata)
        and present.thread == record.thread
        and present.position == record.position
        and present.category == record.category
        and present.importance == record.importance
        and _ends(present) == _ends(record)
    )


def _names_of(path: Path) -> tuple[str, ...]:
    """Return by what names people ask for the file *path*: its own, and those of its folders."""
    # Of the path and not of the folder that was imported: whichever way a file is reached, it says
    # the same.
    return (path.stem, *(each.name for each in islice(path.parents, 2)))


def _fitting(names: Iterable[str]) -> tuple[str, ...]:
    fitting = (fitting_name(each) for each in names)
    return tuple(dict.fromkeys(each for each in fitting if each))[:MAX_NAMES]


def _ends(record: MemoryRecord) -> int | None:
    return None if record.expires_at is None else to_ms(record.expires_at)


def _fingerprint(path: Path, kind: Kind, tags: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open_regular(path) as stream:
        try:
            while block := stream.read(_BLOCK):
                digest.update(block)
        except OSError as error:
            raise unreadable(path, error) from error
    # All that decides what records come out: other tags are another import of the same bytes.
    return json.dumps([_READER, kind.value, digest.hexdigest(), sorted(tags)])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed_at(path: Path) -> float:
    """Return when the file *path* was changed, to the millisecond; 0 where nobody knows."""
    try:
        changed = path.stat().st_mtime
    except OSError:
        return 0.0
    return from_ms(to_ms(changed)) if is_moment(changed) else 0.0


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    # It may be there, behind a folder that may not be entered: nothing is removed on a guess.
    except OSError:
        return True
    return True
