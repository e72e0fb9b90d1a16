"""Entries that OpenClaw changed in place after they were taken over: both texts are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator

from clawstate.files.json_text import dump_compact
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.report import counted
from clawstate.importers.openclaw.trial import Known
from clawstate.stores.transcripts.values import CONTRADICTION, Imported

KIND = "transcripts"
Lines = Callable[[], Iterable[str | bytes]]
"""Gives the lines of the transcript once more."""


def take_lines(job: Job, session_id: str, lines: Iterable[str | bytes], known: Known) -> Imported:
    """Add *lines* to the session, or in a dry run find out what would become of them."""
    if job.dry_run:
        now = job.state.clock()
        return known.tried(job.state.transcripts, session_id, lines, now=now)
    return job.state.transcripts.import_lines(session_id, lines)


def take_changed(
    job: Job, place: str, session_id: str, imported: Imported, *, again: Lines, known: Known
) -> Imported:
    """
    Take the entries whose ids others here have, under ids of their own; return the rest of it.

    Such an id comes out the same each time, so another import finds them here. No transcript is
    changed: what was said first stays, and what it became stands beside it.
    """
    numbers = {each.line for each in imported.problems if each.message.startswith(CONTRADICTION)}
    if not numbers:
        return imported
    made = dict(_renamed(again(), numbers))
    done = take_lines(job, session_id, made.values(), known)
    if done.added:
        told = f"{counted(done.added, 'entry')} changed in place since they were taken over"
        job.report.note(KIND, place, f"{told}; what they were is kept beside what they are")
    job.report.count(KIND).add(changed=done.added)
    left = tuple(each for each in imported.problems if each.line not in made)
    return Imported(imported.added, imported.kept + done.kept, (*left, *done.problems))


def _renamed(lines: Iterable[str | bytes], numbers: set[int]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        if number not in numbers:
            continue
        try:
            entry = json.loads(line)
            text = dump_compact(entry)
        except (ValueError, RecursionError):
            continue  # several entries on one line: told as it is
        digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
        yield number, dump_compact({**entry, "id": f"{entry['id']}-{digest}"})
