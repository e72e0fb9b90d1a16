"""The memory indexes: chunks of Markdown of which the files are missing."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

import apsw

from clawstate.clock import from_ms, is_moment
from clawstate.errors import CorruptError, InvalidError, UnavailableError
from clawstate.files.json_text import is_same_json
from clawstate.importers.merging import (
    Said,
    is_likely_heir,
    merge,
    passage_id,
    said_before,
    was_edited,
)
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import Role
from clawstate.importers.openclaw.workspace import Workspace, namespace_of, notes_of
from clawstate.memory.file_conflicts import FileConflict
from clawstate.memory.imports import Before
from clawstate.memory.ledger import Finished, Imported
from clawstate.memory.records import MemoryRecord, content_hash
from clawstate.memory.validation import fitting_name, record_from
from clawstate.openclaw.agent_database import Chunk, whole_number
from clawstate.quantities import number_of
from clawstate.sqlite.errors import sqlite_errors
from clawstate.sqlite.foreign import reading

_IN_MEMORY = 64 << 20  # bytes; a larger snapshot lies in a private temporary file
_DEFAULTS = {"source": "'memory'", "updated_at": "0"}
_COLUMNS = "path, source, start_line, end_line, text, updated_at"

KIND = "memory"
_BATCH = 1024
_READER = b"2"  # moves when records are made otherwise, so that an unchanged index is read again
_IN_WORKSPACE = "left, since the files in the workspace are taken instead"
_NOTE = re.compile(r"memory/(?!(?:.*/)?\.)[^\0]+\.md")
_OF_SESSION = "left, since the transcripts of the sessions are taken instead"
_FORGOTTEN = "left, since OpenClaw was made to forget the session that it came from"


@contextmanager
def open_copy(path: Path) -> Iterator[apsw.Connection]:
    """
    Lend a connection to a copy of the database *path* as it was at one moment.

    A reader of the file itself would hold up OpenClaw's writes while texts are embedded, which may
    take minutes. Raises what `reading` does.
    """
    with tempfile.TemporaryDirectory(prefix="clawstate-") as folder:
        with reading(path) as connection:
            copy = _copy(connection, Path(folder) / "copy")
        try:
            with sqlite_errors(path):
                yield copy
        finally:
            copy.close()


def chunks(connection: apsw.Connection, path: Path) -> Iterator[Chunk]:
    """Yield the chunks by file and line; raises `CorruptError` when there is no such table."""
    found = {row[1] for row in connection.execute("PRAGMA table_info(chunks)")}
    # By columns and not by a version: releases differ in them, and these are what is needed.
    missing = {"path", "start_line", "end_line", "text"} - found
    if missing:
        problem = "is no memory index of OpenClaw"
        raise CorruptError(str(path), problem, "import it as what it is")
    names = [each.strip() for each in _COLUMNS.split(",")]
    wanted = ", ".join(each if each in found else _DEFAULTS[each] for each in names)
    order = "path, start_line, end_line, rowid"
    for row in connection.execute(f"SELECT {wanted} FROM chunks ORDER BY {order}"):
        name, source, start, end, text, at = row
        if isinstance(text, str) and isinstance(name, str):
            yield Chunk(
                name, str(source), whole_number(start), whole_number(end), text, whole_number(at)
            )


def _copy(connection: apsw.Connection, place: Path) -> apsw.Connection:
    size = int(connection.pragma("page_count")) * int(connection.pragma("page_size"))
    copy = apsw.Connection(":memory:" if size <= _IN_MEMORY else str(place))
    try:
        # In one step, so within one read transaction of SQLite: the copy is of one moment.
        with copy.backup("main", connection, "main") as backup:
            while not backup.done:
                backup.step(-1)
    except BaseException:
        copy.close()
        raise
    return copy


def take_memories(job: Job, workspaces: Sequence[Workspace]) -> None:
    """
    Take the chunks of memory indexes whose files are missing.

    They are in `memory/<agent>.sqlite`, and since 2026.7 in the database of the agent. Their
    embeddings are left: they belong to another model.
    """
    # The files themselves are better than pieces of them, so a chunk whose file is there is left.
    folders = {each.agent: each.folder for each in workspaces}
    for each in job.databases.agents:
        if job.wants_agent(each.agent):
            with job.count_failures(KIND, each.path):
                _Index(
                    job,
                    each.path,
                    each.file,
                    each.agent,
                    read=each.database.chunks,
                    folder=folders.get(each.agent),
                    forgotten=each.database.forgotten(),
                ).take()
    for found in job.of(Role.INDEX):
        with job.count_failures(KIND, found.path):
            if found.entry.is_link:
                raise UnavailableError(found.path, "is a link, which is not followed")
            path = job.source.file(found.path)
            with open_copy(path) as connection:
                read = partial(chunks, connection, path)
                folder = folders.get(found.owner)
                _Index(job, found.path, path, found.owner, read=read, folder=folder).take()


class _Index:
    """
    The index of an *agent* in the database *file*, as a source that the memory follows.

    Messages call it *path*; *folder* is the workspace of the agent.
    """

    def __init__(
        self,
        job: Job,
        path: str,
        file: Path,
        agent: str,
        *,
        read: Callable[[], Iterator[Chunk]],
        folder: Path | None,
        forgotten: frozenset[str] = frozenset(),
    ) -> None:
        self._job = job
        self._path = path
        self._file = file
        self._read = read
        self._folder = folder
        self._forgotten = forgotten
        self._memory = job.state.memory
        self._namespace = namespace_of(agent, job.default_agent)
        self._count = job.report.count(KIND)
        self._present: dict[str, bool] = {}

    def take(self) -> None:
        """Bring the chunks into the memory, and out of it what the index holds no more."""
        left: Counter[str] = Counter()
        digest = hashlib.blake2b(_READER, digest_size=16)
        taken = 0
        for chunk in self._read():
            if reason := self._reason_to_leave(chunk):
                left[reason] += 1
            else:
                taken += 1
                # Twice over the chunks, first for the fingerprint: an unchanged index is then left
                # at once.
                for part in _parts(chunk):
                    digest.update(hashlib.blake2b(part.encode(errors="replace")).digest())
        for reason, number in sorted(left.items()):
            message = f"{number_of(number, 'chunk')} {reason}"
            self._job.report.skip(KIND, self._path, message, things=number)
        # With nothing to take as well: what came from it before is then to go.
        if taken or str(self._file) in self._memory.imports.sources(self._namespace):
            self._bring(digest.hexdigest(), taken)

    def _bring(self, fingerprint: str, taken: int) -> None:
        source = str(self._file)
        imports = self._memory.imports
        if imports.fingerprints(self._namespace).get(source) == fingerprint:
            self._count.add(unchanged=taken)
            return
        if self._job.dry_run:
            before = imports.look([source], namespace=self._namespace)[source]
            for batch in _batches(self._records()):
                self._select(batch, before)
            return
        before = imports.begin(source, namespace=self._namespace)
        rows: list[Imported] = []
        fresh: list[MemoryRecord] = []
        for batch in _batches(self._records()):
            kept, wanted = self._select(batch, before)
            fresh += [each for each in wanted if each.id not in before.known]
            # Before the records, as in any import (`importers.writing`); what the index said of
            # them after, so that a kill in between makes no edit of somebody's of it.
            imports.note(source, [each.id for each in batch], namespace=self._namespace)
            self._memory.add_many(wanted)
            rows += [Imported(each.id, None, Said.of(each, ()).pack()) for each in kept]
            there = {each.id for each in kept}
            rows += [Imported(each.id) for each in batch if each.id not in there]
        vanished = before.known - {each.id for each in rows}
        left = self._ids_of_edits(sorted(vanished), before, fresh)
        if left:
            message = f"{number_of(len(left), 'record')} that you changed stays, though not in it"
            self._job.report.note(KIND, self._path, message)
        imports.conflicts.put(
            FileConflict("left", each, source, self._namespace) for each in sorted(left)
        )
        done = Finished(source, fingerprint, sorted(vanished - left), sorted(left), rows)
        imports.finish_all([done], namespace=self._namespace)

    def _select(
        self, batch: Sequence[MemoryRecord], before: Before
    ) -> tuple[list[MemoryRecord], list[MemoryRecord]]:
        """
        Count *batch*, and return two lists: what was not forgotten, and what is to be written.

        What somebody changed since *before* stays.
        """
        present = self._memory.get_many([each.id for each in batch])
        asked = [(each.id, content_hash(each.text)) for each in batch if each.id not in present]
        forgotten = self._memory.imports.were_forgotten(asked, namespace=self._namespace)
        forgotten |= before.forgotten - present.keys()
        kept = [each for each in batch if each.id not in forgotten]
        wanted = []
        for each in kept:
            there = present.get(each.id)
            record = each if there is None else self._merge(each, there, before)
            if there is None or not _is_same(there, record):
                wanted.append(record)
        changed = sum(each.id in present for each in wanted)
        self._count.add(
            new=len(wanted) - changed, changed=changed, unchanged=len(batch) - len(wanted)
        )
        return kept, wanted

    def _merge(self, record: MemoryRecord, there: MemoryRecord, before: Before) -> MemoryRecord:
        said, sources = said_before(before, record.id), {record.source or ""}
        return merge(record, there, said, tags=(), by_text=True, sources=sources)

    def _ids_of_edits(
        self, vanished: Sequence[str], before: Before, fresh: Sequence[MemoryRecord]
    ) -> set[str]:
        """Return those of *vanished* that somebody changed; tags go to the record that follows."""
        edited = set()
        for key, record in self._memory.get_many(vanished).items():
            said = said_before(before, key)
            if was_edited(record, said) or (said is None and not self._is_of_its_id(record)):
                edited.add(key)
            elif record.tags:
                heir = next((each for each in fresh if is_likely_heir(record, each)), None)
                if heir is None:
                    edited.add(key)
                else:
                    tags = tuple(sorted({*heir.tags, *record.tags}))
                    self._memory.add_many([replace(heir, tags=tags)])
        return edited

    def _is_of_its_id(self, record: MemoryRecord) -> bool:
        # Earlier releases noted nothing of what the index said; its ids are made of the text.
        return record.id in {
            passage_id(self._namespace, record.source or "", record.text, copy)
            for copy in range(1, 5)
        }

    def _records(self) -> Iterator[MemoryRecord]:
        copies: Counter[tuple[str, str]] = Counter()
        for chunk in self._read():
            if self._reason_to_leave(chunk):
                continue
            # Equal chunks of a file are told apart by their order, so that one of them may vanish.
            copies[chunk.path, chunk.text] += 1
            try:
                yield self._record(chunk, copies[chunk.path, chunk.text])
            except InvalidError as error:
                place = f"{self._path}#{chunk.path}"
                self._job.report.fail(KIND, place, error.problem, line=chunk.start)

    def _record(self, chunk: Chunk, copy: int) -> MemoryRecord:
        at = from_ms(chunk.at_ms)
        values = {
            "id": passage_id(self._namespace, chunk.path, chunk.text, copy),
            "text": chunk.text,
            "names": [name] if (name := fitting_name(PurePosixPath(chunk.path).stem)) else [],
            "source": chunk.path,
            "metadata": {**chunk.metadata, "start_line": chunk.start, "end_line": chunk.end},
            "namespace": self._namespace,
            "created_at": at if at and is_moment(at) else None,
        }
        return record_from(values, now=self._memory.now())

    def _reason_to_leave(self, chunk: Chunk) -> str:
        # Each text comes by one way only; a search would find it twice otherwise.
        if chunk.source == "sessions":
            return _OF_SESSION
        if any(key in chunk.text for key in self._forgotten):
            return _FORGOTTEN
        return _IN_WORKSPACE if self._is_there(chunk.path) else ""

    def _is_there(self, path: str) -> bool:
        if path not in self._present:
            folder = self._folder
            is_note = path in notes_of(self._job) or _NOTE.fullmatch(path) is not None
            # Once for each file: an index has many chunks of one, and each look is a system call.
            self._present[path] = folder is not None and is_note and (folder / path).is_file()
        return self._present[path]


def _parts(chunk: Chunk) -> tuple[str, ...]:
    """Return what makes *chunk* another one when it changes."""
    known = tuple(f"{name}={value}" for name, value in sorted(chunk.metadata.items()))
    return (chunk.path, chunk.text, str(chunk.start), str(chunk.end), *known)


def _batches(records: Iterable[MemoryRecord]) -> Iterator[list[MemoryRecord]]:
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _is_same(present: MemoryRecord | None, record: MemoryRecord) -> bool:
    return (
        present is not None
        and present.text == record.text
        and present.source == record.source
        and present.names == record.names
        and is_same_json(present.metadata, record.metadata)
    )
