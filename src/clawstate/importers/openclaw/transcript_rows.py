"""The transcripts in OpenClaw's databases: events, cold archives, and the media they name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial

from clawstate.errors import MissingExtraError, StateError
from clawstate.importers.openclaw.databases import AgentRows
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import reason_of
from clawstate.importers.openclaw.transcript_entries import TranscriptImporter
from clawstate.openclaw.transcripts import Line
from clawstate.quantities import number_of
from clawstate.stores.sessions.entry import is_session_id
from clawstate.stores.transcripts.values import TranscriptImport

KIND, MEDIA = "transcripts", "media"
PACKED = ".zst"
_GONE = "is named by a message, and not there: OpenClaw removes old files"
_SHOWN = 10  # events of one transcript that cannot be read
_ARCHIVED = "is of a session that was deleted or reset; --archives takes it"
# A whole plain name, up to the end of the text that it stands in.
_MEDIA = re.compile(
    r"media://(inbound|outbound)/([A-Za-z0-9][A-Za-z0-9._-]{0,199})(?=\\?\"|[\s)\]>,]|$)"
)


def take_rows(job: Job, entries: TranscriptImporter) -> None:
    """Add the entries that databases hold and that are not here, in their order."""
    topics = entries.topics_here()
    for each in job.databases.agents:
        if job.wants_agent(each.agent):
            with job.count_failures(KIND, each.path):
                sessions = each.transcripts.sessions()
                for session_id in sessions:
                    place = f"{each.path}#transcript_events/{session_id}"
                    lines = partial(each.transcripts.lines, session_id)
                    name = usable_id(session_id)
                    # A topic that the database has as a session of its own is one.
                    merged = [topic for topic in topics.get(name, ()) if topic not in sessions]
                    texts = (line.text for line in lines() if line.error is None)
                    with (
                        entries.merge_after(place, name, merged, texts) if merged else nullcontext()
                    ):
                        bring(job, place, name, lines, entries)
                _take_archives(job, each, entries)


def bring(
    job: Job,
    place: str,
    session_id: str,
    found: Callable[[], Iterable[Line]],
    entries: TranscriptImporter,
) -> None:
    """Add the lines *found* at *place* to the session, and count them."""
    with job.count_failures(KIND, place):
        lines = _Texts(job, found())
        again = partial(_texts, job, found)
        count(job, place, entries.take(place, session_id, lines, again=again))
        lines.report_errors(place)


def _texts(job: Job, found: Callable[[], Iterable[Line]]) -> Iterable[str]:
    return _Texts(job, found())


def count(job: Job, place: str, imported: TranscriptImport) -> None:
    """Count what became of the lines at *place*."""
    job.report.count(KIND).add(new=imported.added, unchanged=imported.kept)
    for problem in imported.problems[:_SHOWN]:
        job.report.fail(KIND, place, problem.message, line=problem.line)
    if (more := len(imported.problems) - _SHOWN) > 0:
        job.report.count(KIND).add(failed=more)
        job.report.note(KIND, place, f"{number_of(more, 'more line')} could not be read")


def note_media(job: Job) -> None:
    """Note the files that messages name, without taking the messages."""
    for each in job.databases.agents:
        if job.wants_agent(each.agent):
            for session_id in each.transcripts.sessions():
                for _ in _Texts(job, each.transcripts.lines(session_id)):
                    pass


def usable_id(session_id: str) -> str:
    """Return *session_id*, or what stands for one that no session here can have."""
    if is_session_id(session_id):
        return session_id
    return hashlib.sha256(session_id.encode(errors="surrogateescape")).hexdigest()[:16]


def archived_names(job: Job) -> frozenset[str]:
    """Return the files that are copies of archives in rows, relative to the source."""
    return frozenset(
        f"{folder.rpartition('/')[0]}/sessions/{archive.name}"
        for each in job.databases.agents
        for folder in (each.path.rpartition("/")[0],)
        for archive in each.transcripts.archives()
    )


def _take_archives(job: Job, rows: AgentRows, entries: TranscriptImporter) -> None:
    for archive in rows.transcripts.archives():
        place = f"{rows.path}#{archive.name}"
        if job.settings.archives:
            session_id = usable_id(archive.name.replace(".jsonl", "", 1).removesuffix(PACKED))
            lines = partial(rows.transcripts.archived_lines, archive)
            bring(job, place, session_id, lines, entries)
        else:
            job.report.skip(KIND, place, _ARCHIVED)


class _Texts:
    """
    The texts of events; what cannot be read is remembered, to be told.

    Where it is zstd that is missing, nothing after such an event is given: it comes, with all that
    follows, once zstd is there, and everything is in order then.
    """

    def __init__(self, job: Job, lines: Iterable[Line]) -> None:
        self._job = job
        self._lines = lines
        self._errors: list[StateError] = []
        self._missing: MissingExtraError | None = None
        self._waiting = 0

    def __iter__(self) -> Iterator[str]:
        """Give the texts, and note the files that they name."""
        for line in self._lines:
            # From here on nothing is given: order is that of appending, so what comes later must
            # wait.
            if isinstance(line.error, MissingExtraError):
                self._missing = line.error
            if self._missing is not None:
                self._waiting += 1
            elif line.error is not None:
                self._errors.append(line.error)
            else:
                # Noted on the way, since the messages are in hand: another pass would read all of
                # them again.
                self._job.media.update(f"media/{a}/{b}" for a, b in _MEDIA.findall(line.text))
                yield line.text

    def report_errors(self, place: str) -> None:
        """Count what was not given, and say why."""
        report = self._job.report
        for error in self._errors[:_SHOWN]:
            report.fail(KIND, place, reason_of(error))
        if (more := len(self._errors) - _SHOWN) > 0:
            report.count(KIND).add(failed=more)
            report.note(KIND, place, f"{number_of(more, 'more entry')} could not be read")
        if self._missing is not None:
            entries = number_of(self._waiting, "entry")
            report.fail(KIND, place, f"{entries} passed over: {self._missing}")
            report.count(KIND).add(failed=self._waiting - 1)


def take_media(job: Job) -> None:
    """Copy the files that messages name to the same places below this state, where links lead."""
    # The transcripts were not asked for, or had none: then they are only searched for names.
    if not job.media:
        note_media(job)
    for path in sorted(job.media):
        with job.count_failures(MEDIA, path):
            if path in job.source.entries:
                job.copy_file(MEDIA, path, job.state.paths.root / path)
            else:
                job.report.skip(MEDIA, path, _GONE)
