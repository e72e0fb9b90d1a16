"""Files and tables that an import skips: named and counted, so that nothing seems overlooked."""

from __future__ import annotations

import re
from collections import defaultdict

from clawstate.importers.openclaw.configuration import find_includes
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.report import LEFT
from clawstate.importers.openclaw.source import MOST_NAMES, Found, Role
from clawstate.importers.openclaw.workspace import notes_of
from clawstate.quantities import number_of

_LANCEDB = (
    "is a LanceDB memory, whose vectors belong to the model that made them; export its texts as "
    "JSON Lines and run 'clawstate memory import'"
)
_LINK = "is a link, which is not followed; import the directory it leads to, or put a copy there"
_CLAWSTATE = "clawstate"
_BESIDE = ("-wal", "-shm")
_DATABASES = re.compile(r"state/openclaw[^/]*|agents/[^/]+/agent/openclaw-agent\.sqlite[^/]+")
_MIGRATED = re.compile(r"\.migrated(?:[.-][^/]*)?$|/session-sqlite-import-archive/")
_TABLES = 12  # that are named
_OWN = re.compile(r"(?:^|/)\.(?:locks|lastgood|quarantine|config-history)/|clawstate\.json")
_REASONS = {
    _CLAWSTATE: "locks, histories, last good copies and settings of its own",
    "agents/*/agent": "made anew by OpenClaw",
    "agents/*/sessions": "copies and passing files of the sessions",
    "backups": "OpenClaw's copies",
    "cache": "made anew by OpenClaw",
    "credentials/matrix": "logins of the Matrix client, which belong to its own session",
    "credentials/whatsapp": "logins of WhatsApp, which belong to their own device",
    "cron": "jobs of OpenClaw's gateway",
    "databases": "OpenClaw's locks and notes of its databases",
    "dedupe": "clawstate's own",
    "extensions": "programs, which are installed anew",
    "locks": "clawstate's own",
    "logs": "logs",
    "matrix": "sync state and keys of the Matrix client, which belong to its own session",
    "media": "files that no message names",
    "memory": "no memory of OpenClaw",
    "migrated": "what OpenClaw took into its database; it may hold secrets",
    "openclaw.json.bak": "older versions of the configuration",
    "plugin-skills": "programs, which are installed anew",
    "session-sqlite-migration-runs": "OpenClaw's notes",
    "sessions": "clawstate's own, or copies",
    "state": "clawstate's own",
    "tmp": "locks and passing files of OpenClaw",
    "workspace": "the agent's own files, of which only the memory is taken",
}
_UNKNOWN = "nothing that clawstate keeps"
_NOTE = re.compile(r"workspace(?:-[^/]+)?/(?P<name>[^/]+\.md|memory/.+\.md)")
_DEEPEST_LINK = 3


def count_skipped(job: Job) -> None:
    """Count the files that are skipped by their place, with a reason; name the tables."""
    _note_tables(job)
    groups: dict[str, int] = defaultdict(int)
    known = find_includes(job) | job.media | _of_databases(job)
    for found in job.files:
        if found.in_database:
            continue
        if found.entry.is_link and _is_worth_a_word(found):
            job.report.skip(LEFT, found.path, _LINK)
        elif found.role is Role.LANCEDB:
            job.report.skip(LEFT, found.path, _LANCEDB)
        # In groups: a person wants to see that nothing was overlooked, and not a thousand names.
        elif found.role is Role.OTHER and not _is_taken(found, known, job):
            groups[_group(found)] += 1
    for group, files in sorted(groups.items()):
        job.report.skip(LEFT, group, _message(group, files), things=files)
    # A failure and no skip: what lies in there might be what the import was made for.
    for folder, reason in sorted(job.source.closed_folders().items()):
        job.report.fail(LEFT, folder or ".", f"cannot be looked into ({reason})")


def _note_tables(job: Job) -> None:
    for path, snapshot in job.databases.snapshots():
        with job.count_failures(LEFT, path):
            if tables := snapshot.skipped_tables():
                named = [f"{name} ({rows:,})" for name, rows in tables.items()]
                more = f" and {len(named) - _TABLES} more" if len(named) > _TABLES else ""
                listed = ", ".join(named[:_TABLES])
                message = f"rows of other tables were left alone: {listed}{more}"
                job.report.note(LEFT, path, message)
            if columns := snapshot.unknown_columns():
                message = f"columns that are not known were passed over: {', '.join(columns)}"
                job.report.note(LEFT, path, message)
    for path, message in job.databases.notes:
        job.report.note(LEFT, path, message)


def _is_worth_a_word(found: Found) -> bool:
    """Tell whether a person may have put the link *found* there, and expects it to be followed."""
    return found.path.count("/") <= _DEEPEST_LINK and not found.path.startswith("plugin-skills/")


def _is_taken(found: Found, included: frozenset[str], job: Job) -> bool:
    if found.path in included:
        return True
    note = _NOTE.fullmatch(found.path)
    return note is not None and (note["name"] in notes_of(job) or "/" in note["name"])


def _of_databases(job: Job) -> frozenset[str]:
    """Return the databases that were read, and the files beside them that belong to them."""
    found: set[str] = set()
    for path, _ in job.databases.snapshots():
        # The log belongs to its database: both were read through SQLite.
        found.update(f"{path}{end}" for end in ("", *_BESIDE))
    for each in job.databases.agents:
        folder = each.path.rpartition("/")[0].rpartition("/")[0]
        with job.count_failures(LEFT, each.path):
            found.update(f"{folder}/sessions/cold/{name}" for name in each.transcripts.cold_names())
    return frozenset(found)


def _group(found: Found) -> str:
    if _OWN.search(found.path):
        return _CLAWSTATE
    if _DATABASES.fullmatch(found.path):
        return "databases"
    if _MIGRATED.search(found.path):
        return "migrated"
    first, _, rest = found.path.partition("/")
    if first.startswith("openclaw.json."):
        return "openclaw.json.bak"
    if not rest:
        return first
    parts = rest.split("/")
    if first == "agents" and len(parts) > 2:
        return f"agents/*/{parts[1]}"
    return f"{first}/{parts[0]}" if first == "credentials" else first


def _message(group: str, files: int) -> str:
    first = "workspace" if group.startswith("workspace") else group
    reason = _REASONS.get(first, _UNKNOWN)
    more = "more than " if files > MOST_NAMES else ""
    return f"{more}{number_of(min(files, MOST_NAMES), 'file')} left alone: {reason}"
