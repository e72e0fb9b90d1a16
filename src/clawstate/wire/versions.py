"""The JSON form of what records were."""

from __future__ import annotations

from typing import Any, cast

from clawstate.memory.versions import Ending, RecordVersion
from clawstate.wire.members import Members, times
from clawstate.wire.memory import read_record, write_record


def write_version(version: RecordVersion) -> dict[str, Any]:
    """Return *version*: the record as it was, from when until when, and what came then."""
    return {
        "record": write_record(version.record),
        **times(since=version.since, until=version.until),
        "ending": version.ending,
        "successors": list(version.successors),
        "changed": list(version.changed),
    }


def read_version(document: Any) -> RecordVersion:
    """Return the version of *document*."""
    told = Members(document, "version")
    return RecordVersion(
        read_record(told.mapping("record")),
        told.moment("since"),
        told.maybe_moment("until"),
        cast("Ending | None", told.maybe_text("ending")),
        successors=told.texts("successors"),
        changed=told.texts("changed"),
    )
