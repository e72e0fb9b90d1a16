"""What is not taken over: named and counted, so that a person sees that nothing was overlooked."""

from __future__ import annotations

import re
from collections import defaultdict

from clawstate.importers.openclaw.configuration import included
from clawstate.importers.openclaw.discovery import Found, Role
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.report import LEFT
from clawstate.importers.openclaw.source import MOST_NAMES

_NEWER = (
    "is the database that OpenClaw keeps its state in since 2026.7; this import reads the files "
    "of the releases before that, and leaves the database to OpenClaw"
)
_LANCEDB = (
    "is a LanceDB memory, whose vectors belong to the model that made them; export its texts as "
    "JSON Lines and run 'clawstate memory import'"
)
_LINK = "is a link, which is not followed; import the directory it leads to, or put a copy there"
_CLAWSTATE = "clawstate"
_OWN = re.compile(r"(?:^|/)\.(?:locks|lastgood|quarantine|config-history)/")
_REASONS = {
    _CLAWSTATE: "locks, histories and last good copies",
    "agents/*/agent": "made anew by OpenClaw",
    "agents/*/sessions": "copies and passing files of the sessions",
    "credentials/matrix": "logins of the Matrix client, which belong to its own session",
    "credentials/whatsapp": "logins of WhatsApp, which belong to their own device",
    "cron": "jobs of OpenClaw's gateway",
    "dedupe": "clawstate's own",
    "extensions": "programs, which are installed anew",
    "locks": "clawstate's own",
    "logs": "logs",
    "matrix": "sync state and keys of the Matrix client, which belong to its own session",
    "memory": "no memory of OpenClaw",
    "openclaw.json.bak": "older versions of the configuration",
    "sessions": "clawstate's own, or copies",
    "state": "clawstate's own",
    "workspace": "the agent's own files, of which only the memory is taken",
}
_UNKNOWN = "nothing that clawstate keeps"
_NOTE = re.compile(r"workspace(?:-[^/]+)?/(?:MEMORY\.md|memory\.md|memory/.+\.md)")
_DEEPEST_LINK = 3


def count_left_alone(job: Job) -> None:
    """Count what is left alone by its place, with a reason for each."""
    groups: dict[str, int] = defaultdict(int)
    known = included(job)
    for found in job.files:
        if found.entry.is_link and found.path.count("/") <= _DEEPEST_LINK:
            job.report.skipped(LEFT, found.path, _LINK)
        elif found.role is Role.NEWER:
            job.report.skipped(LEFT, found.path, _NEWER)
        elif found.role is Role.LANCEDB:
            job.report.skipped(LEFT, found.path, _LANCEDB)
        elif found.role is Role.OTHER and not _is_taken(found, known):
            groups[_group(found)] += 1
    for group, files in sorted(groups.items()):
        job.report.skipped(LEFT, group, _told(group, files), things=files)
    for folder, reason in sorted(job.source.closed().items()):
        job.report.failed(LEFT, folder or ".", f"cannot be looked into ({reason})")


def _is_taken(found: Found, included: frozenset[str]) -> bool:
    return found.path in included or _NOTE.fullmatch(found.path) is not None


def _group(found: Found) -> str:
    if _OWN.search(found.path):
        return _CLAWSTATE
    first, _, rest = found.path.partition("/")
    if first.startswith("openclaw.json."):
        return "openclaw.json.bak"
    if not rest:
        return first
    parts = rest.split("/")
    if first == "agents" and len(parts) > 2:
        return f"agents/*/{parts[1]}"
    return f"{first}/{parts[0]}" if first == "credentials" else first


def _told(group: str, files: int) -> str:
    first = "workspace" if group.startswith("workspace") else group
    reason = _REASONS.get(first, _UNKNOWN)
    counted = f"more than {MOST_NAMES:,}" if files > MOST_NAMES else f"{files:,}"
    return f"{counted} {'file' if files == 1 else 'files'} left alone: {reason}"
