"""The transcripts, entry by entry as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

from clawstate.errors import StateError
from clawstate.files.damaged_line import split_damaged
from clawstate.importers.lines import unreadable
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import Found, Role
from clawstate.importers.openclaw.transcript_entries import TranscriptImporter, ids_in
from clawstate.importers.openclaw.transcript_rows import (
    PACKED,
    archived_names,
    bring,
    count,
    take_rows,
    usable_id,
)
from clawstate.importers.openclaw_transcript import session_named_in
from clawstate.openclaw.transcripts import archived_file_lines
from clawstate.stores.sessions.entry import TOPIC, is_session_id, session_of_name
from clawstate.stores.transcripts.importing import read_lines

KIND = "transcripts"
_SUFFIX = ".jsonl"
_STEP = 1 << 20  # bytes between two looks at the progress
_UNFINISHED = "its last line is not finished; import again when it is"
_ARCHIVED = "is of a session that was reset or deleted; --archives takes it"

Claims = dict[tuple[str, str], str]
"""Which session a file belongs to, by its folder and name."""


def take_transcripts(job: Job) -> None:
    """
    Add the entries of every transcript that are not here, in their order; counted by entries.

    A transcript goes to the session that names it, otherwise to the one that its header names,
    otherwise to that of its own name. So two copies that a sync program made of one are merged by
    the ids of their entries. It is read as a stream, and committed in batches. Archived ones keep
    their whole name.
    """
    claims = _claims(job)
    entries = TranscriptImporter(job)
    # First, since they count where a file says the same: the file is what OpenClaw left behind.
    take_rows(job, entries)
    for found in job.of(Role.TRANSCRIPT):
        with job.count_failures(KIND, found.path):
            _take(job, found, session_of(found, claims, job, entries), entries)
    copies = archived_names(job)
    for found in job.of(Role.ARCHIVE):
        if found.path in copies:
            continue
        if not job.settings.archives:
            job.report.skip(KIND, found.path, _ARCHIVED)
        elif found.path.endswith(PACKED):
            lines = partial(archived_file_lines, job.source.file(found.path))
            session_id = session_of(found, claims, job, entries).removesuffix(PACKED)
            bring(job, found.path, session_id, lines, entries)
        else:
            with job.count_failures(KIND, found.path):
                _take(job, found, session_of(found, claims, job, entries), entries)
                continue
        job.advance(found.entry.size, found.path)


def session_of(found: Found, claims: Claims, job: Job, entries: TranscriptImporter) -> str:
    """Return the id of the session here that the transcript *found* goes to."""
    folder, _, name = found.path.rpartition("/")
    claimed = claims.get((folder, name))
    if claimed is not None:
        usual = f"{claimed}{_SUFFIX}"
        # An entry may name a copy by mistake; the file under the session's own name is the better
        # claim.
        if usual == name or f"{folder}/{usual}" not in job.source.entries:
            return claimed
    stem, _, archived = name.partition(_SUFFIX)
    wanted = f"{stem}{archived}"
    named = None if archived else _named_inside(found, job)
    if named is not None and is_session_id(named):
        return named
    own = session_of_name(wanted)
    return _whole_session(found, stem, job, entries, own=own) or own


def _whole_session(
    found: Found, stem: str, job: Job, entries: TranscriptImporter, *, own: str
) -> str | None:
    """
    Return the session in a database that took the file of a topic over, told by a shared entry.

    In a database of the source, or in one that was imported before; but where the topic is here
    under its *own* id, it stays so.
    """
    # Its name alone does not tell: the database may or may not have taken this file over.
    start, is_topic, _ = stem.partition(TOPIC)
    if not is_topic:
        return None
    with job.source.open(found.path) as stream:
        ids = ids_in(read_lines(stream))
    for rows in job.databases.agents:
        if rows.agent == found.owner and start in rows.transcripts.sessions():
            lines = rows.transcripts.lines(start)
            if not ids.isdisjoint(ids_in(line.text for line in lines if not line.error)):
                return usable_id(start)
    whole = usable_id(start)
    is_known = not entries.has_any(own, ids) and entries.has_any(whole, ids)
    return whole if is_known else None


def _named_inside(found: Found, job: Job) -> str | None:
    with job.source.open(found.path) as stream:
        return session_named_in(stream, name=found.path)


def _claims(job: Job) -> Claims:
    claims: dict[tuple[str, str], set[str]] = {}
    for found in job.files:
        if found.role not in {Role.SESSIONS, Role.SESSIONS_LEGACY}:
            continue
        folder = found.path.rpartition("/")[0]
        for entry in _entries(job, found):
            session_id, file = entry.get("sessionId"), entry.get("sessionFile")
            if is_session_id(session_id) and isinstance(file, str):
                name = file.replace("\\", "/").rpartition("/")[2]
                claims.setdefault((folder, name), set()).add(str(session_id))
    # A file that two sessions claim belongs to neither: its header decides.
    return {place: next(iter(ids)) for place, ids in claims.items() if len(ids) == 1}


def _entries(job: Job, found: Found) -> Iterator[dict[str, Any]]:
    try:
        document = job.source.object(found.path, json5=found.role is Role.SESSIONS_LEGACY)
    except StateError:
        return  # told where the sessions are taken
    yield from (each for each in document.values() if isinstance(each, dict))


def _take(job: Job, found: Found, session_id: str, entries: TranscriptImporter) -> None:
    with job.source.open(found.path) as stream:
        lines = _Lines(job, found, stream)

        def again() -> Iterator[bytes]:
            stream.seek(0)
            return read_lines(stream)

        imported = entries.take(found.path, session_id, lines, again=again)
    count(job, found.path, imported)
    if lines.is_unfinished:
        job.report.skip(KIND, found.path, _UNFINISHED)


class _Lines:
    """The lines of a file; without a last one that its writer has not finished."""

    def __init__(self, job: Job, found: Found, stream: BinaryIO) -> None:
        self._job = job
        self._found = found
        self._stream = stream
        self.is_unfinished = False

    def __iter__(self) -> Iterator[bytes]:
        """Give the lines, and tell how far it is."""
        pending = 0
        try:
            for line in read_lines(self._stream):
                pending += len(line)
                if pending >= _STEP:
                    self._job.advance(pending, self._found.path)
                    pending = 0
                # OpenClaw may be writing: a line without its end is half a message, unless it
                # parses.
                if line.endswith(b"\n") or _is_whole(line):
                    yield line
                else:
                    self.is_unfinished = True
                    yield _whole_part(line)
        except OSError as error:
            raise unreadable(self._job.source.file(self._found.path), error) from error
        self._job.advance(pending, self._found.path)


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return not line.strip()
    return True


def _whole_part(line: bytes) -> bytes:
    """Return the whole entries before the unfinished one."""
    parts = split_damaged(line.decode(errors="surrogateescape"))
    whole = "".join(each.text for each in parts if each.is_whole)
    return whole.encode(errors="surrogateescape")
