"""The JSON form of what an import did: of files, and of the state of an OpenClaw."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clawstate.importers.openclaw.report import Remark, Report
    from clawstate.importers.report import Report as FileReport


def write_file_import(report: FileReport) -> dict[str, Any]:
    """Return the counts of files and records, and what could not be taken in."""
    return {
        "files": report.files,
        "failedFiles": len(report.failed),
        "unchangedFiles": report.skipped,
        "movedFiles": report.moved,
        "copies": report.copies,
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.kept,
        "removed": report.removed,
        "keptEdits": report.left,
        "passedOver": dict(sorted(report.passed_over.items())),
        "stillForgotten": report.forgotten,
        "problems": [
            {"path": path_text(each.path), "line": each.line, "message": each.message}
            for each in report.problems
        ],
    }


def write_openclaw_import(report: Report) -> dict[str, Any]:
    """Return the counts of each kind, and what deserves a word."""
    return {
        "dryRun": report.dry_run,
        "source": escape_unprintable(report.source),
        "sourceIsState": report.is_home,
        "kinds": {kind: asdict(count) for kind, count in report.kinds()},
        "problems": [write_remark(each) for each in report.remarks],
    }


def write_remark(remark: Remark) -> dict[str, Any]:
    """Return a sentence about one file."""
    return {
        "kind": remark.kind,
        "severity": str(remark.severity),
        "path": escape_unprintable(remark.path),
        "line": remark.line,
        "message": escape_unprintable(remark.message),
    }


def path_text(path: Path) -> str:
    """Return *path* as text: a name that is not UTF-8 cannot stand in JSON."""
    return os.fsencode(path).decode(errors="backslashreplace")


def escape_unprintable(text: str) -> str:
    """Return *text* of a directory that others wrote, with what cannot be printed written out."""
    # Names in a directory of others may hold control characters, by which a terminal can be misled.
    readable = os.fsencode(text).decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in readable)
