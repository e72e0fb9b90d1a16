"""
Entries of transcripts on their way into sessions: changed ones are kept twice, topics merged.

The entries of a topic's file, and those of the session in a database that took the file over, are
recognised by their ids: whichever is imported second, they end in one session.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from clawstate.files.json_text import dump_compact
from clawstate.importers.openclaw.job import Job
from clawstate.quantities import number_of
from clawstate.records.contract import Json
from clawstate.stores.sessions.entry import TOPIC
from clawstate.stores.transcripts.importing import Reading, read_lines
from clawstate.stores.transcripts.values import CONTRADICTION, Message, TranscriptImport

KIND = "transcripts"
_PAGE = 1000

Lines = Callable[[], Iterable[str | bytes]]
"""Gives the lines of a transcript once more."""


class TranscriptImporter:
    """
    Takes the lines of transcripts into the sessions of the state of *job*.

    In a dry run it remembers the entries of each session, so that what several files hold counts
    once.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._transcripts = job.state.transcripts
        self._digests: dict[str, dict[str, bytes]] = {}

    def take(
        self, place: str, session_id: str, lines: Iterable[str | bytes], *, again: Lines
    ) -> TranscriptImport:
        """
        Add those of *lines* that are not in the session, and return what was done with them.

        An entry that OpenClaw changed in place since it was imported is added under an id of its
        own, which comes out the same each time, so that another import finds it. No transcript is
        changed: what was said first stays, and what it became stands beside it.
        """
        imported = self._import(session_id, lines)
        # A contradiction names its line, so that just those lines are read once more.
        numbers = {
            each.line for each in imported.problems if each.message.startswith(CONTRADICTION)
        }
        # Nearly always: nothing was changed in place.
        if not numbers:
            return imported
        made = dict(_rename(again(), numbers))
        done = self._import(session_id, made.values())
        if done.added:
            changed = f"{number_of(done.added, 'entry')} changed in place since the last import"
            message = f"{changed}; the old text is kept beside the new"
            self._job.report.note(KIND, place, message)
        self._job.report.count(KIND).add(changed=done.added)
        left = tuple(each for each in imported.problems if each.line not in made)
        return TranscriptImport(imported.added, imported.kept + done.kept, (*left, *done.problems))

    def topics_here(self) -> dict[str, list[str]]:
        """Return the transcripts here of topics, by the session that their name begins with."""
        topics: dict[str, list[str]] = {}
        if self._transcripts.path.exists():
            for held in self._transcripts.sessions():
                start, is_topic, _ = held.session_id.partition(TOPIC)
                if is_topic:
                    topics.setdefault(start, []).append(held.session_id)
        return topics

    def has_any(self, session_id: str, ids: Iterable[str]) -> bool:
        """Tell whether the session has an entry here of one of these *ids*."""
        if not self._transcripts.path.exists() or self._transcripts.info(session_id) is None:
            return False
        return any(self._transcripts.get(session_id, each) is not None for each in ids)

    @contextmanager
    def merge_after(
        self, place: str, session_id: str, topics: Sequence[str], texts: Iterable[str]
    ) -> Iterator[None]:
        """
        Merge *topics* into the session after the block, in which it takes a database's *texts*.

        OpenClaw's database took the files of topics into their session. A topic that was imported
        from its file before would be here twice. It is the same if it shares an entry: what the
        database lacks of it is added to the session, and then the topic's own transcript goes. One
        that a session here uses stays.
        """
        # A session that somebody goes on with keeps its transcript, whatever else holds its
        # messages.
        in_use = {each.session_id for each in self._job.state.sessions.entries()}
        there, before = ids_in(texts), self._ids(session_id)
        ids = {each: self._ids(each) for each in topics if each not in in_use}
        same = [each for each, own in ids.items() if not own.isdisjoint(there)]
        yield
        # They were new to the session, and yet here before.
        known = len(there.intersection(*[set().union(*(ids[each] for each in same))]) - before)
        self._job.report.count(KIND).add(new=-known, unchanged=known)
        for topic in same:
            self._merge(place, session_id, topic)

    def _merge(self, place: str, session_id: str, topic: str) -> None:
        with self._job.count_failures(KIND, place), tempfile.TemporaryFile() as file:

            def lines() -> Iterator[bytes]:
                file.seek(0)
                return read_lines(file)

            self._transcripts.export(topic, file)
            # Added first and removed after: a kill in between leaves messages twice, and none is
            # lost.
            if self.take(place, session_id, lines(), again=lines).problems:
                return  # it stays as it is, so that nothing is lost
            if not self._job.dry_run:
                self._transcripts.delete(topic)
            message = f"{topic}, imported from a file before, is a part of {session_id} now"
            self._job.report.note(KIND, place, message)

    def _import(self, session_id: str, lines: Iterable[str | bytes]) -> TranscriptImport:
        if not self._job.dry_run:
            return self._transcripts.import_lines(session_id, lines)
        # Digests and no entries: a dry run over gigabytes must fit into memory.
        known = self._digests.get(session_id)
        if known is None:
            found = self._messages(session_id)
            known = self._digests[session_id] = {each.id: _digest(each.entry) for each in found}
        reading = Reading(session_id, self._job.state.clock())
        added = kept = 0
        for number, entry in reading.entries(lines):
            name, digest = str(entry.id), _digest(json.loads(entry.line))
            if name not in known:
                known[name] = digest
                added += 1
            elif known[name] == digest:
                kept += 1
            else:
                reading.problem(number, f"{CONTRADICTION} {name!r}")
        return TranscriptImport(added, kept, tuple(reading.problems))

    def _ids(self, session_id: str) -> set[str]:
        return {each.id for each in self._messages(session_id)}

    def _messages(self, session_id: str) -> Iterator[Message]:
        if not self._transcripts.path.exists():
            return
        page = self._transcripts.messages(session_id, limit=_PAGE)
        while page:
            yield from page
            page = self._transcripts.messages(session_id, limit=_PAGE, before=page[0].id)


def ids_in(lines: Iterable[str | bytes]) -> set[str]:
    """Return the ids of the entries of a transcript's *lines*; what cannot be read has none."""
    found: set[str] = set()
    for line in lines:
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("type") != "session":
                found.add(str(entry.get("id", "")))
    return found - {""}


def _rename(lines: Iterable[str | bytes], numbers: set[int]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        if number not in numbers:
            continue
        try:
            entry = json.loads(line)
            text = dump_compact(entry)
        except (ValueError, RecursionError):
            continue  # several entries on one line: told as it is
        # From the text, so the same change gives the same id in every import.
        digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
        yield number, dump_compact({**entry, "id": f"{entry['id']}-{digest}"})


def _digest(entry: Json) -> bytes:
    # By what it says, as `turns.same_line`: a dry run must tell what the import would.
    said = json.dumps(json.loads(dump_compact(entry)), sort_keys=True)
    return hashlib.blake2b(said.encode(errors="replace"), digest_size=16).digest()
