"""The JSON form of what is wrong with a state, and of whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from clawstate.errors import InvalidError
from clawstate.health import Finding, Severity
from clawstate.wire.members import Members

if TYPE_CHECKING:
    from clawstate.openclaw.description import Description
    from clawstate.openclaw.owner import Era, Owner


def write_finding(finding: Finding) -> dict[str, Any]:
    """Return *finding* without its repair."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "path": finding.path,
        "message": finding.message,
        "fix": finding.fix,
    }


def read_finding(document: Any) -> Finding:
    """Return the finding of *document*; it cannot be repaired from there."""
    told = Members(document, "finding")
    # Checked, as the type promises one of a few words, and a document may hold any.
    severity = told.text("severity")
    if severity not in get_args(Severity):
        known = ", ".join(get_args(Severity))
        raise InvalidError("finding.severity", "is none", f"use one of {known}")
    texts = (told.text("path"), told.text("message"), told.text("fix"))
    # No repair: a function cannot be sent, and one that is chosen by a document must not be run.
    return Finding(told.text("code"), cast("Severity", severity), *texts)


def write_owner(owner: Owner) -> dict[str, Any]:
    """Return whose a directory is, and what shows it."""
    return {"root": str(owner.root), "era": write_era(owner.era), "mark": owner.mark}


def write_era(era: Era) -> str:
    """Return the word for *era*."""
    return era.value


def write_description(found: Description) -> dict[str, Any]:
    """Return what is known of the OpenClaw of a directory."""
    return {
        "era": write_era(found.owner.era),
        "summary": found.sentence,
        "version": found.version,
        "schemas": list(found.schemas),
        "agents": list(found.agents),
        "sessions": found.sessions,
        "gatewayPid": found.gateway,
    }
