"""The pictures and files that messages name as `media://inbound/<name>`."""

from __future__ import annotations

import os

from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.transcript_rows import note_media
from clawstate.importers.regular_file import open_regular

KIND = "media"
_GONE = "is named by a message, and not there: OpenClaw removes old files"
_OTHER = "there is another file of this name here, which is kept"


def take_media(job: Job) -> None:
    """
    Copy the files that messages name to the same place below this state, where their links lead.

    A file is private from the instant that it exists, and never replaces another.
    """
    if not job.media:
        note_media(job)
    for path in sorted(job.media):
        with job.counted_failure(KIND, path):
            _take(job, path)


def _take(job: Job, path: str) -> None:
    target = job.state.paths.root / path
    if job.source.is_same_file(path, target):
        job.report.count(KIND).add(unchanged=1)
        return
    if path not in job.source.entries:
        job.report.skipped(KIND, path, _GONE)
        return
    data = job.source.read(path)
    if os.path.lexists(target):
        with open_regular(target) as stream:
            is_equal = stream.read(len(data) + 1) == data
        if is_equal:
            job.report.count(KIND).add(unchanged=1)
        else:
            job.report.skipped(KIND, path, _OTHER)
        return
    if not job.dry_run:
        make_private_dir(target.parent)
        write_atomic(target, data)
    job.report.count(KIND).add(new=1)
