"""Marks of what plugins handled already, with their times."""

from __future__ import annotations

from clawstate.importers.openclaw.discovery import Found, Role
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.report import counted
from clawstate.stores.dedupe.rules import is_mark

KIND = "dedupe"
_KEPT = "left, since they expired or are too many"


def take_marks(job: Job) -> None:
    """
    Take the marks of `<plugin>/dedup/<namespace>.json` into the namespace *plugin:namespace*.

    Those in rows name the namespace by its prefix and a hash, and are kept under these.
    """
    for found in job.of(Role.DEDUPE):
        with job.counted_failure(KIND, found.path):
            members = job.source.object(found.path)
            marks = {key: value for key, value in members.items() if key and is_mark(value)}
            answer = job.state.dedupe.merge(marks, namespace_of(found), dry_run=job.dry_run)
            job.report.merged(KIND, found.path, answer, what="mark", why_kept=_KEPT)
            if others := len(members) - len(marks):
                message = f"{counted(others, 'member')} left that OpenClaw passes over, too"
                job.report.skipped(KIND, found.path, message, things=others)


def namespace_of(found: Found) -> str:
    """Return where the marks of *found* go: those of two plugins must not be taken for another."""
    if found.in_database:
        return found.owner
    plugin, _, rest = found.path.partition("/")
    return f"{plugin}:{found.owner}" if "/" in rest else found.owner
